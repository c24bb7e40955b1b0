"""What a learner sees: short rich text in a notebook, plain text in a terminal."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "right",
    "not attempted",
    "known mistake",
    "single edit",
    "unknown mistake",
    "error",
]
MARKS = {"right": "✓", "not attempted": "○"}


@dataclass(frozen=True)
class Result:
    """What `check` found; true where the answer is right.

    Attributes:
        exercise: the exercise's name.
        passed: whether the answer is right.
        message: what is wrong with it and how one sees that.
        kind: why it did not pass: nothing written yet, a known mistake, one edit of the
            reference, an unknown one, or an error while running.
        mistakes: the names of the known mistakes that explain the answer.
    """

    exercise: str
    passed: bool
    message: str
    kind: Kind
    mistakes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{MARKS.get(self.kind, '✗')} {self.exercise}: {self.message}"

    def _repr_markdown_(self) -> str:
        return f"**{MARKS.get(self.kind, '✗')} {self.exercise}**: {self.message}"


@dataclass(frozen=True)
class Text:
    """A statement, a hint or a table, as Markdown."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text


@dataclass(frozen=True)
class Code:
    """Source text, highlighted in a notebook."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def stars(difficulty: int) -> str:
    """Difficulty from 1 to 5 as stars."""
    return "★" * difficulty + "☆" * (5 - difficulty)
