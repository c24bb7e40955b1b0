"""Exercises of chapter 8: feed-forward network, layer normalization, residual
connections.
"""

from typing import Any

import torch

from minitfm import layers
from minitfm.exercises.engine.answer import Answer, Chapter, choices
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.source import live


def _wide(draw: Draw) -> list[Case]:
    cases = []
    for dtype, grad in (
        (torch.float64, False),
        (torch.float64, True),
        (torch.float32, False),
    ):
        sizes = draw.sizes("batch token d_model d_ff")
        x = draw.normal(*list(sizes.values())[:3], dtype=dtype)
        cases.append(
            Case((x,), (sizes["d_model"], sizes["d_ff"]), sizes=sizes, grad=grad)
        )
    cases.append(
        Case((draw.normal(4, 3),), (3, 5), note="with a single axis before d_model")
    )
    return cases


feed_forward = Exercise(
    name="feed_forward",
    statement="Write the `forward` of `FeedForward`: the same two-layer network at every position (eq. 2). Leave "
    "`__init__` as it is.",
    stub='''class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)

    def forward(self, x):
        """x (…, d_model) -> (…, d_model)"""
        raise NotImplementedError
''',
    reference=layers.FeedForward,
    source=live(layers.FeedForward),
    names=vars(layers),
    cases=_wide,
    axes=("batch", "token", "d_model"),
    hints=(
        "Eq. 2 from the inside out: one linear map, max(0, ·), another linear map.",
        "max(0, x) is the ReLU: `x.relu()` or `torch.relu(x)`.",
        "`self.inner` widens, `self.outer` comes back; nothing stands after `self.outer`.",
    ),
    mistakes=(
        mistake(
            "no ReLU",
            """There is no max(0, ·) between your two layers, and two linear maps in a row are one linear map: the
            width inside buys nothing. Put `.relu()` after `self.inner` (eq. 2).""",
            (".relu()", ""),
        ),
        mistake(
            "ReLU at the end",
            """Your ReLU stands after the second layer. Then no position could ever be moved down, and the two linear
            maps are one: in eq. 2 max(0, ·) stands between them.""",
            ("self.outer(self.inner(x).relu())", "self.outer(self.inner(x)).relu()"),
        ),
        mistake(
            "ReLU before the first layer",
            """Your ReLU acts on the input. Eq. 2 is max(0, xW1 + b1)W2 + b2: first `self.inner`, then the ReLU.""",
            ("self.inner(x).relu()", "self.inner(x.relu())"),
        ),
        mistake(
            "ReLU twice",
            """You apply the ReLU after both layers. Eq. 2 has one, inside: what leaves the layer may be negative.""",
            (
                "self.outer(self.inner(x).relu())",
                "self.outer(self.inner(x).relu()).relu()",
            ),
        ),
        mistake(
            "residual inside",
            """You add x inside the layer. Eq. 2 is the sublayer alone; the residual connection around it is
            `Residual`'s work (section 5.4), and it would be added twice.""",
            ("return self.outer(", "return x + self.outer("),
        ),
        mistake(
            "sigmoid",
            """You squash with a sigmoid; eq. 2 cuts with max(0, ·), the ReLU.""",
            (".relu()", ".sigmoid()"),
        ),
        mistake(
            "tanh",
            """You squash with tanh, as an RNN does; eq. 2 cuts with max(0, ·), the ReLU.""",
            (".relu()", ".tanh()"),
        ),
        mistake(
            "GELU",
            """You use the GELU, as BERT and GPT later do. In this paper's eq. 2 it is max(0, ·), the ReLU.""",
            ("self.inner(x).relu()", "F.gelu(self.inner(x))"),
        ),
        mistake(
            "biases left out",
            """Your maps have no bias. Eq. 2 has both, b1 and b2: call the layers, `self.inner(x)`, instead of
            multiplying by their weights.""",
            (
                "self.outer(self.inner(x).relu())",
                "F.linear(F.linear(x, self.inner.weight).relu(), self.outer.weight)",
            ),
        ),
    ),
    difficulty=1,
    minutes=4,
)


def _vectors(draw: Draw) -> list[Case]:
    def case(
        note: str,
        grad: bool = False,
        eps: float | None = None,
        spread: float = 1.0,
        **options: Any,
    ) -> Case:
        sizes = draw.sizes("batch token d_model")
        d_model = sizes["d_model"]
        x = draw.normal(*sizes.values(), spread=spread, **options) + draw.normal(
            1, 1, 1, **options
        )
        args = (x, draw.normal(d_model, **options), draw.normal(d_model, **options))
        return Case(
            args if eps is None else (*args, eps), note=note, sizes=sizes, grad=grad
        )

    constant = case("with a vector whose numbers are all equal")
    constant.args[0][0, 0] = 3.0
    return [
        case("with plain vectors"),
        case("with ε = 0.5", eps=0.5),
        case("with vectors that hardly vary", spread=3e-3),
        constant,
        case("with large numbers", spread=1e3),
        Case(
            (draw.normal(4, 3), draw.normal(3), draw.normal(3)),
            note="with a single axis before d_model",
        ),
        Case(
            (draw.normal(2, 2, 3, 4), draw.normal(4), draw.normal(4)),
            note="with three axes before d_model",
        ),
        case("in float32", dtype=torch.float32),
        case("gradients", grad=True, eps=0.1),
    ]


layer_norm = Exercise(
    name="layer_norm",
    statement="Write `layer_norm(x, gain, bias, eps=1e-5)`: bring every vector (the last axis) to mean 0 and "
    "variance 1, then multiply by `gain` and add `bias`. The variance divides by d_model; ε stands inside"
    " the root.",
    stub='''def layer_norm(x, gain, bias, eps=1e-5):
    """x (…, d_model), gain and bias (d_model) -> (…, d_model)"""
    raise NotImplementedError
''',
    reference=layers.layer_norm,
    source=live(layers.layer_norm),
    names=vars(layers),
    cases=_vectors,
    axes=("batch", "token", "d_model"),
    words="number {d_model} of token {token} is {got}, expected {want}",
    hints=(
        (
            "Every token is normalized by itself: which axis do mean and variance run over, and how do you keep "
            "it for broadcasting?"
        ),
        "`x.mean(-1, keepdim=True)`; the variance is the mean of the squared distances from it.",
        "`(x - mean) / torch.sqrt(variance + eps) * gain + bias`; `x.var` needs `correction=0`.",
    ),
    mistakes=(
        mistake(
            "unbiased variance",
            """Your variance divides by d_model − 1, as `x.var(-1)` and `x.std(-1)` do unless told otherwise. LayerNorm
            divides by d_model (Ba et al. 2016, eq. 3): `x.var(-1, correction=0, keepdim=True)`.""",
            ("(x - mean).square().mean(-1, keepdim=True)", "x.var(-1, keepdim=True)"),
        ),
        mistake(
            "normalized over the batch",
            """Your mean and variance run over dim 0, the batch: that is batch normalization, and a sentence's result
            depends on its neighbors. LayerNorm looks at one token's vector alone: dim −1.""",
            ("x.mean(-1, keepdim=True)", "x.mean(0, keepdim=True)"),
            (".square().mean(-1, keepdim=True)", ".square().mean(0, keepdim=True)"),
        ),
        mistake(
            "normalized over the tokens",
            """Your mean and variance run over dim −2, the tokens: each component is normalized along the sentence, and
            future tokens leak into earlier ones. LayerNorm looks at one token's vector alone: dim −1.""",
            ("x.mean(-1, keepdim=True)", "x.mean(-2, keepdim=True)"),
            (".square().mean(-1, keepdim=True)", ".square().mean(-2, keepdim=True)"),
        ),
        mistake(
            "normalized over everything",
            """You take one mean and one variance of the whole tensor. Every token's vector has its own: dim −1 with
            `keepdim=True`.""",
            ("x.mean(-1, keepdim=True)", "x.mean()"),
            (".square().mean(-1, keepdim=True)", ".square().mean()"),
        ),
        mistake(
            "ε outside the root",
            """Your ε is added to the root instead of the variance. It stands inside, √(variance + ε): for a vector
            that hardly varies that is a difference of a factor √ε.""",
            ("torch.sqrt(variance + eps)", "(torch.sqrt(variance) + eps)"),
        ),
        mistake(
            "no ε",
            """Your ε is missing: a vector whose numbers are all equal has variance 0, and 0/0 is NaN. Divide by
            √(variance + ε).""",
            ("variance + eps", "variance"),
        ),
        mistake(
            "no root",
            """You divide by the variance. Only its root has the unit of x: divide by √(variance + ε), or the result
            still has another spread.""",
            ("torch.sqrt(variance + eps)", "(variance + eps)"),
        ),
        mistake(
            "mean not subtracted",
            """You divide by the standard deviation without subtracting the mean first; the result should have mean 0
            before gain and bias.""",
            ("(x - mean) / torch", "x / torch"),
        ),
        mistake(
            "root mean square",
            """You divide by the root of the mean of x², as RMSNorm does, and leave the mean in. LayerNorm subtracts
            the mean first, everywhere.""",
            ("x.mean(-1, keepdim=True)", "0.0"),
        ),
        mistake(
            "gain missing",
            """The gain is missing: after the normalization each component is multiplied by its learned `gain`.""",
            (" * gain", ""),
        ),
        mistake(
            "bias missing",
            """The bias is missing: at the end each component gets its learned `bias` added.""",
            (" * gain + bias", " * gain"),
        ),
        mistake(
            "bias before gain",
            """You add the bias before you multiply by the gain, so the gain scales the bias as well: normalized · gain
            + bias.""",
            (
                "(x - mean) / torch.sqrt(variance + eps) * gain + bias",
                "((x - mean) / torch.sqrt(variance + eps) + bias) * gain",
            ),
        ),
        mistake(
            "ε fixed",
            """Your function ignores the `eps` that it is given, and uses 1e-5 always.""",
            ("variance + eps", "variance + 1e-5"),
        ),
        mistake(
            "statistics detached",
            """The values are right, the gradient is not: you detach mean and variance. The backward pass goes through
            them, too; that is what keeps it from changing a vector's length in vain.""",
            (
                "(x - mean) / torch.sqrt(variance + eps)",
                "(x - mean.detach()) / torch.sqrt(variance.detach() + eps)",
            ),
        ),
    ),
    difficulty=2,
    minutes=10,
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


RESIDUAL = """class Residual(nn.Module):
    def __init__(self, d_model, placement, dropout):
        super().__init__()
        self.placement = placement
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, sublayer):
        if self.placement == "pre":
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))"""

residual = Exercise(
    name="residual",
    statement='Write the `forward` of `Residual`. Where `self.placement` is `"post"`, it is the paper\'s LayerNorm(x'
    ' + Dropout(Sublayer(x))) (sections 3.1 and 5.4); where it is `"pre"`, x + '
    "Dropout(Sublayer(LayerNorm(x))). `sublayer` is a function to call. Leave `__init__` as it is.",
    stub=RESIDUAL[: RESIDUAL.index("        if self.pl")]
    + '        """x (batch, token, d_model), sublayer a function -> (batch, token, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=ResidualReference,
    source=RESIDUAL,
    names={"LayerNorm": layers.LayerNorm},
    cases=_sublayers,
    axes=("batch", "token", "d_model"),
    hints=(
        (
            "Draw the straight path first: from x to the output past the sublayer. In post-norm the norm stands "
            "on it, in pre-norm it does not."
        ),
        "`sublayer(x)` is a call like any other; dropout acts on its result, before the addition.",
        "Post: `self.norm(x + self.dropout(sublayer(x)))`. Pre: move the norm inside the sublayer's parentheses.",
    ),
    mistakes=(
        mistake(
            "no residual",
            """Your x does not go past the sublayer: without the addition the gradient must pass every sublayer of
            every layer, and depth cannot be trained. x + Dropout(Sublayer(…)) (section 3.1).""",
            ("return x + self.dropout", "return self.dropout"),
            ("self.norm(x + self.dropout", "self.norm(self.dropout"),
        ),
        mistake(
            "norm on the sublayer alone",
            """In post-norm you normalize the sublayer's output and then add x. The paper normalizes the **sum**:
            LayerNorm(x + Sublayer(x)) (section 3.1).""",
            (
                "self.norm(x + self.dropout(sublayer(x)))",
                "x + self.norm(self.dropout(sublayer(x)))",
            ),
        ),
        mistake(
            "always post-norm",
            """You ignore `self.placement`: with "pre" the norm belongs inside, x + Dropout(Sublayer(LayerNorm(x))).""",
            ('self.placement == "pre"', "False"),
        ),
        mistake(
            "always pre-norm",
            """You ignore `self.placement`: with "post", the paper's own, the norm stands outside, LayerNorm(x +
            Dropout(Sublayer(x))) (section 3.1).""",
            ('self.placement == "pre"', "True"),
        ),
        mistake(
            "placements exchanged",
            """You exchanged the two placements: "post" normalizes after the addition, "pre" before the sublayer.""",
            ('self.placement == "pre"', 'self.placement != "pre"'),
        ),
        mistake(
            "residual around the norm",
            """In pre-norm your straight path starts after the norm, norm(x) + Sublayer(norm(x)): what skips the
            sublayer must be x itself, or nothing reaches the first layer unchanged.""",
            (
                "return x + self.dropout(sublayer(self.norm(x)))",
                "y = self.norm(x); return y + self.dropout(sublayer(y))",
            ),
        ),
        mistake(
            "dropout on the sum",
            """Your dropout acts on the sum, so it also drops the straight path. Section 5.4: on the output of each
            sublayer, before it is added.""",
            (
                "x + self.dropout(sublayer(self.norm(x)))",
                "self.dropout(x + sublayer(self.norm(x)))",
            ),
            (
                "self.norm(x + self.dropout(sublayer(x)))",
                "self.norm(self.dropout(x + sublayer(x)))",
            ),
        ),
        mistake(
            "dropout after the norm",
            """In post-norm your dropout comes last, after the norm. Section 5.4: on the output of each sublayer,
            before it is added and normalized.""",
            (
                "self.norm(x + self.dropout(sublayer(x)))",
                "self.dropout(self.norm(x + sublayer(x)))",
            ),
        ),
        mistake(
            "no dropout",
            """There is no dropout: section 5.4 applies it to the output of each sublayer, `self.dropout(sublayer(…))`.
            In evaluation mode it does nothing.""",
            ("self.dropout(sublayer(self.norm(x)))", "sublayer(self.norm(x))"),
            ("self.dropout(sublayer(x))", "sublayer(x)"),
        ),
        mistake(
            "dropout at evaluation",
            """Your dropout also runs in evaluation mode, so the same sentence gives another result each time:
            `F.dropout` drops unless told `training=self.training`. The module `self.dropout` knows by itself.""",
            ("self.dropout(", "F.dropout("),
        ),
        mistake(
            "norm twice",
            """In post-norm you normalize twice, before the sublayer and after the sum. The paper has only the second:
            LayerNorm(x + Sublayer(x)).""",
            (
                "self.norm(x + self.dropout(sublayer(x)))",
                "self.norm(x + self.dropout(sublayer(self.norm(x))))",
            ),
        ),
        mistake(
            "residual detached",
            """The values are right, the gradient is not: x is detached on its straight path, the very way on which the
            gradient should reach the first layer.""",
            ("return x + self", "return x.detach() + self"),
            ("self.norm(x + self", "self.norm(x.detach() + self"),
        ),
    ),
    difficulty=3,
    minutes=12,
)

LINES = {
    "A": "`x + norm(dropout(sublayer(x)))`",
    "B": "`norm(x + dropout(sublayer(x)))`",
    "C": "`x + dropout(sublayer(norm(x)))`",
    "D": "`dropout(norm(x + sublayer(x)))`",
    "E": "`norm(dropout(x + sublayer(x)))`",
    "F": "`norm(x) + dropout(sublayer(norm(x)))`",
    "G": "`norm(dropout(sublayer(x)))`",
}

placement = Answer(
    name="placement",
    statement="Which line is a sublayer of the paper (sections 3.1 and 5.4), with norm, dropout and residual in their "
    f"places? Answer with a letter.\n\n{choices(LINES)}",
    stub="answer = ...\n",
    source="# LayerNorm(x + Sublayer(x)), dropout on the sublayer's output before the addition (sections 3.1 and 5.4)",
    reference=lambda: "B",
    hints=(
        "Section 3.1 gives the line without dropout.",
        "Section 5.4 says where dropout goes: before the output is added and normalized.",
        "The norm is outermost, and dropout touches the sublayer's output alone.",
    ),
    mistakes=(
        mistake(
            "A",
            "A normalizes the sublayer's output and adds x after it; the paper normalizes the sum.",
            wrong="A",
        ),
        mistake(
            "C",
            "C is pre-norm: what most later models do, and the paper's later code, but not its text.",
            wrong="C",
        ),
        mistake(
            "D",
            "D drops after the norm; section 5.4 drops before the addition.",
            wrong="D",
        ),
        mistake(
            "E",
            "E drops from the sum, the straight path included; dropout acts on the sublayer's output.",
            wrong="E",
        ),
        mistake(
            "F",
            "F is pre-norm with the residual around the norm: x itself never gets past.",
            wrong="F",
        ),
        mistake(
            "G",
            "G has no residual connection: x does not get past the sublayer.",
            wrong="G",
        ),
    ),
    difficulty=1,
    minutes=3,
)

_chapter = Chapter("Chapter 8, layers", [placement, feed_forward, layer_norm, residual])
progress = _chapter.progress
