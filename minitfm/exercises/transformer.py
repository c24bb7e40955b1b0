"""Exercises of chapter 9: the pieces of the Transformer, and the learner's own
attention inside it.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from minitfm import masks, transformer
from minitfm.exercises import attention, layers, multi_head, positions, self_attention
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, course, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.inside import Inside
from minitfm.exercises.engine.milestone import Milestone
from minitfm.exercises.engine.models import config, filled
from minitfm.exercises.engine.plug import plugged
from minitfm.layers import FeedForward
from minitfm.positional import LearnedPositions, SinusoidalPositions, sinusoids
from minitfm.transformer import Transformer, TransformerConfig

__all__ = ["chapter", "course", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "transformer", asks="cross_shape decoder_only prefix_mask two_sources milestone"
)
progress = chapter.progress

cross_shape = Answer(
    chapter,
    "cross_shape",
    difficulty=1,
    minutes=3,
    solution="""# (batch, heads, query, key): the target asks, the source is asked""",
    package=lambda: (32, 8, 15, 20),
    wrong={
        "query and key exchanged": (32, 8, 20, 15),
        "heads missing": (32, 15, 20),
        "heads last": (32, 15, 20, 8),
        "heads before the batch": (8, 32, 15, 20),
        "self-attention of the target": (32, 8, 15, 15),
        "self-attention of the source": (32, 8, 20, 20),
        "the result": (32, 15, 512),
        "the queries": (32, 8, 15, 64),
        "batch missing": (8, 15, 20),
        "heads behind the queries": (32, 15, 8, 20),
        "heads in the batch": (256, 15, 20),
        "all layers": (6, 32, 8, 15, 20),
        "the mask": (32, 1, 15, 20),
        "the keys": (32, 8, 20, 64),
        "d_model last": (32, 8, 15, 512),
        "no heads, transposed": (32, 20, 15),
        "batch and heads missing": (15, 20),
        "the values as well": (32, 8, 15, 20, 64),
        "one sequence of both": (32, 8, 35, 35),
        "target shifted": (32, 8, 14, 20),
        "d_model for the heads": (32, 15, 20, 512),
        "the memory": (32, 20, 512),
        "d_k for the heads": (32, 64, 15, 20),
    },
)


@functools.cache
def parameters_of_base() -> int:
    """Count the numbers of the paper's base model with 37,000 symbols."""
    with torch.device("meta"):
        model = Transformer(TransformerConfig.base())
    return sum(parameter.numel() for parameter in model.parameters())


D, FF, V = 512, 2048, 37_000


parameters = Answer(
    chapter,
    "parameters",
    difficulty=2,
    minutes=10,
    solution="""d_model, d_ff, vocabulary = 512, 2048, 37_000
attention = 4 * d_model**2
feed_forward = 2 * d_model * d_ff + d_ff + d_model
norm = 2 * d_model
encoder = 6 * (attention + feed_forward + 2 * norm)
decoder = 6 * (2 * attention + feed_forward + 3 * norm)
answer = encoder + decoder + vocabulary * d_model""",
    package=parameters_of_base,
    wrong={
        "generator bias": 44_101_632 + V * D + V,
        "one norm too many": 44_101_632 + V * D + 2 * D,
        "generator not tied": 44_101_632 + 2 * V * D,
        "three embeddings": 44_101_632 + 3 * V * D,
        "no embedding": 44_101_632,
        "projection biases": 44_101_632 + V * D + 18 * 4 * D,
        "no feed-forward biases, or no norms": 44_101_632 + V * D - 12 * (FF + D),
        "no second feed-forward bias, or a norm missing": 44_101_632 + V * D - 12 * D,
        "no first feed-forward bias": 44_101_632 + V * D - 12 * FF,
        "norms without bias": 44_101_632 + V * D - 30 * D,
        "no cross-attention": 44_101_632 + V * D - 6 * 4 * D * D,
        "no cross-attention and no norm": 44_101_632 + V * D - 6 * (4 * D * D + 2 * D),
        "every head at full width": 44_101_632 + V * D + 18 * 3 * 7 * D * D,
        "output projection missing": 44_101_632 + V * D - 18 * D * D,
        "final norms": 44_101_632 + V * D + 2 * 2 * D,
        "the paper's figure": 65_000_000,
    },
)


@functools.cache
def parameters_of_one_tower() -> int:
    """Count those of the base model that are left without the encoder."""
    with torch.device("meta"):
        model = Transformer(TransformerConfig.base())
    gone = ("encoder.", "cross_attention", "residual_2")
    kept = {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if not any(part in name for part in gone)
    }
    return sum(kept.values())


ONE = 6 * (4 * D * D + 2 * D * FF + FF + D + 2 * 2 * D) + V * D

decoder_only = Answer(
    chapter,
    "decoder_only",
    difficulty=2,
    minutes=8,
    solution="""d_model, d_ff, vocabulary = 512, 2048, 37_000
attention = 4 * d_model**2
feed_forward = 2 * d_model * d_ff + d_ff + d_model
norm = 2 * d_model
answer = 6 * (attention + feed_forward + 2 * norm) + vocabulary * d_model""",
    package=parameters_of_one_tower,
    wrong={
        "cross-attention kept": ONE + 6 * (4 * D * D + 2 * D),
        "cross-attention kept without its norm": ONE + 6 * 4 * D * D,
        "cross-attention's norm kept": ONE + 6 * 2 * D,
        "both towers": 44_101_632 + V * D,
        "generator not tied": ONE + V * D,
        "generator bias": ONE + V,
        "no embedding": ONE - V * D,
        "projection biases": ONE + 6 * 4 * D,
        "output projection missing": ONE - 6 * D * D,
        "no feed-forward biases": ONE - 6 * (FF + D),
        "no first feed-forward bias, or no norms": ONE - 6 * FF,
        "no second feed-forward bias": ONE - 6 * D,
        "norms with one vector, or one norm a layer": ONE - 6 * 2 * D,
        "a final norm": ONE + 2 * D,
        "no feed-forward networks": ONE - 6 * (2 * D * FF + FF + D),
        "every head at full width": ONE + 6 * 3 * 7 * D * D,
        "attention times the heads": ONE + 6 * 4 * 7 * D * D,
        "one head of eight": ONE - 6 * 3 * (D - 64) * D,
        "learned positions": ONE + 512 * D,
        "no attention, or one matrix a network": ONE - 6 * 4 * D * D,
        "generator not tied, cross-attention kept": ONE
        + V * D
        + 6 * (4 * D * D + 2 * D),
        "twelve layers": 2 * (ONE - V * D) + V * D,
        "one layer": (ONE - V * D) // 6 + V * D,
        "three embeddings": ONE + 2 * V * D,
        "both feed-forward biases of d_ff": ONE + 6 * (FF - D),
        "both feed-forward biases of d_model": ONE - 6 * (FF - D),
        "no feed-forward biases, norms with one vector": ONE - 6 * (FF + D) - 6 * 2 * D,
        "no feed-forward biases, no norms": ONE - 6 * (FF + D) - 6 * 2 * 2 * D,
        "generator not tied, a final norm": ONE + V * D + 2 * D,
        "thousands": ONE // 1000,
        "projection biases, cross-attention's norm kept": ONE + 6 * 4 * D + 6 * 2 * D,
        "generator not tied, cross-attention's norm kept": ONE + V * D + 6 * 2 * D,
        "no embedding, cross-attention kept": ONE - V * D + 6 * (4 * D * D + 2 * D),
    },
)


def _two_lengths(draw: Draw) -> list[Case]:
    pairs = ((3, 4), (5, 2), (1, 6), (6, 1), (1, 1), (4, 4))
    cases = [
        Case((source, target), note=f"with {source} source, {target} target tokens")
        for source, target in pairs
    ]
    return [
        *cases,
        Case((3, 0), note="without a target", odd=True),
        Case((0, 3), note="without a source", odd=True),
        Case((0, 0), note="without any token", odd=True),
    ]


def _joined_masks(source: int, target: int) -> Tensor:
    """Causal, and whoever asks may look at the source, too."""
    total = source + target
    in_source = torch.arange(total) < source
    return masks.causal_mask(total) | in_source


prefix_mask = Exercise(
    chapter,
    "prefix_mask",
    difficulty=3,
    minutes=10,
    doc="numbers of source and of target tokens -> (token, token), True where a token may look",
    solution="""def prefix_mask(source, target):
    total = source + target
    mask = torch.ones(total, total, dtype=torch.bool).tril()
    mask[:, :source] = True
    return mask""",
    package=_joined_masks,
    special=_two_lengths,
    axes="query key",
    gradients=False,
    mistakes="""
causal alone:     mask[:, :source] = True⏎ =>
everything allowed: mask[:, :source] = True => mask[:] = True
source sees the target: mask[:, :source] = True => mask[:source] = True
upper triangle: .tril() => .triu()
sees the next: .tril() => .tril(1)
does not see itself: .tril() => .tril(-1)
towers apart: mask[:, :source] = True => mask[:source, :source] = True⏎    mask[source:, :source] = False
target blind to the source: mask[:, :source] = True => mask[:, :source] = False
lengths exchanged: mask[:, :source] => mask[:, :target]
upside down: return mask => return ~mask
numbers instead of booleans: return mask => return mask.float()
added to the scores: return mask => return torch.zeros(total, total).masked_fill(~mask, -math.inf)
a batch axis: return mask => return mask.unsqueeze(0)
like cross-attention: return mask => return mask[source:, :source]
only the target's rows: return mask => return mask[source:]
last source token hidden: mask[:, :source] => mask[:, :source - 1]
first target token is source: mask[:, :source] => mask[:, :source + 1]
only the source is seen: torch.ones(total, total, dtype=torch.bool).tril() => torch.zeros(total, total, dtype=torch.bool)
target sees all of the target: mask = torch.ones(total, total, dtype=torch.bool).tril() => mask = torch.ones(total, total, dtype=torch.bool)⏎    mask[:source] = False
target sees only itself: torch.ones(total, total, dtype=torch.bool).tril() => torch.eye(total, dtype=torch.bool)
source sees itself alone: mask[:, :source] = True => mask[:source, :source] = torch.eye(source, dtype=torch.bool)
both conditions at once: mask[:, :source] = True => mask[:, source:] = False
strict, and upside down: .tril() => .tril(-1)
+ return mask => return ~mask
target in front: mask[:, :source] = True => mask[:, target:] = True⏎    mask[target:, :target] = False
diagonal moved by the source: .tril() => .tril(source)
+     mask[:, :source] = True⏎ =>
causal in the source, strict: .tril() => .tril(-1)
+     mask[:, :source] = True⏎ =>
diagonal moved by one less than the source: .tril() => .tril(source - 1)
+     mask[:, :source] = True⏎ =>
no token sees itself: return mask => return mask & ~torch.eye(total, dtype=torch.bool)
target in reverse order: mask = torch.ones(total, total, dtype=torch.bool).tril() => mask = torch.ones(total, total, dtype=torch.bool).triu()⏎    mask[:source, source:] = False
transposed: return mask => return mask.T
target blind to the source, source causal: mask[:, :source] = True => mask[source:, :source] = False
counted from the end: torch.ones(total, total, dtype=torch.bool).tril()⏎    mask[:, :source] = True => torch.zeros(total, total, dtype=torch.bool)⏎    mask[:, :source] = True⏎    mask[-target:, -target:] = torch.ones(target, target, dtype=torch.bool).tril()
prefix of 3: mask[:, :source] = True => mask[:, :3] = True
prefix of 2: mask[:, :source] = True => mask[:, :2] = True
sees the next, in the target: .tril() => .tril(1)⏎    mask[:source, source:] = False
""",
)


def _embeddings(draw: Draw) -> list[Case]:
    def case(note: str, positions: str, grad: bool = False) -> Case:
        sizes = draw.sizes("batch token half")
        sizes["d_model"] = 2 * sizes.pop("half")
        embedding = filled(draw, nn.Embedding(11, sizes["d_model"]))
        learned = LearnedPositions(sizes["d_model"], sizes["token"] + 2)
        added = (
            filled(draw, learned)
            if positions == "learned"
            else SinusoidalPositions(sizes["d_model"])
        )
        return Case(
            (draw.tokens(sizes["batch"], sizes["token"]), embedding, added),
            (),
            note,
            sizes,
            grad,
        )

    return [
        case("with sinusoids", "sinusoidal"),
        case("with learned positions", "learned"),
        case("gradients, with learned positions", "learned", grad=True),
        case("with sinusoids", "sinusoidal"),
    ]


def embed_reference(
    tokens: Tensor, embedding: nn.Embedding, positions: nn.Module
) -> Tensor:
    """The package's `Transformer.embed`, for a model without dropout."""
    model = Transformer(
        TransformerConfig.tiny(
            2, d_model=embedding.embedding_dim, heads=1, d_ff=1, layers=0
        )
    ).eval()
    return model.embed(tokens, embedding, positions)


embed = Exercise(
    chapter,
    "embed",
    difficulty=2,
    minutes=6,
    doc="tokens (batch, token), whole numbers -> (batch, token, d_model)",
    solution="""def embed(tokens, embedding, positions):
    d_model = embedding.embedding_dim
    return positions(embedding(tokens) * math.sqrt(d_model))""",
    package=embed_reference,
    names={"sinusoids": sinusoids},
    inputs=lambda draw, batch, token, half: (
        draw.tokens(batch, token),
        filled(draw, nn.Embedding(11, 2 * half)),
        SinusoidalPositions(2 * half),
    ),
    sizes="batch token half",
    special=_embeddings,
    axes="batch token d_model",
    mistakes="""
√d_model forgotten:  * math.sqrt(d_model) =>
√d_model after the positions: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens)) * math.sqrt(d_model)
divided by √d_model: * math.sqrt => / math.sqrt
times d_model: math.sqrt(d_model) => d_model
no positions: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) * math.sqrt(d_model)
token added twice: return positions( => return embedding(tokens) * math.sqrt(d_model) + positions(
scaled by the vocabulary: embedding.embedding_dim => embedding.num_embeddings
gradient cut at the embedding: embedding(tokens) => embedding(tokens).detach()
positions of the ids: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) * math.sqrt(d_model) + positions(tokens)
width fixed at 512: math.sqrt(d_model) => math.sqrt(512)
scaled by the length: math.sqrt(d_model) => math.sqrt(tokens.shape[1])
positions twice: positions(embedding(tokens) * math.sqrt(d_model)) => positions(positions(embedding(tokens) * math.sqrt(d_model)))
√d_model as a whole number: math.sqrt(d_model) => int(math.sqrt(d_model))
scaled again afterwards: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens) * math.sqrt(d_model)) * math.sqrt(d_model)
divided afterwards: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens)) / math.sqrt(d_model)
padding set to 0: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens) * math.sqrt(d_model)) * (tokens != 0).unsqueeze(-1)
padding's embedding set to 0: return positions(embedding(tokens) => return positions(embedding(tokens) * (tokens != 0).unsqueeze(-1)
embedding of length 1: embedding(tokens) => F.normalize(embedding(tokens), dim=-1)
neither scale nor positions: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens)
divided, no positions: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) / math.sqrt(d_model)
positions of the places: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) * math.sqrt(d_model) + positions(torch.arange(tokens.shape[1]))
embedding of the positions: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(positions(tokens)) * math.sqrt(d_model)
width fixed at 64: math.sqrt(d_model) => math.sqrt(64)
scaled by the batch: math.sqrt(d_model) => math.sqrt(tokens.shape[0])
half of d_model: math.sqrt(d_model) => d_model / 2
embedding normalized: positions(embedding(tokens) * math.sqrt(d_model)) => positions(F.layer_norm(embedding(tokens) * math.sqrt(d_model), (d_model,)))
sum normalized: positions(embedding(tokens) * math.sqrt(d_model)) => F.layer_norm(positions(embedding(tokens) * math.sqrt(d_model)), (d_model,))
sinusoids always: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) * math.sqrt(d_model) + sinusoids(tokens.shape[1], d_model).to(embedding.weight)
token added twice, scaled once: positions(embedding(tokens) * math.sqrt(d_model)) => embedding(tokens) * math.sqrt(d_model) + positions(embedding(tokens))
positions alone: return positions(embedding(tokens) * math.sqrt(d_model)) => x = embedding(tokens) * math.sqrt(d_model)⏎    return positions(x) - x
vocabulary, after the positions: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens)) * math.sqrt(embedding.num_embeddings)
positions along the batch: positions(embedding(tokens) * math.sqrt(d_model)) => positions(embedding(tokens.T) * math.sqrt(d_model)).transpose(0, 1)
positions through all sentences: return positions(embedding(tokens) * math.sqrt(d_model)) => x = embedding(tokens.flatten())[None] * math.sqrt(d_model)⏎    return positions(x).view(*tokens.shape, -1)
root of the embedding: embedding(tokens) * math.sqrt(d_model) => embedding(tokens).abs().sqrt()
root of the product: embedding(tokens) * math.sqrt(d_model) => (embedding(tokens) * d_model).abs().sqrt()
power before division: embedding(tokens) * math.sqrt(d_model) => embedding(tokens) * d_model // 2
""",
)


def _layers(draw: Draw, decoder: bool, layers: int = 1) -> list[Case]:
    def case(
        note: str,
        norm: str,
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
        dropout: float = 0.0,
        rows: bool = False,
        **same: int,
    ) -> Case:
        sizes = {**draw.sizes("batch target source heads"), **same}
        sizes["d_model"] = _width(sizes["heads"])
        batch, target, source, _, d_model = sizes.values()
        x, memory = (
            draw.normal(batch, target, d_model, dtype=dtype),
            draw.normal(batch, source, d_model, dtype=dtype),
        )
        mask, memory_mask = (
            draw.mask(batch, target, target),
            draw.mask(batch, target if rows else 1, source),
        )
        args = (x, memory, mask, memory_mask) if decoder else (x, mask)
        made = config(sizes, norm=norm, layers=layers, dropout=dropout)
        return Case(args, (made,), note, sizes, grad, train=dropout > 0)

    return [
        case("post-norm", "post"),
        case("pre-norm", "pre"),
        case(
            "post-norm, with as many source tokens as target tokens",
            "post",
            target=5,
            source=5,
        ),
        case("post-norm in float32", "post", dtype=torch.float32),
        case("gradients, post-norm", "post", grad=True),
        case("gradients, pre-norm", "pre", grad=True),
        case("post-norm with dropout in training", "post", dropout=0.5),
        case("pre-norm with dropout in training", "pre", dropout=0.5),
        *(
            [case("with a row of memory_mask for each query", "post", rows=True)]
            if decoder
            else []
        ),
    ]


# What the stubs make their layers with.
PARTS = {
    "FeedForward": FeedForward,
    "attention_layer": transformer.attention_layer,
    "residual_layer": transformer.residual_layer,
    "final_norm": transformer.final_norm,
}


def _between(draw: Draw, batch: int, target: int, source: int, heads: int) -> tuple:
    """What a decoder layer gets."""
    x, memory = (draw.normal(batch, n, _width(heads)) for n in (target, source))
    return x, memory, draw.mask(batch, target, target), draw.mask(batch, 1, source)


def _configured(heads: int, layers: int = 1, **_: int) -> tuple[TransformerConfig]:
    return (config({"d_model": _width(heads), "heads": heads}, layers=layers),)


def _width(heads: int) -> int:
    """d_model. Of two numbers a norm leaves the signs alone, and much wrong is right."""
    return max(2 * heads, 4)


encoder_layer = Exercise(
    chapter,
    "encoder_layer",
    difficulty=2,
    minutes=8,
    doc="x (batch, source, d_model), mask (batch, 1 or source, source) -> (batch, source, d_model)",
    solution="""class EncoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)

    def forward(self, x, mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        return self.residual_2(x, self.feed_forward)""",
    package=transformer.EncoderLayer,
    names=PARTS,
    inputs=lambda draw, batch, source, heads: (
        draw.normal(batch, source, _width(heads)),
        draw.mask(batch, source, source),
    ),
    sizes="batch source heads",
    init=_configured,
    special=lambda draw: _layers(draw, decoder=False),
    axes="batch source d_model",
    mistakes="""
mask not passed on: (y, y, y, mask) => (y, y, y)
no residual around attention: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => self.self_attention(x, x, x, mask)
no residual around the feed-forward network: self.residual_2(x, self.feed_forward) => self.feed_forward(x)
one residual twice: return self.residual_2 => return self.residual_1
residuals exchanged: x = self.residual_1 => x = self.residual_two
+ self.residual_2(x => self.residual_1(x
+ self.residual_two => self.residual_2
feed-forward network first:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        return self.residual_2(x, self.feed_forward) =>         x = self.residual_2(x, self.feed_forward)⏎        return self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
no feed-forward network: return self.residual_2(x, self.feed_forward) => return x
no self-attention: x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x = x
norm bypassed: self.self_attention(y, y, y, mask) => self.self_attention(x, x, x, mask)
only the queries normalized: self.self_attention(y, y, y, mask) => self.self_attention(y, x, x, mask)
x added twice: return self.residual_2( => return x + self.residual_2(
no lambda: lambda y: self.self_attention(y, y, y, mask) => self.self_attention
a causal mask of its own: (y, y, y, mask) => (y, y, y, torch.ones(y.shape[1], y.shape[1]).tril().bool())
a causal mask on top: (y, y, y, mask) => (y, y, y, mask & torch.ones(y.shape[1], y.shape[1]).tril().bool())
the first query's mask for all: (y, y, y, mask) => (y, y, y, mask[:, :1])
the first sentence's mask: (y, y, y, mask) => (y, y, y, mask[:1])
mask inverted: (y, y, y, mask) => (y, y, y, ~mask)
mask transposed: (y, y, y, mask) => (y, y, y, mask.mT)
post-norm written out: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => self.residual_1.norm(x + self.self_attention(x, x, x, mask))
+ self.residual_2(x, self.feed_forward) => self.residual_2.norm(x + self.feed_forward(x))
pre-norm written out: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x + self.self_attention(self.residual_1.norm(x), self.residual_1.norm(x), self.residual_1.norm(x), mask)
+ self.residual_2(x, self.feed_forward) => x + self.feed_forward(self.residual_2.norm(x))
plain sums: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x + self.self_attention(x, x, x, mask)
+ self.residual_2(x, self.feed_forward) => x + self.feed_forward(x)
no residuals: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => self.self_attention(x, x, x, mask)
+ self.residual_2(x, self.feed_forward) => self.feed_forward(x)
one residual around both:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        return self.residual_2(x, self.feed_forward) =>         return self.residual_1(x, lambda y: self.feed_forward(self.self_attention(y, y, y, mask)))
both from the same x: x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => first = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
+ return self.residual_2(x, self.feed_forward) => return first + self.residual_2(x, self.feed_forward)
feed-forward network past the norm: self.residual_2(x, self.feed_forward) => self.residual_2(x, lambda y: self.feed_forward(x))
feed-forward network twice: self.residual_2(x, self.feed_forward) => self.residual_2(x, lambda y: self.feed_forward(self.feed_forward(y)))
a norm at the end: return self.residual_2(x, self.feed_forward) => return self.residual_2.norm(self.residual_2(x, self.feed_forward))
feed-forward network first, residuals in order:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        return self.residual_2(x, self.feed_forward) =>         x = self.residual_1(x, self.feed_forward)⏎        return self.residual_2(x, lambda y: self.self_attention(y, y, y, mask))
three sublayers:         return self.residual_2(x, self.feed_forward) =>         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        return self.residual_2(x, self.feed_forward)
feed-forward network twice, each in its residual: return self.residual_2(x, self.feed_forward) => return self.residual_2(self.residual_2(x, self.feed_forward), self.feed_forward)
both from the same x, by a lambda: x = self.residual_1(x, => start = x⏎        x = self.residual_1(x,
+ self.residual_2(x, self.feed_forward) => self.residual_2(x, lambda y: self.feed_forward(start))
attention twice: return self.residual_2(x, self.feed_forward) => return self.residual_2(x, lambda y: self.self_attention(y, y, y, mask))
y added to the attention: lambda y: self.self_attention(y, y, y, mask) => lambda y: y + self.self_attention(y, y, y, mask)
y added to the feed-forward network: (x, self.feed_forward) => (x, lambda y: y + self.feed_forward(y))
ReLU at the end: (x, self.feed_forward) => (x, lambda y: self.feed_forward(y).relu())
feed-forward network first, no mask:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        return self.residual_2(x, self.feed_forward) =>         x = self.residual_1(x, self.feed_forward)⏎        return self.residual_2(x, lambda y: self.self_attention(y, y, y))
""",
)


decoder_layer = Exercise(
    chapter,
    "decoder_layer",
    difficulty=3,
    minutes=12,
    doc="""x (batch, target, d_model), memory (batch, source, d_model)
-> (batch, target, d_model)
""",
    solution="""class DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.cross_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)
        self.residual_3 = residual_layer(config)

    def forward(self, x, memory, mask, memory_mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
        return self.residual_3(x, self.feed_forward)""",
    package=transformer.DecoderLayer,
    names=PARTS,
    inputs=_between,
    sizes="batch target source heads",
    init=_configured,
    special=lambda draw: _layers(draw, decoder=True),
    axes="batch target d_model",
    mistakes="""
cross-attention's query and key exchanged: self.cross_attention(y, memory, memory, memory_mask) => self.cross_attention(memory, y, y, memory_mask)
norm bypassed in both: self.self_attention(y, y, y, mask) => self.self_attention(x, x, x, mask)
+ self.cross_attention(y, => self.cross_attention(x,
masks exchanged: (y, y, y, mask) => (y, y, y, memory_mask)
+ memory, memory, memory_mask) => memory, memory, mask)
self-attention without its mask: (y, y, y, mask) => (y, y, y)
cross-attention without its mask: memory, memory, memory_mask) => memory, memory)
no cross-attention:         x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))⏎ =>
no self-attention:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>
no feed-forward network: return self.residual_3(x, self.feed_forward) => return x
cross-attention first:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))⏎ =>         x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))⏎        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎
cross-attention first, residuals in order:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))⏎ =>         x = self.residual_1(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))⏎        x = self.residual_2(x, lambda y: self.self_attention(y, y, y, mask))⏎
cross-attention to itself: self.cross_attention(y, memory, memory, memory_mask) => self.cross_attention(y, y, y, mask)
one attention twice: self.cross_attention(y => self.self_attention(y
memory normalized again: self.cross_attention(y, memory, memory, memory_mask) => self.cross_attention(y, self.residual_2.norm(memory), self.residual_2.norm(memory), memory_mask)
norm bypassed: self.self_attention(y, y, y, mask) => self.self_attention(x, x, x, mask)
no residual around cross-attention: self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => self.cross_attention(x, memory, memory, memory_mask)
one residual twice: self.residual_3(x => self.residual_2(x
feed-forward network before cross-attention: x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => x = self.residual_3(x, self.feed_forward)
+ return self.residual_3(x, self.feed_forward) => return self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
second and third residual exchanged: self.residual_2( => self.residual_three(
+ self.residual_3(x => self.residual_2(x
+ self.residual_three( => self.residual_3(
both masks inverted: (y, y, y, mask) => (y, y, y, ~mask)
+ memory, memory, memory_mask) => memory, memory, ~memory_mask)
plain sums: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x + self.self_attention(x, x, x, mask)
+ self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => x + self.cross_attention(x, memory, memory, memory_mask)
+ self.residual_3(x, self.feed_forward) => x + self.feed_forward(x)
no residuals: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => self.self_attention(x, x, x, mask)
+ self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => self.cross_attention(x, memory, memory, memory_mask)
+ self.residual_3(x, self.feed_forward) => self.feed_forward(x)
post-norm written out: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => self.residual_1.norm(x + self.self_attention(x, x, x, mask))
+ self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => self.residual_2.norm(x + self.cross_attention(x, memory, memory, memory_mask))
+ self.residual_3(x, self.feed_forward) => self.residual_3.norm(x + self.feed_forward(x))
pre-norm written out: self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x + self.self_attention(self.residual_1.norm(x), self.residual_1.norm(x), self.residual_1.norm(x), mask)
+ self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => x + self.cross_attention(self.residual_2.norm(x), memory, memory, memory_mask)
+ self.residual_3(x, self.feed_forward) => x + self.feed_forward(self.residual_3.norm(x))
x added around the residuals: x = self.residual_1( => x = x + self.residual_1(
+ x = self.residual_2( => x = x + self.residual_2(
+ return self.residual_3( => return x + self.residual_3(
keys and values past the norm: self.self_attention(y, y, y, mask) => self.self_attention(y, x, x, mask)
cross-attention past the norm: self.cross_attention(y, memory => self.cross_attention(x, memory
feed-forward network past the norm: self.residual_3(x, self.feed_forward) => self.residual_3(x, lambda y: self.feed_forward(x))
attentions exchanged: self.self_attention(y, y, y => self.own_attention(y, y, y
+ self.cross_attention(y, memory => self.self_attention(y, memory
+ self.own_attention( => self.cross_attention(
one residual for all: self.residual_2( => self.residual_1(
+ self.residual_3(x => self.residual_1(x
first and second residual exchanged: self.residual_1( => self.residual_one(
+ self.residual_2( => self.residual_1(
+ self.residual_one( => self.residual_2(
a causal mask of its own: self.self_attention(y, y, y, mask) => self.self_attention(y, y, y, torch.ones(y.shape[1], y.shape[1]).tril().bool())
a causal mask on top: self.self_attention(y, y, y, mask) => self.self_attention(y, y, y, mask & torch.ones(y.shape[1], y.shape[1]).tril().bool())
feed-forward network twice: self.residual_3(x, self.feed_forward) => self.residual_3(x, lambda y: self.feed_forward(self.feed_forward(y)))
a norm at the end: return self.residual_3(x, self.feed_forward) => return self.residual_3.norm(self.residual_3(x, self.feed_forward))
both attentions from the same x: x = self.residual_1( => a = self.residual_1(
+ x = self.residual_2( => b = self.residual_2(
+ self.residual_3(x => self.residual_3(a + b
feed-forward network in front: x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask)) => x = self.residual_3(x, self.feed_forward)
+ x = self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask)) => x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
+ return self.residual_3(x, self.feed_forward) => return self.residual_2(x, lambda y: self.cross_attention(y, memory, memory, memory_mask))
the first sentence's mask: (y, y, y, mask) => (y, y, y, mask[:1])
the first sentence's memory mask: memory, memory, memory_mask) => memory, memory, memory_mask[:1])
one row of the memory mask: memory, memory, memory_mask) => memory, memory, memory_mask[:, :1])
gradient cut at the memory: self.cross_attention(y, memory, memory, memory_mask) => self.cross_attention(y, memory.detach(), memory.detach(), memory_mask)
""",
)


class _TwoSourceLayer(nn.Module):
    """A loop over the sublayers, each with what it looks at."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = transformer.attention_layer(config)
        self.text_attention = transformer.attention_layer(config)
        self.image_attention = transformer.attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1 = transformer.residual_layer(config)
        self.residual_2 = transformer.residual_layer(config)
        self.residual_3 = transformer.residual_layer(config)
        self.residual_4 = transformer.residual_layer(config)

    def forward(
        self,
        x: Tensor,
        text: Tensor,
        image: Tensor,
        mask: Tensor,
        text_mask: Tensor,
    ) -> Tensor:
        looks = (
            (self.residual_1, self.self_attention, None, mask),
            (self.residual_2, self.text_attention, text, text_mask),
            (self.residual_3, self.image_attention, image, None),
        )
        for residual, attention_of, memory, allowed in looks:
            x = residual(x, functools.partial(_ask, attention_of, memory, allowed))
        return self.residual_4(x, self.feed_forward)


def _ask(
    layer: nn.Module, memory: Tensor | None, mask: Tensor | None, y: Tensor
) -> Tensor:
    """Ask with y: itself, or a memory."""
    memory = y if memory is None else memory
    return layer(y, memory, memory, mask)


def _texts_and_images(draw: Draw) -> list[Case]:
    def case(
        note: str, norm: str, grad: bool = False, dropout: float = 0.0, **same: int
    ) -> Case:
        sizes = {**draw.sizes("batch target text image heads"), **same}
        sizes["d_model"] = _width(sizes["heads"])
        batch, target, text, image, heads, _ = sizes.values()
        args = _with_two(draw, batch, target, text, image, heads)
        made = config(sizes, norm=norm, dropout=dropout)
        return Case(args, (made,), note, sizes, grad, train=dropout > 0)

    return [
        case("post-norm", "post"),
        case("pre-norm", "pre"),
        case("with as many tokens everywhere", "post", target=5, text=5, image=5),
        case("gradients, post-norm", "post", grad=True),
        case("gradients, pre-norm", "pre", grad=True),
        case("with dropout in training", "post", dropout=0.5),
    ]


def _with_two(
    draw: Draw, batch: int, target: int, text: int, image: int, heads: int
) -> tuple:
    """What a layer with two sources gets."""
    x, words, patches = (
        draw.normal(batch, n, _width(heads)) for n in (target, text, image)
    )
    own, other = draw.mask(batch, target, target), draw.mask(batch, 1, text)
    return x, words, patches, own, other


two_sources = Exercise(
    chapter,
    "two_sources",
    difficulty=3,
    minutes=12,
    doc="""x (batch, target, d_model), text (batch, text, d_model),
image (batch, image, d_model) -> (batch, target, d_model)
""",
    solution="""class TwoSourceLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = attention_layer(config)
        self.text_attention = attention_layer(config)
        self.image_attention = attention_layer(config)
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)
        self.residual_3 = residual_layer(config)
        self.residual_4 = residual_layer(config)

    def forward(self, x, text, image, mask, text_mask):
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))
        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))
        return self.residual_4(x, self.feed_forward)""",
    package=_TwoSourceLayer,
    names=PARTS,
    inputs=_with_two,
    sizes="batch target text image heads",
    init=_configured,
    special=_texts_and_images,
    axes="batch target d_model",
    explains=False,  # its lines are the answer
    mistakes="""
text and image exchanged: self.text_attention(y, text, text, text_mask) => self.text_attention(y, image, image)
+ self.image_attention(y, image, image) => self.image_attention(y, text, text, text_mask)
image first:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎
query and key exchanged: self.text_attention(y, text, text, text_mask) => self.text_attention(text, y, y)
query and key exchanged, with the mask: (y, text, text, text_mask) => (text, y, y, text_mask)
query and key exchanged, for the image: self.image_attention(y, image, image) => self.image_attention(image, y, y)
self-attention without its mask: (y, y, y, mask) => (y, y, y)
text without its mask: text, text, text_mask) => text, text)
mask inverted: (y, y, y, mask) => (y, y, y, ~mask)
text mask inverted: (y, text, text, text_mask) => (y, text, text, ~text_mask)
masks exchanged: (y, y, y, mask) => (y, y, y, text_mask)
+ text, text, text_mask) => text, text, mask)
no self-attention:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>
no text:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎ =>
no image:         x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>
no feed-forward network: return self.residual_4(x, self.feed_forward) => return x
one attention twice: self.image_attention(y => self.text_attention(y
one residual twice: x = self.residual_3(x => x = self.residual_2(x
a residual left out: return self.residual_4(x, self.feed_forward) => return self.feed_forward(x)
both from the same x: x = self.residual_2(x, => a = self.residual_2(x,
+ return self.residual_4(x, => return self.residual_4(a + x,
norm bypassed: self.self_attention(y, y, y, mask) => self.self_attention(x, x, x, mask)
norm bypassed, for the text: self.text_attention(y, text => self.text_attention(x, text
norm bypassed, for the image: self.image_attention(y, image => self.image_attention(x, image
norm bypassed for the feed-forward network: (x, self.feed_forward) => (x, lambda y: self.feed_forward(x))
feed-forward network after every look: self.text_attention(y, text, text, text_mask)) => self.text_attention(y, text, text, text_mask))⏎        x = self.residual_4(x, self.feed_forward)
x added around the end: return self.residual_4(x => return x + self.residual_4(x
image first, residuals in order:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.residual_2(x, lambda y: self.image_attention(y, image, image))⏎        x = self.residual_3(x, lambda y: self.text_attention(y, text, text, text_mask))⏎
norm bypassed everywhere:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.residual_1(x, lambda y: self.self_attention(x, x, x, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(x, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(x, image, image))⏎
norm bypassed for both memories:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.residual_2(x, lambda y: self.text_attention(x, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(x, image, image))⏎
norm bypassed for the keys and values: (y, y, y, mask) => (y, x, x, mask)
the first residual for all: x = self.residual_2(x => x = self.residual_1(x
+ x = self.residual_3(x => x = self.residual_1(x
+ return self.residual_4(x => return self.residual_1(x
residuals exchanged: x = self.residual_2(x => x = self.residual_3(x
+ x = self.residual_3(x, lambda y: self.image => x = self.residual_2(x, lambda y: self.image
residuals shifted: return self.residual_4(x => return self.residual_3(x
one after the other, the image asked by the text: x = self.residual_3(x, lambda y: self.image_attention(y, image, image)) => x = self.residual_3(x, lambda y: self.image_attention(y, image, image)) + self.text_attention(x, text, text, text_mask)
values from the image: self.text_attention(y, text, text, text_mask) => self.text_attention(y, text, y[:, :1].expand_as(text), text_mask)
gradient cut at the text: self.text_attention(y, text, text, text_mask) => self.text_attention(y, text.detach(), text.detach(), text_mask)
gradient cut at the image: self.image_attention(y, image, image) => self.image_attention(y, image.detach(), image.detach())
both in one residual:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask) + self.image_attention(y, image, image))⏎
the text twice: (y, image, image) => (y, text, text, text_mask)
the image with the text's mask: (y, image, image) => (y, image, image, text_mask)
the image with the target's mask: (y, image, image) => (y, image, image, mask)
a causal mask of one's own: (y, y, y, mask) => (y, y, y, torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).tril())
y added in the sublayers: y: self.self => y: y + self.self
+ y: self.text => y: y + self.text
+ y: self.image => y: y + self.image
+ (x, self.feed_forward) => (x, lambda y: y + self.feed_forward(y))
results not kept:         x = self.residual_1 =>         self.residual_1
+ x = self.residual_2 => self.residual_2
+ x = self.residual_3 => self.residual_3
feed-forward network before the image:         x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_4(x, self.feed_forward)⏎        return self.residual_3(x, lambda y: self.image_attention(y, image, image))
feed-forward network before the image, residuals in order: x = self.residual_3(x, lambda y: self.image_attention(y, image, image)) => x = self.residual_3(x, self.feed_forward)
+ return self.residual_4(x, self.feed_forward) => return self.residual_4(x, lambda y: self.image_attention(y, image, image))
residuals 1, 2, 2, 3: x = self.residual_3(x => x = self.residual_2(x
+ return self.residual_4(x => return self.residual_3(x
memories normalized: (y, text, text, text_mask) => (y, self.residual_2.norm(text), self.residual_2.norm(text), text_mask)
+ (y, image, image) => (y, self.residual_3.norm(image), self.residual_3.norm(image))
x added around the layer:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>         first = x⏎        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎
+ return self.residual_4(x => return first + self.residual_4(x
no residuals:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.self_attention(x, x, x, mask)⏎        x = self.text_attention(x, text, text, text_mask)⏎        x = self.image_attention(x, image, image)⏎        return self.feed_forward(x)
post-norm written out:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_1.norm(x + self.self_attention(x, x, x, mask))⏎        x = self.residual_2.norm(x + self.text_attention(x, text, text, text_mask))⏎        x = self.residual_3.norm(x + self.image_attention(x, image, image))⏎        return self.residual_4.norm(x + self.feed_forward(x))
pre-norm written out:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         y = self.residual_1.norm(x)⏎        x = x + self.self_attention(y, y, y, mask)⏎        y = self.residual_2.norm(x)⏎        x = x + self.text_attention(y, text, text, text_mask)⏎        y = self.residual_3.norm(x)⏎        x = x + self.image_attention(y, image, image)⏎        return x + self.feed_forward(self.residual_4.norm(x))
the last residual for all: self.residual_1(x => self.residual_4(x
+ self.residual_2(x => self.residual_4(x
+ self.residual_3(x => self.residual_4(x
both masks inverted: (y, y, y, mask) => (y, y, y, ~mask)
+ (y, text, text, text_mask) => (y, text, text, ~text_mask)
text mask with another axis: (y, text, text, text_mask) => (y, text, text, text_mask.unsqueeze(1))
text mask transposed: (y, text, text, text_mask) => (y, text, text, text_mask.mT)
mask transposed: (y, y, y, mask) => (y, y, y, mask.mT)
attentions exchanged: self.text_attention(y, text => self.image_attention(y, text
+ self.image_attention(y, image => self.text_attention(y, image
the image's attention for both: self.text_attention(y => self.image_attention(y
self-attention's matrices for the text: self.text_attention(y => self.self_attention(y
self-attention's matrices for the image: self.image_attention(y => self.self_attention(y
self-attention's matrices for all: self.text_attention(y => self.self_attention(y
+ self.image_attention(y => self.self_attention(y
values from the target: (y, text, text, text_mask) => (y, text, y, text_mask)
keys from the text: (y, image, image) => (y, text, image)
arguments of a residual exchanged: self.residual_4(x, self.feed_forward) => self.residual_4(self.feed_forward, x)
x added around the first residual: x = self.residual_1( => x = x + self.residual_1(
both from the same x, averaged: x = self.residual_2(x, => a = self.residual_2(x,
+ return self.residual_4(x, => return self.residual_4((a + x) / 2,
both in one residual, the third for the end:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask) + self.image_attention(y, image, image))⏎        return self.residual_3(x, self.feed_forward)
last residuals exchanged: x = self.residual_3(x => x = self.residual_4(x
+ return self.residual_4(x => return self.residual_3(x
residuals in reverse:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_4(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_3(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_2(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_1(x, self.feed_forward)
feed-forward network first:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>         x = self.residual_4(x, self.feed_forward)⏎        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎
+         return self.residual_4(x, self.feed_forward) =>         return x
feed-forward network twice:         return self.residual_4(x, self.feed_forward) =>         x = self.residual_4(x, self.feed_forward)⏎        return self.residual_4(x, self.feed_forward)
feed-forward network twice in one residual: (x, self.feed_forward) => (x, lambda y: self.feed_forward(self.feed_forward(y)))
no residual for the text:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎ =>         x = self.text_attention(x, text, text, text_mask)⏎
no residual for the image:         x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         x = self.image_attention(x, image, image)⏎
no residual for self-attention:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>         x = self.self_attention(x, x, x, mask)⏎
one memory of both, no mask:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎ =>         both = torch.cat([text, image], 1)⏎        x = self.residual_2(x, lambda y: self.text_attention(y, both, both))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎
one memory of both for the image: (y, image, image) => (y, torch.cat([image, text], 1), torch.cat([image, text], 1))
only self-attention:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         return x
the first item of the result: (y, y, y, mask) => (y, y, y, mask)[0]
the text twice, without its mask: (y, image, image) => (y, text, text)
the last attention for all:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎ =>         x = self.residual_1(x, lambda y: self.image_attention(y, image, image))⏎
+         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎ =>         x = self.residual_2(x, lambda y: self.image_attention(y, image, image))⏎
self-attention asks the text: (y, y, y, mask) => (y, text, text, text_mask)
the feed-forward network normalizes:         return self.residual_4(x, self.feed_forward) =>         return self.residual_4.norm(self.residual_4(x, self.feed_forward))
the image twice: (y, text, text, text_mask) => (y, image, image)
the last residual written out: return self.residual_4(x, self.feed_forward) => return x + self.feed_forward(x)
attention itself for the sublayer: lambda y: self.self_attention(y, y, y, mask) => self.self_attention
a sublayer without y: lambda y: self.self_attention(y, y, y, mask) => lambda: self.self_attention(x, x, x, mask)
the text asks itself: (y, text, text, text_mask) => (text, text, text, text_mask)
the text with the target's mask: (y, text, text, text_mask) => (y, text, text, mask)
values from the text: (y, image, image) => (y, image, text)
y added to the self-attention: y: self.self => y: y + self.self
y added to the text's attention: y: self.text => y: y + self.text
y added to the image's attention: y: self.image => y: y + self.image
arguments of a residual exchanged, the first: (x, lambda y: self.self_attention(y, y, y, mask)) => (lambda y: self.self_attention(y, y, y, mask), x)
text mask without its axis: (y, text, text, text_mask) => (y, text, text, text_mask.squeeze(1))
the first sentence's mask: (y, y, y, mask) => (y, y, y, mask[:1])
the first sentence's text mask: (y, text, text, text_mask) => (y, text, text, text_mask[:1])
the text normalized: (y, text, text, text_mask) => (y, self.residual_2.norm(text), self.residual_2.norm(text), text_mask)
y added in the last sublayer: (x, self.feed_forward) => (x, lambda y: y + self.feed_forward(y))
no image, residuals shifted:         x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         return self.residual_3(x, self.feed_forward)
no text, residuals shifted:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_2(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_3(x, self.feed_forward)
self-attention after the text:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎ =>         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎
self-attention after the text, residuals in order:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎ =>         x = self.residual_1(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_2(x, lambda y: self.self_attention(y, y, y, mask))⏎
one memory of both, with the mask:         x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         both = torch.cat([text, image], 1)⏎        allowed = F.pad(text_mask, (0, image.shape[1]), value=True)⏎        x = self.residual_2(x, lambda y: self.text_attention(y, both, both, allowed))⏎        return self.residual_3(x, self.feed_forward)
queries normalized once more: self.self_attention(y, y, y, mask) => self.self_attention(self.residual_1.norm(y), y, y, mask)
the image's function twice: self.text_attention(y, text, text, text_mask) => self.image_attention(y, image, image)
feed-forward network first, residuals in order:         x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_2(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_3(x, lambda y: self.image_attention(y, image, image))⏎        return self.residual_4(x, self.feed_forward) =>         x = self.residual_1(x, self.feed_forward)⏎        x = self.residual_2(x, lambda y: self.self_attention(y, y, y, mask))⏎        x = self.residual_3(x, lambda y: self.text_attention(y, text, text, text_mask))⏎        x = self.residual_4(x, lambda y: self.image_attention(y, image, image))⏎        return x
ReLU behind the feed-forward network: (x, self.feed_forward) => (x, lambda y: self.feed_forward(y).relu())
""",
)


decoder = Exercise(
    chapter,
    "decoder",
    difficulty=2,
    minutes=6,
    doc="""x (batch, target, d_model), memory (batch, source, d_model)
-> (batch, target, d_model)
""",
    solution="""class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = final_norm(config)

    def forward(self, x, memory, mask, memory_mask):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.norm(x)""",
    package=transformer.Decoder,
    names={"DecoderLayer": transformer.DecoderLayer, **PARTS},
    inputs=_between,
    sizes="batch target source heads",
    init=lambda **sizes: _configured(**sizes, layers=3),
    special=lambda draw: _layers(draw, decoder=True, layers=3),
    axes="batch target d_model",
    mistakes="""
final norm missing: return self.norm(x) => return x
layers side by side:         for layer =>         first = x⏎        for layer
+ layer(x, memory => layer(first, memory
memory chained: x = layer(x, memory, mask, memory_mask) => x = memory = layer(x, memory, mask, memory_mask)
decoder fed to itself: layer(x, memory, mask, memory_mask) => layer(x, x, mask, mask)
only the first layer:         return self.norm(x) =>             return self.norm(x)
last layer skipped: in self.layers:⏎ => in self.layers[:-1]:⏎
from top to bottom: in self.layers:⏎ => in reversed(self.layers):⏎
one layer repeated: x = layer( => x = self.layers[0](
norm after every layer: x = layer(x, memory, mask, memory_mask) => x = self.norm(layer(x, memory, mask, memory_mask))
+ return self.norm(x) => return x
residual around the stack:         for layer =>         first = x⏎        for layer
+ return self.norm(x) => return self.norm(x) + first
masks exchanged: mask, memory_mask)⏎        return => memory_mask, mask)⏎        return
""",
)


def _decodings(draw: Draw) -> list[Case]:
    def case(
        note: str,
        left: bool = False,
        grad: bool = False,
        alike: bool = False,
        train: bool = False,
        **options: Any,
    ) -> Case:
        sizes = draw.sizes("batch target source heads")
        sizes["d_model"], sizes["target"] = 2 * sizes["heads"], sizes["target"] + 1
        if alike:  # so any mask fits, the wrong one as well
            sizes["source"] = sizes["target"]
        options = {"tied": False, "positions": "learned", "max_length": 20, **options}
        options["dropout"] = 0.5  # shows in training alone
        model = filled(draw, Transformer(config(sizes, **options))).train(train)
        target = draw.tokens(sizes["batch"], sizes["target"], 11).roll(-1, 0)
        memory, mask = (
            draw.normal(sizes["batch"], sizes["source"], sizes["d_model"]),
            draw.mask(sizes["batch"], 1, sizes["source"]),
        )
        return Case(
            (model, target.flip(1) if left else target, memory, mask),
            (),
            note,
            {**sizes, "vocabulary": 11},
            grad,
            train,
        )

    return [
        case("with padding at the end"),
        case("with padding in front", left=True),
        case("gradients", grad=True),
        case("with as many tokens in source and target", alike=True),
        case("in a pre-norm model of two layers", norm="pre", layers=2),
        case("with dropout in training", train=True),
    ]


decode = Exercise(
    chapter,
    "decode",
    difficulty=3,
    minutes=12,
    doc="target (batch, target), memory (batch, source, d_model), memory_mask (batch, 1, source) -> logits",
    solution="""def decode(model, target, memory, memory_mask):
    mask = causal_mask(target.shape[1]) & padding_mask(target)
    x = model.embed(target, model.target_embedding, model.target_positions)
    return model.generator(model.decoder(x, memory, mask, memory_mask))""",
    package=Transformer.decode,
    heart=Transformer.read_target,
    names={"causal_mask": masks.causal_mask, "padding_mask": masks.padding_mask},
    special=_decodings,
    axes="batch target vocabulary",
    mistakes="""
layers by hand, final norm missing:     return model.generator(model.decoder(x, memory, mask, memory_mask)) =>     for layer in model.decoder.layers:⏎        x = layer(x, memory, mask, memory_mask)⏎    return model.generator(x)
only the last layer: model.decoder(x, memory => model.decoder.layers[-1](x, memory
only the first layer: model.decoder(x, memory => model.decoder.layers[0](x, memory
the first sentence's padding: padding_mask(target) => padding_mask(target[:1])
no mask for the target: model.decoder(x, memory, mask, memory_mask) => model.decoder(x, memory, None, memory_mask)
one mask for both: model.decoder(x, memory, mask, memory_mask) => model.decoder(x, memory, memory_mask, memory_mask)
masks exchanged: model.decoder(x, memory, mask, memory_mask) => model.decoder(x, memory, memory_mask, mask)
memory and target exchanged: model.decoder(x, memory, mask => model.decoder(memory, x, mask
causal mask transposed: causal_mask(target.shape[1]) => causal_mask(target.shape[1]).mT
causal mask strict: causal_mask(target.shape[1]) => causal_mask(target.shape[1]).tril(-1)
padding mask inverted: padding_mask(target) => ~padding_mask(target)
tokens returned: memory_mask)) => memory_mask)).argmax(-1)
no causal mask: causal_mask(target.shape[1]) & padding_mask( => padding_mask(
no padding mask:  & padding_mask(target) => [None]
either mask suffices: ]) & padding => ]) | padding
embedding without scale and positions: model.embed(target, model.target_embedding, model.target_positions) => model.target_embedding(target)
source embedding: model.target_embedding => model.source_embedding
source positions: model.target_positions => model.source_positions
no generator: model.generator(model.decoder(x, memory, mask, memory_mask)) => model.decoder(x, memory, mask, memory_mask)
probabilities: memory_mask)) => memory_mask)).softmax(-1)
log-probabilities: memory_mask)) => memory_mask)).log_softmax(-1)
source's padding ignored: memory, mask, memory_mask)) => memory, mask, torch.ones_like(memory_mask)))
last token dropped:     mask = causal =>     target = target[:, :-1]⏎    mask = causal
embedding without scale: model.embed(target, model.target_embedding, model.target_positions) => model.target_positions(model.target_embedding(target))
embedding without positions: model.embed(target, model.target_embedding, model.target_positions) => model.target_embedding(target) * math.sqrt(model.target_embedding.embedding_dim)
positions twice: model.embed(target, model.target_embedding, model.target_positions) => model.target_positions(model.embed(target, model.target_embedding, model.target_positions))
scaled twice: model.embed(target, model.target_embedding, model.target_positions) => model.embed(target, model.target_embedding, model.target_positions) * math.sqrt(model.target_embedding.embedding_dim)
source embedding and positions: model.embed(target, model.target_embedding, model.target_positions) => model.embed(target, model.source_embedding, model.source_positions)
another padding token: padding_mask(target) => padding_mask(target, 1)
padding of the queries: padding_mask(target) => padding_mask(target).mT
padding of queries and keys: padding_mask(target) => padding_mask(target) & padding_mask(target).mT
padding without its axis: padding_mask(target) => (target != 0)
the source's padding for the target: padding_mask(target) => memory_mask
the target's padding for the source: model.decoder(x, memory, mask, memory_mask) => model.decoder(x, memory, mask, padding_mask(target))
causal mask of the batch's size: causal_mask(target.shape[1]) => causal_mask(target.shape[0])
causal mask of the memory's size: causal_mask(target.shape[1]) => causal_mask(memory.shape[1])
padding of the memory: padding_mask(target) => padding_mask(memory)
padding's logits set to 0: return model.generator(model.decoder(x, memory, mask, memory_mask)) => return model.generator(model.decoder(x, memory, mask, memory_mask)) * (target != 0).unsqueeze(-1)
encoder for decoder: model.decoder(x, memory, mask, memory_mask) => model.encoder(x, mask)
decoder left out: model.decoder(x, memory, mask, memory_mask) => x
embedding for generator: model.generator(model.decoder(x, memory, mask, memory_mask)) => F.linear(model.decoder(x, memory, mask, memory_mask), model.target_embedding.weight)
source embedding for generator: model.generator(model.decoder(x, memory, mask, memory_mask)) => F.linear(model.decoder(x, memory, mask, memory_mask), model.source_embedding.weight)
embed with the target alone: model.embed(target, model.target_embedding, model.target_positions) => model.embed(target)
by hand without dropout: model.embed(target, model.target_embedding, model.target_positions) => model.target_positions(model.target_embedding(target) * math.sqrt(model.target_embedding.embedding_dim))
dropout twice: model.embed(target, model.target_embedding, model.target_positions) => model.dropout(model.embed(target, model.target_embedding, model.target_positions))
dropout before the generator: model.generator(model.decoder(x, memory, mask, memory_mask)) => model.generator(model.dropout(model.decoder(x, memory, mask, memory_mask)))
evaluation inside:     mask = causal_mask =>     model.eval()⏎    mask = causal_mask
training inside:     mask = causal_mask =>     model.train()⏎    mask = causal_mask
the last token alone: model.generator(model.decoder(x, memory, mask, memory_mask)) => model.generator(model.decoder(x, memory, mask, memory_mask))[:, -1]
the last token alone, with its axis: model.generator(model.decoder(x, memory, mask, memory_mask)) => model.generator(model.decoder(x, memory, mask, memory_mask))[:, -1:]
logits scaled: model.generator(model.decoder(x, memory, mask, memory_mask)) => model.generator(model.decoder(x, memory, mask, memory_mask)) / math.sqrt(x.shape[-1])
the first source's padding: model.decoder(x, memory, mask, memory_mask) => model.decoder(x, memory, mask, memory_mask[:1])
mask inverted: causal_mask(target.shape[1]) & padding_mask(target) => ~(causal_mask(target.shape[1]) & padding_mask(target))
""",
)


def _models(draw: Draw) -> list[Case]:
    def case(
        note: str, spread: float = 0.5, left: bool = False, grad: bool = False
    ) -> Case:
        sizes = draw.sizes("batch source target heads")
        sizes["d_model"] = 6 * sizes["heads"]
        model = filled(draw, Transformer(config(sizes, layers=2)), spread)
        source = draw.tokens(sizes["batch"], sizes["source"] + 1, 11)
        target = draw.tokens(sizes["batch"], sizes["target"] + 1, 11)
        return Case(
            (model, source, target.flip(1) if left else target), (), note, sizes, grad
        )

    return [
        case("in the model"),
        case("in the model, with padding in front", left=True),
        case("in the model, with large weights", spread=6.0),
        case("gradients of the model", grad=True),
    ]


attention_inside = Inside(
    chapter,
    "attention_inside",
    difficulty=5,
    minutes=25,
    alone=attention.scaled_dot_product,
    part="scaled_dot_product_attention",
    call=lambda model, source, target: model(source, target),
    models=_models,
    axes="batch target vocabulary",
)

milestone = Milestone(
    chapter,
    "milestone",
    difficulty=5,
    minutes=45,
    parts={
        "scaled_dot_product_attention": attention.scaled_dot_product,
        "causal_mask": self_attention.causal_mask,
        "padding_mask": self_attention.padding_mask,
        "MultiHeadAttention": multi_head.multi_head,
        "sinusoids": positions.sinusoids,
        "FeedForward": layers.feed_forward,
        "layer_norm": layers.layer_norm,
        "Residual": layers.residual,
        "EncoderLayer": encoder_layer,
        "DecoderLayer": decoder_layer,
        "Decoder": decoder,
    },
    models=_models,
)
