"""Beam search for the product: all sentences at once, and a cache that a whole beam
shares (chapter 12).

``beam_search`` here returns what ``minitfm.decoding.beam_search`` does. It writes the
sentences of a batch together, takes those that are finished out of the batch, and does
not copy the keys and values of a hypothesis when the beam is reordered.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from minitfm.decoding import (
    Hypothesis,
    check_search,
    length_penalty,
    limits_of,
    reachable_score,
    select_rows,
    without_dropout,
)
from minitfm.fast import accelerate
from minitfm.fast.linear import join_linears, pack_linears
from minitfm.multihead import MultiHeadAttention, merge_heads
from minitfm.seq2seq import EncoderDecoder
from minitfm.transformer import DecoderLayer, Transformer

Keys = Float[Tensor, "sentence heads key d_k"]
Values = Float[Tensor, "sentence heads key d_v"]


@torch.inference_mode()
def beam_search(
    model: "EncoderDecoder | ModelWriter",
    source: Int[Tensor, "sentence source"],
    *,
    beam: int = 4,
    alpha: float = 0.6,
    best: int = 1,
    max_length: Int[Tensor, " sentence"] | int | None = None,
    bos: int = 1,
    eos: int = 2,
    pad: int = 0,
) -> list[list[Hypothesis]]:
    """Write each sentence as ``minitfm.decoding.beam_search`` does, faster.

    Args:
        model: the trained model, or its ``writer``. To write many batches, make the
            writer once.
        source: token ids, padded.
        beam: as there.
        alpha: as there.
        best: as there.
        max_length: as there.
        bos: as there.
        eos: as there.
        pad: as there.

    Raises:
        ValueError: as there.
    """
    check_search(beam, alpha, best)
    limit = limits_of(source, max_length, pad)
    beams = model if isinstance(model, ModelWriter) else writer(model)
    found: list[list[Hypothesis]] = [[] for _ in source]
    with without_dropout(beams.model):
        state = beams.start(source, beam)
        sentence = torch.arange(len(source), device=source.device)  # in the batch still
        token = source.new_full((len(source) * beam,), bos)
        written = source.new_empty(len(source), beam, 0)
        # All places of a beam begin alike, so only the first one counts.
        total = torch.full((len(source), beam), -torch.inf, device=source.device)
        total[:, 0] = 0.0
        while len(sentence):
            logits, state = beams.step(token, state)
            # Each place can lose <eos> and <pad> from its likeliest, and must still
            # offer enough for the whole beam.
            precise = torch.promote_types(logits.dtype, torch.float32)
            top, tokens = logits.log_softmax(-1, dtype=precise).topk(
                min(2 * beam + 1, logits.shape[-1])
            )
            top = top.masked_fill(tokens == pad, -torch.inf)
            top = top.unflatten(0, (-1, beam)) + total.unsqueeze(2)
            top, index = top.flatten(1).topk(min(2 * beam, top[0].numel()))
            parents = index // tokens.shape[-1]
            tokens = tokens.view(len(sentence), -1).gather(1, index)
            length = written.shape[2] + 1
            ended = (tokens == eos) | (length >= limit[sentence]).unsqueeze(1)
            for row, place in (ended & (top > -torch.inf))[:, :beam].nonzero().tolist():
                before = written[row, parents[row, place]].tolist()
                log_probability = top[row, place].item()
                score = log_probability / length_penalty(length, alpha)
                found[sentence[row]].append(
                    Hypothesis(
                        [*before, int(tokens[row, place])], log_probability, score
                    )
                )
            total, order = top.masked_fill(ended, -torch.inf).topk(beam)
            parents, tokens = parents.gather(1, order), tokens.gather(1, order)
            written = written.gather(1, parents.unsqueeze(2).expand_as(written))
            written = torch.cat([written, tokens.unsqueeze(2)], dim=2)
            state = beams.reorder(state, parents)
            going_on = [
                likeliest > -torch.inf
                and can_improve(
                    found[number],
                    best,
                    likeliest,
                    length + 1,
                    int(limit[number]),
                    alpha,
                )
                for number, likeliest in zip(sentence.tolist(), total[:, 0].tolist())
            ]
            # To take sentences out of the batch costs a copy of all the others.
            if 8 * sum(going_on) <= 7 * len(going_on):
                kept = torch.tensor(going_on, device=source.device)
                sentence, written, total, tokens = (
                    part[kept] for part in (sentence, written, total, tokens)
                )
                state = beams.keep(state, kept)
            token = tokens.flatten()
    return [
        sorted(pool, key=lambda hypothesis: -hypothesis.score)[:best] for pool in found
    ]


def can_improve(
    found: list[Hypothesis],
    best: int,
    log_probability: float,
    shortest: int,
    longest: int,
    alpha: float,
) -> bool:
    """Whether a hypothesis in progress can still come among the ``best`` of those
    found.
    """
    if len(found) < best:
        return True
    scores = sorted((one.score for one in found), reverse=True)
    reachable = reachable_score(log_probability, shortest, longest, alpha)
    return scores[best - 1] < reachable


def writer(model: EncoderDecoder) -> "ModelWriter":
    """What ``beam_search`` writes with: a ``TransformerWriter`` for a Transformer, a
    ``ModelWriter`` for any other model.
    """
    return (
        TransformerWriter(model)
        if isinstance(model, Transformer)
        else ModelWriter(model)
    )


class ModelWriter:
    """Any encoder-decoder, with ``beam`` hypotheses of each sentence in neighboring
    rows of its batch. To continue a hypothesis is to copy its state.
    """

    def __init__(self, model: EncoderDecoder) -> None:
        """Write with ``model``."""
        self.model: Any = model

    def start(self, source: Int[Tensor, "sentence source"], beam: int = 1) -> Any:
        """Read each sentence once; ``beam`` empty hypotheses of it begin."""
        return tree_map(
            lambda part: part.repeat_interleave(beam, 0), self.model.start(source)
        )

    def step(
        self, token: Int[Tensor, " row"], state: Any
    ) -> tuple[Float[Tensor, "row vocabulary"], Any]:
        """Append a token to each hypothesis, and return the logits of the next."""
        return self.model.step(token, state)

    def reorder(self, state: Any, parents: Int[Tensor, "sentence beam"]) -> Any:
        """Let place i of each beam continue the hypothesis of place ``parents[i]``."""
        sentences, beam = parents.shape
        first = beam * torch.arange(sentences, device=parents.device).unsqueeze(1)
        rows = (first + parents).flatten()
        return select_rows(state, rows)

    def keep(self, state: Any, kept: Bool[Tensor, " sentence"]) -> Any:
        """Go on with the sentences where ``kept`` is true."""
        beam = len(tree_leaves(state)[0]) // len(kept)
        return select_rows(state, kept.repeat_interleave(beam))


@dataclass
class Cache:
    """Hypotheses in progress, ``beam`` of them for each sentence, and what the decoder
    has computed so far.

    Attributes:
        memory: each layer's keys and values of the source, once for each sentence
            however many hypotheses it has.
        memory_mask: True where a source token is real; None where all are.
        past: each layer's keys and values of the target, (sentence, heads, capacity,
            beam, d). Those of step t stay where step t wrote them, whichever hypotheses
            continue them.
        ancestors: the place in the beam at which each hypothesis's token of each step
            was written. At step t a hypothesis may attend to that place alone.
    """

    memory: list[tuple[Tensor, Tensor]]
    memory_mask: Bool[Tensor, "sentence 1 1 source"] | None
    past: list[tuple[Tensor, Tensor]]
    ancestors: Int[Tensor, "sentence beam step"]


class TransformerWriter(ModelWriter):
    """A Transformer, with a cache: no key or value is computed twice, or copied when
    the beam is reordered.

    It works on a copy of the model in evaluation mode, with the weights that the model
    has when the writer is made. Make another one after training on.
    """

    def __init__(self, model: Transformer) -> None:
        """Copy the model, and join the projections that read the same input: one
        matrix product instead of three.
        """
        self.model: Any = accelerate(pack_linears(model)).eval()
        layers: Any = model.decoder.layers
        self.from_target = [
            join_linears(a.query, a.key, a.value)
            for a in (layer.self_attention for layer in layers)
        ]
        self.from_memory = [
            join_linears(a.key, a.value)
            for a in (layer.cross_attention for layer in layers)
        ]
        decoder: Any = self.model.decoder
        self.layers: list[DecoderLayer] = [*decoder.layers]

    def start(self, source: Int[Tensor, "sentence source"], beam: int = 1) -> Cache:
        """Read each sentence once; ``beam`` empty hypotheses of it begin."""
        x, mask = self.model.encode(source)
        # A source of padding alone gives zeros: its values are zero, and all may be
        # attended to, since the softmax of nothing is not a number.
        nothing = ~mask.any(-1, keepdim=True)
        memory, past = [], []
        for layer, from_memory in zip(self.layers, self.from_memory):
            attention = layer.cross_attention
            key, value = split(from_memory(x), attention, ("d_k", "d_v"))
            value = value.masked_fill(nothing.unsqueeze(1), 0.0)
            memory.append((key.contiguous(), value.contiguous()))
            attention = layer.self_attention
            room = (
                x.new_empty(len(x), attention.heads, 0, beam, d)
                for d in (attention.d_k, attention.d_v)
            )
            past.append((next(room), next(room)))
        mask = mask | nothing
        return Cache(
            memory,
            None if mask.all() else mask.unsqueeze(1),
            past,
            source.new_empty(len(x), beam, 0, dtype=torch.long),
        )

    def step(
        self, token: Int[Tensor, " row"], cache: Cache
    ) -> tuple[Float[Tensor, "row vocabulary"], Cache]:
        """Append a token to each hypothesis, and return the logits of the next.

        The keys and values are written into the tensors of the given cache, so only the
        returned one can be used again.
        """
        sentence, beam, step = cache.ancestors.shape
        places = torch.arange(beam, device=token.device)
        ancestors = torch.cat(
            [cache.ancestors, places.expand(sentence, beam).unsqueeze(2)], dim=2
        )
        cache = replace(cache, ancestors=ancestors, past=list(cache.past))
        # There is a key for every step and every place in the beam.
        mask = (ancestors.unsqueeze(-1) == places).flatten(2).unsqueeze(1)
        x = self.embed(token, step).view(sentence, beam, -1)
        for number, layer in enumerate(self.layers):
            x = layer.residual_1(
                x, partial(self.look_back, number, cache, mask if beam > 1 else None)
            )
            x = layer.residual_2(x, partial(self.look_at_source, number, cache))
            x = layer.residual_3(x, layer.feed_forward)
        return self.model.generator(self.model.decoder.norm(x)).flatten(0, 1), cache

    def look_back(
        self,
        number: int,
        cache: Cache,
        mask: Bool[Tensor, "sentence 1 beam key"] | None,
        x: Float[Tensor, "sentence beam d_model"],
    ) -> Float[Tensor, "sentence beam d_model"]:
        """Self-attention of layer ``number``: write the new keys and values into the
        cache, and attend to those of the hypothesis.
        """
        attention = self.layers[number].self_attention
        step = cache.ancestors.shape[2] - 1
        query, key, value = split(
            self.from_target[number](x), attention, ("d_k", "d_k", "d_v")
        )
        rotate: Any = attention.rotate
        if rotate is not None:  # all tokens of the beam stand at the same position
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

    def look_at_source(
        self, number: int, cache: Cache, x: Float[Tensor, "sentence beam d_model"]
    ) -> Float[Tensor, "sentence beam d_model"]:
        """Cross-attention of layer ``number``: the beam's queries attend to the one
        memory of their sentence.
        """
        attention = self.layers[number].cross_attention
        (query,) = split(attention.query(x), attention, ("d_k",))
        return attention.output(attend(query, *cache.memory[number], cache.memory_mask))

    def embed(
        self, token: Int[Tensor, " row"], step: int
    ) -> Float[Tensor, "row d_model"]:
        """Turn the token of each row into a vector; all stand at position ``step``."""
        model, positions = self.model, self.model.target_positions
        x = model.target_embedding(token).unsqueeze(1) * math.sqrt(model.config.d_model)
        x = x if isinstance(positions, nn.Identity) else positions(x, step)
        return x.squeeze(1)

    def reorder(self, cache: Cache, parents: Int[Tensor, "sentence beam"]) -> Cache:
        """Let place i of each beam continue the hypothesis of place ``parents[i]``:
        only the ancestors change.
        """
        parents = parents.unsqueeze(2).expand_as(cache.ancestors)
        return replace(cache, ancestors=cache.ancestors.gather(1, parents))

    def keep(self, cache: Cache, kept: Bool[Tensor, " sentence"]) -> Cache:
        """Go on with the sentences where ``kept`` is true."""
        memory = [(key[kept], value[kept]) for key, value in cache.memory]
        past = [(key[kept], value[kept]) for key, value in cache.past]
        mask = None if cache.memory_mask is None else cache.memory_mask[kept]
        return Cache(memory, mask, past, cache.ancestors[kept])


def split(
    x: Float[Tensor, "sentence token joined"],
    attention: MultiHeadAttention,
    widths: tuple[str, ...],
) -> tuple[Float[Tensor, "sentence heads token d"], ...]:
    """Take apart what joined projections computed, and give each head its slice."""
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
    """Write the keys or values of a step; where the capacity is used up, double it."""
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
) -> Float[Tensor, "sentence beam d_heads"]:
    """Scaled dot-product attention of a few queries, for which two plain products are
    faster than PyTorch's fused call.
    """
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return merge_heads(scores.softmax(-1) @ value)
