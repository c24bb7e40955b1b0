"""Recall of the first symbol by one layer of self-attention and by an LSTM of as many
parameters: the steps that each needs, one row a network, setting, length and seed.

The runs that chapter 5 shows (the last with ``--lengths 10 20 40 80 160``)::

    python -m minitfm.results.recall_attention --lengths 10 20 40 80
    python -m minitfm.results.recall_attention --lengths 160 --biases 5
    python -m minitfm.results.recall_attention --lengths 160 320 --networks attention
    python -m minitfm.results.recall_attention --networks "LSTM, labels" --biases 5

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.attention import SelfAttention, scaled_dot_product_attention
from minitfm.results import append_row
from minitfm.results.recall import SYMBOLS, recall_loss, recalls, share_recalled
from minitfm.study.fit import fit

TABLE = Path(__file__).with_suffix(".csv")
PLACES = 320  # the longest sequence that the labels reach
GOAL = 0.99  # share of new sequences: from here on a run counts as done
EVERY = 10  # steps between two looks at it
LOOKED_AT = 500  # new sequences at each look

# The settings tried for each network, four each: learning rates for attention, forget
# biases and learning rates for an LSTM.
SETTINGS: dict[str, list[tuple[float | None, float]]] = {
    "attention": [(None, 1e-3), (None, 3e-3), (None, 1e-2), (None, 3e-2)],
    "LSTM": [(3, 3e-3), (3, 1e-2), (5, 3e-3), (5, 1e-2)],
    "LSTM, labels": [(3, 3e-3), (3, 1e-2), (5, 3e-3), (5, 1e-2)],
}


class Labeled(nn.Module):
    """A vector for every token: one row for its symbol plus one row for its place.

    That is one matrix times two one-hot vectors, put end to end.
    """

    def __init__(self, d_model: int, places: int = PLACES) -> None:
        """Make a row for each symbol and for each place."""
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS, d_model)
        self.places = nn.Embedding(places, d_model)

    def forward(
        self, symbols: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token d_model"]:
        """Look both up and add them."""
        places = torch.arange(symbols.shape[1], device=symbols.device)
        return self.symbols(symbols) + self.places(places)


class AttentionRecaller(nn.Module):
    """Name the first symbol from what the last token finds with one layer of
    self-attention.
    """

    def __init__(self, d_model: int = 32, places: int = PLACES) -> None:
        """Make the labels, one head and a readout."""
        super().__init__()
        self.embed = Labeled(d_model, places)
        self.attention = SelfAttention(d_model)
        self.readout = nn.Linear(d_model, SYMBOLS)

    def forward(
        self, symbols: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch symbols"]:
        """Only the last token's result is read: only its query is made."""
        x = self.embed(symbols)
        head = self.attention
        found = scaled_dot_product_attention(
            head.query(x[:, -1:]), head.key(x), head.value(x)
        )
        return self.readout(found[:, 0])


class LSTMRecaller(nn.Module):
    """Name the first symbol from the last state of torch's LSTM, which computes what
    chapter 2's does.
    """

    def __init__(self, forget_bias: float, labels: bool = False) -> None:
        """Make as many parameters as ``AttentionRecaller`` has, the places' among
        them or not.
        """
        super().__init__()
        d_input, d_hidden = (8, 47) if labels else (SYMBOLS, 53)
        self.embed: Labeled | None = Labeled(d_input) if labels else None
        self.rnn = nn.LSTM(d_input, d_hidden, batch_first=True)
        self.readout = nn.Linear(d_hidden, SYMBOLS)
        with torch.no_grad():  # both biases are added; the second quarter forgets
            self.rnn.get_parameter("bias_ih_l0")[d_hidden : 2 * d_hidden] = forget_bias
            self.rnn.get_parameter("bias_hh_l0")[d_hidden : 2 * d_hidden] = 0

    def forward(
        self, symbols: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch symbols"]:
        """Read all symbols, answer from the last h."""
        one_hot = F.one_hot(symbols, SYMBOLS).float()
        x = one_hot if self.embed is None else self.embed(symbols)
        return self.readout(self.rnn(x)[0][:, -1])


class _Done(Exception):
    """Training has reached its goal."""


def steps_needed(
    model: nn.Module, length: int, seed: int, rate: float, steps: int
) -> tuple[int | None, float]:
    """Train until the first symbol of ``GOAL`` of new sequences is named.

    Returns:
        The steps that it took, None where ``steps`` did not suffice, and the share
        named at the end.
    """
    shares: list[float] = []

    def look(model: nn.Module) -> None:
        shares.append(share_recalled(model, LOOKED_AT, length))
        if shares[-1] >= GOAL:
            raise _Done

    batches = recalls(length, seed=1_000_000 * (seed + 1))
    try:
        fit(
            model,
            recall_loss,
            batches,
            steps,
            learning_rate=rate,
            evaluate=look,
            every=EVERY,
            progress=False,
        )
    except _Done:
        return EVERY * len(shares), shares[-1]
    return None, shares[-1]


def make(network: str, bias: float | None) -> nn.Module:
    """Make the model of this name."""
    if bias is None:
        return AttentionRecaller()
    return LSTMRecaller(bias, labels=network.endswith("labels"))


def main() -> None:
    """Train once for each length, seed, network and setting."""
    import time

    parser = argparse.ArgumentParser(prog="python -m minitfm.results.recall_attention")
    parser.add_argument(
        "--networks", nargs="+", choices=SETTINGS, default=["attention", "LSTM"]
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--biases", type=int, nargs="+", help="of the LSTM, only these")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    for length in options.lengths:
        for network in options.networks:
            for bias, rate in SETTINGS[network]:
                if options.biases and bias not in options.biases:
                    continue
                for seed in options.seeds:
                    torch.manual_seed(seed)
                    model = make(network, bias)
                    begin = time.process_time()
                    needed, share = steps_needed(
                        model, length, seed, rate, options.steps
                    )
                    row = {
                        "network": network,
                        "parameters": sum(p.numel() for p in model.parameters()),
                        "length": length,
                        "forget_bias": "" if bias is None else bias,
                        "learning_rate": rate,
                        "seed": seed,
                        "most_steps": options.steps,
                        "steps": needed or "",
                        "right": f"{share:.3f}",
                        "seconds": round(time.process_time() - begin),
                        "threads": torch.get_num_threads(),
                    }
                    append_row(options.table, row)


if __name__ == "__main__":
    main()
