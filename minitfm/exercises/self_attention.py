"""Exercises of chapter 5: heads set by hand, masks, self-attention."""

import math
from typing import Any

import torch
from torch import Tensor

from minitfm import attention, masks
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "self_attention",
    asks="ask_for ask_the_first how_loud rows_that_change packed_mask nearest_before",
)
progress = chapter.progress


def _tokens(draw: Draw) -> list[Case]:
    cases = []
    for pad in (None, 0, 3):
        sizes = draw.sizes("batch key")
        tokens = draw.tokens(sizes["batch"], sizes["key"] + 2, pad=pad or 0)
        sizes["key"] += 2
        note = "with the default pad" if pad is None else f"with pad = {pad}"
        cases.append(
            Case((tokens,) if pad is None else (tokens, pad), note=note, sizes=sizes)
        )
    cases.append(
        Case(
            (torch.tensor([[0, 4, 0, 5], [0, 0, 0, 0]]),),
            note="with padding in front and in between",
        )
    )
    return cases


padding_mask = Exercise(
    chapter,
    "padding_mask",
    difficulty=1,
    minutes=4,
    doc="tokens (batch, key), whole numbers -> (batch, 1, key), True where a key may be attended to",
    solution="""def padding_mask(tokens, pad=0):
    return (tokens != pad).unsqueeze(1)""",
    package=masks.padding_mask,
    inputs=lambda draw, batch, key: (draw.tokens(batch, key),),
    special=_tokens,
    axes="batch query key",
    mistakes="""
inverted: tokens != pad => tokens == pad
axis of the queries missing: .unsqueeze(1) =>
queries masked instead of keys: .unsqueeze(1) => .unsqueeze(2)
axis in front: .unsqueeze(1) => .unsqueeze(0)
queries masked as well: (tokens != pad).unsqueeze(1) => (tokens != pad).unsqueeze(1) & (tokens != pad).unsqueeze(2)
pad ignored: tokens != pad => tokens != 0
larger than pad: tokens != pad => tokens > pad
numbers instead of booleans: (tokens != pad) => (tokens != pad).float()
added to the scores: (tokens != pad) => torch.zeros(tokens.shape).masked_fill(tokens == pad, float('-inf'))
""",
)


def _lengths(draw: Draw) -> list[Case]:
    n, more = draw.sizes("query more").values()
    squares = [
        Case((size,), note="with as many keys as queries", sizes={"query": size})
        for size in (4, n, 1, 12)
    ]
    wide = [
        Case(
            (size, size + extra),
            note="with more keys than queries",
            sizes={"query": size, "key": size + extra},
        )
        for size, extra in ((n, more), (1, 5), (3, 0), (2, 1))
    ]
    return [*squares, *wide]


causal_mask = Exercise(
    chapter,
    "causal_mask",
    difficulty=2,
    minutes=6,
    doc="numbers of queries and keys (as many as queries, unless said) -> (query, key), True where attending is allowed",
    solution="""def causal_mask(query, key=None):
    key = query if key is None else key
    return torch.ones(query, key, dtype=torch.bool).tril(key - query)""",
    package=masks.causal_mask,
    special=_lengths,
    axes="query key",
    mistakes="""
upper triangle: .tril(key - query) => .triu(key - query)
upper triangle from the first key: .tril(key - query) => .triu()
inverted: return torch.ones(query, key, dtype=torch.bool).tril(key - query) => return torch.ones(query, key, dtype=torch.bool).triu(key - query + 1)
inverted, from the first key: .tril(key - query) => .triu(1)
sees the next: tril(key - query) => tril(key - query + 1)
does not see itself: tril(key - query) => tril(key - query - 1)
queries are the first: tril(key - query) => tril()
keys ignored: torch.ones(query, key, dtype=torch.bool).tril(key - query) => torch.ones(query, query, dtype=torch.bool).tril()
keys by queries: tril(key - query) => tril(key - query).T
numbers instead of booleans: , dtype=torch.bool =>
added to the scores: return torch.ones(query, key, dtype=torch.bool).tril(key - query) => return torch.full((query, key), -math.inf).triu(key - query + 1)
everything allowed: .tril(key - query) =>
""",
)


class SelfAttentionReference(attention.SelfAttention):
    """The package's `SelfAttention` with the arguments of the stub, which takes them by
    place.
    """

    def __init__(self, d_model: int, d_k: int, causal: bool) -> None:
        """Make it."""
        super().__init__(d_model, d_k, causal=causal)


def _sentences(draw: Draw) -> list[Case]:
    def case(
        note: str, causal: bool, mask: str = "", grad: bool = False, **options: Any
    ) -> Case:
        sizes = draw.sizes("batch token d_model d_k")
        batch, token, d_model, d_k = sizes.values()
        args: tuple[Any, ...] = (draw.normal(batch, token, d_model, **options),)
        if mask:
            args += (draw.mask(batch, 1 if mask == "padding" else token, token),)
        return Case(args, (d_model, d_k, causal), note, sizes, grad)

    return [
        case("without masks", False),
        case("causal", True),
        case("with a padding mask", False, "padding"),
        case("with a mask (batch, token, token)", False, "full"),
        case("causal with a padding mask", True, "padding"),
        case("causal with a mask (batch, token, token)", True, "full"),
        case("in float32", True, "padding", dtype=torch.float32),
        case("gradients", False, "padding", grad=True),
    ]


self_attention = Exercise(
    chapter,
    "self_attention",
    difficulty=3,
    minutes=12,
    doc="x (batch, token, d_model), mask True where attending is allowed -> (batch, token, d_model)",
    solution="""class SelfAttention(nn.Module):
    def __init__(self, d_model, d_k, causal):
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(d_model, d_k, bias=False)
        self.key = nn.Linear(d_model, d_k, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, mask=None):
        if self.causal:
            causal = causal_mask(x.shape[1], device=x.device).unsqueeze(0)
            mask = causal if mask is None else causal & mask
        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)""",
    package=SelfAttentionReference,
    names={
        "causal_mask": masks.causal_mask,
        "scaled_dot_product_attention": attention.scaled_dot_product_attention,
        "attention_weights": attention.attention_weights,
    },
    shapes="mask (batch, token, token) or None",
    sizes="batch token d_model d_k",
    init=lambda d_model, d_k, **_: (d_model, d_k, False),
    special=_sentences,
    axes="batch token d_model",
    mistakes="""
causal ignored: if self.causal: => if False:
always causal: if self.causal: => if True:
mask ignored: causal if mask is None else causal & mask => causal
+ self.value(x), mask) => self.value(x), mask if self.causal else None)
causal mask instead of the other: causal if mask is None else causal & mask => causal
either mask suffices: causal & mask => causal | mask
causal mask the wrong way round: causal_mask(x.shape[1], device=x.device) => causal_mask(x.shape[1], device=x.device).T
queries masked instead of keys:         return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask) =>         mask = mask if mask is None or self.causal else mask.transpose(1, 2)⏎        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)
mask after the softmax:         return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask) =>         weights = attention_weights(self.query(x), self.key(x))⏎        return (weights if mask is None else weights * mask) @ self.value(x)
query and key exchanged: self.query(x), self.key(x) => self.key(x), self.query(x)
values not projected: self.value(x) => x
residual added: return scaled_dot_product_attention( => return x + scaled_dot_product_attention(
scaled by d_model: (self.query(x), self => (self.query(x) * (self.query.out_features / x.shape[-1]) ** 0.5, self
""",
)


def _queries_found_by_trying(places: int, shift: int) -> Tensor:
    """Try every key for every token: the query is the key that stands ``shift`` away."""
    label = torch.eye(places)
    queries = [
        label[i + shift] if i + shift in range(places) else torch.zeros(places)
        for i in range(places)
    ]
    return torch.stack(queries, dim=1)


def _shifts(draw: Draw) -> list[Case]:
    pairs = [(5, 1), (5, -1), (6, 2), (6, -3), (4, 0), (3, 3), (3, -4), (1, 0), (1, 1)]
    pairs.append((12, 2))
    return [
        Case((places, shift), note=f"with {places} places and shift {shift}")
        for places, shift in pairs
    ]


ask_for = Exercise(
    chapter,
    "ask_for",
    difficulty=2,
    minutes=8,
    doc="two whole numbers -> W_Q (places, places)",
    solution="""def ask_for(places, shift):
    W_Q = torch.zeros(places, places)
    for i in range(places):
        if 0 <= i + shift < places:
            W_Q[i + shift, i] = 1.0
    return W_Q""",
    package=_queries_found_by_trying,
    special=_shifts,
    axes="row column",
    gradients=False,
    mistakes="""
identity: return W_Q => return torch.eye(places)
the triangle: return W_Q => return torch.ones(places, places).tril(-shift)
one place too few: if 0 <= i + shift < places:⏎            W_Q[i + shift, i] => if 0 <= i + shift - 1 < places:⏎            W_Q[i + shift - 1, i]
counted from 1: range(places) => range(1, places)
other direction: W_Q[i + shift, i] => W_Q[i, i + shift]
wraps around: if 0 <= i + shift < places:⏎            W_Q[i + shift, i] => if True:⏎            W_Q[(i + shift) % places, i]
other direction and around: if 0 <= i + shift < places:⏎            W_Q[i + shift, i] => if True:⏎            W_Q[i, (i + shift) % places]
wraps around in front: 0 <= i + shift < places => i + shift < places
sign ignored: if 0 <= i + shift < places:⏎            W_Q[i + shift, i] => if 0 <= i + abs(shift) < places:⏎            W_Q[i + abs(shift), i]
one place too far: if 0 <= i + shift < places:⏎            W_Q[i + shift, i] => if 0 <= i + shift + 1 < places:⏎            W_Q[i + shift + 1, i]
the last place left out: i + shift < places => i + shift < places - 1
the last column left out: range(places) => range(places - 1)
itself where there is none:         if 0 <= i + shift < places:⏎            W_Q[i + shift, i] = 1.0 =>         W_Q[i + shift if 0 <= i + shift < places else i, i] = 1.0
off by one: W_Q[i + shift, i] => W_Q[(i + shift + 1) % places, i]
the token itself as well: return W_Q => return W_Q + torch.eye(places) * (shift != 0)
shift ignored: W_Q[i + shift, i] = => W_Q[i, i] =
everybody up to there:             W_Q[i + shift, i] = 1.0 =>             W_Q[i + shift :, i] = 1.0
both directions: return W_Q => return torch.maximum(W_Q, W_Q.T)
a strong no: return W_Q => return 2 * W_Q - 1
the edge asks for itself:         if 0 <= i + shift < places:⏎            W_Q[i + shift, i] = 1.0 =>         W_Q[min(max(i + shift, 0), places - 1), i] = 1.0
twenty times the label: return W_Q => return 20 * W_Q
around behind the end: 0 <= i + shift < places:⏎            W_Q[i + shift, i] => 0 <= i + shift:⏎            W_Q[(i + shift) % places, i]
""",
)


def _first_by_products(d: int, places: int) -> Tensor:
    """The first key times, for every place, the label that stands there."""
    first = torch.eye(places)[:1].T
    return torch.cat([torch.zeros(places, d), first @ torch.ones(1, places)], dim=1)


ask_the_first = Exercise(
    chapter,
    "ask_the_first",
    difficulty=2,
    minutes=6,
    doc="two whole numbers -> W_Q (places, d + places)",
    solution="""def ask_the_first(d, places):
    W_Q = torch.zeros(places, d + places)
    W_Q[0, d:] = 1.0
    return W_Q""",
    package=_first_by_products,
    special=lambda draw: [
        Case((d, places), note=f"with d = {d} and {places} places")
        for d, places in ((3, 5), (2, 2), (6, 4), (1, 3), (3, 1), (1, 1), (12, 11))
    ],
    axes="row column",
    gradients=False,
    mistakes="""
every label everywhere: W_Q[0, d:] => W_Q[:, d:]
a share of the first: = 1.0 => = 1 / places
counted from 1: W_Q[0, d:] => W_Q[1, d:]
the row of the labels: W_Q[0, d:] => W_Q[d, d:]
a column too late: W_Q[0, d:] => W_Q[0, d + 1:]
a column too early: W_Q[0, d:] => W_Q[0, d - 1:]
the last label left out: W_Q[0, d:] => W_Q[0, d:-1]
the meaning asks against: return W_Q => W_Q[0, :d] = -1.0⏎    return W_Q
only the first token asks: W_Q[0, d:] => W_Q[0, d]
the meaning asks, too: W_Q[0, d:] => W_Q[0]
label taken from the front: W_Q[0, d:] => W_Q[0, :places]
every token asks for itself: W_Q[0, d:] = 1.0 => W_Q[:, d:] = torch.eye(places)
the first asks for everybody: W_Q[0, d:] => W_Q[:, d]
asks for the last: W_Q[0, d:] => W_Q[-1, d:]
""",
)


def _loudness_by_bisection(n: int, d_k: int, share: float) -> float:
    """Raise and lower the query until the package's attention gives the share."""
    key = torch.eye(n, max(n, d_k), dtype=torch.float64)[:, :n]
    low, high = -1e4, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        # the dot products run over n numbers; the division must be by the root of d_k
        query = middle * math.sqrt(n / d_k) * key[:1]
        weight = attention.attention_weights(query, key)[0, 0].item()
        low, high = (middle, high) if weight < share else (low, middle)
    return (low + high) / 2


how_loud = Exercise(
    chapter,
    "how_loud",
    difficulty=2,
    minutes=10,
    doc="n and d_k whole numbers, share between 0 and 1 -> one number",
    solution="""def how_loud(n, d_k, share):
    odds = share / (1 - share)
    return math.sqrt(d_k) * math.log(odds * (n - 1))""",
    package=_loudness_by_bisection,
    special=lambda draw: [
        Case(args, note=f"with n = {args[0]}, d_k = {args[1]}, share = {args[2]}")
        for args in (
            (5, 5, 0.9),
            (2, 1, 0.6),
            (100, 64, 0.99),
            (1000, 16, 0.5),
            (10, 4, 0.2),
            (8, 2, 0.02),
        )
    ],
    axes="",
    gradients=False,
    mistakes="""
base 10: math.log( => math.log10(
never below 0: return math.sqrt(d_k) * math.log(odds * (n - 1)) => return max(0.0, math.sqrt(d_k) * math.log(odds * (n - 1)))
root rounded down: math.sqrt(d_k) => int(math.sqrt(d_k))
not scaled: math.sqrt(d_k) * =>
scaled the wrong way: math.sqrt(d_k) * => 1 / math.sqrt(d_k) *
scaled by d_k: math.sqrt(d_k) => d_k
one too many: (n - 1) => n
the others forgotten: odds * (n - 1) => odds
share instead of odds: odds = share / (1 - share) => odds = share
upside down: math.log(odds * (n - 1)) => math.log(odds / (n - 1))
not scaled, the rivals subtracted: math.sqrt(d_k) * math.log(odds * (n - 1)) => math.log(odds / (n - 1))
sign flipped: math.sqrt(d_k) * => -math.sqrt(d_k) *
the root for one part only: math.log(odds * (n - 1)) => math.log(odds) + math.log(n - 1)
the root for one part only, the rivals subtracted: math.log(odds * (n - 1)) => math.log(odds) - math.log(n - 1)
""",
)


def _rows_by_trying(mask: Tensor, j: int) -> Tensor:
    """Change token j, and compare the rows of the package's attention."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(mask), 8, generator=generator, dtype=torch.float64)
    changed = x.clone()
    changed[j] += 1.5
    before, after = (
        attention.scaled_dot_product_attention(y, y, y, mask) for y in (x, changed)
    )
    return (before - after).abs().amax(-1) > 1e-9


def _masks_and_tokens(draw: Draw) -> list[Case]:
    causal = masks.causal_mask(6)
    cases = [
        Case((causal, 2), note="with a causal mask"),
        Case((causal, 0), note="with a causal mask and the first token changed"),
        Case((causal & ~torch.eye(6, dtype=torch.bool), 0), note="without itself"),
        Case((causal & ~torch.eye(6, dtype=torch.bool), 1), note="one other key"),
        Case((causal & ~torch.eye(6, dtype=torch.bool), 3), note="several others"),
        Case((causal.T, 4), note="with a mask that looks ahead"),
        Case((torch.eye(4, dtype=torch.bool), 2), note="each sees itself alone"),
        Case((torch.zeros(3, 3, dtype=torch.bool), 1), note="with nothing allowed"),
        Case((torch.ones(1, 1, dtype=torch.bool), 0), note="with a single token"),
    ]
    for _ in range(4):
        n = draw.sizes("token")["token"]
        j = draw.random.randrange(n)
        cases.append(Case((draw.mask(n, n), j), note="with any mask"))
    return cases


rows_that_change = Exercise(
    chapter,
    "rows_that_change",
    difficulty=3,
    minutes=10,
    doc="mask (token, token), True where a query may look at a key; j a whole number -> (token), True where the row may change",
    solution="""def rows_that_change(mask, j):
    rows = mask[:, j].clone()
    if mask[j].sum() > 1:
        rows[j] = True
    return rows""",
    package=_rows_by_trying,
    inputs=lambda draw, token: (draw.mask(token, token), 0),
    sizes="token",
    special=_masks_and_tokens,
    without=["with token = 1"],
    axes="token",
    gradients=False,
    mistakes="""
all upside down: return rows => return ~rows
column counted: mask[j].sum() > 1 => mask[:, j].sum() > 1
row or column: rows = mask[:, j].clone() => rows = mask[:, j] | mask[j]
by way of others: rows = mask[:, j].clone() => rows = mask.double().matrix_power(len(mask))[:, j] > 0
j alone: return rows => return torch.arange(len(mask)) == j
every row: return rows => return torch.ones_like(rows)
not with a single key: rows = mask[:, j].clone() => rows = mask[:, j] & (mask.sum(1) > 1)
row for column: mask[:, j] => mask[j]
its own row forgotten: mask[j].sum() > 1 => False
its own row always: mask[j].sum() > 1 => True
a single key suffices: mask[j].sum() > 1 => mask[j].sum() > 0
upside down: mask[:, j] => ~mask[:, j]
a lone token that sees only itself:     if mask[j].sum() > 1:⏎        rows[j] = True =>     rows[j] = mask[j].sum() > 1
all later rows: rows = mask[:, j].clone() => rows = torch.arange(len(mask)) >= j
""",
)


def _packed_with_our_masks(sentence: Tensor) -> Tensor:
    """One mask a sentence, joined."""
    causal = masks.causal_mask(sentence.shape[1])
    joined = torch.zeros(len(sentence), *causal.shape, dtype=torch.bool)
    for number in range(1, int(sentence.max()) + 1):
        inside = masks.padding_mask((sentence == number).int())
        joined |= inside & inside.transpose(1, 2) & causal
    return joined


def _packed(draw: Draw) -> list[Case]:
    rows = [[1, 1, 2, 2, 2, 3, 0], [1, 1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 0, 0]]
    return [
        Case((torch.tensor(rows),), note="with three rows"),
        Case((torch.tensor([[1, 1, 2, 2]]),), note="without padding"),
        Case((torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]),), note="with an empty row"),
        Case(
            (torch.tensor([[0, 0, 1, 1, 2], [1, 1, 0, 2, 2], [0, 1, 0, 0, 1]]),),
            note="with padding in front and in between",
        ),
        Case((torch.tensor([[1]]),), note="with a single token"),
        Case((torch.tensor(rows, dtype=torch.int32),), note="with int32"),
    ]


packed_mask = Exercise(
    chapter,
    "packed_mask",
    difficulty=3,
    minutes=12,
    doc="sentence (batch, token), whole numbers -> (batch, token, token), True where a token may look",
    solution="""def packed_mask(sentence):
    same = sentence.unsqueeze(2) == sentence.unsqueeze(1)
    real = (sentence != 0).unsqueeze(1)
    token = sentence.shape[1]
    past = torch.ones(token, token, dtype=torch.bool).tril()
    return same & real & past""",
    package=_packed_with_our_masks,
    inputs=lambda draw, batch, token: (
        torch.cat(
            [
                draw.ids(1, 3, batch, token).cumsum(1),
                torch.zeros(batch, 1, dtype=torch.long),
            ],
            dim=1,
        ),
    ),
    sizes="batch token",
    special=_packed,
    axes="batch query key",
    gradients=False,
    mistakes="""
sentences not kept apart: same & real & past => real & past
sentences not kept apart, padding hidden: same & real & past => real & real.mT & past
all upside down: return same & real & past => return ~(same & real & past)
causal alone: return same & real & past => return past.expand_as(same)
padding looks at all: return same & real & past => return (same | ~real.mT) & real & past
last sentence left out: return same & real & past => return same & real & past & (sentence < sentence.max()).unsqueeze(1)
the future is seen: same & real & past => same & real
padding sees padding: same & real & past => same & past
looks ahead: .tril() => .triu()
does not see itself: .tril() => .tril(-1)
numbers instead of booleans: same & real & past => (same & real & past).float()
same sentences hidden: same & real & past => same.logical_not() & real & past
padding sees itself: same & real & past => same & real & past | torch.eye(token, dtype=torch.bool)
only the neighbor: past = torch.ones(token, token, dtype=torch.bool).tril() => past = torch.ones(token, token, dtype=torch.bool).tril().triu(-1)
the first row's mask: return same & real & past => return (same & real & past)[:1].expand_as(same)
""",
)


def _nearest_with_our_softmax(
    query: Tensor, key: Tensor, value: Tensor, slope: float
) -> Tensor:
    """The distance as two more numbers of query and key: their product is slope * j."""
    token, d_k = query.shape[-2:]
    place = torch.arange(token, dtype=query.dtype)
    ones = torch.ones_like(query[..., :1])
    louder = slope * place.unsqueeze(-1) * math.sqrt(d_k) * ones
    scale = math.sqrt((d_k + 1) / d_k)  # one number more in the dot product
    return attention.scaled_dot_product_attention(
        torch.cat([query, ones], -1) * scale,
        torch.cat([key, louder], -1),
        value,
        masks.causal_mask(token) & ~torch.eye(token, dtype=torch.bool),
    )


def _with_slope(
    draw: Draw, batch: int, token: int, d_k: int, d_v: int
) -> tuple[Any, ...]:
    return (
        draw.normal(batch, token, d_k),
        draw.normal(batch, token, d_k),
        draw.normal(batch, token, d_v),
        0.5,
    )


nearest_before = Exercise(
    chapter,
    "nearest_before",
    difficulty=4,
    minutes=15,
    doc="query, key (batch, token, d_k), value (batch, token, d_v), slope a number -> (batch, token, d_v)",
    solution="""def nearest_before(query, key, value, slope):
    token, d_k = query.shape[-2:]
    place = torch.arange(token)
    distance = place.unsqueeze(1) - place
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k) - slope * distance
    mask = distance > 0
    weights = scores.where(mask, -math.inf).softmax(-1).where(mask, 0.0)
    return weights @ value""",
    package=_nearest_with_our_softmax,
    inputs=_with_slope,
    sizes="batch token d_k d_v",
    special=lambda draw: [
        Case((*_with_slope(draw, 2, 5, 3, 4)[:3], slope), note=f"with slope {slope}")
        for slope in (0.0, 2.0, 5, -1.5)
    ],
    axes="batch token d_v",
    names={
        "masked_softmax": attention.masked_softmax,
        "attention_weights": attention.attention_weights,
        "causal_mask": masks.causal_mask,
    },
    mistakes="""
sees itself: distance > 0 => distance >= 0
mask inverted: .where(mask, -math.inf).softmax(-1).where(mask, 0.0) => .masked_fill(mask, -math.inf).softmax(-1)
looks ahead: distance > 0 => distance < 0
the future is seen: distance > 0 => distance != 0
farther is better: - slope * distance => + slope * distance
not scaled:  / math.sqrt(d_k) =>
distance scaled, too: query @ key.transpose(-2, -1) / math.sqrt(d_k) - slope * distance => (query @ key.transpose(-2, -1) - slope * distance) / math.sqrt(d_k)
distance ignored:  - slope * distance =>
first token is NaN: .where(mask, 0.0) =>
large number for −∞: .where(mask, -math.inf).softmax(-1).where(mask, 0.0) => .where(mask, -1e9).softmax(-1)
distance after the softmax:  - slope * distance =>
+ return weights @ value => return (weights - slope * distance) @ value
mask after the softmax: weights = scores.where(mask, -math.inf).softmax(-1) => weights = scores.softmax(-1)
no mask: weights = scores.where(mask, -math.inf).softmax(-1).where(mask, 0.0) => weights = scores.softmax(-1)
no mask, distance without its sign: distance = place.unsqueeze(1) - place => distance = (place.unsqueeze(1) - place).abs()
+ weights = scores.where(mask, -math.inf).softmax(-1).where(mask, 0.0) => weights = scores.softmax(-1)
distance multiplied: - slope * distance => * slope * distance
distance squared: - slope * distance => - slope * distance**2
distance after the softmax, masked: softmax(-1).where(mask, 0.0) => softmax(-1).where(mask, 0.0) - slope * distance * mask
+  / math.sqrt(d_k) - slope * distance =>  / math.sqrt(d_k)
the first token sees itself: return weights @ value => return torch.cat([value[:, :1], (weights @ value)[:, 1:]], dim=1)
the token before, whatever the scores: return weights @ value => return torch.cat([torch.zeros_like(value[:, :1]), value[:, :-1]], dim=1)
result shifted: distance > 0 => distance >= 0
+ return weights @ value => moved = weights @ value⏎    return torch.cat([torch.zeros_like(moved[:, :1]), moved[:, :-1]], dim=1)
mask added as 0 and 1: weights = scores.where(mask, -math.inf).softmax(-1).where(mask, 0.0) => weights = (scores + mask.to(scores)).softmax(-1) * (place > 0).unsqueeze(1)
hidden scores set to 0: weights = scores.where(mask, -math.inf).softmax(-1).where(mask, 0.0) => weights = scores.where(mask, 0.0).softmax(-1) * (place > 0).unsqueeze(1)
query and key exchanged: query @ key.transpose(-2, -1) => key @ query.transpose(-2, -1)
""",
)
