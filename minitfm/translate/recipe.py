"""Every choice of a training but the model and its data."""

import dataclasses
import math
from typing import Literal, get_args

import torch

from minitfm.training import Variant, paper_rate

Precision = Literal["auto", "float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Every choice of a training but the model and its data; the defaults are the
    paper's (sections 5.3 and 5.4).

    Attributes:
        steps: number of updates of the weights.
        rate: the learning rate is this times ``paper_rate``.
        warmup: number of steps to the highest learning rate.
        cooldown: the share of the steps, at the end, over which the learning rate also
            falls linearly to 0. The paper has none.
        betas: of Adam.
        eps: of Adam.
        smoothing: label smoothing's epsilon.
        variant: of the smoothing, see ``training.target_probabilities``.
        accumulate: number of batches whose gradients are added up for one update. Six
            batches of 4,096 tokens come near to the paper's 25,000.
        clip: the largest norm of the gradient; a longer one is shortened to it. The
            paper names none.
        precision: ``bfloat16`` computes matrix products in 16 bits; ``auto`` does so
            where the processor has instructions for it.
        compile: pass the model through ``torch.compile`` first, which pays on GPUs.
        checkpoint: number of steps between two checkpoints.
        keep: how many checkpoints to keep.
        log: number of steps between two rows of the log.
        patience: stop after so many checkpoints in a row at which the validation was no
            better than before; 0 never stops early.

    Raises:
        ValueError: if a number is out of range, or a choice has no such name.
    """

    steps: int = 100_000
    rate: float = 1.0
    warmup: int = 4000
    cooldown: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    smoothing: float = 0.1
    variant: Variant = "tensor2tensor"
    accumulate: int = 1
    clip: float = 1.0
    precision: Precision = "auto"
    compile: bool = False
    checkpoint: int = 1000
    keep: int = 5
    log: int = 50
    patience: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "warmup", "accumulate", "checkpoint", "keep", "log"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; choose 1 or more")
        if self.patience < 0:
            raise ValueError(f"patience={self.patience}; choose 0 (never) or more")
        for name in ("rate", "clip", "eps"):
            if not getattr(self, name) > 0:  # so that nan is refused, too
                raise ValueError(f"{name}={getattr(self, name)}; choose more than 0")
        if not math.isfinite(self.rate):
            raise ValueError(f"rate={self.rate}; choose a finite one")
        if not 0 <= self.smoothing < 1:
            raise ValueError(
                f"smoothing={self.smoothing}; choose 0 (none) or more, below 1"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={self.betas}; choose each from 0 up to below 1")
        if not 0 <= self.cooldown <= 1:
            raise ValueError(
                f"cooldown={self.cooldown} is no share of the steps; choose 0 to 1"
            )
        for name, choices in (
            ("variant", get_args(Variant)),
            ("precision", get_args(Precision)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}; choose {', '.join(choices)}"
                )

    def rate_at(self, step: int, d_model: int) -> float:
        """The learning rate of a step, counted from 1."""
        cooldown = (self.steps + 1 - step) / (self.cooldown * self.steps + 1)
        return self.rate * paper_rate(step, d_model, self.warmup) * min(1.0, cooldown)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the processor multiplies matrices of bfloat16 in hardware.

    On a CPU, ``torch.cpu.get_capabilities`` says so. Versions of PyTorch that lack it
    count as no, so ``auto`` computes in float32 there.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
