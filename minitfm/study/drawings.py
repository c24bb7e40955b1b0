"""Drawings as one makes them on a whiteboard: boxes, arrows and words, as SVG.

A drawing stands in the page itself, so its words and lines follow the page's color, in
the dark too, and stay sharp at any size. Shapes are tinted with the colors of
`minitfm.study.plots`.
"""

import math
from collections.abc import Sequence
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
    ) -> None:
        """A tinted box with its middle at (x, y), text inside, and perhaps a link."""
        corner = f'x="{_n(x - width / 2)}" y="{_n(y - height / 2)}"'
        measures = f'{corner} width="{_n(width)}" height="{_n(height)}" rx="6"'
        if link:
            self._linked = True
            self._parts.append(f'<a href="{escape(link)}">')
        self._parts.append(f"<rect {measures} {_tint(color)}/>")
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


def _tint(color: str) -> str:
    stroke = f'stroke="{_stroke(color)}" stroke-width="1.2"'
    strength = "0.08" if color == "plain" else "0.22"
    return f'fill="{_stroke(color)}" fill-opacity="{strength}" {stroke}'


def architecture(api: str = "") -> Drawing:
    """The Transformer as a whole (after Figure 1 of the paper), with the names that the
    package uses.

    Args:
        api: address of the page that describes the package; each part is linked to its
            class there.
    """
    drawing = Drawing(
        420,
        568,
        "The Transformer. Left, the encoder: source tokens are embedded, scaled and"
        " given positions, then pass N layers of self-attention and feed-forward"
        " network, each followed by add and normalize; the result is the memory."
        " Right, the decoder: the target so far passes N layers of causal"
        " self-attention, cross-attention, whose keys and values are the memory, and"
        " feed-forward network, each followed by add and normalize; the generator turns"
        " the result into logits.",
    )

    def link(name: str) -> str:
        return f"{api}#minitfm.{name}" if api else ""

    def box(
        x: Number, y: Number, text: str, height: Number, color: str, to: str
    ) -> None:
        drawing.box(
            x, y, text, width=142, height=height, color=color, size=12, link=link(to)
        )

    def sublayers(
        x: Number, side: Number, parts: Sequence[tuple[str, str, str]]
    ) -> float:
        """Sublayers upward, each with the straight path beside it; returns the top."""
        y = 376.0
        drawing.arrow((x, 430), (x, y + 16))
        for number, (name, color, to) in enumerate(parts, 1):
            box(x, y, name, 32, color, to)
            box(
                x,
                y - 38,
                f"residual_{number}: add, norm",
                26,
                "plain",
                "layers.Residual",
            )
            drawing.arrow((x, y - 16), (x, y - 25))
            edge = x + (71 if side > x else -71)
            around = (x, y + 27), (side, y + 27), (side, y - 38), (edge, y - 38)
            drawing.arrow(*around, width=1.1)
            y -= 92
            if number < len(parts):
                drawing.arrow((x, y + 92 - 51), (x, y + 16))
        return y + 92 - 51

    attention = "multihead.MultiHeadAttention"
    network = ("feed_forward", "value", "layers.FeedForward")
    encoder, decoder = 97.0, 323.0
    for x, name, tokens in (
        (encoder, "source", "source\n(batch, source)"),
        (decoder, "target", "target so far\n(batch, target)"),
    ):
        drawing.text(x, 546, tokens, size=12)
        drawing.arrow((x, 528), (x, 518))
        embedding = f"{name}_embedding\n× √d_model"
        box(x, 498, embedding, 40, "plain", "transformer.Transformer")
        drawing.arrow((x, 478), (x, 460))
        box(
            x,
            445,
            "+ positions, dropout",
            30,
            "plain",
            "positional.SinusoidalPositions",
        )
    top = sublayers(encoder, 16, [("self_attention", "encoder", attention), network])
    drawing.frame(8, top - 12, 172, 416 - top + 12, "encoder")
    drawing.text(8, top - 22, "N × encoder", size=12, anchor="start", color="encoder")
    memory = top - 44
    arrow_to = 376 - 92
    drawing.arrow(
        (encoder, top),
        (encoder, memory),
        (192, memory),
        (192, arrow_to),
        (252, arrow_to),
    )
    drawing.text(encoder, memory - 24, "memory\n(batch, source, d_model)", size=12)
    drawing.text(196, arrow_to - 20, "keys,\nvalues", size=12, anchor="start")
    parts = [
        ("self_attention, causal", "encoder", attention),
        ("cross_attention", "decoder", attention),
        network,
    ]
    top = sublayers(decoder, 404, parts)
    drawing.frame(240, top - 12, 172, 416 - top + 12, "decoder")
    drawing.text(240, top - 22, "N × decoder", size=12, anchor="start", color="decoder")
    drawing.arrow((decoder, top), (decoder, top - 40))
    generator = "generator:\ntarget_embeddingᵀ"
    box(decoder, top - 60, generator, 40, "plain", "transformer.Transformer")
    drawing.arrow((decoder, top - 80), (decoder, top - 96))
    drawing.text(
        decoder,
        top - 116,
        "logits of the next token\n(batch, target, vocabulary)",
        size=12,
    )
    return drawing
