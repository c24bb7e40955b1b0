"""The exercise whose answer is a whole model: every part the learner's own."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.attention import attention_weights
from minitfm.exercises.engine.chapter import Chapter, chapters
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import SECONDS, Exercise, Task
from minitfm.exercises.engine.observe import code_of, in_words
from minitfm.exercises.engine.plug import original, plugged
from minitfm.exercises.engine.run import Ran, called, described, guarded
from minitfm.exercises.engine.say import ENDLESS
from minitfm.exercises.engine.show import Result
from minitfm.seq2seq import teacher_forcing_loss

STUB = """mine = {
    # "scaled_dot_product_attention": scaled_dot_product_attention,
}
"""
# What a part of the package calls and adds no more than a line to.
HEARTS = {"scaled_dot_product_attention": attention_weights}
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
        for name in answer:
            if name in self.parts:
                continue
            near = [n for n, task in self.parts.items() if task.name == name]
            near += difflib.get_close_matches(str(name), self.parts, 1, 0.6)
            near = [n for n in near if n not in answer]
            if near or not answer.keys() & self.parts:  # others are of globals()
                guess = f" Did you mean `{near[0]}`?" if near else ""
                known = ", ".join(f"`{n}`" for n in self.parts)
                return self._no(
                    f"There is no part `{name}`.{guess} The parts are: {known}."
                )
        mine = {}
        for name, task in self.parts.items():
            if answer.get(name) is None or answer[name] is ...:
                continue
            result = task.grade(answer[name])
            if result.kind == "not attempted":
                continue
            if not result:
                said = f"`{name}` ({self._home(task)}): {result.message}"
                if f"{name}.__init__()" in result.message:
                    due = ", ".join(inspect.signature(task.reference).parameters)
                    said += f" It is made as its stub says, `{name}({due})`: write the stub's `__init__` out."
                return Result(
                    self.name,
                    False,
                    said,
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
        """Run models with each part inside by itself, then with all of them, forward
        and backward.
        """
        cases = self._models(Draw())
        dues = [_run(case) for case in cases]
        watched = {  # none is plugged yet
            name: (code_of(original(name)), code_of(HEARTS.get(name))) for name in mine
        }
        rows = [
            ({name: part}, case, due)
            for name, part in mine.items()
            for case, due in zip(cases, dues)
        ]
        rows += [(dict(mine), case, due) for case, due in zip(cases, dues)]
        for parts, case, due in rows:
            (name, *others) = parts
            with called(*(() if others else watched[name])) as calls:
                ran = _inside(case, parts)
            if calls == [code_of(HEARTS.get(name))]:
                return self._no(
                    f"`{name}` is right alone, and not yours: it calls the package's"
                    f" `{HEARTS[name].__name__}`, which is all but a line of it. Write"
                    " its lines out."
                )
            if said := _trouble(name, not others, ran, bool(calls), case, due):
                return self._no(said, "error" if ran.raised else "unknown mistake")
        return Result(
            self.name, True, "right: the whole Transformer is yours.", "right"
        )


def _trouble(
    name: str,
    alone: bool,
    ran: Ran,
    calls: bool,
    case: Case,
    due: tuple[Tensor, Tensor],
) -> str:
    """What is wrong with a model that ran with the part of this name inside, or with
    all parts; "" if nothing is.
    """
    error = ran.raised
    if alone and (calls or (error and error.kind == "RecursionError")):
        return (
            f"`{name}` is right alone, and not yours: it calls the package's own"
            f" `{name}`, or what uses it. In the model yours stands in that very"
            " place: write its lines out."
        )
    who = f"`{name}` is right by its own exercise. Among the package's other parts it"
    if not alone:
        who = (
            "Each part is right, and so is a model with any one of them. Together they"
        )
    where = "" if case.grad else f" {case.note}"
    if ran.stopped:
        return f"{who} did not end{where}. {ENDLESS}"
    if error:
        told = f"{error.kind}: {error.text}".removesuffix(": ")
        line = f" ({error.line})" if error.line else ""
        return f"{who} raised an error{where}: {told}{line}"
    for what, a, b in zip(("logits", "gradients"), ran.value, due):
        if a.shape != b.shape or not torch.allclose(a, b, atol=1e-8):
            return f"{who} gave other {what} than the package's{where}."
    return ""


def _whole(part: Any) -> bool:
    """Whether it is an object of the package."""
    module = inspect.getmodule(part)
    name = module.__name__ if module else ""
    return name.startswith("minitfm.") and not name.startswith("minitfm.exercises")


def _inside(case: Case, parts: Mapping[str, Any]) -> Ran:
    """Run the case's model with the parts inside. The package has its own back
    whatever they do.
    """
    try:
        with plugged(**parts):
            return guarded(_run, case, seconds=SECONDS)
    except (TypeError, ValueError) as error:  # it cannot be plugged in
        return Ran(raised=described(error))


def _run(case: Case) -> tuple[Tensor, Tensor]:
    """Logits of the case's model, and the gradient of its loss."""
    model, source, target = case.args
    assert isinstance(model, nn.Module)
    model.zero_grad(set_to_none=True)
    logits = model(source, target)
    teacher_forcing_loss(model, source, target).backward()
    gradients = [
        torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()
    ]
    return logits.detach(), torch.cat([one.flatten() for one in gradients])
