"""How an exercise stands in a notebook: its text from the catalogue, then a cell with its stub and its check.

`python -m tests.tools.exercise_cells transformer embed` prints both, to paste into a notebook.
"""

import importlib
import sys

from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.exercise import Exercise, Task
from minitfm.exercises.engine.show import stars


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


def code_cell(task: Task, answer: str) -> str:
    """The code cell of an exercise with an answer in it, such as its blank stub."""
    if isinstance(task, Answer):
        return f"{answer.rstrip()}\n\nex.{task.name}.check(answer)"
    assert isinstance(task, Exercise)
    return f"{answer.rstrip()}\n\n\nex.{task.name}.check({task.name_in_source})"


def solved(task: Task) -> str:
    """The code cell with the solution in it."""
    return code_cell(
        task,
        f"answer = {task.reference()!r}"
        if isinstance(task, Answer)
        else task.solution().text,
    )


if __name__ == "__main__":
    chapter, name = sys.argv[1:]
    chosen = getattr(importlib.import_module(f"minitfm.exercises.{chapter}"), name)
    print(text_cell(chosen, 1), code_cell(chosen, chosen.stub), sep="\n\n---\n\n")
