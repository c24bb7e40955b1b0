"""What the notebooks show of the package."""

import re
import textwrap
import tomllib
from pathlib import Path

import pytest
import torch

from minitfm.layers import LayerNorm
from minitfm.study.notebook import Source, device, repository, results

ROOT = Path(__file__).parents[2]


def test_the_source_shown_is_the_file_s_and_links_to_it():
    shown = Source(LayerNorm.forward)
    markdown = shown._repr_markdown_()
    code = repr(shown)
    assert code.startswith("def forward(")
    assert "layer_norm(" in code.splitlines()[-1]
    (path,) = re.findall(r"blob/main/([^)]+)", markdown)
    assert textwrap.indent(code, "    ") in (ROOT / path).read_text()
    assert f"```python\n{code}\n```" in markdown
    assert f"[LayerNorm.forward in {path}]" in markdown


def test_a_long_runs_source_is_linked_where_the_repository_has_it():
    from minitfm.results import vector

    (path,) = re.findall(r"blob/main/([^)]+)", Source(vector.train)._repr_markdown_())
    assert "\ndef train(" in (ROOT / path).read_text()


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
