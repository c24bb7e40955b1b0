"""Answers that were once judged wrongly or explained badly."""

import linecache
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from minitfm.exercises.engine.chapter import chapters
from minitfm.exercises.engine.exercise import Exercise, Task
from minitfm.exercises.engine.source import build, defined, under
from tests.exercises.cases import CASES

TASKS: dict[str, Task] = {
    name: task
    for chapter in chapters().values()
    for name, task in chapter.exercises.items()
}


def answer_of(task: Task, code: str) -> Any:
    """What the code means."""
    body = re.search(r"^return\b", code, re.MULTILINE)
    if not body and "def " not in code:
        space = {"torch": torch, "np": np, "Fraction": Fraction, "Decimal": Decimal}
        return eval(code, space)
    assert isinstance(task, Exercise)
    code = under(task.source, code) if body else code
    name = defined(code)
    # a notebook keeps its cells where exceptions look up their lines
    lines = code.splitlines(keepends=True)
    linecache.cache[f"<{name}>"] = (len(code), None, lines, f"<{name}>")
    return build(code, name, task.names)


@pytest.mark.parametrize(
    ("name", "code", "verdict", "words"),
    CASES,
    ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)],
)
def test_it_is_judged_and_named(name: str, code: str, verdict: str, words: str):
    task = TASKS[name]
    result = task.grade(answer_of(task, code))
    assert result.passed == (verdict == "right"), result
    if verdict == "named":
        assert result.mistakes, result
    for word in filter(None, words.split("|")):
        if word.startswith("not:"):
            assert word.removeprefix("not:") not in result.message
        else:
            assert word in result.message
