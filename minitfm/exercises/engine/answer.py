"""Exercises whose answer is a number, a shape or a choice."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from types import GeneratorType
from typing import Any

from minitfm.exercises.engine import texts
from minitfm.exercises.engine.chapter import Chapter
from minitfm.exercises.engine.exercise import Mistake, Task
from minitfm.exercises.engine.observe import TENSORS, in_words
from minitfm.exercises.engine.show import Code, Result

EXACT = 1e-9  # rounding alone


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
        tolerance: float = EXACT,
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
            tolerance: how far a number may be off, relatively: wide enough for the tools
                that a learner may compute it with.
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
        self.reference, self.tolerance = package, tolerance

    @property
    def right(self) -> Any:
        """The right answer."""
        return self.reference()

    def _grade(self, answer: Any) -> Result:
        if answer is None or answer is ... or answer is NotImplemented:
            return self._not_attempted()
        due, given = self.right, plain(answer)
        while is_number(due) and isinstance(given, tuple) and len(given) == 1:
            given = given[0]  # a list or tensor with one number is one
        if isinstance(due, str) and isinstance(given, str):
            given = letter(given)
        problem = self._unsuited(answer, given, due)
        if problem:
            return self._no(problem)
        if agree(given, due, self.tolerance):
            return Result(self.name, True, "right.", "right")
        found = [one for one in self.mistakes if agree(given, plain(one.wrong))]
        if found:
            names = tuple(one.name for one in found)
            said = " Or: ".join(one.message for one in found)
            return self._no(said, "known mistake", names)
        if isinstance(due, str) and given not in {one.wrong for one in self.mistakes}:
            return self._no(f"{given} is not among the choices.")
        name, said = far(given, due)
        if name:
            return self._no(said, "known mistake", (name,))
        return self._no(said, "unknown mistake")

    def _unsuited(self, answer: Any, given: Any, due: Any) -> str:
        """Why it is no answer of the kind that is asked for; "" if it is one."""
        what = in_words(answer)
        if isinstance(due, tuple) and len(getattr(answer, "shape", ())) > 1:
            return "Answer with a shape, and that is the tensor: give its shape."
        if isinstance(due, str):
            if isinstance(given, str) and len(given) == 1:
                return ""
            what = f'the text "{given[:40]}"' if isinstance(given, str) else what
            return f'Answer with one letter alone, like "A"; this is {what}.'
        if isinstance(due, tuple):
            sizes = isinstance(given, tuple) and all(map(is_number, given))
            told = f"Answer with a shape, a tuple of whole numbers; this is {what}."
            if isinstance(given, tuple):
                odd = next((one for one in given if not is_number(one)), None)
                told = f"Answer with a tuple of whole numbers; {odd!r} in it is none."
            return "" if sizes else told
        if isinstance(given, str):
            return "Answer with a number, without quotes: this is a text."
        return "" if is_number(given) else f"Answer with one number; this is {what}."

    def solution(self) -> Code:
        """Show how the answer comes about."""
        return Code(f"{self.source}\n# {self.reference()!r}")


def is_number(value: Any) -> bool:
    """Whether it is one of Python's own numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(answer: Any) -> Any:
    """A tensor, array, list, fraction or decimal as Python's own numbers and tuples;
    anything else as it is.
    """
    if type(answer) is bool:
        return None
    if type(answer) in TENSORS or type(answer).__module__ == "numpy":
        try:
            return plain(answer.tolist())
        except (AttributeError, NotImplementedError, RuntimeError):
            return (
                answer  # a tensor without data, or something of NumPy's without a list
            )
    if isinstance(answer, Fraction | Decimal):
        return int(answer) if answer == int(answer) else float(answer)
    if issubclass(type(answer), list | tuple | range | map | GeneratorType):
        answer = islice(answer, 100)  # a generator may have no end
        return tuple(map(plain, answer))
    return answer


def letter(text: str) -> str:
    """A choice as it may be written, "b", "B.", "(B)" or "**B**", as its letter; what
    is none as it stands.
    """
    found = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    return found[1].upper() if found else text.strip()


def agree(given: Any, due: Any, tolerance: float = EXACT) -> bool:
    """Whether two plain answers are equal, numbers up to rounding."""
    if isinstance(given, tuple) and isinstance(due, tuple):
        return len(given) == len(due) and all(map(agree, given, due))
    if isinstance(given, int | float) and isinstance(due, int | float):
        try:
            return math.isclose(given, due, rel_tol=tolerance)
        except OverflowError:  # a whole number that no float can hold
            return given == due
    return type(given) is type(due) and bool(given == due)


def far(given: Any, due: Any) -> tuple[str, str]:
    """What can be said of an answer that fits no known mistake without giving the right
    one away: a name, where it is a mistake, and the words.
    """
    if isinstance(due, tuple):
        if len(given) != len(due):
            axes = "axis" if len(given) == 1 else "axes"
            return "", f"That is {len(given)} {axes}; there are {len(due)}."
        axis = next(i for i, (a, b) in enumerate(zip(given, due)) if not agree(a, b))
        before = " All before it are right." if axis else ""
        return "", f"Axis {axis} is not {given[axis]}.{before}"
    if isinstance(due, str):
        return "", f"{given} is not among the choices, or not the right one."
    if given != given or given in (math.inf, -math.inf):
        return "", f"{given} is no answer."
    if isinstance(due, int) and given != int(given):
        told = "It is a whole number, and yours is not: what is counted comes whole."
        return "not a whole number", told
    rounded = isinstance(due, int) and given % 1000 == 0 and due % 1000
    if rounded and abs(given - due) < due / 1000:
        return "rounded", "That is rounded: give the exact number."
    told = "large" if given > due else "small"
    return "", f"Not yet: that is too {told}. `hint()` says how to count."
