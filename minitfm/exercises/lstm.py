"""Exercises of chapter 2: the gates of the LSTM and the GRU, their sizes, and
padding.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.inside import Inside
from minitfm.exercises.engine.models import filled, networks
from minitfm.exercises.engine.plug import plugged
from minitfm.lstm import LSTM, GRUCell, LSTMCell, forget_bias_

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("lstm", asks="lstm_parameters half_life gru_step lstm lstm_inside")
progress = chapter.progress

D, H = 40, 64


SUM = H * D + H + H * H


lstm_parameters = Answer(
    chapter,
    "lstm_parameters",
    difficulty=1,
    minutes=4,
    solution="""d_input, d_hidden = 40, 64
weighted_sum = d_hidden * d_input + d_hidden + d_hidden * d_hidden
answer = 4 * weighted_sum  # input gate, forget gate, candidate, output gate""",
    package=lambda: sum(parameter.numel() for parameter in LSTMCell(D, H).parameters()),
    wrong={
        "two directions": 8 * SUM,
        "the plain cell's": SUM,
        "gates alone": 3 * SUM,
        "one W for all": 4 * SUM - 3 * H * D,
        "five sums": 5 * SUM,
        "two biases": 4 * (SUM + H),
        "no biases": 4 * (SUM - H),
        "U missing": 4 * (SUM - H * H),
        "W missing": 4 * (SUM - H * D),
        "state counted": 4 * SUM + 2 * H,
        "one U for all": 4 * (SUM - H * H) + H * H,
        "gates look at c": 4 * (SUM + H * H),
        "one bias for all": 4 * (SUM - H) + H,
        "biases of two sums": 4 * (SUM - H) + 2 * H,
        "gates' biases alone": 4 * (SUM - H) + 3 * H,
        "peepholes": 4 * SUM + 3 * H,
        "two sums": 2 * SUM,
        "gates alone, two biases": 3 * (SUM + H),
        "gates alone, no biases": 3 * (SUM - H),
        "two directions, two biases": 8 * (SUM + H),
        "U as a vector": 4 * (SUM - H * H + H),
        "h and c side by side": 4 * (2 * H * D + 2 * H + 4 * H * H),
        "U as wide as W": 4 * (H * D + H + H * D),
        "sizes exchanged": 4 * (D * H + D + D * D),
        "biases as long as x": 4 * (SUM - H + D),
    },
)


def steps_to_half(bias: float = 3.0) -> int:
    """Let the package's cell forget, with all weights 0, until less than half is
    left.
    """
    cell = LSTMCell(1, 1).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        forget_bias_(cell, bias)
        x = torch.zeros(1, 1, dtype=torch.float64)
        h, c, steps = x, torch.ones_like(x), 0
        while c.item() >= 0.5:
            h, c = cell(x, (h, c))
            steps += 1
    return steps


half_life = Answer(
    chapter,
    "half_life",
    difficulty=1,
    minutes=4,
    solution="""forget = 1 / (1 + math.exp(-3))
answer, c = 0, 1.0
while c >= 0.5:
    c = forget * c
    answer = answer + 1""",
    package=steps_to_half,
    wrong={
        "one step too many": 16,
        "one step too few": 14,
        "bias 1": 3,
        "bias 0": 2,
        "gate inverted": 1,
        "the same amount every step": 11,
        "tanh for σ": 140,
        "a tenth left": 48,
        "1/e left": 21,
        "the gate itself": 1 / (1 + math.exp(-3)),
        "what is left": (1 / (1 + math.exp(-3))) ** 15,
        "quotient the other way round": -math.log1p(math.exp(-3)) / math.log(0.5),
        "σ left out": math.log(0.5) / math.log(3),
        "e³": math.exp(3),
        "e³ rounded": 20,
        "bias 2": 6,
        "a quarter left": 29,
        "no step": 0,
        "a negative number of steps": -15,
    },
)


LSTM_SUMS = "input_gate", "forget_gate", "candidate", "output_gate"
GRU_SUMS = "reset_gate", "update_gate", "candidate"


class OwnLSTMCell(LSTMCell):
    """The package's cell, also while something else is plugged into `LSTMCell`."""

    forward = LSTMCell.forward


class OwnGRUCell(GRUCell):
    """The package's cell, also while something else is plugged into `GRUCell`."""

    forward = GRUCell.forward


def named(
    sums: tuple[str, ...], w: Tensor, b: Tensor, u: Tensor, prefix: str = ""
) -> dict[str, Tensor]:
    """Cut W, b and U into those of a cell's sums, by the names of its parameters."""
    sides = {"input.weight": w, "input.bias": b, "state.weight": u}
    parts = {side: matrix.split(u.shape[1]) for side, matrix in sides.items()}
    return {
        f"{prefix}{name}.{side}": part
        for side in parts
        for name, part in zip(sums, parts[side])
    }


def lstm_step_of_the_package(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, b: Tensor, u: Tensor
) -> tuple[Tensor, Tensor]:
    """The package's `LSTMCell` with these weights."""
    cell = OwnLSTMCell(x.shape[1], h.shape[1])
    return functional_call(cell, named(LSTM_SUMS, w, b, u), (x, (h, c)))


lstm_step = Exercise(
    chapter,
    "lstm_step",
    difficulty=2,
    minutes=10,
    doc="""x (batch, d_input), h and c (batch, d_hidden), w (4 * d_hidden, d_input), b (4 * d_hidden),
u (4 * d_hidden, d_hidden) -> h and c, (batch, d_hidden) each
""",
    solution="""def lstm_step(x, h, c, w, b, u):
    input, forget, candidate, output = (x @ w.T + b + h @ u.T).chunk(4, dim=1)
    c = forget.sigmoid() * c + input.sigmoid() * candidate.tanh()
    h = output.sigmoid() * c.tanh()
    return h, c""",
    package=lstm_step_of_the_package,
    results=[("h", "batch d_hidden"), ("c", "batch d_hidden")],
    zeros=["h", "c", "h c"],
    equal="d_input d_hidden",
    mistakes="""
input and forget gate exchanged: input, forget, candidate, output = => forget, input, candidate, output =
candidate last: input, forget, candidate, output = => input, forget, output, candidate =
candidate second: input, forget, candidate, output = => input, candidate, forget, output =
forget gate, input gate, output gate, candidate: input, forget, candidate, output = => forget, input, output, candidate =
gates interleaved: .chunk(4, dim=1) => .unflatten(1, (-1, 4)).unbind(2)
pieces of four: .chunk(4, dim=1) => .split(4, dim=1)
cut along the batch: .chunk(4, dim=1) => .chunk(4)
sigmoid for the candidate: candidate.tanh() => candidate.sigmoid()
candidate as it is: candidate.tanh() => candidate
tanh for the gates: .sigmoid() => .tanh()
gates without sigmoid: .sigmoid() =>
no activation: .sigmoid() =>
+ candidate.tanh() => candidate
sigmoid of all four, then tanh: candidate.tanh() => candidate.sigmoid().tanh()
old hidden state returned:     h = output.sigmoid() * c.tanh() =>     pass
forget gate inverted: forget.sigmoid() * c => (1 - forget.sigmoid()) * c
input gate as the rest of the forget gate: input.sigmoid() * => (1 - forget.sigmoid()) *
nothing forgotten: forget.sigmoid() * c => c
input gate missing: input.sigmoid() *␣ =>
output gate missing: output.sigmoid() *␣ =>
output without tanh: c.tanh() => c
output of the old memory:     c = forget =>     old = c⏎    c = forget
+ c.tanh() => old.tanh()
memory squashed: c = forget.sigmoid() * c + input.sigmoid() * candidate.tanh() => c = (forget.sigmoid() * c + input.sigmoid() * candidate.tanh()).tanh()
+ output.sigmoid() * c.tanh() => output.sigmoid() * c
forget gate on the hidden state: forget.sigmoid() * c => forget.sigmoid() * h
gates look at the memory: h @ u.T => c @ u.T
not transposed: x @ w.T => x @ w
+ h @ u.T => h @ u
cell and hidden state swapped: return h, c => return c, h
one result: return h, c => return h
old state ignored:  + h @ u.T =>
bias missing:  + b + =>  +
memory detached: forget.sigmoid() * c => forget.sigmoid() * c.detach()
rows laid out as gates: .chunk(4, dim=1) => .view(4, len(x), -1)
tanh of what is shown: output.sigmoid() * c.tanh() => (output.sigmoid() * c).tanh()
candidate first: input, forget, candidate, output = => candidate, input, forget, output =
old memory returned:     c = forget =>     old, c = c, forget
+ return h, c => return h, old
h added: h = output.sigmoid() * c.tanh() => h = h + output.sigmoid() * c.tanh()
peepholes: h @ u.T).chunk(4, dim=1) => h @ u.T + c.repeat(1, 4)).chunk(4, dim=1)
one more for the forget gate: forget.sigmoid() => (forget + 1).sigmoid()
softmax for the gates: input, forget, candidate, output = (x @ w.T + b + h @ u.T).chunk(4, dim=1) => input, forget, candidate, output = (x @ w.T + b + h @ u.T).chunk(4, dim=1)⏎    input, forget, output = (z.softmax(-1).logit() for z in (input, forget, output))
gates turned round: .sigmoid() => .neg().sigmoid()
U reshaped: h @ u.T => h @ u.reshape(u.shape[1], -1)
U of each gate transposed: h @ u.T => h @ torch.cat([part.T for part in u.chunk(4)]).T
h and c exchanged:     input, forget, candidate, output = =>     h, c = c, h⏎    input, forget, candidate, output =
W detached: x @ w.T => x @ w.detach().T
U detached: h @ u.T => h @ u.detach().T
memory limited:     h = output =>     c = c.clamp(-1, 1)⏎    h = output
""",
)


def gru_step_of_the_package(
    x: Tensor, h: Tensor, w: Tensor, b: Tensor, u: Tensor, b_candidate: Tensor
) -> Tensor:
    """The package's `GRUCell` with these weights."""
    weights = named(GRU_SUMS, w, b, u)
    return functional_call(
        OwnGRUCell(x.shape[1], h.shape[1]),
        {**weights, "candidate_bias": b_candidate},
        (x, h),
    )


gru_step = Exercise(
    chapter,
    "gru_step",
    difficulty=3,
    minutes=12,
    doc="""x (batch, d_input), h (batch, d_hidden), w (3 * d_hidden, d_input), b (3 * d_hidden),
u (3 * d_hidden, d_hidden), b_candidate (d_hidden) -> the new h, (batch, d_hidden)
""",
    solution="""def gru_step(x, h, w, b, u, b_candidate):
    reset_x, update_x, candidate_x = (x @ w.T + b).chunk(3, dim=1)
    reset_h, update_h, candidate_h = (h @ u.T).chunk(3, dim=1)
    reset = (reset_x + reset_h).sigmoid()
    update = (update_x + update_h).sigmoid()
    candidate = (candidate_x + reset * (candidate_h + b_candidate)).tanh()
    return update * h + (1 - update) * candidate""",
    package=gru_step_of_the_package,
    zeros=["h"],
    equal="d_input d_hidden",
    mistakes="""
reset gate on the old share: update * h + => update * reset * h +
U h without the gate, too: candidate_x + reset * (candidate_h + b_candidate) => candidate_x + candidate_h + reset * (candidate_h + b_candidate)
update gate inverted: update * h + (1 - update) * candidate => (1 - update) * h + update * candidate
reset before the product: reset * (candidate_h + b_candidate) => (reset * h) @ u.chunk(3)[2].T + b_candidate
reset on the product alone: reset * (candidate_h + b_candidate) => reset * candidate_h + b_candidate
reset on the whole sum: candidate_x + reset * (candidate_h + b_candidate) => reset * (candidate_x + candidate_h + b_candidate)
reset ignored: reset * (candidate_h + b_candidate) => (candidate_h + b_candidate)
gates exchanged: reset_x, update_x, candidate_x => update_x, reset_x, candidate_x
+ reset_h, update_h, candidate_h => update_h, reset_h, candidate_h
candidate first: reset_x, update_x, candidate_x => candidate_x, reset_x, update_x
+ reset_h, update_h, candidate_h => candidate_h, reset_h, update_h
gates interleaved: .chunk(3, dim=1) => .unflatten(1, (-1, 3)).unbind(2)
pieces of three: .chunk(3, dim=1) => .split(3, dim=1)
cut along the batch: .chunk(3, dim=1) => .chunk(3)
sigmoid for the candidate: b_candidate)).tanh() => b_candidate)).sigmoid()
candidate as it is: b_candidate)).tanh() => b_candidate))
tanh for the gates: .sigmoid() => .tanh()
gates without sigmoid: .sigmoid() =>
candidate added in full: (1 - update) * candidate => candidate
old state kept in full: update * h + => h +
the candidate alone: return update * h + (1 - update) * candidate => return candidate
reset gate for the mixture: update * h + (1 - update) * candidate => reset * h + (1 - reset) * candidate
not transposed: x @ w.T => x @ w
+ h @ u.T => h @ u
b' missing: (candidate_h + b_candidate) => candidate_h
bias missing: x @ w.T + b) => x @ w.T)
old state detached: update * h => update * h.detach()
one sum for input and state: candidate_x + reset * (candidate_h + b_candidate) => reset * (candidate_x + candidate_h) + b_candidate
reset before the product, on b' too: reset * (candidate_h + b_candidate) => (reset * h) @ u.chunk(3)[2].T + reset * b_candidate
reset on the input's side: candidate_x + reset * (candidate_h + b_candidate) => reset * candidate_x + candidate_h + b_candidate
reset gate inverted: reset * (candidate_h => (1 - reset) * (candidate_h
reset before the product, b' missing: reset * (candidate_h + b_candidate) => (reset * h) @ u.chunk(3)[2].T
reset, candidate, update: reset_x, update_x, candidate_x = => reset_x, candidate_x, update_x =
+ reset_h, update_h, candidate_h = => reset_h, candidate_h, update_h =
update, candidate, reset: reset_x, update_x, candidate_x = => update_x, candidate_x, reset_x =
+ reset_h, update_h, candidate_h = => update_h, candidate_h, reset_h =
candidate, update, reset: reset_x, update_x, candidate_x = => candidate_x, update_x, reset_x =
+ reset_h, update_h, candidate_h = => candidate_h, update_h, reset_h =
gates without the state: (reset_x + reset_h) => reset_x
+ (update_x + update_h) => update_x
b' outside the reset gate, too: reset * (candidate_h + b_candidate) => reset * (candidate_h + b_candidate) + b_candidate
mixture squashed: return update * h + (1 - update) * candidate => return (update * h + (1 - update) * candidate).tanh()
b' in the gates: (reset_x + reset_h) => (reset_x + reset_h + b_candidate)
+ (update_x + update_h) => (update_x + update_h + b_candidate)
b twice: (h @ u.T).chunk => (h @ u.T + b).chunk
reset state without U: reset * (candidate_h + b_candidate) => reset * h + b_candidate
U not transposed: h @ u.T => h @ torch.cat([part.T for part in u.chunk(3)]).T
""",
)


class Step(nn.Module):
    """One step of an LSTM that is called as ``step(x, h, c)``."""

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make W, b and U."""
        super().__init__()
        self.w = nn.Parameter(torch.empty(4 * d_hidden, d_input))
        self.b = nn.Parameter(torch.empty(4 * d_hidden))
        self.u = nn.Parameter(torch.empty(4 * d_hidden, d_hidden))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        """Read one token."""
        gates = (F.linear(x, self.w, self.b) + F.linear(h, self.u)).chunk(4, dim=1)
        i, f, o = (gates[k].sigmoid() for k in (0, 1, 3))
        c = f * c + i * gates[2].tanh()
        return o * c.tanh(), c


def network_of_the_package(
    step: Step, x: Tensor, h: Tensor, c: Tensor, mask: Tensor
) -> tuple[Tensor, ...]:
    """The package's `LSTM` with the step's weights."""
    weights = named(LSTM_SUMS, step.w, step.b, step.u, "cells.0.")
    call = (x, mask, (h.unsqueeze(1), c.unsqueeze(1)))
    output, state = functional_call(LSTM(x.shape[2], h.shape[1]), weights, call)
    return output, *(part.squeeze(1) for part in state)


def _reading(
    draw: Draw, batch: int, token: int, d_input: int, d_hidden: int
) -> tuple[Any, ...]:
    x, h, c = (
        draw.normal(batch, *rest)
        for rest in ((token, d_input), (d_hidden,), (d_hidden,))
    )
    # the first sequence has padding
    mask = (draw.tokens(batch, token) != 0).roll(-1, 0)
    return filled(draw, Step(d_input, d_hidden), 0.7), x, h, c, mask


def _otherwise_padded(draw: Draw) -> list[Case]:
    step, x, h, c, mask = _reading(draw, 4, 6, 3, 5)
    return [
        Case((step, x, h, c, mask.flip(1)), (), "with padding in front"),
        Case((step, x, h, c, torch.ones_like(mask)), (), "without padding"),
        *(_sparse(draw, *one) for one in SPARSE),
    ]


# Tokens by row, · for padding.
SPARSE = (
    ("with padding in front of every row", "··xxx· ··xxxx ···xx· ··x···"),
    ("with padding between the tokens", "x·xx·x x··x·· xxx·xx xxxx··"),
    ("with a row without tokens", "xxxx·· ······ xxxxxx xx····"),
)


def _sparse(draw: Draw, note: str, rows: str) -> Case:
    step, x, h, c, _ = _reading(draw, 4, 6, 3, 5)
    mask = torch.tensor([[token == "x" for token in row] for row in rows.split()])
    return Case((step, x, h, c, mask), (), note)


lstm = Exercise(
    chapter,
    "lstm",
    difficulty=3,
    minutes=12,
    doc="""x (batch, token, d_input), h and c (batch, d_hidden), mask (batch, token)
-> the output, (batch, token, d_hidden), and the last h and c, (batch, d_hidden) each
""",
    solution="""def lstm(step, x, h, c, mask):
    outputs = []
    for token, real in zip(x.unbind(1), mask.unsqueeze(2).unbind(1)):
        new_h, new_c = step(token, h, c)
        h = torch.where(real, new_h, h)
        c = torch.where(real, new_c, c)
        outputs.append(torch.where(real, h, 0.0))
    return torch.stack(outputs, dim=1), h, c""",
    package=network_of_the_package,
    inputs=_reading,
    special=_otherwise_padded,
    results=[
        ("output", "batch token d_hidden"),
        ("h", "batch d_hidden"),
        ("c", "batch d_hidden"),
    ],
    mistakes="""
mask ignored:         h = torch.where(real, new_h, h)⏎        c = torch.where(real, new_c, c)⏎ =>         h, c = new_h, new_c⏎
+ torch.where(real, h, 0.0) => h
state runs on over the padding:         h = torch.where(real, new_h, h)⏎        c = torch.where(real, new_c, c)⏎ =>         h, c = new_h, new_c⏎
mask inverted: mask.unsqueeze(2) => (~mask).unsqueeze(2)
only the hidden state stands still:         c = torch.where(real, new_c, c)⏎ =>         c = new_c⏎
only the memory stands still:         h = torch.where(real, new_h, h)⏎ =>         h = new_h⏎
output not zero at padding: torch.where(real, h, 0.0) => h
state set to zero at padding: new_h, h) => new_h, 0.0)
+ new_c, c) => new_c, 0.0)
input set to zero at padding: step(token, h, c) => step(token * real, h, c)
+         h = torch.where(real, new_h, h)⏎        c = torch.where(real, new_c, c)⏎ =>         h, c = new_h, new_c⏎
+ torch.where(real, h, 0.0) => h
stops at the first padding:         new_h, new_c =>         if not real.all():⏎            break⏎        new_h, new_c
one mask for all: mask.unsqueeze(2) => mask[:1].unsqueeze(2)
last column for the last state: dim=1), h, c => dim=1), outputs[-1], c
state not carried:     outputs = [] =>     outputs = []; first = h, c
+ step(token, h, c) => step(token, *first)
memory not carried:     outputs = [] =>     outputs = []; first = c
+ step(token, h, c) => step(token, h, first)
cell and hidden state swapped: step(token, h, c) => step(token, c, h)
results of the step swapped: new_h, new_c = step => new_c, new_h = step
output of the memory: torch.where(real, h, 0.0) => torch.where(real, c, 0.0)
output from the first state:         outputs.append(torch.where(real, h, 0.0))⏎ =>
+         new_h, new_c =>         outputs.append(torch.where(real, h, 0.0))⏎        new_h, new_c
tokens by sequences: dim=1 => dim=0
read backward: zip(x.unbind(1), mask.unsqueeze(2).unbind(1)) => list(zip(x.unbind(1), mask.unsqueeze(2).unbind(1)))[::-1]
h and c exchanged at the end: dim=1), h, c => dim=1), c, h
one result: dim=1), h, c => dim=1)
starts from zeros:     outputs = [] =>     outputs = []; h, c = torch.zeros_like(h), torch.zeros_like(c)
h starts from zeros:     outputs = [] =>     outputs = []; h = torch.zeros_like(h)
c starts from zeros:     outputs = [] =>     outputs = []; c = torch.zeros_like(c)
as torch returns it: dim=1), h, c => dim=1), (h, c)
as many tokens as the longest row has: zip(x.unbind(1), mask => zip(x[:, : int(mask.sum(1).max())].unbind(1), mask
+ torch.stack(outputs, dim=1) => F.pad(torch.stack(outputs, dim=1), (0, 0, 0, x.shape[1] - len(outputs)))
stops where all is padding:         new_h, new_c =>         if not real.any():⏎            break⏎        new_h, new_c
+ torch.stack(outputs, dim=1) => F.pad(torch.stack([h.new_zeros(h.shape), *outputs], dim=1)[:, 1:], (0, 0, 0, x.shape[1] - len(outputs)))
read from the first token on: mask.unsqueeze(2) => mask.cummax(1).values.unsqueeze(2)
rows without tokens emptied: dim=1), h, c => dim=1), h * mask.any(1, keepdim=True), c * mask.any(1, keepdim=True)
""",
)


lstm_inside = Inside(
    chapter,
    "lstm_inside",
    difficulty=3,
    minutes=12,
    alone=lstm_step,
    part="lstm_step",
    call=lambda network, x, mask: network(x, mask)[0],
    models=lambda draw: networks(draw, LSTM),
    axes="batch token d_output",
)
