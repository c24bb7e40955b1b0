"""How an exercise stands in a notebook: its text from the catalogue, then a cell with its stub and its check.

`python -m tests.tools.exercise_cells transformer embed` prints both, to paste into a notebook;
`python -m tests.tools.exercise_cells 09_transformer` writes the exercises of a notebook anew, blank, into their places.
"""

import importlib
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import nbformat

from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.exercise import Exercise, Task
from minitfm.exercises.engine.milestone import Milestone
from minitfm.exercises.engine.show import stars

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def folded(summary: str, text: str) -> str:
    """Text that opens on a click, on the page as in a notebook."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def text_cell(task: Task, number: int) -> str:
    """The Markdown cell of an exercise: statement, hints, solution."""
    title = f"### Exercise {number}: {task.title} {stars(task.difficulty)} · {task.minutes} min"
    hints = [folded(f"Hint {n}", hint) for n, hint in enumerate(task.hints, 1)]
    return "\n\n".join(
        [
            title,
            task.statement,
            *hints,
            folded("Solution", f"```python\n{task.solution().text}\n```"),
        ]
    )


def wrapped(code: str, width: int = 80) -> str:
    """Code whose docstrings are no wider than a cell of a notebook."""
    lines: list[str] = []
    inside = False
    for line in code.split("\n"):
        quotes = line.count('"""')
        if len(line) > width and (inside or quotes) and "#" not in line:
            indent = line[: len(line) - len(line.lstrip())]
            last = quotes == 2 or (inside and quotes == 1)
            text = line.strip().removesuffix('"""' if last else "")
            room = width - 3 * last  # for the quotes, if all stands in one line
            lines += textwrap.wrap(
                text, room, initial_indent=indent, subsequent_indent=indent
            )
            lines += [f'{indent}"""'] * last
        else:
            lines.append(line)
        inside ^= quotes == 1
    return "\n".join(lines)


def code_cell(task: Task, answer: str) -> str:
    """The code cell of an exercise with an answer in it, such as its blank stub."""
    if isinstance(task, Answer):
        return f"{answer.rstrip()}\n\nex.{task.name}.check(answer)"
    if isinstance(task, Milestone):
        return f"{answer.rstrip()}\n\nex.{task.name}.check(mine)"
    assert isinstance(task, Exercise)
    answer = wrapped(answer)
    return f"{answer.rstrip()}\n\n\nex.{task.name}.check({task.name_in_source})"


def solved(task: Task) -> str:
    """The code cell with the solution in it."""
    return code_cell(
        task,
        f"answer = {task.reference()!r}"
        if isinstance(task, Answer)
        else task.solution().text,
    )


TITLE = re.compile(r"### Exercise (\d+): ([^★]+) ★")


def renew(path: Path) -> None:
    """Write the exercises of a notebook anew, as the catalogue has them now."""
    notebook = nbformat.read(path, as_version=4)
    sources = "\n".join(cell.source for cell in notebook.cells)
    (chapter,) = re.findall(r"from minitfm\.exercises import (\w+) as ex", sources)
    catalogue = importlib.import_module(f"minitfm.exercises.{chapter}")
    for cell, code in pairwise(notebook.cells):
        if found := TITLE.match(cell.source):
            task = getattr(catalogue, found[2].strip().replace(" ", "_"))
            cell.source = text_cell(task, int(found[1]))
            code.source = code_cell(task, task.stub)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        renew(NOTEBOOKS / f"{sys.argv[1]}.ipynb")
    else:
        chapter, name = sys.argv[1:]
        chosen = getattr(importlib.import_module(f"minitfm.exercises.{chapter}"), name)
        cells = text_cell(chosen, 1), code_cell(chosen, chosen.stub)
        print(*cells, sep="\n\n---\n\n")
