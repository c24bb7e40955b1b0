"""Names of countries, letter by letter, with and without gates: one row a network,
learning rate and seed.

The runs that chapter 2 shows::

    python -m minitfm.results.gated_names --seeds 0 1 2
    python -m minitfm.results.gated_names --seeds 0 1 2 --rate 0.006

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm.lstm import GRU, LSTM, forget_bias_
from minitfm.results import append_row
from minitfm.rnn import RNN, orthogonal_
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import country_names
from minitfm.study.vocabulary import PAD, Vocabulary

TABLE = Path(__file__).with_suffix(".csv")

# Widths that give about equal parameters, each network started in the way that suits
# it.
NETWORKS = {
    "RNN": (RNN, 128, lambda network: None),
    "RNN, orthogonal": (RNN, 128, orthogonal_),
    "LSTM": (LSTM, 63, forget_bias_),
    "GRU": (GRU, 74, lambda network: None),
}


LONGEST = 20  # letters, as in chapter 1


class CharacterModel(nn.Module):
    """Embedding, recurrent network, readout."""

    def __init__(self, name: str, vocabulary: int) -> None:
        """Make embedding, network and readout."""
        super().__init__()
        kind, width, start = NETWORKS[name]
        self.embedding = nn.Embedding(vocabulary, 32)
        self.rnn = kind(32, width)
        self.readout = nn.Linear(width, vocabulary)
        start(self.rnn)

    def forward(self, letters: Tensor) -> Tensor:
        """(batch, token) ids to (batch, token, vocabulary) logits of the letter that
        follows.
        """
        output, _ = self.rnn(self.embedding(letters))
        return self.readout(output)


def name_loss(model: nn.Module, names: Tensor) -> Tensor:
    """Average the surprise at the next letter over all letters of the batch, padding
    left out.
    """
    names = names[:, : int((names != PAD).sum(1).max())]
    logits = model(names[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), names[:, 1:], ignore_index=PAD)


def perplexity(model: nn.Module, names: Tensor) -> float:
    """Give e to the average surprise at a letter of the names."""
    total, letters = 0.0, 0
    with torch.no_grad():
        for rows in names.split(256):
            count = int((rows[:, 1:] != PAD).sum())
            total += name_loss(model, rows).item() * count
            letters += count
    return math.exp(total / letters)


def main() -> None:
    """Train once for each network and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.gated_names")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    train = [name for name in country_names() if len(name) <= LONGEST]
    held_out = [name for name in country_names(held_out=True) if len(name) <= LONGEST]
    vocabulary = Vocabulary.of(train)
    names = vocabulary.encode(train, bos=True, eos=True)
    test = vocabulary.encode(held_out, bos=True, eos=True)
    for seed in options.seeds:
        for name in options.networks:
            torch.manual_seed(seed)
            model = CharacterModel(name, len(vocabulary))
            history = fit(
                model,
                name_loss,
                shuffled(names, batch=64, seed=seed),
                options.steps,
                learning_rate=options.rate,
                decay=True,
                progress=False,
            )
            row = {
                "network": name,
                "parameters": sum(p.numel() for p in model.parameters()),
                "seed": seed,
                "steps": options.steps,
                "learning_rate": options.rate,
                "perplexity": f"{perplexity(model, test):.3f}",
                "seconds": round(history.seconds),
                "threads": torch.get_num_threads(),
            }
            append_row(options.table, row)


if __name__ == "__main__":
    main()
