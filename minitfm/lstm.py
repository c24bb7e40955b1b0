"""Gates: a network that can choose what to keep (chapter 2)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.rnn import RNN, Cell, Recurrent, State, Sums, WeightedSum


class LSTMCell(Cell):
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

    parts = 2
    kernel = torch.lstm

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make three gates and the candidate."""
        super().__init__()
        self.input = WeightedSum(d_input, d_hidden)
        self.forget = WeightedSum(d_input, d_hidden)
        self.candidate = WeightedSum(d_input, d_hidden)
        self.output = WeightedSum(d_input, d_hidden)

    def step(self, from_input: Sums, from_state: Sums, state: State) -> State:
        """Forget, add, show."""
        h, c = state
        input, forget, candidate, output = (from_input + from_state).chunk(4, dim=-1)
        c = forget.sigmoid() * c + input.sigmoid() * candidate.tanh()
        h = output.sigmoid() * c.tanh()
        return h, c

    def forward(
        self,
        x: Float[Tensor, "batch d_input"],
        state: tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]],
    ) -> tuple[Float[Tensor, "batch d_hidden"], Float[Tensor, "batch d_hidden"]]:
        """Read one symbol: from (h, c) before it to (h, c) after it."""
        _, (h, c) = self.run(x.unsqueeze(1), state)
        return h, c


class LSTM(Recurrent):
    """A network of LSTM cells, ``torch.nn.LSTM``."""

    cell = LSTMCell

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


class GRUCell(Cell):
    """One step of the gated recurrent unit: two gates, and no memory beside h (Cho et
    al. 2014).

    - reset gate r = σ(W x + b + U h), each sum with its own W, b and U
    - update gate z = σ(W x + b + U h)
    - candidate n = tanh(W x + b + r ⊙ (U h + b'))
    - h' = z ⊙ h + (1 - z) ⊙ n

    The published paper resets before the product, U (r ⊙ h); its first version on arXiv
    and ``torch.nn.GRU`` do it after, as here: then U h needs not wait for r, and all
    three products are one. The candidate's U h has a bias b' of its own, since r stands
    between it and b.
    """

    kernel = torch.gru

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make two gates and the candidate."""
        super().__init__()
        self.reset = WeightedSum(d_input, d_hidden)
        self.update = WeightedSum(d_input, d_hidden)
        self.candidate = WeightedSum(d_input, d_hidden)
        self.candidate_bias = nn.Parameter(
            torch.empty(d_hidden).uniform_(-(d_hidden**-0.5), d_hidden**-0.5)
        )

    def second_bias(self) -> Float[Tensor, " sums"]:
        """Only the candidate's U h has one."""
        return torch.cat(
            [torch.zeros_like(self.candidate_bias)] * 2 + [self.candidate_bias]
        )

    def step(self, from_input: Sums, from_state: Sums, state: State) -> State:
        """Mix the old state with a new one."""
        (h,) = state
        reset_x, update_x, candidate_x = from_input.chunk(3, dim=-1)
        reset_h, update_h, candidate_h = from_state.chunk(3, dim=-1)
        reset = (reset_x + reset_h).sigmoid()
        update = (update_x + update_h).sigmoid()
        candidate = (candidate_x + reset * (candidate_h + self.candidate_bias)).tanh()
        return (update * h + (1 - update) * candidate,)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Read one symbol: from the state before it to the state after it."""
        _, (h,) = self.run(x.unsqueeze(1), (h,))
        return h


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
        nn.init.constant_(cell.forget.from_input.bias, value)
