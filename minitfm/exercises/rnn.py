"""Exercises of chapter 1: the recurrent cell, its loop and its gradient, perplexity,
and sampling.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minitfm.exercises.engine.answer import Answer, Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.observe import Outcome
from minitfm.exercises.engine.plug import plugged
from minitfm.exercises.engine.several import Several
from minitfm.exercises.engine.show import Result
from minitfm.exercises.stack import filled
from minitfm.rnn import RNN, RNNCell

V, D, H = 30, 16, 64


def numbers_of_the_character_model() -> int:
    """Count them in the package's own parts."""
    parts = (nn.Embedding(V, D), RNN(D, H), nn.Linear(H, V))
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


RIGHT = V * D + H * D + H + H * H + V * H + V

rnn_parameters = Answer(
    name="rnn_parameters",
    statement="A model reads names character by character. Its vocabulary has 30 symbols; an embedding turns each "
    "into 16 numbers; a recurrent layer h' = tanh(W x + b + U h) keeps a state of 64; a linear layer with"
    " a bias turns the state into 30 logits. How many trained numbers has it, if names have at most 20 "
    "characters?",
    stub="answer = ...\n",
    source="""vocabulary, d_input, d_hidden = 30, 16, 64
embedding = vocabulary * d_input
w, b, u = d_hidden * d_input, d_hidden, d_hidden * d_hidden
output = vocabulary * d_hidden + vocabulary
answer = embedding + w + b + u + output  # whatever the length of the names""",
    reference=numbers_of_the_character_model,
    hints=(
        "Three parts: embedding, recurrent layer, linear layer. Write the shape of every matrix down first.",
        "W turns 16 numbers into 64, so it is 64 × 16; U turns a state of 64 into one of 64; b has 64 numbers.",
        (
            "30 · 16 + (64 · 16 + 64 + 64 · 64) + (30 · 64 + 30). The length does not matter: every step uses the"
            " same W, b and U."
        ),
    ),
    mistakes=(
        mistake(
            "weights of every step",
            """You count W, b and U once for each of the 20 steps. Every step uses the same ones: that is why the
            network can read a name of any length.""",
            wrong=RIGHT + 19 * (H * D + H + H * H),
        ),
        mistake(
            "U missing",
            """U is missing, the 64 × 64 matrix that brings the old state in. Without it, there is no memory.""",
            wrong=RIGHT - H * H,
        ),
        mistake(
            "W missing",
            """W is missing, the 64 × 16 matrix that brings the new character in.""",
            wrong=RIGHT - H * D,
        ),
        mistake(
            "a second bias, or the state",
            """You are 64 too many: either a second bias, as `torch.nn.RNN` has it (here there is one, as in the
            equation), or the state, which is computed and not trained.""",
            wrong=RIGHT + H,
        ),
        mistake(
            "recurrent bias missing",
            """The bias b of the recurrent layer is missing: 64 numbers.""",
            wrong=RIGHT - H,
        ),
        mistake(
            "output bias missing",
            """The linear layer's bias is missing: one number for each of the 30 logits.""",
            wrong=RIGHT - V,
        ),
        mistake(
            "both biases missing",
            """You count matrices alone. The recurrent layer has a bias of 64 numbers, and the linear layer one of
            30.""",
            wrong=RIGHT - V - H,
        ),
        mistake(
            "embedding missing",
            """The embedding is missing: 16 trained numbers for each of the 30 symbols.""",
            wrong=RIGHT - V * D,
        ),
        mistake(
            "output layer missing",
            """The linear layer is missing: it makes logits over 30 symbols of the state's 64 numbers.""",
            wrong=RIGHT - V * H - V,
        ),
        mistake(
            "one-hot input",
            """You let W read one-hot vectors of 30 numbers. Here an embedding stands in between: it has 30 · 16
            numbers, and W reads 16.""",
            wrong=V * H + H + H * H + V * H + V,
        ),
        mistake(
            "U as wide as W",
            """Your U is 64 × 16, like W. It works on the state, which has 64 numbers, and not on the input: 64 ×
            64.""",
            wrong=RIGHT - H * H + H * D,
        ),
    ),
    difficulty=1,
    minutes=5,
)


def weights_of(
    draw: Draw, sums: int, d_input: int, d_hidden: int, **options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """W, b and U for so many weighted sums."""
    rows = sums * d_hidden
    return (
        draw.normal(rows, d_input, **options),
        draw.normal(rows, **options),
        draw.normal(rows, d_hidden, **options),
    )


def _steps(draw: Draw) -> list[Case]:
    def case(note: str, grad: bool = False, **options: Any) -> Case:
        sizes = draw.sizes("batch d_input d_hidden")
        batch, d_input, d_hidden = sizes.values()
        x, h = (
            draw.normal(batch, d_input, **options),
            draw.normal(batch, d_hidden, **options),
        )
        return Case(
            (x, h, *weights_of(draw, 1, d_input, d_hidden, **options)),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with plain numbers"),
        case("with small numbers", spread=0.1),
        case("with large sums", spread=3.0),
        case("in float32", dtype=torch.float32),
        case("gradients", grad=True, spread=0.5),
    ]


def step_of_the_package(
    x: Tensor, h: Tensor, w: Tensor, b: Tensor, u: Tensor
) -> Tensor:
    """The package's `RNNCell` with these weights."""
    (h,) = RNNCell(x.shape[1], h.shape[1]).step(F.linear(x, w, b), F.linear(h, u), (h,))
    return h


STEP = """def rnn_step(x, h, w, b, u):
    return torch.tanh(x @ w.T + b + h @ u.T)"""

rnn_step = Exercise(
    name="rnn_step",
    statement="Write `rnn_step(x, h, w, b, u)`: one step of the recurrent cell, h' = tanh(W x + b + U h), for a "
    "whole batch. Every row of `x` is one sequence's new input and every row of `h` its state so far; `w`"
    " is (d_hidden, d_input) and `u` (d_hidden, d_hidden), stored as `nn.Linear` stores them.",
    stub='''def rnn_step(x, h, w, b, u):
    """x (batch, d_input), h (batch, d_hidden), w (d_hidden, d_input), b (d_hidden) -> (batch, d_hidden)"""
    raise NotImplementedError
''',
    reference=step_of_the_package,
    source=STEP,
    cases=_steps,
    axes=("batch", "d_hidden"),
    words="number {d_hidden} of the new state is {got}, expected {want}",
    hints=(
        "Two matrix products and a bias are added up; one function squashes the sum.",
        (
            "The equation has columns, W x; a batch has rows. In rows it is `x @ w.T`, and `F.linear(x, w, b)` "
            "does that with the bias."
        ),
        "`torch.tanh(F.linear(x, w, b) + F.linear(h, u))`.",
    ),
    mistakes=(
        mistake(
            "tanh missing",
            """The tanh is missing: your state is the plain sum W x + b + U h. A linear state grows or dies step by
            step, and many steps in a row are one linear map; tanh keeps every number between −1 and 1.""",
            ("torch.tanh(x @ w.T + b + h @ u.T)", "x @ w.T + b + h @ u.T"),
        ),
        mistake(
            "U transposed",
            """You multiply by U the wrong way round. Each new number has its own **row** of U: for states in rows
            that is `h @ u.T`, or `F.linear(h, u)`. U is square, so `h @ u` runs without an error and means
            another network.""",
            ("h @ u.T", "h @ u"),
        ),
        mistake(
            "W not transposed",
            """`x @ w` does not fit: x is (batch, d_input) and w (d_hidden, d_input). For inputs in rows, W x is `x
            @ w.T`, or `F.linear(x, w)`.""",
            ("x @ w.T", "x @ w"),
            raises=True,
        ),
        mistake(
            "state ignored",
            """The old state does not come in: without U h every step sees its own input alone, and nothing is
            remembered.""",
            (" + h @ u.T", ""),
        ),
        mistake(
            "input ignored",
            """The input does not come in: without W x the network reads nothing.""",
            ("x @ w.T + b", "b"),
        ),
        mistake(
            "bias missing",
            """The bias is missing: the sum is W x **+ b** + U h.""",
            (" + b", ""),
        ),
        mistake(
            "bias twice",
            """You add b twice, once with each product. `torch.nn.RNN` does have two biases, but two different ones;
            their sum can do nothing that one cannot, so the equation has one.""",
            (" + b + h @ u.T", " + b + h @ u.T + b"),
        ),
        mistake(
            "bias after tanh",
            """You add b after the tanh. It belongs inside: tanh(W x + b + U h) stays between −1 and 1.""",
            ("torch.tanh(x @ w.T + b + h @ u.T)", "torch.tanh(x @ w.T + h @ u.T) + b"),
        ),
        mistake(
            "tanh of the input alone",
            """Your tanh squashes the input's side alone, and U h is added outside: the state can grow without
            bound. tanh takes the whole sum.""",
            ("torch.tanh(x @ w.T + b + h @ u.T)", "torch.tanh(x @ w.T + b) + h @ u.T"),
        ),
        mistake(
            "two tanh",
            """You squash both sides by themselves and add the results, which lie between −2 and 2. There is one
            tanh, around the whole sum.""",
            (
                "torch.tanh(x @ w.T + b + h @ u.T)",
                "torch.tanh(x @ w.T + b) + torch.tanh(h @ u.T)",
            ),
        ),
        mistake(
            "sigmoid",
            """You squash with a sigmoid, between 0 and 1. That is a gate's function (chapter 2); the plain cell has
            tanh, between −1 and 1.""",
            ("torch.tanh", "torch.sigmoid"),
        ),
        mistake(
            "ReLU",
            """You cut with the ReLU, which leaves the state unbounded. The cell of this chapter has tanh.""",
            ("torch.tanh", "torch.relu"),
        ),
        mistake(
            "old state added",
            """You add the old state to the result. In the plain cell h comes in through U alone; to keep something
            unchanged is what chapter 2's gates are for.""",
            ("return torch", "return h + torch"),
        ),
        mistake(
            "sides multiplied",
            """You multiply the two sides. They are added: W x + b **+** U h.""",
            ("x @ w.T + b + h @ u.T", "(x @ w.T + b) * (h @ u.T)"),
        ),
        mistake(
            "state detached",
            """The values are right, but your step detaches the old state: no gradient gets back through time, and
            nothing that was read earlier can be learned from. Leave out `.detach()`, `.data` or
            `torch.no_grad()`.""",
            ("h @ u.T", "h.detach() @ u.T"),
        ),
    ),
    difficulty=1,
    minutes=6,
)


def _sequences(draw: Draw) -> list[Case]:
    def case(
        note: str,
        state: bool = False,
        grad: bool = False,
        token: int = 0,
        **options: Any,
    ) -> Case:
        sizes = draw.sizes("batch token d_input d_hidden")
        sizes["token"] = token or sizes["token"] + 1
        batch, token, d_input, d_hidden = sizes.values()
        x, weights = (
            draw.normal(batch, token, d_input, **options),
            weights_of(draw, 1, d_input, d_hidden, **options),
        )
        first = (draw.normal(batch, d_hidden, **options),) if state else ()
        return Case((x, *weights, *first), (), note, sizes, grad)

    return [
        case("from zeros"),
        case("with a given first state", state=True),
        case("with one token", state=True, token=1),
        case("in float32", dtype=torch.float32),
        case("gradients", state=True, grad=True, spread=0.5),
    ]


def network_of_the_package(
    x: Tensor, w: Tensor, b: Tensor, u: Tensor, h: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The package's `RNN` with these weights."""
    cell = "cells.0.hidden."
    weights = {
        f"{cell}from_input.weight": w,
        f"{cell}from_input.bias": b,
        f"{cell}from_state.weight": u,
    }
    states = None if h is None else h.unsqueeze(1)
    output, states = functional_call(
        RNN(x.shape[2], len(b)), weights, (x, None, states)
    )
    return output, states.squeeze(1)


LOOP = """def rnn(x, w, b, u, h=None):
    h = x.new_zeros(len(x), len(b)) if h is None else h
    outputs = []
    for token in x.unbind(1):
        h = torch.tanh(token @ w.T + b + h @ u.T)
        outputs.append(h)
    return torch.stack(outputs, dim=1), h"""


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


rnn = Several(
    name="rnn",
    statement="Write `rnn(x, w, b, u, h=None)`: run the step h' = tanh(W x + b + U h) along whole sequences, `x` of"
    " (batch, token, d_input). Begin with the state `h`, zeros where none is given. Return the output, "
    "the state after every token, and the last state.",
    stub='''def rnn(x, w, b, u, h=None):
    """x (batch, token, d_input), h (batch, d_hidden) or None -> (batch, token, d_hidden), (batch, d_hidden)"""
    raise NotImplementedError
''',
    reference=network_of_the_package,
    source=LOOP,
    cases=_sequences,
    results=(("output", ("batch", "token", "d_hidden")), ("h", ("batch", "d_hidden"))),
    hints=(
        "One loop, over the tokens. What must each round hand to the next, and what must be kept for the end?",
        (
            "`x.unbind(1)` gives the tokens one by one, each (batch, d_input); all sequences of the batch step together."
        ),
        (
            "Inside: `h = torch.tanh(token @ w.T + b + h @ u.T)`, then `outputs.append(h)`. At the end "
            "`torch.stack(outputs, dim=1), h`."
        ),
    ),
    mistakes=(
        mistake(
            "state not carried",
            """Your loop does not hand the state on: every step begins with the first state again, so no token knows
            of the ones before it. The new state must become the next round's `h`.""",
            ("        h = torch.tanh", "        new = torch.tanh"),
            ("append(h)", "append(new)"),
            ("dim=1), h", "dim=1), new"),
        ),
        mistake(
            "tanh missing",
            """The tanh is missing: your state is the plain sum W x + b + U h, which grows or dies step by step. h'
            = **tanh**(W x + b + U h).""",
            ("torch.tanh(token @ w.T + b + h @ u.T)", "token @ w.T + b + h @ u.T"),
        ),
        mistake(
            "U transposed",
            """You multiply by U the wrong way round. For states in rows, U h is `h @ u.T`; U is square, so `h @ u`
            runs without an error and means another network.""",
            ("h @ u.T", "h @ u"),
        ),
        mistake(
            "bias missing",
            """The bias is missing: h' = tanh(W x **+ b** + U h).""",
            (" + b ", " "),
        ),
        mistake(
            "output from the first state",
            """Your output begins with the first state, so each token gets the state **before** it was read, and the
            last state is in no row. Append after the step.""",
            (
                "        h = torch.tanh(token @ w.T + b + h @ u.T)\n        outputs.append(h)\n",
                "        outputs.append(h)\n        h = torch.tanh(token @ w.T + b + h @ u.T)\n",
            ),
        ),
        mistake(
            "first state among the outputs",
            """Your output has one row too many: it begins with the state before any token. One row for each token,
            the state **after** it.""",
            ("outputs = []", "outputs = [h]"),
        ),
        mistake(
            "first state ignored",
            """You always begin with zeros. Where `h` is given, the sequence goes on from there.""",
            (" if h is None else h", ""),
        ),
        mistake(
            "batch and time swapped",
            """Your loop runs over the batch: it steps from sequence to sequence instead of from token to token. `x`
            is (batch, token, d_input), so the tokens are `x.unbind(1)`, or `x[:, t]`.""",
            ("x.new_zeros(len(x), len(b))", "x.new_zeros(x.shape[1], len(b))"),
            ("x.unbind(1)", "x.unbind(0)"),
            ("dim=1", "dim=0"),
            raises=True,
        ),
        mistake(
            "tokens by sequences",
            """Your output is (token, batch, d_hidden). The batch comes first here: `torch.stack(outputs, dim=1)`.""",
            ("dim=1", "dim=0"),
        ),
        mistake(
            "state shared between sequences",
            """Your sequences share one state: the second begins where the first has ended, so a row's result
            depends on its neighbors in the batch. Every sequence has a row of `h` of its own, and begins with
            it.""",
            wrong=_one_state_for_all,
        ),
        mistake(
            "read backward",
            """You read from the last token to the first. This network reads forward (the other direction belongs to
            a bidirectional one).""",
            ("in x.unbind(1)", "in reversed(x.unbind(1))"),
        ),
        mistake(
            "one token again and again",
            """Every round of yours reads the first token. It must be this round's: `for token in x.unbind(1)`.""",
            ("token @ w.T", "x[:, 0] @ w.T"),
        ),
        mistake(
            "last token left out",
            """Your loop stops one token early.""",
            ("x.unbind(1)", "x[:, :-1].unbind(1)"),
            raises=True,
        ),
        mistake(
            "the first output for the last state",
            """The second result is the state after the **first** token. It should be the last one, with which a
            next piece of the sequence could go on.""",
            ("dim=1), h", "dim=1), outputs[0]"),
        ),
        mistake(
            "the first state for the last one",
            """The second result is the state with which the sequences began. It should be the one in which they
            ended, with which a next piece could go on.""",
            ("outputs = []", "outputs = []; first = h"),
            ("dim=1), h", "dim=1), first"),
        ),
        mistake(
            "one result",
            """Your function returns one tensor. Output and last state are asked for: `return output, h`.""",
            ("dim=1), h", "dim=1)"),
            raises=True,
        ),
        mistake(
            "results exchanged",
            """You return the last state first. The order is: output, then the last state.""",
            (
                "return torch.stack(outputs, dim=1), h",
                "return h, torch.stack(outputs, dim=1)",
            ),
        ),
        mistake(
            "gradient cut in time",
            """The values are right, but you detach the state in the loop: each step can learn from its own token
            alone. Leave out `.detach()`, `.data` or `torch.no_grad()`.""",
            ("outputs.append(h)", "outputs.append(h); h = h.detach()"),
        ),
    ),
    difficulty=2,
    minutes=12,
)


def _states(draw: Draw) -> list[Case]:
    def case(
        note: str, spread: float, grad: bool = False, dtype: torch.dtype = torch.float64
    ) -> Case:
        sizes = draw.sizes("batch d_hidden")
        batch, d_hidden = sizes.values()
        h = (draw.normal(batch, d_hidden) * spread).tanh().to(dtype)
        return Case(
            (h, draw.normal(d_hidden, d_hidden, dtype=dtype)), (), note, sizes, grad
        )

    return [
        case("with plain states", 0.7),
        case("with states close to 0", 0.05),
        case("with states close to ±1", 1.5),
        case("in float32", 0.7, dtype=torch.float32),
        case("gradients", 0.5, grad=True),
    ]


def jacobian_of_the_package(h: Tensor, u: Tensor) -> Tensor:
    """Differentiate the package's step at sums whose tanh is ``h``."""
    before = torch.zeros_like(h, requires_grad=True)
    (after,) = RNNCell(1, h.shape[1]).step(h.atanh(), F.linear(before, u), (before,))
    rows = [
        torch.autograd.grad(number.sum(), before, create_graph=True)[0]
        for number in after.unbind(1)
    ]
    return torch.stack(rows, dim=1)


step_jacobian = Exercise(
    name="step_jacobian",
    statement="Write `step_jacobian(h, u)`: how the new state h' = tanh(W x + b + U h) depends on the old one. You "
    "get the **new** states `h`, one a row, and `u`; entry (i, j) of a row's matrix is the derivative of "
    "the new state's number i by the old state's number j. On its way back through n steps a gradient is "
    "multiplied by n such matrices.",
    stub='''def step_jacobian(h, u):
    """h (batch, d_hidden), the new states, u (d_hidden, d_hidden) -> (batch, d_hidden, d_hidden)"""
    raise NotImplementedError
''',
    reference=jacobian_of_the_package,
    source="""def step_jacobian(h, u):
    slope = 1 - h**2
    return slope.unsqueeze(2) * u""",
    cases=_states,
    axes=("batch", "new", "old"),
    words="the derivative of new number {new} by old number {old} is {got}, expected {want}",
    hints=(
        "The chain rule: the derivative of tanh at the sum, times the derivative of the sum by the old state.",
        (
            "With y = tanh(s), the derivative of tanh at s is 1 − y²: the new state is all that you need. The "
            "derivative of the sum's number i by the old state's number j is U[i, j]."
        ),
        "diag(1 − h²) U: the slope of new number i scales **row** i of U. `(1 - h**2).unsqueeze(2) * u`.",
    ),
    mistakes=(
        mistake(
            "no slope",
            """The derivative of tanh is missing: you return U for every sequence. It is at most 1, and near 0 where
            the state is close to ±1; that is half of why gradients vanish.""",
            ("slope.unsqueeze(2) * u", "torch.ones_like(slope).unsqueeze(2) * u"),
        ),
        mistake(
            "columns scaled",
            """Your slopes scale the columns of U. tanh acts on the **new** state's numbers, so the slope of number
            i scales row i: diag(1 − h²) U, and not U diag(1 − h²).""",
            ("unsqueeze(2)", "unsqueeze(1)"),
        ),
        mistake(
            "U transposed",
            """Your U is transposed: entry (i, j) is what old number j does to new number i, and that is U[i, j].""",
            ("* u", "* u.T"),
        ),
        mistake(
            "transposed",
            """Your matrices are transposed: here row i belongs to the **new** state's number i, column j to the old
            state's number j.""",
            ("slope.unsqueeze(2) * u", "(slope.unsqueeze(2) * u).mT"),
        ),
        mistake(
            "tanh applied again",
            """You take h for the sum inside tanh and squash it once more. `h` is the new state, tanh of the sum:
            the slope there is 1 − h² as it stands.""",
            ("h**2", "torch.tanh(h) ** 2"),
        ),
        mistake(
            "1 − h",
            """Your slope is 1 − h. With y = tanh(s), the derivative is 1 − y².""",
            ("h**2", "h"),
        ),
        mistake(
            "a sigmoid's slope",
            """Your slope is h (1 − h): that is the derivative of a sigmoid. With y = tanh(s) it is 1 − y².""",
            ("1 - h**2", "h * (1 - h)"),
        ),
        mistake(
            "slope is h²",
            """Your slope is h², which is largest where tanh is flat. With y = tanh(s) it is 1 − y²: 1 in the
            middle, 0 far out.""",
            ("1 - h**2", "h**2"),
        ),
        mistake(
            "slope is the state",
            """You scale U by the state itself. What counts is the slope of tanh there, 1 − h².""",
            ("1 - h**2", "h"),
        ),
        mistake(
            "matrix product",
            """You return U times the slopes, one vector a sequence. Nothing is summed yet: row i of U is scaled by
            slope i, and the result is a matrix, (batch, d_hidden, d_hidden).""",
            ("slope.unsqueeze(2) * u", "slope @ u.T"),
        ),
        mistake(
            "summed over the batch",
            """You add up the matrices of the batch. Every sequence has a state, and so a matrix, of its own.""",
            ("slope.unsqueeze(2) * u", "(slope.unsqueeze(2) * u).sum(0)"),
        ),
    ),
    difficulty=3,
    minutes=12,
)


def _logits(draw: Draw) -> list[Case]:
    def case(
        note: str, pad: int | None = None, grad: bool = False, **options: Any
    ) -> Case:
        sizes = draw.sizes("batch token vocabulary")
        sizes["vocabulary"] += 4
        batch, token, vocabulary = sizes.values()
        logits = draw.normal(batch, token, vocabulary, **options)
        target = draw.tokens(batch, token, vocabulary, pad or 0)
        return Case(
            (logits, target) if pad is None else (logits, target, pad),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with the default pad"),
        case("with pad = 0", 0),
        case("with pad = 3", 3),
        case("with large logits", spread=3.0),
        case("in float32", dtype=torch.float32),
        case("gradients", grad=True),
    ]


def perplexity_of_torch(logits: Tensor, target: Tensor, pad: int = 0) -> Tensor:
    """Compute it by ``torch.nn.CrossEntropyLoss``."""
    return nn.CrossEntropyLoss(ignore_index=pad)(logits.transpose(1, 2), target).exp()


perplexity = Exercise(
    name="perplexity",
    statement="Write `perplexity(logits, target, pad=0)`: exp of the mean cross-entropy, in nats, of the true next "
    "characters. `target[i, t]` is the character that `logits[i, t]` should predict: they are aligned "
    "already. The mean runs over all real characters of the batch together; padding does not count.",
    stub='''def perplexity(logits, target, pad=0):
    """logits (batch, token, vocabulary), target (batch, token), padded with `pad` -> one number"""
    raise NotImplementedError
''',
    reference=perplexity_of_torch,
    source="""def perplexity(logits, target, pad=0):
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)
    return loss.exp()""",
    cases=_logits,
    words="the perplexity is {got}, expected {want}",
    hints=(
        (
            "Three steps: how surprised was the model by each true character, the mean over the real ones, and "
            "back from logarithms to a number of choices."
        ),
        (
            "`F.cross_entropy` takes (rows, vocabulary) and (rows): flatten batch and token into rows. "
            "`ignore_index` leaves the padding out of sum and mean."
        ),
        "`F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad).exp()`.",
    ),
    mistakes=(
        mistake(
            "loss over padding",
            """You count the padding: a model that predicts padding after the end looks less surprised than it is.
            `ignore_index=pad` leaves it out of sum and mean.""",
            (", ignore_index=pad", ""),
            ("pad=0", "pad=-100"),
        ),
        mistake(
            "mean over the padding",
            """You leave the padding out of the sum, and still divide by all positions. Divide by the number of real
            characters, as `ignore_index=pad` does.""",
            (
                "ignore_index=pad)",
                "ignore_index=pad, reduction='sum') / target.numel()",
            ),
        ),
        mistake(
            "exp missing",
            """That is the cross-entropy itself, in nats. Perplexity is its exponential: among how many equally
            likely characters the model would be as unsure.""",
            ("loss.exp()", "loss"),
        ),
        mistake(
            "sign",
            """Your exponent has the wrong sign: that is the inverse of the perplexity, a (geometric) mean
            probability below 1.""",
            ("loss.exp()", "(-loss).exp()"),
        ),
        mistake(
            "2 to the power of nats",
            """You raise 2 to a loss in nats. Base and logarithm belong together: e and the natural logarithm, or 2
            and bits.""",
            ("loss.exp()", "2**loss"),
        ),
        mistake(
            "mean of exponentials",
            """You take the exponential of every character's loss and average then. The mean comes first: one
            character with probability 1/1,000 must not outweigh a hundred good ones.""",
            (
                "ignore_index=pad)",
                "ignore_index=pad, reduction='none').exp()[target.flatten() != pad].mean()",
            ),
            ("loss.exp()", "loss"),
        ),
        mistake(
            "summed",
            """You take the exponential of the summed loss, which grows with the text. Perplexity is of the mean,
            per character.""",
            ("ignore_index=pad", "ignore_index=pad, reduction='sum'"),
        ),
        mistake(
            "mean of the names' means",
            """You average within each name first and then over names: a character of a short name weighs more. Here
            each character counts the same.""",
            (
                "F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)",
                "torch.stack([F.cross_entropy(a, t, ignore_index=pad) for a, t in zip(logits, target)]).mean()",
            ),
        ),
        mistake(
            "mean of the names' perplexities",
            """You compute a perplexity for each name and average those. One mean over all real characters comes
            first, then one exponential.""",
            (
                "F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)",
                "torch.stack([F.cross_entropy(a, t, ignore_index=pad).exp() for a, t in zip(logits, target)]).mean()",
            ),
            ("loss.exp()", "loss"),
        ),
        mistake(
            "pad ignored",
            """You leave out the character 0 always. The id of the padding is the argument `pad`, which is 0 only by
            default.""",
            ("ignore_index=pad", "ignore_index=0"),
        ),
        mistake(
            "softmax twice",
            """You take the softmax first. `F.cross_entropy` takes logits and does that itself; of probabilities it
            makes an almost flat distribution.""",
            ("logits.flatten(0, 1)", "logits.softmax(-1).flatten(0, 1)"),
        ),
        mistake(
            "shifted",
            """You shift the targets by one. They are aligned already: `logits[i, t]` predicts `target[i, t]`. Cut
            off the first character once, where the batch is made, and not again in the loss.""",
            ("logits.flatten", "logits[:, :-1].flatten"),
            ("target.flatten", "target[:, 1:].flatten"),
        ),
        mistake(
            "flattened in another order",
            """You flatten logits and targets in different orders, so the rows do not belong together: one runs name
            by name, the other step by step.""",
            ("target.flatten()", "target.T.flatten()"),
        ),
        mistake(
            "probabilities averaged",
            """You average the true characters' probabilities and invert. The mean is taken of the **logarithms**: 1
            / p of the geometric mean.""",
            (
                "F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad)",
                "-logits.softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)[target != pad].mean().log()",
            ),
        ),
    ),
    difficulty=2,
    minutes=8,
)


def _draws(draw: Draw) -> list[Case]:
    def case(note: str, temperature: float, rows: int = 40, **options: Any) -> Case:
        vocabulary = draw.random.randrange(5, 9)
        u = torch.rand(rows, generator=draw.generator, dtype=torch.float64)
        logits = draw.normal(rows, vocabulary, **options)
        return Case(
            (logits, temperature, u.to(logits.dtype)),
            (),
            note,
            {"batch": rows, "vocabulary": vocabulary},
        )

    return [
        case("at temperature 1", 1.0),
        case("at temperature 0.5", 0.5),
        case("at temperature 2", 2.0),
        case("at temperature 1, with large logits", 1.0, spread=5.0),
        case("at temperature 0.05", 0.05),
        case("in float32", 0.8, dtype=torch.float32),
    ]


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


sample = Exercise(
    name="sample",
    statement="Write `sample(logits, temperature, u)`: draw the next character of every row with the probabilities "
    "softmax(logits / temperature). The chance is given: `u` holds one number from 0 to 1 a row. Lay the "
    "characters' probabilities side by side from 0 to 1, the first character's first; the one in whose "
    "stretch `u` falls is drawn.",
    stub='''def sample(logits, temperature, u):
    """logits (batch, vocabulary), temperature a number, u (batch), each from 0 to 1 -> (batch), whole numbers"""
    raise NotImplementedError
''',
    reference=sample_in_python,
    source="""def sample(logits, temperature, u):
    p = (logits / temperature).softmax(-1)
    ends = p.cumsum(-1)
    return (ends < u.unsqueeze(1)).sum(-1)""",
    cases=_draws,
    axes=("batch",),
    words="the drawn character is {got}, expected {want}",
    hints=(
        "Where do the stretches end? The first at p₀, the second at p₀ + p₁, and so on: a running sum.",
        "`p.cumsum(-1)` gives the ends of all stretches. Which of them lie below `u`, and how many?",
        (
            "As many stretches end before `u` as there are characters before the drawn one: `(ends < "
            "u.unsqueeze(1)).sum(-1)`."
        ),
    ),
    mistakes=(
        mistake(
            "multiplied by the temperature",
            """You multiply the logits by the temperature. A high temperature must make the draw more random, so it
            divides: softmax(logits **/** temperature).""",
            ("logits / temperature", "logits * temperature"),
        ),
        mistake(
            "temperature ignored",
            """Your function ignores the temperature: divide the logits by it before the softmax.""",
            ("(logits / temperature)", "logits"),
        ),
        mistake(
            "temperature after the softmax",
            """You divide the probabilities by the temperature, so they do not sum to 1 any more. It belongs to the
            logits, before the softmax.""",
            ("(logits / temperature).softmax(-1)", "logits.softmax(-1) / temperature"),
        ),
        mistake(
            "likeliest character",
            """You take the likeliest character, whatever `u` says: that is greedy, and gives the same name every
            time.""",
            ("(ends < u.unsqueeze(1)).sum(-1)", "p.argmax(-1)"),
        ),
        mistake(
            "no softmax",
            """The softmax is missing: you add up logits, which are no probabilities and may be negative.""",
            (".softmax(-1)", ""),
        ),
        mistake(
            "no running sum",
            """You compare `u` with each probability by itself. The stretches lie side by side: compare it with
            their ends, the running sum `p.cumsum(-1)`.""",
            (".cumsum(-1)", ""),
        ),
        mistake(
            "softmax over the batch",
            """Your softmax runs over the batch: the rows compete with each other. Every row draws from its own
            characters, along the last axis.""",
            (".softmax(-1)", ".softmax(0)"),
        ),
        mistake(
            "running sum over the batch",
            """Your running sum goes down the batch. It must go along the characters, the last axis.""",
            ("cumsum(-1)", "cumsum(0)"),
        ),
        mistake(
            "counted from 1",
            """Your characters are one too large. As many as end before `u` come before the drawn one, so their
            number is its id: ids begin at 0.""",
            ("sum(-1)", "sum(-1) + 1"),
            ("p.cumsum(-1) + 1", "p.cumsum(-1)"),
        ),
        mistake(
            "one too small",
            """Your characters are one too small: you count the stretches that **begin** before `u`, or subtract 1
            from an id.""",
            ("(ends < u.unsqueeze(1)).sum(-1)", "(ends < u.unsqueeze(1)).sum(-1) - 1"),
        ),
        mistake(
            "counted from the end",
            """You count the stretches that end after `u`. Those that end **before** it come before the drawn
            character.""",
            ("ends < u", "ends > u"),
        ),
        mistake(
            "one u for all",
            """You use the first row's `u` for all rows. Each row has its own.""",
            ("u.unsqueeze(1)", "u[0]"),
        ),
        mistake(
            "own random numbers",
            """You draw your own random numbers. Here chance is given, as `u`, so that the result can be checked;
            with `torch.multinomial` the same is one line.""",
            ("(ends < u.unsqueeze(1)).sum(-1)", "torch.multinomial(p, 1).squeeze(1)"),
        ),
        mistake(
            "a column",
            """Your result is (batch, 1). One whole number a row is asked for, (batch).""",
            ("sum(-1)", "sum(-1, keepdim=True)"),
            ("p.cumsum(-1, keepdim=True)", "p.cumsum(-1)"),
        ),
    ),
    difficulty=3,
    minutes=10,
)


@dataclass(repr=False, kw_only=True)
class StepInside(Exercise):
    """An exercise that grades the learner's step alone, and then a whole network with
    it plugged in.

    Attributes:
        alone: the exercise of the step, which has the name that `plugged` knows.
    """

    alone: Exercise

    def observe(
        self, candidate: Any, case: Case, seconds: float = 60.0, seed: int = 0
    ) -> Outcome:
        """Run the network of the case with the candidate inside, or as it is if there
        is none.
        """
        parts = {} if candidate is None else {self.alone.name: candidate}

        def run(network: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
            with plugged(**parts):
                output, _ = network(x, mask)
            return output

        return super().observe(run, case, seconds, seed)

    def truth(self) -> list[tuple[Case, Outcome]]:
        """The cases with what the network itself gives."""
        if not self._truth:
            self._truth = [
                (case, self.observe(None, case)) for case in self.cases(Draw())
            ]
        return self._truth

    def _unusable(self, answer: Any) -> str:
        return ""  # it has passed alone

    def _grade(self, answer: Any) -> Result:
        alone = self.alone.grade(answer)
        return (
            super()._grade(answer)
            if alone
            else Result(self.name, False, alone.message, alone.kind, alone.mistakes)
        )


def networks(draw: Draw, kind: type[nn.Module]) -> list[Case]:
    """Networks of the package with inputs that are padded: deep ones, both directions,
    with kernels and without.
    """

    def case(
        note: str, grad: bool = False, spread: float = 0.5, **options: Any
    ) -> Case:
        sizes = draw.sizes("batch token d_input d_hidden")
        batch, token, d_input, d_hidden = sizes.values()
        sizes["d_output"] = d_hidden * (1 + options.get("bidirectional", False))
        network = filled(draw, kind(d_input, d_hidden, **options), spread)
        mask = draw.tokens(batch, token) != 0
        return Case(
            (network, draw.normal(batch, token, d_input), mask), (), note, sizes, grad
        )

    return [
        case("in one layer"),
        case("in two layers, both directions", layers=2, bidirectional=True),
        case("in a network made with fast=True", layers=2, fast=True),
        case("with large weights", spread=2.0),
        case("gradients of the network", layers=2, grad=True),
    ]


THE_STEP_AGAIN = "It is the step of the exercise before; what is new is where it runs: once for every token, layer and direction."
TAKE_THE_SIZES = (
    "In the second layer d_input is d_hidden, or twice that where both directions are read: take the sizes from what "
    "you are given."
)

rnn_inside = StepInside(
    name="rnn_inside",
    statement="Put your own `rnn_step(x, h, w, b, u)` into the package's network: `with plugged(rnn_step=rnn_step):"
    " …`. The checker runs whole networks with it, two layers, both directions, padding and gradients "
    "among them, and compares every output; then train a character model with it and let it invent names.",
    stub=rnn_step.stub,
    reference=step_of_the_package,
    source=rnn_step.source,
    alone=rnn_step,
    cases=lambda draw: networks(draw, RNN),
    axes=("batch", "token", "d_output"),
    hints=(
        THE_STEP_AGAIN,
        (
            "The network hands it one token of every sequence, `x` (batch, d_input), and the state, `h` (batch, "
            "d_hidden); it also keeps the state still at padding. You only step."
        ),
        TAKE_THE_SIZES,
    ),
    mistakes=rnn_step.mistakes,
    difficulty=4,
    minutes=15,
)

_chapter = Chapter(
    "Chapter 1, the recurrent network",
    [rnn_parameters, rnn_step, rnn, perplexity, step_jacobian, sample, rnn_inside],
)
progress = _chapter.progress
