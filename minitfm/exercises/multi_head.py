"""Exercises of chapter 6: what heads cost, heads taken out and put together, who meets
whom after a wrong view, one key for all heads; splitting, merging and the whole layer.
"""

import torch
from torch import Tensor, nn

from minitfm import multihead
from minitfm.attention import SelfAttention, scaled_dot_product_attention
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "multi_head",
    asks="head_parameters keep_heads heads_together who_meets multi_query",
)
progress = chapter.progress


head_parameters = Answer(
    chapter,
    "head_parameters",
    difficulty=1,
    minutes=4,
    solution="""d_model, heads, d_k, d_v = 512, 12, 64, 32
query = key = d_model * heads * d_k
value = output = d_model * heads * d_v
answer = query + key + value + output""",
    package=lambda: sum(
        parameter.numel()
        for parameter in multihead.MultiHeadAttention(512, 12, 64, 32).parameters()
    ),
    wrong={
        "four square matrices": 4 * 512 * 512,
        "d_k for the values": 4 * 512 * 12 * 64,
        "d_v for queries and keys": 4 * 512 * 12 * 32,
        "one head": 2 * 512 * 64 + 2 * 512 * 32,
        "output projection missing": 512 * 12 * (2 * 64 + 32),
        "square output projection": 512 * 12 * (2 * 64 + 32) + 512 * 512,
        "output reads keys": 512 * 12 * (3 * 64 + 32),
        "biases": 512 * 12 * (2 * 64 + 2 * 32) + 12 * (2 * 64 + 32) + 512,
        "queries, keys and values of one head": 512 * (2 * 64 + 32) + 12 * 32 * 512,
        "output reads one head": 512 * 12 * (2 * 64 + 32) + 32 * 512,
        "every head its own output": 512 * 12 * (2 * 64 + 32) + 12 * 512 * 512,
    },
)


def _kept(draw: Draw, d_model: int, heads: int, d_head: int) -> tuple:
    kept = draw.random.randint(1, heads)
    order = torch.randperm(heads, generator=draw.generator)[:kept]
    whole = [draw.normal(heads * d_head, d_model) for _ in range(3)]
    return (*whole, draw.normal(d_model, heads * d_head), heads, order.tolist())


def _without_some(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    heads: int,
    keep: list[int],
) -> tuple[Tensor, ...]:
    """Each head alone, out of the package's layer, and these side by side."""
    d_head = len(query) // heads
    rows = torch.cat([torch.arange(d_head) + head * d_head for head in keep])
    return query[rows], key[rows], value[rows], output.index_select(1, rows)


keep_heads = Exercise(
    chapter,
    "keep_heads",
    difficulty=2,
    minutes=12,
    doc="""query, key, value (heads * d_head, d_model),
output (d_model, heads * d_head), keep: a list of heads
-> the same four of the smaller layer
""",
    solution="""def keep_heads(query, key, value, output, heads, keep):
    def kept(weight):
        return weight.unflatten(0, (heads, -1))[keep].flatten(0, 1)

    return kept(query), kept(key), kept(value), kept(output.T).T""",
    package=_without_some,
    inputs=_kept,
    sizes="d_model heads d_head",
    gradients=False,
    results=[
        ("query", "kept_numbers d_model"),
        ("key", "kept_numbers d_model"),
        ("value", "kept_numbers d_model"),
        ("output", "d_model kept_numbers"),
    ],
    mistakes="""
heads for rows: weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => weight[keep]
numbers interleaved: [keep].flatten(0, 1) => [keep].transpose(0, 1).flatten(0, 1)
output scaled: kept(output.T).T => kept(output.T).T * heads / max(len(keep), 1)
output cut by rows: kept(output.T).T => kept(output)
output cut by rows, with a view: kept(output.T).T => kept(output)
+ weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => weight.reshape(heads, -1, weight.shape[1])[keep].flatten(0, 1)
output cut by rows, in slices: kept(output.T).T => torch.cat([output[head * len(query) // heads : (head + 1) * len(query) // heads] for head in keep])
output cut by rows, in chunks: kept(output.T).T => torch.cat([output.chunk(heads)[head] for head in keep])
output cut by rows, by their numbers: kept(output.T).T => output[torch.arange(len(query)).view(heads, -1)[keep].flatten()]
d_head from d_model: return weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => d_head = query.shape[1] // heads⏎        return torch.cat([weight[head * d_head : (head + 1) * d_head] for head in keep])
d_head from d_model, by their numbers: return weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => d_head = query.shape[1] // heads⏎        return weight[torch.cat([torch.arange(d_head) + head * d_head for head in keep])]
output left whole: kept(output.T).T => output
every other row: weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => weight.unflatten(0, (-1, heads))[:, keep].flatten(0, 1)
width for number: (heads, -1) => (-1, heads)
order lost: [keep] => [sorted(keep)]
the others kept: [keep] => [[head for head in range(heads) if head not in keep]]
the first ones kept: [keep] => [:len(keep)]
counted from 1: [keep] => [[head - 1 for head in keep]]
zeros in their place: return weight.unflatten(0, (heads, -1))[keep].flatten(0, 1) => parts = torch.zeros_like(weight).unflatten(0, (heads, -1))⏎        parts[keep] = weight.unflatten(0, (heads, -1))[keep]⏎        return parts.flatten(0, 1)
not flattened: [keep].flatten(0, 1) => [keep]
output not turned back: kept(output.T).T => kept(output.T)
""",
)


def _stack(
    draw: Draw, heads: int, d_k: int, d_model: int
) -> tuple[list[SelfAttention]]:
    made = [SelfAttention(d_model, d_k) for _ in range(heads)]
    for part in made:
        for weight in part.parameters():
            weight.data = draw.normal(*weight.shape, dtype=torch.float32)
    return (made,)


def _by_hand(stack: list[SelfAttention]) -> tuple[Tensor, ...]:
    query, key, value = (
        torch.stack([getattr(part, name).weight for part in stack]).flatten(0, 1)
        for name in ("query", "key", "value")
    )
    ones = torch.eye(stack[0].value.out_features)
    return query, key, value, ones.repeat(1, len(stack))


heads_together = Exercise(
    chapter,
    "heads_together",
    difficulty=3,
    minutes=15,
    doc="""stack: a list of SelfAttention
-> the weights query (heads * d_k, d_model),
key (heads * d_k, d_model), value (heads * d_model, d_model)
and output (d_model, heads * d_model) of one layer
""",
    solution="""def heads_together(stack):
    query = torch.cat([head.query.weight for head in stack])
    key = torch.cat([head.key.weight for head in stack])
    value = torch.cat([head.value.weight for head in stack])
    d_model = value.shape[1]
    output = torch.cat([torch.eye(d_model)] * len(stack), dim=1)
    return query, key, value, output""",
    package=_by_hand,
    inputs=_stack,
    sizes="heads d_k d_model",
    gradients=False,
    without=["with inputs that are views"],
    results=[
        ("query", "head_numbers d_model"),
        ("key", "head_numbers d_model"),
        ("value", "value_numbers d_model"),
        ("output", "d_model value_numbers"),
    ],
    mistakes="""
mean for sum:     return query, key, value, output =>     return query, key, value, output / len(stack)
one block of the output:     return query, key, value, output =>     return query, key, value, output[:, :value.shape[1]]
output by rows: * len(stack), dim=1) => * len(stack), dim=0)
one large identity: torch.cat([torch.eye(d_model)] * len(stack), dim=1) => torch.eye(len(value))
ones for the identity: torch.eye(d_model) => torch.ones(d_model, d_model)
numbers interleaved: torch.cat([torch.eye(d_model)] * len(stack), dim=1) => torch.eye(d_model).repeat_interleave(len(stack), dim=1)
weights laid side by side: torch.cat([head.query.weight for head in stack]) => torch.cat([head.query.weight for head in stack], dim=1)
+ torch.cat([head.key.weight for head in stack]) => torch.cat([head.key.weight for head in stack], dim=1)
+ torch.cat([head.value.weight for head in stack]) => torch.cat([head.value.weight for head in stack], dim=1)
matrices transposed: head.query.weight => head.query.weight.T
+ head.key.weight => head.key.weight.T
+ head.value.weight => head.value.weight.T
values added up: torch.cat([head.value.weight for head in stack]) => sum(head.value.weight for head in stack)
first head for all: for head in stack => for head in [stack[0]] * len(stack)
stacked: torch.cat([head.query.weight for head in stack]) => torch.stack([head.query.weight for head in stack])
+ torch.cat([head.key.weight for head in stack]) => torch.stack([head.key.weight for head in stack])
+ torch.cat([head.value.weight for head in stack]) => torch.stack([head.value.weight for head in stack])
+ d_model = value.shape[1] => d_model = value.shape[2]
weights laid side by side, and their height taken for the width: torch.cat([head.query.weight for head in stack]) => torch.cat([head.query.weight for head in stack], dim=1)
+ torch.cat([head.key.weight for head in stack]) => torch.cat([head.key.weight for head in stack], dim=1)
+ torch.cat([head.value.weight for head in stack]) => torch.cat([head.value.weight for head in stack], dim=1)
+ d_model = value.shape[1] => d_model = value.shape[0]
rows of the heads interleaved: torch.cat([head.query.weight for head in stack]) => torch.stack([head.query.weight for head in stack], 1).flatten(0, 1)
+ torch.cat([head.key.weight for head in stack]) => torch.stack([head.key.weight for head in stack], 1).flatten(0, 1)
+ torch.cat([head.value.weight for head in stack]) => torch.stack([head.value.weight for head in stack], 1).flatten(0, 1)
weights added up: torch.cat([head.query.weight for head in stack]) => sum(head.query.weight for head in stack)
+ torch.cat([head.key.weight for head in stack]) => sum(head.key.weight for head in stack)
+ torch.cat([head.value.weight for head in stack]) => sum(head.value.weight for head in stack)
query and key exchanged: return query, key, => return key, query,
value and output exchanged: key, value, output => key, output, value
heads in reverse: query = torch.cat => stack = stack[::-1]⏎    query = torch.cat
""",
)


def _sizes_of_views(draw: Draw) -> list[Case]:
    pairs = ((4, 2), (12, 2), (6, 4), (5, 3), (7, 2), (3, 6), (5, 5), (1, 3), (6, 1))
    return [
        Case(pair, note=f"with {pair[0]} tokens and {pair[1]} heads") for pair in pairs
    ]


def _reached(tokens: int, heads: int) -> Tensor:
    """Found by moving one token after the other, through a layer with the wrong view."""
    found = torch.zeros(tokens, tokens, dtype=torch.bool)
    x = torch.linspace(-1, 1, tokens * heads, dtype=torch.float64).view(
        1, tokens, heads
    )
    for j in range(tokens):
        moved = x.clone()
        moved[:, j] += 3
        before, after = (
            scaled_dot_product_attention(y, y, y)
            for y in (z.reshape(1, heads, tokens, 1) for z in (x, moved))
        )
        found[:, j] = ((after - before).abs() > 1e-12).view(tokens, heads).any(-1)
    return found


who_meets = Exercise(
    chapter,
    "who_meets",
    difficulty=3,
    minutes=15,
    doc="-> (tokens, tokens), True where output i can depend on token j",
    solution="""def who_meets(tokens, heads):
    rows = torch.arange(heads * tokens)
    token, head = rows // heads, rows // tokens
    inside = torch.zeros(tokens, heads, dtype=torch.bool)
    inside[token, head] = True
    return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1)""",
    package=_reached,
    special=_sizes_of_views,
    gradients=False,
    axes="output token",
    mistakes="""
everybody: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => return torch.ones(tokens, tokens, dtype=torch.bool)
a token in one head alone: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => first = torch.arange(tokens) * heads // tokens⏎    return first.unsqueeze(1) == first
equal groups: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => group = torch.arange(tokens) // -(-tokens // heads)⏎    return group.unsqueeze(1) == group
by way of others: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => shared = inside.double() @ inside.double().T⏎    return shared.matrix_power(tokens) > 0
groups of as many tokens as heads: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => group = torch.arange(tokens) // heads⏎    return group.unsqueeze(1) == group
causal on top: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1).tril()
those who do not meet: return ( => return ~(
itself alone: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => return torch.eye(tokens, dtype=torch.bool)
groups of whole tokens, rounded down: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => group = torch.arange(tokens) // max(tokens // heads, 1)⏎    return group.unsqueeze(1) == group
every so many: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => group = torch.arange(tokens) % heads⏎    return group.unsqueeze(1) == group
one piece too many: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => lo = torch.arange(tokens) * heads // tokens⏎    hi = (torch.arange(tokens) + 1) * heads // tokens⏎    return (lo.unsqueeze(1) <= hi) & (lo <= hi.unsqueeze(1))
the diagonal left out: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) & ~torch.eye(tokens, dtype=torch.bool)
a band: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => place = torch.arange(tokens)⏎    return (place.unsqueeze(1) - place).abs() < tokens / heads
first or last head shared: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => lo = torch.arange(tokens) * heads // tokens⏎    hi = ((torch.arange(tokens) + 1) * heads - 1) // tokens⏎    return (lo.unsqueeze(1) == lo) | (hi.unsqueeze(1) == hi)
the first head of the one, any of the other: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => lo = torch.arange(tokens) * heads // tokens⏎    hi = ((torch.arange(tokens) + 1) * heads - 1) // tokens⏎    return (lo <= lo.unsqueeze(1)) & (lo.unsqueeze(1) <= hi)
ends of the heads rounded down: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => seen = torch.zeros(tokens, tokens, dtype=torch.bool)⏎    for h in range(heads):⏎        here = slice(h * tokens // heads, (h + 1) * tokens // heads)⏎        seen[here, here] = True⏎    return seen
as equal as they come, the larger ones first: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => group = torch.cat([torch.full((len(part),), i) for i, part in enumerate(torch.arange(tokens).tensor_split(heads))])⏎    return group.unsqueeze(1) == group
ends of the heads rounded: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => seen = torch.zeros(tokens, tokens, dtype=torch.bool)⏎    for h in range(heads):⏎        here = slice(round(h * tokens / heads), round((h + 1) * tokens / heads))⏎        seen[here, here] = True⏎    return seen
with one head itself alone: return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) => return (inside.unsqueeze(1) & inside.unsqueeze(0)).any(-1) if heads > 1 else torch.eye(tokens, dtype=torch.bool)
""",
)


class _MultiQuery(nn.Module):
    """The same, head by head, out of the package's attention."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model // heads, bias=False)
        self.value = nn.Linear(d_model, d_model // heads, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        k, v = self.key(key), self.value(value)
        found = [
            scaled_dot_product_attention(q, k, v, mask)
            for q in self.query(query).chunk(self.heads, dim=-1)
        ]
        return self.output(torch.cat(found, dim=-1))


# What both layers of several heads work with, what they take and what goes wrong.
PARTS = {
    "split_heads": multihead.split_heads,
    "merge_heads": multihead.merge_heads,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
SHAPES = (
    "query (batch, query, heads * d_head), key (batch, key, heads * d_head), "
    "value (batch, key, heads * d_head), mask (batch, query, key) or None"
)
HEADS = """
output projection missing: self.output(merge_heads(result)) => merge_heads(result)
not merged by heads: merge_heads(result) => result.reshape(query.shape)
heads averaged: merge_heads(result) => merge_heads(result.mean(1, keepdim=True).expand_as(result))
mask not over the heads: mask = mask.unsqueeze(1) => mask = mask
mask ignored: (q, k, v, mask) => (q, k, v)
scaled by d_model: scaled_dot_product_attention(q, k, v, mask) => scaled_dot_product_attention(q / math.sqrt(self.heads), k, v, mask)
values from the keys: self.value(value) => self.value(key)
values from the wrong projection: self.value(value) => self.key(value)
"""


def _whole_width(heads: int, d_head: int, **_: int) -> tuple[int, int]:
    return heads * d_head, heads


multi_query = Exercise(
    chapter,
    "multi_query",
    difficulty=4,
    minutes=20,
    doc="""(batch, query, d_model), 2 × (batch, key, d_model), mask
-> (batch, query, d_model)
""",
    solution="""class MultiQueryAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model // heads, bias=False)
        self.value = nn.Linear(d_model, d_model // heads, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(self, query, key, value, mask=None):
        q = split_heads(self.query(query), self.heads)
        k = self.key(key).unsqueeze(1)
        v = self.value(value).unsqueeze(1)
        if mask is not None:
            mask = mask.unsqueeze(1)
        result = scaled_dot_product_attention(q, k, v, mask)
        return self.output(merge_heads(result))""",
    package=_MultiQuery,
    names=PARTS,
    shapes=SHAPES,
    init=_whole_width,
    special=lambda draw: _masks(draw),
    axes="batch query d_model",
    forms=[
        """q = split_heads(self.query(query), self.heads)
k = self.key(key).unsqueeze(1)
v = self.value(value).unsqueeze(1)
scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
if mask is not None:
    scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)
weights = scores.softmax(-1)
if mask is not None:
    weights = weights.masked_fill(~mask.unsqueeze(1), 0.0)
return self.output(merge_heads(weights @ v))"""
    ],
    mistakes=HEADS
    + """
residual added: return self.output(merge_heads(result)) => return query + self.output(merge_heads(result))
no root, mask ignored: result = scaled_dot_product_attention(q, k, v, mask) => result = (q @ k.mT).softmax(-1) @ v
no root: result = scaled_dot_product_attention(q, k, v, mask) => result = scaled_dot_product_attention(q * math.sqrt(q.shape[-1]), k, v, mask)
mask after the softmax: result = scaled_dot_product_attention(q, k, v, mask) => weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)⏎        result = (weights if mask is None else weights * mask) @ v
causal without a mask: result = scaled_dot_product_attention(q, k, v, mask) => result = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
scores multiplied by the mask: result = scaled_dot_product_attention(q, k, v, mask) => scores = q @ k.mT / math.sqrt(q.shape[-1])⏎        if mask is not None:⏎            scores = scores * mask⏎        result = scores.softmax(-1) @ v
keys without the heads' axis: self.key(key).unsqueeze(1) => self.key(key)
+ self.value(value).unsqueeze(1) => self.value(value)
keys split: self.key(key).unsqueeze(1) => split_heads(self.key(key), self.heads)
+ self.value(value).unsqueeze(1) => split_heads(self.value(value), self.heads)
view without the transpose: split_heads(self.query(query), self.heads) => self.query(query).reshape(len(query), self.heads, query.shape[1], -1)
mask inverted: result = scaled_dot_product_attention(q, k, v, mask) => scores = q @ k.mT / math.sqrt(q.shape[-1])⏎        if mask is not None:⏎            scores = scores.masked_fill(mask, -math.inf)⏎        result = scores.softmax(-1) @ v
hidden by a large number: result = scaled_dot_product_attention(q, k, v, mask) => scores = q @ k.mT / math.sqrt(q.shape[-1])⏎        if mask is not None:⏎            scores = scores.masked_fill(~mask, -1e9)⏎        result = scores.softmax(-1) @ v
hidden by a large number, −1e4: result = scaled_dot_product_attention(q, k, v, mask) => scores = q @ k.mT / math.sqrt(q.shape[-1])⏎        if mask is not None:⏎            scores = scores.masked_fill(~mask, -1e4)⏎        result = scores.softmax(-1) @ v
NaN where nothing may be seen: result = scaled_dot_product_attention(q, k, v, mask) => scores = q @ k.mT / math.sqrt(q.shape[-1])⏎        if mask is not None:⏎            scores = scores.masked_fill(~mask, -math.inf)⏎        result = scores.softmax(-1) @ v
keys from the query: self.key(key) => self.key(query)
keys and values from the query: self.key(key) => self.key(query)
+ self.value(value) => self.value(query)
""",
)


split_heads = Exercise(
    chapter,
    "split_heads",
    difficulty=2,
    minutes=8,
    doc="x (batch, token, heads * d_head) -> (batch, heads, token, d_head)",
    solution="""def split_heads(x, heads):
    batch, token, d_heads = x.shape
    return x.view(batch, token, heads, d_heads // heads).transpose(1, 2)""",
    package=multihead.split_heads,
    inputs=lambda draw, batch, token, heads, d_head: (
        draw.normal(batch, token, heads * d_head),
        heads,
    ),
    mistakes="""
view without the transpose: x.view(batch, token, heads, d_heads // heads).transpose(1, 2) => x.reshape(batch, heads, token, d_heads // heads)
heads stay behind the tokens: .transpose(1, 2) =>
every other number: x.view(batch, token, heads, d_heads // heads).transpose(1, 2) => x.reshape(batch, token, d_heads // heads, heads).permute(0, 3, 1, 2)
head size for head count: x.view(batch, token, heads, d_heads // heads) => x.reshape(batch, token, d_heads // heads, heads)
token and width exchanged: .transpose(1, 2) => .permute(0, 2, 3, 1)
heads in the batch: .transpose(1, 2) => .permute(2, 0, 1, 3)
every head the whole vector: x.view(batch, token, heads, d_heads // heads).transpose(1, 2) => x.unsqueeze(1).expand(batch, heads, token, d_heads)
""",
)


merge_heads = Exercise(
    chapter,
    "merge_heads",
    difficulty=2,
    minutes=6,
    doc="x (batch, heads, token, d_head) -> (batch, token, heads * d_head)",
    solution="""def merge_heads(x):
    batch, heads, token, d_head = x.shape
    return x.transpose(1, 2).reshape(batch, token, heads * d_head)""",
    package=multihead.merge_heads,
    axes="batch token d_heads",
    mistakes="""
reshape without the transpose: x.transpose(1, 2).reshape => x.reshape
view after the transpose: x.transpose(1, 2).reshape( => x.transpose(1, 2).view(
numbers interleaved: x.transpose(1, 2) => x.permute(0, 2, 3, 1)
heads summed: x.transpose(1, 2).reshape(batch, token, heads * d_head) => x.sum(1)
heads averaged: x.transpose(1, 2).reshape(batch, token, heads * d_head) => x.mean(1)
heads not merged: .reshape(batch, token, heads * d_head) =>
tokens merged: x.transpose(1, 2).reshape(batch, token, heads * d_head) => x.reshape(batch, heads, token * d_head)
""",
)


def _masks(draw: Draw) -> list[Case]:
    shapes = {"(batch, 1, key)": (3, 1, 4), "(1, query, key)": (1, 5, 4)}
    found = []
    for told, shape in shapes.items():
        x, y = draw.normal(3, 5, 6), draw.normal(3, 4, 6)
        note = f"with a mask {told}, as many heads as sentences"
        found.append(Case((x, y, y + 1, draw.mask(*shape)), (6, 3), note))
    return found


multi_head = Exercise(
    chapter,
    "multi_head",
    difficulty=3,
    minutes=20,
    doc="(batch, query, d_model), 2 × (batch, key, d_model), mask -> (batch, query, d_model)",
    solution="""class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(self, query, key, value, mask=None):
        q = split_heads(self.query(query), self.heads)
        k = split_heads(self.key(key), self.heads)
        v = split_heads(self.value(value), self.heads)
        if mask is not None:
            mask = mask.unsqueeze(1)
        result = scaled_dot_product_attention(q, k, v, mask)
        return self.output(merge_heads(result))""",
    package=multihead.MultiHeadAttention,
    names=PARTS,
    shapes=SHAPES,
    init=_whole_width,
    special=_masks,
    axes="batch query d_model",
    mistakes=HEADS
    + """
view without the transpose: split_heads(self.query(query), self.heads) => cut(self.query(query), self.heads)
+ split_heads(self.key(key), self.heads) => cut(self.key(key), self.heads)
+ split_heads(self.value(value), self.heads) => cut(self.value(value), self.heads)
+ class MultiHead => def cut(x, heads):⏎    return x.reshape(len(x), heads, x.shape[1], -1)⏎⏎⏎class MultiHead
heads summed: merge_heads(result) => merge_heads(result.sum(1, keepdim=True).expand_as(result))
one head: split_heads(self.query(query), self.heads) => split_heads(self.query(query), 1)
+ split_heads(self.key(key), self.heads) => split_heads(self.key(key), 1)
+ split_heads(self.value(value), self.heads) => split_heads(self.value(value), 1)
keys from the query: self.key(key) => self.key(query)
+ self.value(value) => self.value(query)
query and key projections exchanged: self.query(query) => self.key(query)
+ self.key(key) => self.query(key)
""",
)
