"""What a translation model is trained to make small: cross-entropy against smoothed
targets (chapter 11).
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Variant = Literal["tensor2tensor", "torch", "annotated"]


def shares(
    epsilon: float, vocabulary: int, variant: Variant = "tensor2tensor"
) -> tuple[float, float]:
    """How much of the target goes to the right symbol, and how much to each of the
    others.

    The paper says that it smooths by 0.1 (section 5.4), not how. Three ways are
    published:

    - ``tensor2tensor``, the paper's own code: epsilon is shared by the wrong symbols,
      epsilon / (V - 1) each,
    - ``torch``, in ``torch.nn.CrossEntropyLoss``: by all symbols, the right one too,
      epsilon / V each,
    - ``annotated``, in The Annotated Transformer: by all but the right one and the
      padding, epsilon / (V - 2) each.

    Raises:
        ValueError: if the variant is unknown.
    """
    if variant == "tensor2tensor":
        return 1 - epsilon, epsilon / (vocabulary - 1)
    if variant == "torch":
        return 1 - epsilon + epsilon / vocabulary, epsilon / vocabulary
    if variant == "annotated":
        return 1 - epsilon, epsilon / (vocabulary - 2)
    raise ValueError(f"variant={variant!r}; choose tensor2tensor, torch or annotated")


def smoothed_targets(
    target: Int[Tensor, " token"],
    vocabulary: int,
    epsilon: float,
    variant: Variant = "tensor2tensor",
    pad: int = 0,
) -> Float[Tensor, "token vocabulary"]:
    """The distribution that the model should give for each token, in float64."""
    right, wrong = shares(epsilon, vocabulary, variant)
    targets = torch.full(
        (len(target), vocabulary), wrong, dtype=torch.float64, device=target.device
    )
    if variant == "annotated":
        targets[:, pad] = 0.0
    return targets.scatter(1, target.unsqueeze(1), right)


def smoothed_loss(
    logits: Float[Tensor, "token vocabulary"],
    target: Int[Tensor, " token"],
    epsilon: float = 0.1,
    variant: Variant = "tensor2tensor",
    pad: int = 0,
) -> Float[Tensor, ""]:
    """The cross-entropy between smoothed targets and the model, in nats, summed over
    the tokens that are not padding.

    This is the definition; training uses ``generator_loss``, which gives the same.

    Args:
        logits: a score for each symbol at each token.
        target: the right symbols.
        epsilon: how much of the target is taken from the right symbol; 0 gives the
            plain cross-entropy.
        variant: to whom it is given, see ``shares``.
        pad: the id of the padding symbol.
    """
    targets = smoothed_targets(target, logits.shape[-1], epsilon, variant, pad).to(
        logits
    )
    loss = -(targets * logits.log_softmax(-1)).sum(-1)
    return loss[target != pad].sum()


def generator_loss(
    x: Float[Tensor, "token d_model"],
    weight: Float[Tensor, "vocabulary d_model"],
    bias: Float[Tensor, " vocabulary"] | None,
    target: Int[Tensor, " token"],
    epsilon: float = 0.1,
    variant: Variant = "tensor2tensor",
    pad: int = 0,
    rows: int = 256,
) -> Float[Tensor, ""]:
    """``smoothed_loss`` of ``x @ weight.T + bias``, some rows at a time.

    The logits of a whole batch are the largest tensor of a training step, and they are
    read and written several times. Here the logits of ``rows`` tokens are computed,
    used for the loss and for their part of the gradient while they are in the
    processor's cache, and forgotten; padding is left out before.

    Args:
        x: what the decoder hands to the generator.
        weight: of the generator.
        bias: of the generator.
        target: the right symbols.
        epsilon: see ``smoothed_loss``.
        variant: see ``shares``.
        pad: the id of the padding symbol.
        rows: tokens to a chunk.
    """
    real = target != pad
    right, wrong = shares(epsilon, len(weight), variant)
    hidden = pad if variant == "annotated" else None
    return _GeneratorLoss.apply(
        x[real], weight, bias, target[real], right, wrong, hidden, rows
    )


class _GeneratorLoss(torch.autograd.Function):
    """With p a token's softmax and q its smoothed target: the loss is -Σ q log p, the
    gradient of the logits p - q.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Any, target: Tensor, *constants: Any
    ) -> Tensor:
        right, wrong, hidden, rows = constants
        kind = (
            torch.get_autocast_dtype(x.device.type)
            if torch.is_autocast_enabled(x.device.type)
            else x.dtype
        )
        x, w, exact = x.to(kind), weight.to(kind), weight.dtype
        loss = torch.zeros((), dtype=exact, device=x.device)
        d_x, d_weight = torch.empty_like(x), torch.zeros_like(weight)
        d_bias = None if bias is None else torch.zeros_like(bias)
        logits, exact_logits, softmax = (
            x.new_empty(rows, len(w), dtype=one) for one in (kind, exact, exact)
        )
        for chunk, goal, d_chunk in zip(
            x.split(rows), target.unsqueeze(1).split(rows), d_x.split(rows)
        ):
            half, z, p = (
                logits[: len(chunk)],
                exact_logits[: len(chunk)],
                softmax[: len(chunk)],
            )
            z.copy_(torch.mm(chunk, w.T, out=half))
            if bias is not None:
                z += bias
            torch.softmax(z, -1, out=p)
            log_sum = (
                z.amax(-1) - p.amax(-1).log()
            )  # of exp z; exact where a small p would round to 0
            at_goal = z.gather(1, goal).sum()
            rest = z.sum() - at_goal - (0 if hidden is None else z[:, hidden].sum())
            others = z.shape[1] - 1 - (hidden is not None)
            loss += (
                (right + others * wrong) * log_sum.sum()
                - right * at_goal
                - wrong * rest
            )
            z = p.sub_(wrong)  # p - q, but for the right symbol and the hidden one
            z.scatter_add_(1, goal, z.new_full(goal.shape, wrong - right))
            if hidden is not None:
                z[:, hidden] += wrong
            if d_bias is not None:
                d_bias += z.sum(0)
            torch.mm(half.copy_(z), w, out=d_chunk)
            d_weight += half.T @ chunk
        ctx.save_for_backward(d_x, d_weight, d_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        d_x, d_weight, d_bias = ctx.saved_tensors
        scaled = (
            None if d is None else d * upstream.to(d.dtype)
            for d in (d_x, d_weight, d_bias)
        )
        return (*scaled, None, None, None, None, None)
