"""Exercises whose answer is a function that returns several tensors, such as an output
and a state.
"""

import copy
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.observe import Outcome, in_words
from minitfm.exercises.engine.run import Complaint
from minitfm.exercises.engine.say import blank


@dataclass
class Part(Case):
    """One call, of whose results one is looked at: number ``part``."""

    part: int = 0


@dataclass(repr=False, kw_only=True)
class Several(Exercise):
    """An exercise whose answer returns several tensors: they are compared one by one,
    each with its own gradient.

    Attributes:
        results: the name and the axes of each.
    """

    results: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        calls = self.cases

        def parts(draw: Draw) -> list[Case]:
            found: list[Case] = []
            for case in calls(draw):
                for i, (name, _) in enumerate(self.results):
                    note = f"{case.note} (`{name}`)"
                    found.append(Part(**{**vars(case), "note": note}, part=i))
            return found

        self.cases = parts
        super().__post_init__()

    def observe(
        self, candidate: Any, case: Case, seconds: float = 60.0, seed: int = 0
    ) -> Outcome:
        """Run one implementation on one case and look at the one result that the case
        is about.
        """
        assert isinstance(case, Part)
        part = case.part

        def one(*args: Any) -> Any:
            value = candidate(*args)
            if value is None and blank(candidate):
                return None
            return self._results(value)[part]

        return super().observe(one, case, seconds, seed)

    def _results(self, value: Any) -> tuple[Any, ...]:
        names = [f"`{name}`" for name, _ in self.results]
        due = f"It should return {', '.join(names[:-1])} and {names[-1]}, in this order"
        if issubclass(type(value), Tensor):
            raise Complaint(f"{due}; it returned one tensor.")
        if not issubclass(type(value), tuple | list):
            raise Complaint(f"{due}; it returned {in_words(value)}.")
        if len(value) != len(names):
            raise Complaint(
                f"{due}; it returned {len(value)} thing{'s' * (len(value) != 1)}."
            )
        for name, one in zip(names, value):
            if not issubclass(type(one), Tensor):
                raise Complaint(
                    f"{due}, each of them a tensor; its {name} is {in_words(one)}."
                )
        return tuple(value)

    def _difference(
        self, rows: Any, case: Case, outcome: Outcome, truth: Outcome
    ) -> str:
        assert isinstance(case, Part)
        view = copy.copy(self)
        view.axes = self.results[case.part][1]
        return super(Several, view)._difference(rows, case, outcome, truth)
