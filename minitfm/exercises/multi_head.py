"""Exercises of chapter 6: splitting and merging heads, and multi-head attention."""

from minitfm import multihead
from minitfm.attention import scaled_dot_product_attention
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("multi_head", asks="split_heads merge_heads multi_head")
progress = chapter.progress


split_heads = Exercise(
    chapter,
    "split_heads",
    difficulty=2,
    minutes=8,
    stub='''def split_heads(x, heads):
    """x (batch, token, heads * d_head) -> (batch, heads, token, d_head)"""
    raise NotImplementedError
''',
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
    stub='''def merge_heads(x):
    """x (batch, heads, token, d_head) -> (batch, token, heads * d_head)"""
    raise NotImplementedError
''',
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
    stub='''class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(self, query, key, value, mask=None):
        """(batch, query, d_model), 2 × (batch, key, d_model), mask -> (batch, query, d_model)"""
        raise NotImplementedError
''',
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
    names={
        "split_heads": multihead.split_heads,
        "merge_heads": multihead.merge_heads,
        "scaled_dot_product_attention": scaled_dot_product_attention,
    },
    shapes="query (batch, query, heads * d_head), key (batch, key, heads * d_head), "
    "value (batch, key, heads * d_head), mask (batch, query, key) or None",
    init=lambda heads, d_head, **_: (heads * d_head, heads),
    special=_masks,
    axes="batch query d_model",
    mistakes="""
output projection missing: self.output(merge_heads(result)) => merge_heads(result)
view without the transpose: split_heads(self.query(query), self.heads) => cut(self.query(query), self.heads)
+ split_heads(self.key(key), self.heads) => cut(self.key(key), self.heads)
+ split_heads(self.value(value), self.heads) => cut(self.value(value), self.heads)
+ class MultiHead => def cut(x, heads):⏎    return x.reshape(len(x), heads, x.shape[1], -1)⏎⏎⏎class MultiHead
not merged by heads: merge_heads(result) => result.reshape(query.shape)
scaled by d_model: scaled_dot_product_attention(q, k, v, mask) => scaled_dot_product_attention(q / math.sqrt(self.heads), k, v, mask)
heads averaged: merge_heads(result) => merge_heads(result.mean(1, keepdim=True).expand_as(result))
heads summed: merge_heads(result) => merge_heads(result.sum(1, keepdim=True).expand_as(result))
mask not over the heads: mask = mask.unsqueeze(1) => mask = mask
mask ignored: (q, k, v, mask) => (q, k, v)
one head: split_heads(self.query(query), self.heads) => split_heads(self.query(query), 1)
+ split_heads(self.key(key), self.heads) => split_heads(self.key(key), 1)
+ split_heads(self.value(value), self.heads) => split_heads(self.value(value), 1)
keys from the query: self.key(key) => self.key(query)
+ self.value(value) => self.value(query)
values from the wrong projection: self.value(value) => self.key(value)
query and key projections exchanged: self.query(query) => self.key(query)
+ self.key(key) => self.query(key)
values from the keys: self.value(value) => self.value(key)
""",
)
