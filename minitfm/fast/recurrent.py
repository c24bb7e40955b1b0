"""Chapters 1 and 2 at speed: a whole recurrent network in one call of PyTorch's
kernels.

The lesson's loop is the definition. It starts several small operations a step, and on
a GPU their start costs more than their work. PyTorch's kernels (cuDNN, oneDNN) run all
steps at once.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from minitfm import lstm, rnn

States = tuple[Float[Tensor, "batch cells d_hidden"], ...]


def padding_is_at_the_end(mask: Bool[Tensor, "batch token"] | None) -> bool:
    """Whether all padding comes after at least one real token: the kernels know no
    other.
    """
    return mask is None or bool(
        mask[:, 0].all() and not (mask[:, 1:] & ~mask[:, :-1]).any()
    )


def joined(*sums: rnn.RNNCell | lstm.WeightedSum) -> list[Tensor]:
    """W, U and b of several sums, one below the other, as the kernels want them."""
    w = torch.cat([part.input.weight for part in sums])
    u = torch.cat([part.state.weight for part in sums])
    b = torch.cat([part.input.bias for part in sums])
    return [w, u, b]


def rnn_weights(cell: rnn.RNNCell) -> list[Tensor]:
    """A cell's weights for ``torch.rnn_tanh``, whose second bias is zero here."""
    w, u, b = joined(cell)
    return [w, u, b, torch.zeros_like(b)]


def lstm_weights(cell: lstm.LSTMCell) -> list[Tensor]:
    """A cell's weights for ``torch.lstm``, whose second bias is zero here."""
    w, u, b = joined(
        cell.input_gate, cell.forget_gate, cell.candidate, cell.output_gate
    )
    return [w, u, b, torch.zeros_like(b)]


def gru_weights(cell: lstm.GRUCell) -> list[Tensor]:
    """A cell's weights for ``torch.gru``: only the candidate has a second bias."""
    w, u, b = joined(cell.reset_gate, cell.update_gate, cell.candidate)
    zero = torch.zeros_like(cell.candidate_bias)
    return [w, u, b, torch.cat([zero, zero, cell.candidate_bias])]


class InKernel(rnn.Recurrent):
    """Run a whole network in one of PyTorch's kernels, where that can.

    Attributes:
        kernel: the kernel.
        weights_of: gives a cell's W, U and two biases, as the kernel wants them.
    """

    kernel: Callable[..., tuple[Tensor, ...]]
    weights_of: Callable[..., list[Tensor]]

    def run(
        self,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"] | None,
        state: States | None,
    ) -> tuple[Float[Tensor, "batch token d_output"], States]:
        """Run every cell along the sequences, as the lesson's loop does."""
        self.check(x, mask, state)
        if not padding_is_at_the_end(mask):
            return super().run(x, mask, state)
        weights = [weight for cell in self.cells for weight in self.weights_of(cell)]
        dropout = self.dropout.p if self.training else 0.0
        both = self.directions == 2
        options = (True, self.layers, dropout, dropout > 0, both)
        if state is None:
            zeros = x.new_zeros(len(x), len(self.cells), self.d_hidden)
            state = (zeros,) * self.states
        # the kernels want (cells, batch, d_hidden), and h alone not in a tuple
        begin = [part.transpose(0, 1).contiguous() for part in state]
        if mask is None:
            start = begin if len(begin) > 1 else begin[0]
            output, *final = self.kernel(x, start, weights, *options, True)
            return output, tuple(part.transpose(0, 1) for part in final)
        # and the longest sequence first
        lengths, order = mask.sum(1).sort(descending=True)
        back = order.argsort()
        packed = pack_padded_sequence(x[order], lengths.cpu(), batch_first=True)
        begin = [part[:, order] for part in begin]
        start = begin if len(begin) > 1 else begin[0]
        data, *final = self.kernel(
            packed.data, packed.batch_sizes, start, weights, *options
        )
        output, _ = pad_packed_sequence(
            PackedSequence(data, packed.batch_sizes),
            batch_first=True,
            total_length=x.shape[1],
        )
        return output[back], tuple(part[:, back].transpose(0, 1) for part in final)


class RNN(InKernel, rnn.RNN):
    """``minitfm.rnn.RNN`` in ``torch.rnn_tanh``."""

    kernel = staticmethod(torch.rnn_tanh)
    weights_of = staticmethod(rnn_weights)


class LSTM(InKernel, lstm.LSTM):
    """``minitfm.lstm.LSTM`` in ``torch.lstm``."""

    kernel = staticmethod(torch.lstm)
    weights_of = staticmethod(lstm_weights)


class GRU(InKernel, lstm.GRU):
    """``minitfm.lstm.GRU`` in ``torch.gru``."""

    kernel = staticmethod(torch.gru)
    weights_of = staticmethod(gru_weights)
