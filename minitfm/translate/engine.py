"""Training as the paper does it, on anything from two processor cores to many GPUs
(chapter 11).
"""

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.fast.loss import generator_loss
from minitfm.fast.memory import keep_freed_memory
from minitfm.translate.checkpoints import (
    check_same_training,
    random_states,
    restore,
    save,
    save_best,
    whole_checkpoints,
)
from minitfm.translate.folder import claimed
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
            its figures are logged. The weights with the lowest first figure so far are
            kept as best.safetensors.
        progress: show tokens per second, loss and time left; in a notebook, the curve
            of the loss.

    Returns:
        The steps done.

    Raises:
        FloatingPointError: if the loss is no number any more, or grows again by a nat.
        ValueError: if the folder holds something else than a training, another process
            trains there, or its checkpoint is of another model or of other batches.
        OSError: if a checkpoint cannot be written.
        KeyboardInterrupt: if Ctrl-C was pressed: after the step that was being done,
            whose checkpoint is saved first. Pressed again, at once.
    """
    claim = claimed(folder) if world_and_rank()[1] == 0 else contextlib.nullcontext()
    with claim, Interruption() as interrupted:
        step = claimed_training(
            model,
            batches,
            recipe,
            folder,
            description or {},
            minutes,
            evaluate,
            progress,
            interrupted,
        )
    if interrupted.asked:
        raise KeyboardInterrupt(f"stopped at step {step:,}, which is saved in {folder}")
    return step


def claimed_training(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    folder: Path,
    description: Mapping[str, Any],
    minutes: float,
    evaluate: Callable[[nn.Module], dict[str, float]] | None,
    progress: bool,
    interrupted: "Interruption",
) -> int:
    """``train`` in a folder that is this process's own, until Ctrl-C is pressed; the
    other arguments are the same.
    """
    begin, device = time.monotonic(), next(model.parameters()).device
    world, rank = world_and_rank()
    keep_freed_memory()
    fused = device.type == "cpu"  # one pass over the weights instead of ten
    optimizer = torch.optim.Adam(
        model.parameters(), lr=0.0, betas=recipe.betas, eps=recipe.eps, fused=fused
    )
    step, health, best = 0, Health(), Best()
    if saved := whole_checkpoints(folder):
        check_same_training(saved[-1], description)
        position = restore(saved[-1], model, optimizer, rank)
        if missing := {"batches", "health"} - position.keys():
            raise ValueError(
                f"{saved[-1]} does not say its {' and '.join(sorted(missing))}; another"
                " version of minitfm wrote it"
            )
        batches.load_state_dict(position["batches"])
        step, health = position["step"], Health(**position["health"])
        best = Best(**position.get("best", {}))
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
    stop = 0 < recipe.patience <= best.since
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
        out_of_time = time.monotonic() - begin > 60 * minutes or interrupted.asked
        mean, stopping = summed(
            torch.stack([step_loss, step_loss.new_tensor(out_of_time)]), world
        ).tolist()
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
                figures = evaluated(model, evaluate, device)
                report.evaluated(step, figures)
                # A stop between two checkpoints must not change what is the best.
                usual = step == recipe.steps or step % recipe.checkpoint == 0
                if usual and best.is_beaten(step, next(iter(figures.values()))):
                    save_best(folder, step, model, description)
            random = gathered(random_states(device), world)
            if rank == 0:
                position = {
                    "batches": batches.state_dict(),
                    "health": dataclasses.asdict(health),
                    "best": dataclasses.asdict(best),
                }
                save(
                    folder,
                    step,
                    model,
                    optimizer,
                    description,
                    position,
                    random,
                    recipe.keep,
                )
            # What the first process saw in its evaluation, told to all.
            late = torch.tensor(float(0 < recipe.patience <= best.since), device=device)
            stop = stop or summed(late, world).item() > 0
            if report:
                report.go_on()
    if report:
        report.close()
    model.eval()
    return step


class Interruption:
    """Ctrl-C as a wish: the step that is being done is finished and saved first.

    Only a process's main thread can hear it; elsewhere Ctrl-C does what it always does.
    """

    def __init__(self) -> None:
        """Nothing was pressed yet."""
        self.asked = False
        self.before: Any = None

    def __enter__(self) -> "Interruption":
        """Listen from now on."""
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self.heard)
        return self

    def __exit__(self, *_: Any) -> None:
        """Let Ctrl-C do again what it did before."""
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
            self.before = None

    def heard(self, *_: Any) -> None:
        """Note the first Ctrl-C, and let a second one interrupt at once."""
        self.asked = True
        self.__exit__()


@dataclasses.dataclass
class Best:
    """The lowest figure of the evaluations so far, its step, and how many evaluations
    there were since.
    """

    figure: float = math.inf
    step: int = 0
    since: int = 0

    def is_beaten(self, step: int, figure: float) -> bool:
        """Whether the figure of a step is the lowest, which is then noted."""
        if figure < self.figure:
            self.figure, self.step, self.since = figure, step, 0
            return True
        self.since += 1
        return False


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
