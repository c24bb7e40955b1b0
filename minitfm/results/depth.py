r"""Where the norm stands in a deep stack: four placements, with warm-up and without
(chapter 8).

Every position has to name the symbol at the mirrored place, after 18 layers of
attention and feed-forward network. The runs that the chapter shows::

    python -m minitfm.results.depth
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 0
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 0 \
        --scaled attention feed_forward
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 100 \
        --scaled attention feed_forward
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 100 \
        --scaled attention feed_forward --steps 2000 --seeds 0
    python -m minitfm.results.depth --placements post --warmup 100 --steps 2000 \
        --seeds 0
    python -m minitfm.results.depth --placements post --start 0.2 0.3
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 100
    python -m minitfm.results.depth --placements pre --warmup 100 --seeds 1 --steps 600
    python -m minitfm.results.depth --placements post --rate 1e-3 --warmup 100
    python -m minitfm.results.depth --placements post --layers 6
    python -m minitfm.results.depth --placements post --layers 6 --warmup 100 \
        --steps 2000 --seeds 0
    python -m minitfm.results.depth --placements "norm, no residual" --warmup 100
    python -m minitfm.results.depth --placements pre --warmup 0 --frozen 14
    python -m minitfm.results.depth --placements post --start 0.1 --warmup 0 \
        --frozen 14

One thread is enough (OMP_NUM_THREADS=1), and three quarters of an hour for all. Run it
from a checkout (``make test`` or ``make lab`` sets one up), so that the rows name the
commit. The column one_symbol came later and is empty in older rows; those of plain
post-norm with warm-up were made again for it (--placements post --warmup 100), and
came out the same.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.fast import accelerate
from minitfm.layers import FeedForward, LayerNorm
from minitfm.multihead import MultiHeadAttention
from minitfm.positional import SinusoidalPositions
from minitfm.results import append_row
from minitfm.study.fit import History, fit

TABLE = Path(__file__).with_suffix(".csv")
SYMBOLS, LENGTH = 10, 8
SUBLAYERS = {
    "all": ("attention", "feed_forward"),
    "attention": ("attention",),
    "feed_forward": ("feed_forward",),
}
PLACEMENTS: dict[str, dict[str, bool]] = {
    "post": {"skip": True, "before": False, "after": True},
    "pre": {"skip": True, "before": True, "after": False},
    "pre, no final norm": {"skip": True, "before": True, "after": False},
    "both": {"skip": True, "before": True, "after": True},
    "no norm": {"skip": True, "before": False, "after": False},
    "no residual": {"skip": False, "before": False, "after": False},
    "norm, no residual": {"skip": False, "before": False, "after": True},
}


class Placed(nn.Module):
    """One sublayer's surroundings: a norm before it, the straight path around it, a
    norm after the sum, each of them or not.
    """

    def __init__(self, d_model: int, *, skip: bool, before: bool, after: bool) -> None:
        """Make the norms that are asked for."""
        super().__init__()
        self.skip = skip
        self.before = LayerNorm(d_model) if before else nn.Identity()
        self.after = LayerNorm(d_model) if after else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch token d_model"],
        sublayer: Callable[
            [Float[Tensor, "batch token d_model"]],
            Float[Tensor, "batch token d_model"],
        ],
    ) -> Float[Tensor, "batch token d_model"]:
        """Run the sublayer, with the path around it if there is one."""
        y = sublayer(self.before(x))
        return self.after(x + y if self.skip else y)


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each with its residual."""

    def __init__(self, d_model: int, heads: int, d_ff: int, placement: str) -> None:
        """Make them."""
        super().__init__()
        self.attention = MultiHeadAttention(d_model, heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.residual_1 = Placed(d_model, **PLACEMENTS[placement])
        self.residual_2 = Placed(d_model, **PLACEMENTS[placement])

    def forward(
        self, x: Float[Tensor, "batch token d_model"]
    ) -> Float[Tensor, "batch token d_model"]:
        """Run one after the other."""
        x = self.residual_1(x, lambda y: self.attention(y, y, y))
        return self.residual_2(x, self.feed_forward)


class Stack(nn.Module):
    """Symbols in, layers, and a linear readout of each position: logits out.

    Matrices start Xavier-uniform, as those of chapter 9's Transformer do.
    """

    def __init__(
        self,
        layers: int = 18,
        placement: str = "post",
        d_model: int = 32,
        heads: int = 4,
        d_ff: int = 64,
        start: float = 1.0,
        scaled: str = "all",
    ) -> None:
        """Make the layers.

        Args:
            layers: how many, each with two sublayers.
            placement: of the norm, a key of ``PLACEMENTS``.
            d_model: width of the tokens.
            heads: of the attention.
            d_ff: width inside the feed-forward networks.
            start: a factor for the last matrix of sublayers, before training.
            scaled: which sublayers' matrix it multiplies, a key of ``SUBLAYERS``.

        Raises:
            ValueError: if the placement or what is scaled is unknown.
        """
        super().__init__()
        if placement not in PLACEMENTS:
            raise ValueError(
                f"placement={placement!r}; choose from {', '.join(PLACEMENTS)}"
            )
        if scaled not in SUBLAYERS:
            raise ValueError(f"scaled={scaled!r}; choose from {', '.join(SUBLAYERS)}")
        self.embedding = nn.Embedding(SYMBOLS, d_model)
        self.positions = SinusoidalPositions(d_model)
        self.layers = nn.ModuleList(
            Layer(d_model, heads, d_ff, placement) for _ in range(layers)
        )
        self.norm = LayerNorm(d_model) if placement == "pre" else nn.Identity()
        self.readout = nn.Linear(d_model, SYMBOLS)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and "embedding" not in name:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith(("inner.bias", "outer.bias", "readout.bias")):
                nn.init.zeros_(parameter)
        with torch.no_grad():
            for layer in self.layers:
                if "attention" in SUBLAYERS[scaled]:
                    layer.attention.output.weight.mul_(start)
                if "feed_forward" in SUBLAYERS[scaled]:
                    layer.feed_forward.outer.weight.mul_(start)

    def forward(
        self, symbols: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token symbol"]:
        """Logits for the symbol at the mirrored place."""
        x = self.positions(self.embedding(symbols))
        for layer in self.layers:
            x = layer(x)
        return self.readout(self.norm(x))


def loss(model: nn.Module, symbols: Int[Tensor, "batch token"]) -> Float[Tensor, ""]:
    """Cross-entropy of the mirrored symbols, in nats."""
    return F.cross_entropy(model(symbols).flatten(0, 1), symbols.flip(1).flatten())


def batches(seed: int, batch: int = 32) -> Iterator[tuple[Tensor]]:
    """New sequences without end: none of them is learned by heart."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield (torch.randint(SYMBOLS, (batch, LENGTH), generator=generator),)


class Depth(NamedTuple):
    """What a stack looks like inside, one number for each of its layers.

    Attributes:
        loss: on the given sequences, in nats.
        gradients: length of the loss's gradient by all of the layer's parameters.
        queries: the same by the matrix W^Q of its attention alone.
        variances: of what leaves the layer, over the numbers of a token's vector.
        alike: how much of what leaves the layer all tokens of a sequence share: 1 if
            their vectors are the same, near 0 if they differ like random ones.
        answers: the logits' standard deviation over tokens and sequences; 0 if the
            answer does not depend on the input.
    """

    loss: float
    gradients: list[float]
    queries: list[float]
    variances: list[float]
    alike: list[float]
    answers: float


def measure(model: Stack, symbols: Int[Tensor, "batch token"]) -> Depth:
    """Run the stack forward and backward once."""
    found: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: found.append(out.detach()))
        for layer in model.layers
    ]
    logits = model(symbols)
    for hook in hooks:
        hook.remove()
    value = F.cross_entropy(logits.flatten(0, 1), symbols.flip(1).flatten())
    parameters = list(model.layers.named_parameters())
    gradients = torch.autograd.grad(value, [parameter for _, parameter in parameters])
    squares, queries = [0.0] * len(model.layers), [0.0] * len(model.layers)
    for (name, _), gradient in zip(parameters, gradients, strict=True):
        square, layer = gradient.square().sum().item(), int(name.split(".")[0])
        squares[layer] += square
        if name.endswith("attention.query.weight"):
            queries[layer] = square**0.5
    return Depth(
        value.item(),
        [square**0.5 for square in squares],
        queries,
        [x.var(-1, correction=0).mean().item() for x in found],
        [shared(x) for x in found],
        logits.detach().flatten(0, 1).std(0).mean().item(),
    )


def shared(x: Float[Tensor, "batch token d_model"]) -> float:
    """The share of the tokens' squared length that the mean of their sequence has."""
    x = x - x.mean(-1, keepdim=True)  # the next norm takes it out anyway
    own = (x - x.mean(1, keepdim=True)).square().sum()
    return 1 - (own / x.square().sum()).item()


@torch.no_grad()
def score(model: nn.Module) -> float:
    """Share of the positions of 500 new sequences that are named right."""
    (symbols,) = next(batches(1_000_000, 500))
    return (model(symbols).argmax(-1) == symbols.flip(1)).double().mean().item()


@torch.no_grad()
def one_symbol(model: nn.Module) -> float:
    """Share of the same 500 sequences in which every position names one symbol."""
    (symbols,) = next(batches(1_000_000, 500))
    named = model(symbols).argmax(-1)
    return (named == named[:, :1]).all(1).double().mean().item()


def freeze(model: Stack, upper: int) -> Stack:
    """Keep W^Q and W^K of the ``upper`` last layers as they start, and train the rest:
    where those layers look is then up to their input alone.
    """
    for layer in list(model.layers)[len(model.layers) - upper :]:
        for linear in (layer.attention.query, layer.attention.key):
            linear.requires_grad_(False)
    return model


def train(model: nn.Module, seed: int, steps: int, rate: float, warmup: int) -> History:
    """Train with Adam on new sequences; the rate falls linearly after warm-up."""
    return fit(
        model,
        loss,
        batches(seed),
        steps,
        learning_rate=rate,
        warmup=warmup,
        decay=True,
        evaluate=score,
        every=50,
        progress=False,
    )


def main() -> None:
    """Train once for each setting and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.depth")
    parser.add_argument("--placements", nargs="+", default=list(PLACEMENTS)[:4])
    parser.add_argument("--layers", type=int, nargs="+", default=[18])
    parser.add_argument(  # rows made before this option's present name say --gain
        "--start", "--gain", type=float, nargs="+", default=[1.0]
    )
    parser.add_argument("--scaled", nargs="+", default=["all"], choices=SUBLAYERS)
    parser.add_argument(
        "--frozen", type=int, nargs="+", default=[0], help="upper layers, see freeze"
    )
    parser.add_argument("--rate", type=float, nargs="+", default=[3e-3])
    parser.add_argument("--warmup", type=int, nargs="+", default=[0, 100])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    settings = product(
        options.seeds,
        options.layers,
        options.start,
        options.scaled,
        options.frozen,
        options.rate,
        options.warmup,
        options.placements,
    )
    for seed, layers, start, scaled, frozen, rate, warmup, placement in settings:
        torch.manual_seed(seed)
        model = accelerate(Stack(layers, placement, start=start, scaled=scaled))
        freeze(model, frozen)
        history = train(model, seed, options.steps, rate, warmup)
        curve = [(step, share) for step, _, share in history.evaluations]
        solved = next((step for step, share in curve if share >= 0.99), "")
        row = {
            "seed": seed,
            "seconds": round(history.seconds),
            "threads": torch.get_num_threads(),
            "placement": placement,
            "layers": layers,
            "start": start,
            "scaled": scaled,
            "frozen": frozen,
            "rate": rate,
            "warmup": warmup,
            "steps": options.steps,
            "parameters": sum(p.numel() for p in model.parameters()),
            "loss": f"{sum(history.loss[-50:]) / 50:.3f}",
            "right": f"{curve[-1][1]:.3f}",
            "best": f"{max(share for _, share in curve):.3f}",
            "solved_at": solved,
            "one_symbol": f"{one_symbol(model):.3f}",
        }
        append_row(options.table, row)


if __name__ == "__main__":
    main()
