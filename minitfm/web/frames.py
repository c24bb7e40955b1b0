"""One figure out of many, chosen by the reader: with a kernel, and on a page without
one.
"""

import base64
import io
import math
from collections.abc import Callable, Sequence
from html import escape
from numbers import Real
from typing import TYPE_CHECKING, Any

import traitlets

from minitfm.web.pages import WITHOUT, bundle
from minitfm.web.widgets import PageWidget

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Frames(PageWidget):
    """A figure that the reader redraws: with a slider if the choices are numbers, with
    buttons if they are texts.

    ``Frames(draw, [0.5, 0.9, 1.1], label="spectral radius", describe=describe)`` draws
    all its figures at once, and so needs no kernel later. With ``typed=True`` the
    reader of a running notebook may also type an input of their own.

    Attributes:
        index: which of the choices is shown, counted from 0; it follows the reader, and
            setting it moves the view. It is -1 while the reader looks at a figure of
            their own.
    """

    _esm = bundle("frames.js")
    label = traitlets.Unicode().tag(sync=True)
    frames: traitlets.List = traitlets.List().tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    kind = traitlets.Enum(["numbers", "texts"]).tag(sync=True)
    typed = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        draw: "Callable[[Any], Figure]",
        choices: Sequence[Any],
        *,
        label: str,
        describe: Callable[[Any], str],
        start: Any = None,
        typed: bool = False,
    ) -> None:
        """Draw a figure for each choice.

        Args:
            draw: makes the matplotlib figure of one choice; the figure is closed
                afterwards. What the reader typed and it cannot draw, it refuses with a
                ``ValueError`` whose text is a sentence for the reader.
            choices: what the reader may choose from, all numbers (in rising order) or
                all texts.
            label: what is chosen, such as ``"spectral radius"``.
            describe: says in a sentence what the figure of one choice shows, for those
                who cannot see it.
            start: the choice that is shown first; the first of them unless given.
            typed: a running notebook also has a field to type another text in.

        Raises:
            ValueError: if there is nothing to choose from, the choices are of both
                kinds or in no order, ``start`` is not among them, they are numbers and
                ``typed``, or a figure has no description.
            TypeError: if ``draw`` returns something else than a figure.
        """
        kind = _kind(choices)
        if start is not None and start not in choices:
            raise ValueError(
                f"start={start!r} is not among the choices:"
                f" {', '.join(map(repr, choices))}"
            )
        if typed and kind == "numbers":
            raise ValueError(
                "typed=True needs choices that are texts; these are numbers, and have a"
                " slider"
            )
        self._draw, self._describe = draw, describe
        super().__init__(
            label=label,
            frames=[self._frame(choice) for choice in choices],
            index=0 if start is None else list(choices).index(start),
            kind=kind,
            typed=typed,
        )
        self.on_msg(self._answer)

    def _frame(self, choice: Any) -> dict[str, Any]:
        picture = _picture(self._draw, choice)
        alt = self._describe(choice).strip()
        if not alt:
            raise ValueError(
                f"describe({choice!r}) is empty; say in a sentence what the figure"
                " shows"
            )
        return {
            "name": choice if isinstance(choice, str) else f"{choice:g}",
            "alt": alt,
        } | picture

    def _answer(self, _: Any, message: Any, __: Any) -> None:
        """Draw what the reader typed; an input that cannot be drawn gets a sentence."""
        text = message["text"]
        try:
            answer = self._frame(text)
        except ValueError as error:
            answer = {"name": text, "error": str(error)}
        except Exception as error:  # without an answer, the reader would wait for ever
            answer = {"name": text, "error": f"{type(error).__name__}: {error}"}
        self.send(answer)

    def html(self) -> str:
        """The same for a page: an element with its figures inside, all but one
        hidden.
        """
        images = "".join(
            f'<img alt="{escape(frame["alt"])}" data-name="{escape(frame["name"])}"'
            f' src="{frame["src"]}" '
            f'width="{frame["width"]}"'
            f' height="{frame["height"]}"'
            f"{'' if i == max(self.index, 0) else ' hidden'}>"
            for i, frame in enumerate(self.frames)
        )
        typed = " typed" if self.typed else ""
        return (
            f'<minitfm-frames label="{escape(self.label)}" kind="{self.kind}"{typed}>'
            f"{images}<p>{WITHOUT}</p></minitfm-frames>"
        )

    def __repr__(self) -> str:
        return (
            f"Frames({self.label}: {', '.join(frame['name'] for frame in self.frames)})"
        )


def _kind(choices: Sequence[Any]) -> str:
    if not len(choices):
        raise ValueError("there is nothing to choose from; give at least one choice")
    if all(isinstance(choice, str) for choice in choices):
        return "texts"
    if not all(
        isinstance(choice, Real) and math.isfinite(choice) for choice in choices
    ):
        raise ValueError(
            "the choices are neither all numbers nor all texts; give numbers for a"
            " slider, or texts"
        )
    if list(choices) != sorted(choices):
        raise ValueError(
            "the choices are not in rising order, as those of a slider have to be; sort"
            " them"
        )
    return "numbers"


def _picture(draw: Callable[[Any], "Figure"], choice: Any) -> dict[str, Any]:
    """The drawn figure as a PNG, in an address of its own; no figure stays open, even
    where drawing fails.
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
    from PIL import Image

    open_before = set(plt.get_fignums())
    png = io.BytesIO()
    try:
        figure = draw(choice)
        if not isinstance(figure, Figure):
            raise TypeError(
                f"draw({choice!r}) returned {type(figure).__name__}, not a matplotlib"
                " figure; end it with `return figure`"
            )
        width, height = map(round, figure.get_size_inches() * figure.dpi)
        fine = 2 * figure.dpi  # sharp on screens of double density
        figure.savefig(png, format="png", dpi=fine, facecolor="white")
        plt.close(figure)
    finally:
        for number in set(plt.get_fignums()) - open_before:
            plt.close(number)
    # A palette makes the file a third as large; no color moves by more than the eye
    # forgives.
    image = (
        Image.open(png)
        .convert("RGB")
        .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    small = io.BytesIO()
    image.save(small, format="png", optimize=True)
    address = "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
    return {"src": address, "width": width, "height": height}
