"""The date task with several seeds: train as chapter 9 does, append one row a seed to
dates.csv.

The runs that chapter 9 shows::

    python -m minitfm.results.dates --seeds 0 1 2 3 4

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from pathlib import Path

import torch

from minitfm.results import append_row
from minitfm.seq2seq import exact_match, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig

TABLE = Path(__file__).with_suffix(".csv")


def main() -> None:
    """Train once for each seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.dates")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    train, held_out = dates(20_000, seed=0), dates(2_000, seed=1, held_out=True)
    vocabulary = Vocabulary.of(text for pair in train for text in pair)

    def encode(
        pairs: list[tuple[str, str]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        source = vocabulary.encode([english for english, _ in pairs])
        return source, vocabulary.encode(
            [japanese for _, japanese in pairs], bos=True, eos=True
        )

    source, target = encode(held_out)
    for seed in options.seeds:
        torch.manual_seed(seed)
        model = Transformer(TransformerConfig.tiny(len(vocabulary), dropout=0.0))
        history = fit(
            model,
            teacher_forcing_loss,
            shuffled(*encode(train), batch=128, seed=seed),
            options.steps,
            learning_rate=2e-3,
            warmup=100,
            decay=True,
            evaluate=lambda model: exact_match(
                greedy(model, source, max_length=20), target[:, 1:]
            ),
            every=50,
        )
        reached = [
            (step, seconds)
            for step, seconds, match in history.evaluations
            if match >= 0.99
        ]
        row = {
            "model": "Transformer",
            "parameters": sum(model.parameter_counts().values()),
            "seed": seed,
            "steps": options.steps,
            "seconds": round(history.seconds),
            "threads": torch.get_num_threads(),
            "steps_to_99": reached[0][0] if reached else "",
            "seconds_to_99": round(reached[0][1]) if reached else "",
            "test_pairs": len(held_out),
            "exact_match": f"{history.evaluations[-1][2]:.4f}",
        }
        append_row(options.table, row)


if __name__ == "__main__":
    main()
