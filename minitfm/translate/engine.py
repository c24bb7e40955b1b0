"""Training as the paper does it, on anything from two processor cores to many GPUs
(chapter 11).
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as distributed
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.fast.loss import generator_loss
from minitfm.fast.memory import keep_freed_memory
from minitfm.translate.checkpoints import (
    check_same_training,
    checkpoints,
    random_states,
    restore,
    save,
)
from minitfm.translate.parallel import gathered, summed, world_and_rank
from minitfm.translate.progress import Report
from minitfm.translate.recipe import Recipe, bfloat16_pays


@runtime_checkable
class Batches(Protocol):
    """Endless batches that know their position, such as ``batches.TokenBatches``."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Source and target rows, the target from <bos> to <eos>."""

    def state_dict(self) -> dict[str, Any]:
        """The position of the next batch, the same in all processes."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position."""


class Loss(nn.Module):
    """A model and its loss as one module: what ``torch.compile`` and
    DistributedDataParallel take.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        """Keep both."""
        super().__init__()
        self.model, self.recipe = model, recipe

    def forward(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, ""]:
        """The smoothed cross-entropy of the true next tokens, in nats, summed over all
        that are not padding.
        """
        model: Any = self.model
        x, goal = (
            model.features(source, target[:, :-1]).flatten(0, 1),
            target[:, 1:].flatten(),
        )
        generator = model.generator
        return generator_loss(
            x,
            generator.weight,
            generator.bias,
            goal,
            self.recipe.smoothing,
            self.recipe.variant,
        )


def train(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    folder: Path,
    *,
    description: Mapping[str, Any] | None = None,
    minutes: float = math.inf,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    progress: bool = True,
) -> int:
    """Train a model, or go on where the last checkpoint in ``folder`` left off.

    In several processes (see ``parallel.processes``) each draws its own part of every
    batch. A run that was killed and started again ends with the same weights as one
    that was not, on the same machine with equally many threads and processes.

    Args:
        model: an encoder-decoder with ``features`` and ``generator``, on its device;
            trained in place.
        batches: endless, with ``state_dict`` and ``load_state_dict``.
        recipe: how to train.
        folder: for the checkpoints and the log, log.csv.
        description: how to build the model again, whatever JSON can hold; it travels
            with the weights.
        minutes: stop at a checkpoint after this time, wherever the recipe is; it
            changes nothing else.
        evaluate: called as ``evaluate(model)`` at every checkpoint, in evaluation mode;
            its figures are logged.
        progress: show tokens per second, loss and time left; in a notebook, the curve
            of the loss.

    Returns:
        The steps done.

    Raises:
        FloatingPointError: if the loss is no number any more, or grows again by a nat.
        ValueError: if the checkpoint in the folder is of another model or of other
            batches.
    """
    begin, device = time.monotonic(), next(model.parameters()).device
    world, rank = world_and_rank()
    keep_freed_memory()
    fused = device.type == "cpu"  # one pass over the weights instead of ten
    optimizer = torch.optim.Adam(
        model.parameters(), lr=0.0, betas=recipe.betas, eps=recipe.eps, fused=fused
    )
    step, health = 0, Health()
    if saved := checkpoints(folder):
        check_same_training(saved[-1], description or {})
        position = restore(saved[-1], model, optimizer, rank)
        batches.load_state_dict(position["batches"])
        step, health = position["step"], Health(**position["health"])
    loss: Any = Loss(model, recipe)
    # dynamic: one translation for all lengths
    loss = torch.compile(loss, dynamic=True) if recipe.compile else loss
    if world > 1:
        loss = nn.parallel.DistributedDataParallel(
            loss, device_ids=[device] if device.type == "cuda" else None
        )
    use_bfloat16 = recipe.precision == "bfloat16" or (
        recipe.precision == "auto" and bfloat16_pays(device)
    )
    report = (
        Report(folder / "log.csv", step, recipe.steps, minutes, progress)
        if rank == 0
        else None
    )
    stream = iter(batches)
    model.train()
    stop = False
    while step < recipe.steps and not stop:
        step += 1
        micro_batches = [
            tuple(tokens.to(device) for tokens in next(stream))
            for _ in range(recipe.accumulate)
        ]
        tokens = summed(
            torch.stack(
                [(target[:, 1:] != 0).sum() for _, target in micro_batches]
            ).sum(),
            world,
        )
        optimizer.param_groups[0]["lr"] = rate = recipe.rate_at(
            step, model_width(model)
        )
        optimizer.zero_grad(set_to_none=True)
        step_loss = torch.zeros((), device=device)
        for number, (source, target) in enumerate(micro_batches, start=1):
            last = number == len(micro_batches)  # processes exchange gradients once
            exchange = (
                contextlib.nullcontext() if last or world == 1 else loss.no_sync()
            )
            with exchange:
                with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16):
                    share = loss(source, target) / tokens
                # Gradients are averaged over the processes, and their sum is wanted.
                (share * world).backward()
            step_loss += share.detach()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        out_of_time = step_loss.new_tensor(time.monotonic() - begin > 60 * minutes)
        mean, stopping = summed(torch.stack([step_loss, out_of_time]), world).tolist()
        stop = stopping > 0  # one process is enough
        health.check(step, mean, norm.item(), rate)
        optimizer.step()
        checkpoint_due = stop or step == recipe.steps or step % recipe.checkpoint == 0
        if report:
            report.step(
                step,
                rate,
                mean,
                int(tokens),
                write=checkpoint_due or step % recipe.log == 0,
            )
        if checkpoint_due:
            if report and evaluate:
                report.evaluated(step, evaluated(model, evaluate, device))
            random = gathered(random_states(device), world)
            if rank == 0:
                position = {
                    "batches": batches.state_dict(),
                    "health": dataclasses.asdict(health),
                }
                save(
                    folder,
                    step,
                    model,
                    optimizer,
                    description or {},
                    position,
                    random,
                    recipe.keep,
                )
            if world > 1:
                distributed.barrier()
            if report:
                report.go_on()
    if report:
        report.close()
    model.eval()
    return step


@dataclasses.dataclass
class Health:
    """Whether a training still converges: the running mean of about a hundred losses,
    and the lowest value that it ever had.
    """

    mean: float = 0.0
    lowest: float = math.inf

    def check(self, step: int, loss: float, norm: float, rate: float) -> None:
        """Add the loss of a step.

        Raises:
            FloatingPointError: if loss or gradient is no number, or the mean loss has
                grown by a nat.
        """
        remedy = (
            f"the learning rate is {rate:.2g}; try half of it, twice the warm-up, or"
            " precision float32"
        )
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FloatingPointError(
                f"at step {step} the loss is {loss} and its gradient's norm {norm};"
                f" {remedy}"
            )
        self.mean += (loss - self.mean) / min(step, 100)
        self.lowest = min(self.lowest, self.mean)
        if self.mean > self.lowest + 1:
            grown = (
                f"the loss has grown from {self.lowest:.2f} to {self.mean:.2f} nats by"
                f" step {step}"
            )
            raise FloatingPointError(f"{grown}: the training diverges; {remedy}")


def evaluated(
    model: nn.Module,
    evaluate: Callable[[nn.Module], dict[str, float]],
    device: torch.device,
) -> Any:
    """The figures of ``evaluate``, called in evaluation mode; the training's random
    numbers stay as they are.
    """
    model.eval()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        figures = evaluate(model)
    model.train()
    return figures


def model_width(model: Any) -> int:
    """The d_model of the learning rate: the width of what the generator reads."""
    return model.generator.in_features
