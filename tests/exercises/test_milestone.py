"""The whole Transformer of a learner: every part is graded, then all together."""

from types import SimpleNamespace
from typing import Any

import pytest

from minitfm.exercises import transformer as ex
from minitfm.exercises.engine.source import build
from minitfm.masks import causal_mask
from tests.exercises.answers import RIGHT

PARTS = ex.milestone.parts


def answer(**changes: Any) -> dict[str, Any]:
    return {name: part.reference for name, part in PARTS.items()} | changes


def test_the_solutions_of_all_parts_make_a_whole():
    assert ex.milestone.grade(answer())
    assert ex.milestone.grade(SimpleNamespace(**answer(), other=1))


@pytest.mark.parametrize("style", range(4))
def test_parts_written_in_other_styles_make_a_whole(style: int):
    import re

    mine = {}
    for name, task in PARTS.items():
        texts = RIGHT[task.name]
        text = texts[style % len(texts)]
        defined = re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE)[-1]
        mine[name] = build(text, defined, task.names)
    result = ex.milestone.grade(mine)
    assert result, result.message


@pytest.mark.parametrize("name", PARTS)
def test_a_wrong_part_is_named_with_its_mistake_and_its_chapter(name: str):
    task = PARTS[name]
    mistake = task.mistakes[0]
    result = ex.milestone.grade({name: task.implementation(mistake)})
    assert not result
    assert result.mistakes == (mistake.name,)
    assert mistake.message in result.message
    assert f"`{name}` (Chapter " in result.message
    assert f"`{task.name}`" in result.message


def test_parts_that_are_missing_unknown_or_not_ones_own_are_told():
    whole = ex.milestone
    for nothing in (None, ..., {}, {"causal_mask": None}):
        assert whole.grade(nothing).kind == "not attempted"
    some = whole.grade({"causal_mask": PARTS["causal_mask"].reference})
    assert "1 of 11 parts" in some.message
    assert "`Residual`" in some.message
    assert "`causal_mask`" not in some.message
    assert "mean `causal_mask`?" in whole.grade({"causal_msk": 1}).message
    assert "not yours" in whole.grade({"causal_mask": causal_mask}).message
    assert "dictionary" in whole.grade([1, 2]).message


def test_parts_that_fail_only_together_are_told():
    """One that calls the package's own calls itself, once it is plugged in."""

    def mine(query, key=None):
        from minitfm import transformer

        return transformer.causal_mask(query, key)

    result = ex.milestone.grade(answer(causal_mask=mine))
    assert not result
    assert "right alone" in result.message


def test_the_table_of_the_course_counts_what_is_right(monkeypatch: pytest.MonkeyPatch):
    before = ex.course().text
    monkeypatch.setattr(ex.prefix_mask, "passed", not ex.prefix_mask.passed)
    after = ex.course().text
    assert before != after
    assert after.count("| Chapter ") == 9
