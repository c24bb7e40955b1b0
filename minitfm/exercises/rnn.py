"""Exercises of chapter 1: the recurrent cell, its loop and its gradient, perplexity,
and sampling.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.inside import Inside
from minitfm.exercises.engine.models import (
    labelled,
    networks,
    unevenly_labelled,
)
from minitfm.exercises.engine.plug import plugged
from minitfm.rnn import RNN, RNNCell

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "rnn", asks="rnn_parameters rnn_step rnn_inside perplexity step_jacobian sample"
)
progress = chapter.progress

V, D, H = 30, 16, 64


def numbers_of_the_character_model() -> int:
    """Count them in the package's own parts."""
    parts = (nn.Embedding(V, D), RNN(D, H), nn.Linear(H, V))
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


RIGHT = V * D + H * D + H + H * H + V * H + V


rnn_parameters = Answer(
    chapter,
    "rnn_parameters",
    difficulty=1,
    minutes=5,
    solution="""vocabulary, d_input, d_hidden = 30, 16, 64
embedding = vocabulary * d_input
w, b, u = d_hidden * d_input, d_hidden, d_hidden * d_hidden
output = vocabulary * d_hidden + vocabulary
answer = embedding + w + b + u + output  # whatever the length of the names""",
    package=numbers_of_the_character_model,
    wrong={
        "two directions": 2 * RIGHT,
        "times the length": 20 * RIGHT,
        "recurrent layer missing": V * D + V * H + V,
        "bias as wide as the input": RIGHT - H + D,
        "weights of every step": RIGHT + 19 * (H * D + H + H * H),
        "U missing": RIGHT - H * H,
        "W missing": RIGHT - H * D,
        "a second bias, or the state": RIGHT + H,
        "recurrent bias missing": RIGHT - H,
        "output bias missing": RIGHT - V,
        "both biases missing": RIGHT - V - H,
        "embedding missing": RIGHT - V * D,
        "output layer missing": RIGHT - V * H - V,
        "one-hot input": V * H + H + H * H + V * H + V,
        "U as wide as W": RIGHT - H * H + H * D,
        "recurrent layer alone": H * D + H + H * H,
        "embedding with a bias": RIGHT + D,
        "30 too many": RIGHT + V,
        "four sums": RIGHT + 3 * (H * D + H + H * H),
        "output reads the embedding": RIGHT - V * H + V * D,
        "output bias as wide as the state": RIGHT - V + H,
        "tied weights": RIGHT - V * H,
        "times the length, embedding apart": RIGHT + 19 * (RIGHT - V * D),
        "one-hot input beside the embedding": RIGHT - H * D + H * V,
        "output layer twice": RIGHT + V * H + V,
        "positions": RIGHT + 20 * D,
        "31 symbols": RIGHT + D + H + 1,
    },
)


class OwnRNNCell(RNNCell):
    """The package's cell, also while something else is plugged into `RNNCell`."""

    forward = RNNCell.forward


def step_of_the_package(
    x: Tensor, h: Tensor, w: Tensor, b: Tensor, u: Tensor
) -> Tensor:
    """The package's `RNNCell` with these weights."""
    weights = {"input.weight": w, "input.bias": b, "state.weight": u}
    return functional_call(OwnRNNCell(x.shape[1], h.shape[1]), weights, (x, h))


rnn_step = Exercise(
    chapter,
    "rnn_step",
    difficulty=1,
    minutes=6,
    doc="x (batch, d_input), h (batch, d_hidden), w (d_hidden, d_input), b (d_hidden) -> (batch, d_hidden)",
    solution="""def rnn_step(x, h, w, b, u):
    return torch.tanh(x @ w.T + b + h @ u.T)""",
    package=step_of_the_package,
    shapes="u (d_hidden, d_hidden)",
    zeros=["h"],
    equal="d_input d_hidden",
    mistakes="""
tanh missing: torch.tanh(x @ w.T + b + h @ u.T) => x @ w.T + b + h @ u.T
U transposed: h @ u.T => h @ u
W not transposed: x @ w.T => x @ w
state ignored:  + h @ u.T =>
input ignored: x @ w.T + b => b
bias missing:  + b =>
bias twice:  + b + h @ u.T =>  + b + h @ u.T + b
bias after tanh: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh(x @ w.T + h @ u.T) + b
tanh of the input alone: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh(x @ w.T + b) + h @ u.T
two tanh: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh(x @ w.T + b) + torch.tanh(h @ u.T)
tanh of W x alone: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh(x @ w.T) + b + h @ u.T
diagonal of U: h @ u.T => h * u.diagonal()
sigmoid: torch.tanh => torch.sigmoid
ReLU: torch.tanh => torch.relu
old state added: return torch => return h + torch
sides multiplied: x @ w.T + b + h @ u.T => (x @ w.T + b) * (h @ u.T)
state detached: h @ u.T => h.detach() @ u.T
columns for rows: x @ w.T + b + h @ u.T => w @ x + b + u @ h
U times the batch: h @ u.T => u @ h
side by side in two orders: x @ w.T + b + h @ u.T => torch.cat([h, x], 1) @ torch.cat([w, u], 1).T + b
W entry by entry: x @ w.T => x * w
softmax: torch.tanh(x @ w.T + b + h @ u.T) => torch.softmax(x @ w.T + b + h @ u.T, -1)
half the old state: return torch.tanh(x @ w.T + b + h @ u.T) => return (h + torch.tanh(x @ w.T + b + h @ u.T)) / 2
tanh of the old state: h @ u.T => torch.tanh(h) @ u.T
U and W reshaped: w.T + b + h @ u.T => w.reshape(w.shape[1], w.shape[0]) + b + h @ u.reshape(u.shape[1], u.shape[0]).T
bias before U: b + h @ u.T => (b + h) @ u.T
mean of both sides: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh((x @ w.T + b + h @ u.T) / 2)
W detached: x @ w.T => x @ w.detach().T
U detached: h @ u.T => h @ u.detach().T
one bias for all: x @ w.T + b + => x @ w.T + b[0] +
batch summed: torch.tanh(x @ w.T + b + h @ u.T) => torch.tanh((x @ w.T + b + h @ u.T).sum(0))
""",
)


def network_of_the_package(
    x: Tensor, w: Tensor, b: Tensor, u: Tensor, h: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The package's `RNN` with these weights."""
    weights = {
        "cells.0.input.weight": w,
        "cells.0.input.bias": b,
        "cells.0.state.weight": u,
    }
    states = None if h is None else h.unsqueeze(1)
    output, states = functional_call(
        RNN(x.shape[2], len(b)), weights, (x, None, states)
    )
    return output, states.squeeze(1)


def _one_state_for_all(
    x: Tensor, w: Tensor, b: Tensor, u: Tensor, h: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    state = x.new_zeros(len(b)) if h is None else h[0]
    outputs, last = [], []
    for sequence in x:
        states = []
        for token in sequence:
            state = torch.tanh(w @ token + b + u @ state)
            states.append(state)
        outputs.append(torch.stack(states))
        last.append(state)
    return torch.stack(outputs), torch.stack(last)


rnn = Exercise(
    chapter,
    "rnn",
    difficulty=2,
    minutes=12,
    doc="x (batch, token, d_input), h (batch, d_hidden) or None -> (batch, token, d_hidden), (batch, d_hidden)",
    solution="""def rnn(x, w, b, u, h=None):
    h = x.new_zeros(len(x), len(b)) if h is None else h
    outputs = []
    for token in x.unbind(1):
        h = torch.tanh(token @ w.T + b + h @ u.T)
        outputs.append(h)
    return torch.stack(outputs, dim=1), h""",
    package=network_of_the_package,
    shapes="w (d_hidden, d_input), b (d_hidden), u (d_hidden, d_hidden)",
    results=[("output", "batch token d_hidden"), ("h", "batch d_hidden")],
    mistakes="""
state not carried:         h = torch.tanh =>         new = torch.tanh
+ append(h) => append(new)
+ dim=1), h => dim=1), new
tanh missing: torch.tanh(token @ w.T + b + h @ u.T) => token @ w.T + b + h @ u.T
U transposed: h @ u.T => h @ u
bias missing:  + b␣ => ␣
output from the first state:         h = torch.tanh(token @ w.T + b + h @ u.T)⏎        outputs.append(h)⏎ =>         outputs.append(h)⏎        h = torch.tanh(token @ w.T + b + h @ u.T)⏎
first state among the outputs: outputs = [] => outputs = [h]
first state ignored:  if h is None else h =>
batch and time swapped: x.new_zeros(len(x), len(b)) => x.new_zeros(x.shape[1], len(b))
+ x.unbind(1) => x.unbind(0)
+ dim=1 => dim=0
tokens by sequences: dim=1 => dim=0
read backward: in x.unbind(1) => in reversed(x.unbind(1))
one token again and again: token @ w.T => x[:, 0] @ w.T
last token left out: x.unbind(1) => x[:, :-1].unbind(1)
the first output for the last state: dim=1), h => dim=1), outputs[0]
the first state for the last one: outputs = [] => outputs = []; first = h
+ dim=1), h => dim=1), first
one result: dim=1), h => dim=1)
results exchanged: return torch.stack(outputs, dim=1), h => return h, torch.stack(outputs, dim=1)
gradient cut in time: outputs.append(h) => outputs.append(h); h = h.detach()
""",
    wrong={"state shared between sequences": _one_state_for_all},
)


def perplexity_of_torch(logits: Tensor, target: Tensor, pad: int = 0) -> Tensor:
    """Compute it by ``torch.nn.CrossEntropyLoss``."""
    return nn.CrossEntropyLoss(ignore_index=pad)(logits.transpose(1, 2), target).exp()


perplexity = Exercise(
    chapter,
    "perplexity",
    difficulty=2,
    minutes=8,
    doc="logits (batch, token, vocabulary), target (batch, token), padded with `pad` -> one number",
    solution="""def perplexity(logits, target, pad=0):
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)
    return loss.exp()""",
    package=perplexity_of_torch,
    inputs=labelled,
    special=unevenly_labelled,
    without=["with vocabulary = 1"],
    gradients=False,
    forms=[
        """log_p = logits.log_softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)
real = target != pad
loss = -(log_p * real).sum() / real.sum()
return loss.exp()"""
    ],
    mistakes="""
loss over padding: , ignore_index=pad =>
+ pad=0 => pad=-100
mean over the padding: ignore_index=pad) => ignore_index=pad, reduction='sum') / target.numel()
exp missing: loss.exp() => loss
sign: loss.exp() => (-loss).exp()
2 to the power of nats: loss.exp() => 2**loss
mean of exponentials: ignore_index=pad) => ignore_index=pad, reduction='none').exp()[target.flatten() != pad].mean()
+ loss.exp() => loss
10 to the power of nats: loss.exp() => 10**loss
last character alone: logits.flatten => logits[:, -1:].flatten
+ target.flatten => target[:, -1:].flatten
summed: ignore_index=pad => ignore_index=pad, reduction='sum'
mean of the names' means: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) => torch.stack([F.cross_entropy(a, t, ignore_index=pad) for a, t in zip(logits, target)]).mean()
mean of the names' perplexities: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) => torch.stack([F.cross_entropy(a, t, ignore_index=pad).exp() for a, t in zip(logits, target)]).mean()
+ loss.exp() => loss
pad ignored: ignore_index=pad => ignore_index=0
softmax twice: logits.flatten(0, 1) => logits.softmax(-1).flatten(0, 1)
shifted: logits.flatten => logits[:, :-1].flatten
+ target.flatten => target[:, 1:].flatten
flattened in another order: target.flatten() => target.T.flatten()
logits flattened in another order: logits.flatten(0, 1) => logits.transpose(0, 1).flatten(0, 1)
logits transposed, then cut anew: logits.flatten(0, 1) => logits.mT.reshape(-1, logits.shape[-1])
probabilities averaged: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) => -logits.softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)[target != pad].mean().log()
probabilities for log-probabilities: F.cross_entropy(logits.flatten(0, 1) => F.nll_loss(logits.softmax(-1).flatten(0, 1)
logits for log-probabilities: F.cross_entropy(logits.flatten(0, 1) => F.nll_loss(logits.flatten(0, 1)
e to the power of bits: loss.exp() => (loss / math.log(2)).exp()
label smoothing: ignore_index=pad) => ignore_index=pad, label_smoothing=0.1)
logarithm of a rounded probability: F.cross_entropy(logits.flatten(0, 1) => F.nll_loss(logits.softmax(-1).log().flatten(0, 1)
mean over the names: ignore_index=pad) => ignore_index=pad, reduction='sum') / len(target)
first name alone: logits.flatten => logits[:1].flatten
+ target.flatten => target[:1].flatten
last character left out: logits.flatten => logits[:, :-1].flatten
+ target.flatten => target[:, :-1].flatten
entropy: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) => -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)[target != pad].mean()
another default: pad=0 => pad=-100
one a name: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad) => F.cross_entropy(logits.transpose(1, 2), target, ignore_index=pad, reduction='none').sum(1) / (target != pad).sum(1)
""",
)


def jacobian_of_the_package(h: Tensor, u: Tensor) -> Tensor:
    """Differentiate the package's step at sums whose tanh is ``h``."""
    before = torch.zeros_like(h, requires_grad=True)
    identity, zero = torch.eye(h.shape[1]).to(h), torch.zeros_like(h[0])
    after = step_of_the_package(h.atanh(), before, identity, zero, u)
    rows = [
        torch.autograd.grad(number.sum(), before, create_graph=True)[0]
        for number in after.unbind(1)
    ]
    return torch.stack(rows, dim=1)


step_jacobian = Exercise(
    chapter,
    "step_jacobian",
    difficulty=3,
    minutes=12,
    doc="h (batch, d_hidden), the new states, u (d_hidden, d_hidden) -> (batch, d_hidden, d_hidden)",
    solution="""def step_jacobian(h, u):
    slope = 1 - h**2
    return slope.unsqueeze(2) * u""",
    package=jacobian_of_the_package,
    inputs=lambda draw, batch, d_hidden: (
        draw.normal(batch, d_hidden).tanh(),
        draw.normal(d_hidden, d_hidden),
    ),
    without=["with numbers of size 100"],
    gradients=False,
    axes="batch new old",
    mistakes="""
no slope: slope.unsqueeze(2) * u => torch.ones_like(slope).unsqueeze(2) * u
columns scaled: unsqueeze(2) => unsqueeze(1)
U transposed: * u => * u.T
transposed: slope.unsqueeze(2) * u => (slope.unsqueeze(2) * u).mT
tanh applied again: h**2 => torch.tanh(h) ** 2
1 − h: h**2 => h
a sigmoid's slope: 1 - h**2 => h * (1 - h)
slope is h²: 1 - h**2 => h**2
slope is the state: 1 - h**2 => h
matrix product: slope.unsqueeze(2) * u => slope @ u.T
summed over the batch: slope.unsqueeze(2) * u => (slope.unsqueeze(2) * u).sum(0)
diag of a batch: slope.unsqueeze(2) * u => torch.diag(slope) @ u
old state taken for the new: slope = 1 - h**2 => slope = 1 - torch.tanh(h @ u.T) ** 2
square of the difference: 1 - h**2 => (1 - h) ** 2
U missing: slope.unsqueeze(2) * u => torch.diag_embed(slope)
root of the slope: 1 - h**2 => (1 - h**2).sqrt()
1 − |h|: 1 - h**2 => 1 - h.abs()
first state for all: slope.unsqueeze(2) => slope[:1].expand_as(slope).unsqueeze(2)
slope squared: slope = 1 - h**2 => slope = (1 - h**2) ** 2
one over the slope: slope = 1 - h**2 => slope = 1 / (1 - h**2)
2 (1 − h): slope = 1 - h**2 => slope = 2 * (1 - h)
slope subtracted: slope.unsqueeze(2) * u => torch.eye(len(u)).to(u) - h.pow(2).unsqueeze(2) * u
identity added: slope.unsqueeze(2) * u => slope.unsqueeze(2) * u + torch.eye(len(u)).to(u)
diagonal of U: slope.unsqueeze(2) * u => torch.diag_embed(slope * torch.diag(u))
slopes on both sides: slope.unsqueeze(2) * u => slope.unsqueeze(2) * u * slope.unsqueeze(1)
the slope at the mean state: slope = 1 - h**2 => slope = 1 - h.mean(0, keepdim=True).expand_as(h) ** 2
the step twice: slope.unsqueeze(2) * u => slope.unsqueeze(2) * (u @ u)
U made symmetric: slope.unsqueeze(2) * u => slope.unsqueeze(2) * (u + u.T) / 2
""",
)


def sample_in_python(logits: Tensor, temperature: float, u: Tensor) -> Tensor:
    """Walk along the symbols of every row until the sum of their probabilities passes
    u.
    """
    drawn = []
    for row, limit in zip((logits / temperature).softmax(-1).tolist(), u.tolist()):
        symbol, passed = 0, row[0]
        while passed <= limit and symbol < len(row) - 1:
            symbol += 1
            passed += row[symbol]
        drawn.append(symbol)
    return torch.tensor(drawn)


def _draws(draw: Draw, batch: int, vocabulary: int, heat: float = 0.8) -> tuple:
    u = torch.rand(batch, generator=draw.generator, dtype=torch.float64)
    return draw.normal(batch, vocabulary), heat, u.to(draw.dtype)


def _at_temperatures(draw: Draw) -> list[Case]:
    return [
        Case(_draws(draw, 40, 6 + i, heat), (), f"at temperature {heat}")
        for i, heat in enumerate((1.0, 0.5, 2.0, 0.05, 5.0))
    ] + [
        *(
            _closely(draw, *numbers)
            for numbers in ((0.0, 0.2), (9.0, 0.1), (0.0, 0.01))
        ),
        *_at_the_edges(),
        _beside_an_end(draw),
    ]


def _beside_an_end(draw: Draw) -> Case:
    """Numbers u a little before or behind an end, too little for 16 bits, and enough
    for 32.
    """
    logits = draw.normal(40, 9)
    ends = logits.softmax(-1).cumsum(-1)
    beside = ends.gather(1, draw.ids(0, 8, 40, 1)).squeeze(1)
    u = beside + 2e-5 * (-1.0) ** torch.arange(40)
    return Case((logits, 1.0, u), (), "where u lies close to an end")


def _at_the_edges() -> list[Case]:
    """Numbers u that are exactly an end, or that rounding leaves behind the last end."""
    alike = torch.zeros(5, 4, dtype=torch.float64)
    ends = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
    never = torch.tensor([[-1000.0, 0, 0], [0, -1000.0, 0]], dtype=torch.float64)
    first = torch.tensor([0.0, 0.5], dtype=torch.float64)
    many = torch.zeros(1, 41)  # in float32 their ends sum to a little less than 1
    last = torch.tensor([1 - 2**-24])
    return [
        Case((alike, 1.0, ends), (), "where u is exactly an end"),
        Case((never, 1.0, first), (), "where a character has the probability 0"),
        Case((many, 1.0, last), (), "where rounding leaves the last end below u"),
    ]


def _closely(draw: Draw, middle: float, heat: float) -> Case:
    """Logits in float32 that differ about as much as the temperature is high: by hand
    exp overflows, and powers of probabilities underflow.
    """
    with draw.like(1.0, torch.float32):
        logits, heat, u = _draws(draw, 40, 6, heat)
    note = f"with close logits around {middle:g} at temperature {heat}"
    return Case((middle + heat * logits, heat, u), (), note)


sample = Exercise(
    chapter,
    "sample",
    difficulty=3,
    minutes=10,
    doc="logits (batch, vocabulary), temperature a number, u (batch), each from 0 to below 1 -> (batch), whole numbers",
    solution="""def sample(logits, temperature, u):
    p = (logits / temperature).softmax(-1)
    ends = p.cumsum(-1)
    return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1)""",
    package=sample_in_python,
    inputs=_draws,
    sizes="batch vocabulary",
    special=_at_temperatures,
    gradients=False,
    mistakes="""
stretch without its beginning: ends[:, :-1] <= u => ends[:, :-1] < u
past the last character: ends[:, :-1] <= u => ends <= u
multiplied by the temperature: logits / temperature => logits * temperature
temperature ignored: (logits / temperature) => logits
temperature after the softmax: (logits / temperature).softmax(-1) => logits.softmax(-1) / temperature
likeliest character: (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => p.argmax(-1)
no softmax: .softmax(-1) =>
sigmoid for the softmax: .softmax(-1) => .sigmoid()
logarithms added up: .softmax(-1) => .log_softmax(-1)
no running sum: .cumsum(-1) =>
softmax over the batch: .softmax(-1) => .softmax(0)
running sum over the batch: cumsum(-1) => cumsum(0)
counted from 1: sum(-1) => sum(-1) + 1
+ p.cumsum(-1) + 1 => p.cumsum(-1)
one too small: (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) - 1
counted from the end: ends[:, :-1] <= u => ends > u
one u for all: u.unsqueeze(1) => u[0]
own random numbers: (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => torch.multinomial(p, 1).squeeze(1)
a column: sum(-1) => sum(-1, keepdim=True)
+ p.cumsum(-1, keepdim=True) => p.cumsum(-1)
whether for how many: (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => (ends[:, :-1] <= u.unsqueeze(1)).any(-1)
a truth for a count: (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => (ends[:, :-1] <= u.unsqueeze(1)).int().argmax(-1)
u from the other side: u.unsqueeze(1) => 1 - u.unsqueeze(1)
exp without a sum: .softmax(-1) => .exp()
u by the temperature: ends[:, :-1] <= u.unsqueeze(1) => ends[:, :-1] <= u.unsqueeze(1) / temperature
one row for all: ends[:, :-1] <= u => ends[:1] < u
sorted first: .softmax(-1) => .softmax(-1).sort(-1, descending=True).values
overflow: (logits / temperature).softmax(-1) => (logits / temperature).exp(); p = p / p.sum(-1, keepdim=True)
underflow: (logits / temperature).softmax(-1) => logits.softmax(-1) ** (1 / temperature); p = p / p.sum(-1, keepdim=True)
√ of the temperature: logits / temperature => logits / temperature**0.5
temperature squared: logits / temperature => logits / temperature**2
1 added to the temperature: logits / temperature => logits / (1 + temperature)
sign turned: logits / temperature => -logits / temperature
base 2: (logits / temperature).softmax(-1) => (logits / temperature * math.log(2)).softmax(-1)
likeliest below one half: .sum(-1) => .sum(-1) if temperature >= 0.5 else p.argmax(-1)
running product: cumsum => cumprod
u compared with the probabilities: ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => p > u.unsqueeze(1)).int().argmax(-1)
u as a place: return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => return (u * p.shape[-1]).long()
u squared: u.unsqueeze(1) => u.unsqueeze(1) ** 2
the first character never: return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => return (ends[:, 1:] < u.unsqueeze(1)).sum(-1)
the probabilities themselves: return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => return p
nearest end: return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => return (ends - u.unsqueeze(1)).abs().argmin(-1)
the character with the nearest probability: return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => return (p - u.unsqueeze(1)).abs().argmin(-1)
the likeliest laid out first: ends = p.cumsum(-1) => order = p.argsort(-1, descending=True)⏎    ends = p.gather(-1, order).cumsum(-1)
+ return (ends[:, :-1] <= u.unsqueeze(1)).sum(-1) => place = (ends[:, :-1] <= u.unsqueeze(1)).sum(-1, keepdim=True)⏎    return order.gather(-1, place.clamp(max=p.shape[-1] - 1)).squeeze(-1)
""",
)


rnn_inside = Inside(
    chapter,
    "rnn_inside",
    difficulty=1,
    minutes=3,
    alone=rnn_step,
    part="rnn_step",
    call=lambda network, x, mask: network(x, mask)[0],
    models=lambda draw: networks(draw, RNN),
    axes="batch token d_output",
)
