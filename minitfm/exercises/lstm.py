"""Exercises of chapter 2: the gates of the LSTM and the GRU, their sizes, and
padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minitfm.exercises.engine.answer import Answer, Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.plug import plugged as plugged
from minitfm.exercises.engine.several import Several
from minitfm.exercises.rnn import (
    TAKE_THE_SIZES,
    THE_STEP_AGAIN,
    StepInside,
    networks,
    weights_of,
)
from minitfm.exercises.stack import filled
from minitfm.lstm import LSTM, GRUCell, LSTMCell, forget_bias_


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
    name="half_life",
    statement="A fresh LSTM has its forget gates' bias set to 3, and weights so small that only the biases count: "
    "every forget gate is σ(3), σ(s) = 1 / (1 + exp(−s)). A memory c = 1 is in a cell, and nothing is "
    "added to it. After how many steps is **less than half** of it left for the first time?",
    stub="answer = ...\n",
    source="""forget = 1 / (1 + math.exp(-3))
answer, c = 0, 1.0
while c >= 0.5:
    c = forget * c
    answer = answer + 1""",
    reference=steps_to_half,
    hints=(
        "Every step multiplies c by the forget gate. What is σ(3)?",
        "σ(3) ≈ 0.953. After n steps c is σ(3)ⁿ: let a loop count.",
        "`while c >= 0.5: c = forget * c; n = n + 1`; or log 0.5 / log σ(3), rounded up.",
    ),
    mistakes=(
        mistake(
            "one step too few",
            """After 14 steps there is still a little more than half, σ(3)¹⁴ ≈ 0.506: round log 0.5 / log σ(3)
            **up**.""",
            wrong=14,
        ),
        mistake(
            "bias 1",
            """That is a forget bias of 1, σ(1) ≈ 0.731. Here the bias is 3.""",
            wrong=3,
        ),
        mistake(
            "bias 0",
            """That is a forget bias of 0, σ(0) = 0.5: after one step exactly half is left, after two less. Here the
            bias is 3.""",
            wrong=2,
        ),
        mistake(
            "gate inverted",
            """You multiply by 1 − σ(3), which forgets almost everything in one step. The forget gate says what is
            **kept**: c' = f ⊙ c.""",
            wrong=1,
        ),
        mistake(
            "the same amount every step",
            """You take away the same 1 − σ(3) ≈ 0.047 each time. The gate takes a share of what is still there: c
            is **multiplied** by σ(3), step after step.""",
            wrong=11,
        ),
        mistake(
            "tanh for σ",
            """You used tanh(3) ≈ 0.995. A gate is a sigmoid, σ(3) ≈ 0.953.""",
            wrong=140,
        ),
        mistake(
            "a tenth left",
            """After 48 steps less than a **tenth** is left; half is gone much earlier.""",
            wrong=48,
        ),
        mistake(
            "1/e left",
            """After 21 steps less than 1/e ≈ 0.37 is left; you are asked for half.""",
            wrong=21,
        ),
    ),
    difficulty=1,
    minutes=4,
)

D, H = 32, 64
SUM = H * D + H + H * H

lstm_parameters = Answer(
    name="lstm_parameters",
    statement="How many trained numbers has one LSTM cell of this package that reads 32 numbers, `d_input`, and "
    "keeps a state of `d_hidden` = 64, in h and in c? Each of its weighted sums W x + b + U h has its own"
    " W, b and U.",
    stub="answer = ...\n",
    source="""d_input, d_hidden = 32, 64
weighted_sum = d_hidden * d_input + d_hidden + d_hidden * d_hidden
answer = 4 * weighted_sum  # input gate, forget gate, candidate, output gate""",
    reference=lambda: sum(
        parameter.numel() for parameter in LSTMCell(D, H).parameters()
    ),
    hints=(
        "How many numbers has one weighted sum, and how many weighted sums has the cell?",
        "One sum: W is 64 × 32, b has 64, U is 64 × 64. That is the whole of chapter 1's cell.",
        "Three gates and the candidate: 4 · (64 · 32 + 64 + 64 · 64).",
    ),
    mistakes=(
        mistake(
            "the plain cell's",
            """That is one weighted sum, the plain cell of chapter 1. The LSTM has four: three gates and the
            candidate.""",
            wrong=SUM,
        ),
        mistake(
            "gates alone",
            """You count the three gates. The candidate, what may be added to c, is a fourth weighted sum.""",
            wrong=3 * SUM,
        ),
        mistake(
            "the GRU's",
            """That is this package's GRU: two gates, the candidate, and a bias b' of its own. The LSTM has three
            gates and the candidate, and no b'.""",
            wrong=3 * SUM + H,
        ),
        mistake(
            "five sums",
            """You count five weighted sums. c has none: it is made from the gates and the candidate, and h from c.""",
            wrong=5 * SUM,
        ),
        mistake(
            "two biases",
            """You count two biases for each sum, as `torch.nn.LSTM` has them. This package has one, as in the
            equations.""",
            wrong=4 * (SUM + H),
        ),
        mistake(
            "no biases",
            """The biases are missing, 64 for each of the four sums: among them the forget bias, of which this
            chapter makes much.""",
            wrong=4 * (SUM - H),
        ),
        mistake(
            "U missing",
            """U is missing, 64 × 64 for each sum: without it no gate would know what the cell has read.""",
            wrong=4 * (SUM - H * H),
        ),
        mistake(
            "W missing",
            """W is missing, 64 × 32 for each sum: without it no gate would see the input.""",
            wrong=4 * (SUM - H * D),
        ),
        mistake(
            "state counted",
            """You count h and c, 64 numbers each. They are computed while reading; only the weights are trained.""",
            wrong=4 * SUM + 2 * H,
        ),
        mistake(
            "one U for all",
            """You share one U among the four sums. Each has its own.""",
            wrong=4 * (SUM - H * H) + H * H,
        ),
        mistake(
            "gates look at c",
            """You give the sums a matrix for c, too. Such "peephole" connections came later; here the gates see x
            and h alone.""",
            wrong=4 * (SUM + H * H),
        ),
    ),
    difficulty=1,
    minutes=4,
)


def _steps(draw: Draw, sums: int, memory: bool) -> list[Case]:
    def case(note: str, grad: bool = False, **options: Any) -> Case:
        sizes = draw.sizes("batch d_input d_hidden")
        batch, d_input, d_hidden = sizes.values()
        state = tuple(
            draw.normal(batch, d_hidden, **options) for _ in range(1 + memory)
        )
        x, weights = (
            draw.normal(batch, d_input, **options),
            weights_of(draw, sums, d_input, d_hidden, **options),
        )
        second_bias = () if memory else (draw.normal(d_hidden, **options),)
        return Case((x, *state, *weights, *second_bias), (), note, sizes, grad)

    return [
        case("with plain numbers"),
        case("with small numbers", spread=0.3),
        case("with large sums", spread=2.0),
        case("in float32", dtype=torch.float32),
        case("gradients", grad=True, spread=0.5),
    ]


def lstm_step_of_the_package(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, b: Tensor, u: Tensor
) -> tuple[Tensor, Tensor]:
    """The package's `LSTMCell` with these weights."""
    h, c = LSTMCell(x.shape[1], h.shape[1]).step(
        F.linear(x, w, b), F.linear(h, u), (h, c)
    )
    return h, c


lstm_step = Several(
    name="lstm_step",
    statement="Write `lstm_step(x, h, c, w, b, u)`: one step of the LSTM for a whole batch, from (h, c) to the new "
    "(h, c). `w`, `b` and `u` hold four weighted sums W x + b + U h below one another, d_hidden rows "
    "each, in this order: **input** gate i, **forget** gate f, **candidate** g, **output** gate o "
    "(`torch.nn.LSTM` has the same order). The gates are sigmoids, the candidate a tanh; then c' = f ⊙ c "
    "+ i ⊙ g and h' = o ⊙ tanh(c').",
    stub='''def lstm_step(x, h, c, w, b, u):
    """x (batch, d_input), h and c (batch, d_hidden), w (4 * d_hidden, d_input), b (4 * d_hidden),
    u (4 * d_hidden, d_hidden) -> h and c, (batch, d_hidden) each
    """
    raise NotImplementedError
''',
    reference=lstm_step_of_the_package,
    source="""def lstm_step(x, h, c, w, b, u):
    input, forget, candidate, output = (x @ w.T + b + h @ u.T).chunk(4, dim=1)
    c = forget.sigmoid() * c + input.sigmoid() * candidate.tanh()
    h = output.sigmoid() * c.tanh()
    return h, c""",
    cases=lambda draw: _steps(draw, 4, memory=True),
    results=(("h", ("batch", "d_hidden")), ("c", ("batch", "d_hidden"))),
    hints=(
        "First all four sums at once, (batch, 4 * d_hidden), then cut them into four of (batch, d_hidden).",
        "`(x @ w.T + b + h @ u.T).chunk(4, dim=1)` gives i, f, g and o before their sigmoid or tanh.",
        (
            "Forget, add, show: `c = f.sigmoid() * c + i.sigmoid() * g.tanh()`, then `h = o.sigmoid() * c.tanh()`"
            " with the **new** c."
        ),
    ),
    mistakes=(
        mistake(
            "input and forget gate exchanged",
            """You exchanged input and forget gate: the rows come in the order input, forget, candidate, output, and
            your first quarter forgets. Another order is another network once weights are copied.""",
            (
                "input, forget, candidate, output =",
                "forget, input, candidate, output =",
            ),
        ),
        mistake(
            "candidate last",
            """You take the last quarter for the candidate and the third for the output gate. The order is input,
            forget, **candidate, output**.""",
            (
                "input, forget, candidate, output =",
                "input, forget, output, candidate =",
            ),
        ),
        mistake(
            "candidate second",
            """You take the second quarter for the candidate, and the third for the forget gate. The order is input,
            **forget, candidate**, output.""",
            (
                "input, forget, candidate, output =",
                "input, candidate, forget, output =",
            ),
        ),
        mistake(
            "forget gate, input gate, output gate, candidate",
            """Your quarters are forget, input, output, candidate. Here the order is input, forget, candidate,
            output.""",
            (
                "input, forget, candidate, output =",
                "forget, input, output, candidate =",
            ),
        ),
        mistake(
            "gates interleaved",
            """You take every fourth number for a gate. The sums stand below one another: the first d_hidden numbers
            are the input gate's, the next d_hidden the forget gate's: `.chunk(4, dim=1)`.""",
            (".chunk(4, dim=1)", ".unflatten(1, (-1, 4)).unbind(2)"),
        ),
        mistake(
            "sigmoid for the candidate",
            """Your candidate is a sigmoid, so nothing negative could ever be added to c. It is no gate but what is
            to be written: tanh, between −1 and 1.""",
            ("candidate.tanh()", "candidate.sigmoid()"),
        ),
        mistake(
            "candidate as it is",
            """Your candidate is the plain sum. It is squashed by tanh before it is added to c.""",
            ("candidate.tanh()", "candidate"),
        ),
        mistake(
            "tanh for the gates",
            """Your gates are tanh, and may be negative. A gate says what share passes, from 0 to 1: a sigmoid.""",
            (".sigmoid()", ".tanh()"),
        ),
        mistake(
            "gates without sigmoid",
            """Your gates are the plain sums. A gate says what share passes, from 0 to 1: a sigmoid of its sum.""",
            (".sigmoid()", ""),
        ),
        mistake(
            "forget gate inverted",
            """You keep 1 − f of the memory. In spite of its name the forget gate says what is **kept**: c' = f ⊙ c
            + …; at 1 all of c stays.""",
            ("forget.sigmoid() * c", "(1 - forget.sigmoid()) * c"),
        ),
        mistake(
            "input gate as the rest of the forget gate",
            """You add 1 − f of the candidate, as a GRU mixes. The LSTM's input gate has a sum of its own: c' = f ⊙
            c + i ⊙ g.""",
            ("input.sigmoid() *", "(1 - forget.sigmoid()) *"),
        ),
        mistake(
            "nothing forgotten",
            """Your c never shrinks: the forget gate is missing. So was it in the first LSTM, of 1997; here it is c'
            = f ⊙ c + i ⊙ g.""",
            ("forget.sigmoid() * c", "c"),
        ),
        mistake(
            "input gate missing",
            """You add the whole candidate. The input gate says how much of it is written: i ⊙ g.""",
            ("input.sigmoid() * ", ""),
        ),
        mistake(
            "output gate missing",
            """Your h shows all of tanh(c'). The output gate says how much is shown: h' = o ⊙ tanh(c').""",
            ("output.sigmoid() * ", ""),
        ),
        mistake(
            "output without tanh",
            """Your h is o ⊙ c', without the tanh. c may grow beyond 1; what is shown of it is squashed: h' = o ⊙
            **tanh**(c').""",
            ("c.tanh()", "c"),
        ),
        mistake(
            "output of the old memory",
            """Your h shows the old c. First the memory is renewed, then it is shown: h' = o ⊙ tanh(c'), with the
            new c'.""",
            ("    c = forget", "    old = c\n    c = forget"),
            ("c.tanh()", "old.tanh()"),
        ),
        mistake(
            "memory squashed",
            """You squash the memory itself and keep that. tanh is for what is shown, in h; c' stays the plain sum f
            ⊙ c + i ⊙ g, or it would shrink at each step.""",
            (
                "c = forget.sigmoid() * c + input.sigmoid() * candidate.tanh()",
                "c = (forget.sigmoid() * c + input.sigmoid() * candidate.tanh()).tanh()",
            ),
            ("output.sigmoid() * c.tanh()", "output.sigmoid() * c"),
        ),
        mistake(
            "forget gate on the hidden state",
            """Your forget gate keeps a share of h. It is the memory c that is kept: c' = f ⊙ **c** + i ⊙ g.""",
            ("forget.sigmoid() * c", "forget.sigmoid() * h"),
        ),
        mistake(
            "gates look at the memory",
            """Your sums use U c. The gates look at the input and at what the cell has shown, h: W x + b + U **h**.""",
            ("h @ u.T", "c @ u.T"),
        ),
        mistake(
            "not transposed",
            """`x @ w` does not fit: x is (batch, d_input) and w (4 * d_hidden, d_input). For inputs in rows, W x is
            `x @ w.T`, and U h is `h @ u.T`.""",
            ("x @ w.T", "x @ w"),
            ("h @ u.T", "h @ u"),
            raises=True,
        ),
        mistake(
            "cell and hidden state swapped",
            """You return (c, h). The hidden state comes first: `return h, c`.""",
            ("return h, c", "return c, h"),
        ),
        mistake(
            "one result",
            """Your function returns one tensor. The next step needs two, the hidden state and the memory: `return
            h, c`.""",
            ("return h, c", "return h"),
            raises=True,
        ),
        mistake(
            "old state ignored",
            """The old h does not come in: each sum is W x + b **+ U h**.""",
            (" + h @ u.T", ""),
        ),
        mistake(
            "bias missing",
            """The biases are missing: each sum is W x **+ b** + U h.""",
            (" + b +", " +"),
        ),
        mistake(
            "memory detached",
            """The values are right, the gradient is not: you detach c on its way through the step, the very path on
            which the gradient should get far back.""",
            ("forget.sigmoid() * c", "forget.sigmoid() * c.detach()"),
        ),
    ),
    difficulty=2,
    minutes=10,
)


def named(
    sums: tuple[str, ...], w: Tensor, b: Tensor, u: Tensor, prefix: str = ""
) -> dict[str, Tensor]:
    """Cut W, b and U into those of a cell's sums, by the names of its parameters."""
    sides = {"from_input.weight": w, "from_input.bias": b, "from_state.weight": u}
    parts = {side: matrix.split(u.shape[1]) for side, matrix in sides.items()}
    return {
        f"{prefix}{name}.{side}": part
        for side in parts
        for name, part in zip(sums, parts[side])
    }


def gru_step_of_the_package(
    x: Tensor, h: Tensor, w: Tensor, b: Tensor, u: Tensor, b_candidate: Tensor
) -> Tensor:
    """The package's `GRUCell` with these weights."""
    weights = named(("reset", "update", "candidate"), w, b, u)
    return functional_call(
        GRUCell(x.shape[1], h.shape[1]),
        {**weights, "candidate_bias": b_candidate},
        (x, h),
    )


gru_step = Exercise(
    name="gru_step",
    statement="Write `gru_step(x, h, w, b, u, b_candidate)`: one step of the GRU for a whole batch. `w`, `b` and "
    "`u` hold three weighted sums below one another, d_hidden rows each: **reset** gate r, **update** "
    "gate z, **candidate** n. The gates are σ(W x + b + U h). The candidate is tanh(W x + b + r ⊙ (U h + "
    "b')), with b' = `b_candidate`: r acts after the product. Then h' = z ⊙ h + (1 − z) ⊙ n.",
    stub='''def gru_step(x, h, w, b, u, b_candidate):
    """x (batch, d_input), h (batch, d_hidden), w (3 * d_hidden, d_input), b (3 * d_hidden),
    u (3 * d_hidden, d_hidden), b_candidate (d_hidden) -> the new h, (batch, d_hidden)
    """
    raise NotImplementedError
''',
    reference=gru_step_of_the_package,
    source="""def gru_step(x, h, w, b, u, b_candidate):
    reset_x, update_x, candidate_x = (x @ w.T + b).chunk(3, dim=1)
    reset_h, update_h, candidate_h = (h @ u.T).chunk(3, dim=1)
    reset = (reset_x + reset_h).sigmoid()
    update = (update_x + update_h).sigmoid()
    candidate = (candidate_x + reset * (candidate_h + b_candidate)).tanh()
    return update * h + (1 - update) * candidate""",
    cases=lambda draw: _steps(draw, 3, memory=False),
    axes=("batch", "d_hidden"),
    words="number {d_hidden} of the new state is {got}, expected {want}",
    hints=(
        "Compute W x + b and U h apart, and cut each into three: in the candidate r comes between them.",
        (
            "`(x @ w.T + b).chunk(3, dim=1)` and `(h @ u.T).chunk(3, dim=1)`; the gates are sigmoids of the sum "
            "of two thirds."
        ),
        "`n = (n_x + r * (n_h + b_candidate)).tanh()`, then `z * h + (1 - z) * n`.",
    ),
    mistakes=(
        mistake(
            "update gate inverted",
            """You exchanged z and 1 − z: your z says how much is **new**. Here it says how much of the old state
            stays, z ⊙ h + (1 − z) ⊙ n, as in Cho et al. (2014) and `torch.nn.GRU`. Other papers have it your
            way, so mind it when you copy weights.""",
            (
                "update * h + (1 - update) * candidate",
                "(1 - update) * h + update * candidate",
            ),
        ),
        mistake(
            "reset before the product",
            """You reset the state before the product, U (r ⊙ h). The published paper of Cho et al. (2014) does
            that; here, as in its first version on arXiv and in `torch.nn.GRU`, r acts **after** it: r ⊙ (U h +
            b').""",
            (
                "reset * (candidate_h + b_candidate)",
                "(reset * h) @ u.chunk(3)[2].T + b_candidate",
            ),
        ),
        mistake(
            "reset on the product alone",
            """Your r does not reach b': it is r ⊙ **(**U h + b'**)**. That is why b' is not the same as b.""",
            (
                "reset * (candidate_h + b_candidate)",
                "reset * candidate_h + b_candidate",
            ),
        ),
        mistake(
            "reset on the whole sum",
            """Your r scales the input's side, too. It decides how much of the **old state** comes into the
            candidate: W x + b stays outside.""",
            (
                "candidate_x + reset * (candidate_h + b_candidate)",
                "reset * (candidate_x + candidate_h + b_candidate)",
            ),
        ),
        mistake(
            "reset ignored",
            """The reset gate is missing: your candidate always sees the whole old state. r ⊙ (U h + b').""",
            ("reset * (candidate_h + b_candidate)", "(candidate_h + b_candidate)"),
        ),
        mistake(
            "gates exchanged",
            """You exchanged reset and update gate: the rows come in the order **reset, update**, candidate.""",
            ("reset_x, update_x, candidate_x", "update_x, reset_x, candidate_x"),
            ("reset_h, update_h, candidate_h", "update_h, reset_h, candidate_h"),
        ),
        mistake(
            "candidate first",
            """You take the first third for the candidate. The order is reset, update, **candidate**.""",
            ("reset_x, update_x, candidate_x", "candidate_x, reset_x, update_x"),
            ("reset_h, update_h, candidate_h", "candidate_h, reset_h, update_h"),
        ),
        mistake(
            "gates interleaved",
            """You take every third number for a gate. The sums stand below one another: the first d_hidden numbers
            are the reset gate's: `.chunk(3, dim=1)`.""",
            (".chunk(3, dim=1)", ".unflatten(1, (-1, 3)).unbind(2)"),
        ),
        mistake(
            "sigmoid for the candidate",
            """Your candidate is a sigmoid, so nothing negative could ever be written. It is what may be written:
            tanh, between −1 and 1.""",
            ("b_candidate)).tanh()", "b_candidate)).sigmoid()"),
        ),
        mistake(
            "candidate as it is",
            """Your candidate is the plain sum; tanh squashes it before it is mixed in.""",
            ("b_candidate)).tanh()", "b_candidate))"),
        ),
        mistake(
            "tanh for the gates",
            """Your gates are tanh, and may be negative. A gate is a share, from 0 to 1: a sigmoid.""",
            (".sigmoid()", ".tanh()"),
        ),
        mistake(
            "gates without sigmoid",
            """Your gates are the plain sums. A gate is a share, from 0 to 1: a sigmoid of its sum.""",
            (".sigmoid()", ""),
        ),
        mistake(
            "candidate added in full",
            """You add the whole candidate. The state is a mixture, whose shares sum to 1: z ⊙ h **+ (1 − z) ⊙** n;
            so it stays between −1 and 1.""",
            ("(1 - update) * candidate", "candidate"),
        ),
        mistake(
            "old state kept in full",
            """You keep the whole old state. It is a mixture, whose shares sum to 1: **z ⊙** h + (1 − z) ⊙ n.""",
            ("update * h +", "h +"),
        ),
        mistake(
            "the candidate alone",
            """You return the candidate. The old state is mixed in: z ⊙ h + (1 − z) ⊙ n, and without it nothing
            would be kept for long.""",
            ("return update * h + (1 - update) * candidate", "return candidate"),
        ),
        mistake(
            "reset gate for the mixture",
            """You mix with the reset gate. It acts inside the candidate; old and new are mixed by the **update**
            gate z.""",
            (
                "update * h + (1 - update) * candidate",
                "reset * h + (1 - reset) * candidate",
            ),
        ),
        mistake(
            "not transposed",
            """`x @ w` does not fit: x is (batch, d_input) and w (3 * d_hidden, d_input). For inputs in rows, W x is
            `x @ w.T`, and U h is `h @ u.T`.""",
            ("x @ w.T", "x @ w"),
            ("h @ u.T", "h @ u"),
            raises=True,
        ),
        mistake(
            "b' missing",
            """The candidate's second bias is missing: r ⊙ (U h **+ b'**).""",
            ("(candidate_h + b_candidate)", "candidate_h"),
        ),
        mistake(
            "bias missing",
            """The bias b is missing: each sum begins with W x **+ b**.""",
            ("x @ w.T + b)", "x @ w.T)"),
        ),
        mistake(
            "old state detached",
            """The values are right, the gradient is not: you detach h where it is kept, the very path on which the
            gradient should get far back.""",
            ("update * h", "update * h.detach()"),
        ),
    ),
    difficulty=3,
    minutes=12,
)


with torch.device("meta"):
    EQUATIONS = LSTMCell(
        1, 1
    )  # without numbers: drawing some would change what a notebook draws after its import


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
        return EQUATIONS.step(F.linear(x, self.w, self.b), F.linear(h, self.u), (h, c))


def _padded(draw: Draw) -> list[Case]:
    def case(
        note: str,
        grad: bool = False,
        where: str = "end",
        dtype: torch.dtype = torch.float64,
    ) -> Case:
        sizes = draw.sizes("batch token d_input d_hidden")
        sizes["token"] += 1
        batch, token, d_input, d_hidden = sizes.values()
        step = filled(draw, Step(d_input, d_hidden), 0.7).to(dtype)
        x, h, c = (
            draw.normal(batch, *rest, dtype=dtype)
            for rest in ((token, d_input), (d_hidden,), (d_hidden,))
        )
        mask = (draw.tokens(batch, token) != 0).roll(
            -1, 0
        )  # the first sequence has padding
        mask = {"end": mask, "front": mask.flip(1), "nowhere": torch.ones_like(mask)}[
            where
        ]
        return Case((step, x, h, c, mask), (), note, sizes, grad)

    return [
        case("with padding at the end"),
        case("with padding in front", where="front"),
        case("without padding", where="nowhere"),
        case("in float32", dtype=torch.float32),
        case("gradients", grad=True),
    ]


def network_of_the_package(
    step: Step, x: Tensor, h: Tensor, c: Tensor, mask: Tensor
) -> tuple[Tensor, ...]:
    """The package's `LSTM` with the step's weights."""
    weights = named(
        ("input", "forget", "candidate", "output"), step.w, step.b, step.u, "cells.0."
    )
    call = (x, mask, (h.unsqueeze(1), c.unsqueeze(1)))
    output, state = functional_call(LSTM(x.shape[2], h.shape[1]), weights, call)
    return output, *(part.squeeze(1) for part in state)


H_LINE = "        h = torch.where(real, new_h, h)\n"
C_LINE = "        c = torch.where(real, new_c, c)\n"

lstm = Several(
    name="lstm",
    statement="Write `lstm(step, x, h, c, mask)`: run an LSTM along padded sequences. `step(token, h, c)` returns "
    "the new h and c for a batch of tokens, (batch, d_input). `mask` is True where a token is real. At "
    "padding h and c **stand still** and the output is **zero**. Return the output, which is h after "
    "every token, and the last h and c.",
    stub='''def lstm(step, x, h, c, mask):
    """x (batch, token, d_input), h and c (batch, d_hidden), mask (batch, token)
    -> (batch, token, d_hidden), (batch, d_hidden), (batch, d_hidden)"""
    raise NotImplementedError
''',
    reference=network_of_the_package,
    source="""def lstm(step, x, h, c, mask):
    outputs = []
    for token, real in zip(x.unbind(1), mask.unsqueeze(2).unbind(1)):
        new_h, new_c = step(token, h, c)
        h = torch.where(real, new_h, h)
        c = torch.where(real, new_c, c)
        outputs.append(torch.where(real, h, 0.0))
    return torch.stack(outputs, dim=1), h, c""",
    cases=_padded,
    results=(
        ("output", ("batch", "token", "d_hidden")),
        ("h", ("batch", "d_hidden")),
        ("c", ("batch", "d_hidden")),
    ),
    hints=(
        (
            "All sequences of a batch step together, also those that have ended. What must happen to the new "
            "state of those?"
        ),
        (
            "Step first, then choose row by row: the new h and c where the token is real, the old ones where it "
            "is padding."
        ),
        (
            "`real = mask[:, t].unsqueeze(1)`, (batch, 1), and `h = torch.where(real, new_h, h)`; the same for c,"
            " and zero for the output."
        ),
    ),
    mistakes=(
        mistake(
            "mask ignored",
            """Your function ignores its mask: it reads on over the padding, and the last state is not that of the
            last real token. `torch.where(real, new, old)` keeps it.""",
            (H_LINE + C_LINE, "        h, c = new_h, new_c\n"),
            ("torch.where(real, h, 0.0)", "h"),
        ),
        mistake(
            "state runs on over the padding",
            """Your output is zero at padding, but h and c run on underneath: the last state has read padding, more
            of it the longer the batch's longest sequence is. Keep the old h and c there.""",
            (H_LINE + C_LINE, "        h, c = new_h, new_c\n"),
        ),
        mistake(
            "mask inverted",
            """Your mask works the wrong way round: it reads the padding and skips the tokens. True means **real**
            here.""",
            ("mask.unsqueeze(2)", "(~mask).unsqueeze(2)"),
        ),
        mistake(
            "only the hidden state stands still",
            """You keep h at padding, and let the memory c run on. Both stand still.""",
            (C_LINE, "        c = new_c\n"),
        ),
        mistake(
            "only the memory stands still",
            """You keep c at padding, and let h run on. Both stand still.""",
            (H_LINE, "        h = new_h\n"),
        ),
        mistake(
            "output not zero at padding",
            """Your output repeats the last h at padding. It must be zero there, so that nobody takes it for a
            token's.""",
            ("torch.where(real, h, 0.0)", "h"),
        ),
        mistake(
            "state set to zero at padding",
            """You set h and c to zero at padding. That empties the memory of every sequence that is shorter than
            the longest: keep the old state, and put zero into the **output** alone.""",
            ("new_h, h)", "new_h, 0.0)"),
            ("new_c, c)", "new_c, 0.0)"),
        ),
        mistake(
            "input set to zero at padding",
            """You set the inputs to zero at padding and step anyway. A step changes the state even then, through
            its biases and U: keep the old h and c.""",
            ("step(token, h, c)", "step(token * real, h, c)"),
            (H_LINE + C_LINE, "        h, c = new_h, new_c\n"),
            ("torch.where(real, h, 0.0)", "h"),
        ),
        mistake(
            "stops at the first padding",
            """Your loop stops when the shortest sequence ends. The others go on: step to the end, and keep the
            state of those that have ended.""",
            (
                "        new_h, new_c",
                "        if not real.all():\n            break\n        new_h, new_c",
            ),
            raises=True,
        ),
        mistake(
            "one mask for all",
            """You ask the first sequence alone whether a token is real. Every row has a mask of its own: (batch, 1)
            at each step.""",
            ("mask.unsqueeze(2)", "mask[:1].unsqueeze(2)"),
        ),
        mistake(
            "last column for the last state",
            """Your last h is the output's last column, which is zero for every sequence that ended earlier. Return
            the h that stood still.""",
            ("dim=1), h, c", "dim=1), outputs[-1], c"),
        ),
        mistake(
            "state not carried",
            """Your steps all begin with the first state, so no token knows of the ones before it. Hand the new h
            and c on to the next round.""",
            ("    outputs = []", "    outputs = []; first = h, c"),
            ("step(token, h, c)", "step(token, *first)"),
        ),
        mistake(
            "memory not carried",
            """You hand h on, and begin each step with the first c again: nothing is kept for long. Hand both on.""",
            ("    outputs = []", "    outputs = []; first = c"),
            ("step(token, h, c)", "step(token, h, first)"),
        ),
        mistake(
            "cell and hidden state swapped",
            """You give the step c for h and h for c. It is called as `step(token, h, c)`.""",
            ("step(token, h, c)", "step(token, c, h)"),
        ),
        mistake(
            "results of the step swapped",
            """You take the step's first result for c. It returns (h, c), in this order.""",
            ("new_h, new_c = step", "new_c, new_h = step"),
        ),
        mistake(
            "output of the memory",
            """Your output shows c. What an LSTM shows is h; c is its own.""",
            ("torch.where(real, h, 0.0)", "torch.where(real, c, 0.0)"),
        ),
        mistake(
            "output from the first state",
            """Your output has the state **before** each token. Append after the step.""",
            ("        outputs.append(torch.where(real, h, 0.0))\n", ""),
            (
                "        new_h, new_c",
                "        outputs.append(torch.where(real, h, 0.0))\n        new_h, new_c",
            ),
        ),
        mistake(
            "tokens by sequences",
            """Your output is (token, batch, d_hidden). The batch comes first here: `torch.stack(outputs, dim=1)`.""",
            ("dim=1", "dim=0"),
        ),
        mistake(
            "read backward",
            """You read from the last token to the first. This one reads forward.""",
            (
                "zip(x.unbind(1), mask.unsqueeze(2).unbind(1))",
                "list(zip(x.unbind(1), mask.unsqueeze(2).unbind(1)))[::-1]",
            ),
        ),
        mistake(
            "h and c exchanged at the end",
            """You return c before h. The order is: output, h, c.""",
            ("dim=1), h, c", "dim=1), c, h"),
        ),
        mistake(
            "one result",
            """Your function returns one tensor. Output and last state are asked for: `return output, h, c`. Whoever
            reads on begins with that state.""",
            ("dim=1), h, c", "dim=1)"),
            raises=True,
        ),
    ),
    difficulty=3,
    minutes=12,
)

lstm_inside = StepInside(
    name="lstm_inside",
    statement="Put your own `lstm_step(x, h, c, w, b, u)` into the package's LSTM: `with "
    "plugged(lstm_step=lstm_step): …`. The checker runs whole networks with it, two layers, both "
    "directions, padding and gradients among them, and compares every output; then train it on the recall"
    " task: name the first symbol after reading the rest.",
    stub=lstm_step.stub,
    reference=lstm_step_of_the_package,
    source=lstm_step.source,
    alone=lstm_step,
    cases=lambda draw: networks(draw, LSTM),
    axes=("batch", "token", "d_output"),
    hints=(
        THE_STEP_AGAIN,
        (
            "The network hands it one token of every sequence and the state (h, c), and takes (h, c) back; it "
            "keeps both still at padding. You only step."
        ),
        TAKE_THE_SIZES,
    ),
    mistakes=lstm_step.mistakes,
    difficulty=4,
    minutes=15,
)

_chapter = Chapter(
    "Chapter 2, LSTM and GRU",
    [half_life, lstm_parameters, lstm_step, gru_step, lstm, lstm_inside],
)
progress = _chapter.progress
