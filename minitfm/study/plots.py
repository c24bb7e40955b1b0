"""The course's figures, in one house style.

A figure is `WIDTH` inches wide, 420 pixels on a page, and what belongs together stands
one panel above the other: on a phone, 328 pixels of it are left, and the smallest type
(`SMALLEST` points) is still 9 pixels high. One thing has one color in all chapters
(`color`), a map runs from white to blue, and drawings are SVG
(`minitfm.study.drawings`).
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from minitfm.study.extras import brought_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.2  # inches, at DPI pixels each on a page
DPI = 100
SMALLEST = 9  # points

# Okabe and Ito's colors, for lines that have no name of their own.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# One thing, one color. Names in one row may stand in one figure and differ for every
# reader; names in different rows may share a color.
_ROWS = (
    {  # models
        "RNN": "#6A520C",
        "LSTM": "#0072B2",
        "GRU": "#12A168",
        "fixed vector": "#8C8C8C",
        "additive": "#AC3982",
        "dot": "#D55E00",
        "transformer": "#000000",
    },
    {"trained": "#0072B2", "untrained": "#8C8C8C"},
    {"training data": "#8C8C8C", "held-out": "#D55E00"},
    {"loss": "#0072B2", "gradient": "#AC3982", "learning rate": "#6A520C"},
    {"encoder": "#0072B2", "decoder": "#D55E00"},
    {"source": "#0072B2", "target": "#D55E00"},
    {"query": "#D55E00", "key": "#0072B2", "value": "#12A168"},
    {
        "input gate": "#12A168",
        "forget gate": "#D55E00",
        "output gate": "#AC3982",
        "memory": "#0072B2",
    },
    {"baseline": "#595959"},
)
PALETTE = {name: code for row in _ROWS for name, code in row.items()}


def color(name: str) -> str:
    """The color that a thing has in every figure, as ``#RRGGBB``; capital letters do
    not matter.

    Raises:
        ValueError: if the palette has no such name; the message lists those it has.
    """
    names = {known.lower(): code for known, code in PALETTE.items()}
    if name.lower() not in names:
        raise ValueError(
            f"no color is kept for {name!r}; there are: {', '.join(PALETTE)}"
        )
    return names[name.lower()]


def use_style() -> None:
    """Set matplotlib to the house style. A notebook stores its figures twice as fine
    as a page shows them; Japanese text is drawn where the notebook extra's font is
    installed.
    """
    with brought_by("notebook"):
        import matplotlib as mpl
        import matplotlib.pyplot as plt
        from matplotlib import font_manager
        from matplotlib.colors import LinearSegmentedColormap

    fonts = ["DejaVu Sans"]
    try:  # the font file alone: its package would change matplotlib's settings
        package = distribution("matplotlib-fontja")
        font = next(
            Path(str(f.locate())) for f in package.files or [] if f.name == "ipaexg.ttf"
        )
        font_manager.fontManager.addfont(font)
        fonts.append(font_manager.FontProperties(fname=font).get_name())
    except (PackageNotFoundError, StopIteration):
        pass
    maps = {
        "white to blue": ["#FFFFFF", "#9CCBE8", "#0072B2", "#00395C"],
        "signed": ["#7A3300", "#D55E00", "#FFFFFF", "#0072B2", "#00395C"],
    }
    for name, colors in maps.items():
        if name not in mpl.colormaps:
            made = LinearSegmentedColormap.from_list(name, colors)
            mpl.colormaps.register(made)
    plt.rcParams.update(
        {
            "font.family": fonts,
            "font.size": 11,
            "axes.labelsize": 11,
            "axes.titlesize": 11,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#E5E5E5",
            "axes.axisbelow": True,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 4,
            "image.cmap": "white to blue",
            "figure.figsize": (WIDTH, 2.8),
            "figure.dpi": DPI,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",
        }
    )
    _store_figures_twice_as_fine()


def _store_figures_twice_as_fine() -> None:
    """In a notebook: double resolution, at the width that was asked for."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina", bbox_inches=None)


def panels(
    number: int = 1,
    *,
    height: float | int | Sequence[float | int] = 2.4,
    share_x: bool = False,
    share_y: bool = False,
) -> "list[Axes]":
    """Axes one below the other, in one figure of the house's width.

    Args:
        number: of panels.
        height: of each panel, or one for each, in inches.
        share_x: one x axis for all, labeled at the lowest panel.
        share_y: the same range of y in all.
    """
    import matplotlib.pyplot as plt

    heights = [height] * number if isinstance(height, (int, float)) else list(height)
    _, axes = plt.subplots(
        number,
        1,
        figsize=(WIDTH, sum(heights)),
        height_ratios=heights,
        sharex=share_x,
        sharey=share_y,
        squeeze=False,
    )
    return list(axes[:, 0])


def heat_map(
    values: Float[Tensor, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    low: float | int = 0,
    high: float | int = 1,
    scale: bool = True,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a table of numbers as squares: from white at ``low`` to blue at ``high``,
    or, where ``low`` is negative, from orange over white at 0 to blue.

    Args:
        values: missing ones (NaN) stay empty.
        rows: a label for each row.
        columns: a label for each column; those longer than a letter stand upright.
        xlabel: what the columns are; it stands above them.
        ylabel: what the rows are.
        title: of the picture.
        low: the value at the light (or orange) end of the scale.
        high: the value at its dark end.
        scale: draw the scale beside the picture.
        ax: where to draw; a new figure unless given.

    Raises:
        ValueError: if the labels do not fit the values.
    """
    import matplotlib.pyplot as plt

    if tuple(values.shape) != (len(rows), len(columns)):
        raise ValueError(
            f"values of shape {tuple(values.shape)} need {values.shape[0]} row and"
            f" {values.shape[1]} column labels; given {len(rows)} and {len(columns)}"
        )
    rows, columns = [visible(row) for row in rows], [visible(c) for c in columns]
    letter = 0.09  # inches, about, at the smallest size
    left = 0.35 + letter * max(map(len, rows), default=0)
    widest = max(map(len, columns), default=0)
    upright = widest > 2
    if ax is None:
        right = 0.55 if scale else 0.1
        side = min(0.32, (WIDTH - left - right) / len(columns))
        top = 0.5 + (letter * widest if upright else 0.1) + 0.25 * bool(title)
        width = min(WIDTH, max(2.4, left + right + side * len(columns)))
        height = side * len(rows)
        if letter * len(ylabel) > height:
            ylabel = ylabel.replace(": ", ":\n")
        long = letter * max(map(len, ylabel.split("\n")))
        _, ax = plt.subplots(figsize=(width, max(top + height, long + 0.4)))
    cmap = "white to blue" if low >= 0 else "signed"
    image = ax.imshow(
        values.detach().cpu().numpy(), vmin=low, vmax=high, aspect="equal", cmap=cmap
    )
    ax.set_xticks(range(len(columns)), columns, rotation=90 if upright else 0)
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=SMALLEST)
    ax.grid(visible=False)
    ax.spines[:].set(visible=True, color="#BFBFBF", linewidth=0.8)
    ax.set_xlabel(xlabel)
    ax.xaxis.set_label_position("top")
    ax.set_ylabel(ylabel)
    if scale:
        bar = ax.inset_axes((1.02, 0.0, 0.03, 1.0))
        bar.set_in_layout(True)
        ax.figure.colorbar(image, cax=bar, ticks=sorted({low, 0, high}))
        bar.tick_params(length=0, labelsize=SMALLEST)
        bar.spines[:].set_visible(False)
    if title:
        ax.set_title(title)
    return ax


def attention_map(
    weights: Float[Tensor, "query key"],
    queries: Sequence[str],
    keys: Sequence[str],
    title: str = "",
    ax: "Axes | None" = None,
    *,
    query: str = "query",
    key: str = "key",
    scale: bool = True,
) -> "Axes":
    """Draw attention weights: a row for each query, a column for each key, darker for
    more. The axes say which is which.

    Args:
        weights: at least 0, every row summing to 1.
        queries: a label for each row.
        keys: a label for each column.
        title: of the picture.
        ax: where to draw; a new figure unless given.
        query: who asks, if more is to be said: ``"query: written so far"``.
        key: who is asked.
        scale: draw the scale, from 0 to 1.

    Raises:
        ValueError: if the labels do not fit the weights.
    """
    if tuple(weights.shape) != (len(queries), len(keys)):
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} need {weights.shape[0]} query and"
            f" {weights.shape[1]} key labels; given {len(queries)} and {len(keys)}"
        )
    return heat_map(
        weights,
        queries,
        keys,
        xlabel=key,
        ylabel=query,
        title=title,
        scale=scale,
        ax=ax,
    )


def visible(token: str) -> str:
    """A label for a token; a space becomes an open box."""
    return "␣" if token == " " else token


def learning_curves(
    curves: Mapping[str, tuple[Sequence[float | int], Sequence[float | int]]],
    xlabel: str,
    ylabel: str,
    *,
    goal: float | None = None,
    goal_label: str = "",
    log: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how something changes while a model learns.

    Args:
        curves: by name, the x and y values; a name of the palette brings its color.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        goal: a level to mark with a dashed line.
        goal_label: what the level is; it stands at the line.
        log: use a logarithmic y axis.
        ax: where to draw; a new figure unless given.
    """
    ax = ax or panels()[0]
    for name, (x, y) in curves.items():
        marker = "o" if len(x) < 30 else ""
        ax.plot(x, y, label=name, marker=marker, color=_color_or_next(name, ax))
    if goal is not None:
        level(ax, goal, goal_label)
    if log:
        ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if len(curves) > 1:
        ax.legend()
    return ax


def level(ax: "Axes", y: float, label: str = "") -> None:
    """Mark a level with a dashed line, and say at its right end what it is."""
    ax.axhline(y, color=color("baseline"), linestyle="--", linewidth=1)
    if label:
        ax.annotate(
            label,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=SMALLEST,
            color=color("baseline"),
            bbox={"facecolor": "white", "alpha": 0.7, "pad": 0.5, "linewidth": 0},
        )


def seed_curves(
    curves: Mapping[str, Sequence[tuple[Sequence[float | int], Sequence[float | int]]]],
    xlabel: str,
    ylabel: str,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a thin line for every seed and, where the seeds of a name share their x
    values, a thick one for their mean.

    Args:
        curves: by name, a pair of x and y values for each seed.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        ax: where to draw; a new figure unless given.
    """
    ax = ax or panels()[0]
    for name, seeds in curves.items():
        code = _color_or_next(name, ax)
        for x, y in seeds:
            ax.plot(x, y, color=code, linewidth=0.8, alpha=0.6)
        x = seeds[0][0]
        if all(list(other) == list(x) for other, _ in seeds):
            ax.plot(x, np.mean([y for _, y in seeds], axis=0), color=code, label=name)
        else:
            ax.plot([], [], color=code, label=name)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend()
    return ax


def seed_points(
    values: Mapping[str, Sequence[float | int]],
    xlabel: str,
    *,
    title: str = "",
    middle: Callable[[Sequence[float | int]], float] = mean,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a row for every name: a point for each seed, and a bar at their middle.

    Args:
        values: by name, one for each seed; a name of the palette brings its color.
        xlabel: what the values are, with their unit.
        title: of the panel.
        middle: the mean of a row's values, or their median.
        ax: where to draw; a new figure unless given.
    """
    ax = ax or panels(height=0.7 + 0.32 * len(values))[0]
    for row, (name, found) in enumerate(values.items()):
        code = _color_or_next(name, ax)
        ax.plot(found, [row] * len(found), "o", color=code, alpha=0.6, markersize=5)
        ax.plot(
            [middle(found)], [row], "|", color=code, markersize=15, markeredgewidth=2
        )
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(xlabel)
    if title:
        ax.set_title(title)
    return ax


def histogram(
    values: Mapping[str, Sequence[float | int] | Float[Tensor, " n"]],
    xlabel: str,
    *,
    bins: int | Sequence[float | int] = 30,
    ylabel: str = "share (%)",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how values are spread: what share of them falls into each bin.

    Args:
        values: by name; a name of the palette brings its color.
        xlabel: what the values are, with their unit.
        bins: how many, from the least value to the greatest of all names, or their
            edges.
        ylabel: what is counted.
        ax: where to draw; a new figure unless given.
    """
    ax = ax or panels()[0]
    arrays = {name: np.asarray(found).ravel() for name, found in values.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
    for name, found in arrays.items():
        code = _color_or_next(name, ax)
        shares = 100 * np.histogram(found, edges)[0] / len(found)
        ax.stairs(shares, edges, fill=True, color=code, alpha=0.25)
        ax.stairs(shares, edges, color=code, label=name, linewidth=1.5)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if len(values) > 1:
        ax.legend()
    return ax


def bars(
    labels: Sequence[str],
    values: Sequence[float | int] | Float[Tensor, " n"],
    ylabel: str,
    *,
    xlabel: str = "",
    title: str = "",
    name: str = "trained",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a bar for every token.

    Args:
        labels: of the bars; a space becomes an open box.
        values: their heights.
        ylabel: what the values are, with their unit.
        xlabel: what the labels are.
        title: of the panel.
        name: of the palette, for the bars' color.
        ax: where to draw; a new figure unless given.
    """
    ax = ax or panels(height=2.1)[0]
    ax.bar(range(len(labels)), np.asarray(values), color=color(name))
    ax.set_xticks(range(len(labels)), [visible(label) for label in labels])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if title:
        ax.set_title(title)
    return ax


def _color_or_next(name: str, ax: "Axes") -> str:
    """The palette's color for a name, or else the next one of the cycle."""
    if name.lower() in {known.lower() for known in PALETTE}:
        return color(name)
    (line,) = ax.plot([], [])
    code = line.get_color()
    line.remove()
    return str(code)


def smooth(values: Sequence[float | int], window: int = 20) -> Float[np.ndarray, " n"]:
    """The mean of every ``window`` neighbors, to read a noisy curve; shorter by
    ``window - 1``.
    """
    return np.convolve(values, np.ones(window) / window, mode="valid")
