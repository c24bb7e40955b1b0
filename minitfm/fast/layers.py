"""Layer normalization in one call, dropout with cheaper random numbers, sinusoids that
are computed once.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm import layers, positional
from minitfm.fast.tracing import traced


class LayerNorm(layers.LayerNorm):
    """The lesson's normalization in one fused call."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize every vector by its own mean and variance."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.bias, self.eps)


class Dropout(nn.Dropout):
    """Dropout whose random numbers are cheaper on a CPU: one draw of 64 bits serves
    four numbers. So p is met to within 1 / 131,072 there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by a new draw of 0 and 1 / (1 - p)."""
        below = round(self.p * 2**16)  # of 65,536 draws, so many drop
        plain = not self.training or self.inplace or x.device.type != "cpu"
        if plain or not 0 < below < 2**16 or traced(x):
            return super().forward(x)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
        bits.random_(-(2**63), None)  # all 64 of them
        uniform = bits.view(torch.int16)[: x.numel()].view(x.shape)  # -2^15 to 2^15 - 1
        kept = torch.empty_like(x, requires_grad=False)
        torch.ge(uniform, below - 2**15, out=kept)
        return x * kept.div_(1 - self.p)


@functools.lru_cache(maxsize=32)
def table(
    length: int, width: int, base: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """The lesson's table of sinusoids, kept for the next call."""
    with torch.inference_mode(False), torch.no_grad():
        return positional.sinusoids(length, width, base).to(device, dtype)


def rows(self: positional.Sinusoids, x: Tensor, start: int) -> Tensor:
    """The rows for the tokens of ``x``; tables come in powers of two."""
    if traced(x):  # computed there: a table would fix the length
        return positional.Sinusoids.rows(self, x, start)
    stop = start + x.shape[-2]
    length = 1 << (stop - 1).bit_length() if stop else 0
    kept = table(length, self.width, self.base, x.device, x.dtype)
    return kept.narrow(0, start, x.shape[-2])


class SinusoidalPositions(positional.SinusoidalPositions):
    """The lesson's positions from a table that is kept."""

    rows = rows


class RotaryPositions(positional.RotaryPositions):
    """The lesson's rotation from a table that is kept."""

    rows = rows
