r"""Recall of the first symbol by networks with and without gates: one row a network,
start, length, learning rate and seed.

The runs that chapter 2 shows::

    python -m minitfm.results.gated_recall --lengths 10 20 40 80 --seeds 0 1 2
    python -m minitfm.results.gated_recall --lengths 20 40 80 --seeds 0 1 2 --rate 0.01
    python -m minitfm.results.gated_recall --lengths 40 --seeds 0 1 2 --steps 1500 \
        --networks 'LSTM, bias 0' 'LSTM, bias 1' 'LSTM, 5 and -5' GRU 'GRU, bias 5'
    python -m minitfm.results.gated_recall --lengths 20 --seeds 0 1 2 --steps 1500 \
        --networks 'LSTM, 5 and -5'

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from minitfm.fast import accelerate
from minitfm.lstm import GRU, LSTM
from minitfm.results import append_row
from minitfm.results.recall import (
    SYMBOLS,
    Recaller,
    recall_loss,
    recalls,
    share_recalled,
)
from minitfm.rnn import RNN, orthogonal_
from minitfm.study.fit import fit
from minitfm.study.puzzles import recall

TABLE = Path(__file__).with_suffix(".csv")

# A network, its width, and the biases that are set at the start, by gate; all else is
# as PyTorch draws it. The widths give about equal parameters.
NETWORKS: dict[str, tuple[type[RNN] | type[LSTM], int, dict[str, float]]] = {
    "RNN": (RNN, 128, {}),
    "RNN, orthogonal": (RNN, 128, {}),
    "LSTM, bias 0": (LSTM, 64, {"forget_gate": 0.0}),
    "LSTM, bias 1": (LSTM, 64, {"forget_gate": 1.0}),
    "LSTM, bias 3": (LSTM, 64, {"forget_gate": 3.0}),
    "LSTM, bias 5": (LSTM, 64, {"forget_gate": 5.0}),
    "LSTM, 5 and -5": (LSTM, 64, {"forget_gate": 5.0, "input_gate": -5.0}),
    "GRU": (GRU, 74, {}),
    "GRU, bias 3": (GRU, 74, {"update_gate": 3.0}),
    "GRU, bias 5": (GRU, 74, {"update_gate": 5.0}),
}


def recaller(name: str) -> Recaller:
    """Make the model with the network of this name."""
    kind, width, biases = NETWORKS[name]
    model = Recaller(kind(SYMBOLS, width))
    if name == "RNN, orthogonal":
        orthogonal_(model)
    for gate, bias in biases.items():
        part = model.rnn.cells[0].get_submodule(gate)
        nn.init.constant_(part.get_parameter("input.bias"), bias)
    return accelerate(model)


def gradient_norm(network: nn.Module, distance: int) -> float:
    """Say by how much the last h can move, at most, for a small change of the state
    ``distance`` steps before.

    It is the largest singular value of the Jacobian: one copy of the sequence for each
    number of h gives its rows.
    """
    cell, width = network.cells[0], network.d_hidden
    sequence, _ = recall(1, distance + 1, seed=1)
    x = F.one_hot(sequence, SYMBOLS).float().expand(width, -1, -1)
    mask = torch.ones(x.shape[:2], dtype=torch.bool)
    zeros = (torch.zeros(width, width),) * network.states
    with torch.no_grad():
        _, state = network.read(cell, x[:, :1], mask[:, :1], zeros)
    state = tuple(part.requires_grad_() for part in state)
    _, last = network.read(cell, x[:, 1:], mask[:, 1:], state)
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
                model = recaller(name)
                history = fit(
                    model,
                    recall_loss,
                    recalls(length, seed=1_000_000 * (seed + 1)),
                    options.steps,
                    learning_rate=options.rate,
                    progress=False,
                )
                row = {
                    "network": name,
                    "d_hidden": model.rnn.d_hidden,
                    "parameters": sum(p.numel() for p in model.rnn.parameters()),
                    "length": length,
                    "seed": seed,
                    "steps": options.steps,
                    "learning_rate": options.rate,
                    "right": f"{share_recalled(model, 1_000, length):.3f}",
                    "gradient": f"{gradient_norm(model.rnn, length - 1):.1e}",
                    "gradient_100": f"{gradient_norm(model.rnn, 100):.1e}",
                    "seconds": round(history.seconds),
                    "threads": torch.get_num_threads(),
                }
                append_row(options.table, row)


if __name__ == "__main__":
    main()
