"""Drawings as one makes them on a whiteboard: boxes, arrows and words, as SVG.

A drawing stands in the page itself, so its words and lines follow the page's color, in
the dark too, and stay sharp at any size. Shapes are tinted with the colors of
`minitfm.study.plots`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from minitfm.study.plots import color as color_of

PHONE = 328  # pixels that a page leaves on a screen 360 pixels wide
SMALLEST = 9  # pixels, for the type there

Number = float | int
Point = tuple[Number, Number]


class Drawing:
    """A drawing of ``width`` × ``height`` pixels; x runs to the right, y downward.

    On a narrower screen it shrinks, and its type with it. At most 420 pixels wide is a
    good measure: then type of 13 pixels is still 10 on a phone.

    ``color`` is a name of ``plots.PALETTE``, or ``"plain"`` for the page's own.
    """

    def __init__(self, width: int, height: int, alt: str) -> None:
        """Begin an empty drawing.

        Args:
            width: in pixels.
            height: in pixels.
            alt: says in a sentence or two what it shows, for those who cannot see it.
        """
        if not alt.strip():
            raise ValueError("alt is empty; say in a sentence what the drawing shows")
        self.width, self.height, self.alt = width, height, alt
        self._parts: list[str] = []
        self._linked = False

    def text(
        self,
        x: Number,
        y: Number,
        text: str,
        *,
        size: Number = 13,
        anchor: str = "middle",
        color: str = "plain",
        bold: bool = False,
        code: bool = False,
    ) -> None:
        """Write lines of text, centered in height on y.

        Args:
            x: where a line begins, has its middle or ends, as ``anchor`` says.
            y: the middle of all lines.
            text: one line, or several with line breaks between them.
            size: of the type, in pixels.
            anchor: ``"start"``, ``"middle"`` or ``"end"``.
            color: of the words.
            bold: in bold type.
            code: in the type of code.

        Raises:
            ValueError: if it could not be read on a phone.
        """
        on_phone = size * min(1, PHONE / self.width)
        if on_phone < SMALLEST:
            raise ValueError(
                f"type of {size} pixels in a drawing {self.width} wide is only"
                f" {on_phone:.1f} on a phone; make it {SMALLEST} or more"
            )
        lines = text.split("\n")
        look = f' fill="{_stroke(color)}" font-size="{_n(size)}" text-anchor="{anchor}"'
        look += ' font-weight="600"' if bold else ""
        look += ' font-family="ui-monospace, monospace"' if code else ""
        first = y + 0.35 * size - 0.6 * size * (len(lines) - 1)
        for number, line in enumerate(lines):
            place = f'x="{_n(x)}" y="{_n(first + 1.2 * size * number)}"'
            self._parts.append(f"<text {place}{look}>{escape(line)}</text>")

    def box(
        self,
        x: Number,
        y: Number,
        text: str = "",
        *,
        width: Number = 100,
        height: Number = 34,
        color: str = "plain",
        size: Number = 13,
        code: bool = False,
        link: str = "",
        strong: bool = False,
    ) -> None:
        """A tinted box with its middle at (x, y), text inside, and perhaps a link; a
        strong one is filled.
        """
        corner = f'x="{_n(x - width / 2)}" y="{_n(y - height / 2)}"'
        measures = f'{corner} width="{_n(width)}" height="{_n(height)}"'
        measures += f' rx="{_n(min(6, height / 3))}"'
        if link:
            self._linked = True
            self._parts.append(f'<a href="{escape(link)}">')
        self._parts.append(f"<rect {measures} {_tint(color, strong)}/>")
        if text:
            self.text(x, y, text, size=size, code=code)
        if link:
            self._parts.append("</a>")

    def frame(
        self, x: Number, y: Number, width: Number, height: Number, color: str = "plain"
    ) -> None:
        """A dashed frame around a part of the drawing; (x, y) is its upper left
        corner.
        """
        measures = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(
            f'<rect {measures} rx="10" stroke="{_stroke(color)}" stroke-dasharray="5 4"'
            ' stroke-width="1.3"/>'
        )

    def circle(
        self,
        x: Number,
        y: Number,
        text: str = "",
        *,
        radius: Number = 12,
        color: str = "plain",
    ) -> None:
        """A tinted circle with a sign in it, such as + or ×."""
        place = f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"'
        self._parts.append(f"<circle {place} {_tint(color)}/>")
        if text:
            self.text(x, y, text, size=max(13, 1.2 * radius))

    def cells(
        self,
        x: Number,
        y: Number,
        shades: Sequence[Sequence[Number]],
        *,
        side: Number = 16,
        color: str = "key",
    ) -> None:
        """A table of squares, as a vector or a matrix is drawn; (x, y) is its upper
        left corner.

        Args:
            x: in pixels, the left edge.
            y: in pixels, the upper edge.
            shades: for every row and column, from 0 (empty) to 1 (full).
            side: of a square.
            color: of a full one.
        """
        code = _stroke(color)
        for row, line in enumerate(shades):
            for column, shade in enumerate(line):
                corner = f'x="{_n(x + column * side)}" y="{_n(y + row * side)}"'
                self._parts.append(
                    f'<rect {corner} width="{_n(side)}" height="{_n(side)}"'
                    f' fill="{code}" fill-opacity="{_n(shade)}" stroke="currentColor"'
                    ' stroke-opacity="0.45"/>'
                )

    def line(
        self,
        *points: Point,
        color: str = "plain",
        dashed: bool = False,
        width: Number = 1.4,
    ) -> None:
        """A line from point to point."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{path}" stroke="{_stroke(color)}"'
            f' stroke-width="{_n(width)}"{dashes}/>'
        )

    def arrow(
        self,
        *points: Point,
        color: str = "plain",
        dashed: bool = False,
        width: Number = 1.4,
    ) -> None:
        """A line from point to point with a head at the last one."""
        (x0, y0), (x, y) = points[-2:]
        length = math.hypot(x - x0, y - y0)
        along = ((x - x0) / length, (y - y0) / length)
        long, broad = 4 + 2.5 * width, 1.6 + 1.6 * width
        neck = (x - long * along[0], y - long * along[1])
        sides = [
            (neck[0] - s * broad * along[1], neck[1] + s * broad * along[0])
            for s in (1, -1)
        ]
        self.line(*points[:-1], neck, color=color, dashed=dashed, width=width)
        head = " ".join(f"{_n(px)},{_n(py)}" for px, py in ((x, y), *sides))
        self._parts.append(f'<polygon points="{head}" fill="{_stroke(color)}"/>')

    def svg(self) -> str:
        """The drawing as SVG; words and lines take the color of the page around it."""
        role = "group" if self._linked else "img"
        start = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="{role}"'
            f' aria-label="{escape(self.alt)}" viewBox="0 0 {self.width} {self.height}"'
            f' width="{self.width}" fill="none" font-family="inherit"'
            ' style="display: block; max-width: 100%; height: auto">'
        )
        return "\n".join([start, *self._parts, "</svg>"])

    def _repr_html_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"Drawing: {self.alt}"


def _n(number: Number) -> str:
    """A coordinate, the same on every machine."""
    return f"{round(number, 1):g}"


def _stroke(color: str) -> str:
    """A palette's color, a quarter of the way to the page's own: darker on a light
    page, lighter on a dark one.
    """
    if color in ("plain", "transformer"):  # black is the page's own color
        return "currentColor"
    return f"color-mix(in srgb, {color_of(color)} 75%, currentColor)"


def _tint(color: str, strong: bool = False) -> str:
    stroke = f'stroke="{_stroke(color)}" stroke-width="1.2"'
    strength = "0.9" if strong else "0.08" if color == "plain" else "0.22"
    return f'fill="{_stroke(color)}" fill-opacity="{strength}" {stroke}'


@dataclass(frozen=True)
class Part:
    """A box of the Transformer's drawing.

    Attributes:
        name: what the box says; its words link to ``to`` in the package.
        kind: which lesson's part it is, a key of ``LESSONS``.
        x: its middle.
        y: its middle.
        height: in pixels.
        color: its tint.
        to: the class that it stands for.
    """

    name: str
    kind: str
    x: Number
    y: Number
    height: Number
    color: str
    to: str


# The chapter of each kind of part, and its page.
LESSONS = {
    "embed": (3, "03_seq2seq"),
    "positions": (7, "07_positions"),
    "attention": (6, "06_multi_head"),
    "add_and_normalize": (8, "08_layers"),
    "feed_forward": (8, "08_layers"),
    "generator": (3, "03_seq2seq"),
}
ENCODER, DECODER = 97.0, 323.0  # the middles of the two towers
WIDE, TAB = 142, 22  # of a part, and of the number at its end


def _parts() -> list[Part]:
    """The boxes of the Transformer, each tower from the bottom up."""
    parts = []
    attention = "multihead.MultiHeadAttention"
    network = ("feed_forward", "feed_forward", "value", "layers.FeedForward")
    towers = {
        ENCODER: [("self_attention", "attention", "encoder", attention), network],
        DECODER: [
            ("self_attention\n(causal)", "attention", "encoder", attention),
            ("cross_attention", "attention", "decoder", attention),
            network,
        ],
    }
    for x, sublayers in towers.items():
        name = "source" if x == ENCODER else "target"
        words, whole = f"{name}_embedding\n× √d_model", "transformer.Transformer"
        parts.append(Part(words, "embed", x, 498, 40, "plain", whole))
        added = "positional.SinusoidalPositions"
        parts.append(Part("+ positions", "positions", x, 445, 30, "plain", added))
        for number, (words, kind, color, to) in enumerate(sublayers):
            y = 376.0 - 92 * number
            parts.append(Part(words, kind, x, y, 34, color, to))
            words, kind = f"residual_{number + 1} + norm", "add_and_normalize"
            to = "layers.Residual"
            parts.append(Part(words, kind, x, y - 38, 26, "plain", to))
    generator = "generator:\nembeddingᵀ"
    to = "transformer.Transformer"
    parts.append(Part(generator, "generator", DECODER, 81, 40, "plain", to))
    return parts


def architecture(api: str = "../book/api.html", chapters: str = "") -> Drawing:
    """The Transformer as a whole (after Figure 1 of the paper), with the names that the
    package uses.

    Args:
        api: address of the page that describes the package; the words of each part are
            linked to its class there. None is, if it is empty.
        chapters: address of the folder with the chapters' pages, such as
            "notebooks/"; the number at the end of each part is linked to its chapter.
    """
    drawing = Drawing(
        420,
        580,
        "The Transformer. Left, the encoder: source tokens are embedded, scaled and"
        " given positions, then pass N layers of self-attention and feed-forward"
        " network, each followed by add and normalize; the result is the memory."
        " Right, the decoder: the target so far passes N layers of causal"
        " self-attention, cross-attention, whose keys and values are the memory, and"
        " feed-forward network, each followed by add and normalize; the generator turns"
        " the result into logits. The number at the end of each box is its chapter's.",
    )
    for x, tokens in (
        (ENCODER, "source\n(batch, source)"),
        (DECODER, "target so far\n(batch, target)"),
    ):
        drawing.text(x, 556, tokens, size=12)
        drawing.arrow((x, 538), (x, 518))
        drawing.arrow((x, 478), (x, 460))
        drawing.arrow((x, 430), (x, 393))
    for part in _parts():
        link = f"{api}#minitfm.{part.to}" if api else ""
        number, page = LESSONS[part.kind]
        drawing.box(
            part.x - TAB / 2,
            part.y,
            part.name,
            width=WIDE - TAB,
            height=part.height,
            color=part.color,
            size=12,
            link=link,
        )
        drawing.box(
            part.x + (WIDE - TAB) / 2,
            part.y,
            str(number),
            width=TAB,
            height=part.height,
            color=part.color,
            size=12,
            link=f"{chapters}{page}.html" if api else "",
        )
    for x, side, layers in ((ENCODER, 16, 2), (DECODER, 404, 3)):
        edge = x + math.copysign(WIDE / 2, side - x)
        for number in range(layers):
            y = 376 - 92 * number
            drawing.arrow((x, y - 17), (x, y - 25))
            around = (x, y + 27), (side, y + 27), (side, y - 38), (edge, y - 38)
            drawing.arrow(*around, width=1.1)
            if number < layers - 1:
                drawing.arrow((x, y - 51), (x, y - 75))
    drawing.frame(8, 221, 172, 195, "encoder")
    drawing.text(8, 211, "N × encoder", size=12, anchor="start", color="encoder")
    above, below = 189, 284
    drawing.arrow(
        (ENCODER, 233), (ENCODER, above), (190, above), (190, below), (252, below)
    )
    drawing.text(ENCODER, 165, "memory\n(batch, source, d_model)", size=12)
    drawing.text(194, 264, "keys,\nvalues", size=12, anchor="start")
    drawing.frame(240, 129, 172, 287, "decoder")
    drawing.text(240, 119, "N × decoder", size=12, anchor="start", color="decoder")
    drawing.arrow((DECODER, 141), (DECODER, 101))
    drawing.arrow((DECODER, 61), (DECODER, 45))
    drawing.text(
        DECODER, 25, "logits of the next token\n(batch, target, vocabulary)", size=12
    )
    return drawing


def place(*kinds: str) -> Drawing:
    """A small map of ``architecture``, without words, in which parts are lit.

    Args:
        kinds: keys of ``LESSONS``, or "encoder" or "decoder" for a whole tower.

    Raises:
        ValueError: if there is no such part.
    """
    known = (*LESSONS, "encoder", "decoder")
    if unknown := set(kinds) - set(known):
        raise ValueError(f"no part {unknown.pop()!r}; there are: {', '.join(known)}")
    names = " and ".join(kind.replace("_", " ") for kind in kinds)
    scale = 0.32
    alt = f"A small map of the Transformer's boxes; lit are those of: {names}."
    drawing = Drawing(round(420 * scale), 168, alt)
    for part in _parts():
        tower = "encoder" if part.x == ENCODER else "decoder"
        inside = 140 < part.y < 420
        lit = part.kind in kinds or (tower in kinds and inside)
        drawing.box(
            part.x * scale,
            (part.y - 50) * scale,
            width=WIDE * scale,
            height=part.height * scale,
            color="decoder" if lit else "plain",
            strong=lit,
        )
    for x, y, height, color in ((8, 221, 195, "encoder"), (240, 129, 287, "decoder")):
        corner = (x * scale, (y - 50) * scale)
        drawing.frame(*corner, 172 * scale, height * scale, color)
    return drawing


def unrolled(read: Sequence[str], predicted: Sequence[str]) -> Drawing:
    """A recurrent network over time: one cell at every symbol, its state handed on to
    the next and up to a readout.

    Args:
        read: the symbols that go in, one a step; five fit well.
        predicted: the symbols to predict, one for each.
    """
    drawing = Drawing(
        420,
        220,
        f"The same cell at {len(read)} moments, in a row. Below each a symbol goes in:"
        f" {', '.join(read)}. An arrow with the state h runs from each cell to the"
        " next, from left to right, and another up to a readout, the same at each"
        f" moment. Above the readouts the symbols to predict come out:"
        f" {', '.join(predicted)}.",
    )
    pitch = 400 / len(read)
    for step, (below, above) in enumerate(zip(read, predicted)):
        x = pitch * (step + 0.5) + 14
        drawing.text(x, 14, above, code=True)
        drawing.arrow((x, 44), (x, 28))
        drawing.box(x, 60, "readout", width=62, height=30, size=13)
        drawing.arrow((x, 117), (x, 77))
        drawing.box(x, 134, "cell", width=42, color="RNN")
        drawing.arrow((x, 190), (x, 151))
        drawing.text(x + 6, 172, "W", anchor="start")
        drawing.text(x, 204, below, code=True)
        gap = x - pitch / 2  # between this cell and the one before
        drawing.arrow((gap - pitch / 2 + 21 if step else 2, 134), (x - 21, 134))
        drawing.text(gap, 119, f"h{'₀₁₂₃₄₅₆₇₈₉'[step]}")
        if step:
            drawing.text(gap, 148, "U")
    return drawing


def head_by_hand(
    words: Sequence[str],
    meanings: Sequence[Sequence[Number]],
    asker: int,
    query: Sequence[Number],
    scores: Sequence[Number],
    weights: Sequence[Number],
) -> Drawing:
    """How one token fetches another in a head of self-attention whose keys are place
    labels: token, key, query, scores, weights, values, from top to bottom.

    Args:
        words: the tokens; five fit.
        meanings: each token's numbers, then its one-hot place label.
        asker: the place of the token that asks.
        query: its query, as long as a label.
        scores: its scores, one for each token.
        weights: the softmax of the scores, once they are scaled.
    """
    count = len(words)
    found = max(range(count), key=lambda place: float(weights[place]))
    drawing = Drawing(
        420,
        318,
        f"The tokens {', '.join(words)}, each with numbers for its meaning and a row of"
        f" {count} cells, its place label, with one cell full. Below each its key, a"
        f" copy of the label. The query of {words[asker]}, token {asker + 1}, has the"
        f" cell of place {found + 1} full. Scores of the keys:"
        f" {', '.join(f'{float(score):.0f}' for score in scores)}. Weights:"
        f" {', '.join(f'{float(weight):.2f}' for weight in weights)}. The values are"
        f" the meanings; their average, which {words[asker]} fetches, is the meaning of"
        f" {words[found]}.",
    )
    pitch, side = 71, 11
    middles = [100 + pitch * place for place in range(count)]
    largest = max(float(number) for number in query)

    def label(x: Number, y: Number, shades: Sequence[Number], color: str) -> None:
        drawing.cells(x - side * count / 2, y, [shades], side=side, color=color)

    for y, name in [(12, "token"), (36, "meaning"), (58, "label"), (98, "key")]:
        drawing.text(2, y, name, anchor="start", color="key" if y == 98 else "plain")
    drawing.text(2, 146, "query", anchor="start", color="query")
    drawing.text(2, 184, "score", anchor="start")
    drawing.text(2, 210, "weight", anchor="start")
    drawing.text(2, 242, "value", anchor="start", color="value")
    drawing.text(2, 302, "fetched", anchor="start", color="value")
    for place, (x, word, numbers) in enumerate(zip(middles, words, meanings)):
        here = place == found
        said = " ".join(f"{float(number):.0f}" for number in numbers)
        one_hot = [float(place == other) for other in range(count)]
        drawing.text(x, 12, word, bold=place in (asker, found))
        drawing.box(x, 36, said, width=58, height=22, color="value")
        label(x, 52, one_hot, "key")
        drawing.arrow((x, 66), (x, 90), color="key")
        label(x, 92, one_hot, "key")
        drawing.line((middles[asker], 139), (x, 105), color="query", dashed=not here)
        drawing.text(x, 184, f"{float(scores[place]):.0f}", bold=here)
        drawing.text(x, 210, f"{float(weights[place]):.2f}", bold=here)
        drawing.box(x, 242, said, width=58, height=22, color="value")
        end = (middles[asker], 288)
        if here:
            drawing.arrow((x, 254), end, color="value", width=2.6)
        else:
            drawing.line((x, 254), end, color="value", dashed=True, width=0.8)
    shades = [float(number) / largest for number in query]
    label(middles[asker], 140, shades, "query")
    drawing.text(
        middles[asker] + side * count / 2 + 8,
        146,
        f"“place {found + 1}?”",
        anchor="start",
        color="query",
    )
    fetched = " ".join(f"{float(number):.0f}" for number in meanings[found])
    drawing.box(middles[asker], 302, fetched, width=58, height=24, color="value")
    return drawing


def lstm_cell(gates: int = 3) -> Drawing:
    """One step of the LSTM: the weighted sums, and the memory that passes above.

    Args:
        gates: how many are drawn: 1 for the forget gate alone, 2 with the input gate
            and the candidate, 3 for the whole cell.

    Raises:
        ValueError: if there is no such stage.
    """
    if gates not in (1, 2, 3):
        raise ValueError(f"gates={gates} is no stage of the drawing; choose 1, 2 or 3")
    alt = (
        "The LSTM cell. At the top a thick arrow runs from the old memory c on the"
        " left to the new memory on the right, like a conveyor belt. On it stands a"
        " multiplication by the forget gate f, a box below that x and h feed."
    )
    if gates >= 2:
        alt += (
            " Behind it the belt has an addition, into which goes a product of two"
            " more boxes, the input gate i and the candidate g."
        )
    if gates == 3:
        alt += (
            " On the right a branch goes down from the belt through tanh and a"
            " multiplication by the fourth box, the output gate o, and becomes the new"
            " h. Along the top stands: the derivative of c after by c before is f."
        )
    drawing = Drawing(420, 290, alt)
    parts = (
        (62, "forget gate\nf = σ(…)", "forget gate", 1),
        (146, "input gate\ni = σ(…)", "input gate", 2),
        (230, "candidate\ng = tanh(…)", "memory", 2),
        (314, "output gate\no = σ(…)", "output gate", 3),
    )
    fed = [part for part in parts if part[3] <= gates]
    for x, text, color, _ in fed:
        drawing.box(x, 180, text, width=78, height=44, color=color, size=12)
        drawing.arrow((x, 236), (x, 202))
    drawing.line((16, 236), (fed[-1][0], 236))
    signs = (
        (62, 36, "×", 1),
        (188, 36, "+", 2),
        (188, 104, "×", 2),
        (376, 120, "×", 3),
    )
    for x, y, sign, stage in signs:
        if stage <= gates:
            drawing.circle(x, y, sign, radius=13)
    belt = ((8, 49), (75, 175), (201, 412)) if gates >= 2 else ((8, 49), (75, 412))
    for start, stop in belt:
        drawing.arrow((start, 36), (stop, 36), color="memory", width=3)
    paths = (
        (1, ((62, 158), (62, 49))),
        (2, ((146, 158), (146, 104), (175, 104))),
        (2, ((230, 158), (230, 104), (201, 104))),
        (2, ((188, 91), (188, 49))),
        (3, ((376, 38), (376, 107))),
        (3, ((314, 158), (314, 120), (363, 120))),
        (3, ((376, 133), (376, 236), (412, 236))),
    )
    for stage, path in paths:
        if stage <= gates:
            drawing.arrow(*path)
    inside = "in each box: W x + b + U h, then σ (0 to 1) or tanh"
    if gates == 1:
        inside = "in the box: W x + b + U h, then σ (0 to 1)"
    words = (
        (1, 68, 96, "what to\nkeep", "start"),
        (2, 196, 70, "what to add", "start"),
        (3, 308, 120, "what to\nshow", "end"),
        (3, 370, 74, "tanh", "end"),
        (1, 8, 256, "x, and h before", "start"),
        (3, 412, 256, "h after", "end"),
        (1, 210, 278, inside, "middle"),
        (3, 214, 12, "∂c after / ∂c before = f", "middle"),
    )
    for stage, x, y, text, anchor in words:
        if stage <= gates:
            drawing.text(x, y, text, size=12, anchor=anchor)
    drawing.text(8, 12, "c before", anchor="start", color="memory")
    drawing.text(412, 12, "c after", anchor="end", color="memory")
    return drawing


def encoder_decoder(source: Sequence[str], target: Sequence[str]) -> Drawing:
    """Two recurrent networks with nothing but one vector between them.

    Args:
        source: what the encoder reads; five tokens fit well.
        target: what the decoder writes, up to its end; it reads the same after
            ``<bos>``.
    """
    drawing = Drawing(
        420,
        246,
        "Two rows of boxes. Above, the encoder: boxes labeled LSTM, joined by arrows"
        f" from left to right, read {', '.join(source)}. From the last one an arrow"
        " leads into one box, the vector, and from there down to the decoder, a second"
        f" row: it reads the start symbol and then {', '.join(target[:-1])}, and above"
        f" each of its boxes stands the next token, up to {target[-1]}.",
    )

    def row(
        y: Number, tokens: Sequence[str], first: Number, pitch: Number, color: str
    ) -> None:
        for step, token in enumerate(tokens):
            x = first + pitch * step
            drawing.box(x, y, "LSTM", width=46, height=30, color=color)
            drawing.arrow((x, y + 37), (x, y + 15))
            drawing.text(x, y + 48, token)
            if step:
                drawing.arrow((x - pitch + 23, y), (x - 23, y))

    drawing.text(11, 10, "encoder: reads the source", anchor="start", color="encoder")
    pitch = 310 / len(source)
    row(42, source, 34, pitch, "encoder")
    drawing.box(374, 42, "vector", width=72, height=30, color="fixed vector")
    drawing.arrow((57 + pitch * (len(source) - 1), 42), (338, 42))
    drawing.arrow((374, 57), (374, 116), (4, 116), (4, 184), (17, 184))
    drawing.text(14, 132, "decoder: writes the target", anchor="start", color="decoder")
    pitch = 400 / len(target)
    row(184, ["<bos>", *target[:-1]], 40, pitch, "decoder")
    for step, token in enumerate(target):
        x = 40 + pitch * step
        drawing.arrow((x, 169), (x, 160))
        drawing.text(x, 151, token)
    return drawing


def where_positions_enter() -> Drawing:
    """Added to the token before all three projections, or turning queries and keys
    behind theirs.
    """
    drawing = Drawing(
        420,
        300,
        "Two columns, from the bottom up. Left, added positions: the token and its row"
        " of sinusoids are added up, and the sum passes W_Q, W_K and W_V into"
        " attention. Right, rotary positions: the token passes W_Q, W_K and W_V; query"
        " and key are turned on the way into attention, the value is not.",
    )
    parts = (("W_Q", "query"), ("W_K", "key"), ("W_V", "value"))
    for middle, title in ((105, "added"), (315, "rotary")):
        turned = title == "rotary"
        drawing.text(middle, 14, title, bold=True)
        drawing.box(middle, 50, "attention", width=176, height=32)
        drawing.box(middle, 278, "token", width=80, height=32)
        split = 212
        if turned:
            drawing.line((middle, 262), (middle, split))
        else:
            drawing.arrow((middle, 262), (middle, 246))
            drawing.circle(middle, 234, "+")
            drawing.line((middle, 222), (middle, split))
            drawing.arrow((middle - 42, 234), (middle - 12, 234))
            drawing.text(middle - 46, 234, "position", size=12, anchor="end")
        drawing.line((middle - 62, split), (middle + 62, split))
        for number, (name, color) in enumerate(parts):
            x = middle + 62 * (number - 1)
            drawing.arrow((x, split), (x, 194))
            drawing.box(x, 178, name, width=50, height=30, color=color)
            if turned and name != "W_V":
                drawing.arrow((x, 163), (x, 133))
                drawing.circle(x, 120, "↻", color=color)
                drawing.arrow((x, 108), (x, 66))
            else:
                drawing.arrow((x, 163), (x, 66))
        if turned:
            drawing.text(middle - 31, 90, "by\nposition", size=12)
    return drawing
