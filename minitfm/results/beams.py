"""How to write with a trained model: beams and length penalties, scored on the
validation half.

Run it from a checkout where ``python -m minitfm.results.corpora`` has left its models
in runs/corpora::

    python -m minitfm.results.beams multi30k/small/0 small_parallel_enja/small/0
"""

import argparse
from pathlib import Path

from minitfm.results import append_row
from minitfm.results.corpora import RUNS
from minitfm.results.mistakes import repeats
from minitfm.translate.checkpoints import checkpoints
from minitfm.translate.evaluation import scores
from minitfm.translate.presets import pairs
from minitfm.translate.translation import load, translate

TABLE = Path(__file__).with_suffix(".csv")
WAYS = (  # beam, alpha, checkpoints to average
    (1, 0.0, 1),
    (4, 0.0, 1),
    (4, 0.6, 1),
    (4, 1.0, 1),
    (4, 1.2, 1),
    (4, 1.4, 1),
    (4, 2.0, 1),
    (8, 1.2, 1),
    (4, 1.2, 3),
    (4, 1.2, 5),
)


def measure(run: str, folder: Path, table: Path) -> None:
    """Write with one model in every way, and append a row for each."""
    corpus, model, seed = run.split("/")
    wanted = pairs(corpus, "valid")
    length = sum(len(target) for _, target in wanted)
    for beam, alpha, average in WAYS:
        network, tokenizer = load(
            folder / run, min(average, len(checkpoints(folder / run)))
        )
        written = translate(
            network,
            tokenizer,
            [source for source, _ in wanted],
            beam=beam,
            alpha=alpha,
        )
        score = scores(corpus, written, wanted)[0]
        row = {"corpus": corpus, "model": model, "seed": seed}
        row |= {"beam": beam, "alpha": alpha, "averaged": average}
        row |= {"metric": score.name, "value": f"{score.value:.2f}"}
        row |= {
            "length": f"{sum(map(len, written)) / length:.3f}",
            "longest": max(map(len, written)),
            "repeat": sum(map(repeats, written)),
            "note": score.note,
        }
        append_row(table, row)


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.beams")
    parser.add_argument("runs", nargs="+", choices=RUNS, metavar="RUN")
    parser.add_argument("--folder", type=Path, default=Path("runs/corpora"))
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    for run in options.runs:
        measure(run, options.folder, options.table)


if __name__ == "__main__":
    main()
