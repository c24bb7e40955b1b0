"""Call the learner's function or module on one case and note everything that can be
seen from outside.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.run import Complaint, Raised, guarded

TENSORS = (Tensor, nn.Parameter)
SEEDS = 10_000


@dataclass
class Outcome:
    """What one call gave.

    Attributes:
        value: the returned tensor.
        gradients: of a weighted sum of the value, by every floating-point input and
            then every parameter by name.
        raised: the exception instead of a value.
        strange: what was returned instead of a tensor, in words.
        changed: the inputs that were overwritten.
        stopped: the time ran out.
        printed: something was printed.
        excused: the case cannot judge this code (a loop over numbers cannot run on a
            device without data).
    """

    value: Tensor | None = None
    gradients: tuple[Tensor, ...] = ()
    raised: Raised | None = None
    strange: str = ""
    changed: tuple[str, ...] = ()
    stopped: bool = False
    printed: bool = False
    excused: bool = False


def observe(
    reference: Any,
    candidate: Any,
    case: Case,
    inputs: list[str],
    seconds: float = 60.0,
    seed: int = 0,
) -> Outcome:
    """Run ``candidate``, a function or a class of modules like ``reference``, on one
    case.
    """
    ran = guarded(
        _call, reference, candidate, case, inputs, seed, seconds=seconds, seed=seed
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
    reference: Any, candidate: Any, case: Case, inputs: list[str], seed: int
) -> Outcome:
    leaves, args = [], []
    weights: list[nn.Parameter] = []
    for arg in case.args:
        if isinstance(arg, nn.Module):
            arg = copy.deepcopy(arg).to(case.device)
            weights += [parameter for _, parameter in sorted(arg.named_parameters())]
        elif isinstance(arg, Tensor):
            arg = arg.clone().to(case.device)
            if case.grad and arg.is_floating_point():
                leaves.append(arg.requires_grad_())
                arg = (
                    arg.clone()
                )  # a write into a leaf would raise instead of being noticed
        args.append(arg)
    before = [arg.detach().clone() if isinstance(arg, Tensor) else None for arg in args]
    subject = candidate
    if isinstance(reference, type):
        subject = made(reference, candidate, case)
        weights += [parameter for _, parameter in sorted(subject.named_parameters())]
        torch.default_generator.manual_seed(
            seed
        )  # making a module draws numbers, and not always as many
    value = subject(*args)
    changed = [
        name
        for name, arg, old in zip(inputs, args, before)
        if old is not None and not unchanged(arg, old)
    ]
    if type(value) not in TENSORS or value.layout != torch.strided or value.is_nested:
        return Outcome(strange=in_words(value), changed=tuple(changed))
    gradients = _gradients(value, leaves, weights) if case.grad and not changed else ()
    return Outcome(value.detach().clone(), gradients, changed=tuple(changed))


def unchanged(now: Tensor, before: Tensor) -> bool:
    """Whether an input still holds what it held."""
    if (now.shape, now.dtype, now.device) != (
        before.shape,
        before.dtype,
        before.device,
    ):
        return False
    return now.device.type == "meta" or torch.equal(now.detach(), before)


def _gradients(
    value: Tensor, leaves: list[Tensor], weights: list[nn.Parameter]
) -> tuple[Tensor, ...]:
    wanted = [tensor for tensor in (*leaves, *weights) if tensor.requires_grad]
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in wanted)
    # an uneven probe: the plain sum of softmax weights would have no gradient at all
    probe = (
        torch.arange(1, value.numel() + 1, dtype=value.dtype).cos().view(value.shape)
    )
    try:
        found = torch.autograd.grad(value, wanted, probe, allow_unused=True)
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
            the stub's.
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
    module.to(dtype).load_state_dict(case.weights)
    return module.to(case.device).train(case.train)


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
            if type(value) in TENSORS
            else f"a {kind}, not a plain tensor"
        )
    if kind == "ndarray":
        return "a NumPy array; stay with torch, or gradients cannot flow"
    return f"{'an' if kind[:1] in tuple('aeiouAEIOU') else 'a'} {kind}"


def parameters(thing: Any) -> list[str]:
    """The names of a function's inputs, or of its class's `forward`."""
    if isinstance(thing, type):
        return list(inspect.signature(thing.forward).parameters)[1:]  # type: ignore[attr-defined]
    return list(inspect.signature(thing).parameters)


def misfit(candidate: Any, args: tuple[Any, ...]) -> str:
    """Why the candidate cannot be called with so many inputs, or "" if it can or does
    not tell.
    """
    try:
        signature = inspect.signature(candidate)
    except (ValueError, TypeError):  # some builtins tell none
        return ""
    try:
        signature.bind(*args)
    except TypeError as error:
        return str(error)
    return ""
