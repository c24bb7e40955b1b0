"""Every choice of a training but the model and its data, and the paper's learning rate
(chapter 11).
"""

import dataclasses
from typing import Literal

import torch

from minitfm.training import Variant, paper_rate

Precision = Literal["auto", "float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Every choice of a training but the model and its data; the defaults are the
    paper's (sections 5.3 and 5.4).

    Attributes:
        steps: updates of the weights, all in all.
        rate: the learning rate is this times ``paper_rate``.
        warmup: steps to the highest learning rate.
        cooldown: over this share of the steps, the last, the learning rate falls
            further, in a line to 0. The paper has none.
        betas: of Adam.
        eps: of Adam.
        smoothing: label smoothing's epsilon.
        variant: of the smoothing.
        accumulate: batches to an update: their gradients are added up before the
            weights change. With batches of 4,096 tokens 6 come near to the paper's
            25,000.
        clip: the longest gradient; a longer one is shortened. The paper names none.
        precision: ``bfloat16`` computes matrix products in 16 bits, ``auto`` does where
            the processor is made for it.
        compile: let ``torch.compile`` translate the model first, which pays on GPUs.
        checkpoint: steps between two checkpoints.
        keep: how many checkpoints to keep.
        log: steps between two rows of the log.

    Raises:
        ValueError: if one of the counts is not positive.
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

    def __post_init__(self) -> None:
        for name in ("warmup", "accumulate", "checkpoint", "keep", "log"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; choose 1 or more")
        if not 0 <= self.cooldown <= 1:
            raise ValueError(
                f"cooldown={self.cooldown} is no share of the steps; choose 0 to 1"
            )

    def rate_at(self, step: int, d_model: int) -> float:
        """The learning rate of a step, counted from 1."""
        left = (self.steps + 1 - step) / (self.cooldown * self.steps + 1)
        return self.rate * paper_rate(step, d_model, self.warmup) * min(1.0, left)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the processor multiplies 16-bit matrices itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
