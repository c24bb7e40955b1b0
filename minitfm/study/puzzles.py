"""Synthetic tasks that ask for one thing alone, memory, with a dial for how long it
must last.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def recall(
    count: int, length: int, seed: int, symbols: int = 8
) -> tuple[Int[Tensor, "count length"], Int[Tensor, " count"]]:
    """Name the first symbol of a sequence after reading the rest, which says nothing
    about it.

    Args:
        count: sequences to draw.
        length: symbols in each; the first must be kept for ``length - 1`` steps.
        seed: of the draw.
        symbols: how many there are, each as likely as any other: a guess is right once
            in ``symbols`` times.

    Returns:
        The sequences, with symbols from 0 to ``symbols - 1``, and the answers.
    """
    sequences = torch.randint(
        symbols, (count, length), generator=torch.Generator().manual_seed(seed)
    )
    return sequences, sequences[:, 0]


def copying(
    count: int, kept: int, delay: int, seed: int, symbols: int = 8
) -> tuple[Int[Tensor, "count length"], Int[Tensor, "count length"]]:
    """Write down the first ``kept`` symbols after a delay (Hochreiter & Schmidhuber
    1997; Arjovsky et al. 2016).

    Symbol 0 is a blank, symbol ``symbols + 1`` the signal to begin writing. With
    ``kept=2, delay=3``:

        ========  ==============================
        sequence  4 7 0 0 0 9 0
        answer    0 0 0 0 0 4 7
        ========  ==============================

    Args:
        count: sequences to draw.
        kept: symbols to keep.
        delay: blanks between the last symbol to keep and the signal; a sequence has ``2
            * kept + delay`` symbols.
        seed: of the draw.
        symbols: how many there are to keep, numbered from 1.

    Returns:
        The sequences, and the answers, of the same length.
    """
    first = torch.randint(
        1, symbols + 1, (count, kept), generator=torch.Generator().manual_seed(seed)
    )
    sequences = torch.zeros(count, 2 * kept + delay, dtype=torch.long)
    answers = sequences.clone()
    sequences[:, :kept] = first
    sequences[:, kept + delay] = symbols + 1
    answers[:, kept + delay :] = first
    return sequences, answers


def adding(
    count: int, length: int, seed: int
) -> tuple[Float[Tensor, "count length 2"], Float[Tensor, " count"]]:
    """Add the two numbers that are marked (Hochreiter & Schmidhuber 1997).

    Args:
        count: sequences to draw.
        length: steps in each; one mark falls into the first half, one into the second.
        seed: of the draw.

    Returns:
        At every step a number from 0 to 1 and its mark, 1 or 0; and the sums. Who
        always answers 1 has a mean squared error of 1/6.

    Raises:
        ValueError: if the sequences are too short for two marks.
    """
    if length < 2:
        raise ValueError(
            f"length={length} leaves no room for two marks; choose 2 or more"
        )
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(count, length, generator=generator)
    half, rows = length // 2, torch.arange(count)
    marks = torch.zeros(count, length)
    marks[rows, torch.randint(half, (count,), generator=generator)] = 1
    marks[rows, torch.randint(half, length, (count,), generator=generator)] = 1
    return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(1)
