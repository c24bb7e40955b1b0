"""Exercises of chapter 8: a norm by hand and backward, batch normalization with
padding, dropout, what deep stacks keep, layers without a norm; feed-forward network,
layer normalization, residual connections.
"""

from typing import Any

import torch
from torch import Tensor, nn

from minitfm import layers
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "layers",
    asks="norm_by_hand own_share dropout batch_norm norm_gradient re_zero",
)
progress = chapter.progress


def _by_hand() -> float:
    x = torch.tensor([1, 7, 7, 9], dtype=torch.float64)
    gain, bias = torch.full_like(x, 6), torch.full_like(x, 3)
    return layers.layer_norm(x, gain, bias, eps=0.0)[0].item()


norm_by_hand = Answer(
    chapter,
    "norm_by_hand",
    difficulty=1,
    minutes=5,
    solution="""mean = (1 + 7 + 7 + 9) / 4  # 6
variance = (25 + 1 + 1 + 9) / 4  # 9
answer = 6 * (1 - mean) / variance**0.5 + 3""",
    package=_by_hand,
    tolerance=1e-5,  # whoever computes it has float32, or an ε
    wrong={
        "unbiased variance": 6 * -5 / 12**0.5 + 3,
        "no root": 6 * -5 / 9 + 3,
        "mean not subtracted": 6 * 1 / 3 + 3,
        "root mean square": 6 * 1 / 45**0.5 + 3,
        "gain missing": -5 / 3 + 3,
        "bias missing": 6 * -5 / 3,
        "neither gain nor bias": -5 / 3,
        "bias before gain": 6 * (-5 / 3 + 3),
        "sum for the mean": 6 * -5 / 6 + 3,
        "mean distance": 6 * -5 / 2.5 + 3,
        "sign lost": 6 * 5 / 3 + 3,
        "the last number": 6 * 3 / 3 + 3,
        "not divided": 6 * -5 + 3,
        "unbiased variance, bias missing": 6 * -5 / 12**0.5,
        "bias subtracted": 6 * -5 / 3 - 3,
        "gain and bias exchanged": 3 * -5 / 3 + 6,
    },
)


def _depths(draw: Draw) -> list[Case]:
    return [
        Case(
            (count, norm), note=f"with {count} layer{'s' * (count > 1)} and {norm}-norm"
        )
        for count in (1, 2, 3, 6, 12)
        for norm in ("post", "pre")
    ]


def _share(count: int, norm: str) -> float:
    """Followed through the stack, one sublayer after the other."""
    own, whole = 1.0, 1.0
    for _ in range(2 * count):
        whole += 1.0
        if norm == "post":
            own, whole = own / whole, 1.0
    return own / whole


own_share = Exercise(
    chapter,
    "own_share",
    difficulty=2,
    minutes=10,
    doc="""layers: how many, norm: "post" or "pre" -> a number""",
    solution="""def own_share(layers, norm):
    sublayers = 2 * layers
    if norm == "post":
        return 0.5**sublayers
    return 1 / (1 + sublayers)""",
    package=_share,
    inputs=lambda draw: (3, "post"),
    special=_depths,
    gradients=False,
    explains=False,  # its formulas are the answer
    mistakes="""
a layer for a sublayer: 2 * layers => layers
a layer for a sublayer in post-norm: 0.5**sublayers => 0.5**layers
a layer for a sublayer in pre-norm: 1 / (1 + sublayers) => 1 / (1 + layers)
placements exchanged: norm == "post" => norm == "pre"
always post-norm: norm == "post" => True
always pre-norm: norm == "post" => False
the embedding not counted: 1 / (1 + sublayers) => 1 / sublayers
halved once a sublayer in pre-norm: 1 / (1 + sublayers) => 0.5 ** (1 + sublayers)
standard deviation: 0.5**sublayers => 0.5 ** (sublayers / 2)
+ 1 / (1 + sublayers) => 1 / (1 + sublayers) ** 0.5
what the sublayers have: return 0.5**sublayers => return 1 - 0.5**sublayers
+ return 1 / (1 + sublayers) => return sublayers / (1 + sublayers)
percent: return 0.5**sublayers => return 100 * 0.5**sublayers
+ return 1 / (1 + sublayers) => return 100 / (1 + sublayers)
halved once in pre-norm: 1 / (1 + sublayers) => 0.5
one norm too many: 0.5**sublayers => 0.5 ** (sublayers + 1)
a norm a layer: 0.5**sublayers => (1 / 3) ** layers
divided by the number in post-norm: 0.5**sublayers => 0.5 / sublayers
whole division: 1 / (1 + sublayers) => 1 // (1 + sublayers)
one sublayer too few: 2 * layers => 2 * layers - 1
the embedding's variance: 1 / (1 + sublayers) => 1.0
the whole variance: return 0.5**sublayers => return 1.0
+ return 1 / (1 + sublayers) => return 1.0 + sublayers
one part too many: 1 / (1 + sublayers) => 1 / (2 + sublayers)
one too many in both: 0.5**sublayers => 0.5 ** (sublayers + 1)
+ 1 / (1 + sublayers) => 1 / (2 + sublayers)
three sublayers: 2 * layers => 3 * layers
standard deviation in pre-norm: 1 / (1 + sublayers) => 1 / (1 + sublayers) ** 0.5
a third each sublayer: 0.5**sublayers => (1 / 3) ** sublayers
a product of shares: 1 / (1 + sublayers) => 1 / math.factorial(1 + sublayers)
ratio to the rest: return 0.5**sublayers => return 0.5**sublayers / (1 - 0.5**sublayers)
+ return 1 / (1 + sublayers) => return 1 / sublayers
""",
)


def _uniform(draw: Draw, *shape: int) -> Tensor:
    numbers = torch.rand(shape, generator=draw.generator, dtype=torch.float64)
    return numbers.to(draw.dtype)


def _rates(draw: Draw) -> list[Case]:
    def case(p: float, training: bool, note: str) -> Case:
        x = draw.normal(4, 3, 5)
        return Case((x, p, _uniform(draw, 4, 3, 5), training), note=note)

    edge = draw.normal(2, 2, 2)
    at_p = torch.tensor([[[0.5, 0.25], [0.75, 0.5]], [[0.6, 0.5], [0.5, 0.1]]]).double()
    nearly, ones = torch.full_like(edge, 0.99995), torch.ones_like(edge)
    return [
        case(0.1, True, "in training with p = 0.1"),
        case(0.9, True, "in training with p = 0.9"),
        case(0.0, True, "in training with p = 0"),
        case(1.0, True, "in training with p = 1"),
        case(0.5, False, "at evaluation"),
        case(1.0, False, "at evaluation with p = 1"),
        Case(
            (edge, 0.9999, nearly, True),
            note="in training with p = 0.9999",
            odd=True,
        ),
        Case((edge, 0.5, at_p, True), note="with a uniform number that is exactly p"),
        Case(
            (edge, 1.0, ones, True),
            note="with p = 1 and uniform numbers of 1",
            odd=True,
        ),
    ]


def _dropout(x: Tensor, p: float, uniform: Tensor, training: bool) -> Tensor:
    if not training:
        return x.clone()
    kept = torch.nn.functional.threshold(uniform, p, 0.0)
    kept = (kept > 0) | (uniform == p)
    scale = 1.0 / (1.0 - p) if p < 1 else 0.0
    return x.masked_fill(~kept, 0.0) * scale


dropout = Exercise(
    chapter,
    "dropout",
    difficulty=2,
    minutes=10,
    doc="""x and uniform of one shape (batch, token, d_model), p: a number,
training: True or False -> (batch, token, d_model)
""",
    solution="""def dropout(x, p, uniform, training):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    return x * (uniform >= p) / (1 - p)""",
    package=_dropout,
    inputs=lambda draw, batch, token, d_model: (
        draw.normal(batch, token, d_model),
        0.3,
        _uniform(draw, batch, token, d_model),
        True,
    ),
    sizes="batch token d_model",
    special=_rates,
    axes="batch token d_model",
    mistakes="""
dropout at evaluation: if not training: => if False:
evaluation and training exchanged: if not training: => if training:
not scaled: / (1 - p) =>
scaled by 1 - p in training: / (1 - p) => * (1 - p)
divided by p: / (1 - p) => / p
scaled at evaluation: return x⏎    if p == 1 => return x * (1 - p)⏎    if p == 1
+ / (1 - p) =>
the others kept: uniform >= p => uniform < p
a share of p kept: uniform >= p => uniform >= 1 - p
the low numbers kept: uniform >= p => uniform < 1 - p
scaled by what was kept: / (1 - p) => * x.numel() / (uniform >= p).sum()
multiplied by the uniform numbers: (uniform >= p) => uniform
NaN at p = 1: p == 1 => False
what equals p dropped: uniform >= p => uniform > p
whole tokens dropped: (uniform >= p) => (uniform[..., :1] >= p)
one number for all: (uniform >= p) => (uniform.flatten()[0] >= p)
divided by p, p = 0 apart: if not training: => if not training or p == 0:
+ / (1 - p) => / p
zeros at evaluation: return x⏎    if p == 1 => return torch.zeros_like(x)⏎    if p == 1
p = 1 before training: if not training:⏎        return x⏎    if p == 1:⏎        return torch.zeros_like(x) => if p == 1:⏎        return torch.zeros_like(x)⏎    if not training:⏎        return x
0.1 for p: return x * (uniform >= p) / (1 - p) => return x * (uniform >= 0.1) / 0.9
root of 1 − p: / (1 - p) => / math.sqrt(1 - p)
−∞ for what is dropped: x * (uniform >= p) => x.masked_fill(uniform < p, -torch.inf)
the others kept, not scaled: x * (uniform >= p) / (1 - p) => x * (uniform < p)
+ if p == 1: => if False:
ε in the divisor: / (1 - p) => / (1 - p + 1e-8)
scaled at evaluation, too: return x⏎    if p == 1 => return x * (1 - p)⏎    if p == 1
divided at evaluation: return x⏎    if p == 1 => return x / (1 - p) if p < 1 else x⏎    if p == 1
divided at evaluation, p = 1 too: return x⏎    if p == 1 => return x / (1 - p)⏎    if p == 1
1 kept at p = 1: return torch.zeros_like(x) => return x * (uniform >= p)
x at p = 1: return torch.zeros_like(x) => return x
a least divisor, 1e-12: if p == 1:⏎        return torch.zeros_like(x)⏎    return x * (uniform >= p) / (1 - p) => return x * (uniform >= p) / max(1 - p, 1e-12)
a least divisor, 1e-9: if p == 1:⏎        return torch.zeros_like(x)⏎    return x * (uniform >= p) / (1 - p) => return x * (uniform >= p) / max(1 - p, 1e-9)
a least divisor, 1e-8: if p == 1:⏎        return torch.zeros_like(x)⏎    return x * (uniform >= p) / (1 - p) => return x * (uniform >= p) / max(1 - p, 1e-8)
sum for the product: x * (uniform >= p) => (x + (uniform >= p))
divided at evaluation, zeros at p = 1: return x⏎    if p == 1 => return x / (1 - p) if p < 1 else torch.zeros_like(x)⏎    if p == 1
ε in the divisor, p = 1 not apart: if p == 1:⏎        return torch.zeros_like(x)⏎    return x * (uniform >= p) / (1 - p) => return x * (uniform >= p) / (1 - p + 1e-8)
""",
)


def _padded(
    draw: Draw, batch: int, token: int, d_model: int, shift: float = 1.0
) -> tuple[Tensor, Tensor]:
    x = draw.normal(batch, token, d_model) + shift * draw.normal(1, 1, d_model)
    lengths = torch.randint(1, token + 1, (batch,), generator=draw.generator)
    lengths[0] = token
    return x, torch.arange(token) < lengths.unsqueeze(1)


def _paddings(draw: Draw) -> list[Case]:
    x, real = _padded(draw, 3, 4, 5)
    one = torch.zeros(2, 3, dtype=torch.bool)
    one[0, 0] = True
    return [
        Case((x, torch.ones(3, 4, dtype=torch.bool)), note="without padding"),
        Case(
            (x.masked_fill(~real.unsqueeze(-1), 1e3), real), note="with large padding"
        ),
        Case((draw.normal(2, 3, 4), one), note="with one real token in all"),
        Case((x, real, 0.5), note="with ε = 0.5", grad=True),
    ]


def _batch_norm(x: Tensor, real: Tensor, eps: float = 1e-5) -> Tensor:
    columns = [
        layers.layer_norm(
            column[real],
            torch.ones(int(real.sum())).to(x),
            torch.zeros(int(real.sum())).to(x),
            eps,
        )
        for column in x.unbind(-1)
    ]
    places = real.nonzero(as_tuple=True)
    return torch.zeros_like(x).index_put(places, torch.stack(columns, -1))


batch_norm = Exercise(
    chapter,
    "batch_norm",
    difficulty=2,
    minutes=15,
    doc="""x (batch, token, d_model), real (batch, token): True or False
-> (batch, token, d_model)
""",
    solution="""def batch_norm(x, real, eps=1e-5):
    found = x[real]
    mean = found.mean(0)
    variance = (found - mean).square().mean(0)
    y = (x - mean) / torch.sqrt(variance + eps)
    return y * real.unsqueeze(-1)""",
    package=_batch_norm,
    inputs=_padded,
    sizes="batch token d_model",
    special=_paddings,
    axes="batch token d_model",
    mistakes="""
padding counted: x[real] => x.flatten(0, 1)
padding as zeros: x[real] => (x * real.unsqueeze(-1)).flatten(0, 1)
padding not zero: y * real.unsqueeze(-1) => y
unbiased variance: (found - mean).square().mean(0) => found.var(0)
unbiased variance, padding filled: (found - mean).square().mean(0) => found.var(0)
+ return y * real.unsqueeze(-1) => return y.masked_fill(~real.unsqueeze(-1), 0)
ε outside the root: torch.sqrt(variance + eps) => (torch.sqrt(variance) + eps)
no ε: variance + eps => variance
ε fixed: variance + eps => variance + 1e-5
no root: torch.sqrt(variance + eps) => (variance + eps)
mean not subtracted: (x - mean) / torch => x / torch
every token by itself: found.mean(0) => x.mean(-1, keepdim=True)
+ (found - mean).square().mean(0) => (x - mean).square().mean(-1, keepdim=True)
one mean for all: found.mean(0) => found.mean()
+ .square().mean(0) => .square().mean()
mask inverted: x[real] => x[~real]
+ real.unsqueeze(-1) => (~real).unsqueeze(-1)
every sentence by itself: mean = found.mean(0) => m = real.unsqueeze(-1).to(x.dtype)⏎    count = m.sum(1, keepdim=True).clamp(min=1)⏎    mean = (x * m).sum(1, keepdim=True) / count
+ variance = (found - mean).square().mean(0) => variance = ((x - mean).square() * m).sum(1, keepdim=True) / count
padding in the variance alone: variance = (found - mean).square().mean(0) => left_out = real.unsqueeze(-1) * x - mean⏎    variance = left_out.square().sum((0, 1)) / real.sum()
statistics detached: (x - mean) / torch.sqrt(variance + eps) => (x - mean.detach()) / torch.sqrt(variance.detach() + eps)
every sentence by itself, 0/0: mean = found.mean(0) => m = real.unsqueeze(-1).to(x.dtype)⏎    count = m.sum(1, keepdim=True)⏎    mean = (x * m).sum(1, keepdim=True) / count
+ variance = (found - mean).square().mean(0) => variance = ((x - mean).square() * m).sum(1, keepdim=True) / count
every place by itself: mean = found.mean(0) => m = real.unsqueeze(-1).to(x.dtype)⏎    count = m.sum(0, keepdim=True).clamp(min=1)⏎    mean = (x * m).sum(0, keepdim=True) / count
+ variance = (found - mean).square().mean(0) => variance = ((x - mean).square() * m).sum(0, keepdim=True) / count
padding left out: return y * real.unsqueeze(-1) => return y[real]
NaN for padding: return y * real.unsqueeze(-1) => return y.masked_fill(~real.unsqueeze(-1), torch.nan)
no ε, NaN set to 0: variance + eps => variance
+ return y * real.unsqueeze(-1) => return (y * real.unsqueeze(-1)).nan_to_num(0)
not divided: (x - mean) / torch.sqrt(variance + eps) => (x - mean)
unbiased variance, at least 1: (found - mean).square().mean(0) => (found - mean).square().sum(0) / max(1, len(found) - 1)
unbiased deviation: torch.sqrt(variance + eps) => (found.std(0) + eps)
unbiased deviation, padding set to 0: torch.sqrt(variance + eps) => (found.std(0) + eps)
+ return y * real.unsqueeze(-1) => return torch.where(real.unsqueeze(-1), y, 0.0)
padding as it came: return y * real.unsqueeze(-1) => return torch.where(real.unsqueeze(-1), y, x)
padding as −∞: return y * real.unsqueeze(-1) => return y.masked_fill(~real.unsqueeze(-1), -torch.inf)
divided by all tokens: found.mean(0) => found.sum(0) / real.numel()
+ (found - mean).square().mean(0) => (found - mean).square().sum(0) / real.numel()
variance divided by all tokens: (found - mean).square().mean(0) => (found - mean).square().sum(0) / real.numel()
variance over the padding: (found - mean).square().mean(0) => (x - mean).square().mean((0, 1))
mean of the sentences' means: found.mean(0) => torch.stack([row[k].sum(0) / k.sum().clamp(min=1) for row, k in zip(x, real)]).mean(0)
running statistics: y = (x - mean) / torch.sqrt(variance + eps) => y = x / math.sqrt(1 + eps)
mask inverted, padding alone: x[real] => x[~real] if not real.all() else torch.zeros_like(x[:1, 0])
+ * real.unsqueeze(-1) => * (~real).unsqueeze(-1)
divided by the numbers: found.mean(0) => found.sum(0) / found.numel()
+ (found - mean).square().mean(0) => (found - mean).square().sum(0) / found.numel()
batch times longest: found.mean(0) => found.sum(0) / (real.sum(1).max() * len(x))
+ (found - mean).square().mean(0) => (found - mean).square().sum(0) / (real.sum(1).max() * len(x))
cut at the longest: x[real] => x[:, : int(real.sum(1).max())].flatten(0, 1)
variance over the padding, at once: (found - mean).square().mean(0) => x.var((0, 1), correction=0)
""",
)


def _with_upstream(
    draw: Draw, batch: int, token: int, d_model: int
) -> tuple[Tensor, Tensor]:
    x = draw.normal(batch, token, d_model) + draw.normal(1, 1, 1)
    return x, draw.normal(batch, token, d_model) + 0.5


def _other_upstreams(draw: Draw) -> list[Case]:
    sizes = {"batch": 3, "token": 4, "d_model": 5}
    x, upstream = _with_upstream(draw, **sizes)
    flat = x.clone()
    flat[0, 0] = 2.0
    equal = "with a vector whose numbers are all equal"
    mean = "with a gradient that has a large mean"
    little = "with numbers of size 0.001"
    return [
        Case((x, upstream, 0.5), note="with ε = 0.5", sizes=sizes),
        Case((flat, upstream), note=equal, sizes=sizes, odd=True),
        Case((x, upstream + 5), note=mean, sizes=sizes),
        # with two components nothing but rounding would be left
        Case((x / 1000, upstream / 1000), (), little, sizes, odd=True),
    ]


def _norm_gradient(x: Tensor, upstream: Tensor, eps: float = 1e-5) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        one = torch.ones(x.shape[-1], dtype=x.dtype, device=x.device)
        y = layers.layer_norm(x, one, 0 * one, eps)
        return torch.autograd.grad(y, x, upstream)[0]


norm_gradient = Exercise(
    chapter,
    "norm_gradient",
    difficulty=3,
    minutes=20,
    doc="""x and upstream (batch, token, d_model)
-> the gradient for x, (batch, token, d_model)
""",
    solution="""def norm_gradient(x, upstream, eps=1e-5):
    centered = x - x.mean(-1, keepdim=True)
    root = torch.sqrt(centered.square().mean(-1, keepdim=True) + eps)
    y = centered / root
    along_one = upstream.mean(-1, keepdim=True)
    along_y = y * (upstream * y).mean(-1, keepdim=True)
    return (upstream - along_one - along_y) / root""",
    package=_norm_gradient,
    inputs=_with_upstream,
    sizes="batch token d_model",
    special=_other_upstreams,
    without=["with numbers of size 0.001"],
    axes="batch token d_model",
    gradients=False,
    mistakes="""
statistics as constants: (upstream - along_one - along_y) / root => upstream / root
variance as a constant: - along_y) / root => ) / root
mean as a constant: - along_one - along_y => - along_y
root missing: (upstream - along_one - along_y) / root => (upstream - along_one - along_y)
multiplied by the root: along_y) / root => along_y) * root
divided by the variance: along_y) / root => along_y) / root.square()
sum for the mean: (upstream * y).mean(-1, keepdim=True) => (upstream * y).sum(-1, keepdim=True)
+ along_one = upstream.mean => along_one = upstream.sum
unbiased variance: centered.square().mean(-1, keepdim=True) => x.var(-1, keepdim=True)
ε left out: .mean(-1, keepdim=True) + eps) => .mean(-1, keepdim=True))
ε fixed: + eps) => + 1e-5)
centered for normalized: along_y = y * (upstream * y) => along_y = centered * (upstream * centered)
forward for backward: return (upstream - along_one - along_y) / root => return y * upstream
of the sum: return ( => upstream = torch.ones_like(upstream)⏎    along_one = upstream.mean(-1, keepdim=True)⏎    along_y = y * (upstream * y).mean(-1, keepdim=True)⏎    return (
the upstream gradient normalized: return (upstream - along_one - along_y) / root => centered = upstream - along_one⏎    return centered / torch.sqrt(centered.square().mean(-1, keepdim=True) + eps)
projection on the upstream gradient: y * (upstream * y).mean(-1, keepdim=True) => upstream * (upstream * y).mean(-1, keepdim=True)
over the tokens: along_one = upstream.mean(-1, keepdim=True) => along_one = upstream.mean(-2, keepdim=True)
x for y: y * (upstream * y) => x * (upstream * x)
ε outside the root: .mean(-1, keepdim=True) + eps) => .mean(-1, keepdim=True)) + eps
one mean for all: upstream.mean(-1, keepdim=True) => upstream.mean()
+ (upstream * y).mean(-1, keepdim=True) => (upstream * y).mean()
both means over the tokens: upstream.mean(-1, keepdim=True) => upstream.mean(-2, keepdim=True)
+ (upstream * y).mean(-1, keepdim=True) => (upstream * y).mean(-2, keepdim=True)
y itself: return (upstream - along_one - along_y) / root => return y
of the sum, by autograd: return (upstream - along_one - along_y) / root => with torch.enable_grad():⏎        t = x.detach().clone().requires_grad_()⏎        y = F.layer_norm(t, x.shape[-1:], eps=eps)⏎        return torch.autograd.grad(y.sum(), t)[0]
sign: return (upstream - along_one - along_y) / root => return -(upstream - along_one - along_y) / root
sign of the part along y: - along_y) => + along_y)
sign of the mean: upstream - along_one => upstream + along_one
both signs: upstream - along_one - along_y => upstream + along_one + along_y
unbiased throughout: centered.square().mean(-1, keepdim=True) => x.var(-1, keepdim=True)
+ (upstream * y).mean(-1, keepdim=True) => (upstream * y).sum(-1, keepdim=True) / (x.shape[-1] - 1)
unbiased deviation, ε outside: return (upstream - along_one - along_y) / root => with torch.enable_grad():⏎        t = x.detach().clone().requires_grad_()⏎        y = (t - t.mean(-1, keepdim=True)) / (t.std(-1, keepdim=True) + eps)⏎        return torch.autograd.grad(y, t, upstream)[0]
biased deviation, ε outside: return (upstream - along_one - along_y) / root => with torch.enable_grad():⏎        t = x.detach().clone().requires_grad_()⏎        y = (t - t.mean(-1, keepdim=True)) / (t.std(-1, keepdim=True, correction=0) + eps)⏎        return torch.autograd.grad(y, t, upstream)[0]
sum along y: (upstream * y).mean => (upstream * y).sum
normalized over the tokens: mean(-1, keepdim=True) => mean(-2, keepdim=True)
normalized over the batch: mean(-1, keepdim=True) => mean(0, keepdim=True)
normalized over the sentence: mean(-1, keepdim=True) => mean((-2, -1), keepdim=True)
normalized over everything: mean(-1, keepdim=True) => mean()
of a mean: return (upstream - along_one - along_y) / root => return (upstream - along_one - along_y) / root / x.numel()
root mean square: centered = x - x.mean(-1, keepdim=True) => centered = x
+ return (upstream - along_one - along_y) => return (upstream - along_y)
y without ε: y = centered / root => y = centered / centered.square().mean(-1, keepdim=True).sqrt()
y without ε, 0 for 0/0: y = centered / root => y = centered / centered.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-12)
of the square: along_one = upstream.mean => upstream = 2 * y * upstream⏎    along_one = upstream.mean
of half the square: along_one = upstream.mean => upstream = y * upstream⏎    along_one = upstream.mean
""",
)


class _ReZero(nn.Module):
    """The same with the sum written as one torch call."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, sublayer: Any) -> Tensor:
        return torch.addcmul(x, self.alpha, sublayer(x))


def _scaled(draw: Draw) -> list[Case]:
    def case(
        note: str, alpha: float | None = None, grad: bool = False, train: bool = False
    ) -> Case:
        sizes = draw.sizes("batch token d_model")
        x = draw.normal(*sizes.values())
        weight = draw.normal(sizes["d_model"], sizes["d_model"])
        weights = None if alpha is None else {"alpha": torch.tensor([alpha])}
        return Case(
            (x, Sublayer(weight)), (), note, sizes, grad, train, weights=weights
        )

    return [
        case("in one call"),
        case("gradients", grad=True),
        case("gradients where α is 0, as at the start", 0.0, grad=True),
        case("where α is negative", -0.7),
        case("in training mode", train=True),
        case("gradients in training mode", grad=True, train=True),
    ]


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
outer bias left out: self.outer(self.inner(x).relu()) => F.linear(self.inner(x).relu(), self.outer.weight)
inner bias left out: self.outer(self.inner(x).relu()) => self.outer(F.linear(x, self.inner.weight).relu())
leaky ReLU: self.inner(x).relu() => F.leaky_relu(self.inner(x))
SiLU: self.inner(x).relu() => F.silu(self.inner(x))
softmax: .relu() => .softmax(-1)
ReLU with a limit: self.inner(x).relu() => F.relu6(self.inner(x))
the negative kept: self.inner(x).relu() => (-self.inner(x)).relu()
second layer missing: self.outer(self.inner(x).relu()) => self.inner(x).relu()
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
normalized over axis 1: x.mean(-1, keepdim=True) => x.mean(1, keepdim=True)
+ .square().mean(-1, keepdim=True) => .square().mean(1, keepdim=True)
normalized over the last two axes: x.mean(-1, keepdim=True) => x.mean((-2, -1), keepdim=True)
+ .square().mean(-1, keepdim=True) => .square().mean((-2, -1), keepdim=True)
gain and bias exchanged: * gain + bias => * bias + gain
1 added to the gain:  * gain =>  * (1 + gain)
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
    """Some function of every token's vector, with an offset, so that nothing cancels.
    Like one with dropout in it, it gives something else when it is called with the same
    numbers again.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        """Remember the weight; nothing is seen yet."""
        self.weight = weight
        self.seen: list[Tensor] = []

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply, shift and cut; double for each time that x has come before."""
        again = sum(x.shape == old.shape and torch.equal(x, old) for old in self.seen)
        self.seen.append(x.detach().clone())
        return (x @ self.weight + 0.3).relu() * 2.0**again


class ResidualReference(layers.Residual):
    """The package's `Residual` with the arguments of the stub, which takes them by
    place.
    """

    def __init__(self, d_model: int, placement: layers.Norm, dropout: float) -> None:
        """Make it."""
        super().__init__(d_model, norm=placement, dropout=dropout)


re_zero = Exercise(
    chapter,
    "re_zero",
    difficulty=3,
    minutes=12,
    doc="""x (batch, token, d_model), sublayer: a function
-> (batch, token, d_model)
""",
    solution="""class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x, sublayer):
        return x + self.alpha * sublayer(x)""",
    package=_ReZero,
    inputs=lambda draw, batch, token, d_model: (
        draw.normal(batch, token, d_model),
        Sublayer(draw.normal(d_model, d_model)),
    ),
    sizes="batch token d_model",
    special=_scaled,
    axes="batch token d_model",
    mistakes="""
α left out: self.alpha * sublayer(x) => sublayer(x)
no residual: return x + self => return self
α on the sum: x + self.alpha * sublayer(x) => self.alpha * (x + sublayer(x))
α on the straight path: x + self.alpha * sublayer(x) => self.alpha * x + sublayer(x)
a mixture: return x + => return (1 - self.alpha) * x +
α inside the sublayer: self.alpha * sublayer(x) => sublayer(self.alpha * x)
subtracted: x + self => x - self
α not learned: self.alpha * => self.alpha.detach() *
residual detached: return x + => return x.detach() +
the number 1 for α: self.alpha * sublayer(x) => (1 + self.alpha) * sublayer(x)
α = 0 apart: return x + self.alpha * sublayer(x) => if self.alpha == 0:⏎            return x.clone()⏎        return x + self.alpha * sublayer(x)
α never negative: self.alpha * => self.alpha.clamp(min=0) *
α never negative, by a ReLU: self.alpha * => self.alpha.relu() *
α without its sign: self.alpha * => self.alpha.abs() *
α squared: self.alpha * => self.alpha**2 *
sigmoid: self.alpha * => self.alpha.sigmoid() *
tanh: self.alpha * => self.alpha.tanh() *
a norm inside: sublayer(x) => sublayer(F.layer_norm(x, x.shape[-1:]))
a norm outside: return x + self.alpha * sublayer(x) => return F.layer_norm(x + self.alpha * sublayer(x), x.shape[-1:])
the sublayer of the sublayer: sublayer(x) => sublayer(sublayer(x))
called twice: return x + self.alpha * sublayer(x) => sublayer(x)⏎        return x + self.alpha * sublayer(x)
x in training: return x + self.alpha * sublayer(x) => if self.training:⏎            return x⏎        return x + self.alpha * sublayer(x)
α left out in training: return x + self.alpha => return x + (1 if self.training else self.alpha)
x at evaluation: return x + self.alpha * sublayer(x) => if not self.training:⏎            return x⏎        return x + self.alpha * sublayer(x)
1 − α for α: self.alpha * sublayer(x) => (1 - self.alpha) * sublayer(x)
multiplied by x: self.alpha * sublayer(x) => self.alpha * sublayer(x) * x
a norm on the output: self.alpha * sublayer(x) => self.alpha * F.layer_norm(sublayer(x), x.shape[-1:])
x doubled inside: sublayer(x) => sublayer(2 * x)
x inside the product, too: self.alpha * sublayer(x) => self.alpha * (x + sublayer(x))
""",
)


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
dropout on the sum in post-norm: self.norm(x + self.dropout(sublayer(x))) => self.norm(self.dropout(x + sublayer(x)))
dropout on the sum in pre-norm: x + self.dropout(sublayer(self.norm(x))) => self.dropout(x + sublayer(self.norm(x)))
no dropout in post-norm: self.norm(x + self.dropout(sublayer(x))) => self.norm(x + sublayer(x))
no dropout in pre-norm: x + self.dropout(sublayer(self.norm(x))) => x + sublayer(self.norm(x))
norm after the sublayer in pre-norm: x + self.dropout(sublayer(self.norm(x))) => x + self.dropout(self.norm(sublayer(x)))
dropout before the sublayer in pre-norm: x + self.dropout(sublayer(self.norm(x))) => x + sublayer(self.dropout(self.norm(x)))
norm twice in pre-norm: x + self.dropout(sublayer(self.norm(x))) => self.norm(x + self.dropout(sublayer(self.norm(x))))
norm without its weights: self.norm(x + self.dropout(sublayer(x))) => F.layer_norm(x + self.dropout(sublayer(x)), x.shape[-1:])
+ x + self.dropout(sublayer(self.norm(x))) => x + self.dropout(sublayer(F.layer_norm(x, x.shape[-1:])))
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
