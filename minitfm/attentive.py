"""A recurrent encoder-decoder that looks back: chapter 3's model with attention
(chapter 4).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitfm.attention import AdditiveAttention, DotProductAttention
from minitfm.lstm import LSTM
from minitfm.masks import padding_mask
from minitfm.rnn import RNN
from minitfm.seq2seq import Seq2Seq

KINDS: dict[str, type[AdditiveAttention] | type[DotProductAttention]] = {
    "additive": AdditiveAttention,
    "dot": DotProductAttention,
}


class Reading(NamedTuple):
    """A source that was read, and where its decoder stands."""

    memory: Float[Tensor, "batch source d_hidden"]
    memory_mask: Bool[Tensor, "batch 1 source"]
    state: Any


class AttentiveSeq2Seq(nn.Module):
    """The encoder-decoder of chapter 3, whose decoder looks back at every state of the
    encoder (Bahdanau et al. 2015).

    The encoder reads in both directions. Each output of the decoder is a query; what it
    finds stands beside it when the next token is chosen (Luong et al. 2015). In
    Bahdanau's model it goes into the decoder's next state as well, which makes each
    query wait for the one before; here all queries of a target are known at once while
    training.
    """

    def __init__(
        self,
        vocabulary: int,
        d_hidden: int,
        *,
        attention: Literal["additive", "dot"] = "additive",
        network: type[RNN] | type[LSTM] = LSTM,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        """Make embeddings, an encoder that reads in both directions, the decoder, the
        attention and the generator.

        Args:
            vocabulary: number of symbols, shared by source and target.
            d_hidden: width of the embeddings and of the decoder's states; the encoder
                has half of it in each direction.
            attention: how a query is compared with a key.
            network: RNN, LSTM or GRU.
            layers: of the encoder and of the decoder.
            dropout: share of the embeddings, of the outputs between layers and of what
                the generator reads, set to zero at random.

        Raises:
            ValueError: if ``d_hidden`` cannot be shared by two directions, or the
                attention is of no known kind.
        """
        if d_hidden % 2:
            raise ValueError(
                f"d_hidden={d_hidden} cannot be shared by two directions; choose an"
                " even number"
            )
        if attention not in KINDS:
            raise ValueError(f"attention={attention!r}; choose additive or dot")
        super().__init__()
        self.source_embedding = nn.Embedding(vocabulary, d_hidden)
        self.target_embedding = nn.Embedding(vocabulary, d_hidden)
        self.encoder = network(
            d_hidden, d_hidden // 2, layers, bidirectional=True, dropout=dropout
        )
        self.decoder = network(d_hidden, d_hidden, layers, dropout=dropout)
        self.attention = KINDS[attention](d_hidden, d_hidden, d_hidden)
        self.combine = nn.Linear(2 * d_hidden, d_hidden)
        self.generator = nn.Linear(d_hidden, vocabulary)
        self.dropout = nn.Dropout(dropout)

    def start(self, source: Int[Tensor, "batch source"]) -> Reading:
        """Read the source: the encoder's state at every token, and the last ones, in
        which the decoder begins.
        """
        mask = padding_mask(source)
        memory, state = self.encoder(
            self.dropout(self.source_embedding(source)), mask.squeeze(1)
        )
        # of each layer, the last states of both directions side by side
        shape = (len(source), self.decoder.layers, -1)
        if isinstance(state, tuple):
            state = tuple(part.reshape(shape) for part in state)
        else:
            state = state.reshape(shape)
        return Reading(memory, mask, state)

    def look(
        self, output: Float[Tensor, "batch target d_hidden"], reading: Reading
    ) -> Float[Tensor, "batch target d_hidden"]:
        """Ask the source at each output of the decoder, and put both together: tanh(C
        [found; output]).
        """
        found = self.attention(
            output, reading.memory, reading.memory, reading.memory_mask
        )
        return self.dropout(self.combine(torch.cat([found, output], dim=-1)).tanh())

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
        token, and what it found.
        """
        return self.look(*self.outputs(source, target))

    def outputs(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> tuple[Float[Tensor, "batch target d_hidden"], Reading]:
        """The decoder's output at each target token, before it looks, and the source as
        read.
        """
        reading = self.start(source)
        output, _ = self.decoder(
            self.dropout(self.target_embedding(target)), None, reading.state
        )
        return output, reading

    def step(
        self, token: Int[Tensor, " batch"], state: Reading
    ) -> tuple[Float[Tensor, "batch vocabulary"], Reading]:
        """Read one token, look at the source, and predict the next (for ``greedy``)."""
        output, after = self.decoder(
            self.dropout(self.target_embedding(token.unsqueeze(1))), None, state.state
        )
        return self.generator(self.look(output, state)).squeeze(1), state._replace(
            state=after
        )

    def alignment(
        self, source: Int[Tensor, "batch source"], target: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target source"]:
        """How much each output of the decoder attends to each source token, the target
        given.
        """
        output, reading = self.outputs(source, target)
        return self.attention.weights(output, reading.memory, reading.memory_mask)


@dataclass(frozen=True)
class RecurrentConfig:
    """Every choice that makes one recurrent encoder-decoder, with or without attention.

    Attributes:
        vocabulary: number of symbols that source and target share.
        d_hidden: width of the embeddings and of each cell's state.
        layers: of the encoder, and of the decoder.
        dropout: share of the embeddings, and of the outputs between layers, set to zero
            at random.
        attention: "additive" or "dot"; None for the one vector of chapter 3.
    """

    vocabulary: int = 8000
    d_hidden: int = 256
    layers: int = 1
    dropout: float = 0.0
    attention: Literal["additive", "dot"] | None = "additive"

    def __post_init__(self) -> None:
        for name in ("d_hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}; choose 1 or more")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout={self.dropout}; choose 0 to 1")
        if self.attention not in ("additive", "dot", None):
            raise ValueError(
                f"attention={self.attention!r}; choose 'additive', 'dot' or None"
            )

    def build(self) -> Seq2Seq | AttentiveSeq2Seq:
        """Make the model, of LSTMs."""
        options: dict[str, Any] = {"layers": self.layers, "dropout": self.dropout}
        if self.attention is None:
            return Seq2Seq(self.vocabulary, self.d_hidden, **options)
        return AttentiveSeq2Seq(
            self.vocabulary, self.d_hidden, attention=self.attention, **options
        )
