"""Sentences in batches of so many tokens, with sentences of similar length together and
hardly any padding.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from minitfm.study.vocabulary import BOS, EOS, PAD

Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


class Rows:
    """Sequences of different length, stored end to end in one array. That is compact,
    and a batch of them is one look-up.
    """

    def __init__(self, rows: Iterable[Sequence[int]]) -> None:
        rows = list(rows)
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.starts = self.lengths.cumsum() - self.lengths
        self.flat = np.fromiter(
            chain.from_iterable(rows), dtype=np.int32, count=int(self.lengths.sum())
        )

    def padded(self, chosen: np.ndarray, width: int) -> Int[Tensor, "batch width"]:
        """Take the chosen rows, and fill them up with PAD to a width none exceeds."""
        place = np.arange(width)
        real = place < self.lengths[chosen, None]
        batch = np.full(real.shape, PAD, dtype=np.int64)
        batch[real] = self.flat[(self.starts[chosen, None] + place)[real]]
        return torch.from_numpy(batch)


def _round_up(lengths: np.ndarray, multiple: int) -> np.ndarray:
    return -(-lengths // multiple) * multiple


class TokenBatches:
    """Endless batches of sentence pairs, by their number of tokens (section 5.1 of the
    paper).

    The pairs are sorted by length and cut into batches of at most `tokens` tokens on
    each side, padding included. In every epoch the pairs of equal length and the order
    of the batches are shuffled anew, as the seed and the number of the epoch decide.
    The shapes are the same in every epoch, and there are few of them: lengths are
    rounded up, and the number of rows is a multiple of 8.

    Several processes share each global batch of `tokens * world` tokens by taking its
    pairs in turn. At every step all of them get batches of the same width, and of the
    same number of rows or one more. What a global batch holds depends on
    `tokens * world` alone: two processes with 1,000 tokens each take together what one
    takes with 2,000. (Where `world` does not divide 8, or there are fewer than 8 rows,
    a process's batch can be one row larger than its `tokens` allow.)

    Args:
        pairs: (source ids, target ids), without special ids.
        tokens: the largest size of a batch on each side, padding included, in one
            process.
        seed: of the shuffling; not negative.
        rank: of this process, counted from 0.
        world: number of processes.
        max_length: leave out pairs with more ids than this on a side; `left_out` is
            their number.
        multiple: lengths are rounded up to a multiple of it: the source's, and the
            target's as the decoder reads it.

    Raises:
        ValueError: if no pair is left, if one is longer than a batch may be, or if a
            batch has too few rows for all processes.
    """

    def __init__(
        self,
        pairs: Pairs,
        tokens: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        max_length: int | None = None,
        multiple: int = 2,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(
                f"rank={rank} is none of world={world} processes, which count from 0"
            )
        if multiple < 1:
            raise ValueError(
                f"multiple={multiple} is no number to round lengths up to; 1 leaves"
                " them as they are"
            )
        if seed < 0:
            raise ValueError(f"seed={seed} is negative; seeds count from 0")
        kept = [
            pair
            for pair in pairs
            if max_length is None or max(map(len, pair)) <= max_length
        ]
        if not kept:
            raise ValueError(
                f"none of {len(pairs)} pairs is left to learn from, with"
                f" max_length={max_length}"
            )
        self.left_out = len(pairs) - len(kept)
        self.rank, self.world = rank, world
        self.seed, self.global_tokens, self.multiple = seed, tokens * world, multiple
        self.sources = Rows(source for source, _ in kept)
        self.targets = Rows([BOS, *target, EOS] for _, target in kept)
        self.source_widths = _round_up(np.maximum(self.sources.lengths, 1), multiple)
        # The decoder reads a target without its last token and learns to write it
        # without its first.
        self.target_widths = _round_up(self.targets.lengths - 1, multiple) + 1
        self.cuts = self._cut()
        self.epoch, self.batch = 0, 0
        self._mixed: int | None = None

    def _sorted(self, ties: np.ndarray) -> np.ndarray:
        """Sort the pairs, longest first: by the longer side, then by the target, by the
        source, and by `ties`.
        """
        longer = np.maximum(self.source_widths, self.target_widths)
        return np.lexsort((ties, self.source_widths, self.target_widths, longer))[::-1]

    def _cut(self) -> list[tuple[slice, int, int]]:
        """Cut the sorted pairs into global batches: the rows of each, and the width of
        its two sides.
        """
        order = self._sorted(np.arange(len(self.source_widths)))
        longer = np.maximum(self.source_widths, self.target_widths)[order]
        tokens = self.global_tokens // self.world
        if longer[0] > tokens:
            raise ValueError(
                f"the longest sentence needs {longer[0]} tokens with padding, and a"
                f" batch holds {tokens}; raise tokens, or leave long sentences out with"
                " max_length"
            )
        ends = [0]
        while ends[-1] < len(order):
            rows = self.global_tokens // int(longer[ends[-1]])
            ends.append(ends[-1] + (rows - rows % 8 if rows > 8 else rows))
        ends[-1] = len(order)
        if (
            len(ends) > 2 and ends[-1] - ends[-2] < ends[-2] - ends[-3]
        ):  # the last batch is a small rest: share evenly
            ends[-2] = (ends[-1] + ends[-3] + 1) // 2
        cuts = [slice(start, end) for start, end in pairwise(ends)]
        smallest = min(cut.stop - cut.start for cut in cuts)
        if smallest < self.world:
            raise ValueError(
                f"{self.world} processes cannot share a batch of {smallest} sentences; "
                "raise tokens, or take fewer processes"
            )
        widths = self.source_widths[order], self.target_widths[order]
        return [
            (cut, int(widths[0][cut].max()), int(widths[1][cut].max())) for cut in cuts
        ]

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.cuts)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Continue at the current position."""
        return self

    def __next__(
        self,
    ) -> tuple[Int[Tensor, "batch source"], Int[Tensor, "batch target"]]:
        """The next batch: sources, and targets from BOS to EOS, both padded."""
        if self.batch == len(self):
            self.epoch, self.batch = self.epoch + 1, 0
        if self._mixed != self.epoch:
            draw = np.random.default_rng((self.seed, self.epoch))
            self._rows = self._sorted(draw.permutation(len(self.source_widths)))
            self._order = draw.permutation(len(self))
            self._mixed = self.epoch
        cut, source_width, target_width = self.cuts[self._order[self.batch]]
        self.batch += 1
        rows = self._rows[cut][self.rank :: self.world]
        return self.sources.padded(rows, source_width), self.targets.padded(
            rows, target_width
        )

    def _identity(self) -> dict[str, int]:
        pairs = zlib.crc32(
            self.targets.flat.tobytes(), zlib.crc32(self.sources.flat.tobytes())
        )
        lengths = zlib.crc32(
            self.targets.lengths.tobytes(), zlib.crc32(self.sources.lengths.tobytes())
        )
        return {
            "seed": self.seed,
            "tokens": self.global_tokens,
            "multiple": self.multiple,
            "pairs": pairs ^ lengths,
        }

    def state_dict(self) -> dict[str, int]:
        """The current position, in numbers that JSON can hold; the same in every
        process.
        """
        return {"epoch": self.epoch, "batch": self.batch} | self._identity()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Return to the position of a `state_dict`. The number of processes may have
        changed if `tokens * world` has not.

        Raises:
            ValueError: if the pairs, the seed or the size of the batches differ.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise ValueError(
                    f"the state is of other batches: {name} was {state.get(name)}"
                    f" there, is {value} here"
                )
        self.epoch, self.batch = state["epoch"], state["batch"]


def evaluation_batches(
    sources: Iterable[Sequence[int]], tokens: int
) -> Iterator[tuple[list[int], Int[Tensor, "batch source"]]]:
    """Batches for decoding: every sentence once, the longest first, each batch with the
    places of its sentences in `sources`.

    A batch holds at most `tokens` tokens, padding included; a sentence longer than that
    is a batch of its own.
    """
    rows = Rows(sources)
    order = np.argsort(-rows.lengths, kind="stable")
    start = 0
    while start < len(order):
        width = max(1, int(rows.lengths[order[start]]))
        chosen = order[start : start + max(1, tokens // width)]
        yield chosen.tolist(), rows.padded(chosen, width)
        start += len(chosen)
