"""How a trained model writes: beam search, sampling, a cache of keys and values, and
averaged weights (chapter 12).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from minitfm.attention import scaled_dot_product_attention
from minitfm.masks import padding_mask
from minitfm.multihead import merge_heads, split_heads
from minitfm.seq2seq import EncoderDecoder
from minitfm.transformer import Transformer


class Hypothesis(NamedTuple):
    """One translation that a beam search found.

    Attributes:
        tokens: its ids without <bos>; the last one is <eos>, unless the longest length
            came first.
        log_probability: of all these tokens, in nats.
        score: the log-probability over the ``length_penalty``.
    """

    tokens: list[int]
    log_probability: float
    score: float


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6)^alpha. A log-probability is divided by it, because every
    further token lowers the sum.

    The paper names alpha = 0.6 (section 6.1) and takes the formula from Wu et al.
    (2016, equation 14).
    """
    return ((5 + length) / 6) ** alpha


def longest_lengths(
    source: Int[Tensor, "sentence source"], extra: int = 50, pad: int = 0
) -> Int[Tensor, " sentence"]:
    """The paper's limit for each translation: the length of its source plus ``extra``
    (section 6.1).
    """
    return (source != pad).sum(1) + extra


@contextmanager
def without_dropout(model: EncoderDecoder) -> Iterator[None]:
    """Switch dropout off inside the ``with`` block, and leave the model in the mode in
    which it was.
    """
    was_training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(was_training)


def check_search(beam: int, alpha: float, best: int) -> None:
    """Refuse numbers with which no beam search can run."""
    if best < 1:
        raise ValueError(f"best={best}; choose 1 or more")
    if best > beam:
        raise ValueError(
            f"best={best} translations from a beam of {beam}; choose a beam of {best}"
            " or more"
        )
    if not -10 <= alpha <= 10:  # nan, too; beyond, the powers leave the numbers
        raise ValueError(f"alpha={alpha}; choose -10 to 10, 0 for no penalty")


def limits_of(
    source: Int[Tensor, "sentence source"],
    max_length: Int[Tensor, " sentence"] | int | None,
    pad: int = 0,
) -> Int[Tensor, " sentence"]:
    """The most tokens to write for each sentence: ``max_length``, or the paper's."""
    if max_length is None:
        return longest_lengths(source, pad=pad)
    limits = torch.as_tensor(max_length, device=source.device).expand(len(source))
    if (limits < 1).any():
        raise ValueError(f"max_length={limits.min().item()}; choose 1 or more")
    return limits


@torch.no_grad()
def beam_search(
    model: EncoderDecoder,
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
    """Write each sentence in ``beam`` ways at once, and return the ``best`` of them.

    Dropout is switched off meanwhile.

    Args:
        model: the trained model.
        source: token ids, padded.
        beam: how many translations to keep at each step; the paper has 4. With 1 this
            is greedy decoding.
        alpha: of the length penalty; 0 for none.
        best: how many translations to return for each sentence, at most ``beam``.
        max_length: the most tokens to write, <eos> included, for all sentences or for
            each; ``longest_lengths`` if it is not given.
        bos: the id of the symbol that starts a target.
        eos: the id of the symbol that ends it.
        pad: the id of the padding symbol, which is never written.

    Returns:
        For each sentence its translations, the best first.

    Raises:
        ValueError: if more translations are asked for than the beam holds, no token may
            be written, or alpha is out of range.
    """
    check_search(beam, alpha, best)
    limits = limits_of(source, max_length, pad).tolist()
    with without_dropout(model):
        return [
            search(model, row.unsqueeze(0), beam, alpha, best, limit, bos, eos, pad)
            for row, limit in zip(source, limits)
        ]


def search(
    model: EncoderDecoder,
    source: Int[Tensor, "1 source"],
    beam: int,
    alpha: float,
    best: int,
    max_length: int,
    bos: int,
    eos: int,
    pad: int,
) -> list[Hypothesis]:
    """The beam search of one sentence; the arguments are those of ``beam_search``.

    The model's batch is the beam: each row is one translation in progress.
    """
    finished: list[Hypothesis] = []
    written: list[list[int]] = [[]]  # at first one row, which is empty
    state, token = model.start(source), source.new_tensor([bos])
    total = torch.zeros(1, device=source.device)  # log-probability of each row
    for length in range(1, max_length + 1):
        logits, state = model.step(token, state)
        candidates = total.unsqueeze(1) + logits.log_softmax(-1)  # (row, vocabulary)
        candidates[:, pad] = -math.inf
        # Only one continuation of each row ends it: twice the beam leaves enough.
        top, places = candidates.flatten().topk(min(2 * beam, candidates.numel()))
        going_on: list[tuple[float, int, list[int]]] = []
        for rank, (value, place) in enumerate(zip(top.tolist(), places.tolist())):
            row, symbol = divmod(place, logits.shape[1])
            tokens = [*written[row], symbol]
            if value == -math.inf:
                break
            if symbol != eos and length < max_length:
                going_on.append((value, row, tokens))
            elif rank < beam:
                score = value / length_penalty(length, alpha)
                finished.append(Hypothesis(tokens, value, score))
        finished = sorted(finished, key=lambda one: one.score, reverse=True)[:best]
        if not going_on:
            break
        reachable = reachable_score(going_on[0][0], length + 1, max_length, alpha)
        if len(finished) == best and finished[-1].score >= reachable:
            break
        values, rows, written = map(list, zip(*going_on[:beam]))
        total = candidates.new_tensor(values)
        token = source.new_tensor([tokens[-1] for tokens in written])
        state = select_rows(state, rows)
    return finished


def select_rows(state: Any, rows: list[int] | Tensor) -> Any:
    """Take rows of every tensor in a model's state."""
    return tree_map(lambda part: part[rows], state)


def reachable_score(
    log_probability: float, shortest: int, longest: int, alpha: float
) -> float:
    """The best score that a translation in progress can still reach.

    Every further token lowers its log-probability, so this is the log-probability now,
    over the largest penalty of the lengths from ``shortest`` to ``longest``.
    """
    return log_probability / max(
        length_penalty(shortest, alpha), length_penalty(longest, alpha)
    )


def keep_likeliest(
    logits: Float[Tensor, "row vocabulary"],
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "row vocabulary"]:
    """Set the logits of all but the likeliest symbols to -∞.

    Args:
        logits: of the next symbol.
        top_k: keep this many symbols (Fan et al. 2018).
        top_p: keep the fewest symbols that have this much of the probability together
            (Holtzman et al. 2020).

    Raises:
        ValueError: if nothing would be kept.
    """
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} keeps no symbol; choose 1 or more")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}; choose more than 0 and at most 1")
    ranked, order = logits.sort(dim=-1, descending=True)
    dropped = torch.zeros_like(ranked, dtype=torch.bool)
    if top_k is not None:
        dropped[:, top_k:] = True
    if top_p is not None:
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
        dropped |= before >= top_p  # the likelier symbols are enough without this one
    return logits.masked_fill(
        torch.zeros_like(dropped).scatter(1, order, dropped), -math.inf
    )


@torch.no_grad()
def sample(
    model: EncoderDecoder,
    source: Int[Tensor, "sentence source"],
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    max_length: Int[Tensor, " sentence"] | int | None = None,
    bos: int = 1,
    eos: int = 2,
    pad: int = 0,
) -> Int[Tensor, "sentence token"]:
    """Write each sentence by drawing every next token from the model's probabilities.

    Dropout is switched off meanwhile.

    Args:
        model: the trained model.
        source: token ids, padded.
        generator: of the draws.
        temperature: the logits are divided by it. Near 0 the likeliest token always
            wins; above 1 unlikely tokens become likelier.
        top_k: see ``keep_likeliest``.
        top_p: see ``keep_likeliest``.
        max_length: the most tokens to write, <eos> included, for all sentences or for
            each; ``longest_lengths`` if it is not given.
        bos: the id of the symbol that starts a target.
        eos: the id of the symbol that ends it.
        pad: what fills a row after its end; it is never drawn.

    Returns:
        The tokens written, without <bos>, as many columns as the longest row needs.

    Raises:
        ValueError: if the temperature is not positive, or nothing may be drawn.
    """
    if not temperature > 0:  # nan, too
        raise ValueError(
            f"temperature={temperature}; choose a positive one, or write with greedy"
        )
    limits = limits_of(source, max_length, pad)
    with without_dropout(model):
        state, token = model.start(source), source.new_full((len(source),), bos)
        done = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while not done.all():
            logits, state = model.step(token, state)
            logits[:, pad] = -math.inf
            probabilities = keep_likeliest(logits / temperature, top_k, top_p).softmax(
                -1
            )
            drawn = probabilities.multinomial(1, generator=generator).squeeze(1)
            token = drawn.masked_fill(done, pad)
            written.append(token)
            done = done | (token == eos) | (len(written) >= limits)
    return torch.stack(written, dim=1) if written else source.new_empty(len(source), 0)


class Cache(NamedTuple):
    """What a decoder computed at earlier steps: the keys and values of each layer.

    Attributes:
        memory: of the source, for cross-attention; they stay the same.
        memory_mask: True where a source token is real.
        past: of the target so far, for self-attention; every step adds one.
        past_mask: True where a target token is real.
    """

    memory: list[tuple[Float[Tensor, "batch heads source d_k"], Tensor]]
    memory_mask: Bool[Tensor, "batch 1 1 source"]
    past: list[tuple[Float[Tensor, "batch heads target d_k"], Tensor]]
    past_mask: Bool[Tensor, "batch 1 1 target"]


class CachedTransformer:
    """A Transformer that writes without computing any key or value twice.

    Its own ``step`` reads the whole target again for every token. But the target is
    masked causally, so what earlier tokens computed does not change: their keys and
    values can be kept. The logits are the same.
    """

    def __init__(self, model: Transformer) -> None:
        """Write with ``model``, which may be trained on meanwhile."""
        self.model = model
        self.layers: Any = model.decoder.layers

    @property
    def training(self) -> bool:
        """Whether the model's dropout is on."""
        return self.model.training

    def train(self, mode: bool = True) -> None:
        """Switch the model's dropout on or off."""
        self.model.train(mode)

    def start(self, source: Int[Tensor, "batch source"]) -> Cache:
        """Read the source, and compute the keys and values of its tokens."""
        x, mask = self.model.encode(source)
        memory, past = [], []
        for layer in self.layers:
            attention = layer.cross_attention
            key = split_heads(attention.key(x), attention.heads)
            value = split_heads(attention.value(x), attention.heads)
            memory.append((key, value))
            past.append((key[:, :, :0], value[:, :, :0]))  # nothing written yet
        mask = mask.unsqueeze(1)
        return Cache(memory, mask, past, mask[..., :0])

    def step(
        self, token: Int[Tensor, " batch"], cache: Cache
    ) -> tuple[Float[Tensor, "batch vocabulary"], Cache]:
        """Append one token to each row; it alone goes through the layers."""
        model, position = self.model, cache.past_mask.shape[-1]
        real = padding_mask(token.unsqueeze(1)).unsqueeze(1)
        cache = cache._replace(
            past=list(cache.past), past_mask=torch.cat([cache.past_mask, real], dim=-1)
        )
        positions: Any = model.target_positions
        x = model.target_embedding(token.unsqueeze(1)) * math.sqrt(model.config.d_model)
        x = x if isinstance(positions, nn.Identity) else positions(x, position)
        x = model.dropout(x)
        for number, layer in enumerate(self.layers):
            x = layer.residual_1(x, partial(self.look_back, number, cache))
            x = layer.residual_2(x, partial(self.look_at_source, number, cache))
            x = layer.residual_3(x, layer.feed_forward)
        return model.generator(model.decoder.norm(x)).squeeze(1), cache

    def look_back(
        self, number: int, cache: Cache, x: Float[Tensor, "batch 1 d_model"]
    ) -> Float[Tensor, "batch 1 d_model"]:
        """Self-attention of layer ``number``: keep the token's key and value, and
        attend to all that were kept.
        """
        attention = self.layers[number].self_attention
        position = cache.past_mask.shape[-1] - 1
        query = split_heads(attention.query(x), attention.heads)
        key = split_heads(attention.key(x), attention.heads)
        value = split_heads(attention.value(x), attention.heads)
        if attention.rotate is not None:
            query = attention.rotate(query, position)
            key = attention.rotate(key, position)
        keys, values = cache.past[number]
        keys, values = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
        cache.past[number] = keys, values
        found = scaled_dot_product_attention(query, keys, values, cache.past_mask)
        return attention.output(merge_heads(found))

    def look_at_source(
        self, number: int, cache: Cache, x: Float[Tensor, "batch 1 d_model"]
    ) -> Float[Tensor, "batch 1 d_model"]:
        """Cross-attention of layer ``number``, whose keys and values are all known."""
        attention = self.layers[number].cross_attention
        keys, values = cache.memory[number]
        query = split_heads(attention.query(x), attention.heads)
        found = scaled_dot_product_attention(query, keys, values, cache.memory_mask)
        return attention.output(merge_heads(found))


def averaged(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several checkpoints' weights. The paper takes its last 5 checkpoints,
    for the big model the last 20 (section 6.1).

    Args:
        states: a ``state_dict`` of each checkpoint.

    Raises:
        ValueError: if there are none, or they are not of the same model.
    """
    if not states:
        raise ValueError("there is no checkpoint to average")
    if any(state.keys() != states[0].keys() for state in states):
        raise ValueError(
            "these checkpoints hold different tensors; average those of one model only"
        )
    return {
        name: torch.stack([state[name].double() for state in states])
        .mean(0)
        .to(tensor.dtype)
        for name, tensor in states[0].items()
    }
