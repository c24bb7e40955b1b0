"""The plain training loop that every chapter uses; it knows no model."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitfm.study.extras import brought_by


@dataclass
class History:
    """What a training run left behind.

    Attributes:
        loss: the loss of every step.
        evaluations: (step, seconds of training so far, result) for every call of
            ``evaluate``.
        seconds: time spent on training alone, evaluations not counted.
    """

    loss: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float, Any]] = field(default_factory=list)
    seconds: float = 0.0


def fit(
    model: nn.Module,
    loss: Callable[..., Float[Tensor, ""]],
    batches: Iterable[tuple[Tensor, ...]],
    steps: int,
    *,
    learning_rate: float = 1e-3,
    warmup: int = 0,
    decay: bool = False,
    clip: float = 1.0,
    evaluate: Callable[[nn.Module], Any] | None = None,
    every: int = 100,
    progress: bool = True,
) -> History:
    """Train with Adam: draw a batch, compute the loss, follow its gradient, ``steps``
    times.

    Args:
        model: trained in place, in training mode; left in evaluation mode.
        loss: called as ``loss(model, *batch)``.
        batches: at least ``steps`` batches, for instance from ``shuffled``.
        steps: how many batches to learn from.
        learning_rate: Adam's, at its highest.
        warmup: steps over which the learning rate rises linearly from 0 (chapter 8).
        decay: let the learning rate fall linearly to 0 between warm-up and the last
            step.
        clip: the largest norm of the gradient; a longer one is shortened to it.
        evaluate: called as ``evaluate(model)`` in evaluation mode every ``every`` steps
            and after the last.
        every: steps between two evaluations.
        progress: show a bar with loss and time left.

    Raises:
        ValueError: if the batches run out, or the loss is no longer a number.
    """

    def rate(step: int) -> float:
        """The share of the highest learning rate; the first step, 0, has some."""
        rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
        falling = (steps - step) / max(1, steps - warmup) if decay else 1.0
        return min(rising, falling)

    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    history = History()
    stream = iter(batches)
    bar: Any = range(1, steps + 1)
    if progress:
        with brought_by("notebook"):
            from tqdm.auto import tqdm
        bar = tqdm(bar, leave=False)
    for step in bar:
        begin = time.perf_counter()
        model.train()
        batch = next(stream, None)
        if batch is None:
            raise ValueError(
                f"the batches ran out after {step - 1} of {steps} steps; give a stream"
                " that goes on"
            )
        value = loss(model, *batch)
        if not value.isfinite():
            raise ValueError(
                f"the loss is {value.item()} at step {step}; try a smaller learning"
                f" rate than {learning_rate} or more steps of warm-up"
            )
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
        history.loss.append(value.item())
        history.seconds += time.perf_counter() - begin
        if progress and step % 20 == 0:
            bar.set_postfix_str(f"loss {value.item():.3f}")
        if evaluate and (step % every == 0 or step == steps):
            model.eval()
            history.evaluations.append((step, history.seconds, evaluate(model)))
    model.eval()
    return history


def shuffled(*tensors: Tensor, batch: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Batches of rows without end: every epoch runs once through all rows, in a new
    order.

    Args:
        tensors: of one length; a batch takes the same rows from each.
        batch: rows in a batch; the last ones of an epoch that fill no batch wait for
            the next.
        seed: of the order.

    Raises:
        ValueError: if the tensors differ in length, or hold fewer rows than one batch.
    """
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"the tensors have {lengths} rows; a batch takes the same rows from each"
        )
    if lengths[0] < batch:
        raise ValueError(
            f"{lengths[0]} rows do not fill a batch of {batch}; choose a smaller batch"
        )
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(lengths[0], generator=generator)
        for rows in order[: lengths[0] // batch * batch].split(batch):
            yield tuple(tensor[rows.to(tensor.device)] for tensor in tensors)
