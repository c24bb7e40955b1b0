"""Exercises whose answer is a number, a shape or a choice."""

import math
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

from torch import Tensor

from minitfm.exercises.engine import texts
from minitfm.exercises.engine.chapter import Chapter
from minitfm.exercises.engine.exercise import Mistake, Task
from minitfm.exercises.engine.observe import in_words
from minitfm.exercises.engine.show import Code, Result


class Answer(Task):
    """An exercise whose answer is a number, a shape (a tuple of whole numbers) or a
    choice (a letter).
    """

    def __init__(
        self,
        chapter: Chapter | None,
        name: str,
        *,
        difficulty: int,
        minutes: int,
        solution: str,
        package: Callable[[], Any],
        wrong: Mapping[str, Any],
        words: texts.Words | None = None,
    ) -> None:
        """Describe an exercise.

        Args:
            chapter: to which it belongs.
            name: as a learner writes it.
            difficulty: from 1 to 5.
            minutes: what a learner may need.
            solution: how the answer comes about, in code.
            package: computes the right answer from the package.
            wrong: known wrong answers, by the name of their mistake.
            words: its words, if they are not in the chapter's file.
        """
        if words is None and chapter is not None:
            words = chapter.words[name]
        messages = words.messages if words else {}
        super().__init__(
            chapter,
            name,
            difficulty=difficulty,
            minutes=minutes,
            stub="answer = ...\n",
            solution=solution,
            mistakes=tuple(
                Mistake(one, messages.get(one, ""), (), answer)
                for one, answer in wrong.items()
            ),
            words=words,
        )
        self.reference = package

    def _grade(self, answer: Any) -> Result:
        if answer is None or answer is ... or answer is NotImplemented:
            return self._not_attempted()
        due = self.reference()
        given = plain(answer)
        if isinstance(due, str):
            if not isinstance(given, str) or len(given.strip()) != 1:
                return self._no(
                    f'Answer with one letter, like "A"; this is {in_words(answer)}.'
                )
            given = given.strip().upper()
        elif isinstance(due, tuple):
            if not isinstance(given, tuple) or not all(
                isinstance(size, int | float) for size in given
            ):
                return self._no(
                    f"Answer with a shape, a tuple of whole numbers; this is {in_words(answer)}."
                )
        elif not isinstance(given, int | float):
            return self._no(f"Answer with one number; this is {in_words(answer)}.")
        if agree(given, due):
            return Result(self.name, True, "right.", "right")
        found = [one for one in self.mistakes if agree(given, plain(one.wrong))]
        if found:
            return self._no(
                " Or: ".join(one.message for one in found),
                "known mistake",
                tuple(m.name for m in found),
            )
        return self._no(far(given, due), "unknown mistake")

    def solution(self) -> Code:
        """Show how the answer comes about."""
        return Code(f"{self.source}\n# {self.reference()!r}")


def plain(answer: Any) -> Any:
    """A tensor, NumPy number or list as Python's own numbers and tuples; anything else
    as it is.
    """
    if type(answer) is Tensor and answer.numel() == 1:
        return answer.item()
    if type(answer) is bool:
        return None
    if type(answer).__module__ == "numpy" and isinstance(answer, Number):
        return answer.item()  # type: ignore[attr-defined]
    if issubclass(type(answer), list | tuple):
        return tuple(map(plain, answer))
    return answer


def agree(given: Any, due: Any) -> bool:
    """Whether two plain answers are equal, numbers up to rounding."""
    if isinstance(given, tuple) and isinstance(due, tuple):
        return len(given) == len(due) and all(map(agree, given, due))
    if isinstance(given, int | float) and isinstance(due, int | float):
        return math.isclose(given, due, rel_tol=1e-9)
    return type(given) is type(due) and bool(given == due)


def far(given: Any, due: Any) -> str:
    """How far off an answer is that fits no known mistake."""
    if isinstance(due, tuple):
        if len(given) != len(due):
            return f"That is {len(given)} axes; there are {len(due)}."
        axis = next(i for i, (a, b) in enumerate(zip(given, due)) if not agree(a, b))
        return f"Axis {axis} is not {given[axis]}." + (
            " All before it are right." if axis else ""
        )
    if isinstance(due, str):
        return f"{given} is not among the choices, or not the right one."
    if given != given or given in (math.inf, -math.inf):
        return f"{given} is no answer."
    if due and 0.001 < abs(given / due) < 1000:
        return f"Not yet: your number is {given / due:.3g} times the right one."
    return "Not yet: your number is far from the right one."
