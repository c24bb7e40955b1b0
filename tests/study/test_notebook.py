"""What the notebooks show of the package, and how its figures are drawn."""

import re
import textwrap
import tomllib
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

from minitfm.layers import LayerNorm
from minitfm.study import plots
from minitfm.study.notebook import Source, device, repository, results

mpl.use("Agg")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean_figures():
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def test_the_source_shown_is_the_file_s_and_links_to_its_lines():
    shown = Source(LayerNorm.forward)
    markdown = shown._repr_markdown_()
    path, first, last = re.search(r"blob/main/(\S+)#L(\d+)-L(\d+)", markdown).groups()
    lines = (ROOT / path).read_text().splitlines()[int(first) - 1 : int(last)]
    code = textwrap.dedent("\n".join(lines))
    assert code.startswith("def forward(")
    assert "F.layer_norm(" in lines[-1]
    assert f"```python\n{code}\n```" in markdown
    assert "[LayerNorm.forward in minitfm/layers.py]" in markdown
    assert repr(shown) == code


def test_a_long_runs_source_is_linked_where_the_repository_has_it():
    from minitfm.results import vector

    path, first = re.search(
        r"blob/main/(\S+)#L(\d+)", Source(vector.train)._repr_markdown_()
    ).groups()
    assert (
        (ROOT / path).read_text().splitlines()[int(first) - 1].startswith("def train(")
    )


def test_the_repository_is_the_one_the_project_states():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
        "Repository"
    ]
    assert repository() == stated


def test_results_are_rows_by_column_name():
    for row in results("dates"):
        assert row["command"].startswith("python -m minitfm.results.dates")
        assert 0 <= float(row["exact_match"]) <= 1


def test_a_missing_table_is_named_with_those_there_are():
    with pytest.raises(
        FileNotFoundError, match=r"no table 'nonsense'; there are: .*dates"
    ):
        results("nonsense")


def test_the_device_can_compute():
    assert torch.ones(2, device=device()).sum().item() == 2


def test_an_attention_map_labels_every_query_and_key():
    weights = torch.rand(3, 4).softmax(-1)
    ax = plots.attention_map(weights, ["a", " ", "年"], list("wxyz"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "␣", "年"]
    assert [label.get_text() for label in ax.get_xticklabels()] == list("wxyz")
    assert torch.equal(torch.as_tensor(ax.images[0].get_array()), weights)


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


def test_curves_are_drawn_with_their_goal():
    ax = plots.learning_curves(
        {"one": ([1.0, 2.0], [3.0, 4.0]), "two": ([1.0, 2.0], [5.0, 6.0])},
        "step",
        "loss",
        goal=4.5,
    )
    assert [line.get_ydata()[0] for line in ax.lines] == [3, 5, 4.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")


def test_smoothing_averages_neighbours():
    assert plots.smooth([1.0, 2.0, 3.0, 4.0], window=2).tolist() == [1.5, 2.5, 3.5]


def test_the_architecture_names_the_packages_parts():
    fig = plots.architecture()
    words = " ".join(text.get_text() for text in fig.axes[0].texts)
    for name in (
        "self_attention",
        "cross_attention",
        "feed_forward",
        "residual_3",
        "generator",
        "source_embedding",
    ):
        assert name in words


def test_lines_take_the_palette_in_order():
    assert len(set(plots.COLORS)) == len(plots.COLORS)
    assert [entry["color"] for entry in mpl.rcParams["axes.prop_cycle"]] == list(
        plots.COLORS
    )
