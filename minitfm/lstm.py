"""Gates: a network that can choose what to keep (chapter 2)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.rnn import RNN, Recurrent


class WeightedSum(nn.Module):
    """W x + b + U h: what the input and the state say together. Chapter 1's cell has
    one such sum, and squashes it.
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Draw W, b and U uniformly between ±1/√d_hidden, as ``RNNCell`` does."""
        super().__init__()
        self.input = nn.Linear(d_input, d_hidden)  # W and b
        self.state = nn.Linear(d_hidden, d_hidden, bias=False)  # U
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_hidden**-0.5), d_hidden**-0.5)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Add up what both sides say."""
        return self.input(x) + self.state(h)


class LSTMCell(nn.Module):
    """One step of the long short-term memory: beside h, a memory c to which a step adds
    and from which it forgets.

    - input gate i = σ(W x + b + U h), each sum with its own W, b and U
    - forget gate f = σ(W x + b + U h)
    - candidate g = tanh(W x + b + U h)
    - output gate o = σ(W x + b + U h)
    - c' = f ⊙ c + i ⊙ g
    - h' = o ⊙ tanh(c')

    Hochreiter & Schmidhuber (1997) had no forget gate: what was once added to c stayed
    in it. Gers et al. (2000) added one. The gates here do not look at c (such
    "peephole" connections came later), as in ``torch.nn.LSTM``.
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make three gates and the candidate."""
        super().__init__()
        self.input_gate = WeightedSum(d_input, d_hidden)
        self.forget_gate = WeightedSum(d_input, d_hidden)
        self.candidate = WeightedSum(d_input, d_hidden)
        self.output_gate = WeightedSum(d_input, d_hidden)

    def forward(
        self,
        x: Float[Tensor, "batch d_input"],
        state: tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]],
    ) -> tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]]:
        """Read one symbol: from (h, c) before it to (h, c) after it."""
        h, c = state
        i = torch.sigmoid(self.input_gate(x, h))
        f = torch.sigmoid(self.forget_gate(x, h))
        g = torch.tanh(self.candidate(x, h))
        o = torch.sigmoid(self.output_gate(x, h))
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, c


class LSTM(Recurrent):
    """A network of LSTM cells, ``torch.nn.LSTM``."""

    cell = LSTMCell
    states = 2

    def step(
        self,
        cell: nn.Module,
        x: Float[Tensor, "batch d_input"],
        state: tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]],
    ) -> tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]]:
        """Let one cell read one symbol: from (h, c) before it to (h, c) after it."""
        return cell(x, state)

    def forward(
        self,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"] | None = None,
        state: (
            tuple[
                Float[Tensor, "batch cells d_hidden"],
                Float[Tensor, "batch cells d_hidden"],
            ]
            | None
        ) = None,
    ) -> tuple[
        Float[Tensor, "batch token d_output"],
        tuple[
            Float[Tensor, "batch cells d_hidden"], Float[Tensor, "batch cells d_hidden"]
        ],
    ]:
        """Read whole sequences.

        Args:
            x: the sequences, padded to one length.
            mask: True where a token is real. At padding h and c stand still and the
                output is zero.
            state: each cell's first h and first c, zeros unless given; row layer *
                directions + direction, as in torch.

        Returns:
            The last layer's h after every step, and each cell's last h and c: those
            after the last real token, or after the first one where the cell reads
            backward.
        """
        output, (h, c) = self.run(x, mask, state)
        return output, (h, c)


class GRUCell(nn.Module):
    """One step of the gated recurrent unit: two gates, and no memory beside h (Cho et
    al. 2014).

    - reset gate r = σ(W x + b + U h), each sum with its own W, b and U
    - update gate z = σ(W x + b + U h)
    - candidate n = tanh(W x + b + r ⊙ (U h + b'))
    - h' = z ⊙ h + (1 - z) ⊙ n

    The published paper resets before the product, U (r ⊙ h); its first version on arXiv
    and ``torch.nn.GRU`` do it after, as here: then U h needs not wait for r. The
    candidate's U h has a bias b' of its own, since r stands between it and b.
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make two gates and the candidate."""
        super().__init__()
        self.reset_gate = WeightedSum(d_input, d_hidden)
        self.update_gate = WeightedSum(d_input, d_hidden)
        self.candidate = WeightedSum(d_input, d_hidden)
        self.candidate_bias = nn.Parameter(torch.empty(d_hidden))
        nn.init.uniform_(self.candidate_bias, -(d_hidden**-0.5), d_hidden**-0.5)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Read one symbol: from the state before it to the state after it."""
        r = torch.sigmoid(self.reset_gate(x, h))
        z = torch.sigmoid(self.update_gate(x, h))
        recalled = r * (self.candidate.state(h) + self.candidate_bias)
        n = torch.tanh(self.candidate.input(x) + recalled)
        return z * h + (1 - z) * n


class GRU(RNN):
    """A network of GRU cells, ``torch.nn.GRU``; everything else is the plain
    network's.
    """

    cell = GRUCell


def forget_bias_(module: nn.Module, value: float = 1.0) -> None:
    """Set the forget gates' bias of every LSTM cell in ``module``: the larger it is,
    the more a fresh cell remembers.

    At 0 a cell starts by keeping about half of c at each step, at 1 about 73 % and at 3
    about 95 %. Gers et al. (2000) started it positive, and Jozefowicz et al. (2015)
    found 1 to be worth making the default.

    Raises:
        ValueError: if there is no LSTM cell in the module.
    """
    cells = [part for part in module.modules() if isinstance(part, LSTMCell)]
    if not cells:
        raise ValueError(
            f"{type(module).__name__} holds no LSTM cell, and only those have a forget"
            " gate"
        )
    for cell in cells:
        nn.init.constant_(cell.forget_gate.input.bias, value)
