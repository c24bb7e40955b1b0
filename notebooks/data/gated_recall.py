"""Recall of the first symbol by networks with and without gates: one row a network, start, length and seed.

The runs that chapter 2 shows::

    python -m minitfm.results.gated_recall --lengths 10 20 40 80 --seeds 0 1 2

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.fit import fit
from minitfm.lstm import GRU, LSTM
from minitfm.puzzles import recall
from minitfm.results import append_row
from minitfm.rnn import RNN, orthogonal_

TABLE = Path(__file__).with_suffix(".csv")

# A network, its width, and the bias of the gate that keeps (the GRU's is its update gate). None: as PyTorch draws it.
# The widths give about equal parameters.
NETWORKS = {
    "RNN": (RNN, 128, None),
    "RNN, orthogonal": (RNN, 128, None),
    "LSTM, bias 0": (LSTM, 64, 0.0),
    "LSTM, bias 1": (LSTM, 64, 1.0),
    "LSTM, bias 3": (LSTM, 64, 3.0),
    "LSTM, bias 5": (LSTM, 64, 5.0),
    "GRU": (GRU, 74, None),
    "GRU, bias 5": (GRU, 74, 5.0),
}
SYMBOLS, BATCH = 8, 64


class Recaller(nn.Module):
    """A recurrent network, and a guess at the first symbol from its last state."""

    def __init__(self, name: str) -> None:
        """Start the network as its name says."""
        super().__init__()
        kind, width, bias = NETWORKS[name]
        self.rnn = kind(SYMBOLS, width)
        self.readout = nn.Linear(width, SYMBOLS)
        if name == "RNN, orthogonal":
            orthogonal_(self.rnn)
        if bias is not None:
            cell = self.rnn.cells[0]
            gate = cell.forget if kind is LSTM else cell.update
            nn.init.constant_(gate.from_input.bias, bias)

    def forward(self, sequences: Tensor) -> Tensor:
        """Read whole sequences: (batch, token) ids to (batch, symbols) logits."""
        output, _ = self.rnn(F.one_hot(sequences, SYMBOLS).float())
        return self.readout(output[:, -1])


def recalls(length: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end, none seen before."""
    number = 0
    while True:
        yield recall(BATCH, length, seed=1_000_000 * (seed + 1) + number)
        number += 1


def gradient_norm(network: nn.Module, distance: int) -> float:
    """Say by how much the last h can move, at most, for a small change of the state ``distance`` steps before.

    It is the largest singular value of the Jacobian: one copy of the sequence for each number of h gives its rows.
    """
    cell, width = network.cells[0], network.d_hidden
    sequence, _ = recall(1, distance + 1, seed=1)
    x = F.one_hot(sequence, SYMBOLS).float().expand(width, -1, -1)
    with torch.no_grad():
        _, state = cell.run(x[:, :1], (torch.zeros(width, width),) * cell.parts)
    state = tuple(part.requires_grad_() for part in state)
    _, last = cell.run(x[:, 1:], state)
    rows = torch.autograd.grad(last[0].diagonal().sum(), state)
    return torch.linalg.matrix_norm(torch.cat(rows, dim=1), 2).item()


def main() -> None:
    """Train once for each length, seed and network."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.gated_recall")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--lengths", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    for seed in options.seeds:
        for length in options.lengths:
            for name in options.networks:
                torch.manual_seed(seed)
                model = Recaller(name)
                history = fit(
                    model,
                    lambda model, x, y: F.cross_entropy(model(x), y),
                    recalls(length, seed),
                    options.steps,
                    learning_rate=options.rate,
                    progress=False,
                )
                sequences, answers = recall(1_000, length, seed=0)
                with torch.no_grad():
                    right = (model(sequences).argmax(-1) == answers).float().mean()
                row = {
                    "network": name,
                    "parameters": sum(p.numel() for p in model.rnn.parameters()),
                    "length": length,
                    "seed": seed,
                    "steps": options.steps,
                    "learning_rate": options.rate,
                    "right": f"{right.item():.3f}",
                    "gradient_100": f"{gradient_norm(model.rnn, 100):.1e}",
                    "seconds": round(history.seconds),
                    "threads": torch.get_num_threads(),
                }
                append_row(options.table, row)


if __name__ == "__main__":
    main()
