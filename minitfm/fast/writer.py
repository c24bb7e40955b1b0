"""Writing without reading everything again: the decoder with a cache of keys and values
(chapter 12).
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitfm.fast.attention import side_by_side
from minitfm.fast.linear import PackedLinear, packed, packs
from minitfm.multihead import MultiHeadAttention, merge_heads
from minitfm.transformer import DecoderLayer, Transformer

Keys = Float[Tensor, "sentence heads key d_k"]
Values = Float[Tensor, "sentence heads key d_v"]


@dataclass
class Cache:
    """Translations being written, ``beam`` of them to each sentence, and what the
    decoder has computed so far.

    Attributes:
        memory: each layer's keys and values of the source, once a sentence however many
            beams write.
        memory_mask: True where a source token is real, (sentence, 1, 1, source); None
            where all are.
        past: each layer's keys and values of the target, (sentence, heads, capacity,
            beam, d): those of step t stay where step t put them, whoever continues
            them.
        slots: in which of the beam's places each translation stood at each step,
            (sentence, beam, step). A translation may attend at step t to that place
            alone.
    """

    memory: list[tuple[Tensor, Tensor]]
    memory_mask: Bool[Tensor, "sentence 1 1 source"] | None
    past: list[tuple[Tensor, Tensor]]
    slots: Int[Tensor, "sentence beam step"]


class CachedTransformer:
    """A ``Transformer`` that writes: the same logits step by step, without computing
    any key or value twice.

    It follows ``seq2seq.EncoderDecoder``, so ``greedy`` takes it as it takes the model.
    The weights are the model's at the time this is made; make another after training
    on.
    """

    def __init__(self, model: Transformer) -> None:
        """Copy the model, and lay the projections that read the same input side by
        side: one product, not three.
        """
        layers: Any = model.decoder.layers
        self.from_target = [
            one_layer(a.query, a.key, a.value)
            for a in (x.self_attention for x in layers)
        ]
        self.from_memory = [
            one_layer(a.key, a.value) for a in (x.cross_attention for x in layers)
        ]
        self.model = packed(model)
        layers = self.model.decoder.layers
        self.layers: list[DecoderLayer] = list(layers)

    @property
    def training(self) -> bool:
        """Whether the model's dropout is on; it must be off for writing."""
        return self.model.training

    def train(self, mode: bool = True) -> None:
        """Switch the model's dropout on or off."""
        self.model.train(mode)

    def start(self, source: Int[Tensor, "sentence source"], beam: int = 1) -> Cache:
        """Read the source once; ``beam`` translations of each sentence begin."""
        x, mask = self.model.encode(source)
        memory, past = [], []
        for layer, from_memory in zip(self.layers, self.from_memory):
            attention = layer.cross_attention
            key, value = split(from_memory(x), attention, ("d_k", "d_v"))
            memory.append((key.contiguous(), value.contiguous()))
            attention = layer.self_attention
            room = (
                x.new_empty(len(x), attention.heads, 0, beam, d)
                for d in (attention.d_k, attention.d_v)
            )
            past.append((next(room), next(room)))
        nothing = torch.empty(len(x), beam, 0, dtype=torch.long, device=x.device)
        return Cache(memory, None if mask.all() else mask.unsqueeze(1), past, nothing)

    def step(
        self, token: Int[Tensor, " row"], cache: Cache
    ) -> tuple[Float[Tensor, "row vocabulary"], Cache]:
        """Append a token to each translation, sentence by sentence and beam by beam:
        the logits of the next.

        The keys and values go into the cache that was given: go on from the new one.
        """
        sentence, beam, step = cache.slots.shape
        places = torch.arange(beam, device=token.device)
        slots = torch.cat(
            [cache.slots, places.expand(sentence, beam).unsqueeze(2)], dim=2
        )
        cache = replace(cache, slots=slots, past=list(cache.past))
        mask = (
            (slots.unsqueeze(-1) == places).flatten(2).unsqueeze(1)
        )  # a key for every step and place
        x = self.embed(token, step).view(sentence, beam, -1)
        for number, layer in enumerate(self.layers):
            x = layer.residual_1(
                x, partial(self.look_back, number, cache, mask if beam > 1 else None)
            )
            x = layer.residual_2(x, partial(self.ask_the_source, number, cache))
            x = layer.residual_3(x, layer.feed_forward)
        return self.model.generator(self.model.decoder.norm(x)).flatten(0, 1), cache

    def look_back(
        self,
        number: int,
        cache: Cache,
        mask: Bool[Tensor, "sentence 1 beam key"] | None,
        x: Float[Tensor, "sentence beam d_model"],
    ) -> Float[Tensor, "sentence beam d_model"]:
        """Self-attention of layer ``number``: put the new keys and values into the
        cache, ask all of them.
        """
        attention, step = self.layers[number].self_attention, cache.slots.shape[2] - 1
        query, key, value = split(
            self.from_target[number](x), attention, ("d_k", "d_k", "d_v")
        )
        rotate: Any = attention.rotate
        if rotate is not None:  # the beam's tokens all stand at the same position
            query, key = (
                rotate(part.unsqueeze(-2), step).squeeze(-2) for part in (query, key)
            )
        old_keys, old_values = cache.past[number]
        cache.past[number] = (
            appended(old_keys, key, step),
            appended(old_values, value, step),
        )
        keys, values = (
            part[:, :, : step + 1].flatten(2, 3) for part in cache.past[number]
        )
        return attention.output(attend(query, keys, values, mask))

    def ask_the_source(
        self, number: int, cache: Cache, x: Float[Tensor, "sentence beam d_model"]
    ) -> Float[Tensor, "sentence beam d_model"]:
        """Cross-attention of layer ``number``: the whole beam asks the sentence's one
        memory.
        """
        attention = self.layers[number].cross_attention
        (query,) = split(attention.query(x), attention, ("d_k",))
        return attention.output(attend(query, *cache.memory[number], cache.memory_mask))

    def embed(
        self, token: Int[Tensor, " row"], step: int
    ) -> Float[Tensor, "row d_model"]:
        """Turn the one token of each row, which stands at position ``step``, into a
        vector.
        """
        x = self.model.target_embedding(token).unsqueeze(1) * math.sqrt(
            self.model.config.d_model
        )
        positions = self.model.target_positions
        return (
            x if isinstance(positions, nn.Identity) else positions(x, step)
        ).squeeze(1)

    def reorder(self, cache: Cache, parents: Int[Tensor, "sentence beam"]) -> Cache:
        """Let place i of each beam continue the translation of place ``parents[i]``:
        only the slots change.
        """
        steps = cache.slots.shape[2]
        return replace(
            cache,
            slots=cache.slots.gather(1, parents.unsqueeze(2).expand(-1, -1, steps)),
        )

    def keep(self, cache: Cache, kept: Bool[Tensor, " sentence"]) -> Cache:
        """Go on with these sentences only."""
        memory = [(key[kept], value[kept]) for key, value in cache.memory]
        past = [(key[kept], value[kept]) for key, value in cache.past]
        mask = None if cache.memory_mask is None else cache.memory_mask[kept]
        return Cache(memory, mask, past, cache.slots[kept])


def one_layer(*layers: nn.Linear) -> nn.Module:
    """One layer that computes what several do from the same input."""
    weight, bias = side_by_side(*layers)
    together = nn.Linear(
        weight.shape[1], weight.shape[0], bias is not None, weight.device, weight.dtype
    )
    together.load_state_dict(
        {"weight": weight, "bias": bias} if bias is not None else {"weight": weight}
    )
    return PackedLinear(together) if packs(together) else together


def split(
    x: Float[Tensor, "sentence token together"],
    attention: MultiHeadAttention,
    widths: tuple[str, ...],
) -> tuple[Float[Tensor, "sentence heads token d"], ...]:
    """Take apart what ``side_by_side`` computed, and give each head its slice."""
    parts = x.split(
        [attention.heads * getattr(attention, width) for width in widths], dim=-1
    )
    return tuple(
        part.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in parts
    )


def appended(
    old: Float[Tensor, "sentence heads capacity beam d"],
    new: Float[Tensor, "sentence heads beam d"],
    step: int,
) -> Tensor:
    """Write into the next free row; where none is left, make room for as many again."""
    if step == old.shape[2]:
        sentence, heads, capacity, beam, d = old.shape
        grown = old.new_empty(sentence, heads, max(16, 2 * capacity), beam, d)
        grown[:, :, :capacity] = old
        old = grown
    old[:, :, step] = new
    return old


def attend(
    query: Float[Tensor, "sentence heads beam d_k"],
    key: Keys,
    value: Values,
    mask: Bool[Tensor, "sentence 1 #beam key"] | None,
) -> Float[Tensor, "sentence beam together"]:
    """Scaled dot-product attention of few queries: two plain products are faster here
    than the fused call.
    """
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return merge_heads(scores.softmax(-1) @ value)
