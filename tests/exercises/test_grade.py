"""A folder of notebooks is graded: what is right passes, what is wrong is named, and nothing stops the rest."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = "import torch\nfrom minitfm.exercises import attention as ex"
RIGHT = """
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / key.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1).nan_to_num() @ value
ex.scaled_dot_product.check(scaled_dot_product_attention)"""
UNSCALED = RIGHT.replace(" / key.shape[-1] ** 0.5", "")
BROKEN = "def f(:\nex.scaled_dot_product.check(f)"
BLANK = "def f(query, key, value, mask=None):\n    raise NotImplementedError\nex.scaled_dot_product.check(f)"
ENDLESS = "while True: pass\nex.scaled_dot_product.check(print)"


def notebook(*cells: str, tags: tuple[str, ...] = ("exercise",)) -> str:
    code = [
        {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": [cell]}
        for cell in (HEAD, *cells)
    ]
    trap = {"cell_type": "code", "metadata": {}, "source": "raise SystemExit('trap')"}
    return json.dumps({"cells": code + [trap] * bool(tags)})


def graded(folder: Path, *options: str) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "minitfm.exercises", "grade", str(folder)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=True)  # fmt: skip
    return list(csv.DictReader(run.stdout.splitlines()))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("class")
    handed_in = {
        "ada": notebook(RIGHT),
        "bob": notebook(UNSCALED),
        "cyd": notebook(BROKEN),
        "dan": notebook(BLANK),
        "fay": notebook(UNSCALED, RIGHT),
        "gus": notebook(RIGHT, tags=()),
        "hal": "this is no notebook",
    }
    for name, text in handed_in.items():
        (folder / name).mkdir()
        (folder / name / "04.ipynb").write_text(text, encoding="utf-8")
    found = graded(folder)
    assert len(found) == len(handed_in)
    return dict(zip(handed_in, found))


def test_a_right_answer_passes(rows: dict[str, dict[str, str]]) -> None:
    assert rows["ada"]["file"] == "ada/04.ipynb"
    assert rows["ada"]["exercise"] == "scaled_dot_product"
    assert rows["ada"]["passed"] == "yes"
    assert rows["fay"]["passed"] == "yes", "the second try counts"
    assert rows["fay"]["tries"] == "2"
    assert rows["gus"]["passed"] == "yes", "tags may get lost"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bob", "d_k"),
        ("cyd", "SyntaxError"),
        ("dan", "not attempted"),
        ("hal", "is no notebook"),
    ],
)
def test_what_is_wrong_is_named(
    name: str, said: str, rows: dict[str, dict[str, str]]
) -> None:
    assert rows[name]["passed"] in ("no", "")
    assert said in rows[name]["message"]


def test_an_endless_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "04.ipynb").write_text(notebook(ENDLESS), encoding="utf-8")
    (row,) = graded(tmp_path, "--seconds", "15")
    assert row["passed"] == "no"
    assert row["message"] == "not reached within 15 seconds"


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "minitfm.exercises", "grade", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "there is no notebook" in run.stderr
    assert "Traceback" not in run.stderr
