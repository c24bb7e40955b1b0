"""How the paper trains: its learning rate, its smoothed targets, and the loop around
them (chapter 11).
"""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Variant = Literal["tensor2tensor", "torch", "annotated"]


def paper_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    """The paper's learning rate: d_model^-0.5 · min(step^-0.5, step · warmup^-1.5)
    (equation 3).

    It rises linearly for ``warmup`` steps and then falls with the square root of the
    step.

    Args:
        step: counted from 1; at step 0 the rate would be 0.
        d_model: width of the model.
        warmup: number of steps to the peak.

    Raises:
        ValueError: if the step is not positive.
    """
    if step < 1:
        raise ValueError(
            f"step={step}, but the schedule counts from 1: at 0 the learning rate would"
            " be 0"
        )
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def target_probabilities(
    epsilon: float, vocabulary: int, variant: Variant = "tensor2tensor"
) -> tuple[float, float]:
    """The probability that a smoothed target gives to the right symbol, and the one
    that it gives to each other symbol.

    The paper smooths by 0.1 and does not say how (section 5.4). Three ways are
    published:

    - ``tensor2tensor``, the paper's own code: the wrong symbols share epsilon, which
      makes epsilon / (V - 1) for each,
    - ``torch``, in ``torch.nn.CrossEntropyLoss``: all symbols share it, the right one
      too, which makes epsilon / V for each,
    - ``annotated``, in The Annotated Transformer: all symbols but the right one and the
      padding share it, which makes epsilon / (V - 2) for each.

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
    epsilon: float = 0.1,
    variant: Variant = "tensor2tensor",
    pad: int = 0,
) -> Float[Tensor, "token vocabulary"]:
    """The distribution that the model should give at each token, in float64."""
    right, wrong = target_probabilities(epsilon, vocabulary, variant)
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
    """The cross-entropy between the smoothed targets and the model, in nats, summed
    over the tokens that are not padding.

    It is a sum and not a mean, so that the losses of several batches can be added and
    then divided by the number of all their tokens: a mean of means would be wrong.

    Args:
        logits: a score for each symbol at each token.
        target: the right symbols.
        epsilon: how much probability is taken from the right symbol; 0 gives the plain
            cross-entropy.
        variant: who gets it, see ``target_probabilities``.
        pad: the id of the padding symbol.
    """
    targets = smoothed_targets(target, logits.shape[-1], epsilon, variant, pad)
    loss = -(targets.to(logits) * logits.log_softmax(-1)).sum(-1)
    return loss[target != pad].sum()


def train(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    steps: int,
    d_model: int,
    *,
    rate: float = 1.0,
    warmup: int = 4000,
    epsilon: float = 0.1,
    accumulate: int = 1,
    pad: int = 0,
) -> list[float]:
    """Train a model as the paper does (section 5): Adam, the rate of equation 3, and
    smoothed targets.

    Args:
        model: called as ``model(source, target)``, returns logits (batch, target,
            vocabulary). It is trained in place and left in evaluation mode.
        batches: pairs of source and target ids, the target from <bos> to <eos>; at
            least ``steps * accumulate`` of them.
        steps: number of updates of the weights.
        d_model: width of the model, for ``paper_rate``.
        rate: a factor of the learning rate; the paper's is 1.
        warmup: number of steps to the highest learning rate.
        epsilon: of the label smoothing.
        accumulate: number of batches whose gradients are added up for one update. The
            paper's batches of 25,000 tokens need several where memory is short.
        pad: the id of the padding symbol.

    Returns:
        The mean loss of a token at each step, in nats.

    Raises:
        ValueError: if the batches run out.
    """
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    losses, stream = [], iter(batches)
    model.train()
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * paper_rate(step, d_model, warmup)
        group = list(islice(stream, accumulate))
        if len(group) < accumulate:
            raise ValueError(f"the batches ran out in step {step} of {steps}")
        tokens = sum(int((target[:, 1:] != pad).sum()) for _, target in group)
        optimizer.zero_grad()
        losses.append(0.0)
        for source, target in group:
            logits = model(source, target[:, :-1])  # all but the last token, to predict
            right = target[:, 1:]  # all but the first
            total = smoothed_loss(
                logits.flatten(0, 1), right.flatten(), epsilon, pad=pad
            )
            loss = total / tokens  # of all batches of this step
            loss.backward()  # gradients add up until zero_grad
            losses[-1] += loss.item()
        optimizer.step()
    model.eval()
    return losses
