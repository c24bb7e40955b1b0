"""Inputs drawn to tell right from wrong: small, of unequal sizes, the same on every
run.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Case:
    """One call of the learner's code.

    Attributes:
        args: what it is called with.
        init: what a class is made with.
        note: when this case arises, in words: "with a mask".
        sizes: the sizes of the named axes, for the messages.
        grad: compare gradients, too.
        train: put a module into training mode.
        device: where the inputs are put.
        weights: what every module gets in this case, drawn when it is first needed.
        starts, learned: of the reference's weights, those that are not drawn, as it
            makes them, and the names of those that are learned.
        odd: no case to show where a plain one fails as well.
        named: how many of the last arguments are handed over by their names.
    """

    args: tuple[Any, ...]
    init: tuple[Any, ...] = ()
    note: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    grad: bool = False
    train: bool = False
    device: str = "cpu"
    weights: dict[str, Tensor] | None = None
    starts: dict[str, Tensor] | None = None
    learned: set[str] = field(default_factory=set)
    odd: bool = False
    named: int = 0

    @property
    def types(self) -> set[object]:
        """The devices and types of its tensors."""
        tensors = (arg for arg in self.args if isinstance(arg, Tensor))
        return {
            self.device,
            *(arg.dtype for arg in tensors if arg.dtype.is_floating_point),
        }

    @property
    def weight(self) -> int:
        """How much there is to look at."""
        tensors = [arg for arg in self.args if isinstance(arg, Tensor)]
        hidden = 1000 * (len(tensors) < len(self.args)) + 10_000 * self.grad
        odd = 1 in self.sizes.values() or self.odd
        special = 5000 * odd  # any other shows more
        hidden += 20_000 * self.train
        return sum(tensor.numel() for tensor in tensors) + hidden + special


class Draw:
    """Draws sizes, numbers and masks; another seed draws others."""

    def __init__(
        self, seed: int = 0, largest: int = 7, spreads: Sequence[float] = (1.0,)
    ) -> None:
        """Draw sizes from 2 to ``largest`` and numbers with one of the standard
        deviations ``spreads``.
        """
        self.random, self.generator = (
            random.Random(seed),
            torch.Generator().manual_seed(seed),
        )
        self.largest, self.spreads = largest, spreads
        self.spread: float | None = None
        self.dtype, self.empty = torch.float64, False

    @contextlib.contextmanager
    def like(
        self,
        spread: float | None = None,
        dtype: torch.dtype = torch.float64,
        empty: bool = False,
    ) -> Iterator[None]:
        """Inside the block, numbers have this size and type unless told otherwise, and
        masks leave the first query nothing where ``empty``.
        """
        before = self.spread, self.dtype, self.empty
        self.spread, self.dtype, self.empty = spread, dtype, empty
        try:
            yield
        finally:
            self.spread, self.dtype, self.empty = before

    def sizes(self, names: str) -> dict[str, int]:
        """One size a name, all different, so that no axis can be taken for another."""
        words = names.split()
        return dict(
            zip(
                words,
                self.random.sample(
                    range(2, max(self.largest, len(words) + 2) + 1), len(words)
                ),
            )
        )

    def normal(
        self,
        *shape: int,
        spread: float | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Normal numbers."""
        spread = self.spread if spread is None else spread
        spread = self.random.choice(self.spreads) if spread is None else spread
        numbers = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return (numbers * spread).to(self.dtype if dtype is None else dtype)

    def ids(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from ``low`` to ``high`` - 1."""
        return torch.randint(low, high, shape, generator=self.generator)

    def mask(self, *shape: int, empty: bool | None = None) -> Tensor:
        """A mask in which some are hidden and every query has a key left; ``empty``
        leaves the first query none.
        """
        empty = self.empty if empty is None else empty
        mask = torch.rand(shape, generator=self.generator) < 0.6
        mask[..., 0] |= ~mask.any(-1)
        if empty:
            mask[..., 0, :] = False
        return mask

    def tokens(
        self, batch: int, token: int, vocabulary: int = 11, pad: int = 0
    ) -> Tensor:
        """Token ids without ``pad``, then padding; the first row has none."""
        ids = 1 + self.ids(0, vocabulary - 1, batch, token)
        ids = torch.where(ids == pad, 0 if pad else 1, ids)
        length = self.ids(1, token + 1, batch)
        length[0] = token
        if batch > 1:
            length[1] = max(1, token - 1 - self.random.randrange(max(1, token - 1)))
        return ids.where(torch.arange(token) < length.unsqueeze(1), pad)
