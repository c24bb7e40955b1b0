"""A translation recorded beforehand, so that a page can play it before anything heavy
is fetched.
"""

from typing import Any

import torch

from minitfm.study.vocabulary import BOS, EOS, Vocabulary
from minitfm.transformer import Transformer


@torch.no_grad()
def record(
    model: Transformer, vocabulary: Vocabulary, text: str, longest: int
) -> dict[str, Any]:
    """Let the model write, and keep every step that the live panel shows.

    Args:
        model: in evaluation mode.
        vocabulary: its symbols.
        text: the source.
        longest: the most symbols to write, ``<eos>`` included.

    Returns:
        ``text``; ``symbols``; ``written``, the ids; ``probabilities``, for each of them
        one number a symbol; ``weights``, by the layer's name, of each head and query
        one number a key. A query of the decoder's self-attention has as many keys as it
        may see.
    """
    source = vocabulary.encode([text])
    state, token = model.start(source), torch.tensor([BOS])
    written: list[int] = []
    probabilities = []
    while len(written) < longest and EOS not in written:
        logits, state = model.step(token, state)
        token = logits.argmax(-1)
        written.append(int(token))
        probabilities.append([told(x) for x in logits[0].softmax(-1).tolist()])
    weights = {
        name: [
            [short(row[: i + 1] if is_causal(name) else row) for i, row in rows]
            for rows in map(enumerate, heads[0].tolist())
        ]
        for name, heads in model.attention(source, state.target).items()
    }
    return {
        "text": text,
        "symbols": vocabulary.symbols,
        "written": written,
        "probabilities": probabilities,
        "weights": weights,
    }


def is_causal(name: str) -> bool:
    """Whether a layer's queries see no later keys."""
    return name.startswith("decoder") and name.endswith("self_attention")


def short(row: list[float]) -> list[float | int]:
    """Weights of three digits, which no drawing tells from the exact ones."""
    return [int(x) if x == int(x) else x for x in (round(x, 3) for x in row)]


def told(probability: float) -> float:
    """A probability of few digits, near 0 and near 1 more of them: the panel ranks."""
    return round(probability, 7) if probability > 0.5 else float(f"{probability:.4g}")
