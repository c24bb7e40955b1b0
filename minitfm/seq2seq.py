"""From one sequence to another: what every encoder-decoder of this course shares
(chapter 3).
"""

from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.lstm import LSTM
from minitfm.masks import padding_mask
from minitfm.rnn import RNN


@runtime_checkable
class EncoderDecoder(Protocol):
    """A model that reads a source once and then writes one token after another."""

    training: bool

    def start(self, source: Int[Tensor, "batch source"]) -> Any:
        """Read the source; return the state from which writing begins."""

    def step(
        self, token: Int[Tensor, " batch"], state: Any
    ) -> tuple[Float[Tensor, "batch vocabulary"], Any]:
        """Take the last written token; return the logits of the next one and the new
        state.
        """

    def train(self, mode: bool = True) -> Any:
        """Switch dropout on or off."""


def teacher_forcing_loss(
    model: nn.Module,
    source: Int[Tensor, "batch source"],
    target: Int[Tensor, "batch target"],
    pad: int = 0,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each target token, in nats, given the true tokens before
    it.

    The model reads the target without its last token and must predict it without its
    first; padding does not count.

    Args:
        model: called as ``model(source, target)``, returns logits (batch, target,
            vocabulary).
        source: token ids.
        target: token ids, from <bos> to <eos>, then padding.
        pad: the id of the padding symbol.
    """
    logits = model(source, target[:, :-1])
    return F.cross_entropy(
        logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad
    )


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


def exact_match(
    written: Int[Tensor, "batch token"],
    target: Int[Tensor, "batch target"],
    pad: int = 0,
) -> float:
    """Share of sentences of which every token is right.

    Args:
        written: what ``greedy`` returned.
        target: the true tokens from the one after <bos> to <eos>, then padding.
        pad: the id of the padding symbol.
    """
    length = max(written.shape[1], target.shape[1])
    written, target = (
        F.pad(tokens, (0, length - tokens.shape[1]), value=pad)
        for tokens in (written, target)
    )
    return (written == target).all(dim=1).double().mean().item()


class Seq2Seq(nn.Module):
    """A recurrent encoder and a recurrent decoder, with one vector of fixed size
    between them (Sutskever et al. 2014).

    The encoder reads the source; what its cells remember at the end is the vector, and
    all that the decoder ever learns about the source. There the decoder begins, and
    writes.
    """

    def __init__(
        self,
        vocabulary: int,
        d_hidden: int,
        *,
        network: type[RNN] | type[LSTM] = LSTM,
        layers: int = 1,
        d_vector: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        """Make embeddings, both networks and the generator.

        Args:
            vocabulary: number of symbols, shared by source and target.
            d_hidden: width of the embeddings and of each cell's state.
            network: RNN, LSTM or GRU.
            layers: of the encoder and of the decoder.
            d_vector: size of the vector between them. Unless given it is the state as
                it is: ``layers * d_hidden`` numbers, in the LSTM, which has h and c,
                twice as many. Otherwise one matrix squeezes the state into ``d_vector``
                numbers and another brings it back.
            dropout: share of the embeddings, and of the outputs between layers, set to
                zero at random.
        """
        super().__init__()
        self.source_embedding = nn.Embedding(vocabulary, d_hidden)
        self.target_embedding = nn.Embedding(vocabulary, d_hidden)
        self.encoder = network(d_hidden, d_hidden, layers, dropout=dropout)
        self.decoder = network(d_hidden, d_hidden, layers, dropout=dropout)
        self.generator = nn.Linear(d_hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)
        state = network.states * layers * d_hidden
        self.d_vector = state if d_vector is None else d_vector
        self.squeeze = nn.Identity() if d_vector is None else nn.Linear(state, d_vector)
        self.expand = nn.Identity() if d_vector is None else nn.Linear(d_vector, state)

    def encode(
        self, source: Int[Tensor, "batch source"]
    ) -> Float[Tensor, "batch d_vector"]:
        """Read the source, padding aside: the one vector that the decoder gets."""
        mask = padding_mask(source).squeeze(1)
        _, state = self.encoder(self.dropout(self.source_embedding(source)), mask)
        state = state if isinstance(state, tuple) else (state,)
        return self.squeeze(torch.cat([part.flatten(1) for part in state], dim=1))

    def start(self, source: Int[Tensor, "batch source"]) -> Any:
        """Read the source: the state in which the decoder begins (for ``greedy``)."""
        return self.begin(self.encode(source))

    def begin(self, vector: Float[Tensor, "batch d_vector"]) -> Any:
        """Unpack a vector into the state in which the decoder begins."""
        shape = (self.decoder.states, self.decoder.layers, -1)
        state = self.expand(vector).unflatten(1, shape).unbind(1)
        return state if len(state) > 1 else state[0]

    def forward(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target vocabulary"]:
        """The logits of every next target token, given the true ones before it.

        Args:
            source: token ids, padded with 0.
            target: token ids from <bos> on, padded; position i predicts what stands at
                i + 1.
        """
        return self.generator(self.features(source, target))

    def features(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target d_hidden"]:
        """What ``forward`` gives to the generator: the decoder's output at each target
        token.
        """
        output, _ = self.decoder(
            self.dropout(self.target_embedding(target)), None, self.start(source)
        )
        return output

    def step(
        self, token: Int[Tensor, " batch"], state: Any
    ) -> tuple[Float[Tensor, "batch vocabulary"], Any]:
        """Read one token and predict the next (for ``greedy``)."""
        output, state = self.decoder(
            self.dropout(self.target_embedding(token.unsqueeze(1))), None, state
        )
        return self.generator(output).squeeze(1), state
