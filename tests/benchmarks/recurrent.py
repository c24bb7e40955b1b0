"""Time our recurrent networks beside torch's: python tests/benchmarks/recurrent.py [--help].

Forward and backward at the same sizes on the same input, turn by turn, so that whatever else the machine does meets
both. A ratio of 1.5 means that ours takes one and a half times as long. Beside the clock stands the processor's time,
which other work on the machine disturbs less. `loop` is the lesson, step by step; `fast` is the same after ``accelerate``.

``torch.nn.LSTM`` computes its products with oneDNN, everything else with MKL, which is about half as fast on AMD's
processors: ``--precision medium`` has oneDNN compute all of them, and so compares the networks rather than the two.
The ratio also depends on whether the input's gradient is asked for (torch's LSTM computes it in any case), and on how
dear fresh memory is: ours asks for more of it.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from minitfm.fast import accelerate
from minitfm.lstm import GRU, LSTM
from minitfm.rnn import RNN

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks.tables import keep


def seconds(forward: Callable[[], Tensor]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one forward and backward pass."""
    wall, processor = time.perf_counter(), time.process_time()
    forward().sum().backward()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {
        "steps": 256,
        "batch": 64,
        "width": 256,
        "layers": 1,
        "threads": 1,
        "rounds": 7,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument(
        "--padded",
        action="store_true",
        help="random lengths: a mask here, a packed sequence in torch",
    )
    parser.add_argument(
        "--fixed-input",
        action="store_true",
        help="no gradient of the input is asked for",
    )
    parser.add_argument(
        "--precision", choices=["highest", "high", "medium"], default="highest"
    )
    parser.add_argument(
        "--tables",
        type=Path,
        help="also write the ratios as a CSV file into this folder",
    )
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision(options.precision)

    x = torch.randn(
        options.batch,
        options.steps,
        options.width,
        requires_grad=not options.fixed_input,
    )
    lengths = torch.randint(1, options.steps + 1, (options.batch,))
    lengths[0] = options.steps
    mask = (
        torch.arange(options.steps) < lengths.unsqueeze(1) if options.padded else None
    )

    def call_torch(model: nn.Module) -> Tensor:
        if not options.padded:
            return model(x)[0]
        packed = pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        return pad_packed_sequence(model(packed)[0], batch_first=True)[0]

    print(
        f"{vars(options)}, torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print("                  ours, ms  torch, ms  ratio of least  median ratio")
    kinds = ((RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU))
    ratios: dict[str, list[str]] = {}
    for ours, theirs, fast in (
        (*kind, fast) for kind in kinds for fast in (False, True)
    ):
        size = (options.width, options.width, options.layers)
        first: nn.Module = ours(*size, bidirectional=options.bidirectional)
        first = accelerate(first) if fast else first
        second = theirs(*size, bidirectional=options.bidirectional, batch_first=True)
        rounds = [
            (
                *seconds(lambda model=first: model(x, mask)[0]),
                *seconds(lambda model=second: call_torch(model)),
            )
            for _ in range(1 + options.rounds)
        ]
        for clock, offset in (("wall", 0), ("CPU", 1)):
            pairs = [
                (times[offset], times[offset + 2]) for times in rounds[1:]
            ]  # the first round warms up
            a, b = (min(column) for column in zip(*pairs))
            middle = median(mine / other for mine, other in pairs)
            name = f"{ours.__name__:5}{'fast' if fast else 'loop'}"
            if clock == "wall":
                ratios.setdefault(ours.__name__, [ours.__name__]).append(f"{a / b:.2f}")
            print(
                f"{name:9}{clock:>6}{1000 * a:11.0f}{1000 * b:11.0f}{a / b:16.2f}{middle:14.2f}"
            )
    print(f"load {os.getloadavg()[0]:.1f}")
    keep(
        options.tables,
        "recurrent",
        ("network", "the loop", "accelerated"),
        ratios.values(),
    )


if __name__ == "__main__":
    main()
