"""From one sequence to another: what every encoder-decoder of this course shares (chapter 3)."""

from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


@runtime_checkable
class EncoderDecoder(Protocol):
    """A model that reads a source once and then writes one token after another."""

    training: bool

    def start(self, source: Int[Tensor, "batch source"]) -> Any:
        """Read the source; return the state from which writing begins."""

    def step(self, token: Int[Tensor, " batch"], state: Any) -> tuple[Float[Tensor, "batch vocabulary"], Any]:
        """Take the last written token; return the logits of the next one and the new state."""

    def train(self, mode: bool = True) -> Any:
        """Switch dropout on or off."""


def teacher_forcing_loss(
    model: nn.Module, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"], pad: int = 0
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each target token, in nats, given the true tokens before it.

    The model reads the target without its last token and must predict it without its first; padding does not count.

    Args:
        model: called as ``model(source, target)``, returns logits (batch, target, vocabulary).
        source: token ids.
        target: token ids, from <bos> to <eos>, then padding.
        pad: the id of the padding symbol.
    """
    logits = model(source, target[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad)


@torch.no_grad()
def greedy(
    model: EncoderDecoder,
    source: Int[Tensor, "batch source"],
    max_length: int,
    *,
    bos: int = 1,
    eos: int = 2,
    pad: int = 0,
) -> Int[Tensor, "batch token"]:
    """Write each sentence by taking the likeliest token, again and again, until <eos>.

    Dropout is switched off meanwhile.

    Args:
        model: the trained model.
        source: token ids, padded.
        max_length: the most tokens to write, <eos> included.
        bos: the id of the symbol that starts a target.
        eos: the id of the symbol that ends it.
        pad: what fills a row after its <eos>.

    Returns:
        The tokens written, without <bos>, as many columns as the longest row needs.
    """
    was_training = model.training
    model.train(False)
    try:
        state = model.start(source)
        token = source.new_full((len(source),), bos)
        done = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while len(written) < max_length and not done.all():
            logits, state = model.step(token, state)
            token = logits.argmax(-1).masked_fill(done, pad)
            done = done | (token == eos)
            written.append(token)
    finally:
        model.train(was_training)
    return torch.stack(written, dim=1) if written else source.new_empty(len(source), 0)


def exact_match(written: Int[Tensor, "batch token"], target: Int[Tensor, "batch target"], pad: int = 0) -> float:
    """Share of sentences of which every token is right.

    Args:
        written: what ``greedy`` returned.
        target: the true tokens from the one after <bos> to <eos>, then padding.
        pad: the id of the padding symbol.
    """
    length = max(written.shape[1], target.shape[1])
    written, target = (F.pad(tokens, (0, length - tokens.shape[1]), value=pad) for tokens in (written, target))
    return (written == target).all(dim=1).double().mean().item()
