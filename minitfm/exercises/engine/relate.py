"""What an answer's results have to do with the right ones, in all cases alike.

A sentence from here is a fact about the numbers, whatever the code looks like: it is
said only where it holds in every case.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from minitfm.exercises.engine.compare import (
    TOLERANCE,
    close,
    open_type,
    same,
    times,
    wrong_dtype,
)
from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.observe import Outcome, numbers_in

Rows = list[tuple[Case, Outcome, Outcome]]  # each with what came out, and the right
Axes = tuple[str, ...]
Relation = tuple[str, str]  # its name, and the sentence
ROUNDED = 4  # decimal places, at most
ZERO = "is all 0"
LITTLE = "It is almost right, and quite right where nothing is masked: what is masked has a small share in the softmax's sum, or a small constant stands in a division. A masked score is −∞, and no other number."
HUNDREDS = "with numbers of size 100"
POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "the negative": torch.neg,
    "the square": torch.square,
    "the root": torch.sqrt,
    "the inverse": torch.reciprocal,
    "the exponential": torch.exp,
    "the logarithm": torch.log,
    "the size without the sign": torch.abs,
}


def relation(rows: Rows, results: tuple[tuple[str, Axes], ...]) -> Relation:
    """The first relation that holds in all cases; two empty texts where none does."""
    rows = [row for row in rows if not (row[1].excused or row[2].excused)]
    count = len(results)
    if not all(len(got.values) == len(want.values) == count for _, got, want in rows):
        return "", ""
    wrong = [i for i in range(count) if not all(_agree(row, i) for row in rows)]
    if not wrong:
        return "", ""
    names = [f"`{results[i][0]}`" for i in wrong]
    whose = f"Each of {' and '.join(names)}" if len(wrong) > 1 else f"Your {names[0]}"
    whose = whose if results[wrong[0]][0] else "Your result"
    axes = results[wrong[0]][1]
    pairs = [(got.values[i], want.values[i]) for _, got, want in rows for i in wrong]
    telling = [(a, b) for a, b in pairs if not close(a, b)]
    telling.sort(key=lambda pair: -pair[1].numel())
    if any("meta" in (got.device.type, want.device.type) for got, want in telling):
        return "", ""
    # a right result without data says nothing of a relation
    pairs = [(got, want) for got, want in pairs if want.device.type != "meta"]
    if not telling:
        return "", ""
    varied = len({number for _, want in pairs for number in want.flatten().tolist()})
    for what, sentence, make in _relations(*telling[0], axes, varied > 4):
        if all(_fits(make, got, want) for got, want in pairs):
            return what, sentence.format(whose=whose)
    return "", ""


def _agree(row: tuple[Case, Outcome, Outcome], part: int) -> bool:
    _, got, want = row
    return close(got.values[part], want.values[part], open_type(got))


def _fits(make: Callable[[Tensor], Tensor], got: Tensor, want: Tensor) -> bool:
    """Whether the relation makes of the right result what came out."""
    try:
        made = make(want)
    except (IndexError, RuntimeError):
        return False
    return bool(made.isfinite().all()) and close(got, made)


Made = tuple[str, str, Callable[[Tensor], Tensor]]


def _relations(got: Tensor, want: Tensor, axes: Axes, varied: bool) -> Iterator[Made]:
    """What may hold, asked of the largest case in which the two differ. Few numbers
    always have some relation, so only ``varied`` ones are asked for it.
    """
    names = axes if len(axes) == want.ndim else tuple(map(str, range(want.ndim)))
    if got.dtype != want.dtype:
        if got.is_complex():
            return
        if got.is_floating_point() or torch.equal(want, want.to(got.dtype).to(want)):
            said = wrong_dtype(got, want).replace("{", "{{").replace("}", "}}")
            yield "another type", said, lambda right: right.to(got.dtype)
        return
    if got.shape == want.shape and varied:
        yield from _in_place(want, names)
    if got.ndim > 1:
        yield from _turned(want, names)
    yield from _fewer(want, names)


def _in_place(want: Tensor, names: Axes) -> Iterator[Made]:
    """Same shape, other numbers."""
    if want.is_floating_point():
        for what, make in POINTWISE.items():
            said = f"{{whose}} is everywhere {what} of what it should be."
            yield f"{what} of it", said, make
        for places in range(ROUNDED + 1):
            count = f"{places} decimal place{'s' * (places != 1)}"
            said = f"{{whose}} is rounded to {count}; leave it as it comes."
            yield "rounded", said, partial(torch.round, decimals=places)
    for k, name in enumerate(names):
        if want.shape[k] < 2:
            continue
        said = f"{{whose}} is the same for every {each(name)}, namely that of the first; each has its own."
        yield f"the first {name} for all", said, partial(_repeated, axis=k)
        if want.shape[k] > 2:
            said = f"{{whose}} is right but for the order: every {each(name)} stands where its mirror image should."
            yield f"axis {name} reversed", said, partial(torch.flip, dims=(k,))


def each(axis: str) -> str:
    """What an axis counts, in words."""
    return "row of the batch" if axis == "batch" else axis


def _repeated(right: Tensor, axis: int) -> Tensor:
    return right.narrow(axis, 0, 1).expand_as(right)


def _turned(want: Tensor, names: Axes) -> Iterator[Made]:
    """The same numbers along other axes."""
    for order in permutations(range(want.ndim)):
        if order == tuple(range(want.ndim)):
            continue
        now = ", ".join(names[k] for k in order)
        said = f"{{whose}} has the right numbers, its axes are in another order: ({now}) and not ({', '.join(names)})."
        yield "axes in another order", said, partial(torch.permute, dims=order)


def _fewer(want: Tensor, names: Axes) -> Iterator[Made]:
    """One axis more or less."""
    for k in range(want.ndim + 1):
        said = f"{{whose}} has the right numbers and one axis of size 1 too many, axis {k}: `squeeze({k})` takes it away, or a sum without `keepdim`."
        yield "an axis too many", said, partial(torch.unsqueeze, dim=k)
    if 1 in want.shape:
        said = "{whose} loses its axes of size 1, so that a single row, number or token has another shape than several: leave `squeeze()` out, or say which axis it takes away."
        yield "axes of size 1 lost", said, torch.squeeze
    if want.ndim > 1:
        said = "{whose} has the right numbers, all in one row: leave out what flattens them."
        yield "flattened", said, torch.flatten
    for k, name in enumerate(names):
        for what, reduce in (("added up", torch.sum), ("averaged", torch.mean)):
            said = f"{{whose}} is the right one {what} over the axis {name}, which should stay."
            for keep in (False, True):
                make = partial(reduce, dim=k, keepdim=keep)
                yield f"{what} over {name}", said, make
        for which, i in (("first", 0), ("last", -1)):
            said = f"{{whose}} is that of the {which} {each(name)} alone; every {each(name)} has one."
            for keep in (False, True):
                make = partial(_picked, axis=k, index=i, keep=keep)
                yield f"the {which} {name} alone", said, make
    if want.ndim > 1:
        said = "{whose} is the right one, added up to one number."
        yield "one number", said, torch.sum
        yield "one number", "{whose} is the mean of the right one.", torch.mean


def _picked(right: Tensor, axis: int, index: int, keep: bool) -> Tensor:
    one = right.select(axis, index)
    return one.unsqueeze(axis) if keep else one


def constant(rows: Rows) -> Relation:
    """Whether every number is the same in all cases, which says nothing of the code."""
    found = set()
    for _, got, _ in rows:
        if got.raised or not got.values:
            return "", ""
        if any(value.device.type == "meta" for value in got.values):
            return "", ""
        for value in got.values:
            found.update(value.flatten().tolist()[:1])
            if len(found) > 1 or not bool((value == next(iter(found), 0)).all()):
                return "", ""
    if len(found) != 1 or len(rows) < 3:
        return "", ""
    number = found.pop()
    told = number if isinstance(number, bool) else f"{number:.6g}"
    said = f"Everything is {told}, whatever it is called with."
    return "always the same number", said


def training(rows: Rows, dropout: bool) -> Relation:
    """Whether only the cases in training mode fail, which differ by ``dropout``, or by
    nothing at all.
    """
    failed = [case.train for case, got, want in rows if not same(got, want)]
    if not failed or not all(failed):
        return "", ""
    if not dropout:
        said = "It is right in evaluation mode and differs in training mode. Here both do the same: leave `self.training` out."
        return "training", said
    said = "It is right in evaluation and differs in training: there dropout is left out, or done once too often, or at another place, or not for the whole batch at once."
    return "dropout", said


def zeros(rows: Rows) -> Relation:
    """Whether only the cases with zeros for an input fail."""
    failed = [case.note for case, got, want in rows if not same(got, want)]
    if not failed or not all(note.endswith(ZERO) for note in failed):
        return "", ""
    said = f"It goes wrong only {failed[0]}: zeros are numbers like all others, and nothing is left out or held back for them."
    return "zeros as a special case", said


def limit(rows: Rows) -> Relation:
    """Whether only the cases with the largest numbers fail, which something cannot
    hold.
    """
    failed: list[tuple[float, Outcome, str]] = []
    passed: list[tuple[float, Outcome, str]] = []
    for case, got, want in rows:
        if got.excused or len(got.values) != len(want.values):
            return "", ""
        good = all(close(a, b, open_type(got)) for a, b in zip(got.values, want.values))
        sizes = [
            arg.abs().max().item()
            for arg in case.args
            if numbers_in(arg) and arg.numel() and arg.device.type != "meta"
        ]
        if not sizes:
            return "", ""
        narrow = not all(
            arg.dtype == torch.float64 for arg in case.args if numbers_in(arg)
        )
        largest = max(sizes) * (8 if narrow else 1)  # exp ends at 89 and at 710
        (passed if good else failed).append((largest, got, case.note))
    if not failed or not passed:
        return "", ""
    least = min(size for size, *_ in failed)
    if least < 20 or least <= max(size for size, *_ in passed):
        return "", ""
    if any(not value.isfinite().all() for _, got, _ in failed for value in got.values):
        return (
            "overflow",
            "It goes wrong only where the inputs are large: there exp is ∞, and ∞/∞ and ∞ − ∞ are NaN. `softmax` and `log_softmax` of torch avoid that by taking the largest number off first, and its `sigmoid` and `tanh` avoid it as well.",
        )
    if not any(HUNDREDS in note for _, _, note in failed):
        return "", ""  # a special case may differ in more than its size
    masked = all(hides(case) for case, got, want in rows if not same(got, want))
    hidden = "a masked score that is a low number and not −∞, " if masked else ""
    return (
        "a limit",
        f"It goes wrong only where the inputs are large: something keeps the numbers from going further, such as {hidden}`clamp`, an ε inside a logarithm, or a probability so small that it becomes 0.",
    )


def scaled(rows: Rows) -> Relation:
    """Whether everything is a multiple of what it should be, of the same in all cases,
    or of a size in each.
    """
    found: list[tuple[dict[str, int], float]] = []
    for case, got, want in rows:
        if got.excused or case.grad:
            continue
        if len(got.values) != 1 or len(want.values) != 1:
            return "", ""
        a, b = got.values[0], want.values[0]
        if a.shape != b.shape or not (a.is_floating_point() and b.is_floating_point()):
            return "", ""
        if a.device != b.device:
            return "", ""
        if case.device == "meta" or not b.any() or b.numel() < 2:
            continue
        a, b = a.double(), b.double()
        ratio = ((a * b).sum() / (b * b).sum()).item()
        if not ratio:
            return "", ""
        near = TOLERANCE.get(want.values[0].dtype, 1e-2) * 10
        if not torch.allclose(
            a, b * ratio, rtol=near, atol=near * b.abs().max().item()
        ):
            return "", ""
        found.append((case.sizes, ratio))
    if len(found) < 3 or all(math.isclose(r, 1, rel_tol=1e-3) for _, r in found):
        return "", ""
    for name in found[0][0]:
        for called, power in ((name, 1.0), (f"√{name}", 0.5)):
            for told, sign in ((f"{called} times", 1), (f"1/{called} of", -1)):
                if all(
                    math.isclose(r, sizes.get(name, 0) ** (sign * power), rel_tol=1e-3)
                    for sizes, r in found
                    if name in sizes
                ):
                    return (
                        "a scale",
                        f"Your result is everywhere {told} what it should be.",
                    )
    if len({f"{r:.3g}" for _, r in found}) == 1:
        return (
            "a scale",
            f"Your result is everywhere {times(found[0][1])} what it should be.",
        )
    return "", ""


def weighs_a_little(rows: Rows) -> bool:
    """Whether results are nearly right wherever something is hidden by a mask, and right
    where nothing is.
    """
    near, plain = False, False
    for case, got, want in rows:
        if case.device == "meta" or len(got.values) != len(want.values):
            return False
        hidden = hides(case)
        if same(got, want):
            plain = plain or not hidden
        elif not hidden:
            return False
        else:
            pairs = zip(got.values, want.values)
            near = near or any(
                (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device)
                and torch.allclose(a, b, rtol=1e-2, atol=1e-2 * b.abs().max().item())
                for a, b in pairs
            )
    return near and plain


def hides(case: Case) -> bool:
    """Whether a mask hides something in this case."""
    masks = [a for a in case.args if isinstance(a, Tensor) and a.dtype == torch.bool]
    return any(not bool(mask.all()) for mask in masks)


def one_case(rows: Rows) -> Relation:
    """Whether all but one or two cases come out right."""
    notes = [case.note for case, got, want in rows if not same(got, want)]
    if not all(notes) or len(notes) > 2 or len(rows) < 6:
        return "", ""
    if len(set(notes)) > 1:
        said = f"Only two cases come out wrong: {notes[0]}; {notes[1]}."
        return "one case alone", said
    return "one case alone", "All other cases come out right."


def gradient_only(rows: Rows) -> bool:
    """Whether all values are right, and a gradient is NaN, or missing where there
    should be one: what can be said of it for certain.
    """
    pairs = []
    for _, got, want in rows:
        if len(got.values) != len(want.values) or not all(
            close(a, b, open_type(got)) for a, b in zip(got.values, want.values)
        ):
            return False
        pairs += list(zip(got.gradients, want.gradients))
    return any(
        (a.isnan().any() and not b.isnan().any()) or (not a.any() and b.any())
        for a, b in pairs
    )
