"""The exercise whose answer is a whole model: every part the learner's own."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.exercises.engine.chapter import Chapter, chapters
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, Task
from minitfm.exercises.engine.observe import in_words
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.show import Result
from minitfm.seq2seq import teacher_forcing_loss

STUB = """mine = {
    # "scaled_dot_product_attention": scaled_dot_product_attention,
}
"""
SOLUTION = """# of each part the solution of its own exercise
parts = ex.milestone.parts
mine = {name: part.reference for name, part in parts.items()}"""


class Milestone(Task):
    """An exercise that takes a learner's parts by name, grades each by its own exercise
    and runs whole models with all of them plugged in.

    Attributes:
        parts: the exercise of each part, by the name that `plugged` knows it by.
    """

    def __init__(
        self,
        chapter: Chapter,
        name: str,
        *,
        difficulty: int,
        minutes: int,
        parts: Mapping[str, Exercise],
        models: Callable[[Draw], list[Case]],
    ) -> None:
        """Describe an exercise.

        Args:
            chapter: to which it belongs.
            name: as a learner writes it.
            difficulty: from 1 to 5.
            minutes: what a learner may need, who has written the parts.
            parts: the exercise of each part.
            models: draws models, with a source and a target each.
        """
        super().__init__(
            chapter,
            name,
            difficulty=difficulty,
            minutes=minutes,
            stub=STUB,
            solution=SOLUTION,
        )
        self.parts, self._models = dict(parts), models

    def _grade(self, answer: Any) -> Result:
        if answer is None or answer is ... or answer is NotImplemented:
            return self._not_attempted()
        if isinstance(answer, ModuleType | SimpleNamespace):
            answer = {
                name: part for name, part in vars(answer).items() if name in self.parts
            }
        if not isinstance(answer, Mapping):
            return self._no(
                "Give a dictionary of your parts by name, or a module that holds them;"
                f" this is {in_words(answer)}."
            )
        if unknown := [name for name in answer if name not in self.parts]:
            near = difflib.get_close_matches(str(unknown[0]), self.parts, 1, 0.4)
            guess = f" Did you mean `{near[0]}`?" if near else ""
            known = ", ".join(f"`{name}`" for name in self.parts)
            return self._no(
                f"There is no part `{unknown[0]}`.{guess} The parts are: {known}."
            )
        mine = {}
        for name, task in self.parts.items():
            if answer.get(name) in (None, ...):
                continue
            result = task.grade(answer[name])
            if result.kind == "not attempted":
                continue
            if not result:
                return Result(
                    self.name,
                    False,
                    f"`{name}` ({self._home(task)}): {result.message}",
                    result.kind,
                    result.mistakes,
                )
            if _whole(answer[name]):
                return self._no(
                    f"`{name}` is the package's own. It is right, and not yours."
                )
            mine[name] = answer[name]
        if not mine:
            return self._not_attempted()
        if missing := [name for name in self.parts if name not in mine]:
            rest = ", ".join(f"`{name}`" for name in missing)
            count = f"{len(mine)} of {len(self.parts)} parts are yours, and right."
            return self._no(f"{count} Still missing: {rest}.", "unknown mistake")
        return self._together(mine)

    def _home(self, task: Exercise) -> str:
        """Where a part is asked for, in words."""
        (chapter,) = (
            one for one in chapters().values() if task in one.exercises.values()
        )
        return f"{chapter.title}: `{task.name}`"

    def _together(self, mine: Mapping[str, Any]) -> Result:
        """Run models with all parts inside, forward and backward."""
        for case in self._models(Draw()):
            due = _run(case, {})
            try:
                given = _run(case, mine)
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
                return self._no(
                    "Each part is right alone. Together they raise an error"
                    f" {case.note}: {told}. Do not call the package's own parts in"
                    " yours: in the whole model yours stand in their place."
                )
            for what, a, b in zip(("logits", "gradients"), given, due):
                if a.shape != b.shape or not torch.allclose(a, b, atol=1e-8):
                    return self._no(
                        "Each part is right alone. Together their"
                        f" {what} differ from the package's {case.note}.",
                        "unknown mistake",
                    )
        return Result(
            self.name, True, "right: the whole Transformer is yours.", "right"
        )


def _whole(part: Any) -> bool:
    """Whether it is an object of the package."""
    module = inspect.getmodule(part)
    name = module.__name__ if module else ""
    return name.startswith("minitfm.") and not name.startswith("minitfm.exercises")


def _run(case: Case, parts: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Logits of the case's model, and the gradient of its loss."""
    model, source, target = case.args
    assert isinstance(model, nn.Module)
    model.zero_grad(set_to_none=True)
    with plugged(**parts):
        logits = model(source, target)
        teacher_forcing_loss(model, source, target).backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return logits.detach(), torch.cat(gradients)
