"""Writing by chance: every next token is drawn from the model's probabilities (chapter
12).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitfm.decoding import limits, writer
from minitfm.seq2seq import EncoderDecoder
from minitfm.study.vocabulary import BOS, EOS, PAD


def likely(
    logits: Float[Tensor, "row vocabulary"],
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "row vocabulary"]:
    """Keep the ``top_k`` likeliest symbols, or the fewest that hold ``top_p`` of the
    probability; others get -inf.
    """
    ranked, order = logits.sort(dim=-1, descending=True)
    out = torch.zeros_like(ranked, dtype=torch.bool)
    if top_k is not None:
        out[:, top_k:] = True
    if top_p is not None:
        probability = ranked.softmax(-1)
        out |= probability.cumsum(-1) - probability >= top_p  # enough without this one
    return logits.masked_fill(torch.zeros_like(out).scatter(1, order, out), -torch.inf)


@torch.inference_mode()
def sample(
    model: EncoderDecoder,
    source: Int[Tensor, "sentence source"],
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    limit: Int[Tensor, " sentence"] | None = None,
    cached: bool = True,
) -> list[list[int]]:
    """Write by drawing each next token from the model's probabilities.

    Args:
        model: trained, in evaluation mode.
        source: token ids, padded.
        generator: of the draws.
        temperature: logits are divided by it: towards 0 the likeliest token always
            wins, above 1 unlikely ones gain.
        top_k: draw from so many of the likeliest tokens only.
        top_p: draw from the fewest tokens that have this much of the probability
            together (Holtzman et al. 2020).
        limit: the most tokens for each sentence, <eos> included; ``limits(source)``
            unless given.
        cached: keep keys and values of a Transformer.

    Raises:
        ValueError: if the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(
            f"temperature={temperature}; choose a positive one, or beam_search(...,"
            " beam=1)"
        )
    limit = limits(source) if limit is None else limit
    beams = writer(model, cached)
    state, token = beams.start(source), source.new_full((len(source),), BOS)
    written: list[list[int]] = [[] for _ in source]
    done = torch.zeros_like(token, dtype=torch.bool)
    while not done.all():
        logits, state = beams.step(token, state)
        logits = logits.float().index_fill(
            1, token.new_tensor([PAD]), -torch.inf
        )  # nobody writes padding
        token = (
            likely(logits / temperature, top_k, top_p)
            .softmax(-1)
            .multinomial(1, generator=generator)[:, 0]
        )
        for row, (new, finished) in enumerate(zip(token.tolist(), done.tolist())):
            if not finished:
                written[row].append(new)
        lengths = torch.tensor([len(row) for row in written], device=source.device)
        done = done | (token == EOS) | (lengths >= limit)
    return written
