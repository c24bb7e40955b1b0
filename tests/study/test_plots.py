"""The house style of the figures: sizes that a phone can show, one color for one thing, labels."""

import itertools
from statistics import median

import matplotlib as mpl
import numpy as np
import pytest
import torch

from minitfm.study import plots

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _clean_figures():
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")


# ---- Colors


def linear(code: str) -> np.ndarray:
    """The color's light, in linear RGB."""
    s = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def luminance(code: str) -> float:
    return float(linear(code) @ [0.2126, 0.7152, 0.0722])


# What remains of linear RGB without red- or green-sensitive cones (Machado et al. 2009, severity 1).
SIGHT = {
    "common": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def seen(code: str, sight: str) -> np.ndarray:
    """The color in CIELAB, whose distances are those of perception: below 2 nobody sees them."""
    rgb = np.clip(SIGHT[sight] @ linear(code), 0, 1)
    to_xyz = np.array(
        [
            [0.4124, 0.3576, 0.1805],
            [0.2126, 0.7152, 0.0722],
            [0.0193, 0.1192, 0.9505],
        ]
    )
    xyz = to_xyz @ rgb / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_things_that_share_a_figure_differ_for_every_reader(sight):
    for row in plots._ROWS:
        for (one, a), (other, b) in itertools.combinations(row.items(), 2):
            distance = np.linalg.norm(seen(a, sight) - seen(b, sight))
            assert distance > 14, f"{one} and {other}: {distance:.0f}"


@pytest.mark.parametrize(("name", "code"), plots.PALETTE.items())
def test_lines_stand_out_from_white(name, code):
    assert 1.05 / (luminance(code) + 0.05) > 3, f"{name} is too pale"


def test_a_name_has_one_color_however_it_is_written():
    assert plots.color("lstm") == plots.color("LSTM") == plots.PALETTE["LSTM"]
    assert sum(map(len, plots._ROWS)) == len(plots.PALETTE), "a name stands in two rows"


def test_an_unknown_name_is_told_those_there_are():
    with pytest.raises(ValueError, match=r"for 'LTSM'; there are: RNN, LSTM"):
        plots.color("LTSM")


def test_lines_without_a_name_take_the_cycle_in_order():
    assert len(set(plots.COLORS)) == len(plots.COLORS)
    ax = plots.learning_curves(
        {"one": ([1], [2]), "GRU": ([1], [2]), "two": ([1], [2])}, "x", "y"
    )
    drawn = [line.get_color() for line in ax.lines]
    assert drawn == [plots.COLORS[0], plots.color("GRU"), plots.COLORS[1]]


def test_maps_run_from_white_to_blue_and_signed_ones_are_white_at_zero():
    ax = plots.heat_map(torch.zeros(2, 2), "ab", "cd")
    assert ax.images[0].cmap(0.0)[:3] == (1, 1, 1)
    red, _, blue, _ = ax.images[0].cmap(1.0)
    assert blue > 2 * red
    signed = plots.heat_map(torch.zeros(2, 2), "ab", "cd", low=-1).images[0]
    middle = signed.cmap(signed.norm(0.0))[:3]
    assert np.allclose(middle, 1, atol=0.02)


# ---- Sizes

PHONE = 328  # pixels that a page leaves for a figure on a screen of 360; tests/test_site.py measures them


def type_on_a_phone(figure) -> dict[str, float]:
    """Every text of a figure, and its type's size in pixels where the screen is 360 wide."""
    figure.canvas.draw()
    natural = figure.get_figwidth() * plots.DPI
    shrink = min(1, PHONE / natural)
    return {
        text.get_text(): text.get_fontsize() / 72 * plots.DPI * shrink
        for text in figure.findobj(mpl.text.Text)
        if text.get_text() and text.get_visible()
    }


def curves():
    return plots.learning_curves(
        {"LSTM": ([1, 2], [3, 4]), "GRU": ([1, 2], [3, 4])},
        "step",
        "loss (nats)",
        goal=3.5,
        goal_label="a guess",
    )


FIGURES = {
    "curves": curves,
    "attention map": lambda: plots.attention_map(
        torch.rand(14, 28).softmax(-1),
        "2001年10月2日火曜日"[:14].ljust(14, "x"),
        "x" * 28,
    ),
    "small map": lambda: plots.attention_map(torch.eye(2), "ab", "cd", "a title"),
    "long labels": lambda: plots.attention_map(
        torch.eye(3), ["Tuesday", "March", "<eos>"], ["Tuesday", "March", "<eos>"]
    ),
    "long names": lambda: plots.attention_map(
        torch.eye(4), "abcd", "abcd", query="query: the character that is written"
    ),
    "signed map": lambda: plots.heat_map(torch.eye(3), "abc", "def", low=-1),
    "histogram": lambda: plots.histogram(
        {"trained": [1.0, 2.0], "untrained": [3.0]}, "gradient norm"
    ),
    "seed points": lambda: plots.seed_points({"LSTM": [1.0, 2.0]}, "right (%)"),
    "seed curves": lambda: plots.seed_curves(
        {"LSTM": [([1, 2], [1, 2])]}, "step", "loss"
    ),
    "bars": lambda: plots.bars("ab c", [1, 2, 3, 4], "surprise (nats)"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_type_is_9_pixels_and_more_on_a_phone(name):
    figure = FIGURES[name]().figure
    assert figure.get_figwidth() <= plots.WIDTH
    sizes = type_on_a_phone(figure)
    assert sizes
    assert min(sizes.values()) >= 9, sizes


def test_type_that_is_too_small_would_be_found():
    ax = curves()
    ax.set_title("small print", fontsize=7)
    assert min(type_on_a_phone(ax.figure).values()) < 9


@pytest.mark.parametrize("name", FIGURES)
def test_everything_stands_inside_its_figure(name):
    figure = FIGURES[name]().figure
    figure.canvas.draw()
    drawn = figure.get_tightbbox()  # of all that is visible, in inches
    width, height = figure.get_size_inches()
    assert drawn.x0 > -0.03
    assert drawn.y0 > -0.03
    assert drawn.x1 < width + 0.03
    assert drawn.y1 < height + 0.03


def test_panels_stand_one_above_the_other():
    upper, lower = plots.panels(2, height=(2, 1), share_x=True)
    upper.figure.canvas.draw()
    assert upper.figure.get_size_inches().tolist() == [plots.WIDTH, 3]
    assert upper.get_position().y0 > lower.get_position().y1
    assert not [label for label in upper.get_xticklabels() if label.get_visible()]


def test_a_notebook_stores_figures_twice_as_fine_and_a_page_shows_them_at_their_width(
    tmp_path,
):
    from nbclient import NotebookClient
    from nbformat import v4

    code = """%matplotlib inline
import matplotlib.pyplot as plt
from minitfm.study import plots
plots.use_style()
plots.panels()[0].plot([1, 2])
plt.show()"""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3").execute(cwd=tmp_path)
    (output,) = notebook.cells[0].outputs
    assert output.metadata["image/png"]["width"] == 100 * plots.WIDTH
    import base64
    import struct

    png = base64.b64decode(output.data["image/png"])
    assert struct.unpack(">I", png[16:20])[0] == 200 * plots.WIDTH


# ---- What is drawn


def test_an_attention_map_says_that_its_rows_are_queries():
    weights = torch.rand(3, 4).softmax(-1)
    ax = plots.attention_map(weights, ["a", " ", "年"], list("wxyz"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "␣", "年"]
    assert [label.get_text() for label in ax.get_xticklabels()] == list("wxyz")
    assert torch.equal(torch.as_tensor(ax.images[0].get_array()), weights)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("query", "key")
    assert ax.images[0].get_clim() == (0, 1)
    (scale,) = ax.child_axes
    assert [label.get_text() for label in scale.get_yticklabels()] == ["0", "1"]


@pytest.mark.filterwarnings("error")
def test_japanese_labels_have_glyphs():
    ax = plots.attention_map(torch.eye(2), ["年", "曜"], ["月", "日"])
    ax.figure.canvas.draw()


@pytest.mark.usefixtures("no_shape_checks")
def test_labels_that_do_not_fit_are_counted():
    with pytest.raises(
        ValueError, match=r"need 2 query and 3 key labels; given 2 and 2"
    ):
        plots.attention_map(torch.rand(2, 3), "ab", "cd")
    with pytest.raises(
        ValueError, match=r"need 2 row and 3 column labels; given 2 and 2"
    ):
        plots.heat_map(torch.rand(2, 3), "ab", "cd")


def test_curves_are_drawn_with_their_goal():
    ax = plots.learning_curves(
        {"one": ([1.0, 2.0], [3.0, 4.0]), "two": ([1.0, 2.0], [5.0, 6.0])},
        "step",
        "loss",
        goal=4.5,
        goal_label="a guess",
    )
    assert [line.get_ydata()[0] for line in ax.lines] == [3, 5, 4.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    assert [text.get_text() for text in ax.texts] == ["a guess"]


def test_seeds_stand_apart_from_their_mean():
    seeds = [([1, 2], [1.0, 3.0]), ([1, 2], [3.0, 5.0])]
    ax = plots.seed_curves({"LSTM": seeds}, "step", "loss")
    thin, also_thin, mean = ax.lines
    assert list(mean.get_ydata()) == [2, 4]
    assert thin.get_linewidth() == also_thin.get_linewidth() < mean.get_linewidth()
    points, bar = plots.seed_points({"LSTM": [1.0, 2.0, 6.0]}, "right (%)").lines
    assert list(points.get_xdata()) == [1, 2, 6]
    assert list(bar.get_xdata()) == [3]
    _, bar = plots.seed_points({"LSTM": [1.0, 2.0, 6.0]}, "", middle=median).lines
    assert list(bar.get_xdata()) == [2]


def test_a_mean_of_seeds_that_were_measured_elsewhere_is_not_drawn():
    seeds = [([1, 2], [1.0, 3.0]), ([1, 3], [3.0, 5.0])]
    ax = plots.seed_curves({"LSTM": seeds}, "step", "loss")
    assert len(ax.lines[-1].get_xdata()) == 0


def test_a_histogram_shows_shares_of_the_same_bins():
    ax = plots.histogram(
        {"one": [0.0, 0.0, 1.0, 3.0], "two": torch.tensor([3.0])}, "x", bins=3
    )
    _, one, _, two = (patch.get_data() for patch in ax.patches)
    assert one.values.tolist() == [50, 25, 25]
    assert two.values.tolist() == [0, 0, 100]
    assert one.edges.tolist() == two.edges.tolist() == [0, 1, 2, 3]


def test_smoothing_averages_neighbors():
    assert plots.smooth([1.0, 2.0, 3.0, 4.0], window=2).tolist() == [1.5, 2.5, 3.5]
