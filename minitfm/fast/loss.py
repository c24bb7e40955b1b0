"""The loss of chapter 11 in less memory: the logits of a batch never exist at once."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minitfm.fast.tracing import traced
from minitfm.training import Variant, target_probabilities


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
    """``training.smoothed_loss`` of the logits ``x @ weight.T + bias``, some rows at a
    time.

    The logits of a whole batch are the largest tensor of a training step, and they are
    read and written several times. Here the logits of ``rows`` tokens are computed,
    used for the loss and for their part of the gradient while they are in the
    processor's cache, and forgotten. Padding is left out first. The gradients are
    computed once, with the loss; they cannot be differentiated again, and
    ``create_graph=True`` is refused. Inside ``torch.compile`` it is one expression.

    Args:
        x: what the decoder hands to the generator.
        weight: of the generator.
        bias: of the generator.
        target: the right symbols.
        epsilon: see ``training.smoothed_loss``.
        variant: see ``training.target_probabilities``.
        pad: the id of the padding symbol.
        rows: number of tokens in a chunk.
    """
    right, wrong = target_probabilities(epsilon, len(weight), variant)
    excluded = pad if variant == "annotated" else None
    real = target != pad
    if traced(x):  # torch.compile joins the steps by itself, and wants fixed shapes
        log_p = F.linear(x, weight, bias).log_softmax(-1)
        at_goal = log_p.gather(1, target.unsqueeze(1)).squeeze(1)
        rest = log_p.sum(-1) - at_goal
        rest = rest if excluded is None else rest - log_p[:, excluded]
        return -(right * at_goal + wrong * rest).masked_fill(~real, 0.0).sum()
    return _GeneratorLoss.apply(
        x[real], weight, bias, target[real], right, wrong, excluded, rows
    )


class _GeneratorLoss(torch.autograd.Function):
    """With p a token's softmax and q its smoothed target: the loss is -Σ q log p, the
    gradient of the logits p - q.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Any, target: Tensor, *constants: Any
    ) -> Tensor:
        right, wrong, excluded, rows = constants
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
                part[: len(chunk)] for part in (logits, exact_logits, softmax)
            )
            z.copy_(torch.mm(chunk, w.T, out=half))
            if bias is not None:
                z += bias
            torch.softmax(z, -1, out=p)
            # log Σ exp z: by the largest entry, whose p never rounds to 0.
            log_sum = z.amax(-1) - p.amax(-1).log()
            at_goal = z.gather(1, goal).sum()
            rest = z.sum() - at_goal - (0 if excluded is None else z[:, excluded].sum())
            others = z.shape[1] - 1 - (excluded is not None)
            loss += (
                (right + others * wrong) * log_sum.sum()
                - right * at_goal
                - wrong * rest
            )
            z = p.sub_(wrong)  # p - q, but for the right and the excluded symbol
            z.scatter_add_(1, goal, z.new_full(goal.shape, wrong - right))
            if excluded is not None:
                z[:, excluded] += wrong
            if d_bias is not None:
                d_bias += z.sum(0)
            torch.mm(half.copy_(z), w, out=d_chunk)
            d_weight += half.T @ chunk
        ctx.save_for_backward(d_x, d_weight, d_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if torch.is_grad_enabled():  # with create_graph=True alone
            raise RuntimeError(
                "generator_loss has no second derivative; for one, take"
                " training.smoothed_loss of the logits"
            )
        d_x, d_weight, d_bias = ctx.saved_tensors
        scaled = (
            None if d is None else d * upstream.to(d.dtype)
            for d in (d_x, d_weight, d_bias)
        )
        return (*scaled, None, None, None, None, None)
