"""Exercises of chapter 8: feed-forward network, layer normalization, residual
connections.
"""

from typing import Any

import torch

from minitfm import layers
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("layers", asks="feed_forward layer_norm residual placement")
progress = chapter.progress


feed_forward = Exercise(
    chapter,
    "feed_forward",
    difficulty=1,
    minutes=4,
    doc="x (…, d_model) -> (…, d_model)",
    solution="""class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.outer(self.inner(x).relu())""",
    package=layers.FeedForward,
    sizes="batch token d_model d_ff",
    init=lambda d_model, d_ff, **_: (d_model, d_ff),
    special=lambda draw: [Case((draw.normal(4, 3),), (3, 5), "with a single axis")],
    axes="batch token d_model",
    mistakes="""
no ReLU: .relu() =>
ReLU at the end: self.outer(self.inner(x).relu()) => self.outer(self.inner(x)).relu()
ReLU before the first layer: self.inner(x).relu() => self.inner(x.relu())
ReLU twice: self.outer(self.inner(x).relu()) => self.outer(self.inner(x).relu()).relu()
residual inside: return self.outer( => return x + self.outer(
sigmoid: .relu() => .sigmoid()
tanh: .relu() => .tanh()
GELU: self.inner(x).relu() => F.gelu(self.inner(x))
biases left out: self.outer(self.inner(x).relu()) => F.linear(F.linear(x, self.inner.weight).relu(), self.outer.weight)
""",
)


def _vectors(draw: Draw, batch: int, token: int, d_model: int) -> tuple[Any, ...]:
    x = draw.normal(batch, token, d_model) + draw.normal(1, 1, 1)
    return x, draw.normal(d_model), draw.normal(d_model)


def _other_vectors(draw: Draw) -> list[Case]:
    constant = _vectors(draw, 3, 4, 5)
    constant[0][0, 0] = 3.0
    x, y = draw.normal(4, 3), draw.normal(2, 2, 3, 4)
    return [
        Case((*_vectors(draw, 3, 2, 4), 0.5), (), "with ε = 0.5", grad=True),
        Case(constant, (), "with a vector whose numbers are all equal"),
        Case((x, x[0], x[1]), (), "with a single axis before d_model"),
        Case((y, y[0, 0, 0], y[0, 0, 1]), (), "with three axes before d_model"),
    ]


layer_norm = Exercise(
    chapter,
    "layer_norm",
    difficulty=2,
    minutes=10,
    doc="x (…, d_model), gain and bias (d_model) -> (…, d_model)",
    solution="""def layer_norm(x, gain, bias, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * gain + bias""",
    package=layers.layer_norm,
    inputs=_vectors,
    special=_other_vectors,
    axes="batch token d_model",
    forms=[
        """mean = x.mean(-1, keepdim=True)
variance = x.var(-1, correction=0, keepdim=True)
return (x - mean) / torch.sqrt(variance + eps) * gain + bias"""
    ],
    mistakes="""
unbiased variance: (x - mean).square().mean(-1, keepdim=True) => x.var(-1, keepdim=True)
normalized over the batch: x.mean(-1, keepdim=True) => x.mean(0, keepdim=True)
+ .square().mean(-1, keepdim=True) => .square().mean(0, keepdim=True)
normalized over the tokens: x.mean(-1, keepdim=True) => x.mean(-2, keepdim=True)
+ .square().mean(-1, keepdim=True) => .square().mean(-2, keepdim=True)
normalized over everything: x.mean(-1, keepdim=True) => x.mean()
+ .square().mean(-1, keepdim=True) => .square().mean()
ε outside the root: torch.sqrt(variance + eps) => (torch.sqrt(variance) + eps)
no ε: variance + eps => variance
no root: torch.sqrt(variance + eps) => (variance + eps)
mean not subtracted: (x - mean) / torch => x / torch
root mean square: x.mean(-1, keepdim=True) => 0.0
gain missing:  * gain =>
bias missing:  * gain + bias =>  * gain
bias before gain: (x - mean) / torch.sqrt(variance + eps) * gain + bias => ((x - mean) / torch.sqrt(variance + eps) + bias) * gain
ε fixed: variance + eps => variance + 1e-5
statistics detached: (x - mean) / torch.sqrt(variance + eps) => (x - mean.detach()) / torch.sqrt(variance.detach() + eps)
""",
)


def _sublayers(draw: Draw) -> list[Case]:
    def case(
        note: str,
        norm: str,
        train: bool = False,
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> Case:
        sizes = draw.sizes("batch token d_model")
        x = draw.normal(*sizes.values(), dtype=dtype)
        weight = draw.normal(sizes["d_model"], sizes["d_model"], dtype=dtype)
        init = (sizes["d_model"], norm, 0.5)
        return Case((x, Sublayer(weight)), init, note, sizes, grad, train)

    return [
        case("post-norm", "post"),
        case("pre-norm", "pre"),
        case("post-norm with dropout in training", "post", train=True),
        case("pre-norm with dropout in training", "pre", train=True),
        case("post-norm in float32", "post", dtype=torch.float32),
        case("gradients, post-norm", "post", grad=True),
        case("gradients, pre-norm", "pre", grad=True),
    ]


class Sublayer:
    """Some function of every token's vector, with an offset, so that nothing
    cancels.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        """Remember the weight."""
        self.weight = weight

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply, shift and cut."""
        return (x @ self.weight + 0.3).relu()


class ResidualReference(layers.Residual):
    """The package's `Residual` with the arguments of the stub, which takes them by
    place.
    """

    def __init__(self, d_model: int, placement: layers.Norm, dropout: float) -> None:
        """Make it."""
        super().__init__(d_model, norm=placement, dropout=dropout)


residual = Exercise(
    chapter,
    "residual",
    difficulty=3,
    minutes=12,
    doc="x (batch, token, d_model), sublayer a function -> (batch, token, d_model)",
    solution="""class Residual(nn.Module):
    def __init__(self, d_model, placement, dropout):
        super().__init__()
        self.placement = placement
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, sublayer):
        if self.placement == "pre":
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))""",
    package=ResidualReference,
    names={"LayerNorm": layers.LayerNorm},
    inputs=lambda draw, batch, token, d_model: (
        draw.normal(batch, token, d_model),
        Sublayer(draw.normal(d_model, d_model)),
    ),
    init=lambda d_model, **_: (d_model, "post", 0.5),
    special=_sublayers,
    axes="batch token d_model",
    mistakes="""
no residual: return x + self.dropout => return self.dropout
+ self.norm(x + self.dropout => self.norm(self.dropout
norm on the sublayer alone: self.norm(x + self.dropout(sublayer(x))) => x + self.norm(self.dropout(sublayer(x)))
always post-norm: self.placement == "pre" => False
always pre-norm: self.placement == "pre" => True
placements exchanged: self.placement == "pre" => self.placement != "pre"
residual around the norm: return x + self.dropout(sublayer(self.norm(x))) => y = self.norm(x); return y + self.dropout(sublayer(y))
dropout on the sum: x + self.dropout(sublayer(self.norm(x))) => self.dropout(x + sublayer(self.norm(x)))
+ self.norm(x + self.dropout(sublayer(x))) => self.norm(self.dropout(x + sublayer(x)))
dropout after the norm: self.norm(x + self.dropout(sublayer(x))) => self.dropout(self.norm(x + sublayer(x)))
no dropout: self.dropout(sublayer(self.norm(x))) => sublayer(self.norm(x))
+ self.dropout(sublayer(x)) => sublayer(x)
dropout at evaluation: self.dropout( => F.dropout(
norm twice: self.norm(x + self.dropout(sublayer(x))) => self.norm(x + self.dropout(sublayer(self.norm(x))))
residual detached: return x + self => return x.detach() + self
+ self.norm(x + self => self.norm(x.detach() + self
""",
)


placement = Answer(
    chapter,
    "placement",
    difficulty=1,
    minutes=3,
    solution="""# LayerNorm(x + Sublayer(x)), dropout on the sublayer's output before the addition (sections 3.1 and 5.4)""",
    package=lambda: "B",
    wrong={
        "A": "A",
        "C": "C",
        "D": "D",
        "E": "E",
        "F": "F",
        "G": "G",
    },
)
