"""Call the learner's function or module on one case and note everything that can be
seen from outside.
"""

import copy
import dis
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import CodeType, FunctionType, GeneratorType
from typing import Any

import numpy as np
import torch
from torch import Tensor, equal, nn

from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.run import Complaint, Raised, guarded

TENSORS = (Tensor, nn.Parameter)
SEEDS = 10_000
WIDTHS = (torch.float32, torch.float64, torch.int64, torch.int32)
# The instructions of a function that does nothing
NOTHING = ("RESUME", "NOP", "POP_TOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE")


@dataclass
class Outcome:
    """What one call gave.

    Attributes:
        values: the returned tensors; empty where there are none.
        gradients: of a weighted sum of the values, by every floating-point input and
            then every parameter by name.
        raised: the exception instead of a value.
        strange: what was returned instead of a tensor, in words.
        changed: the inputs that were overwritten.
        stopped: the time ran out.
        printed: something was printed.
        excused: the case cannot judge this code (a loop over numbers cannot run on a
            device without data).
        plain: numbers pass for tensors, and the type of the numbers is left open.
        typeless: whatever type of floating-point numbers it has will do: the exercise
            is plain, and either its inputs have a type, which nobody was asked to keep,
            or they have none, and this is no tensor.
        wrapped: a list or tuple of a single tensor came back, in words.
    """

    values: tuple[Tensor, ...] = ()
    gradients: tuple[Tensor, ...] = ()
    raised: Raised | None = None
    strange: str = ""
    changed: tuple[str, ...] = ()
    stopped: bool = False
    printed: bool = False
    excused: bool = False
    plain: bool = False
    typeless: bool = False
    wrapped: str = ""


def observe(
    reference: Any,
    candidate: Any,
    case: Case,
    inputs: list[str],
    seconds: float = 60.0,
    seed: int = 0,
    results: tuple[tuple[str, int], ...] = (),
    plain: bool = False,
    number: bool = False,
    after: tuple[Any, ...] = (),
) -> Outcome:
    """Run ``candidate``, a function or a class of modules like ``reference``, on one
    case.

    Args:
        reference: what it is made like.
        candidate: the learner's.
        case: what it is called with.
        inputs: the arguments' names.
        seconds: after which it is stopped.
        seed: of torch's, NumPy's and Python's random numbers.
        results: name and number of axes of each result where there are several.
        plain: numbers, lists and arrays pass for tensors.
        number: one number is due.
        after: what a module is called with before.
    """
    ran = guarded(
        _call,
        reference,
        candidate,
        case,
        inputs,
        seed,
        results,
        plain,
        number,
        after,
        seconds=seconds,
        seed=seed,
    )
    outcome = (
        ran.value
        if ran.value is not None
        else Outcome(raised=ran.raised, stopped=ran.stopped)
    )
    outcome.printed = ran.printed
    if case.device == "meta" and outcome.raised and "device" not in outcome.raised.text:
        return Outcome(excused=True, printed=ran.printed)
    return outcome


def _call(
    reference: Any,
    candidate: Any,
    case: Case,
    inputs: list[str],
    seed: int,
    results: tuple[tuple[str, int], ...],
    plain: bool,
    number: bool,
    after: tuple[Any, ...],
) -> Outcome:
    leaves, args = [], []
    weights: list[nn.Parameter] = []
    for arg in case.args:
        if isinstance(arg, nn.Module):
            arg = copy.deepcopy(arg).to(case.device)
            weights += [parameter for _, parameter in sorted(arg.named_parameters())]
        elif isinstance(arg, Tensor):
            arg = copied(arg).to(case.device)
            if case.grad and arg.is_floating_point():
                leaves.append(arg.requires_grad_())
                # a write into a leaf would raise instead of being noticed
                arg = copied(arg)
        else:
            arg = copy.deepcopy(arg)  # a list, perhaps of modules
        args.append(arg)
    before = [held(arg) for arg in args]
    subject = candidate
    if isinstance(reference, type):
        subject = made(reference, candidate, case)
        weights += [parameter for _, parameter in sorted(subject.named_parameters())]
        torch.default_generator.manual_seed(
            seed
        )  # making a module draws numbers, and not always as many
        if after:
            subject(*copy.deepcopy(after))
            torch.default_generator.manual_seed(seed)
    split = len(args) - case.named
    names = inputs[split : len(args)]
    value = subject(*args[:split], **dict(zip(names, args[split:])))
    changed = [
        name
        for name, arg, old in zip(inputs, args, before)
        if not isinstance(arg, nn.Module) and not intact(arg, old)
    ]
    changed += [
        f"{name}.grad"
        for name, arg in zip(inputs, args)
        if type(arg) in TENSORS and arg.is_leaf and arg.grad is not None
    ]
    changed += [
        f"{name}.{part}"
        for name, arg, old in zip(inputs, args, before)
        if isinstance(arg, nn.Module)
        for part, weight in arg.named_parameters()
        if part in old and not unchanged(weight, old[part])
    ]
    if value is None and blank(candidate):
        return Outcome(strange=in_words(value))
    values = unpacked(value, results, plain) if results else (value,)
    dtype = next((a.dtype for a in args if numbers_in(a)), torch.float64)
    typeless = plain and (any(map(numbers_in, args)) or not any(map(usable, values)))
    single = isinstance(value, list | tuple) and len(value) == 1 and usable(value[0])
    values = tuple(as_tensor(one, plain, dtype, number) for one in values)
    if plain and not any(isinstance(arg, Tensor | nn.Module) for arg in args):
        values = tuple(map(narrowed, values))
    typeless = typeless and all(
        isinstance(one, Tensor) and one.dtype in WIDTHS for one in values
    )
    for one in values:
        if not usable(one):
            return Outcome(strange=in_words(one), changed=tuple(changed))
    gradients = _gradients(values, leaves, weights) if case.grad and not changed else ()
    kept = tuple(one.detach().clone() for one in values)
    return Outcome(
        kept,
        gradients,
        changed=tuple(changed),
        plain=plain,
        typeless=typeless,
        wrapped=in_words(value) if single else "",
    )


def held(arg: Any) -> Any:
    """What an input holds, to be compared with what it holds after the call."""
    if isinstance(arg, nn.Module):
        return {part: held(weight) for part, weight in arg.named_parameters()}
    if isinstance(arg, Tensor):
        return arg.detach().clone()
    return [held(one) for one in arg] if isinstance(arg, list | tuple) else arg


def intact(arg: Any, before: Any) -> bool:
    """Whether an input still holds that."""
    if isinstance(arg, Tensor) and isinstance(before, Tensor):
        return unchanged(arg, before)
    if isinstance(arg, nn.Module) and isinstance(before, dict):
        now = dict(arg.named_parameters())
        return now.keys() == before.keys() and all(
            unchanged(now[part], old) for part, old in before.items()
        )
    if isinstance(arg, list | tuple) and isinstance(before, list):
        return len(arg) == len(before) and all(map(intact, arg, before))
    return type(arg) is type(before) and (arg is before or bool(arg == before))


def usable(value: Any) -> bool:
    """Whether it is a plain, dense tensor."""
    return (
        type(value) in TENSORS and value.layout == torch.strided and not value.is_nested
    )


def numbers_in(value: Any) -> bool:
    """Whether it is a tensor of floating-point numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def as_tensor(value: Any, plain: bool, dtype: torch.dtype, number: bool = False) -> Any:
    """A number, an array or a list of numbers as the tensor that it stands for, where
    the exercise asks for no gradient, and a list of tensors everywhere; anything else as
    it is. Where one ``number`` is due, it may be whole, and a pair of parentheses with a
    comma in them is none.
    """
    if number and isinstance(value, tuple | list | complex):
        return value
    if number and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if plain and isinstance(value, Fraction | Decimal):
        value = float(value)
    numbers = isinstance(value, int | float | np.number | np.ndarray | list | tuple)
    if plain and usable(value) and value.is_floating_point() and value.shape == (1,):
        return value.squeeze(0)
    if isinstance(value, list | tuple) and any(map(usable, value)):
        even = len({(one.shape, one.dtype) for one in value if usable(one)}) == 1
        comma = not plain and isinstance(value, tuple) and len(value) == 1
        even = even and not comma  # a result with a comma behind it is no batch
        return torch.stack(tuple(value)) if even and all(map(usable, value)) else value
    if not plain or not numbers or isinstance(value, bool):
        return value
    try:
        tensor = torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError):
        return value
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def narrowed(value: Any) -> Any:
    """One number that was made from Python's alone, in float32: there no input says how
    precise it should be, and ``torch.tensor`` makes float32 of them.
    """
    one_number = usable(value) and value.ndim == 0 and value.is_floating_point()
    return value.to(torch.float32) if one_number else value


def unpacked(
    value: Any, results: tuple[tuple[str, int], ...], plain: bool = False
) -> tuple[Any, ...]:
    """The several results of a call, as named and with so many axes each, perhaps
    stacked.

    Raises:
        Complaint: if they are not as many as named, or one is no tensor.
    """
    names = [name for name, _ in results]
    quoted = [f"`{name}`" for name in names]
    due = f"It should return {', '.join(quoted[:-1])} and {quoted[-1]}, in this order"
    if isinstance(value, GeneratorType | map | zip):
        value = tuple(value)
    alike = usable(value) and len({axes for _, axes in results}) == 1
    if alike and value.ndim == results[0][1] + 1 and len(value) == len(results):
        return tuple(value)
    if issubclass(type(value), Tensor):
        raise Complaint(f"{due}; it returned one tensor.")
    if not issubclass(type(value), tuple | list):
        raise Complaint(f"{due}; it returned {in_words(value)}.")
    if len(value) != len(names):
        ending = "s" * (len(value) != 1)
        raise Complaint(f"{due}; it returned {len(value)} thing{ending}.")
    for name, one in zip(names, value):
        arrays = (Tensor, np.ndarray, list, tuple) if plain else Tensor
        if not issubclass(type(one), arrays):
            told = f"{due}, each of them a tensor; its `{name}` is {in_words(one)}."
            raise Complaint(told)
    return tuple(value)


def copied(tensor: Tensor) -> Tensor:
    """A copy that lies in memory as the tensor does."""
    return tensor.clone(memory_format=torch.preserve_format)


def unchanged(now: Tensor, before: Tensor) -> bool:
    """Whether an input still holds what it held."""
    if (now.shape, now.dtype, now.device) != (
        before.shape,
        before.dtype,
        before.device,
    ):
        return False
    return now.device.type == "meta" or equal(now.detach(), before)


def _gradients(
    values: tuple[Tensor, ...], leaves: list[Tensor], weights: list[nn.Parameter]
) -> tuple[Tensor, ...]:
    wanted = [tensor for tensor in (*leaves, *weights) if tensor.requires_grad]
    tracked = [(i, value) for i, value in enumerate(values) if value.requires_grad]
    if not tracked or not wanted:
        return tuple(torch.zeros_like(tensor) for tensor in wanted)
    # an uneven probe: the plain sum of softmax weights would have no gradient at all
    probes = [
        (torch.arange(1, value.numel() + 1, dtype=value.dtype) + i / 3)
        .cos()
        .view(value.shape)
        for i, value in tracked
    ]
    try:
        found = torch.autograd.grad(
            [value for _, value in tracked], wanted, probes, allow_unused=True
        )
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        raise Complaint(
            "The values can be computed, their gradient cannot: your code overwrites a tensor in place (`+=`, "
            "`x[i] = …`, `masked_fill_`) that the backward pass still needs. Write the result into a new tensor."
        ) from None
    return tuple(
        torch.zeros_like(tensor) if g is None else g for tensor, g in zip(wanted, found)
    )


def made(reference: type, candidate: Callable[..., Any], case: Case) -> nn.Module:
    """Make the learner's module and give it the weights that a module of the reference
    would have here, by name.

    Raises:
        Complaint: if it is no module, or its weights have other names or shapes than
            the stub's, or start elsewhere, or are not learned.
    """
    dtype = next(
        arg.dtype
        for arg in case.args
        if isinstance(arg, Tensor) and arg.is_floating_point()
    )
    if case.weights is None:
        generator = torch.Generator().manual_seed(SEEDS)
        state = reference(*case.init).state_dict()
        case.weights = {
            name: torch.randn(w.shape, generator=generator, dtype=torch.float64) * 0.5
            for name, w in state.items()
        }
    module = candidate(*case.init)
    if not isinstance(module, nn.Module):
        raise Complaint(
            f"Making your class gave {in_words(module)}; it must be a subclass of `nn.Module`."
        )
    own = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
    due = {name: tuple(weight.shape) for name, weight in case.weights.items()}
    missing, extra = sorted(due.keys() - own.keys()), sorted(own.keys() - due.keys())
    for name in missing:
        if isinstance(getattr(module, name, None), Tensor):
            raise Complaint(
                f"`{name}` is a plain tensor in your class, which no optimizer finds; the stub's `__init__` makes it an `nn.Parameter`. Leave `__init__` as it is."
            )
    if missing or extra:
        told = [f"has no `{missing[0]}`"] if missing else []
        told += [f"has `{extra[0]}`, which the stub has not"] if extra else []
        raise Complaint(
            f"Your module {' and '.join(told)}. Weights are compared by name, so keep the stub's `__init__` as it is."
        )
    for name in due:
        if own[name] != due[name]:
            raise Complaint(
                f"`{name}` has the shape {own[name]}; the stub's `__init__` makes it {due[name]}."
            )
    _as_the_stub_starts(reference, module, case)
    module.to(dtype).load_state_dict(case.weights)
    return module.to(case.device).train(case.train)


def _as_the_stub_starts(reference: type, module: nn.Module, case: Case) -> None:
    """Whether what is not drawn starts where the stub lets it start, and what is learned
    there is learned here.

    Raises:
        Complaint: if not.
    """
    if case.starts is None:
        one, two = reference(*case.init), reference(*case.init).state_dict()
        case.starts = {n: w for n, w in one.state_dict().items() if equal(w, two[n])}
        case.learned = {n for n, w in one.named_parameters() if w.requires_grad}
    state = module.state_dict()
    for name, due in case.starts.items():
        if not equal(state[name].double(), due.double()):
            got, want = (f"{w.flatten()[0].item():.3g}" for w in (state[name], due))
            raise Complaint(
                f"`{name}` starts at {got} in your class; the stub's `__init__` lets it start at {want}. Leave `__init__` as it is."
            )
    learns = {name for name, w in module.named_parameters() if w.requires_grad}
    shared = dict(module.named_parameters(remove_duplicate=False))
    for name in sorted(case.learned - learns):
        twin = next((one for one in learns if shared[one] is shared.get(name)), "")
        if twin:
            raise Complaint(
                f"`{name}` and `{twin}` are one and the same in your class; in the stub's `__init__` each is its own. Leave `__init__` as it is."
            )
        raise Complaint(
            f"`{name}` is not learned in your class: in the stub's `__init__` it is an `nn.Parameter` that asks for a gradient."
        )


def in_words(value: Any) -> str:
    """Name a value's type with its article, and what to do about it where that is
    plain.
    """
    kind = type(value).__name__
    if value is None:
        return "None (is there a `return`?)"
    if issubclass(type(value), Tensor):
        return (
            "a sparse or nested tensor"
            if type(value) in TENSORS and not usable(value)
            else f"a tensor of {tuple(value.shape)}"
            if type(value) in TENSORS
            else f"a {kind}, not a plain tensor"
        )
    if kind == "ndarray":
        return "a NumPy array, where a tensor of torch is due"
    return f"{'an' if kind[:1] in tuple('aeiouAEIOU') else 'a'} {kind}"


def parameters(thing: Any) -> list[str]:
    """The names of a function's inputs, or of its class's `forward`."""
    if isinstance(thing, type):
        return list(inspect.signature(thing.forward).parameters)[1:]  # type: ignore[attr-defined]
    return list(inspect.signature(thing).parameters)


def misfit(candidate: Any, args: tuple[Any, ...], named: Sequence[str] = ()) -> str:
    """Why the candidate cannot be called with so many inputs, the last of them by these
    names, or "" if it can or does not tell.
    """
    try:
        signature = inspect.signature(candidate)
    except (ValueError, TypeError):  # some builtins tell none
        return ""
    try:
        split = len(args) - len(named)
        signature.bind(*args[:split], **dict(zip(named, args[split:])))
    except TypeError as error:
        return str(error)
    return ""


def blank(answer: Any) -> bool:
    """Whether a function, or the `forward` of a class, has nothing but `...`, `pass` or
    a docstring in it.
    """
    code = code_of(answer)
    return code is not None and all(
        one.opname in NOTHING and one.argval in (None, ..., 0)
        for one in dis.get_instructions(code)
        if one.opname != "LOAD_CONST" or not isinstance(one.argval, str)
    )


def written_in(thing: Any) -> str:
    """The source of a function, or of a class's `forward`; "" where none can be read."""
    code = code_of(thing)
    try:
        return inspect.getsource(code) if code else ""
    except (OSError, TypeError, IndexError, SyntaxError):
        return ""


def code_of(thing: Any) -> CodeType | None:
    """The code object of a function, or of a class's `forward`, under any
    decorators.
    """
    function = (
        getattr(thing, "forward", None) if issubclass(type(thing), type) else thing
    )
    if type(function) is not FunctionType:
        return None
    return getattr(inspect.unwrap(function), "__code__", None)
