"""The recurrent network: read one symbol after another, and keep a state (chapter 1).

A cell takes one step; a network runs its cells along a sequence, in as many layers and
directions as asked. The LSTM and the GRU of chapter 2 differ from the plain network in
their cells alone, so what all three share stands here.
"""

from collections.abc import Callable, Iterable
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.fast import recurrent as fused

# What a cell hands from one step to the next: (h,) here and in the GRU, (h, c) in the
# LSTM.
State = tuple[Float[Tensor, "batch d_hidden"], ...]
# That of every cell of a network, layer by layer: in each the forward cell, then the
# backward one, as in torch.
States = tuple[Float[Tensor, "batch cells d_hidden"], ...]
# What a cell's weighted sums gather from one side, next to one another.
Sums = Float[Tensor, "batch sums"]


class WeightedSum(nn.Module):
    """W x + b + U h: what the input and the state say together, before a squashing
    function.
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Draw W, b and U uniformly between ±1/√d_hidden, as ``torch.nn.RNN`` does.

        torch adds a second bias to U h, which can do nothing that b cannot; here there
        is one, as in the equations.
        """
        super().__init__()
        self.from_input = nn.Linear(d_input, d_hidden)
        self.from_state = nn.Linear(d_hidden, d_hidden, bias=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_hidden**-0.5), d_hidden**-0.5)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Add up what both sides say."""
        return self.from_input(x) + self.from_state(h)


class Cell(nn.Module):
    """One step in time. A kind of cell has one or more weighted sums, and says in
    ``step`` what it makes of them.

    All sums of a step are one matrix product, and the inputs' side of it is computed
    for all steps at once: only U h has to wait for the step before.
    """

    parts = 1  # tensors in the state
    kernel: Callable[..., tuple[Tensor, ...]] | None = (
        None  # PyTorch's, which runs this cell along a whole sequence
    )

    def step(self, from_input: Sums, from_state: Sums, state: State) -> State:
        """The cell's equations, given W x + b and U h of its sums, in the order in
        which ``__init__`` makes these.
        """
        raise NotImplementedError

    def matrices(
        self,
    ) -> tuple[
        Float[Tensor, "sums d_input"],
        Float[Tensor, "sums d_hidden"],
        Float[Tensor, " sums"],
    ]:
        """W, U and b of all the sums, one below the other."""
        sums = [part for part in self.children() if isinstance(part, WeightedSum)]
        w = torch.cat([part.from_input.weight for part in sums])
        u = torch.cat([part.from_state.weight for part in sums])
        b = torch.cat([part.from_input.bias for part in sums])
        return w, u, b

    def second_bias(self) -> Float[Tensor, " sums"]:
        """What PyTorch's kernels add to U h: nothing here."""
        return torch.zeros_like(self.matrices()[2])

    def run(
        self,
        x: Float[Tensor, "batch token d_input"],
        state: State,
        mask: Bool[Tensor, "batch token"] | None = None,
        *,
        backward: bool = False,
    ) -> tuple[Float[Tensor, "batch token d_hidden"], State]:
        """Step along a sequence, from its end if ``backward``: h after every step, and
        the last state.

        At padding the state stands still and the output is zero. So the state of a
        forward run is the one after the last real token, and a backward run begins
        there.
        """
        w, u, b = self.matrices()
        steps = F.linear(x, w, b).unbind(
            1
        )  # a slice [:, t] in the loop would cost a whole sequence's gradient each
        real = [None] * len(steps) if mask is None else mask.unsqueeze(-1).unbind(1)
        if backward:
            steps, real = steps[::-1], real[::-1]
        outputs = []
        for from_input, is_real in zip(steps, real):
            new = self.step(from_input, F.linear(state[0], u), state)
            state = (
                new
                if is_real is None
                else tuple(torch.where(is_real, n, old) for n, old in zip(new, state))
            )
            outputs.append(state[0])
        output = torch.stack(outputs[::-1] if backward else outputs, dim=1)
        return output if mask is None else output.where(mask.unsqueeze(-1), 0.0), state


class RNNCell(Cell):
    """One step of the plain recurrent network: h' = tanh(W x + b + U h) (Elman
    1990).
    """

    kernel = torch.rnn_tanh

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Make the one weighted sum."""
        super().__init__()
        self.hidden = WeightedSum(d_input, d_hidden)

    def step(self, from_input: Sums, from_state: Sums, state: State) -> State:
        """Squash the sum."""
        return (torch.tanh(from_input + from_state),)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Read one symbol: from the state before it to the state after it."""
        _, (h,) = self.run(x.unsqueeze(1), (h,))
        return h


class Recurrent(nn.Module):
    """A network of cells: each layer reads the outputs of the one below, in one
    direction or in both.
    """

    cell: type[Cell]

    def __init__(
        self,
        d_input: int,
        d_hidden: int,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        fast: bool = False,
    ) -> None:
        """Make the cells.

        Args:
            d_input: width of the inputs.
            d_hidden: width of each cell's state.
            layers: cells above one another.
            bidirectional: in every layer, a second cell reads from the last token to
                the first (Schuster & Paliwal 1997), and its output stands behind the
                first one's: d_output is then 2 d_hidden, else d_hidden.
            dropout: share of the outputs set to zero at random between layers.
            fast: compute the same in one call of PyTorch's kernels instead of step by
                step, where padding is at the end of the sequences; several times faster
                on a GPU.
        """
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers={layers}, but a network needs at least one layer")
        if fast and "kernel" not in vars(
            self.cell
        ):  # not inherited: a subclass has a step of its own
            raise ValueError(
                f"{self.cell.__name__} has a step of its own, which no kernel knows;"
                " leave fast=False"
            )
        self.d_input, self.d_hidden, self.layers, self.fast = (
            d_input,
            d_hidden,
            layers,
            fast,
        )
        self.directions = 2 if bidirectional else 1
        widths = [d_input] + [self.directions * d_hidden] * (layers - 1)
        self.cells = nn.ModuleList(
            self.cell(width, d_hidden)
            for width in widths
            for _ in range(self.directions)
        )
        self.dropout = nn.Dropout(dropout)

    def run(
        self,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"] | None,
        states: States | None,
    ) -> tuple[Float[Tensor, "batch token d_output"], States]:
        """Run every cell; ``forward`` says what goes in and comes out."""
        if states is None:
            states = (
                x.new_zeros(len(x), len(self.cells), self.d_hidden),
            ) * self.cell.parts
        self.check(x, mask, states)
        if self.fast and self.cell.kernel and fused.fits(mask):
            cells = cast(Iterable[Cell], self.cells)
            weights = [
                matrix
                for cell in cells
                for matrix in (*cell.matrices(), cell.second_bias())
            ]
            drop = self.dropout.p if self.training else 0.0
            return fused.run(
                self.cell.kernel,
                weights,
                x,
                mask,
                states,
                self.layers,
                drop,
                self.directions == 2,
            )
        runs: list[tuple[Tensor, State]] = []
        for layer in range(self.layers):
            x = self.dropout(x) if layer > 0 else x
            for direction in range(self.directions):
                cell, start = (
                    cast(Cell, self.cells[len(runs)]),
                    tuple(part[:, len(runs)] for part in states),
                )
                runs.append(cell.run(x, start, mask, backward=direction == 1))
            x = torch.cat([output for output, _ in runs[-self.directions :]], dim=-1)
        return x, tuple(
            torch.stack(parts, dim=1) for parts in zip(*(final for _, final in runs))
        )

    def check(self, x: Tensor, mask: Tensor | None, states: tuple[Tensor, ...]) -> None:
        """Say in a sentence what does not fit."""
        if x.shape[2] != self.d_input:
            raise ValueError(
                f"an input has {x.shape[2]} numbers, but this network was made for"
                f" d_input={self.d_input}"
            )
        if x.shape[1] == 0:
            raise ValueError(
                "the sequences have length 0; a recurrent network needs at least one"
                " step"
            )
        if mask is not None and mask.shape != x.shape[:2]:
            raise ValueError(
                f"the mask is {tuple(mask.shape)}, but the input has"
                f" {tuple(x.shape[:2])} (batch, token)"
            )
        due = (len(x), len(self.cells), self.d_hidden)
        for state in states:
            if state.shape != due:
                raise ValueError(
                    f"a state is {tuple(state.shape)}, but must be {due} (batch, cells,"
                    " d_hidden)"
                )


class RNN(Recurrent):
    """The plain recurrent network, ``torch.nn.RNN`` with tanh."""

    cell: type[Cell] = RNNCell

    def forward(
        self,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"] | None = None,
        state: Float[Tensor, "batch cells d_hidden"] | None = None,
    ) -> tuple[
        Float[Tensor, "batch token d_output"], Float[Tensor, "batch cells d_hidden"]
    ]:
        """Read whole sequences.

        Args:
            x: the sequences, padded to one length.
            mask: True where a token is real. At padding the state stands still and the
                output is zero.
            state: each cell's first h, zeros unless given; row layer * directions +
                direction, as in torch.

        Returns:
            The last layer's h after every step, and each cell's last h: that after the
            last real token, or after the first one where the cell reads backward.
        """
        output, (h,) = self.run(x, mask, None if state is None else (state,))
        return output, h


def orthogonal_(module: nn.Module, gain: float = 1.0) -> None:
    """Make every U in ``module`` a random orthogonal matrix times ``gain``: U h is then
    ``gain`` times as long as h.

    At a gain of 1 the gradients of a linear network neither grow nor shrink with
    distance (Saxe et al. 2014).
    """
    for part in module.modules():
        if isinstance(part, WeightedSum):
            nn.init.orthogonal_(part.from_state.weight, gain)
