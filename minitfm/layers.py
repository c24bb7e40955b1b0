"""What stands between the attention layers and makes depth trainable (chapter 8)."""

from collections.abc import Callable
from typing import Literal

import torch
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
    """``layer_norm`` with a learned gain and bias."""

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
        return layer_norm(x, self.gain, self.bias, self.eps)


class FeedForward(nn.Module):
    """The same two-layer network at every position: max(0, xW1 + b1)W2 + b2
    (equation 2).
    """

    def __init__(self, d_model: int, d_ff: int, *, dropout: float = 0.0) -> None:
        """Widen from ``d_model`` to ``d_ff`` and come back.

        Args:
            d_model: width of the tokens going in and coming out.
            d_ff: width inside.
            dropout: share of the inner numbers set to zero at random in training. The
                paper's text has none here, its code has.
        """
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Work on each position by itself."""
        return self.outer(self.dropout(torch.relu(self.inner(x))))


class Residual(nn.Module):
    """Add a sublayer's output to its input, and normalize.

    ``"post"`` is the paper's LayerNorm(x + Dropout(Sublayer(x))) (sections 3.1 and
    5.4); ``"pre"`` is x + Dropout(Sublayer(LayerNorm(x))), which many later models use.
    """

    def __init__(
        self, d_model: int, *, norm: Norm = "post", dropout: float = 0.0
    ) -> None:
        """Make the normalization and the dropout; the sublayer comes with each call.

        Raises:
            ValueError: if the placement of the norm is unknown.
        """
        super().__init__()
        if norm not in ("post", "pre"):
            raise ValueError(f"norm={norm!r}; choose 'post', as in the paper, or 'pre'")
        self.placement = norm
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch token d_model"],
        sublayer: Callable[
            [Float[Tensor, "batch token d_model"]],
            Float[Tensor, "batch token d_model"],
        ],
    ) -> Float[Tensor, "batch token d_model"]:
        """Run the sublayer beside the straight path."""
        if self.placement == "pre":
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))
