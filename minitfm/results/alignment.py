r"""Where a trained decoder looks, and whether it uses the state that it looks at.

The runs that chapter 4 shows::

    python -m minitfm.results.alignment --seeds 0 1 2

Each trains chapter 4's live model (dot attention, 300 updates on lines of one or two
whole dates) and asks of its weights, over a hundred held-out lines of two dates: how
often does the largest lie on the characters that are known to be right, how often at
most one character beside them, and how much of all weight lies there? Then, on held-out
dates whose month is written March, some of the encoder's states are exchanged for those
of the same line with April while the model chooses the month: how often does it write
April's 4? One thread is enough (OMP_NUM_THREADS=1). Run it from a checkout
(``make test`` or ``make lab`` sets one up), so that the rows name the commit.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from minitfm.attentive import AttentiveSeq2Seq
from minitfm.results import append_row
from minitfm.results.attention import train
from minitfm.results.vector import Lines
from minitfm.study.tasks import date_alignment, date_lines
from minitfm.study.vocabulary import Vocabulary

TABLE = Path(__file__).with_suffix(".csv")
# The sign that ends a part of a Japanese date, and the part's name.
PARTS = {"年": "year", "月": "month", "日": "day", "曜": "weekday"}
Looks = Callable[[str, str], Float[Tensor, "step character"]]


@torch.no_grad()
def looks(
    model: AttentiveSeq2Seq, vocabulary: Vocabulary, english: str, japanese: str
) -> Float[Tensor, "step character"]:
    """How each step of the decoder, led by the true Japanese, weighs the English; the
    last row led to the end of the line.
    """
    source = vocabulary.encode([english])
    return model.alignment(source, vocabulary.encode([japanese], bos=True))[0]


def right_to_left(english: str, japanese: str) -> Float[Tensor, "step character"]:
    """The guess of one who knows no more than that the order crosses: each date is
    walked through evenly, from its right end to its left.
    """
    walk: list[int] = []
    start = 0
    for here, there in zip(english.split("; "), japanese.split("；"), strict=True):
        steps = len(there) + 1  # and the separator
        end = start + len(here) - 1
        walk += [end - len(here) * t // steps for t in range(steps)]
        start = end + 3
    return one_hot(torch.tensor(walk[: len(japanese)]), len(english)).float()


def score(looks_of: Looks, parts: str = "年月日曜") -> tuple[float, float, float]:
    """Compare weights with ``date_alignment``, over a hundred held-out lines of two
    dates.

    Args:
        looks_of: gives the weights for a line and its translation.
        parts: the signs behind the parts of a date that count.

    Returns:
        The share of characters for which the largest weight is in the right place, and
        at most one character beside it; and the weight there on the average.
    """
    found = []
    for english, japanese in date_lines(100, 2, seed=9, held_out=True):
        rows = looks_of(english, japanese)
        for t, right in enumerate(date_alignment(english, japanese)):
            row, sign = rows[t], re.search("[年月日曜]|$", japanese[t + 1 :])
            if right and sign and sign[0] in parts:  # nothing stands for 年 itself
                top = int(row.argmax())
                near = right.start - 1 <= top <= right.stop
                found.append((top in right, near, row[right.start : right.stop].sum()))
    hits, close, weight = torch.tensor(found, dtype=torch.float64).mean(0).tolist()
    return hits, close, weight


def signs(looks_of: Looks) -> dict[str, float]:
    """How often the largest weight for a sign (年, 月 and so on, for which nothing
    stands in the English) lies on the part that it ends.
    """
    found: dict[str, list[bool]] = {name: [] for name in PARTS.values()}
    for english, japanese in date_lines(100, 1, seed=9, held_out=True):
        rows, alignment = looks_of(english, japanese), date_alignment(english, japanese)
        for t, sign in enumerate(japanese):
            if sign in PARTS and not alignment[t] and alignment[t - 1]:
                right = alignment[t - 1]
                if sign == "年":  # the whole year, of which a digit is aligned with one
                    right = range(right.stop - 4, right.stop)
                found[PARTS[sign]].append(int(rows[t].argmax()) in right)
    return {name: sum(hits) / len(hits) for name, hits in found.items()}


@torch.no_grad()
def exchanged(
    model: AttentiveSeq2Seq, vocabulary: Vocabulary, part: str, draws: int = 2_000
) -> list[bool]:
    """Whether the decoder writes April's 4 after the year, for each held-out date in
    March (written out) some of whose states come from the same date in April.

    Args:
        model: the trained model.
        vocabulary: its symbols.
        part: whose states are exchanged: "year", "month" or "none".
        draws: held-out dates to draw; those in March are kept, each once.
    """
    (four,) = vocabulary.encode(["4"])[0].tolist()
    found = []
    drawn = date_lines(draws, 1, seed=11, held_out=True)
    for english, japanese in dict.fromkeys(drawn):
        if "March" not in english:
            continue
        alignment = date_alignment(english, japanese)
        step = japanese.index("年") + 1  # where the month is chosen
        last = alignment[step - 2].stop
        places = {
            "none": slice(0),
            "month": slice(alignment[step].start, alignment[step].stop),
            "year": slice(last - 4, last),
        }
        target = vocabulary.encode([japanese], bos=True)
        output, reading = model.outputs(vocabulary.encode([english]), target)
        april = vocabulary.encode([english.replace("March", "April")])
        _, other = model.outputs(april, target)
        memory = reading.memory.clone()
        memory[:, places[part]] = other.memory[:, places[part]]
        seen = model.look(output, reading._replace(memory=memory))
        found.append(int(model.generator(seen)[0, step].argmax()) == four)
    return found


def main() -> None:
    """Train once for each seed, and look."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.alignment")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--table", type=Path, help="where the rows go")
    options = parser.parse_args()

    data = Lines(counts=(1, 2), draw=date_lines)
    for seed in options.seeds:
        model, seconds = train(data, "dot", seed, options.steps)
        assert isinstance(model, AttentiveSeq2Seq)
        model.eval()

        def looks_of(english: str, japanese: str) -> Tensor:
            return looks(model, data.vocabulary, english, japanese)  # noqa: B023

        one, two = data.matches(model)
        row = {
            "seed": seed,
            "seconds": round(seconds),
            "threads": torch.get_num_threads(),
            "steps": options.steps,
            "match_1": f"{one:.3f}",
            "match_2": f"{two:.3f}",
        }
        wanted = {"all": "年月日曜"} | {name: sign for sign, name in PARTS.items()}
        for name, parts in wanted.items():
            hits, near, weight = score(looks_of, parts)
            row |= {f"top_{name}": f"{hits:.3f}", f"near_{name}": f"{near:.3f}"}
            row[f"weight_{name}"] = f"{weight:.3f}"
        row |= {f"sign_{name}": f"{hit:.3f}" for name, hit in signs(looks_of).items()}
        for part in ("none", "month", "year"):
            fours = exchanged(model, data.vocabulary, part)
            row[f"april_{part}"] = f"{sum(fours) / len(fours):.3f}"
        row["march"] = len(fours)
        append_row(options.table or TABLE, row)


if __name__ == "__main__":
    main()
