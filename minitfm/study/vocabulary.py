"""From symbols to numbers and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<bos>", "<eos>")


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a task, numbered; source and target share one vocabulary, as in
    the paper (section 5.1).

    A sequence is a string, whose symbols are its characters, or a list or tuple of
    symbols, such as phonemes. The id of a symbol is its place in `symbols`, where
    `<pad>`, `<bos>` and `<eos>` come first and none occurs twice.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.symbols[:3] != SPECIAL or len(set(self.symbols)) < len(self.symbols):
            raise ValueError(
                f"a vocabulary is {SPECIAL}, then other symbols, each of them once; got"
                f" {self.symbols}"
            )

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]]) -> "Vocabulary":
        """Number every symbol of the sequences, in sorted order: the same on every
        machine.
        """
        return cls(
            (
                *SPECIAL,
                *sorted({symbol for sequence in sequences for symbol in sequence}),
            )
        )

    def __len__(self) -> int:
        """Count the symbols, special ones included: the embeddings that a model
        needs.
        """
        return len(self.symbols)

    def encode(
        self,
        sequences: Iterable[Sequence[str]],
        *,
        bos: bool = False,
        eos: bool = False,
    ) -> Int[Tensor, "batch token"]:
        """Write sequences as ids, one a row, begun with BOS and ended with EOS on
        request, then padded with PAD.

        An unknown symbol is a ValueError (the special ones are unknown, too), and so is
        a string instead of a batch.
        """
        if isinstance(sequences, str):
            raise ValueError(
                "encode takes a list of sequences; for one string write"
                f" encode([{sequences!r}])"
            )
        ids = {
            symbol: number for number, symbol in enumerate(self.symbols) if number > EOS
        }
        rows = []
        for sequence in sequences:
            unknown = [symbol for symbol in sequence if symbol not in ids]
            if unknown:
                raise ValueError(
                    f"{unknown[0]!r} in {sequence!r} is not in the vocabulary, which"
                    f" knows {list(ids)}"
                )
            rows.append(
                [BOS] * bos + [ids[symbol] for symbol in sequence] + [EOS] * eos
            )
        longest = max(map(len, rows), default=0)
        padded = [row + [PAD] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.long).view(len(rows), longest)

    def decode(self, tokens: Int[Tensor, "*batch token"]) -> list:
        """Read ids back: one row gives a list of symbols, a batch a list of such lists.

        A row ends before its first EOS; PAD and BOS are dropped. An id outside the
        vocabulary is a ValueError.
        """
        if tokens.ndim > 1:
            return [self.decode(row) for row in tokens]
        row = tokens.tolist()
        row = row[: row.index(EOS)] if EOS in row else row
        if any(not 0 <= token < len(self) for token in row):
            raise ValueError(
                f"ids run from 0 to {len(self) - 1} in this vocabulary; got {row}"
            )
        return [self.symbols[token] for token in row if token > EOS]
