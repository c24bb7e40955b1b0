"""The course's figures, in one house style: safe for colour blindness, labelled,
without decoration.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, in an order that keeps neighbours apart in grey as well.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def use_style() -> None:
    """Set matplotlib to the house style; Japanese text is drawn where the notebook
    extra's font is installed.
    """
    import matplotlib.pyplot as plt
    from matplotlib import font_manager

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
    plt.rcParams.update(
        {
            "font.family": fonts,
            "font.size": 10,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#E5E5E5",
            "axes.axisbelow": True,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "image.cmap": "Blues",
            "figure.figsize": (6.4, 3.4),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",
        }
    )


def attention_map(
    weights: Float[Tensor, "query key"],
    queries: Sequence[str],
    keys: Sequence[str],
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw attention weights: a row for each query, a column for each key, darker for
    more.

    Args:
        weights: at least 0, every row summing to 1.
        queries: a label for each row.
        keys: a label for each column.
        title: of the picture.
        ax: where to draw; a new figure unless given.

    Raises:
        ValueError: if the labels do not fit the weights.
    """
    import matplotlib.pyplot as plt

    if tuple(weights.shape) != (len(queries), len(keys)):
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} need {weights.shape[0]} query and"
            f" {weights.shape[1]} key labels; given {len(queries)} and {len(keys)}"
        )
    if ax is None:
        _, ax = plt.subplots(
            figsize=(0.5 + 0.27 * len(keys), 0.8 + 0.27 * len(queries))
        )
    ax.imshow(weights.detach().cpu().numpy(), vmin=0, vmax=1, aspect="equal")
    ax.set_xticks(range(len(keys)), [visible(key) for key in keys])
    ax.set_yticks(range(len(queries)), [visible(query) for query in queries])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=9)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("key")
    ax.xaxis.set_label_position("top")
    ax.set_ylabel("query")
    if title:
        ax.set_title(title)
    return ax


def visible(token: str) -> str:
    """A label for a token; a space becomes an open box."""
    return "␣" if token == " " else token


def learning_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    ylabel: str,
    *,
    goal: float | None = None,
    log: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how something changes while a model learns.

    Args:
        curves: by name, the x and y values.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        goal: a level to mark with a dashed line.
        log: use a logarithmic y axis.
        ax: where to draw; a new figure unless given.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots()
    for name, (x, y) in curves.items():
        ax.plot(x, y, label=name, marker="o" if len(x) < 30 else "", markersize=4)
    if goal is not None:
        ax.axhline(goal, color="#595959", linestyle="--", linewidth=1)
    if log:
        ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if len(curves) > 1:
        ax.legend()
    return ax


def smooth(values: Sequence[float], window: int = 20) -> Float[np.ndarray, " n"]:
    """The mean of every ``window`` neighbours, to read a noisy curve; shorter by
    ``window - 1``.
    """
    return np.convolve(values, np.ones(window) / window, mode="valid")


def architecture() -> "Figure":
    """The Transformer as a whole (after Figure 1 of the paper), with the names that the
    package uses.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    fig, ax = plt.subplots(figsize=(7.2, 5.8))
    ax.set(xlim=(0, 10.6), ylim=(-0.2, 9.6))
    ax.axis("off")
    attention, network, norm, plain = "#CFE3F1", "#FBE3CF", "#F4F1C9", "#E8E8E8"

    def box(x: float, y: float, text: str, color: str, height: float = 0.62) -> None:
        ax.add_patch(
            FancyBboxPatch(
                (x - 1.35, y),
                2.7,
                height,
                "round,pad=0.02,rounding_size=0.1",
                fc=color,
                ec="#333333",
                lw=0.8,
            )
        )
        ax.text(
            x,
            y + height / 2,
            text,
            ha="center",
            va="center",
            fontsize=8.5,
            color="#111111",
        )

    def arrow(*points: tuple[float, float]) -> None:
        for start, stop in pairwise(points):
            style = "-|>" if stop == points[-1] else "-"
            line = {
                "arrowstyle": style,
                "color": "#333333",
                "lw": 1,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            ax.annotate("", stop, start, arrowprops=line)

    def sublayers(x: float, bottom: float, names: Sequence[tuple[str, str]]) -> float:
        """Sublayers upward from ``bottom``, each with the straight path beside it;
        returns where they end.
        """
        y = bottom
        for number, (name, color) in enumerate(names, 1):
            box(x, y, name, color)
            box(x, y + 0.82, f"residual_{number}: add, normalize", norm, 0.42)
            arrow((x, y - (0.58 if number == 1 else 0.32)), (x, y))
            arrow((x, y + 0.62), (x, y + 0.82))
            side = x - 1.75
            arrow(
                (x, y - 0.16), (side, y - 0.16), (side, y + 1.03), (x - 1.37, y + 1.03)
            )
            y += 1.56
        return y

    encoder, decoder = 2.6, 7.6
    for x, tokens, name in (
        (encoder, "source (batch, source)", "source"),
        (decoder, "target so far (batch, target)", "target"),
    ):
        ax.text(x, 0.0, tokens, ha="center", va="center", fontsize=8.5)
        box(x, 0.45, f"{name}_embedding · √d_model", plain)
        box(x, 1.35, "+ positions, dropout", plain)
        arrow((x, 0.17), (x, 0.45))
        arrow((x, 1.07), (x, 1.35))
    top_e = sublayers(
        encoder, 2.55, [("self_attention", attention), ("feed_forward", network)]
    )
    decoder_parts = [
        ("self_attention (causal)", attention),
        ("cross_attention", attention),
        ("feed_forward", network),
    ]
    top_d = sublayers(decoder, 2.55, decoder_parts)
    for x, top, name in ((encoder, top_e, "encoder"), (decoder, top_d, "decoder")):
        frame = FancyBboxPatch(
            (x - 1.95, 2.2),
            3.6,
            top - 2.45,
            "round,pad=0.02,rounding_size=0.15",
            fc="none",
            ec="#0072B2",
            lw=1.2,
            ls="--",
        )
        ax.add_patch(frame)
        ax.text(x + 1.72, 2.32, "N ×", fontsize=10, color="#0072B2", ha="left")
        ax.text(x + 1.72, 2.72, name, fontsize=8.5, color="#0072B2", ha="left")
    memory = top_e + 0.1
    arrow(
        (encoder, top_e - 0.32),
        (encoder, memory),
        (5.2, memory),
        (5.2, 4.42),
        (decoder - 1.37, 4.42),
    )
    ax.text(
        encoder,
        memory + 0.14,
        "memory (batch, source, d_model)",
        fontsize=8.5,
        ha="center",
    )
    ax.text(5.12, 4.42, "keys,\nvalues", fontsize=8, ha="right", va="bottom")
    box(decoder, top_d + 0.25, "generator: target_embeddingᵀ", plain)
    arrow((decoder, top_d - 0.32), (decoder, top_d + 0.25))
    arrow((decoder, top_d + 0.87), (decoder, top_d + 1.35))
    ax.text(
        decoder,
        top_d + 1.5,
        "logits of the next token (batch, target, vocabulary)",
        ha="center",
        fontsize=8.5,
    )
    return fig
