"""A whole recurrent network in one call of PyTorch's own kernels: the fast path of
chapters 1 and 2.

The loop over ``Cell.step`` is the definition. It starts several small operations a
step, and on a GPU their start costs more than their work. PyTorch's kernels (cuDNN,
oneDNN) run all steps at once; tests hold the two equal.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def fits(mask: Bool[Tensor, "batch token"] | None) -> bool:
    """The kernels know padding at the end only, after at least one token."""
    return mask is None or bool(
        mask[:, 0].all() and not (mask[:, 1:] & ~mask[:, :-1]).any()
    )


def run(
    kernel: Callable[..., tuple[Tensor, ...]],
    weights: Sequence[Tensor],
    x: Float[Tensor, "batch token d_input"],
    mask: Bool[Tensor, "batch token"] | None,
    states: Sequence[Float[Tensor, "batch cells d_hidden"]],
    layers: int,
    dropout: float,
    bidirectional: bool,
) -> tuple[
    Float[Tensor, "batch token d_output"],
    tuple[Float[Tensor, "batch cells d_hidden"], ...],
]:
    """Run every cell along the sequences, as ``minitfm.rnn.Recurrent.run`` does.

    Args:
        kernel: ``torch.rnn_tanh``, ``torch.lstm`` or ``torch.gru``.
        weights: W, U and their two biases, cell by cell.
        x: the sequences.
        mask: True where a token is real, one for which ``fits`` is true.
        states: each cell's first state.
        layers: of the network.
        dropout: share of the outputs set to zero at random between layers.
        bidirectional: whether every layer reads in both directions.

    Returns:
        The last layer's output, zero at padding, and each cell's last state.
    """
    parts = [
        part.transpose(0, 1).contiguous() for part in states
    ]  # the kernels want (cells, batch, d_hidden)
    begin = parts if len(parts) > 1 else parts[0]
    options = (True, layers, dropout, dropout > 0, bidirectional)
    if mask is None:
        output, *final = kernel(x, begin, weights, *options, True)
        return output, tuple(part.transpose(0, 1) for part in final)
    lengths, order = mask.sum(1).sort(
        descending=True
    )  # longest first, as the kernels want them
    back = order.argsort()
    packed = pack_padded_sequence(x[order], lengths.cpu(), batch_first=True)
    parts = [part[:, order] for part in parts]
    data, *final = kernel(
        packed.data,
        packed.batch_sizes,
        parts if len(parts) > 1 else parts[0],
        weights,
        *options,
    )
    output, _ = pad_packed_sequence(
        PackedSequence(data, packed.batch_sizes),
        batch_first=True,
        total_length=x.shape[1],
    )
    return output[back], tuple(part[:, back].transpose(0, 1) for part in final)
