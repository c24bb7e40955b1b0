"""Exercises whose answer is a part that runs inside a whole model."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from minitfm.exercises.engine.chapter import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.observe import Outcome, parameters
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.show import Result


class Inside(Exercise):
    """An exercise that grades the learner's part alone, and then whole models with it
    plugged in.
    """

    explains = False  # alone, it is

    def __init__(
        self,
        chapter: Chapter,
        name: str,
        *,
        difficulty: int,
        minutes: int,
        alone: Exercise,
        part: str,
        call: Callable[..., Any],
        models: Callable[[Draw], list[Case]],
        axes: str,
    ) -> None:
        """Describe an exercise.

        Args:
            chapter: to which it belongs.
            name: as a learner writes it.
            difficulty: from 1 to 5.
            minutes: what a learner may need.
            alone: the exercise of the part by itself, whose stub and mistakes it has.
            part: the name that `plugged` knows the part by.
            call: runs a model, ``call(*case.args)``, and returns the tensor to compare.
            models: draws models and their inputs.
            axes: the names of the result's axes.
        """
        super().__init__(
            chapter,
            name,
            difficulty=difficulty,
            minutes=minutes,
            stub=alone.stub,
            solution=alone.source,
            package=alone.package,
            special=models,
            axes=axes,
            names=alone.names,
        )
        self.alone, self.part, self.call = alone, part, call
        self.mistakes = alone.mistakes

    @cached_property
    def inputs(self) -> list[str]:
        """The names of what a model is run with."""
        return parameters(self.call)

    def standard(self, draw: Draw) -> list[Case]:
        """None: the part alone has passed them."""
        return []

    def observe(
        self,
        candidate: Any,
        case: Case,
        seconds: float = 60.0,
        seed: int = 0,
        after: tuple[Any, ...] = (),
    ) -> Outcome:
        """Run the model of the case with the candidate inside, or as it is where that
        is the reference.
        """
        parts = {} if candidate is self.reference else {self.part: candidate}

        def run(*args: Any) -> Any:
            with plugged(**parts):
                return self.call(*args)

        return super().observe(run, case, seconds, seed, after)

    def _unusable(self, answer: Any) -> str:
        return ""  # it has passed alone

    def _grade(self, answer: Any) -> Result:
        alone = self.alone.grade(answer)
        if alone:
            return super()._grade(answer)
        return Result(self.name, False, alone.message, alone.kind, alone.mistakes)

    def _raised(self, outcome: Outcome, case: Case) -> str:
        error = outcome.raised
        if error is not None and error.kind == "RecursionError":
            inner = any(hasattr(arg, self.part) for arg in case.args)
            whose = "the model's own part, " if inner else "the package's own "
            own = f"model.{self.part}" if inner else self.part
            return (
                f"Your function calls {whose}`{own}`, or what uses it. In the whole model "
                "yours stands in that very place, so it calls itself: write its lines out."
            )
        return super()._raised(outcome, case)
