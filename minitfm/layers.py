"""What stands between the attention layers and makes depth trainable (chapter 8)."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["post", "pre"]


def layer_norm(
    x: Float[Tensor, "*batch d_model"],
    gain: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"],
    eps: float = 1e-5,
) -> Float[Tensor, "*batch d_model"]:
    """Bring every vector to mean 0 and variance 1, then scale and shift each component
    (Ba et al. 2016, equation 4).

    The variance divides by d_model, not by d_model - 1, and ``eps`` stands inside the
    root.
    """
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * gain + bias


class LayerNorm(nn.Module):
    """``layer_norm`` with a learned gain and bias, computed in one fused call."""

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        """Start as the plain normalization: gain 1, bias 0."""
        super().__init__()
        self.gain = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(
        self, x: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Normalize every vector by its own mean and variance."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.bias, self.eps)


class FeedForward(nn.Module):
    """The same two-layer network at every position: max(0, xW1 + b1)W2 + b2 (equation
    2).
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        """Widen from ``d_model`` to ``d_ff`` and come back."""
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)

    def forward(
        self, x: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Work on each position by itself."""
        return self.outer(self.inner(x).relu())


class Dropout(nn.Dropout):
    """Set each number to zero with probability p while training, divide the others by 1
    - p (Srivastava et al. 2014).

    The same as ``nn.Dropout``, but for whence a CPU takes its random numbers: one draw
    of 64 bits serves four numbers, which is several times faster. So p is met to within
    1 / 131,072 there.
    """

    def forward(
        self, x: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Multiply by a new draw of 0 and 1 / (1 - p)."""
        if not (self.training and 0 < self.p < 1 and x.device.type == "cpu"):
            return super().forward(x)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(
            -(2**63), None
        )  # all 64 of them
        uniform = bits.view(torch.int16)[: x.numel()].view(
            x.shape
        )  # each from -2^15 to 2^15 - 1
        kept = torch.empty_like(x, requires_grad=False)
        torch.ge(uniform, round(self.p * 2**16) - 2**15, out=kept)
        return x * kept.div_(1 - self.p)


class DroppedLinear(nn.Linear):
    """A linear layer with ``Dropout`` on what comes out: before a ReLU the same as
    behind it, since both keep zeros.
    """

    def __init__(self, d_in: int, d_out: int, p: float) -> None:
        """Make the layer; each number that it computes is set to zero with probability
        p.
        """
        super().__init__(d_in, d_out)
        self.dropout = Dropout(p)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """Compute Dropout(x Wᵀ + b)."""
        return self.dropout(super().forward(x))


class Residual(nn.Module):
    """Add a sublayer's output to its input, and normalize.

    ``"post"`` is the paper's LayerNorm(x + Dropout(Sublayer(x))) (sections 3.1 and
    5.4); ``"pre"`` is x + Dropout(Sublayer(LayerNorm(x))), which most later models use.
    """

    def __init__(
        self, d_model: int, *, norm: Norm = "post", dropout: float = 0.0
    ) -> None:
        """Make the normalization and the dropout; the sublayer comes with each call."""
        super().__init__()
        self.placement = norm
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch token d_model"],
        sublayer: Callable[
            [Float[Tensor, "batch token d_model"]], Float[Tensor, "batch token d_model"]
        ],
    ) -> Float[Tensor, "batch token d_model"]:
        """Run the sublayer beside the straight path."""
        if self.placement == "pre":
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))
