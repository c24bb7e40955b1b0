"""The Transformer of "Attention Is All You Need", put together (chapter 9)."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitfm.layers import FeedForward, LayerNorm, Norm, Residual
from minitfm.masks import causal_mask, padding_mask
from minitfm.multihead import MultiHeadAttention, recorded_weights
from minitfm.positional import LearnedPositions, RotaryPositions, SinusoidalPositions


@dataclass(frozen=True)
class TransformerConfig:
    """Every choice that makes one Transformer; the defaults are the paper's base model.

    Attributes:
        vocabulary: number of symbols that source and target share.
        target_vocabulary: number of target symbols, if the target has a vocabulary of
            its own.
        d_model: width of every token's vector.
        d_ff: width inside the feed-forward networks.
        heads: attention heads, the paper's h.
        layers: layers in the encoder, and in the decoder; the paper's N.
        d_k: width of a head's queries and keys; d_model / heads unless given.
        d_v: width of a head's values; d_model / heads unless given.
        dropout: on every sublayer's output and on the sum of embedding and position
            (section 5.4).
        attention_dropout: on the attention weights; 0 in the paper's text, though not
            in its code.
        activation_dropout: inside the feed-forward networks, behind the ReLU; 0 in the
            paper's text.
        norm: ``"post"`` as in the paper, or ``"pre"``, which adds a final norm to
            encoder and decoder.
        tied: one matrix for the embeddings and the output (section 3.4); with two
            vocabularies, for the target's.
        positions: ``"sinusoidal"``, ``"learned"`` or ``"rotary"``.
        max_length: the longest sequence, for learned positions only.

    Raises:
        ValueError: if a choice has no such name, or a number is out of range.
    """

    vocabulary: int = 37_000
    target_vocabulary: int | None = None
    d_model: int = 512
    d_ff: int = 2048
    heads: int = 8
    layers: int = 6
    d_k: int | None = None
    d_v: int | None = None
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    norm: Norm = "post"
    tied: bool = True
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    max_length: int = 512

    def __post_init__(self) -> None:
        if self.norm not in ("post", "pre"):
            raise ValueError(f"norm={self.norm!r}; choose 'post' or 'pre'")
        if self.positions not in ("sinusoidal", "learned", "rotary"):
            raise ValueError(
                f"positions={self.positions!r}; choose 'sinusoidal', 'learned' or "
                "'rotary'"
            )
        optional = ("d_k", "d_v", "target_vocabulary")
        for name in ("d_model", "d_ff", "heads", "max_length", *optional):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name}={number}; choose 1 or more")
        for name in ("vocabulary", "layers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}; choose 0 or more")
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}; choose 0 to 1")

    @classmethod
    def base(cls, vocabulary: int = 37_000, **changes: Any) -> "TransformerConfig":
        """The paper's base model (Table 3)."""
        return cls(vocabulary, **changes)

    @classmethod
    def big(cls, vocabulary: int = 37_000, **changes: Any) -> "TransformerConfig":
        """The paper's big model (Table 3)."""
        return cls(
            vocabulary,
            **{"d_model": 1024, "d_ff": 4096, "heads": 16, "dropout": 0.3, **changes},
        )

    @classmethod
    def tiny(cls, vocabulary: int, **changes: Any) -> "TransformerConfig":
        """A model that a laptop trains in a minute."""
        return cls(
            vocabulary,
            **{"d_model": 64, "d_ff": 256, "heads": 4, "layers": 2, **changes},
        )

    def build(self) -> "Transformer":
        """Make the model."""
        return Transformer(self)


def attention_layer(
    config: TransformerConfig, rotate: nn.Module | None = None
) -> MultiHeadAttention:
    """One attention layer of the config's shape."""
    return MultiHeadAttention(
        config.d_model,
        config.heads,
        config.d_k,
        config.d_v,
        dropout=config.attention_dropout,
        rotate=rotate,
    )


def feed_forward_layer(config: TransformerConfig) -> FeedForward:
    """One feed-forward network of the config's shape."""
    return FeedForward(config.d_model, config.d_ff, dropout=config.activation_dropout)


def residual_layer(config: TransformerConfig) -> Residual:
    """One residual connection of the config's kind."""
    return Residual(config.d_model, norm=config.norm, dropout=config.dropout)


def final_norm(config: TransformerConfig) -> nn.Module:
    """What ends a stack: pre-norm leaves its sum unnormalized, post-norm does not."""
    return LayerNorm(config.d_model) if config.norm == "pre" else nn.Identity()


def absolute_positions(config: TransformerConfig) -> nn.Module:
    """What is added to the embeddings; nothing where positions act in the attention."""
    if config.positions == "learned":
        return LearnedPositions(config.d_model, config.max_length)
    if config.positions == "sinusoidal":
        return SinusoidalPositions(config.d_model)
    return nn.Identity()


def rotary_positions(config: TransformerConfig) -> RotaryPositions | None:
    """What turns the queries and keys of self-attention, if anything does."""
    if config.positions != "rotary":
        return None
    return RotaryPositions(config.d_k or config.d_model // config.heads)


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network (Figure 1, left)."""

    def __init__(
        self, config: TransformerConfig, rotate: nn.Module | None = None
    ) -> None:
        """Make the two sublayers, each with its residual."""
        super().__init__()
        self.self_attention = attention_layer(config, rotate)
        self.feed_forward = feed_forward_layer(config)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)

    def forward(
        self,
        x: Float[Tensor, "batch source d_model"],
        mask: Bool[Tensor, "#batch #source source"],
    ) -> Float[Tensor, "batch source d_model"]:
        """Let every source token look at every source token that ``mask`` leaves
        visible.
        """
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        return self.residual_2(x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the source, feed-forward network (Figure 1,
    right).
    """

    def __init__(
        self, config: TransformerConfig, rotate: nn.Module | None = None
    ) -> None:
        """Make the three sublayers, each with its residual."""
        super().__init__()
        self.self_attention = attention_layer(config, rotate)
        self.cross_attention = attention_layer(config)
        self.feed_forward = feed_forward_layer(config)
        self.residual_1 = residual_layer(config)
        self.residual_2 = residual_layer(config)
        self.residual_3 = residual_layer(config)

    def forward(
        self,
        x: Float[Tensor, "batch target d_model"],
        memory: Float[Tensor, "batch source d_model"],
        mask: Bool[Tensor, "#batch #target target"],
        memory_mask: Bool[Tensor, "#batch #target source"],
    ) -> Float[Tensor, "batch target d_model"]:
        """Look back at the target so far, then at the encoder's ``memory`` of the
        source.
        """
        x = self.residual_1(x, lambda y: self.self_attention(y, y, y, mask))
        x = self.residual_2(
            x, lambda y: self.cross_attention(y, memory, memory, memory_mask)
        )
        return self.residual_3(x, self.feed_forward)


class Encoder(nn.Module):
    """A stack of encoder layers."""

    def __init__(self, config: TransformerConfig) -> None:
        """Make ``config.layers`` layers, and a final norm for pre-norm."""
        super().__init__()
        rotate = rotary_positions(config)
        self.layers = nn.ModuleList(
            EncoderLayer(config, rotate) for _ in range(config.layers)
        )
        self.norm = final_norm(config)

    def forward(
        self,
        x: Float[Tensor, "batch source d_model"],
        mask: Bool[Tensor, "#batch #source source"],
    ) -> Float[Tensor, "batch source d_model"]:
        """Run the layers one after another."""
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of decoder layers."""

    def __init__(self, config: TransformerConfig) -> None:
        """Make ``config.layers`` layers, and a final norm for pre-norm."""
        super().__init__()
        rotate = rotary_positions(config)
        self.layers = nn.ModuleList(
            DecoderLayer(config, rotate) for _ in range(config.layers)
        )
        self.norm = final_norm(config)

    def forward(
        self,
        x: Float[Tensor, "batch target d_model"],
        memory: Float[Tensor, "batch source d_model"],
        mask: Bool[Tensor, "#batch #target target"],
        memory_mask: Bool[Tensor, "#batch #target source"],
    ) -> Float[Tensor, "batch target d_model"]:
        """Run the layers one after another, each with the same ``memory``."""
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.norm(x)


class Writing(NamedTuple):
    """A translation being written: the source as read, and the target so far."""

    memory: Float[Tensor, "batch source d_model"]
    memory_mask: Bool[Tensor, "batch 1 source"]
    target: Int[Tensor, "batch target"]


class Transformer(nn.Module):
    """The whole model: tokens of a source and a target in, logits of each next target
    token out (Figure 1).
    """

    def __init__(self, config: TransformerConfig) -> None:
        """Make the layers; matrices start Xavier-uniform, embeddings with variance 1 /
        d_model.
        """
        super().__init__()
        self.config = config
        target_vocabulary = config.target_vocabulary or config.vocabulary
        one_vocabulary = config.target_vocabulary is None
        self.source_embedding = nn.Embedding(config.vocabulary, config.d_model)
        self.target_embedding = (
            self.source_embedding
            if config.tied and one_vocabulary
            else nn.Embedding(target_vocabulary, config.d_model)
        )
        self.generator = nn.Linear(config.d_model, target_vocabulary, bias=False)
        if config.tied:  # one matrix, read in both directions (section 3.4)
            self.generator.weight = self.target_embedding.weight
        self.source_positions = absolute_positions(config)
        self.target_positions = absolute_positions(config)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.dropout = nn.Dropout(config.dropout)
        for name, parameter in self.named_parameters():
            if "embedding" in name or "generator" in name:
                nn.init.normal_(parameter, std=config.d_model**-0.5)
            elif name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            elif name.endswith(("inner.bias", "outer.bias")):
                nn.init.zeros_(parameter)

    def embed(
        self,
        tokens: Int[Tensor, "batch token"],
        embedding: nn.Module,
        positions: nn.Module,
    ) -> Float[Tensor, "batch token d_model"]:
        """Turn ids into vectors: embedding times √d_model, plus position, then dropout
        (sections 3.4, 3.5, 5.4).
        """
        d_model = self.config.d_model
        return self.dropout(positions(embedding(tokens) * math.sqrt(d_model)))

    def encode(
        self, source: Int[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source d_model"], Bool[Tensor, "batch 1 source"]]:
        """Read the source: its tokens in context (the decoder's memory), and which of
        them are real.
        """
        mask = padding_mask(source)
        x = self.embed(source, self.source_embedding, self.source_positions)
        return self.encoder(x, mask), mask

    def read_target(
        self,
        target: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        memory_mask: Bool[Tensor, "batch 1 source"],
    ) -> Float[Tensor, "batch target d_model"]:
        """Read the target so far and look at the source: what the generator makes
        logits of.
        """
        causal = causal_mask(target.shape[1], device=target.device)
        mask = causal & padding_mask(target)
        x = self.embed(target, self.target_embedding, self.target_positions)
        return self.decoder(x, memory, mask, memory_mask)

    def decode(
        self,
        target: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        memory_mask: Bool[Tensor, "batch 1 source"],
    ) -> Float[Tensor, "batch target vocabulary"]:
        """The logits of the token after each target token."""
        return self.generator(self.read_target(target, memory, memory_mask))

    def features(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target d_model"]:
        """What ``forward`` gives to the generator, for a loss that computes the logits
        by itself (chapter 11).
        """
        return self.read_target(target, *self.encode(source))

    def forward(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target vocabulary"]:
        """The logits of every next target token at once, given the true ones before it.

        Args:
            source: token ids, padded with 0.
            target: token ids from <bos> on, padded; position i predicts what stands at
                i + 1.
        """
        return self.decode(target, *self.encode(source))

    def start(self, source: Int[Tensor, "batch source"]) -> Writing:
        """Read the source once, and begin with an empty target (for ``greedy``)."""
        return Writing(*self.encode(source), source.new_empty(len(source), 0))

    def step(
        self, token: Int[Tensor, " batch"], state: Writing
    ) -> tuple[Float[Tensor, "batch vocabulary"], Writing]:
        """Append one token to the target and predict the next (for ``greedy``)."""
        state = state._replace(
            target=torch.cat([state.target, token.unsqueeze(1)], dim=1)
        )
        return self.decode(state.target, state.memory, state.memory_mask).select(
            1, -1
        ), state

    def attention(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> dict[str, Float[Tensor, "batch heads query key"]]:
        """The weights of every attention layer by its name, such as
        ``decoder.layers.1.cross_attention``.
        """
        with torch.no_grad(), recorded_weights(self) as weights:
            self(source, target)
        return weights

    def parameter_counts(self) -> dict[str, int]:
        """Number of trained numbers by kind of layer, a shared matrix counted once."""
        kinds = ("embedding", "positions", "attention", "feed_forward", "norm")
        counts = dict.fromkeys(kinds, 0)
        for name, parameter in self.named_parameters():
            # the generator is an embedding that is read backward
            kind = next((kind for kind in kinds if kind in name), "embedding")
            counts[kind] += parameter.numel()
        return counts
