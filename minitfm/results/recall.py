r"""Recall of the first symbol by a plain recurrent network within a fixed budget: one
row a run, appended to recall.csv.

The runs that chapter 1 shows::

    python -m minitfm.results.recall --lengths 5 10 15 20 30 50 100 --seeds 0 1 2 3 4
    python -m minitfm.results.recall --lengths 200 --seeds 0 1 2 3 4

and, from the default start, a higher learning rate, both, and more steps::

    python -m minitfm.results.recall --starts default --lengths 30 \
        --seeds 0 1 2 3 4 --learning-rates 3e-3
    python -m minitfm.results.recall --starts default --lengths 30 50 \
        --seeds 0 1 2 3 4 --steps 2000 --learning-rates 3e-3
    python -m minitfm.results.recall --starts default --lengths 30 \
        --seeds 0 1 2 3 4 --steps 2000

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.results import append_row
from minitfm.rnn import RNN, Recurrent, orthogonal_
from minitfm.study.fit import fit
from minitfm.study.puzzles import recall

TABLE = Path(__file__).with_suffix(".csv")
STARTS = {"default": None, "orthogonal": 1.0}  # the gain of the first U
SYMBOLS, WIDTH, BATCH, RATE = 8, 64, 64, 1e-3


class Recaller(nn.Module):
    """Read symbols one by one, name the first from the last state."""

    def __init__(self, network: Recurrent) -> None:
        """Put a readout on a network that reads one-hot vectors."""
        super().__init__()
        self.rnn = network
        self.readout = nn.Linear(network.d_hidden, SYMBOLS)

    def forward(self, symbols: Tensor) -> Tensor:
        """(batch, token) ids to (batch, symbols) logits."""
        output, _ = self.rnn(F.one_hot(symbols, SYMBOLS).float())
        return self.readout(output[:, -1])


def recall_loss(model: nn.Module, symbols: Tensor, answers: Tensor) -> Tensor:
    """The surprise at the right answer."""
    return F.cross_entropy(model(symbols), answers)


def recalls(length: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, each drawn anew: the first by ``seed``, the next by the
    number after it.
    """
    return (recall(BATCH, length, seed=number) for number in count(seed))


def share_recalled(model: nn.Module, sequences: int, length: int) -> float:
    """Share of new sequences of which the first symbol is named."""
    symbols, answers = recall(sequences, length, seed=0)
    with torch.no_grad():
        return (model(symbols).argmax(-1) == answers).float().mean().item()


def main() -> None:
    """Train once for each length, start and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.recall")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--lengths", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[RATE])
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    for length, start, rate, seed in product(
        options.lengths, options.starts, options.learning_rates, options.seeds
    ):
        torch.manual_seed(seed)
        model = Recaller(RNN(SYMBOLS, WIDTH))
        gain = STARTS[start]
        if gain is not None:
            orthogonal_(model, gain)
        history = fit(
            model,
            recall_loss,
            recalls(length, seed=100_000 * (seed + 1) + 1),
            options.steps,
            learning_rate=rate,
            progress=False,
        )
        row = {
            "start": start,
            "d_hidden": WIDTH,
            "length": length,
            "seed": seed,
            "steps": options.steps,
            "learning_rate": rate,
            "seconds": round(history.seconds),
            "threads": torch.get_num_threads(),
            "accuracy": f"{share_recalled(model, 2_000, length):.4f}",
        }
        append_row(options.table, row)


if __name__ == "__main__":
    main()
