"""One layer of attention and the order of a sentence: no positions, sinusoids, learned
vectors and rotary ones, at the trained length and beyond (chapter 7).

In the task ``before`` every position names the symbol directly before it, in the task
``fourth`` the symbol at the fourth place. The sentences of the training have 16
symbols. The runs that the chapter shows::

    python -m minitfm.results.positions none sinusoidal learned rotary
    python -m minitfm.results.positions rotary sinusoidal learned --shared
    python -m minitfm.results.positions sinusoidal learned --starts 48
    python -m minitfm.results.positions beside twice
    python -m minitfm.results.positions none --causal
    python -m minitfm.results.positions none sinusoidal --task fourth
    python -m minitfm.results.positions learned rotary --task fourth

One thread is enough (OMP_NUM_THREADS=1), and half an hour for all. Run it from a
checkout (``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitfm.masks import causal_mask
from minitfm.multihead import MultiHeadAttention
from minitfm.positional import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    Sinusoids,
)
from minitfm.results import append_row
from minitfm.study.fit import History, fit

TABLE = Path(__file__).with_suffix(".csv")
SYMBOLS, WIDTH = 10, 64
TRAINED = 16  # symbols in a sentence of the training
LENGTHS = (16, 20, 24, 32, 64)  # of the tests
FOURTH = 3  # the fourth place, counted from 0
TASKS = ("before", "fourth")


class BesidePositions(Sinusoids):
    """Lay the sinusoids beside the tokens, where the paper adds them."""

    def forward(
        self, x: Float[Tensor, "batch token width"], start: int = 0
    ) -> Float[Tensor, "batch token wider"]:
        """Each token's numbers, then those of its position."""
        rows = self.rows(x, start).expand(len(x), -1, -1)
        return torch.cat([x, rows], dim=-1)


class NoPositions(nn.Module):
    """Leave the tokens as they are."""

    def forward(
        self, x: Float[Tensor, "batch token width"], start: int = 0
    ) -> Float[Tensor, "batch token width"]:
        """The tokens."""
        return x


class Namer(nn.Module):
    """An embedding, positions, one head of attention and a linear readout: one symbol
    for every position.
    """

    def __init__(
        self, kind: str, *, shared: bool = False, causal: bool = False
    ) -> None:
        """Make the layers.

        Args:
            kind: ``none``, ``sinusoidal``, ``learned`` or ``rotary`` of 64 numbers;
                ``beside`` lays 32 numbers of the sinusoids beside 32 of the symbol,
                ``twice`` 64 beside 64.
            shared: use one projection for queries and keys, W_Q = W_K.
            causal: let no position look ahead.
        """
        super().__init__()
        width = WIDTH // 2 if kind == "beside" else WIDTH
        d_model = 2 * WIDTH if kind == "twice" else WIDTH
        self.causal = causal
        self.embed = nn.Embedding(SYMBOLS, width)
        self.positions: nn.Module = {
            "none": NoPositions,
            "sinusoidal": lambda: SinusoidalPositions(width),
            "learned": lambda: LearnedPositions(width, max(LENGTHS)),
            "rotary": NoPositions,
            "beside": lambda: BesidePositions(width),
            "twice": lambda: BesidePositions(width),
        }[kind]()
        rotate = RotaryPositions(WIDTH) if kind == "rotary" else None
        self.attention = MultiHeadAttention(d_model, 1, WIDTH, WIDTH, rotate=rotate)
        if shared:
            self.attention.key = self.attention.query
        self.readout = nn.Linear(d_model, SYMBOLS)

    def forward(
        self, symbols: Int[Tensor, "batch token"], start: int = 0
    ) -> Float[Tensor, "batch token symbol"]:
        """Logits for the symbol that each position has to name; the first token stands
        at position ``start``.
        """
        x = self.positions(self.embed(symbols), start)
        mask = causal_mask(symbols.shape[1]) if self.causal else None
        return self.readout(self.attention(x, x, x, mask))


def by_hand() -> Namer:
    """A sinusoidal head that names the symbol before it, with weights set by hand: the
    fast half of the pairs says where, the other half of the width what.
    """
    model, half = Namer("sinusoidal"), WIDTH // 2
    angle = 10_000.0 ** (-torch.arange(0, half, 2, dtype=torch.float64) / WIDTH)
    sin, cos = angle.sin(), angle.cos()
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    names = slice(half, half + SYMBOLS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        # the sharpness of the softmax, and symbols that are louder than the positions
        model.attention.query.weight[:half, :half] = 100 * torch.block_diag(*turn)
        model.attention.key.weight[:half, :half] = torch.eye(half)
        model.embed.weight[:, names] = 10 * torch.eye(SYMBOLS)
        model.attention.value.weight.copy_(torch.eye(WIDTH))
        model.attention.output.weight.copy_(torch.eye(WIDTH))
        model.readout.weight[:, names] = torch.eye(SYMBOLS)
    return model


def to_name(
    symbols: Int[Tensor, "batch token"], task: str
) -> Int[Tensor, "batch token-1"]:
    """The symbols that the positions from the second on must name."""
    if task == "before":
        return symbols[:, :-1]
    return symbols[:, FOURTH : FOURTH + 1].expand(-1, symbols.shape[1] - 1)


def sentences(
    count: int, seed: int, length: int = TRAINED
) -> Int[Tensor, "batch token"]:
    """Draw sentences of symbols, each symbol equally likely at each place."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(SYMBOLS, (count, length), generator=generator)


def batches(
    seed: int, starts: int = 0, batch: int = 64
) -> Iterator[tuple[Tensor, int]]:
    """New sentences without end, so that none is learned by heart; the first token of
    a batch stands at a position drawn from 0 to ``starts``.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        symbols = torch.randint(SYMBOLS, (batch, TRAINED), generator=generator)
        start = int(torch.randint(starts + 1, (), generator=generator))
        yield symbols, start


@torch.no_grad()
def right(
    model: nn.Module, symbols: Int[Tensor, "batch token"], task: str = "before"
) -> Bool[Tensor, "batch asked"]:
    """Whether each of the symbols asked for is named."""
    return model(symbols)[:, 1:].argmax(-1) == to_name(symbols, task)


def score(
    model: nn.Module, length: int = TRAINED, task: str = "before", count: int = 200
) -> float:
    """Share of the symbols named right in new sentences of one length."""
    symbols = sentences(count, 1_000_000 + length, length)
    return right(model, symbols, task).double().mean().item()


def train(
    model: Namer,
    seed: int,
    steps: int,
    *,
    task: str = "before",
    starts: int = 0,
    rate: float = 3e-3,
    every: int = 100,
    progress: bool = False,
) -> History:
    """Train on new sentences of 16 symbols, and score every ``every`` steps."""

    def loss(model: nn.Module, symbols: Tensor, start: int) -> Float[Tensor, ""]:
        logits = model(symbols, start)[:, 1:]
        return F.cross_entropy(logits.flatten(0, 1), to_name(symbols, task).flatten())

    return fit(
        model,
        loss,
        batches(seed, starts),
        steps,
        learning_rate=rate,
        warmup=50,
        decay=True,
        evaluate=lambda model: score(model, task=task),
        every=every,
        progress=progress,
    )


def main() -> None:
    """Train once for each kind of positions and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.positions")
    parser.add_argument("kinds", nargs="+", help="of positions; see Namer")
    parser.add_argument("--task", choices=TASKS, default="before")
    parser.add_argument("--shared", action="store_true", help="W_Q = W_K")
    parser.add_argument("--causal", action="store_true", help="nobody looks ahead")
    parser.add_argument(
        "--starts", type=int, default=0, help="the last position of a first token"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    for kind, seed in product(options.kinds, options.seeds):
        torch.manual_seed(seed)
        model = Namer(kind, shared=options.shared, causal=options.causal)
        history = train(
            model,
            seed,
            options.steps,
            task=options.task,
            starts=options.starts,
            rate=options.rate,
        )
        reached = [(step, share) for step, _, share in history.evaluations]
        row = {
            "seed": seed,
            "seconds": round(history.seconds),
            "threads": torch.get_num_threads(),
            "task": options.task,
            "kind": kind,
            "shared": options.shared,
            "causal": options.causal,
            "starts": options.starts,
            "steps": options.steps,
            "rate": options.rate,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": f"{sum(history.loss[-100:]) / 100:.3f}",
            "solved_at": next((step for step, share in reached if share >= 0.99), ""),
        }
        row |= {
            f"at_{length}": f"{score(model, length, options.task):.3f}"
            for length in LENGTHS
        }
        append_row(options.table, row)


if __name__ == "__main__":
    main()
