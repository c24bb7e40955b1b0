"""Exercises of chapter 4: how many keys a query looks at, how long it must be, attention
put together from parts, its derivative, and Luong's general score in a model; and the
weights of attention, and scaled dot-product attention.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitfm import attention
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "attention",
    asks="keys_looked_at query_length merged attention_slope general_attention",
)
progress = chapter.progress


def entropy_of_the_package(weights: Tensor) -> Tensor:
    """Exponentiate torch's own entropy, row by row."""
    rows = weights.flatten(0, 1)
    found = [
        torch.distributions.Categorical(row).entropy().exp() if row.sum() > 0 else 0.0
        for row in rows
    ]
    return torch.tensor(found, dtype=weights.dtype).view(weights.shape[:-1])


def _weights(draw: Draw, batch: int, query: int, key: int) -> tuple[Tensor]:
    """Weights of every kind: flat, sharp, with zeros, and a row of nothing."""
    scores = 3 * torch.randn(
        batch, query, key, generator=draw.generator, dtype=torch.float64
    )
    mask = draw.mask(batch, query, key)
    weights = attention.masked_softmax(scores, mask)
    return (weights.to(draw.dtype),)


def _odd_weights(draw: Draw) -> list[Case]:
    one = torch.eye(4, dtype=torch.float64).unsqueeze(0)
    flat = torch.full((1, 2, 5), 0.2, dtype=torch.float64)
    nothing = torch.tensor([[[0.0, 0, 0, 0], [0.5, 0.5, 0, 0]]], dtype=torch.float64)
    many = torch.full((1, 2, 60), 1 / 60, dtype=torch.float64)
    return [
        Case((many,), (), "with sixty equal weights"),
        Case((one,), (), "where all the weight is on one key"),
        Case((flat,), (), "where all weights are equal"),
        Case((nothing,), (), "with a query that may look at nothing"),
    ]


keys_looked_at = Exercise(
    chapter,
    "keys_looked_at",
    difficulty=1,
    minutes=6,
    doc="weights (batch, query, key) -> (batch, query)",
    solution="""def keys_looked_at(weights):
    logs = torch.where(weights > 0, weights, 1.0).log()
    count = (-(weights * logs).sum(-1)).exp()
    return torch.where(weights.sum(-1) > 0, count, 0.0)""",
    package=entropy_of_the_package,
    inputs=_weights,
    special=_odd_weights,
    without=["with numbers of size 100", "with numbers of size 0.001"],
    gradients=False,
    mistakes="""
exp missing: (-(weights * logs).sum(-1)).exp() => -(weights * logs).sum(-1)
sign: (-(weights * logs).sum(-1)).exp() => (weights * logs).sum(-1).exp()
NaN at zero weights: torch.where(weights > 0, weights, 1.0).log() => weights.log()
one for nothing: torch.where(weights.sum(-1) > 0, count, 0.0) => count
mean instead of sum: (weights * logs).sum(-1) => (weights * logs).mean(-1)
unweighted: (weights * logs).sum(-1) => logs.mean(-1)
over the queries: (weights * logs).sum(-1) => (weights * logs).sum(-2)
+ weights.sum(-1) > 0 => weights.sum(-2) > 0
bits against e: .log() => .log2()
base 10: .log() => .log10()
softmax again: logs = torch.where(weights > 0, weights, 1.0).log()⏎    count = (-(weights * logs).sum(-1)).exp() => logs = weights.log_softmax(-1)⏎    count = (-(logs.exp() * logs).sum(-1)).exp()
e against bits: (-(weights * logs).sum(-1)).exp() => 2 ** -(weights * logs).sum(-1)
""",
    wrong={
        "keys with any weight": lambda weights: (weights > 0).sum(-1).double(),
        "inverse of the squares": lambda weights: torch.where(
            weights.sum(-1) > 0, 1 / (weights**2).sum(-1).clamp(min=1e-30), 0.0
        ),
        "inverse of the squares, ∞": lambda weights: 1 / (weights**2).sum(-1),
        "inverse of the largest": lambda weights: torch.where(
            weights.sum(-1) > 0, 1 / weights.amax(-1).clamp(min=1e-30), 0.0
        ),
    },
)


def length_by_bisection(share: float, keys: int, d_k: int) -> float:
    """Try lengths with the package's attention until the first key gets its share."""
    low, high = 0.0, 1e5
    key = torch.eye(keys, max(keys, d_k), dtype=torch.float64)
    at_unit = key[:1] * (key.shape[1] / d_k) ** 0.5  # as if there were d_k numbers
    for _ in range(200):
        middle = (low + high) / 2
        weight = attention.attention_weights(middle * at_unit, key)[0, 0]
        low, high = (middle, high) if weight < share else (low, middle)
    return low


def _lengths(draw: Draw) -> list[Case]:
    wanted = [
        (0.5, 3, 4),
        (0.9, 10, 64),
        (0.99, 5, 1),
        (0.6, 7, 16),
        (0.3, 4, 9),
        (0.75, 2, 4),
        (0.21, 5, 2),
    ]
    return [
        Case(args, (), f"with share {args[0]}, {args[1]} keys, d_k = {args[2]}")
        for args in wanted
    ]


query_length = Exercise(
    chapter,
    "query_length",
    difficulty=2,
    minutes=8,
    doc="share a number below 1, keys and d_k whole numbers -> one number",
    solution="""def query_length(share, keys, d_k):
    score = math.log(share * (keys - 1) / (1 - share))
    return score * math.sqrt(d_k)""",
    package=length_by_bisection,
    special=_lengths,
    gradients=False,
    mistakes="""
root missing:  * math.sqrt(d_k) =>
times d_k: math.sqrt(d_k) => d_k
divided by the root: score * math.sqrt => score / math.sqrt
own key counted: keys - 1 => keys
other keys forgotten: share * (keys - 1) / (1 - share) => share / (1 - share)
share alone: share * (keys - 1) / (1 - share) => share
log missing: math.log(share * (keys - 1) / (1 - share)) => share * (keys - 1) / (1 - share)
log of base 10: math.log( => math.log10(
log of base 2: math.log( => math.log2(
upside down: share * (keys - 1) / (1 - share) => (1 - share) / (share * (keys - 1))
others at the shares: share * (keys - 1) / (1 - share) => share * keys
fraction upside down, others right: share * (keys - 1) / (1 - share) => (1 - share) * (keys - 1) / share
root rounded down: math.sqrt(d_k) => math.isqrt(d_k)
others at zero: share * (keys - 1) / (1 - share) => (keys - 1) / (1 - share)
""",
)


def _parts(draw: Draw, batch: int, query: int, d_v: int) -> tuple[Tensor, ...]:
    """Two parts of one attention, as if its keys had been split."""
    return tuple(
        part
        for _ in range(2)
        for part in (draw.normal(batch, query, d_v), draw.normal(batch, query))
    )


def _empty_part(draw: Draw) -> list[Case]:
    a, log_a, b, log_b = _parts(draw, 2, 3, 4)
    apart = (a, log_a - 3_000.0, b, log_b + 3_000.0)
    spread = torch.tensor([[5_000.0, -5_000.0, 0.0]], dtype=torch.float64)
    several = (a, log_a + spread, b, log_b + spread)
    a, log_a, b, log_b = (part.clone() for part in (a, log_a, b, log_b))
    log_a[0], a[0] = -torch.inf, 0.0
    other = (b, log_b, a, log_a)
    far = (a, log_a + 5_000.0, b, log_b + 5_000.0)
    return [
        Case((a, log_a, b, log_b), (), "where a is empty for some queries"),
        Case(other, (), "where b is empty for some queries"),
        Case(several, (), "with scores of 5,000 for one query, −5,000 for another"),
        Case(apart, (), "where b has much larger scores than a"),
        Case(apart, (), "gradients, where b has much larger scores", grad=True),
        Case((*apart[2:], *apart[:2]), (), "where a has much larger scores than b"),
        Case(far, (), "with scores in the thousands"),
    ]


def merged_by_the_package(
    a: Tensor, log_a: Tensor, b: Tensor, log_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Take each part for one key with one value, whose score is its logarithm."""
    scores = torch.stack([log_a, log_b], dim=-1)
    weights = attention.masked_softmax(scores)
    return (weights.unsqueeze(-2) @ torch.stack([a, b], -2)).squeeze(
        -2
    ), scores.logsumexp(-1)


merged = Exercise(
    chapter,
    "merged",
    difficulty=3,
    minutes=12,
    doc="""a and b (batch, query, d_v), log_a and log_b (batch, query)
-> output (batch, query, d_v), log (batch, query)
""",
    solution="""def merged(a, log_a, b, log_b):
    log = torch.logaddexp(log_a, log_b)
    share_a, share_b = (log_a - log).exp(), (log_b - log).exp()
    output = share_a.unsqueeze(-1) * a + share_b.unsqueeze(-1) * b
    return output, log""",
    package=merged_by_the_package,
    inputs=_parts,
    sizes="batch query d_v",
    special=_empty_part,
    results=[("output", "batch query d_v"), ("log", "batch query")],
    mistakes="""
plain mean: share_a.unsqueeze(-1) * a + share_b.unsqueeze(-1) * b => (a + b) / 2
plain sum: share_a.unsqueeze(-1) * a + share_b.unsqueeze(-1) * b => a + b
logs as weights: (log_a - log).exp(), (log_b - log).exp() => log_a / (log_a + log_b), log_b / (log_a + log_b)
logs added: torch.logaddexp(log_a, log_b) => log_a + log_b
logs added at the end: return output, log => return output, log_a + log_b
larger log at the end: return output, log => return output, torch.maximum(log_a, log_b)
the largest not added back: return output, log => return output, log - torch.maximum(log_a, log_b)
base 2: torch.logaddexp(log_a, log_b) => torch.logaddexp2(log_a, log_b)
larger part alone: output = share_a.unsqueeze(-1) * a + share_b.unsqueeze(-1) * b => output = a.where((log_a > log_b).unsqueeze(-1), b)
larger log: torch.logaddexp(log_a, log_b) => torch.maximum(log_a, log_b)
parts exchanged: (log_a - log).exp(), (log_b - log).exp() => (log_b - log).exp(), (log_a - log).exp()
not divided: (log_a - log).exp(), (log_b - log).exp() => log_a.exp(), log_b.exp()
overflow: torch.logaddexp(log_a, log_b) => (log_a.exp() + log_b.exp()).log()
infinity over infinity: (log_a - log).exp(), (log_b - log).exp() => log_a.exp() / (log_a.exp() + log_b.exp()), log_b.exp() / (log_a.exp() + log_b.exp())
infinity over infinity, its log too: (log_a - log).exp(), (log_b - log).exp() => log_a.exp() / (log_a.exp() + log_b.exp()), log_b.exp() / (log_a.exp() + log_b.exp())
+ torch.logaddexp(log_a, log_b) => (log_a.exp() + log_b.exp()).log()
sum instead of its log: return output, log => return output, log.exp()
""",
)


def slope_by_autograd(
    query: Float[Tensor, "batch query d_k"],
    key: Float[Tensor, "batch key d_k"],
    value: Float[Tensor, "batch key d_v"],
) -> Float[Tensor, "batch query d_v d_k"]:
    """Differentiate the package's attention, one number of the output at a time: a
    query moves its own output alone, so the sum over the queries will do.
    """
    query = query.detach().requires_grad_()
    output = attention.scaled_dot_product_attention(query, key, value)
    sums = output.sum((0, 1)).unbind()
    slopes = [torch.autograd.grad(one, query, retain_graph=True)[0] for one in sums]
    return torch.stack(slopes, dim=2)


def _loud_query(draw: Draw) -> list[Case]:
    """Scores of a thousand whose softmax is not all on one key: two keys tie."""
    query = torch.tensor([[[2000.0, 0.0], [-2000.0, 0.0], [0.0, 1.0]]])
    key = torch.tensor([[[1.0, 0.5], [1.0, -0.5], [-1.0, 0.0], [-1.0, 1.0]]])
    value = torch.tensor([[[1.0, 0, 2], [0, 1, -1], [3, 1, 0], [0, -2, 1]]])
    args = tuple(one.double() for one in (query, key, value))
    sizes = {"batch": 1, "query": 3, "key": 4, "d_k": 2, "d_v": 3}
    return [Case(args, (), "with scores in the thousands", sizes)]


attention_slope = Exercise(
    chapter,
    "attention_slope",
    difficulty=3,
    minutes=15,
    doc="""query (batch, query, d_k), key (batch, key, d_k), value (batch, key, d_v)
-> (batch, query, d_v, d_k)
""",
    solution="""def attention_slope(query, key, value):
    d_k = query.shape[-1]
    weights = (query @ key.mT / math.sqrt(d_k)).softmax(-1)
    mean_value, mean_key = weights @ value, weights @ key
    together = torch.einsum("bqk,bkv,bkd->bqvd", weights, value, key)
    covariance = together - mean_value.unsqueeze(-1) * mean_key.unsqueeze(-2)
    return covariance / math.sqrt(d_k)""",
    package=slope_by_autograd,
    special=_loud_query,
    # of size 100 the derivative is 0 but for rounding; autograd takes its time with many
    without=["with numbers of size 100", "with sizes around 20"],
    gradients=False,
    mistakes="""
overflow: weights = (query @ key.mT / math.sqrt(d_k)).softmax(-1) => weights = (query @ key.mT / math.sqrt(d_k)).exp()⏎    weights = weights / weights.sum(-1, keepdim=True)
root missing: return covariance / math.sqrt(d_k) => return covariance
divided by the root of d_v: return covariance / math.sqrt(d_k) => return covariance / math.sqrt(value.shape[-1])
scores scaled by d_v: d_k = query.shape[-1] => d_k = value.shape[-1]
divided by d_k: return covariance / math.sqrt(d_k) => return covariance / d_k
means not subtracted:  - mean_value.unsqueeze(-1) * mean_key.unsqueeze(-2) =>
means added: together - mean_value => together + mean_value
scores not scaled: (query @ key.mT / math.sqrt(d_k)) => (query @ key.mT)
plain means: weights @ value, weights @ key => value.mean(1, keepdim=True), key.mean(1, keepdim=True)
plain covariance: .softmax(-1) => .softmax(-1) * 0 + 1 / key.shape[1]
every query by every query: return covariance / math.sqrt(d_k) => from torch.autograd.functional import jacobian⏎    return jacobian(lambda x: (x @ key.mT / math.sqrt(d_k)).softmax(-1) @ value, query)
axes exchanged: return covariance / math.sqrt(d_k) => return (covariance / math.sqrt(d_k)).mT
sample covariance: return covariance / math.sqrt(d_k) => return covariance / math.sqrt(d_k) * key.shape[1] / (key.shape[1] - 1 + 1e-9)
""",
)


class GeneralAttention(nn.Module):
    """Luong's general score, by the package's softmax."""

    def __init__(self, d_query: int, d_key: int) -> None:
        """Make the matrix between query and key."""
        super().__init__()
        self.matrix = nn.Linear(d_key, d_query, bias=False)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Average the values."""
        scores = query @ self.matrix(key).transpose(-2, -1)
        return attention.masked_softmax(scores, mask) @ value


# What goes wrong between the scores and the weights, wherever these are computed.
MASKED = """
softmax over the queries: softmax(-1) => softmax(-2)
softmax over the batch: softmax(-1) => softmax(0)
no softmax: .softmax(-1) =>
mask inverted: scores.where(mask, => scores.where(~mask,
+ weights.where(mask, => weights.where(~mask,
mask ignored: if mask is None: => if True:
NaN where nothing may be attended to: weights.where(mask, 0.0) => weights
uniform where nothing may be attended to: -math.inf => -1e9
+ weights.where(mask, 0.0) => weights
uniform where nothing may be attended to, −1e4: -math.inf => -1e4
+ weights.where(mask, 0.0) => weights
mask after the softmax: scores.where(mask, -math.inf).softmax(-1) => scores.softmax(-1)
the first sentence's mask: scores.where(mask, => scores.where(mask[:1],
+ weights.where(mask, => weights.where(mask[:1],
the first query's mask for all: scores.where(mask, => scores.where(mask[:, :1],
+ weights.where(mask, => weights.where(mask[:, :1],
only what all queries may see: scores.where(mask, => scores.where(mask.all(-2, keepdim=True),
+ weights.where(mask, => weights.where(mask.all(-2, keepdim=True),
what any query may see: scores.where(mask, => scores.where(mask.any(-2, keepdim=True),
+ weights.where(mask, => weights.where(mask.any(-2, keepdim=True),
"""
SCALED = """
no scaling:  / math.sqrt(d_k) =>
scaled by d_k: / math.sqrt(d_k) => / d_k
multiplied by the root: / math.sqrt(d_k) => * math.sqrt(d_k)
scaled by the number of keys: math.sqrt(d_k) => math.sqrt(key.shape[-2])
masked scores set to 0: scores.where(mask, -math.inf) => scores.where(mask, 0.0)
+ weights.where(mask, 0.0) => weights
scaled after the softmax:  / math.sqrt(d_k) =>
+ softmax(-1) => softmax(-1) / math.sqrt(d_k)
softmax overflows: scores.softmax(-1) => scores.exp() / scores.exp().sum(-1, keepdim=True)
+ scores.where(mask, -math.inf).softmax(-1) => scores.where(mask, -math.inf).exp() / scores.where(mask, -math.inf).exp().sum(-1, keepdim=True)
gradient cut at the weights: d_k = query.shape[-1] => d_k = query.shape[-1]; query, key = query.detach(), key.detach()
mask inverted, −1e9: scores.where(mask, -math.inf) => scores.masked_fill(mask, -1e9)
+ weights.where(mask, 0.0) => weights
mask inverted, NaN: scores.where(mask, -math.inf) => scores.masked_fill(mask, -math.inf)
+ weights.where(mask, 0.0) => weights
mask inverted before the softmax: scores.where(mask, -math.inf) => scores.where(~mask, -1e9)
width fixed at 64: math.sqrt(d_k) => 8.0
sigmoid for softmax: .softmax(-1) => .sigmoid()
mask added: scores.where(mask, -math.inf) => (scores + mask)
+ weights.where(mask, 0.0) => weights
"""


general_attention = Exercise(
    chapter,
    "general_attention",
    difficulty=3,
    minutes=12,
    doc="""query (batch, query, d_query), key (batch, key, d_key), value (batch,
key, d_v), mask (batch, query, key) or None -> (batch, query, d_v)
""",
    solution="""class GeneralAttention(nn.Module):
    def __init__(self, d_query, d_key):
        super().__init__()
        self.matrix = nn.Linear(d_key, d_query, bias=False)

    def forward(self, query, key, value, mask=None):
        scores = query @ self.matrix(key).transpose(-2, -1)
        if mask is None:
            weights = scores.softmax(-1)
        else:
            weights = scores.where(mask, -math.inf).softmax(-1)
            weights = weights.where(mask, 0.0)
        return weights @ value""",
    package=GeneralAttention,
    sizes="batch query key d_query d_key d_v",
    init=lambda d_query, d_key, **_: (d_query, d_key),
    axes="batch query d_v",
    mistakes=MASKED
    + """
divided by a root: self.matrix(key).transpose(-2, -1) => self.matrix(key).transpose(-2, -1) / query.shape[-1] ** 0.5
divided by a root, of the keys' width: self.matrix(key).transpose(-2, -1) => self.matrix(key).transpose(-2, -1) / key.shape[-1] ** 0.5
divided by a root, of the values' width: self.matrix(key).transpose(-2, -1) => self.matrix(key).transpose(-2, -1) / value.shape[-1] ** 0.5
plain mean of the values: weights @ value => value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])
masked scores set to 0: scores.where(mask, -math.inf) => scores.where(mask, 0.0)
mask inverted, −1e9: scores.where(mask, -math.inf) => scores.masked_fill(mask, -1e9)
+ weights.where(mask, 0.0) => weights
mask inverted, NaN: scores.where(mask, -math.inf) => scores.masked_fill(mask, -math.inf)
+ weights.where(mask, 0.0) => weights
scores multiplied by the mask: scores.where(mask, -math.inf) => (scores * mask)
+ weights.where(mask, 0.0) => weights
tanh of the scores: self.matrix(key).transpose(-2, -1) => self.matrix(key).transpose(-2, -1)⏎        scores = scores.tanh()
values through the matrix: weights @ value => weights @ self.matrix(value)
keys averaged: weights @ value => weights @ key
""",
)


attention_weights = Exercise(
    chapter,
    "attention_weights",
    difficulty=2,
    minutes=10,
    doc="query (batch, query, d_k), key (batch, key, d_k), mask (batch, query, key) or None -> (batch, query, key)",
    solution="""def attention_weights(query, key, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        return scores.softmax(-1)
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0)""",
    package=attention.attention_weights,
    forms=[
        """scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
if mask is not None:
    scores = scores.masked_fill(~mask, -math.inf)
weights = scores.softmax(-1)
if mask is not None:
    weights = weights.masked_fill(~mask, 0.0)
return weights"""
    ],
    mistakes=MASKED + SCALED,
)


scaled_dot_product = Exercise(
    chapter,
    "scaled_dot_product",
    difficulty=2,
    minutes=15,
    doc="query (batch, query, d_k), key (batch, key, d_k), value (batch, key, d_v) -> (batch, query, d_v)",
    solution="""def scaled_dot_product_attention(query, key, value, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        weights = scores.where(mask, -math.inf).softmax(-1)
        weights = weights.where(mask, 0.0)
    return weights @ value""",
    package=attention.scaled_dot_product_attention,
    shapes="mask (batch, query, key) or None",
    forms=[
        """scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
if mask is not None:
    scores = scores.masked_fill(~mask, -math.inf)
weights = scores.softmax(-1)
if mask is not None:
    weights = weights.masked_fill(~mask, 0.0)
return weights @ value"""
    ],
    mistakes=MASKED
    + SCALED
    + """
keys averaged: weights @ value => weights @ key
queries and keys exchanged: query @ key.transpose(-2, -1) => key @ query.transpose(-2, -1)
values summed without weights: weights @ value => value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])
the hardest key alone: return weights @ value => weights = F.one_hot(weights.argmax(-1), weights.shape[-1]).to(value) * weights.any(-1, keepdim=True)⏎    return weights @ value
""",
)
