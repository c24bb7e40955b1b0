"""The recurrent network: read one symbol after another, and keep a state (chapter 1).

A cell takes one step; a network runs its cells along a sequence, in as many layers and
directions as asked. The LSTM and the GRU of chapter 2 differ from the plain network in
their cells alone, so what all three share stands here.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class RNNCell(nn.Module):
    """One step of the plain recurrent network: h' = tanh(W x + b + U h) (Elman
    1990).
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        """Draw W, b and U uniformly between ±1/√d_hidden, as ``torch.nn.RNN`` does.

        torch adds a second bias to U h, which can do nothing that b cannot; here there
        is one, as in the equation.
        """
        super().__init__()
        self.input = nn.Linear(d_input, d_hidden)  # W and b
        self.state = nn.Linear(d_hidden, d_hidden, bias=False)  # U
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_hidden**-0.5), d_hidden**-0.5)

    def forward(
        self, x: Float[Tensor, "batch d_input"], h: Float[Tensor, "batch d_hidden"]
    ) -> Float[Tensor, "batch d_hidden"]:
        """Read one symbol: from the state before it to the state after it."""
        return torch.tanh(self.input(x) + self.state(h))


class Recurrent(nn.Module):
    """What the recurrent networks share: each layer reads the outputs of the one below,
    in one direction or in both.
    """

    cell: type[nn.Module]
    states = 1  # what a cell hands on: h alone, or the LSTM's h and c

    def __init__(
        self,
        d_input: int,
        d_hidden: int,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
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

        Raises:
            ValueError: if there is no layer.
        """
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers={layers}, but a network needs at least one layer")
        self.d_input, self.d_hidden, self.layers = d_input, d_hidden, layers
        self.directions = 2 if bidirectional else 1
        self.cells = nn.ModuleList()
        for layer in range(layers):
            width = d_input if layer == 0 else self.directions * d_hidden
            for _ in range(self.directions):
                self.cells.append(self.cell(width, d_hidden))
        self.dropout = nn.Dropout(dropout)

    def step(
        self, cell: nn.Module, x: Float[Tensor, "batch d_input"], state: Any
    ) -> tuple[Float[Tensor, "batch d_hidden"], ...]:
        """Let one cell read one symbol: from (h,) before it to (h,) after it."""
        return (cell(x, *state),)

    def read(
        self,
        cell: nn.Module,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"],
        state: tuple[Float[Tensor, "batch d_hidden"], ...],
    ) -> tuple[
        Float[Tensor, "batch token d_hidden"],
        tuple[Float[Tensor, "batch d_hidden"], ...],
    ]:
        """Run one cell along a sequence: h after every step, and the last state.

        Where the mask is False the state stands still and the output is zero. So the
        last state is the one after the last real token.
        """
        outputs = []
        for symbol, real in zip(x.unbind(1), mask.unsqueeze(-1).unbind(1)):
            new = self.step(cell, symbol, state)
            state = tuple(torch.where(real, n, old) for n, old in zip(new, state))
            outputs.append(state[0])
        return torch.stack(outputs, dim=1).where(mask.unsqueeze(-1), 0.0), state

    def run(
        self,
        x: Float[Tensor, "batch token d_input"],
        mask: Bool[Tensor, "batch token"] | None,
        state: tuple[Float[Tensor, "batch cells d_hidden"], ...] | None,
    ) -> tuple[
        Float[Tensor, "batch token d_output"],
        tuple[Float[Tensor, "batch cells d_hidden"], ...],
    ]:
        """Run every cell; ``forward`` says what goes in and comes out."""
        self.check(x, mask, state)
        if mask is None:
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if state is None:
            zeros = x.new_zeros(len(x), len(self.cells), self.d_hidden)
            state = (zeros,) * self.states
        finals: list[tuple[Tensor, ...]] = []
        for layer in range(self.layers):
            if layer > 0:
                x = self.dropout(x)
            outputs = []
            for direction in range(self.directions):
                number = len(finals)
                cell, start = self.cells[number], tuple(s[:, number] for s in state)
                if direction == 0:
                    output, final = self.read(cell, x, mask, start)
                else:  # from the last token to the first
                    output, final = self.read(cell, x.flip(1), mask.flip(1), start)
                    output = output.flip(1)
                outputs.append(output)
                finals.append(final)
            x = torch.cat(outputs, dim=-1)
        return x, tuple(torch.stack(final, dim=1) for final in zip(*finals))

    def check(
        self, x: Tensor, mask: Tensor | None, state: tuple[Tensor, ...] | None
    ) -> None:
        """Say in a sentence what is wrong with the inputs."""
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
        if mask is not None and mask.dtype != torch.bool:
            raise ValueError(
                f"the mask is {mask.dtype}, but must be boolean, True where a token is"
                " real: for instance tokens != 0"
            )
        due = (len(x), len(self.cells), self.d_hidden)
        for part in state or ():
            if part.shape != due:
                raise ValueError(
                    f"a state is {tuple(part.shape)}, but must be {due} (batch, cells,"
                    " d_hidden)"
                )


class RNN(Recurrent):
    """The plain recurrent network, ``torch.nn.RNN`` with tanh."""

    cell: type[nn.Module] = RNNCell

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
    for name, weight in module.named_parameters():
        if f".{name}".endswith(".state.weight"):
            nn.init.orthogonal_(weight, gain)
