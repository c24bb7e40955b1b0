"""An exercise is data: its words, a stub, the reference written out, what is special
about its inputs, and known mistakes. Everything else is drawn and found by the engine.
"""

import ast
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.exercises.engine import texts
from minitfm.exercises.engine.causes import cause, outsider
from minitfm.exercises.engine.chapter import Chapter
from minitfm.exercises.engine.compare import (
    close,
    one_number,
    open_type,
    preview,
    same,
    truths,
    wrong_dtype,
    wrong_shape,
    wrong_values,
)
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.explain import Explainer
from minitfm.exercises.engine.observe import (
    Outcome,
    blank,
    code_of,
    in_words,
    misfit,
    numbers_in,
    observe,
    parameters,
    unchanged,
    written_in,
)
from minitfm.exercises.engine.relate import (
    HUNDREDS,
    LITTLE,
    ZERO,
    Rows,
    constant,
    gradient_only,
    limit,
    one_case,
    relation,
    scaled,
    training,
    weighs_a_little,
    zeros,
)
from minitfm.exercises.engine.run import called, guarded, kept_state
from minitfm.exercises.engine.say import (
    CHANGED,
    CHANGED_LIST,
    ENDLESS,
    GRADIENT_LEFT,
    MIXED,
    RANDOM,
    REMEMBERS,
    Clock,
    gradient,
    one_edit,
    praise,
    raised,
    told,
)
from minitfm.exercises.engine.shapes import Shape, shapes
from minitfm.exercises.engine.show import Code, Result, Text, stars
from minitfm.exercises.engine.source import (
    Patch,
    build,
    defined,
    patched,
    patches,
    places,
    stub_of,
    under,
)

SECONDS = 4.0  # for all calls of a learner's code in one check


@dataclass(frozen=True)
class Mistake:
    """A known mistake: patches of the reference's source, or a whole wrong answer, and
    what to say about it.
    """

    name: str
    message: str
    patches: tuple[Patch, ...] = ()
    wrong: Any = None


class Task:
    """What every exercise has.

    Attributes:
        name: as a learner writes it.
        words: its title, statement, hints and messages.
        stub: the source text to fill in.
        source: the reference written out: the solution, and what the mistakes patch.
        mistakes: the catalogue of known mistakes.
        difficulty: from 1 to 5.
        minutes: what a learner may need.
        tries, passed, hints_seen: how far the learner has come.
    """

    def __init__(
        self,
        chapter: Chapter | None,
        name: str,
        *,
        difficulty: int,
        minutes: int,
        stub: str,
        solution: str,
        mistakes: tuple[Mistake, ...] = (),
        words: texts.Words | None = None,
    ) -> None:
        """Take the words from the chapter's file, unless they are given."""
        self.name, self.stub, self.source = name, stub, solution
        self.difficulty, self.minutes = difficulty, minutes
        if words is None:
            words = chapter.words[name] if chapter else texts.Words()
        self.words, self.mistakes = words, mistakes
        self.tries, self.passed, self.hints_seen = 0, False, 0
        if chapter is not None:
            chapter.add(self)

    @property
    def title(self) -> str:
        """As a heading."""
        return self.words.title or self.name.replace("_", " ")

    @property
    def statement(self) -> str:
        """What to do, as Markdown."""
        return self.words.statement

    @property
    def hints(self) -> tuple[str, ...]:
        """From a nudge to almost the answer."""
        return self.words.hints

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
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # for matrices this small, more only wait for others
        try:
            with kept_state(0):  # the cases draw numbers, too
                return self._grade(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            kind = type(error).__name__
            text = f"This answer could not be checked ({kind}); it behaves like nothing we know."
            return self._no(text)
        finally:
            torch.set_num_threads(threads)

    def _grade(self, answer: Any) -> Result:
        raise NotImplementedError

    def hint(self) -> Text:
        """Open the next hint; after the last one, the last one again."""
        count = len(self.hints)
        self.hints_seen = min(self.hints_seen + 1, count)
        rest = count - self.hints_seen
        more = (
            f"{rest} more: call `hint()` again."
            if rest
            else "That was the last; `solution()` shows the answer."
        )
        hint = self.hints[self.hints_seen - 1]
        return Text(f"**Hint {self.hints_seen} of {count}.** {hint} ({more})")

    def solution(self) -> Code:
        """Show the reference."""
        return Code(self.source)

    def _repr_markdown_(self) -> str:
        head = f"**{self.name}** {stars(self.difficulty)} · {self.minutes} min"
        return f"{head}\n\n{self.statement}"

    def __repr__(self) -> str:
        head = f"{self.name} {stars(self.difficulty)} {self.minutes} min"
        return f"{head}: {self.statement}"

    def _no(
        self, message: str, kind: Any = "error", mistakes: tuple[str, ...] = ()
    ) -> Result:
        return Result(self.name, False, message, kind, mistakes)

    def _not_attempted(self) -> Result:
        return self._no("not attempted yet.", "not attempted")


class Exercise(Task):
    """An exercise whose answer is a function, or a class of modules.

    The shapes in the stub's docstring say which standard inputs are drawn, see
    `standard`.
    """

    explains = True  # single edits are tried, unless an exercise says no

    def __init__(
        self,
        chapter: Chapter | None,
        name: str,
        *,
        difficulty: int,
        minutes: int,
        solution: str,
        doc: str = "",
        stub: str = "",
        package: Any = None,
        heart: Any = None,
        mistakes: str = "",
        wrong: Mapping[str, Any] | None = None,
        inputs: Callable[..., tuple[Any, ...]] | None = None,
        init: Callable[..., tuple[Any, ...]] = lambda **sizes: (),
        special: Callable[[Draw], list[Case]] = lambda draw: [],
        sizes: str = "",
        shapes: str = "",
        results: Sequence[tuple[str, str]] = (),
        axes: str = "",
        gradients: bool = True,
        ones: bool = False,
        without: Sequence[str] = (),
        zeros: Sequence[str] = (),
        equal: str = "",
        forms: Sequence[str] = (),
        typed: bool = False,
        explains: bool = True,
        names: Mapping[str, Any] | None = None,
        words: texts.Words | None = None,
    ) -> None:
        """Describe an exercise.

        Args:
            chapter: to which it belongs.
            name: as a learner writes it.
            difficulty: from 1 to 5.
            minutes: what a learner may need.
            solution: the reference written out.
            doc: the docstring of the stub, which says the shapes; the rest of the stub
                is the solution's.
            stub: what the learner fills in, where it differs from that.
            package: the package's own object, or a function that calls it: a test holds
                it equal to the solution, and a learner's answer may call it.
            heart: what the package's own calls and adds no more than a line to.
            mistakes: the known mistakes as patches of the solution, see
                `source.patches`; each has a message in the chapter's words.
            wrong: known mistakes that are whole wrong answers, by name.
            inputs: draws the arguments, ``inputs(draw, **sizes)``; without it they are
                normal numbers, whole numbers or masks, as the stub says.
            init: what a class is made with, ``init(**sizes)``.
            special: the calls that no other exercise needs.
            sizes: the names of the sizes to draw, if not those in the stub's arguments.
            shapes: shapes that the stub does not say, in the same words.
            results: name and axes of each result, where there are several.
            axes: the names of the result's axes, if not those behind the stub's arrow.
            gradients: compare gradients, too.
            ones: 1 and 0 will do for True and False.
            without: standard inputs that make no sense here, by their note.
            zeros: inputs that are all 0 in a case of their own, by name.
            equal: sizes that are equal in a case of their own.
            forms: other right answers, whose single edits explain wrong ones as well: a
                body each for the solution's last function.
            typed: a tensor must have the type of the right one, where no gradients are
                compared, too.
            explains: single edits of the solution are quoted; not where the quotation
                is the answer.
            names: what source and learner may use besides torch, F, nn and math.
            words: its words, if they are not in the chapter's file.
        """
        if words is None and chapter is not None:
            words = chapter.words[name]
        messages = words.messages if words else {}
        catalogue = [
            Mistake(one, messages.get(one, ""), patch)
            for one, patch in patches(mistakes).items()
        ]
        catalogue += [
            Mistake(one, messages.get(one, ""), (), answer)
            for one, answer in (wrong or {}).items()
        ]
        stub = stub or stub_of(solution, doc)
        super().__init__(
            chapter,
            name,
            difficulty=difficulty,
            minutes=minutes,
            stub=stub,
            solution=solution,
            mistakes=tuple(catalogue),
            words=words,
        )
        self.package, self.heart = package, heart
        self.names = dict(names or {})
        self.forms = tuple(under(solution, form) for form in forms)
        self.zeros, self.equal = tuple(zeros), equal.split()
        self.gradients, self.without = gradients, tuple(without)
        self.typed = typed
        self.ones, self.explains = ones, explains and self.explains
        self.special, self._inputs, self._init = special, inputs, init
        given, made = _documented(stub, shapes)
        self.shapes = {shape.name: shape for shape in given}
        self.results = tuple(
            (name, tuple(axis.replace("-", " - ") for axis in axes.split()))
            for name, axes in results
        )
        if not self.results:
            told = made[0].axes if made else ()
            self.results = (("", tuple(axes.split()) if axes else told),)
        self.sizes = sizes.split() or _sizes_of(given)
        self._built: dict[tuple[Mistake, ...], Any] = {}
        self._truth: list[tuple[Case, Outcome]] = []
        self.explainer = Explainer(self)

    # The reference and what is wrong with it

    @cached_property
    def inputs(self) -> list[str]:
        """The names of the arguments."""
        return parameters(self.implementation())

    @property
    def reference(self) -> Any:
        """What decides: the solution."""
        return self.implementation()

    @property
    def name_in_source(self) -> str:
        """What the stub calls the function or class."""
        return defined(self.source)

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
        if len(mistakes) == 2:
            first, second = (places(self.source, one.patches) for one in mistakes)
            if first & second:
                return None
        all_patches = tuple(patch for one in mistakes for patch in one.patches)
        source = patched(self.source, all_patches)
        if source is None:
            return None
        return build(source, self.name_in_source, self.names)

    # The inputs

    def cases(self, draw: Draw) -> list[Case]:
        """The calls to compare on: the special ones, and the standard ones."""
        return [*self.special(draw), *self.standard(draw)]

    def standard(self, draw: Draw) -> list[Case]:
        """What every exercise is tried on, drawn from the shapes in its stub: plain
        numbers, each size 1, float32, numbers of size 100 and 1e-3, tensors that are
        views, gradients, a row that may attend to nothing; optional arguments left out
        and given.
        """
        if self._inputs is None and not self._drawable:
            return []
        cases = []
        for note, fixed, options in self._kinds():
            if note not in self.without:
                cases.append(self._case(draw, note, fixed, **options))
        sizes = next(
            (case.sizes for case in cases if min(case.sizes.values(), default=1) > 1),
            None,
        )
        if sizes:  # whoever remembers by shape is found out
            cases.append(
                self._case(draw, "with other numbers in the same sizes", sizes)
            )
        optional = self._optional
        if sizes and optional and isinstance(self.reference, type):
            # and a layer that remembers what may be left out
            note = f"without {optional}, after a call with it"
            cases.append(self._case(draw, note, sizes, bare=True))
        return cases

    @property
    def _optional(self) -> str:
        """The inputs that may be left out, in words."""
        return " and ".join(
            f"`{shape.name}`" for shape in self.shapes.values() if shape.optional
        )

    @property
    def _drawable(self) -> bool:
        """Whether the stub says the shape of every argument."""
        optional = self._defaults
        return bool(self.shapes) and all(
            name in self.shapes or name in optional for name in self.inputs
        )

    @cached_property
    def _plain(self) -> tuple[Any, ...]:
        """Some inputs."""
        draw = Draw()
        return self._drawn(draw, draw.sizes(" ".join(self.sizes)))

    @cached_property
    def _defaults(self) -> set[str]:
        """The arguments that may be left out."""
        tree = ast.parse(self.stub)
        function = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        ][-1]
        count = len(function.args.defaults)
        return {
            one.arg for one in function.args.args[len(function.args.args) - count :]
        }

    def _kinds(self) -> list[tuple[str, dict[str, int], dict[str, Any]]]:
        """Note, fixed sizes and options of the standard cases."""
        optional = bool(self._optional)
        masked = [s.name for s in self.shapes.values() if s.kind == "true"]
        numeric = any(map(_has_numbers, self._plain))
        names = self._optional
        kinds: list[tuple[str, dict[str, int], dict[str, Any]]] = []
        if optional:
            kinds.append((f"without {names}", {}, {"bare": True}))
        kinds.append((f"with {names}" if optional else "with plain inputs", {}, {}))
        kinds += [(f"with {size} = 1", {size: 1}, {}) for size in self.sizes]
        if self.equal:
            note = f"with {' = '.join(self.equal)}"
            kinds.append((note, dict.fromkeys(self.equal, 4), {}))
        kinds.append(("with inputs that are views", {}, {"view": True}))
        if numeric:
            larger = {size: 17 + i for i, size in enumerate(self.sizes)}
            if not isinstance(self.reference, type):
                kinds.append(("with sizes around 20", larger, {}))
            if numbers_in(self._plain[0]):
                note = "where the first input is all 0"
                kinds.append((note, {}, {"zero": self.inputs[0]}))
            kinds += [
                ("in float32", {}, {"dtype": torch.float32}),
                (HUNDREDS, {}, {"spread": 100.0}),
                ("with numbers of size 0.001", {}, {"spread": 0.001}),
            ]
            kinds += [
                (
                    f"where `{names.replace(' ', '` and `')}` is all 0",
                    {},
                    {"zero": names},
                )
                for names in self.zeros
            ]
        if masked and optional:
            note = "with a mask that leaves a row nothing"
            kinds.append((note, {}, {"empty": True}))
            if numeric:  # scores of −10,000 that are allowed
                kinds.append(("with numbers of size 1000", {}, {"spread": 1000.0}))
        if numeric and self.gradients:
            plain = {"grad": True, "spread": 0.5}
            kinds.append(("gradients", {}, plain))
            if optional:
                kinds.append(
                    (f"gradients, without {names}", {}, plain | {"bare": True})
                )
            if masked and optional:
                note = "gradients, with a mask that leaves a row nothing"
                kinds.append((note, {}, plain | {"empty": True}))
        return kinds

    def _case(
        self,
        draw: Draw,
        note: str,
        fixed: Mapping[str, int],
        *,
        bare: bool = False,
        view: bool = False,
        zero: str = "",
        grad: bool = False,
        **options: Any,
    ) -> Case:
        sizes = {**draw.sizes(" ".join(self.sizes)), **fixed} if self.sizes else {}
        with draw.like(**options):
            args = self._drawn(draw, sizes)
        if bare:
            count = sum(shape.optional for shape in self.shapes.values())
            args = args[: len(args) - count]
        args = tuple(
            torch.zeros_like(arg)
            if name in zero.split()
            and isinstance(arg, Tensor)
            and arg.is_floating_point()
            else arg
            for name, arg in zip(self.inputs, args)
        )
        if view:
            args = tuple(as_view(arg) for arg in args)
        odd = view or bool(zero) or "spread" in options or "dtype" in options
        return Case(args, self._init(**sizes), note, sizes, grad, odd=odd and not grad)

    def _drawn(self, draw: Draw, sizes: dict[str, int]) -> tuple[Any, ...]:
        if self._inputs is not None:
            return self._inputs(draw, **sizes)
        known = (self.shapes[name] for name in self.inputs if name in self.shapes)
        return tuple(_tensor(draw, shape, sizes) for shape in known)

    def truth(self) -> list[tuple[Case, Outcome]]:
        """The cases with what the reference gives."""
        if not self._truth:
            cases = self.cases(Draw())
            self._truth = [(case, self.observe(self.reference, case)) for case in cases]
        return self._truth

    def observe(
        self,
        candidate: Any,
        case: Case,
        seconds: float = 60.0,
        seed: int = 0,
        after: tuple[Any, ...] = (),
    ) -> Outcome:
        """Run one implementation on one case, a module perhaps ``after`` it was called
        with something else.
        """
        outcome = observe(
            self.reference,
            candidate,
            case,
            self.inputs,
            seconds,
            seed,
            tuple((name, len(axes)) for name, axes in self.results)
            if len(self.results) > 1
            else (),
            not self.gradients,
            self._number,
            after,
        )
        outcome.typeless = outcome.typeless and not self.typed
        if self.ones:
            outcome.values = tuple(map(truths, outcome.values))
        return outcome

    @property
    def _number(self) -> bool:
        """Whether one number is due, which may have decimals."""
        values = self._truth[0][1].values if self._truth else ()
        return not self.gradients and len(values) == 1 and one_number(values[0])

    # The verdict

    def passes(self, answer: Any) -> bool:
        """Whether an answer is right, and nothing else: no explanation is looked for."""
        truth = self.truth()
        return all(
            same(self.observe(answer, truth[i][0]), truth[i][1])
            for i in self.explainer.order
        )

    def _grade(self, answer: Any) -> Result:
        problem = self._unusable(answer)
        if problem:
            return self._no(problem)
        outcomes: list[Outcome] = []
        cases = self.truth()
        clock, modules = Clock(SECONDS), len(sys.modules)
        for case, _ in cases:
            with clock:
                outcomes.append(self.observe(answer, case, clock.left))
            if outcomes[-1].stopped and len(sys.modules) > modules:
                # the first call of a library loads it; that is not the learner's time
                clock, modules = Clock(SECONDS), len(sys.modules)
                with clock:
                    outcomes[-1] = self.observe(answer, case, clock.left)
            verdict = self._hopeless(answer, outcomes[-1], case)
            if verdict is not None:  # a result that did not pass is false
                return verdict
        pairs = zip(outcomes, self.truth())
        if not all(same(outcome, truth) for outcome, (_, truth) in pairs):
            return self._explain(answer, outcomes)
        own = code_of(self.package), code_of(self.heart)
        with called(*own) as calls, clock:
            again = self.observe(answer, self.truth()[0][0], clock.left, seed=1)
        if not again.stopped and not same(again, outcomes[0]):
            return self._no(RANDOM, "unknown mistake")
        if isinstance(self.reference, type) and self._remembers(answer, clock):
            return self._no(REMEMBERS, "unknown mistake", ("kept in the layer",))
        printed = any(outcome.printed for outcome in outcomes)
        return Result(self.name, True, praise(bool(calls), printed), "right")

    def _remembers(self, answer: Any, clock: Clock) -> bool:
        """Whether a layer gives another result after a call with other inputs."""
        truth = [(case, due) for case, due in self.truth() if due.values]
        for (before, _), (case, due) in pairwise(truth):
            if before.init != case.init or before.types != case.types:
                before = self._another(case)
            with clock:
                second = self.observe(answer, case, clock.left, after=before.args)
            if second.raised or (not second.stopped and not same(second, due)):
                return True
        return False

    def _another(self, case: Case) -> Case:
        """The same call with other numbers."""
        turned = tuple(
            arg.flip(0, 1) * 1.5 + 0.1 if numbers_in(arg) and arg.ndim > 1 else arg
            for arg in case.args
        )
        return replace(case, args=turned)

    def _unusable(self, answer: Any) -> str:
        a_class = isinstance(self.reference, type)
        got = in_words(answer)
        if a_class and not issubclass(type(answer), type):
            made = (
                " Give the class itself, without parentheses."
                if hasattr(type(answer), "forward")
                else ""
            )
            return f"This exercise checks a class, `{self.name_in_source}`; it got {got}.{made}"
        if not a_class and (not callable(answer) or issubclass(type(answer), type)):
            got = "a class" if issubclass(type(answer), type) else got
            name = self.name_in_source
            called = (
                f" Give the function itself, not what it returns: `check({name})`."
                if isinstance(answer, Tensor | tuple | list)
                else ""
            )
            return f"This exercise checks a function of ({', '.join(self.inputs)}); it got {got}.{called}"
        case = max((case for case, _ in self.truth()), key=lambda case: len(case.args))
        target = getattr(answer, "forward", None) if a_class else answer
        args = (None, *case.args) if a_class and target is not None else case.args
        # an object may raise what it likes when asked
        named = self.inputs[len(case.args) - case.named : len(case.args)]
        trouble = guarded(misfit, target, args, named, seconds=1.0).value
        who = "`forward`" if a_class else "The function"
        if not trouble:
            return ""
        return f"{who} must take ({', '.join(self.inputs)}): {trouble}."

    def _hopeless(self, answer: Any, outcome: Outcome, case: Case) -> Result | None:
        """What ends a check at once."""
        if outcome.stopped:
            return self._no(ENDLESS)
        error = outcome.raised
        # the stub's own line; torch raises one, too, and says why
        stub = error and (not error.text or "raise " in error.line)
        if error and error.kind == "NotImplementedError" and stub:
            return self._not_attempted()
        if error and error.kind == "RecursionError":  # each case would take seconds
            said = self._raised(outcome, case)
            if case is not self.truth()[0][0]:  # it does end, only too late
                said = f"It calls itself until Python stops it, some 1,000 calls deep ({case.note}). With less to do it came back: a loop in place of the calls has no such limit."
            return self._no(said, "error", ("calls itself",))
        if outcome.strange.startswith("None") and blank(answer):
            return self._not_attempted()
        if outcome.strange:
            due = "one number" if self._number else "a tensor"
            what = f"It should return {due}; it returned {outcome.strange}."
            if self.gradients and outcome.strange in ("a float", "an int"):
                what += (
                    " A bare number has no gradient: leave out `.item()` or `float(…)`."
                )
            return self._no(what, "error", (f"returns {outcome.strange}",))
        return None

    def _explain(self, answer: Any, outcomes: list[Outcome]) -> Result:
        explain = self.explainer
        first = explain.smallest(outcomes)
        (case, truth), outcome = self.truth()[first], outcomes[first]
        stranger = outsider(answer, self.inputs)
        if stranger:
            return self._no(stranger, "known mistake", ("a variable of the notebook",))
        for k, name in enumerate(self.inputs if len(self.results) == 1 else ()):
            if all(
                k < len(one.args) and returned(seen, one.args[k])
                for (one, _), seen in zip(self.truth(), outcomes)
            ):
                said = f"It returns its input `{name}` as it came."
                return self._no(said, "unknown mistake", ("an input returned",))
        # many mistakes raise the same: what the learner wrote decides among them
        written = written_in(answer) if self._only_raises(outcomes) else None
        found = explain.known(outcomes, written)
        if found:
            return self._told(found, outcome)
        lists = [
            name
            for name, arg in zip(self.inputs, case.args)
            if isinstance(arg, list | tuple)
        ]
        for seen in outcomes:
            if seen.changed:
                name, _, left = seen.changed[0].partition(".")
                said = CHANGED_LIST if name in lists else CHANGED
                said = GRADIENT_LEFT if left == "grad" else said
                told_so = said.format(name=name if left == "grad" else seen.changed[0])
                return self._no(told_so, "unknown mistake", ("an input overwritten",))
        again = self.observe(answer, self.truth()[0][0], SECONDS, seed=1)
        if not again.stopped and not same(again, outcomes[0]):
            return self._no(RANDOM, "unknown mistake", ("not the same twice",))
        rows = [(row[0], seen, row[1]) for row, seen in zip(self.truth(), outcomes)]
        if outcome.wrapped and outcome.values[0].ndim == truth.values[0].ndim + 1:
            said = f"It should return a tensor; it returned {outcome.wrapped} with one in it. Return the tensor alone."
            if "autograd.grad(" in written_in(answer):
                said += " `torch.autograd.grad(…)` returns a tuple: `[0]` takes its first out."
            return self._no(said, "unknown mistake", ("a tuple around it",))
        name, said = constant(rows)
        if name:
            message = self._difference(rows, case, outcome, truth)
            message = message.replace(" Everything is 0.", "")
            return self._no(f"{said} {message}", "unknown mistake", (name,))
        telling = self._telling(outcomes)
        edit = explain.edit(outcomes, written) if self.explains and telling else None
        if edit is not None:
            said = one_edit(edit)
            if outcome.raised:
                said = f"{self._raised(outcome, case)} {said}"
            return self._no(said, "single edit", (str(edit),))
        name, said = relation(rows, self.results)
        if not name:
            name, said = scaled(rows)
        if name:
            message = self._difference(rows, case, outcome, truth)
            message = message if said in message else f"{said} {message}"
            return self._no(message, "unknown mistake", (name,))
        found = explain.pair(outcomes) if telling and written is None else []
        if found:
            return self._told(found, outcome)
        if outcome.raised:
            why = outcome.raised.complaint or cause(outcome.raised, case)
            named = ("what the error means",) if why else ()
            return self._no(self._raised(outcome, case), "error", named)
        name, said = limit(rows)
        if not name:
            name, said = zeros(rows)
        if not name:
            drops = any("dropout" in row[0].note for row in rows)
            name, said = training(rows, drops or "dropout" in self.source)
        if not name and gradient_only(rows):
            name = "the gradient"
        if not name and self._right_alone(answer, rows):
            name, said = "rows mixed", MIXED
        message = self._difference(rows, case, outcome, truth)
        scores = "softmax" in self.source  # elsewhere nothing has a weight
        if not name and scores and weighs_a_little(rows):
            name, said = "weighs a little", LITTLE
        if not name:
            name, said = one_case(rows)
        return self._no(
            f"{said} {message}".strip(), "unknown mistake", (name,) * bool(name)
        )

    def _right_alone(self, answer: Any, rows: Rows) -> bool:
        """Whether every row of a batch gets the right result when it comes by itself,
        and a wrong one among the others.
        """
        if isinstance(self.reference, type) or self.results[0][1][:1] != ("batch",):
            return False
        failed = [
            (case, got, want)
            for case, got, want in rows
            if case.sizes.get("batch", 1) > 1 and not case.grad and not same(got, want)
        ]
        for case, _, want in failed[:2]:
            size = case.sizes["batch"]
            if any(len(value) != size for value in want.values):
                return False
            for i in range(size):
                args = tuple(
                    self._row(name, arg, i) for name, arg in zip(self.inputs, case.args)
                )
                alone = Case(args, case.init, sizes={**case.sizes, "batch": 1})
                due = Outcome(
                    tuple(value[i : i + 1] for value in want.values), plain=want.plain
                )
                if not same(self.observe(answer, alone, 1.0), due):
                    return False
        return bool(failed)

    def _row(self, name: str, arg: Any, i: int) -> Any:
        """What row ``i`` of a batch gets for this input."""
        shape = self.shapes.get(name)
        rows = shape is not None and shape.axes[:1] == ("batch",)
        return arg[i : i + 1] if rows and isinstance(arg, Tensor) else arg

    def _telling(self, outcomes: list[Outcome]) -> bool:
        """Whether edits that give the same say something. They do not where all that
        they have in common with the answer is an error without a number in it that is
        explained already.
        """
        return any(
            not (
                error.complaint
                or (cause(error, case) and not re.search(r"\d", error.text))
            )
            if (error := outcome.raised)
            else not same(outcome, truth) and not nothing_but_nan(outcome)
            for (case, truth), outcome in zip(self.truth(), outcomes)
        )

    def _only_raises(self, outcomes: list[Outcome]) -> bool:
        """Whether all that fails ends in an exception."""
        return all(
            outcome.raised or same(outcome, due)
            for outcome, (_, due) in zip(outcomes, self.truth())
        )

    def _told(self, found: Any, outcome: Outcome) -> Result:
        every = [getattr(one, "name", str(one)) for several in found for one in several]
        error = outcome.raised
        where = f" ({error.kind} in {error.line})" if error and error.line else ""
        names = tuple(dict.fromkeys(every))
        return self._no(told(found) + where, "known mistake", names)

    def _raised(self, outcome: Outcome, case: Case) -> str:
        assert outcome.raised is not None
        why = "" if outcome.raised.complaint else cause(outcome.raised, case)
        return f"{raised(outcome, case)} {why}".strip()

    def _difference(
        self, rows: Any, case: Case, outcome: Outcome, truth: Outcome
    ) -> str:
        seen = (row for row in rows if row[0].device != "meta")  # numbers to see
        good = {row[0].note for row in seen if same(row[1], row[2])}
        good -= {row[0].note for row in rows if row[0] is case}
        # that zeros come out right says nothing
        fine = sorted(note for note in good if note and not note.endswith(ZERO))
        more = f" and {len(fine) - 3} more" if len(fine) > 3 else ""
        tail = f" (Right already: {'; '.join(fine[:3])}{more}.)" if fine else ""
        part = next(
            (
                i
                for i, (got, want) in enumerate(zip(outcome.values, truth.values))
                if not close(got, want, open_type(outcome))
            ),
            None,
        )
        name, axes = self.results[part or 0]
        note = f"{case.note[:1].upper()}{case.note[1:]}" if case.note else ""
        note = f"{note} (`{name}`)" if name else note
        note = f"{note}: " if note else ""
        if part is None:
            return note + gradient(outcome, truth) + tail
        got, want = outcome.values[part], truth.values[part]
        if got.device != want.device:
            return f"The result is on {got.device}, the inputs are on {want.device}: make new tensors where `x.device` is."
        if got.shape != want.shape:
            return note + wrong_shape(got, want, axes, case) + tail
        floats = got.is_floating_point() and want.is_floating_point()
        alike = open_type(outcome) and floats
        if got.dtype != want.dtype and not alike:
            return note + wrong_dtype(got, want) + tail
        got = got.to(want.dtype) if alike else got
        shown = preview(case, self.inputs, got, want)
        return (
            note + wrong_values(got, want, axes, self.words.says, case) + tail + shown
        )


def returned(outcome: Outcome, arg: Any) -> bool:
    """Whether what came out is this input."""
    if outcome.excused or not isinstance(arg, Tensor):
        return outcome.excused
    return len(outcome.values) == 1 and unchanged(outcome.values[0], arg)


def nothing_but_nan(outcome: Outcome) -> bool:
    """Whether every number is NaN, for which there are too many ways."""
    return bool(outcome.values) and all(
        one.is_floating_point()
        and one.device.type != "meta"
        and bool(one.isnan().all())
        for one in outcome.values
    )


def _has_numbers(arg: Any) -> bool:
    """Whether there are floating-point numbers in an input."""
    return numbers_in(arg) or isinstance(arg, nn.Module | list)


def _documented(stub: str, more: str) -> tuple[list[Shape], list[Shape]]:
    """The shapes in the docstring of the stub's last function."""
    functions = [
        node for node in ast.walk(ast.parse(stub)) if isinstance(node, ast.FunctionDef)
    ]
    text = ast.get_docstring(functions[-1]) if functions else ""
    given, made = shapes(text or "")
    return [*given, *shapes(more)[0]], made


def _sizes_of(given: list[Shape]) -> list[str]:
    return list(dict.fromkeys(name for shape in given for name in shape.names))


def _tensor(draw: Draw, shape: Shape, sizes: dict[str, int]) -> Tensor:
    size = shape.sizes(sizes)
    if shape.kind == "whole":
        return draw.ids(0, 9, *size)
    return draw.mask(*size) if shape.kind == "true" else draw.normal(*size)


def as_view(arg: Any) -> Any:
    """The same numbers, lying in memory in another order."""
    if not isinstance(arg, Tensor) or arg.ndim < 2:
        return arg
    return arg.transpose(0, 1).contiguous().transpose(0, 1)
