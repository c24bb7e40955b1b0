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

How soon the sum and the concatenation learn, scored every five steps; and what becomes
of models far beyond the trained length, where new positions, new distances and more
keys are also tried apart::

    python -m minitfm.results.positions sinusoidal beside twice wide --early
    python -m minitfm.results.positions rotary sinusoidal learned --far
    python -m minitfm.results.positions sinusoidal learned --far --starts 48
    python -m minitfm.results.positions bias --far --steps 600 --rate 1e-2

One thread is enough (OMP_NUM_THREADS=1), and an hour for all. Run it from a checkout
(``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
import math
from collections.abc import Iterator
from copy import deepcopy
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
    sinusoids,
)
from minitfm.results import append_row
from minitfm.study.fit import History, fit

TABLE = Path(__file__).with_suffix(".csv")
SYMBOLS, WIDTH = 10, 64
TRAINED = 16  # symbols in a sentence of the training
LENGTHS = (16, 20, 24, 32, 64)  # of the tests
FAR = (16, 32, 64, 128, 256, 1024)  # of the tests with --far
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


class BiasedAttention(MultiHeadAttention):
    """One head that adds a learned number to each score, one for each distance from
    -``reach`` to ``reach``; farther keys share the last one.
    """

    def __init__(self, d_model: int, reach: int = 4) -> None:
        """Begin with zeros, so that no distance is preferred."""
        super().__init__(d_model, 1)
        self.reach = reach
        self.table = nn.Parameter(torch.zeros(2 * reach + 1))

    def bias(
        self, query: Int[Tensor, " query"], key: Int[Tensor, " key"]
    ) -> Float[Tensor, "query key"]:
        """The numbers for queries and keys at these positions."""
        distance = key - query.unsqueeze(1)
        return self.table[distance.clamp(-self.reach, self.reach) + self.reach]

    def attend(
        self,
        query: Float[Tensor, "batch heads query d_k"],
        key: Float[Tensor, "batch heads key d_k"],
        value: Float[Tensor, "batch heads key d_v"],
        mask: Bool[Tensor, "*#batch 1 #query key"] | None = None,
    ) -> Float[Tensor, "batch heads query d_v"]:
        """Equation 1 with the bias in the scores; it knows no mask."""
        places = torch.arange(key.shape[-2], device=key.device)
        scores = query @ key.mT / self.d_k**0.5
        return (scores + self.bias(places, places)).softmax(-1) @ value


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
                ``bias`` adds learned numbers to the scores; ``beside`` lays 32 numbers
                of the sinusoids beside 32 of the symbol, ``twice`` 64 beside 64;
                ``wide`` adds sinusoids in 128 numbers.
            shared: use one projection for queries and keys, W_Q = W_K.
            causal: let no position look ahead.
        """
        super().__init__()
        width = {"beside": WIDTH // 2, "wide": 2 * WIDTH}.get(kind, WIDTH)
        d_model = 2 * WIDTH if kind in ("twice", "wide") else WIDTH
        self.causal = causal
        self.embed = nn.Embedding(SYMBOLS, width)
        self.positions: nn.Module = {
            "none": NoPositions,
            "sinusoidal": lambda: SinusoidalPositions(width),
            "learned": lambda: LearnedPositions(width, max(LENGTHS)),
            "rotary": NoPositions,
            "bias": NoPositions,
            "wide": lambda: SinusoidalPositions(width),
            "beside": lambda: BesidePositions(width),
            "twice": lambda: BesidePositions(width),
        }[kind]()
        rotate = RotaryPositions(WIDTH) if kind == "rotary" else None
        self.attention: MultiHeadAttention = (
            BiasedAttention(d_model)
            if kind == "bias"
            else MultiHeadAttention(d_model, 1, WIDTH, WIDTH, rotate=rotate)
        )
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


def turned(
    x: Float[Tensor, "batch token d_k"], places: Int[Tensor, " token"]
) -> Float[Tensor, "batch token d_k"]:
    """``RotaryPositions`` for tokens that stand at any places."""
    rows = sinusoids(int(places.max()) + 1, x.shape[-1])[places].to(x)
    turn = torch.complex(rows[:, 1::2], rows[:, 0::2])
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2)


@torch.no_grad()
def compared(
    model: Namer,
    symbols: Int[Tensor, "batch token"],
    places: Int[Tensor, " token"],
    asked: slice = slice(None),
) -> tuple[Float[Tensor, "batch asked token"], Float[Tensor, "batch token d_v"]]:
    """The scores of the tokens ``asked`` for all, and the values of all, if the tokens
    stand at these places.
    """
    layer, x = model.attention, model.embed(symbols)
    if isinstance(model.positions, SinusoidalPositions):
        x = x + sinusoids(int(places.max()) + 1, x.shape[-1])[places].to(x)
    if isinstance(model.positions, LearnedPositions):
        x = x + model.positions.table[places]
    q, k = layer.query(x[:, asked]), layer.key(x)
    if layer.rotate is not None:
        q, k = turned(q, places[asked]), turned(k, places)
    scores = q @ k.mT / layer.d_k**0.5
    if isinstance(layer, BiasedAttention):
        scores = scores + layer.bias(places[asked], places)
    return scores, layer.value(x)


@torch.no_grad()
def placed(
    model: Namer,
    symbols: Int[Tensor, "batch token"],
    places: Int[Tensor, " token"],
    asked: slice = slice(None),
) -> Float[Tensor, "batch asked symbol"]:
    """What the model computes for the tokens ``asked``, if the tokens stand at these
    places, which need be neither neighbors nor different.
    """
    scores, value = compared(model, symbols, places, asked)
    layer = model.attention
    return model.readout(layer.output(scores.softmax(-1) @ value))


def score_placed(model: Namer, length: int, count: int = 20) -> float:
    """Share named right in sentences of 16 symbols that end at up to ``length``
    positions, at the worst of at most 49 starts: new positions and nothing else new.
    """
    symbols = sentences(count, 1_000_000)
    starts = torch.linspace(0, length - TRAINED, min(49, length - TRAINED + 1))
    found = []
    for start in starts.long().tolist():
        logits = placed(model, symbols, start + torch.arange(TRAINED))
        named = logits[:, 1:].argmax(-1)
        found.append((named == to_name(symbols, "before")).double().mean().item())
    return min(found)


def keys_apart(
    length: int, case: str, generator: torch.Generator, seen: int = TRAINED
) -> Int[Tensor, " token"]:
    """Draw places for the keys of one query: first the token before it, then itself,
    then others from a sentence of ``length`` symbols.

    Args:
        length: of the sentence.
        case: ``distances`` draws 14 others from the whole sentence, so that there are
            16 keys as in the training, at distances that it never had; ``keys`` draws
            ``length - 2`` others, with repeats, from 16 neighbors among the positions
            of the training, so that there are more keys, and nothing else is new.
        generator: of the draws.
        seen: number of positions that occurred in the training.
    """
    low, high = 0, seen if case == "keys" else length
    query = int(torch.randint(1, high, (), generator=generator))
    if case == "keys":
        first = max(0, query - TRAINED + 1)
        last = min(query - 1, seen - TRAINED)
        low = int(torch.randint(first, last + 1, (), generator=generator))
        high = low + TRAINED
    others = torch.tensor([p for p in range(low, high) if p not in (query - 1, query)])
    if case == "keys":
        drawn = torch.randint(len(others), (length - 2,), generator=generator)
    else:
        drawn = torch.randperm(len(others), generator=generator)[: TRAINED - 2]
    return torch.cat([torch.tensor([query - 1, query]), others[drawn]])


def score_apart(
    model: Namer, length: int, case: str, seen: int = TRAINED, count: int = 100
) -> float:
    """Share named right for ``count`` draws of keys, 16 times other symbols each."""
    generator = torch.Generator().manual_seed(1_000_000 + length)
    found = []
    for _ in range(count):
        places = keys_apart(length, case, generator, seen)
        symbols = torch.randint(SYMBOLS, (16, len(places)), generator=generator)
        named = placed(model, symbols, places, slice(1, 2)).argmax(-1)
        found.append((named == symbols[:, :1]).double().mean().item())
    return sum(found) / count


def sharpened(model: Namer, times: float = 4) -> Namer:
    """A copy whose scores are ``times`` as large: the key that wins takes more of the
    weight, and which key wins stays.
    """
    copy = deepcopy(model)
    with torch.no_grad():
        copy.attention.query.weight *= times
        if isinstance(copy.attention, BiasedAttention):
            copy.attention.table *= times
    return copy


@torch.no_grad()
def errors(model: Namer, length: int, count: int) -> dict[str, str]:
    """What goes wrong in new sentences of one length, what sharper scores do, and what
    leaving out far keys does: those 16 or more positions away, at distances that
    training never had.

    Returns:
        ``misled`` and ``immune``: shares of the errors and of the right answers in
        which the highest score is that of a far key (empty without any); ``repaired``
        and ``broken``: shares of all symbols that sharper scores set right, and that
        they make wrong; ``near``: share named right without the far keys; ``spared``:
        without only those far keys that outscore the right one.
    """
    symbols = sentences(count, 1_000_000 + length, length)
    good, sharp = right(model, symbols), right(sharpened(model), symbols)
    places, layer = torch.arange(length), model.attention
    scores, value = compared(model, symbols, places)
    is_far = (places - places.unsqueeze(1)).abs() >= TRAINED
    outscores = scores > F.pad(scores.diagonal(-1, 1, 2), (1, 0)).unsqueeze(-1)

    def without(keys: Bool[Tensor, "*#batch query key"]) -> Bool[Tensor, "batch asked"]:
        weights = scores.masked_fill(keys, -math.inf).softmax(-1)
        named = model.readout(layer.output(weights @ value))[:, 1:].argmax(-1)
        return named == to_name(symbols, "before")

    def share(found: Bool[Tensor, "..."]) -> str:
        return f"{found.double().mean().item():.3f}" if found.numel() else ""

    on_top = is_far.expand_as(scores).gather(-1, scores.argmax(-1, keepdim=True))
    on_top = on_top[:, 1:, 0]
    found = {
        "misled": on_top[~good],
        "immune": on_top[good],
        "repaired": ~good & sharp,
        "broken": good & ~sharp,
        "near": without(is_far),
        "spared": without(is_far & outscores),
    }
    return {f"{name}_{length}": share(which) for name, which in found.items()}


def far(model: Namer, seen: int = TRAINED) -> dict[str, str]:
    """Whole sentences up to 1,024 symbols, what is new in them apart, the sentences
    again with sharper scores, and their errors, as far as the model has positions.

    Args:
        model: trained on sentences of 16 symbols.
        seen: number of positions that occurred in the training.
    """
    learned = isinstance(model.positions, LearnedPositions)
    cases = ("at", "places", "distances", "keys", "sharp")
    cases += ("misled", "immune", "repaired", "broken", "near", "spared")
    sharp = sharpened(model)
    row = {f"{case}_{n}": "" for case in cases for n in FAR}
    for n in FAR:
        row[f"keys_{n}"] = f"{score_apart(model, n, 'keys', seen):.3f}"
        if learned and n > max(LENGTHS):
            continue
        count = max(10, 6400 // n)
        row[f"at_{n}"] = f"{score(model, n, count=count):.3f}"
        row[f"sharp_{n}"] = f"{score(sharp, n, count=count):.3f}"
        row |= errors(model, n, count)
        row[f"places_{n}"] = f"{score_placed(model, n):.3f}"
        row[f"distances_{n}"] = f"{score_apart(model, n, 'distances'):.3f}"
    return row


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
    parser.add_argument(
        "--early", action="store_true", help="200 steps, scored every five"
    )
    parser.add_argument("--far", action="store_true", help="score up to 1,024 symbols")
    parser.add_argument("--table", type=Path, help="where the rows go")
    options = parser.parse_args()
    wanted = "positions_early" if options.early else "positions"
    wanted = "positions_far" if options.far else wanted
    table = options.table or TABLE.with_stem(wanted)
    steps = 200 if options.early else options.steps

    for kind, seed in product(options.kinds, options.seeds):
        torch.manual_seed(seed)
        model = Namer(kind, shared=options.shared, causal=options.causal)
        history = train(
            model,
            seed,
            steps,
            task=options.task,
            starts=options.starts,
            rate=options.rate,
            every=5 if options.early else 100,
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
            "steps": steps,
            "rate": options.rate,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": f"{sum(history.loss[-100:]) / 100:.3f}",
            "solved_at": next((step for step, share in reached if share >= 0.99), ""),
        }
        if options.far:
            row |= far(model, options.starts + TRAINED)
        else:
            row |= {
                f"at_{length}": f"{score(model, length, options.task):.3f}"
                for length in LENGTHS
            }
        append_row(table, row)


if __name__ == "__main__":
    main()
