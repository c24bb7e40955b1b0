"""Exercises of chapter 4: the weights of attention, and scaled dot-product
attention.
"""

from minitfm import attention
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("attention", asks="attention_weights scaled_dot_product")
progress = chapter.progress


attention_weights = Exercise(
    chapter,
    "attention_weights",
    difficulty=2,
    minutes=10,
    stub='''def attention_weights(query, key, mask=None):
    """query (batch, query, d_k), key (batch, key, d_k), mask (batch, query, key) or None -> (batch, query, key)"""
    raise NotImplementedError
''',
    solution="""def attention_weights(query, key, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        return scores.softmax(-1)
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0)""",
    package=attention.attention_weights,
    mistakes="""
no scaling:  / math.sqrt(d_k) =>
scaled by d_k: / math.sqrt(d_k) => / d_k
multiplied by the root: / math.sqrt(d_k) => * math.sqrt(d_k)
scaled by the number of keys: math.sqrt(d_k) => math.sqrt(key.shape[-2])
softmax over the queries: softmax(-1) => softmax(-2)
softmax over the batch: softmax(-1) => softmax(0)
no softmax: .softmax(-1) =>
mask inverted: scores.where(mask, => scores.where(~mask,
+ weights.where(mask, => weights.where(~mask,
mask ignored: if mask is None: => if True:
NaN where nothing may be attended to: return weights.where(mask, 0.0) => return weights
uniform where nothing may be attended to: -math.inf => -1e9
+ return weights.where(mask, 0.0) => return weights
masked scores set to 0: scores.where(mask, -math.inf) => scores.where(mask, 0.0)
+ return weights.where(mask, 0.0) => return weights
mask after the softmax: scores.where(mask, -math.inf).softmax(-1) => scores.softmax(-1)
scaled after the softmax:  / math.sqrt(d_k) =>
+ softmax(-1) => softmax(-1) / math.sqrt(d_k)
softmax overflows: return scores.softmax(-1) => return scores.exp() / scores.exp().sum(-1, keepdim=True)
+ scores.where(mask, -math.inf).softmax(-1) => scores.where(mask, -math.inf).exp() / scores.where(mask, -math.inf).exp().sum(-1, keepdim=True)
gradient cut at the weights: d_k = query.shape[-1] => d_k = query.shape[-1]; query, key = query.detach(), key.detach()
mask inverted, −1e9: scores.where(mask, -math.inf) => scores.masked_fill(mask, -1e9)
+ return weights.where(mask, 0.0) => return weights
mask inverted, NaN: scores.where(mask, -math.inf) => scores.masked_fill(mask, -math.inf)
+ return weights.where(mask, 0.0) => return weights
mask inverted before the softmax: scores.where(mask, -math.inf) => scores.where(~mask, -1e9)
width fixed at 64: math.sqrt(d_k) => 8.0
sigmoid for softmax: .softmax(-1) => .sigmoid()
""",
)


scaled_dot_product = Exercise(
    chapter,
    "scaled_dot_product",
    difficulty=2,
    minutes=15,
    stub='''def scaled_dot_product_attention(query, key, value, mask=None):
    """query (batch, query, d_k), key (batch, key, d_k), value (batch, key, d_v) -> (batch, query, d_v)"""
    raise NotImplementedError
''',
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
    mistakes="""
no scaling:  / math.sqrt(d_k) =>
scaled by d_k: / math.sqrt(d_k) => / d_k
multiplied by the root: / math.sqrt(d_k) => * math.sqrt(d_k)
scaled by the number of keys: math.sqrt(d_k) => math.sqrt(key.shape[-2])
softmax over the queries: softmax(-1) => softmax(-2)
softmax over the batch: softmax(-1) => softmax(0)
no softmax: .softmax(-1) =>
mask inverted: scores.where(mask, => scores.where(~mask,
+ weights.where(mask, => weights.where(~mask,
mask ignored: if mask is None: => if True:
NaN where nothing may be attended to: weights = weights.where(mask, 0.0) => weights = weights
uniform where nothing may be attended to: -math.inf => -1e9
+ weights = weights.where(mask, 0.0) => weights = weights
masked scores set to 0: scores.where(mask, -math.inf) => scores.where(mask, 0.0)
+ weights = weights.where(mask, 0.0) => weights = weights
mask after the softmax: scores.where(mask, -math.inf).softmax(-1) => scores.softmax(-1)
scaled after the softmax:  / math.sqrt(d_k) =>
+ softmax(-1) => softmax(-1) / math.sqrt(d_k)
softmax overflows: weights = scores.softmax(-1) => weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
+ scores.where(mask, -math.inf).softmax(-1) => scores.where(mask, -math.inf).exp() / scores.where(mask, -math.inf).exp().sum(-1, keepdim=True)
gradient cut at the weights: d_k = query.shape[-1] => d_k = query.shape[-1]; query, key = query.detach(), key.detach()
keys averaged: weights @ value => weights @ key
queries and keys exchanged: query @ key.transpose(-2, -1) => key @ query.transpose(-2, -1)
values summed without weights: weights @ value => value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])
mask inverted, −1e9: scores.where(mask, -math.inf) => scores.masked_fill(mask, -1e9)
+ weights = weights.where(mask, 0.0) => weights = weights
mask inverted, NaN: scores.where(mask, -math.inf) => scores.masked_fill(mask, -math.inf)
+ weights = weights.where(mask, 0.0) => weights = weights
mask inverted before the softmax: scores.where(mask, -math.inf) => scores.where(~mask, -1e9)
width fixed at 64: math.sqrt(d_k) => 8.0
sigmoid for softmax: .softmax(-1) => .sigmoid()
the hardest key alone: return weights @ value => weights = F.one_hot(weights.argmax(-1), weights.shape[-1]).to(value) * weights.any(-1, keepdim=True)⏎    return weights @ value
""",
)
