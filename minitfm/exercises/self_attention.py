"""Exercises of chapter 5: the padding mask, the causal mask, self-attention."""

from typing import Any

import torch

from minitfm import attention, masks
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("self_attention", asks="padding_mask causal_mask self_attention")
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
    stub='''def padding_mask(tokens, pad=0):
    """tokens (batch, key), whole numbers -> (batch, 1, key), True where a key may be attended to"""
    raise NotImplementedError
''',
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
        for size in (4, n, 1)
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
    stub='''def causal_mask(query, key=None):
    """numbers of queries and keys (as many as queries, unless said) -> (query, key), True where attending is allowed"""
    raise NotImplementedError
''',
    solution="""def causal_mask(query, key=None):
    key = query if key is None else key
    return torch.ones(query, key, dtype=torch.bool).tril(key - query)""",
    package=masks.causal_mask,
    special=_lengths,
    axes="query key",
    mistakes="""
upper triangle: .tril(key - query) => .triu(key - query)
inverted: return torch.ones(query, key, dtype=torch.bool).tril(key - query) => return torch.ones(query, key, dtype=torch.bool).triu(key - query + 1)
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
    stub='''class SelfAttention(nn.Module):
    def __init__(self, d_model, d_k, causal):
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(d_model, d_k, bias=False)
        self.key = nn.Linear(d_model, d_k, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, mask=None):
        """x (batch, token, d_model), mask True where attending is allowed -> (batch, token, d_model)"""
        raise NotImplementedError
''',
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
