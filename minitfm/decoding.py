"""How a trained model writes: beam search (chapter 12)."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map

from minitfm.fast.writer import CachedTransformer
from minitfm.seq2seq import EncoderDecoder
from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.transformer import Transformer


class Hypothesis(NamedTuple):
    """One translation: its tokens with <eos>, unless the limit came first, its
    log-probability in nats, its score.
    """

    tokens: list[int]
    log_probability: float
    score: float


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6)^alpha: a log-probability is divided by it, since every further
    token makes it smaller.

    The paper names alpha 0.6 (section 6.1) and refers to Wu et al. (2016, equation 14)
    for the formula.
    """
    return ((5 + length) / 6) ** alpha


class Beams:
    """Any encoder-decoder with ``beam`` translations of every sentence in progress, in
    neighboring rows.

    The plain way: every row has a state of its own, and to continue a translation is to
    copy its state.
    """

    def __init__(self, model: EncoderDecoder) -> None:
        """Write with ``model``."""
        self.model = model

    def start(self, source: Int[Tensor, "sentence source"], beam: int = 1) -> Any:
        """Read each sentence once; all its beams begin in the same state."""
        return tree_map(
            lambda part: part.repeat_interleave(beam, 0), self.model.start(source)
        )

    def step(
        self, token: Int[Tensor, " row"], state: Any
    ) -> tuple[Float[Tensor, "row vocabulary"], Any]:
        """Append one token to every row."""
        return self.model.step(token, state)

    def reorder(self, state: Any, parents: Int[Tensor, "sentence beam"]) -> Any:
        """Let place i of each beam continue what stands in place ``parents[i]``."""
        beam = parents.shape[1]
        rows = parents + beam * torch.arange(
            len(parents), device=parents.device
        ).unsqueeze(1)
        return tree_map(lambda part: part[rows.flatten()], state)

    def keep(self, state: Any, kept: Bool[Tensor, " sentence"]) -> Any:
        """Go on with these sentences only."""
        return tree_map(
            lambda part: part[kept.repeat_interleave(len(part) // len(kept))], state
        )


def writer(model: Any, cached: bool = True) -> Any:
    """What ``model`` writes with: a Transformer with its cache, any other model, or
    ``cached=False``, plainly.

    To write many batches, make a writer once and hand it over in place of the model:
    its weights are packed then.
    """
    if isinstance(model, (CachedTransformer, Beams)):
        return model
    return (
        CachedTransformer(model)
        if cached and isinstance(model, Transformer)
        else Beams(model)
    )


def limits(
    source: Int[Tensor, "sentence source"], extra: int = 50
) -> Int[Tensor, " sentence"]:
    """The most tokens to write for each sentence: as many as it has itself, and
    ``extra`` (section 6.1).
    """
    return (source != PAD).sum(1) + extra


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder | Beams,
    source: Int[Tensor, "sentence source"],
    *,
    beam: int = 4,
    alpha: float = 0.6,
    best: int = 1,
    limit: Int[Tensor, " sentence"] | None = None,
    cached: bool = True,
) -> list[list[Hypothesis]]:
    """Write each sentence in ``beam`` ways at once, at every step the likeliest ones of
    all their continuations.

    A translation that takes <eos> among the ``beam`` likeliest leaves the beam and is
    scored: its log-probability over ``length_penalty``. A sentence is done when no
    translation in progress can still beat its ``best``.

    Args:
        model: trained, in evaluation mode; or the ``writer`` of one.
        source: token ids, padded.
        beam: how many to keep, the paper's 4. With 1 this is greedy decoding.
        alpha: of the length penalty; 0 for none.
        best: how many translations to return for each sentence, at most ``beam``.
        limit: the most tokens for each sentence, <eos> included; ``limits(source)``
            unless given.
        cached: keep keys and values of a Transformer; otherwise it reads all it has
            written again at each step.

    Returns:
        For each sentence its translations, the best first.

    Raises:
        ValueError: if more translations are asked for than the beam holds.
    """
    if best > beam:
        raise ValueError(
            f"best={best} translations from a beam of {beam}; choose a beam of {best}"
            " or more"
        )
    limit = limits(source) if limit is None else limit
    found: list[list[Hypothesis]] = [[] for _ in source]
    beams = writer(model, cached)
    state = beams.start(source, beam)
    sentence = torch.arange(
        len(source), device=source.device
    )  # which sentences are still in the batch
    token = source.new_full((len(source) * beam,), BOS)
    written = source.new_empty(len(source), beam, 0)
    total = torch.full((len(source), beam), -torch.inf, device=source.device)
    total[:, 0] = 0.0  # all places begin alike: only the first counts
    while len(sentence):
        logits, state = beams.step(token, state)
        # Each place can lose <eos> and <pad> from its likeliest, and must still offer
        # enough for the whole beam.
        top, tokens = (
            logits.float().log_softmax(-1).topk(min(2 * beam + 1, logits.shape[-1]))
        )
        top = top.masked_fill(tokens == PAD, -torch.inf)  # nobody writes padding
        top = top.unflatten(0, (-1, beam)) + total.unsqueeze(2)
        top, index = top.flatten(1).topk(min(2 * beam, top[0].numel()))
        parents, tokens = (
            index // tokens.shape[-1],
            tokens.view(len(sentence), -1).gather(1, index),
        )
        length = written.shape[2] + 1
        ended = (tokens == EOS) | (length >= limit[sentence]).unsqueeze(1)
        for row, place in (ended & (top > -torch.inf))[:, :beam].nonzero().tolist():
            before, log_probability = (
                written[row, parents[row, place]].tolist(),
                top[row, place].item(),
            )
            score = log_probability / length_penalty(length, alpha)
            hypothesis = Hypothesis(
                [*before, tokens[row, place].item()], log_probability, score
            )
            found[sentence[row]].append(hypothesis)
        total, order = top.masked_fill(ended, -torch.inf).topk(beam)
        parents, tokens = parents.gather(1, order), tokens.gather(1, order)
        written = torch.cat(
            [
                written.gather(1, parents.unsqueeze(2).expand_as(written)),
                tokens.unsqueeze(2),
            ],
            dim=2,
        )
        state = beams.reorder(state, parents)
        kept = torch.tensor(
            [
                hope > -torch.inf
                and not settled(
                    found[number], hope, best, alpha, length + 1, int(limit[number])
                )
                for number, hope in zip(sentence.tolist(), total[:, 0].tolist())
            ],
            device=source.device,
        )
        if 8 * kept.sum() <= 7 * len(
            kept
        ):  # to take sentences out of the batch costs a copy of the rest
            sentence, written, total, tokens = (
                sentence[kept],
                written[kept],
                total[kept],
                tokens[kept],
            )
            state = beams.keep(state, kept)
        token = tokens.flatten()
    return [
        sorted(pool, key=lambda hypothesis: -hypothesis.score)[:best] for pool in found
    ]


def settled(
    pool: list[Hypothesis],
    hope: float,
    best: int,
    alpha: float,
    shortest: int,
    longest: int,
) -> bool:
    """Whether no continuation of a translation with log-probability ``hope`` can come
    among the ``best`` of a pool.

    To go on can only lower the log-probability, so at the most favorable length its
    score would still be too low.
    """
    if len(pool) < best:
        return False
    worst = sorted((hypothesis.score for hypothesis in pool), reverse=True)[best - 1]
    return worst >= hope / max(
        length_penalty(length, alpha) for length in (shortest, longest)
    )
