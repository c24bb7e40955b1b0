"""Compare two outcomes, and say in words where and how they differ."""

from itertools import combinations
from string import Formatter
from typing import Any

import torch
from torch import Tensor, allclose, equal, isclose

from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.observe import Outcome

# Rounding differs between two right formulas by some 1e-15 of the largest number in
# float64, 1e-6 in float32.
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
HALVES = (torch.float16, torch.bfloat16)
TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-4}


def close(a: Tensor, b: Tensor, plain: bool = False) -> bool:
    """Equal up to rounding; b is the expected one. Where ``plain``, the numbers may have
    another type, and are compared in the narrower one.
    """
    if b.ndim == 0 and a.shape == (1,):  # one number all the same
        a = a.squeeze(0)
    if plain and is_whole(a) and b.is_floating_point():
        a = a.to(b.dtype)
    if plain and a.is_floating_point() and b.is_floating_point():
        narrow = min(a.dtype, b.dtype, key=lambda dtype: torch.finfo(dtype).bits)
        a, b = a.to(narrow), b.to(narrow)
    if is_whole(a) and is_whole(b):
        a = a.to(b.dtype)
    if (a.shape, a.dtype, a.device) != (b.shape, b.dtype, b.device):
        return False
    if a.device.type == "meta":
        return True
    if not a.is_floating_point():
        return equal(a, b)
    tolerance = TOLERANCE.get(b.dtype, 1e-2)
    finite = b[b.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 0.0
    return allclose(
        a, b, rtol=tolerance, atol=tolerance * min(largest, 1.0), equal_nan=True
    )


def open_type(got: Outcome) -> bool:
    """Whether the numbers that came out may have another type than the right ones."""
    return got.typeless or (got.plain and all(map(one_number, got.values)))


def one_number(a: Tensor) -> bool:
    """Whether it is a single floating-point number."""
    return a.ndim == 0 and a.is_floating_point()


def truths(a: Tensor) -> Tensor:
    """Numbers that are all 0 or 1 as booleans; anything else as it is."""
    return a.bool() if bool(((a == 0) | (a == 1)).all()) else a


def is_whole(a: Tensor) -> bool:
    """Whether it holds whole numbers, of whatever width."""
    return a.dtype in WHOLE


def same(a: Outcome, b: Outcome) -> bool:
    """Whether two calls gave the same: value and gradients, or the same exception."""
    if a.excused or b.excused:
        return True
    if not a.values or not b.values:
        if a.raised is None or b.raised is None:
            return False
        return (a.raised.kind, a.raised.text) == (b.raised.kind, b.raised.text)
    if a.changed != b.changed or len(a.values) != len(b.values):
        return False
    loose = open_type(a) or open_type(b)
    if not all(close(x, y, loose) for x, y in zip(a.values, b.values)):
        return False
    return len(a.gradients) == len(b.gradients) and all(
        map(close, a.gradients, b.gradients)
    )


def wrong_shape(got: Tensor, want: Tensor, axes: tuple[str, ...], case: Case) -> str:
    """The shape that is, the shape that should be, and which axis is to blame."""
    named = (
        f"({', '.join(axes)}) = {tuple(want.shape)}" if axes else f"{tuple(want.shape)}"
    )
    told = f"The shape should be {named}; yours is {tuple(got.shape)}."
    if got.shape[1:] == want.shape != () and got.shape[:1] == (2,):
        return f"{told} That is two results of the right shape, as `return a, b` or a `stack` makes it: return one tensor."
    if got.ndim != want.ndim:
        return f"{told} That is {got.ndim} ax{'i' if got.ndim == 1 else 'e'}s instead of {want.ndim}."
    if sorted(got.shape) == sorted(want.shape):
        return f"{told} The sizes are right, in another order: an axis is transposed."
    axis = next(i for i in range(got.ndim) if got.shape[i] != want.shape[i])
    whose = [name for name, size in case.sizes.items() if size == got.shape[axis]]
    name = axes[axis] if axes else f"number {axis}"
    count = got.shape[axis]
    return f"{told} Axis {name} has {count} entr{'y' if count == 1 else 'ies'}" + (
        f", the size of {whose[0]}." if whose else "."
    )


def wrong_dtype(got: Tensor, want: Tensor) -> str:
    """What type of number came out, and which should have."""
    kind, due = (str(t.dtype).removeprefix("torch.") for t in (got, want))
    whole = not got.is_floating_point()
    if whole and want.is_floating_point():
        return f"The numbers should be {due}, yours are {kind}: `.float()`, or `dtype=torch.{due}` where the tensor is made."
    advice = {
        "bool": "compare (`==`, `!=`, `<`) or `.bool()` gives booleans",
        "int64": "ids and positions are whole numbers",
        "float64": "keep the type of the inputs, and compute tables in float64",
    }.get(
        due,
        "a table or constant of another type has widened it: `.to(x)` gives it the type and device of an input `x`, `.float()` makes it float32",
    )
    if got.dtype in HALVES and want.dtype not in HALVES:
        advice = f"a table or constant of another type, or a `.to(…)`, has narrowed it, and digits are lost: `dtype=torch.{due}` where the tensor is made"
    return f"The numbers should be {due}, yours are {kind}; {advice}."


def wrong_values(
    got: Tensor, want: Tensor, axes: tuple[str, ...], words: str, case: Case
) -> str:
    """The first entry that differs, the size of the error, and a guess at its kind."""
    differs = differing(got, want)
    where = differs.nonzero()[0].tolist()
    g, w = got[tuple(where)].item(), want[tuple(where)].item()
    place = dict(
        zip(axes[max(0, len(axes) - want.ndim) :], where)
    )  # a case may lack the first axes
    fields = {field for _, field, _, _ in Formatter().parse(words) if field}
    if words and fields <= {*named(place), "got", "want"}:
        told = words.format(**named(place), got=number(g, w), want=number(w, g))
        several = "batch" in place and len(got) > 1
        told = f"in row {place['batch']} of the batch, {told}" if several else told
    else:
        spot = ", ".join(f"{axis} {i}" for axis, i in place.items()) or "the number"
        told = f"{spot} is {number(g, w)}, expected {number(w, g)}"
    before = "; all earlier agree" if any(where) else ""
    size = size_of_error(got, want, int(differs.sum()))
    told = f"{told[0].upper()}{told[1:]}{before}. {size} {guess(got, want, case)}"
    return " ".join(told.split())


def named(place: dict[str, int]) -> dict[str, int]:
    """The place by what words can call it: the axis "token - 1" is "token", too."""
    return {axis.split()[0]: i for axis, i in place.items()} | place


def differing(got: Tensor, want: Tensor) -> Tensor:
    """Which entries differ by more than rounding."""
    if not want.is_floating_point():
        return got != want
    tolerance = TOLERANCE.get(want.dtype, 1e-2)
    a, b = got.double(), want.double()
    finite = b[b.isfinite()]
    largest = finite.abs().max().item() if finite.numel() else 0.0
    least = tolerance * min(largest, 1.0)
    return ~isclose(a, b, rtol=tolerance, atol=least, equal_nan=True)


def number(x: float, other: float) -> str:
    """As few digits as tell it from the other."""
    if isinstance(x, bool | int):
        return str(x)
    for digits in (2, 4) if max(abs(x), abs(other)) < 1e6 else ():
        told, others = f"{x:.{digits}f}", f"{other:.{digits}f}"
        lost = (x and not float(told)) or (other and not float(others))
        if told != others and not lost:
            return told
    return f"{x:.4g}" if f"{x:.4g}" != f"{other:.4g}" else f"{x:.9g}"


def size_of_error(got: Tensor, want: Tensor, count: int) -> str:
    """How many entries differ, and by how much at most."""
    if want.numel() == 1:
        return ""
    told = f"{count} of {want.numel()} entries differ{'s' * (count == 1)}"
    if got.isnan().any() and not want.isnan().any():
        return f"{told}, {int(got.isnan().sum())} of them NaN."
    if not got.is_floating_point():
        return f"{told}."
    worst, largest = (got - want).abs().max().item(), want.abs().max().item()
    return f"{told}, by {worst:.2g} at most (the largest expected number is {largest:.2g})."


def guess(got: Tensor, want: Tensor, case: Case) -> str:
    """Scale, shift, axis or precision: what a look at the numbers suggests, or
    nothing.
    """
    if got.isnan().any():
        return "NaN comes from 0/0, 0 · ∞, ∞ − ∞ or the softmax of a row of −∞ alone."
    if got.isinf().any():
        return (
            "An infinity got through: exp overflows, or −∞ was used after the softmax."
        )
    if not got.is_floating_point():
        return (
            "Everything is the other way round."
            if got.dtype == torch.bool and got.numel() > 1 and equal(got, ~want)
            else ""
        )
    narrow = allclose(got, want, rtol=3e-6, atol=3e-6 * want.abs().max().item())
    if narrow and want.dtype == torch.float64:
        return "It is right to some six digits and no further: something was computed in float32 on the way (`.float()`, a constant tensor of your own), or a very small constant was added (ε)."
    if want.unique().numel() < 3:  # two numbers always have a ratio and a difference
        return "Everything is 0." if not got.any() and want.any() else ""
    ratio = ((got * want).sum() / (want * want).sum().clamp_min(1e-30)).item()
    if not got.any():
        return "Everything is 0."
    if got.abs().max() < 1e-12 * want.abs().max():
        return "Everything is 0, up to rounding."
    off = abs(ratio - 1) > 1e-4  # by less it is a small constant, added
    if off and allclose(got, want * ratio, rtol=1e-5, atol=1e-8):
        return f"Everything is {times(ratio)} what it should be: look for a scale."
    if want.numel() > 1 and allclose(
        got - want, (got - want).flatten()[0].expand_as(want), rtol=1e-5, atol=1e-8
    ):
        return "Everything is shifted by the same amount: look for a sum or a bias."
    for i, j in combinations(range(want.ndim), 2):
        if want.shape[i] == want.shape[j] and allclose(
            got, want.transpose(i, j), atol=1e-8
        ):
            return f"It is right with the axes {i} and {j} exchanged: look for a transpose."
    for axis in range(want.ndim):
        for turned in (want.flip(axis), want.roll(1, axis), want.roll(-1, axis)):
            if allclose(got, turned, atol=1e-8):
                return f"The right numbers stand in another order along axis {axis}."
    near = allclose(got, want, rtol=1e-3, atol=1e-3 * want.abs().max().item())
    if not near and allclose(
        got.flatten().sort().values, want.flatten().sort().values, rtol=1e-5, atol=1e-8
    ):
        return "The right numbers stand in other places: look at the axes."
    if near:
        if any(
            isinstance(arg, Tensor) and arg.dtype == torch.bool for arg in case.args
        ):
            return ""
        return "It is almost right: look for a small constant (ε), or for numbers computed in a narrower type."
    return ""


def times(ratio: float) -> str:
    """A ratio in words."""
    near = abs(ratio - 1) < 0.01
    return f"{ratio:.6g} times" if near else f"{ratio:.3g} times"


def preview(case: Case, inputs: list[str], got: Tensor, want: Tensor) -> str:
    """Inputs, result and right result, two rows by three numbers each."""
    tensors = {n: arg for n, arg in zip(inputs, case.args) if isinstance(arg, Tensor)}
    if got.device.type == "meta" or not tensors:
        return ""
    shown = {n: a for n, a in zip(inputs, case.args) if n in tensors or _brief(a)}
    rows = [
        (name, _corner(one) if isinstance(one, Tensor) else str(one))
        for name, one in (shown | {"yours": got, "right": want}).items()
    ]
    if rows[-1][1] == rows[-2][1]:  # they differ elsewhere, or in later digits
        return ""
    width = max(len(name) for name, _ in rows)
    return "\n\n```\n" + "\n".join(f"{n:<{width}}  {t}" for n, t in rows) + "\n```"


def _brief(arg: Any) -> bool:
    """Whether an input is a number, or a list of a few."""
    few = isinstance(arg, list | tuple) and len(arg) < 10
    numbers = arg if few else [arg]
    return all(isinstance(one, bool | int | float) for one in numbers)


def _corner(tensor: Tensor) -> str:
    """The first two rows of the first matrix, three numbers each."""
    more = ""
    while tensor.ndim > 2:
        more = "  (the first of several)" if len(tensor) > 1 else more
        tensor = tensor[0]
    if tensor.ndim == 0:
        return _plain(tensor.item())
    if tensor.ndim == 1:
        return _row(tensor) + more
    rows = ", ".join(map(_row, tensor[:2]))
    return f"[{rows}{', …' if len(tensor) > 2 else ''}]" + more


def _row(row: Tensor) -> str:
    numbers = ", ".join(_plain(x) for x in row[:3].tolist())
    return f"[{numbers}{', …' if len(row) > 3 else ''}]"


def _plain(x: float) -> str:
    return str(x) if isinstance(x, bool | int) else f"{x:.3g}"
