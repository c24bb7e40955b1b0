"""Find what gives exactly the learner's outcomes: a known mistake, one edit of a right
answer, or two at once.

Everything is computed once in a process and kept, and limited by count, never by the
clock: an answer gets the same words on every machine.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import combinations, islice
from typing import TYPE_CHECKING, Any

from minitfm.exercises.engine.compare import same
from minitfm.exercises.engine.edits import Edit, edits
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.source import build, defined, patched, places

if TYPE_CHECKING:
    from minitfm.exercises.engine.exercise import Exercise, Mistake

EDITS = 500  # single edits compared with one answer
USUAL = 30  # of them in pairs
PAIRS = 250
LIKELIEST = 32  # known mistakes of which all pairs are tried

Found = list[tuple["Mistake | Edit", ...]]


class Explainer:
    """What is wrong with an answer to one exercise."""

    def __init__(self, exercise: "Exercise") -> None:
        """Nothing is computed before an answer fails."""
        self.exercise = exercise
        self._outcomes: dict[tuple[Any, int], Outcome] = {}
        self._built: dict[Any, Any] = {}

    @cached_property
    def order(self) -> list[int]:
        """The cases, the smallest first."""
        cases = [case for case, _ in self.exercise.truth()]
        return sorted(range(len(cases)), key=lambda i: (cases[i].weight, i))

    @cached_property
    def sources(self) -> list[tuple[str, list[Edit]]]:
        """The reference and its other forms, with all their edits."""
        source, forms = self.exercise.source, self.exercise.forms
        others = [(text, edits(text, "another right answer")) for text in forms]
        return [(source, edits(source)), *others]

    def smallest(self, outcomes: list[Outcome]) -> int:
        """The smallest case that failed."""
        truth = self.exercise.truth()
        return next(i for i in self.order if not same(outcomes[i], truth[i][1]))

    def known(self, outcomes: list[Outcome], written: str | None = None) -> Found:
        """The known mistakes that give exactly these outcomes; of several those that
        are ``written`` there, if any is.
        """
        first = self.smallest(outcomes)
        found = [
            one
            for one in self.exercise.mistakes
            if self._gives(one.name, outcomes, first, one)
        ]
        if written and len(found) > 1:
            seen = [
                one
                for one in found
                if one.patches and all(stands(new, written) for _, new in one.patches)
            ]
            found = seen or found
        return [(one,) for one in found]

    def edit(self, outcomes: list[Outcome], written: str | None = None) -> Edit | None:
        """The first single edit that does; where something is ``written``, only one
        that stands in it.
        """
        first = self.smallest(outcomes)
        for source, edit in islice(self._edits(), EDITS):
            if written is not None and not (
                stands(edit.now, written) and not stands(edit.was, written)
            ):
                continue
            key = source, edit.label, edit.start
            if self._gives(key, outcomes, first, source, edit):
                return edit
        return None

    def _edits(self) -> Iterator[tuple[str, Edit]]:
        for source, found in self.sources:
            for edit in found:
                yield source, edit

    def pair(self, outcomes: list[Outcome]) -> Found:
        """Two known mistakes, or one and a usual edit, that do; of the likeliest known
        ones, which an exercise names first, all pairs.
        """
        mistakes = [one for one in self.exercise.mistakes if one.wrong is None]
        known = list(combinations(mistakes[:LIKELIEST], 2))
        usual = self.sources[0][1][:USUAL]
        mixed = [(one, edit) for edit in usual for one in mistakes]
        first = self.smallest(outcomes)
        found: Found = []
        for pair in known:
            both: Any = tuple(one.name for one in pair)
            if self._gives(both, outcomes, first, *pair):
                found.append(pair)
        if found:
            return found
        for one, edit in mixed[: max(0, PAIRS - len(known))]:
            both = (one.name, edit.label, edit.start)
            if self._gives(both, outcomes, first, one, edit):
                return [(one, edit)]
        return []

    def _gives(self, key: Any, outcomes: list[Outcome], first: int, *what: Any) -> bool:
        """Whether an implementation gives exactly these outcomes, asked of the smallest
        case that failed, ``first``, before all others. Where an answer fails without dropout, what it draws
        with dropout does not matter: a call more draws other numbers.
        """
        candidate = self._candidate(key, what)
        if candidate is None:
            return False
        due = self.exercise.truth()[first][1]
        if same(self._outcome(key, candidate, first), due):
            return False  # it changes nothing here, so it explains nothing
        cases = [case for case, _ in self.exercise.truth()]
        rest = [
            i
            for i in self.order
            if i != first and (cases[first].train or not cases[i].train)
        ]
        return all(
            same(self._outcome(key, candidate, i), outcomes[i]) for i in (first, *rest)
        )

    def _candidate(self, key: Any, what: tuple[Any, ...]) -> Any:
        if key not in self._built:
            self._built[key] = self._make(what)
        return self._built[key]

    def _make(self, what: tuple[Any, ...]) -> Any:
        exercise, source = self.exercise, self.exercise.source
        if isinstance(what[0], str):
            source, edit = what
            return compiled(edit.apply(source), exercise.names)
        if not isinstance(what[-1], Edit):
            return exercise.implementation(*what)
        one, edit = what
        if places(source, one.patches) & set(range(edit.start, edit.end)):
            return None
        text = patched(edit.apply(source), one.patches)
        return None if text is None else compiled(text, exercise.names)

    def _outcome(self, key: Any, candidate: Any, index: int) -> Outcome:
        if (key, index) not in self._outcomes:
            case = self.exercise.truth()[index][0]
            outcome = self.exercise.observe(candidate, case)
            self._outcomes[key, index] = outcome
        return self._outcomes[key, index]


def stands(piece: str, text: str) -> bool:
    """Whether a piece of code stands in a text, however it is spaced."""
    piece, text = ("".join(one.split()) for one in (piece, text))
    return bool(piece) and piece in text


def compiled(source: str, names: dict[str, Any]) -> Any:
    """What a source with an edit in it defines, every loop in it ended at last; None if
    it cannot even be defined.
    """
    try:
        return build(source, defined(source), names, limit=2000)
    except Exception:
        return None
