"""Figure 2 of the paper, drawn by us: what one head computes (left, chapter 4), and how
several work side by side (right, chapter 6).
"""

from collections.abc import Sequence
from itertools import pairwise

from minitfm.study.drawings import Drawing, Number

API = "../book/api.html"


def scaled_dot_product(api: str = API) -> Drawing:
    """Scaled dot-product attention (after Figure 2, left), with the names and shapes
    that the package uses; read it from the bottom up.

    Args:
        api: address of the page that describes the package; boxes are linked to what
            they stand for there.
    """
    drawing = Drawing(
        400,
        420,
        "Scaled dot-product attention, from the bottom up. Query and key go into a"
        " matrix product, whose result is divided by the root of d_k, masked if a mask"
        " is given, and made weights by a softmax over the keys. A second matrix"
        " product averages the values with these weights.",
    )
    weights = f"{api}#minitfm.attention.attention_weights"
    softmax = f"{api}#minitfm.attention.masked_softmax"
    whole = f"{api}#minitfm.attention.scaled_dot_product_attention"
    x, wide = 100, 170

    def shape(y: Number, text: str) -> None:
        drawing.text(x + 10, y, text, size=12, anchor="start")

    for name, place, axes in (
        ("query", 50, "(query, d_k)"),
        ("key", 150, "(key, d_k)"),
        ("value", 330, "(key, d_v)"),
    ):
        drawing.text(place, 388, name, bold=True, color=name)
        drawing.text(place, 408, axes, size=12)
        end = 90 if name == "value" else 348
        drawing.arrow((place, 374), (place, end), color=name)
    for y, text, link in (
        (330, "QKᵀ", weights),
        (266, "÷ √d_k", weights),
        (202, "mask (optional)", softmax),
        (138, "softmax over the keys", softmax),
    ):
        drawing.box(x, y, text, width=wide, height=36, link=link)
        drawing.arrow((x, y - 18), (x, y - 46 if y > 138 else y - 48))
    shape(298, "scores (query, key)")
    shape(106, "weights (query, key)")
    drawing.box(192, 72, "weights × V", width=354, height=36, link=whole)
    drawing.arrow((192, 54), (192, 32))
    drawing.text(192, 18, "output", bold=True)
    drawing.text(222, 18, "(query, d_v)", size=12, anchor="start")
    return drawing


def looking_back() -> Drawing:
    """Chapter 3's model with attention between encoder and decoder, at one step."""
    drawing = Drawing(
        420,
        400,
        "Below, the encoder: a row of states h1 to h6, one above each character of the"
        " source 6 Mar 2 and so on, joined by arrows in both directions. From each"
        " state a line leads up to a weighted sum, thick from the third, over M, thin"
        " from the others. The decoder's output s_t is the query that sets the weights."
        " The sum c_t and s_t together lead to the next character.",
    )
    characters, share = list("6␣Mar…"), (0.05, 0.02, 0.7, 0.13, 0.06, 0.04)
    places = [28 + 47 * i for i in range(6)]
    for x, character, weight in zip(places, characters, share):
        drawing.text(x, 388, character, code=True)
        drawing.arrow((x, 376), (x, 352))
        drawing.line((x, 316), (145, 232), color="key", width=0.8 + 7 * weight)
        drawing.box(x, 334, "h", width=36, height=36, color="encoder")
    for left, right in pairwise(places):
        drawing.arrow((left + 18, 328), (right - 18, 328), width=1)
        drawing.arrow((right - 18, 341), (left + 18, 341), width=1)
    drawing.text(
        292, 334, "keys and values:\nthe encoder's states", size=12, anchor="start"
    )
    drawing.text(8, 256, "weights w", size=12, anchor="start", color="key")
    drawing.circle(145, 218, "Σ", radius=16, color="value")
    drawing.arrow((145, 202), (145, 128))
    drawing.text(153, 166, "c: what was found", size=12, anchor="start")
    drawing.box(345, 200, "s", width=40, height=36, color="decoder")
    drawing.text(345, 238, "the decoder's output", size=12)
    drawing.arrow((325, 204), (163, 217), color="query", dashed=True)
    drawing.text(258, 196, "query", size=12, color="query")
    drawing.arrow((345, 182), (345, 110), (232, 110))
    drawing.box(145, 110, "tanh(C [c ; s])", width=170, height=36)
    drawing.arrow((145, 92), (145, 70))
    drawing.box(145, 52, "generator", width=170, height=36)
    drawing.arrow((145, 34), (145, 22))
    drawing.text(145, 10, "logits of the next character", size=12)
    return drawing


def multi_head(api: str = API, attention: str = "04_attention.html") -> Drawing:
    """Multi-head attention (after Figure 2, right), with the names and shapes that the
    package uses; read it from the bottom up.

    Args:
        api: address of the page that describes the package; boxes are linked to what
            they stand for there.
        attention: address of the chapter that opens the box in the middle.
    """
    drawing = Drawing(
        420,
        458,
        "Multi-head attention, from the bottom up. Query, key and value each pass a"
        " linear layer and are split into h heads. Every head computes scaled"
        " dot-product attention on its own. The results are concatenated and pass one"
        " more linear layer.",
    )
    layer = f"{api}#minitfm.multihead.MultiHeadAttention"
    middle, columns = 160, {"query": 60, "key": 160, "value": 260}

    def shape(y: Number, text: str) -> None:
        drawing.text(418, y, text, size=12, anchor="end")

    def stack(
        x: Number, y: Number, text: str, width: Number, color: str, link: str
    ) -> None:
        """One box for each head: one in front, with the words, and of those behind it
        what it does not hide.
        """
        left, right, top, bottom = x - width / 2, x + width / 2, y - 18, y + 18
        for d in (7, 14):
            drawing.line(
                (left + d, top - d + 7),
                (left + d, top - d),
                (right + d, top - d),
                (right + d, bottom - d),
                (right + d - 7, bottom - d),
                color=color,
            )
        drawing.box(x, y, text, width=width, height=36, color=color, link=link)

    for name, x in columns.items():
        drawing.text(x, 438, name, bold=True, color=name)
        drawing.arrow((x, 424), (x, 402))
        drawing.box(
            x, 384, f".{name}", width=82, height=36, color=name, code=True, link=layer
        )
        drawing.arrow((x, 366), (x, 330))
        stack(x, 310, "split", 72, name, f"{api}#minitfm.multihead.split_heads")
        drawing.arrow((x, 276), (x, 232))
    shape(438, "(batch, token,\nd_model)")
    shape(384, "(batch, token,\nh · d_k;\nvalue: h · d_v)")
    shape(303, "(batch, h,\ntoken, d_k;\nvalue: d_v)")
    stack(middle, 212, "scaled dot-product attention", 268, "plain", attention)
    shape(180, "in each\nof h heads")
    drawing.arrow((middle, 178), (middle, 148))
    drawing.text(middle + 10, 163, "(batch, h, token, d_v)", size=12, anchor="start")
    merge = f"{api}#minitfm.multihead.merge_heads"
    drawing.box(middle, 130, "concatenate", width=268, height=36, link=merge)
    shape(130, "(batch, token,\nh · d_v)")
    drawing.arrow((middle, 112), (middle, 90))
    drawing.box(middle, 72, ".output", width=82, height=36, code=True, link=layer)
    drawing.arrow((middle, 54), (middle, 32))
    drawing.text(middle, 18, "output", bold=True)
    shape(18, "(batch, token,\nd_model)")
    return drawing


def letters(
    panels: Sequence[tuple[str, Sequence[Sequence[Sequence[str]]]]],
    alt: str,
) -> Drawing:
    """Tables of labeled numbers, one panel below the other: every label is a token's
    letter and the place in its vector, and every token has its own tint.

    Args:
        panels: a title, and its tables side by side, rows of labels such as ``"A1"``.
        alt: says what is to be seen.
    """
    side, gap = 34, 26
    tints = dict(zip("ABCD", ("query", "key", "value", "additive")))
    heights = [60 + side * max(map(len, tables)) for _, tables in panels]
    drawing = Drawing(400, sum(heights), alt)
    top = 0
    for (title, tables), height in zip(panels, heights):
        drawing.text(4, top + 14, title, anchor="start", bold=True)
        x = 4.0
        for number, rows in enumerate(tables, 1):
            if len(tables) > 1:
                drawing.text(x, top + 36, f"head {number}", anchor="start")
            for i, row in enumerate(rows):
                for j, label in enumerate(row):
                    drawing.box(
                        x + side * (j + 0.5),
                        top + 48 + side * (i + 0.5),
                        label,
                        width=side,
                        height=side,
                        color=tints[label[0]],
                    )
            x += side * len(rows[0]) + gap
        top += height
    return drawing
