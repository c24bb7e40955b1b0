"""The LSTM with one gate wedged open, on three tasks: one row a task, gate and seed.

The runs that chapter 2 shows::

    python -m minitfm.results.gates --seeds 0 1 2 3 4

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.lstm import LSTM, LSTMCell, forget_bias_
from minitfm.results import append_row
from minitfm.study.fit import fit
from minitfm.study.puzzles import recall

TABLE = Path(__file__).with_suffix(".csv")
SYMBOLS, WIDTH, BATCH = 8, 16, 32


class Wedged(LSTMCell):
    """An LSTM cell of which one gate is always open."""

    always_open = ""

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Take the package's step, with 1 in place of one gate."""
        h, c = state
        i = torch.sigmoid(self.input_gate(x, h))
        f = torch.sigmoid(self.forget_gate(x, h))
        g = torch.tanh(self.candidate(x, h))
        o = torch.sigmoid(self.output_gate(x, h))
        gates = {"input": i, "forget": f, "output": o}
        if self.always_open in gates:
            gates[self.always_open] = torch.ones_like(c)
        c = gates["forget"] * c + gates["input"] * g
        return gates["output"] * torch.tanh(c), c


def register(count: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Hold the number that was written last, and show it when asked.

    At every step a number from -1 to 1, a mark "write" (one step in ten, and the first)
    and a mark "show" (every other step, by chance). The answer is the number at the
    last "write" if the step asks for it, and 0 if not.
    """
    draw = torch.Generator().manual_seed(seed)
    numbers = 2 * torch.rand(count, length, generator=draw) - 1
    write = torch.rand(count, length, generator=draw) < 0.1
    write[:, 0] = True
    show = torch.rand(count, length, generator=draw) < 0.5
    written_at = torch.where(write, torch.arange(length), 0).cummax(dim=1).values
    inputs = torch.stack([numbers, write.float(), show.float()], dim=-1)
    return inputs, numbers.gather(1, written_at) * show


def counting(count: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Count, and begin again at every reset: symbols "one more" (about half),
    "nothing", "reset" (one in twelve).
    """
    draw = torch.Generator().manual_seed(seed)
    chance = torch.rand(count, length, generator=draw)
    more, reset = chance < 0.5, chance > 11 / 12
    total = more.cumsum(dim=1)
    at_reset = torch.where(reset, total, 0).cummax(dim=1).values
    inputs = torch.stack([more, ~more & ~reset, reset], dim=-1).float()
    return inputs, (total - at_reset).float()


def first_symbol(count: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the puzzle ``recall``, as one-hot vectors."""
    sequences, answers = recall(count, length, seed, SYMBOLS)
    return F.one_hot(sequences, SYMBOLS).float(), answers


def squared_error(output: Tensor, answers: Tensor) -> Tensor:
    """Compare the answer at every step."""
    return F.mse_loss(output[..., 0], answers)


def surprise(output: Tensor, answers: Tensor) -> Tensor:
    """Compare the answer after the last step."""
    return F.cross_entropy(output[:, -1], answers)


# By task: its data, inputs, outputs, length, steps, rate, loss, and whether an answer
# is right.
TASKS: dict[str, tuple[Callable, int, int, int, int, float, Callable, Callable]] = {
    "register": (
        register,
        *(3, 1, 20, 800, 1e-2),
        squared_error,
        lambda output, answers: (output[..., 0] - answers).abs() < 0.1,
    ),
    "counting": (
        counting,
        *(3, 1, 20, 500, 1e-2),
        squared_error,
        lambda output, answers: output[..., 0].round() == answers,
    ),
    "recall": (
        first_symbol,
        *(SYMBOLS, SYMBOLS, 20, 500, 5e-3),
        surprise,
        lambda output, answers: output[:, -1].argmax(-1) == answers,
    ),
}

# the bias of the forget gates at the start, by task
FORGET_BIAS = {"register": 1.0, "counting": 1.0, "recall": 3.0}


def main() -> None:
    """Train once for each task, gate and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.gates")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    for seed in options.seeds:
        for task in options.tasks:
            for gate in ("none", "input", "forget", "output"):
                train(task, gate, seed, options.table)


def train(task: str, gate: str, seed: int, table: Path) -> None:
    """Train one network, and append its row."""
    data, inputs, outputs, length, steps, rate, loss, right = TASKS[task]
    torch.manual_seed(seed)
    cell = type("Cell", (Wedged,), {"always_open": gate})
    network = type("Network", (LSTM,), {"cell": cell})(inputs, WIDTH)
    forget_bias_(network, FORGET_BIAS[task])
    model = nn.ModuleDict({"network": network, "readout": nn.Linear(WIDTH, outputs)})

    def answer(x: Tensor) -> Tensor:
        return model["readout"](model["network"](x)[0])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        number = 0
        while True:
            yield data(BATCH, length, seed=1_000_000 * (seed + 1) + number)
            number += 1

    history = fit(
        model,
        lambda model, x, y: loss(answer(x), y),
        batches(),
        steps,
        learning_rate=rate,
        decay=True,
        progress=False,
    )
    row = {
        "task": task,
        "open": gate,
        "seed": seed,
        "steps": steps,
        "length": length,
    }
    with torch.no_grad():
        for times in (1, 10):
            x, y = data(200, times * length, seed=0)
            row[f"right_{times}x"] = f"{right(answer(x), y).float().mean().item():.3f}"
    row |= {"seconds": round(history.seconds), "threads": torch.get_num_threads()}
    append_row(table, row)


if __name__ == "__main__":
    main()
