"""The checker's sentences, and the small questions it asks to choose among them."""

from typing import Any

from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.edits import Edit
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.run import Stopwatch

ENDLESS = "It was stopped after some seconds: a loop in it never ends, or is far too slow. What ends the loop?"
RANDOM = (
    "The same inputs gave another result the second time. Something in it is random (dropout in evaluation mode?), was "
    "never filled in (`torch.empty`), or is remembered from call to call."
)
CHANGED = (
    "Your code overwrites its input `{name}` (`+=`, `*=`, `masked_fill_`, `x[i] = …` change the caller's tensor). "
    "Write into a new tensor: `x = x + 1`, `x.masked_fill(…)`, or work on `x.clone()`."
)
CHANGED_LIST = (
    "Your code overwrites its input `{name}`: what changes a list in place (`sort`, `reverse`, `pop`, `remove`, `append`, "
    "`x[i] = …`), or what stands in it, changes the caller's own. Work on a copy, `list({name})` or `sorted({name})`."
)
GRADIENT_LEFT = (
    "The first call is right, but it leaves a gradient on the caller's `{name}`: `backward` adds to `{name}.grad`, so a "
    "second call on the same tensor gives twice as much. Work on `{name}.detach().clone().requires_grad_()`, or ask with "
    "`torch.autograd.grad`."
)
REMEMBERS = (
    "A new layer gives the right result the first time it is called, and a wrong one the second time, with other "
    "inputs: something that belongs to one call is kept in the layer (`self.… = …` in `forward`). Use plain variables."
)
MIXED = (
    "Each row of the batch by itself comes out right, several at once do not: something mixes the rows, or takes from one "
    "of them what each has of its own (an axis, `[0]`, a number handed on from row to row)."
)
CUT = "`.detach()`, `.data`, `.item()`, `torch.tensor(…)`, NumPy and `torch.no_grad()` cut it."
GRADIENT = "The values are right, the gradient is not: "


def gradient(got: Outcome, want: Outcome) -> str:
    """What is wrong with a gradient: it is NaN, it was cut, or it was changed."""
    pairs = list(zip(got.gradients, want.gradients))
    if any(a.isnan().any() and not b.isnan().any() for a, b in pairs):
        return f"{GRADIENT}it is NaN. 0 · ∞ does that, where a branch that is not taken is differentiated, too (√0, log 0, `torch.where`)."
    if any(not a.any() and b.any() for a, b in pairs):
        return f"{GRADIENT}it does not flow everywhere it should. {CUT}"
    return f"{GRADIENT}it is another one. A part of it was cut on one way and not on the other (`.detach()`), or something scales or limits it on its way back."


class Clock:
    """The time left for a learner's code in one check; it runs inside the `with`
    blocks.
    """

    def __init__(self, seconds: float) -> None:
        """Start with so many seconds left."""
        self.left = seconds

    def __enter__(self) -> None:
        self.watch = Stopwatch()

    def __exit__(self, *error: object) -> None:
        self.left = max(0.05, self.left - self.watch.seconds)


def praise(calls_reference: bool, printed: bool) -> str:
    """What to say of a right answer."""
    said = "right."
    if calls_reference:
        said += " It calls the package's own function, which is your right; try it once from the formula alone."
    if printed:
        said += " (It printed something while it was checked; that is not shown here.)"
    return said


def told(found: list[tuple[Any, ...]]) -> str:
    """The messages of the explanations, all of them where several fit equally well."""
    texts = [" And: ".join(map(message, mistakes)) for mistakes in found[:3]]
    several = "Two mistakes at once. " if len(found[0]) == 2 else ""
    if len(texts) == 1:
        return several + texts[0]
    return f"{several}Several explanations fit equally well. " + " Or: ".join(texts)


def message(mistake: Any) -> str:
    """What is said of a known mistake, or of an edit."""
    if isinstance(mistake, Edit):
        return f"{mistake.kind}, {mistake}."
    return str(mistake.message)


def one_edit(edit: Edit) -> str:
    """What is said of an answer that one edit of the reference gives."""
    if edit.detached:
        way = f"through `{edit.detached}`" if len(edit.detached) < 16 else "everywhere"
        return f"{GRADIENT}it does not flow {way}. {CUT}"
    kind = f"{edit.kind[:1].upper()}{edit.kind[1:]}"
    return f"{kind}: exactly this comes out with {edit}."


def raised(outcome: Outcome, case: Case) -> str:
    """An exception in the learner's code, with the line where it arose."""
    error = outcome.raised
    assert error is not None
    if error.complaint:
        return error.text
    note = f" ({case.note})" if case.note else ""
    where = f" in {error.line}" if error.line else ""
    what = (
        f"`{error.kind}: {error.text}`".replace(": `", "`").replace("``", "`")
        if error.text
        else f"`{error.kind}`"
    )
    if error.kind == "RecursionError":
        return f"It calls itself without end{where}{note}."
    if error.kind in ("SystemExit", "GeneratorExit"):
        return f"It raises `{error.kind}`{where}{note}; a function ends with `return`."
    shapes = ", ".join(f"{name} {size}" for name, size in case.sizes.items())
    return f"It raised {what}{where}{note}." + (
        f" The sizes were: {shapes}." if shapes else ""
    )
