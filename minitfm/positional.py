"""Positions: telling the first token from the second (chapter 7)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoids(
    length: int, d_model: int, base: float = 10_000.0
) -> Float[Tensor, "length d_model"]:
    """The paper's table: PE(pos, 2i) = sin(pos / base^(2i/d_model)), PE(pos, 2i+1) =
    cos of the same (section 3.5).

    Args:
        length: number of positions, counted from 0.
        d_model: width; an even number, since sine and cosine come in pairs.
        base: the longest wavelength is almost 2π times this.

    Returns:
        The table in float64: in float32 the sine of a position of some thousands is off
        in the fourth decimal.

    Raises:
        ValueError: if d_model is odd.
    """
    if d_model % 2:
        raise ValueError(
            f"d_model={d_model} is odd, but sines and cosines come in pairs; choose"
            f" {d_model + 1}"
        )
    exact = torch.float64
    position = torch.arange(length, dtype=exact, device="cpu").unsqueeze(1)
    pair = torch.arange(0, d_model, 2, dtype=exact, device="cpu")
    frequency = base ** (-pair / d_model)
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class Sinusoids(nn.Module):
    """The table of sinusoids.

    It is neither parameter nor buffer: it can be computed anywhere, so checkpoints need
    not carry it, and it is always as exact as its dtype allows.
    """

    def __init__(self, width: int, base: float = 10_000.0) -> None:
        """Remember the width of the rows and the base of the wavelengths."""
        super().__init__()
        self.width, self.base = width, base
        sinusoids(0, width, base)  # refuses an odd width now, not in the first forward

    def rows(
        self, x: Float[Tensor, "*batch token width"], start: int
    ) -> Float[Tensor, "token width"]:
        """The rows for the tokens of ``x``, the first of which stands at ``start``."""
        return sinusoids(start + x.shape[-2], self.width, self.base)[start:].to(x)


class SinusoidalPositions(Sinusoids):
    """Add the sinusoids to the tokens; nothing is learned, and there is no longest
    sequence (section 3.5).
    """

    def forward(
        self, x: Float[Tensor, "batch token d_model"], start: int = 0
    ) -> Float[Tensor, "batch token d_model"]:
        """Add each token its position's row; ``start`` is the position of the first
        token.
        """
        return x + self.rows(x, start)


class LearnedPositions(nn.Module):
    """Add a learned vector for each position (section 3.5, Table 3 row E)."""

    def __init__(self, d_model: int, max_length: int) -> None:
        """Make one vector for each of ``max_length`` positions."""
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_length, d_model) * d_model**-0.5)

    def forward(
        self, x: Float[Tensor, "batch token d_model"], start: int = 0
    ) -> Float[Tensor, "batch token d_model"]:
        """Add each token its position's vector; ``start`` is the position of the first
        token.

        Raises:
            ValueError: if there are more positions than were learned.
        """
        stop = start + x.shape[1]
        if stop > len(self.table):
            raise ValueError(
                f"{stop} positions, but only {len(self.table)} were learned; make the"
                " model with a larger max_length"
            )
        return x + self.table.narrow(0, start, x.shape[1])


class RotaryPositions(Sinusoids):
    """Turn each pair of numbers in a query or key by an angle that grows with the
    position (RoFormer, section 3.2).

    The dot product of a query at m and a key at n then depends on their contents and on
    m - n alone. The angles are those of the sinusoids: the pair (2i, 2i+1) at position
    pos turns by pos / base^(2i/d_k).
    """

    def forward(
        self, x: Float[Tensor, "*batch token d_k"], start: int = 0
    ) -> Float[Tensor, "*batch token d_k"]:
        """Turn queries or keys; ``start`` is the position of the first token."""
        sin, cos = self.rows(x, start).unflatten(1, (-1, 2)).unbind(-1)
        even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack(
            [even * cos - odd * sin, even * sin + odd * cos], dim=-1
        ).flatten(-2)
