"""An exercise is data: a statement, a stub, the package's own reference, inputs, hints
and known mistakes.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from minitfm.exercises.engine.compare import (
    close,
    same,
    wrong_dtype,
    wrong_shape,
    wrong_values,
)
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.observe import (
    Outcome,
    in_words,
    misfit,
    observe,
    parameters,
)
from minitfm.exercises.engine.run import called, guarded
from minitfm.exercises.engine.say import (
    CHANGED,
    ENDLESS,
    GRADIENT,
    RANDOM,
    Clock,
    blank,
    code_of,
    praise,
    raised,
    told,
)
from minitfm.exercises.engine.show import Code, Result, Text, stars
from minitfm.exercises.engine.source import Patch, build, patched, places

SECONDS = 4.0  # for all calls of a learner's code in one check


@dataclass(frozen=True)
class Mistake:
    """A known mistake: patches of the reference's source, or a whole wrong answer, and
    what to say about it.

    One that `raises` explains an exception; the others explain wrong numbers.
    """

    name: str
    message: str
    patches: tuple[Patch, ...] = ()
    wrong: Any = None
    raises: bool = False


def mistake(
    name: str, message: str, *patches: Patch, wrong: Any = None, raises: bool = False
) -> Mistake:
    """Write a mistake down: its name, its message, and (old, new) texts of the
    reference's source.
    """
    return Mistake(name, " ".join(message.split()), patches, wrong, raises)


@dataclass(kw_only=True)
class Task:
    """What every exercise has.

    Attributes:
        name: as a learner writes it.
        statement: what to do, as Markdown.
        stub: the source text to fill in.
        source: the reference written out: the solution, and what the mistakes patch.
        hints: from a nudge to almost the answer.
        mistakes: the catalogue of known mistakes.
        difficulty: from 1 to 5.
        minutes: what a learner may need.
    """

    name: str
    statement: str
    stub: str
    source: str
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    difficulty: int
    minutes: int
    tries: int = field(default=0, init=False)
    passed: bool = field(default=False, init=False)
    hints_seen: int = field(default=0, init=False)

    def check(self, answer: Any) -> Result:
        """Grade an answer; whatever it is, the result says in words what is wrong with
        it.
        """
        result = self.grade(answer)
        self.tries += result.kind != "not attempted"
        self.passed = self.passed or result.passed
        return result

    def grade(self, answer: Any) -> Result:
        """Check without counting the try."""
        try:
            return self._grade(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            text = f"This answer could not be checked ({type(error).__name__}); it behaves like nothing we know."
            return self._no(text)

    def _grade(self, answer: Any) -> Result:
        raise NotImplementedError

    def hint(self) -> Text:
        """Open the next hint; after the last one, the last one again."""
        self.hints_seen = min(self.hints_seen + 1, len(self.hints))
        rest = len(self.hints) - self.hints_seen
        more = (
            f"{rest} more: call `hint()` again."
            if rest
            else "That was the last; `solution()` shows the answer."
        )
        return Text(
            f"**Hint {self.hints_seen} of {len(self.hints)}.** {self.hints[self.hints_seen - 1]} ({more})"
        )

    def solution(self) -> Code:
        """Show the reference."""
        return Code(self.source)

    def _repr_markdown_(self) -> str:
        return f"**{self.name}** {stars(self.difficulty)} · {self.minutes} min\n\n{self.statement}"

    def __repr__(self) -> str:
        return (
            f"{self.name} {stars(self.difficulty)} {self.minutes} min: {self.statement}"
        )

    def _no(
        self, message: str, kind: Any = "error", mistakes: tuple[str, ...] = ()
    ) -> Result:
        return Result(self.name, False, message, kind, mistakes)

    def _not_attempted(self) -> Result:
        return self._no("not attempted yet.", "not attempted")


@dataclass(repr=False, kw_only=True)
class Exercise(Task):
    """An exercise whose answer is a function, or a class of modules.

    Attributes:
        reference: the package's own object, which decides what is right.
        cases: the calls to compare on, drawn from a Draw.
        names: what the source and the learner may use besides torch, F, nn and math.
        axes: the names of the result's axes.
        words: how to say which entry differs: "query {query} gives key {key} the weight
            {got}, expected {want}".
    """

    reference: Any
    cases: Callable[[Draw], list[Case]]
    names: dict[str, Any] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    words: str = ""

    def __post_init__(self) -> None:
        self._built: dict[tuple[Mistake, ...], Any] = {}
        self._truth: list[tuple[Case, Outcome]] = []
        self.inputs = parameters(self.implementation())

    def implementation(self, *mistakes: Mistake) -> Any:
        """The written-out reference with these mistakes in it; None if they patch the
        same place.
        """
        if mistakes not in self._built:
            self._built[mistakes] = self._build(mistakes)
        return self._built[mistakes]

    def _build(self, mistakes: tuple[Mistake, ...]) -> Any:
        if len(mistakes) == 1 and mistakes[0].wrong is not None:
            return mistakes[0].wrong
        if any(one.wrong is not None for one in mistakes):
            return None
        if len(mistakes) == 2 and places(self.source, mistakes[0].patches) & places(
            self.source, mistakes[1].patches
        ):
            return None
        source = patched(
            self.source, tuple(patch for one in mistakes for patch in one.patches)
        )
        return (
            None if source is None else build(source, self.name_in_source, self.names)
        )

    @property
    def name_in_source(self) -> str:
        """What the stub calls the function or class."""
        return re.findall(r"^(?:def|class) (\w+)", self.source, re.MULTILINE)[-1]

    def truth(self) -> list[tuple[Case, Outcome]]:
        """The cases with what the reference gives."""
        if not self._truth:
            self._truth = [
                (case, self.observe(self.reference, case))
                for case in self.cases(Draw())
            ]
        return self._truth

    def observe(
        self, candidate: Any, case: Case, seconds: float = 60.0, seed: int = 0
    ) -> Outcome:
        """Run one implementation on one case."""
        return observe(self.reference, candidate, case, self.inputs, seconds, seed)

    def _grade(self, answer: Any) -> Result:
        problem = self._unusable(answer)
        if problem:
            return self._no(problem)
        clock = Clock(SECONDS)
        outcomes: list[Outcome] = []
        for case, _ in self.truth():
            with clock:
                outcomes.append(self.observe(answer, case, clock.left))
            verdict = self._hopeless(answer, outcomes[-1])
            if verdict is not None:  # a result that did not pass is false
                return verdict
        if not all(
            same(outcome, truth) for outcome, (_, truth) in zip(outcomes, self.truth())
        ):
            return self._explain(answer, outcomes)
        with called(code_of(self.reference)) as calls, clock:
            again = self.observe(answer, self.truth()[0][0], clock.left, seed=1)
        if not same(again, outcomes[0]):
            return self._no(RANDOM, "unknown mistake")
        return Result(
            self.name,
            True,
            praise(bool(calls), any(outcome.printed for outcome in outcomes)),
            "right",
        )

    def _unusable(self, answer: Any) -> str:
        a_class = isinstance(self.reference, type)
        if a_class and not issubclass(type(answer), type):
            made = (
                " Give the class itself, without parentheses."
                if hasattr(type(answer), "forward")
                else ""
            )
            return f"This exercise checks a class, `{self.name_in_source}`; it got {in_words(answer)}.{made}"
        if not a_class and (not callable(answer) or issubclass(type(answer), type)):
            got = "a class" if issubclass(type(answer), type) else in_words(answer)
            return f"This exercise checks a function of ({', '.join(self.inputs)}); it got {got}."
        case = max((case for case, _ in self.truth()), key=lambda case: len(case.args))
        target = getattr(answer, "forward", None) if a_class else answer
        args = (None, *case.args) if a_class and target is not None else case.args
        trouble = guarded(
            misfit, target, args, seconds=1.0
        ).value  # an object may raise what it likes when asked
        who = "`forward`" if a_class else "The function"
        return (
            f"{who} must take ({', '.join(self.inputs)}): {trouble}." if trouble else ""
        )

    def _hopeless(self, answer: Any, outcome: Outcome) -> Result | None:
        """What ends a check at once."""
        if outcome.stopped:
            return self._no(ENDLESS)
        raised = outcome.raised
        if (
            raised
            and raised.kind == "NotImplementedError"
            and (not raised.text or "raise " in raised.line)
        ):
            return (
                self._not_attempted()
            )  # the stub's own line; torch raises one, too, and says why
        if outcome.strange.startswith("None") and blank(answer):
            return self._not_attempted()
        if outcome.strange:
            return self._no(
                f"It should return a tensor; it returned {outcome.strange}."
            )
        return None

    def _explain(self, answer: Any, outcomes: list[Outcome]) -> Result:
        rows = [
            (case, outcome, truth)
            for outcome, (case, truth) in zip(outcomes, self.truth())
        ]
        case, outcome, truth = next(row for row in rows if not same(row[1], row[2]))
        found = self.explanations(outcomes)
        if found:
            names = tuple(
                dict.fromkeys(one.name for mistakes in found for one in mistakes)
            )
            where = (
                f" ({outcome.raised.kind} in {outcome.raised.line})"
                if outcome.raised and outcome.raised.line
                else ""
            )
            return self._no(told(found) + where, "known mistake", names)
        for _, seen, _ in rows:
            if seen.changed:
                return self._no(CHANGED.format(name=seen.changed[0]), "unknown mistake")
        if outcome.raised:
            return self._no(raised(outcome, case))
        if not same(
            self.observe(answer, rows[0][0], seed=1, seconds=SECONDS), outcomes[0]
        ):
            return self._no(RANDOM, "unknown mistake")
        return self._no(self._difference(rows, case, outcome, truth), "unknown mistake")

    def _difference(
        self,
        rows: list[tuple[Case, Outcome, Outcome]],
        case: Case,
        outcome: Outcome,
        truth: Outcome,
    ) -> str:
        got, want = outcome.value, truth.value
        assert got is not None
        assert want is not None
        others = {row[0].note for row in rows if same(row[1], row[2])} - {
            row[0].note for row in rows if row[0] is case
        }
        fine = ", ".join(sorted(note for note in others if note))
        note = f"{case.note[:1].upper()}{case.note[1:]}: " if case.note else ""
        tail = f" (Right already: {fine}.)" if fine else ""
        if got.device != want.device:
            return f"The result is on {got.device}, the inputs are on {want.device}: make new tensors where `x.device` is."
        for name, arg in zip(self.inputs, case.args):
            if (
                isinstance(arg, torch.Tensor)
                and got.shape == arg.shape
                and torch.equal(got, arg)
            ):
                return f"It returns its input `{name}` as it came."
        if got.shape != want.shape:
            return note + wrong_shape(got, want, self.axes, case) + tail
        if got.dtype != want.dtype:
            return note + wrong_dtype(got, want) + tail
        if close(got, want):
            return note + GRADIENT + tail
        return note + wrong_values(got, want, self.axes, self.words, case) + tail

    def explanations(self, outcomes: list[Outcome]) -> list[tuple[Mistake, ...]]:
        """The known mistakes that give exactly these outcomes; else the pairs of them
        that do.
        """
        cases = [case for case, _ in self.truth()]
        failed = any(outcome.raised for outcome in outcomes)

        def explains(mistakes: tuple[Mistake, ...]) -> bool:
            if failed and not any(one.raises for one in mistakes):
                return False
            wrong = self.implementation(*mistakes)
            pairs = zip(cases, outcomes)
            return wrong is not None and all(
                same(self.observe(wrong, case), outcome) for case, outcome in pairs
            )

        single = [(one,) for one in self.mistakes if explains((one,))]
        return list(single) or [
            pair for pair in itertools.combinations(self.mistakes, 2) if explains(pair)
        ]
