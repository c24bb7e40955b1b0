r"""Two relations at once: one head of any width against two and more (chapter 6).

Every position has to name the symbols one and three places before it, in this order,
with one layer of attention and a linear readout. The runs that the chapter shows::

    python -m minitfm.results.heads --heads 2 4 8 --steps 1000
    python -m minitfm.results.heads --heads 1 --width 8 32 128
    python -m minitfm.results.heads --heads 1 --feed-forward 64 --steps 1000
    python -m minitfm.results.heads --heads 2 --places --steps 1000
    python -m minitfm.results.heads --heads 1 --places --steps 8000
    python -m minitfm.results.heads --heads 2 --width 8 --steps 1000
    python -m minitfm.results.heads --heads 2 --width 4 --steps 2000
    python -m minitfm.results.heads --heads 2 --width 8 32 --summed --steps 2000
    python -m minitfm.results.heads --heads 2 --width 12 16 --summed --steps 2000
    python -m minitfm.results.heads --heads 1 --rate 3e-3 3e-2 --seeds 0
    python -m minitfm.results.heads --heads 1 --places --blind --steps 8000
    python -m minitfm.results.heads --heads 2 --width 8 --summed --steps 2000 \
        --apart start --seeds 0 1 2 3 4 5
    python -m minitfm.results.heads --heads 2 --width 8 --summed --steps 2000 \
        --apart held --seeds 0 1 2 3 4 5

One thread is enough (OMP_NUM_THREADS=1), and half an hour for all. Run it from a
checkout (``make test`` or ``make lab`` sets one up), so that the rows name the commit.
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

from minitfm.attention import scaled_dot_product_attention
from minitfm.multihead import MultiHeadAttention, merge_heads, split_heads
from minitfm.results import append_row
from minitfm.study.fit import History, fit

TABLE = Path(__file__).with_suffix(".csv")
SYMBOLS, LENGTH = 10, 12
BACK = (1, 3)  # how far before it the two symbols stand that a position must name


class SummedHeads(MultiHeadAttention):
    """Multi-head attention that adds the heads' results up where the paper lays them
    side by side: every head has the same block of W^O.
    """

    def __init__(self, d_model: int, heads: int, d_k: int, d_v: int) -> None:
        """Make the four projections, W^O for a single head's width."""
        super().__init__(d_model, heads, d_k, d_v)
        self.output = nn.Linear(d_v, d_model, bias=False)

    def forward(
        self,
        query: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch key d_model"],
        value: Float[Tensor, "batch key d_model"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Attend in every head and add up."""
        q = split_heads(self.query(query), self.heads)
        k = split_heads(self.key(key), self.heads)
        v = split_heads(self.value(value), self.heads)
        found = scaled_dot_product_attention(q, k, v, mask)
        return self.output(merge_heads(found.sum(1, keepdim=True)))


class Namer(nn.Module):
    """One layer of attention and a linear readout: two symbols for every position."""

    def __init__(
        self,
        heads: int,
        width: int = 32,
        *,
        feed_forward: int = 0,
        places: bool = False,
        blind: bool = False,
        summed: bool = False,
    ) -> None:
        """Make the two layers.

        Args:
            heads: number of heads.
            width: of all heads together; d_k = d_v = width / heads, so the number of
                parameters does not depend on the heads.
            feed_forward: hidden units of a ReLU network between attention and readout;
                none unless said.
            places: let the values carry the place labels, too, as self-attention has
                it; queries and keys carry them in any case.
            blind: make queries and keys from the places alone, so that no weight
                depends on a symbol.
            summed: add the heads' results up, as ``SummedHeads`` does.
        """
        super().__init__()
        d_model, d_head = SYMBOLS + LENGTH, width // heads
        self.places, self.blind = places, blind
        layer = SummedHeads if summed else MultiHeadAttention
        self.attention = layer(d_model, heads, d_head, d_head)
        self.between: nn.Module = nn.Identity()
        if feed_forward:
            self.between = nn.Sequential(
                nn.Linear(d_model, feed_forward),
                nn.ReLU(),
                nn.Linear(feed_forward, d_model),
            )
        self.readout = nn.Linear(d_model, len(BACK) * SYMBOLS)

    def forward(
        self, symbols: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token back symbol"]:
        """Logits for each of the two symbols to name."""
        names, places = labeled(symbols)
        both = names + places
        x = places if self.blind else both
        mixed = self.attention(x, x, both if self.places else names)
        return self.readout(self.between(mixed)).unflatten(-1, (len(BACK), SYMBOLS))


def reread(model: Namer, hidden: int = 64) -> Namer:
    """A copy whose attention keeps its weights, with a new ReLU network and readout
    behind it: training shows what can be read from the attention's results.
    """
    torch.manual_seed(0)
    new = Namer(model.attention.heads, feed_forward=hidden)
    new.attention = deepcopy(model.attention).requires_grad_(False)
    return new


def set_apart(model: Namer, *, hold: bool) -> None:
    """Let the values of two heads begin in different halves of the numbers that the
    heads add up; with ``hold``, training keeps them there.
    """
    weight = model.attention.value.weight
    half = len(weight) // 4
    own = torch.ones_like(weight)
    own[half : 3 * half] = 0  # head 1 keeps the first half of its rows, head 2 the last
    weight.data *= own
    if hold:
        weight.register_hook(lambda gradient: gradient * own)


def halves_by_hand() -> Namer:
    """One head that gives each of the two places exactly half of its weight, and a
    readout that names the earlier symbol of the alphabet first, the later one second.
    """
    model = Namer(heads=1)
    layer = model.attention
    alphabet = torch.arange(SYMBOLS) / 20  # breaks ties, and only them
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        layer.key.weight[:LENGTH, SYMBOLS:] = torch.eye(LENGTH)
        for place in range(max(BACK), LENGTH):
            for back in BACK:
                # 200 leaves the other ten places no weight
                layer.query.weight[place - back, SYMBOLS + place] = 200
        layer.value.weight[:SYMBOLS, :SYMBOLS] = torch.eye(SYMBOLS)
        layer.output.weight[:SYMBOLS, :SYMBOLS] = torch.eye(SYMBOLS)
        for slot, sign in enumerate((-1, 1)):
            names = slice(SYMBOLS * slot, SYMBOLS * (slot + 1))
            model.readout.weight[names, :SYMBOLS] = 20 * torch.eye(SYMBOLS)
            model.readout.bias[names] = sign * alphabet
    return model


def added_by_hand() -> Namer:
    """Two heads whose results are added up, 4 numbers each, with weights set by hand.

    Symbols lie on a circle, and the two heads use two of the four numbers each.
    """
    model = Namer(2, 8, summed=True)
    layer = model.attention
    symbols, places = _circle(SYMBOLS), _circle(LENGTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for head, back in enumerate(BACK):
            row = 4 * head
            layer.key.weight[row : row + 2, SYMBOLS:] = places
            # 200 makes the softmax so sharp that one place has all the weight
            layer.query.weight[row : row + 2, SYMBOLS:] = 200 * places.roll(back, 1)
            own = slice(row + 2 * head, row + 2 * head + 2)
            layer.value.weight[own, :SYMBOLS] = symbols
            names = slice(SYMBOLS * head, SYMBOLS * (head + 1))
            model.readout.weight[names, 2 * head : 2 * head + 2] = symbols.T
        layer.output.weight[:4] = torch.eye(4)
    return model


def _circle(count: int) -> Float[Tensor, "two count"]:
    """Points at equal distances on the unit circle."""
    angles = torch.arange(count) * (2 * math.pi / count)
    return torch.stack([angles.cos(), angles.sin()])


def labeled(
    symbols: Int[Tensor, "batch token"],
) -> tuple[Float[Tensor, "batch token d_model"], Float[Tensor, "batch token d_model"]]:
    """What stands at each place, one-hot, and the place itself, one-hot behind it."""
    names = F.pad(F.one_hot(symbols, SYMBOLS).float(), (0, LENGTH))
    places = F.pad(torch.eye(LENGTH, device=symbols.device), (SYMBOLS, 0))
    return names, places.expand(len(symbols), -1, -1)


def to_name(
    symbols: Int[Tensor, "batch token"],
) -> Int[Tensor, "batch asked back"]:
    """The symbols that the positions from the fourth on must name; those before it
    have nothing three places back.
    """
    first, count = max(BACK), symbols.shape[1] - max(BACK)
    starts = [first - back for back in BACK]
    return torch.stack([symbols[:, i : i + count] for i in starts], -1)


def loss(model: nn.Module, symbols: Int[Tensor, "batch token"]) -> Float[Tensor, ""]:
    """Cross-entropy of both names, over the positions that have them, in nats."""
    logits = model(symbols)[:, max(BACK) :]
    return F.cross_entropy(logits.flatten(0, 2), to_name(symbols).flatten())


def sentences(count: int, seed: int) -> Int[Tensor, "batch token"]:
    """Draw sentences of symbols, each symbol equally likely at each place."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(SYMBOLS, (count, LENGTH), generator=generator)


def batches(seed: int, batch: int = 64) -> Iterator[tuple[Tensor]]:
    """New sentences without end: none of them is learned by heart."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield (torch.randint(SYMBOLS, (batch, LENGTH), generator=generator),)


@torch.no_grad()
def right(
    model: nn.Module, symbols: Int[Tensor, "batch token"]
) -> Bool[Tensor, "batch asked back"]:
    """Whether each of the names asked for is named."""
    return model(symbols)[:, max(BACK) :].argmax(-1) == to_name(symbols)


@torch.no_grad()
def scores(model: nn.Module) -> dict[str, float]:
    """Shares of the positions of 500 new sentences: both names right, each of them
    right, and for each slot the right name among its two best guesses.
    """
    symbols = sentences(500, seed=1_000_000)
    found = right(model, symbols)
    top = model(symbols)[:, max(BACK) :].topk(2).indices
    among = (top == to_name(symbols).unsqueeze(-1)).any(-1)
    return {
        "both": found.all(-1).double().mean().item(),
        "first": found[..., 0].double().mean().item(),
        "second": found[..., 1].double().mean().item(),
        "among_two": among.all(-1).double().mean().item(),
    }


def train(
    model: Namer, seed: int, steps: int, rate: float = 1e-2, *, progress: bool = False
) -> History:
    """Train on new sentences, and measure the share of positions with both names right
    every 100 steps.
    """
    return fit(
        model,
        loss,
        batches(seed),
        steps,
        learning_rate=rate,
        warmup=50,
        decay=True,
        evaluate=lambda model: scores(model)["both"],
        every=100,
        progress=progress,
    )


def main() -> None:
    """Train once for each setting and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.heads")
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--width", type=int, nargs="+", default=[32])
    parser.add_argument("--rate", type=float, nargs="+", default=[1e-2])
    parser.add_argument("--feed-forward", type=int, default=0, help="hidden units")
    parser.add_argument(
        "--places", action="store_true", help="the values carry the places, too"
    )
    parser.add_argument(
        "--summed", action="store_true", help="heads added up, not concatenated"
    )
    parser.add_argument(
        "--blind", action="store_true", help="queries and keys from the places alone"
    )
    parser.add_argument(
        "--apart",
        choices=["start", "held"],
        default="",
        help="the two heads' values begin in halves of their own, or stay there",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    settings = product(options.heads, options.width, options.rate, options.seeds)
    for heads, width, rate, seed in settings:
        torch.manual_seed(seed)
        model = Namer(
            heads,
            width,
            feed_forward=options.feed_forward,
            places=options.places,
            blind=options.blind,
            summed=options.summed,
        )
        if options.apart:
            set_apart(model, hold=options.apart == "held")
        history = train(model, seed, options.steps, rate)
        curve = [(step, both) for step, _, both in history.evaluations]
        solved = next((step for step, both in curve if both >= 0.99), "")
        row = {
            "seed": seed,
            "seconds": round(history.seconds),
            "threads": torch.get_num_threads(),
            "heads": heads,
            "width": width,
            "feed_forward": options.feed_forward,
            "places": options.places,
            "summed": options.summed,
            "blind": options.blind,
            "apart": options.apart,
            "steps": options.steps,
            "rate": rate,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": f"{sum(history.loss[-100:]) / 100:.3f}",
        }
        row |= {name: f"{share:.3f}" for name, share in scores(model).items()}
        row |= {"best": f"{max(both for _, both in curve):.3f}", "solved_at": solved}
        append_row(options.table, row)


if __name__ == "__main__":
    main()
