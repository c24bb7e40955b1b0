r"""How much goes through the vector: lines of one to four days or dates, for several
sizes of the vector.

The runs that chapter 3 shows::

    python -m minitfm.results.vector --sizes 4 16 64 --seeds 0 1 2
    python -m minitfm.results.vector --sizes 64 --seeds 0 1 2 --reverse
    python -m minitfm.results.vector --sizes 4 16 64 --seeds 0 --steps 1800
    python -m minitfm.results.vector --sizes 4 --seeds 0 --steps 5400
    python -m minitfm.results.vector --sizes 16 --seeds 0 --steps 5400
    python -m minitfm.results.vector --dates --sizes 16 64 256 --seeds 0 1 2 \
        --steps 2000

The last one takes whole dates, in every English format, and appends to
vector_dates.csv. Every model is trained on lines of one to four of them, equally many
batches of each, with everything equal but the size, and measured on lines of held-out
days (match), on lines of the training (train) and on new lines of the training's days
(new; empty in rows measured before there was this column). One thread is enough
(OMP_NUM_THREADS=1). Run it from a checkout (``make test`` or ``make lab`` sets one up),
so that the rows name the commit.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.lstm import forget_bias_
from minitfm.results import append_row
from minitfm.seq2seq import Seq2Seq, exact_match, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import date_lines, date_pair
from minitfm.study.vocabulary import Vocabulary

TABLE = Path(__file__).with_suffix(".csv")
WHOLE = TABLE.with_stem("vector_dates")
COUNTS = (1, 2, 3, 4)
DAYS = [date(2024, 1, 1) + timedelta(days=number) for number in range(366)]


def in_short(day: date) -> tuple[str, str]:
    """Write a day without its year: ("4 Mar", "3月4日")."""
    english, japanese = date_pair(day, "d MMM y", "en_US")
    return english.rpartition(" ")[0], japanese.partition("年")[2]


def lines(
    count: int, days_in_line: int, seed: int, held_out: bool = False
) -> list[tuple[str, str]]:
    """Draw lines of several days: ("4 Mar; 1 May", "3月4日；5月1日"). Every tenth day
    of the year is held out.
    """
    draw = random.Random(seed)
    days = [in_short(day) for i, day in enumerate(DAYS) if (i % 10 == 3) == held_out]
    drawn = [zip(*draw.choices(days, k=days_in_line)) for _ in range(count)]
    return [("; ".join(english), "；".join(japanese)) for english, japanese in drawn]


class Lines:
    """The lines to train and to measure on, as numbers."""

    def __init__(
        self,
        counts: tuple[int, ...] = COUNTS,
        reverse: bool = False,
        draw: Callable[..., list[tuple[str, str]]] = lines,
    ) -> None:
        """Draw them, with so many days in a line; sources back to front if
        ``reverse``.
        """
        train = {k: draw(10_000, k, seed=k) for k in counts}
        held_out = {k: draw(500, k, 100 + k, held_out=True) for k in counts}
        new = {}  # lines of trained days: none of them was itself trained on
        for k in counts:
            trained = set(train[k])
            drawn = [pair for pair in draw(3_000, k, 200 + k) if pair not in trained]
            new[k] = drawn[:500]
        every = [text for pairs in train.values() for pair in pairs for text in pair]
        self.vocabulary = Vocabulary.of(every)
        self.longest = max(map(len, every)) + 1  # and <eos>

        def encode(pairs: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
            step = -1 if reverse else 1
            source = self.vocabulary.encode([english[::step] for english, _ in pairs])
            target = [japanese for _, japanese in pairs]
            return source, self.vocabulary.encode(target, bos=True, eos=True)

        self.train = {k: encode(pairs) for k, pairs in train.items()}
        self.held_out = {k: encode(pairs) for k, pairs in held_out.items()}
        self.new = {k: encode(pairs) for k, pairs in new.items() if pairs}

    def batches(self, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """Batches of 64 lines: of one day, of two, and so on, and again."""
        streams = [shuffled(*rows, batch=64, seed=seed) for rows in self.train.values()]
        return (next(stream) for stream in cycle(streams))

    def matches(self, model: Seq2Seq, kind: str = "held_out") -> list[float]:
        """Share of 500 lines without an error, for each number of days: of "held_out"
        days, of those that were trained on ("train"), or "new" lines of trained days.

        There is no new line of one day.
        """
        rows = {"held_out": self.held_out, "train": self.train, "new": self.new}[kind]
        return [
            exact_match(greedy(model, source[:500], self.longest), target[:500, 1:])
            for source, target in rows.values()
        ]


def train(
    data: Lines, d_vector: int, seed: int, steps: int, progress: bool = False
) -> tuple[Seq2Seq, float]:
    """Train a model on lines of every kind; return it, and the seconds that it took."""
    torch.manual_seed(seed)
    model = Seq2Seq(len(data.vocabulary), d_hidden=128, d_vector=d_vector)
    forget_bias_(accelerate(model), 3.0)
    options = {"learning_rate": 5e-3, "warmup": 50, "decay": True, "progress": progress}
    batches = data.batches(seed)
    return model, fit(model, teacher_forcing_loss, batches, steps, **options).seconds


def main() -> None:
    """Train once for each size and seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.vector")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument(
        "--reverse", action="store_true", help="read the source last character first"
    )
    parser.add_argument("--dates", action="store_true", help="lines of whole dates")
    parser.add_argument("--table", type=Path, help="where the rows go")
    options = parser.parse_args()

    table = options.table or (WHOLE if options.dates else TABLE)
    draw = date_lines if options.dates else lines
    data = Lines(reverse=options.reverse, draw=draw)
    for seed in options.seeds:
        for size in options.sizes:
            model, seconds = train(data, size, seed, options.steps, progress=True)
            row = {
                "seed": seed,
                "seconds": round(seconds),
                "threads": torch.get_num_threads(),
                "d_vector": size,
                "reverse": options.reverse,
                "steps": options.steps,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
            kinds = {"match": "held_out", "train": "train", "new": "new"}
            for column, kind in kinds.items():
                row |= {f"{column}_{count}": "" for count in COUNTS}
                found = zip(getattr(data, kind), data.matches(model, kind))
                row |= {f"{column}_{count}": f"{match:.3f}" for count, match in found}
            append_row(table, row)


if __name__ == "__main__":
    main()
