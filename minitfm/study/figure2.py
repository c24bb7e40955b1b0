"""Figure 2 of the paper, drawn by us: what one head computes (left, chapter 4), and how
several work side by side (right, chapter 6).
"""

from collections.abc import Sequence

from minitfm.study.drawings import Drawing, Number

API = "../book/api.html"


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
        452,
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
        """One box for each head: the last in front, with the words."""
        for behind in (14, 7):
            drawing.box(x + behind, y - behind, width=width, height=36, color=color)
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
    shape(384, "(batch, token,\nh · d_k)")
    shape(303, "(batch, h,\ntoken, d_k)")
    stack(middle, 212, "scaled dot-product attention", 268, "plain", attention)
    shape(180, "in each\nof h heads")
    drawing.arrow((middle, 178), (middle, 148))
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
    """Tables of labelled numbers, one panel below the other: every label is a token's
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
