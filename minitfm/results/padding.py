"""Trained without a mask: what becomes of a date when no padding stands beside it.

The runs that chapter 3 shows::

    python -m minitfm.results.padding --seeds 0

The same model, dates, batches and steps, once with the mask and once without. Then the
same held-out dates are translated twice: padded to one length in one batch, and each
without padding. One thread is enough (OMP_NUM_THREADS=1). Run it from a checkout
(``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.lstm import forget_bias_
from minitfm.results import append_row
from minitfm.seq2seq import Seq2Seq, exact_match, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary

TABLE = Path(__file__).with_suffix(".csv")


class WithoutMask(Seq2Seq):
    """The encoder–decoder that reads padding like any other symbol."""

    def encode(
        self, source: Int[Tensor, "batch source"]
    ) -> Float[Tensor, "batch d_vector"]:
        """Read every row to the end of its columns."""
        _, state = self.encoder(self.source_embedding(source))
        return torch.cat([part.flatten(1) for part in state], dim=1)


def main() -> None:
    """Train with and without the mask, for each seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.padding")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    train, held_out = dates(20_000, seed=0), dates(500, seed=1, held_out=True)
    vocabulary = Vocabulary.of(text for pair in train for text in pair)

    def encode(pairs: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
        source = vocabulary.encode([english for english, _ in pairs])
        japanese = [japanese for _, japanese in pairs]
        return source, vocabulary.encode(japanese, bos=True, eos=True)

    def match(model: Seq2Seq, pairs: list[tuple[str, str]]) -> int:
        """How many of the dates are all right, written as one batch."""
        source, target = encode(pairs)
        written = greedy(model, source, max_length=20)
        return round(len(pairs) * exact_match(written, target[:, 1:]))

    of_length = defaultdict(list)
    for pair in held_out:
        of_length[len(pair[0])].append(pair)
    settings = {"learning_rate": 5e-3, "warmup": 50, "decay": True}
    for seed in options.seeds:
        for kind in (Seq2Seq, WithoutMask):
            torch.manual_seed(seed)
            model = accelerate(kind(len(vocabulary), d_hidden=128))
            forget_bias_(model, 3.0)
            batches = shuffled(*encode(train), batch=128, seed=seed)
            history = fit(
                model, teacher_forcing_loss, batches, options.steps, **settings
            )
            padded = match(model, held_out)
            alone = sum(match(model, group) for group in of_length.values())
            row = {
                "seed": seed,
                "seconds": round(history.seconds),
                "threads": torch.get_num_threads(),
                "mask": kind is Seq2Seq,
                "steps": options.steps,
                "parameters": sum(p.numel() for p in model.parameters()),
                "dates": len(held_out),
                "padded": f"{padded / len(held_out):.3f}",
                "alone": f"{alone / len(held_out):.3f}",
            }
            append_row(options.table, row)


if __name__ == "__main__":
    main()
