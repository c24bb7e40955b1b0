"""What the models of the long runs get wrong on the test half: rare words, long
sentences, repetition, phonemes.

Run it from a checkout where ``python -m minitfm.results.corpora`` has left what its
models wrote in runs/corpora::

    python -m minitfm.results.mistakes

counts anew what went wrong in those runs; of others the table keeps its rows. With
``--read multi30k/small/0`` it prints fifty lines of that run instead: the worst, the
best, and some drawn by chance.
"""

import argparse
import csv
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from minitfm.results import append_row
from minitfm.results.corpora import RUNS
from minitfm.study import tasks
from minitfm.translate.evaluation import scores
from minitfm.translate.presets import pairs

TABLE = Path(__file__).with_suffix(".csv")
SEEN = (0, 1, 5, 20, 100, 1000)  # a group begins at so many times in the training half
LONG = {"cmudict": (1, 6, 8, 10)}  # and one at so many letters, or words of the source
WORDS = (1, 9, 13, 17)


class Line(NamedTuple):
    """A sentence of the test half, its reference, and what a model wrote."""

    source: str
    reference: str
    written: str


class Found(NamedTuple):
    """A figure: of what, over how many, how large."""

    kind: str
    group: str
    count: int
    value: float


def lines_of(folder: Path) -> list[Line]:
    """What a run wrote for the test half at its end."""
    (file,) = folder.glob("test-*.tsv")
    with file.open(newline="", encoding="utf-8") as tsv:
        return [Line(*row) for row in csv.reader(tsv, "excel-tab")]


def words(corpus: str, text: str) -> list[str]:
    """The words that BLEU counts."""
    if corpus == "small_parallel_enja":
        return text.split()
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()(text).split()


def group_of(number: int, begins: Sequence[int]) -> str:
    """The group of a number: "5 to 19", of those that begin at the given ones."""
    first = max(begin for begin in begins if begin <= number)
    following = [begin for begin in begins if begin > first]
    if not following:
        return f"{first} or more"
    return str(first) if following[0] == first + 1 else f"{first} to {following[0] - 1}"


def rare_words(
    corpus: str, lines: Sequence[Line], training: Counter[str]
) -> Iterator[Found]:
    """How many of the references' words were written, in per cent, by how often the
    training half has them.
    """
    wanted: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for line in lines:
        reference = Counter(words(corpus, line.reference))
        common = reference & Counter(words(corpus, line.written))
        for word, times in reference.items():
            group = group_of(training[word], SEEN)
            wanted[group] += times
            hits[group] += common[word]
    for group in dict.fromkeys(group_of(begin, SEEN) for begin in SEEN):
        if wanted[group]:
            yield Found(
                "words written, by times seen",
                group,
                wanted[group],
                100 * hits[group] / wanted[group],
            )


def long_sentences(corpus: str, lines: Sequence[Line]) -> Iterator[Found]:
    """The corpus's first score by the length of the source."""
    begins = LONG.get(corpus, WORDS)
    groups: dict[str, list[Line]] = {group_of(begin, begins): [] for begin in begins}
    for line in lines:
        size = len(line.source) if corpus == "cmudict" else len(line.source.split())
        groups[group_of(size, begins)].append(line)
    for group, some in groups.items():
        if some:
            first = scores(
                corpus, [line.written for line in some], [line[:2] for line in some]
            )[0]
            yield Found(
                f"{first.name}, by the source's length", group, len(some), first.value
            )


def repeats(text: str) -> bool:
    """Whether a word follows itself, or a piece of two to eight characters comes three
    times in a row.
    """
    doubled = any(
        word == following for word, following in pairwise(text.lower().split())
    )
    return doubled or re.search(r"(\S{2,8}?)\1\1", text) is not None


def repetition(lines: Sequence[Line]) -> Iterator[Found]:
    """How many lines repeat themselves, in per cent: of the references and of what was
    written.
    """
    for group, texts in (
        ("references", [line.reference for line in lines]),
        ("written", [line.written for line in lines]),
    ):
        yield Found(
            "lines that repeat themselves",
            group,
            len(lines),
            100 * sum(map(repeats, texts)) / len(lines),
        )


def kind_of_mistake(wanted: str, written: str) -> str:
    """What two phonemes that should be one differ in."""
    vowels = [phoneme[-1].isdigit() for phoneme in (wanted, written)]
    if all(vowels):
        return "only the stress" if wanted[:-1] == written[:-1] else "vowel for vowel"
    return "a vowel and a consonant" if any(vowels) else "consonant for consonant"


def wrong_phonemes(lines: Sequence[Line]) -> Iterator[Found]:
    """What share of the wrong phonemes, in per cent, are of which kind, beside the
    nearest listed pronunciation.
    """
    listed = tasks.pronunciations(held_out=True, stress=True)
    kinds: Counter[str] = Counter()
    for line in lines:
        written = line.written.split()
        nearest = min(
            listed[line.source],
            key=lambda one: (tasks.edit_distance(written, one), len(one)),
        )
        for _, i1, i2, j1, j2 in SequenceMatcher(
            None, nearest, written, autojunk=False
        ).get_opcodes():
            here, there = nearest[i1:i2], written[j1:j2]
            kinds.update(
                kind_of_mistake(*two) for two in zip(here, there) if two[0] != two[1]
            )
            kinds["missing"] += max(0, len(here) - len(there))
            kinds["too many"] += max(0, len(there) - len(here))
    for kind, times in kinds.most_common():
        yield Found(
            "wrong phonemes",
            kind,
            sum(kinds.values()),
            100 * times / max(1, sum(kinds.values())),
        )


def found_in(corpus: str, lines: Sequence[Line]) -> Iterator[Found]:
    """Every figure of one run."""
    yield from long_sentences(corpus, lines)
    if corpus == "cmudict":
        yield from wrong_phonemes(lines)
        return
    training = Counter(
        word for _, target in pairs(corpus, "train") for word in words(corpus, target)
    )
    yield from rare_words(corpus, lines, training)
    yield from repetition(lines)


def fifty(corpus: str, lines: Sequence[Line]) -> Iterator[tuple[str, Line]]:
    """The 17 worst, the 17 best and 16 others, by chrF, which also tells half-right
    words apart.
    """
    from sacrebleu.metrics import CHRF

    metric, draw = CHRF(), random.Random(0)
    ranked = sorted(
        lines,
        key=lambda line: metric.sentence_score(line.written, [line.reference]).score,
    )
    for name, some in (
        ("worst", ranked[:17]),
        ("best", ranked[-17:]),
        ("drawn", draw.sample(ranked[17:-17], 16)),
    ):
        yield from ((name, line) for line in some)


def forget(table: Path, runs: Sequence[str]) -> None:
    """Take the rows of some runs out of a table."""
    if not table.exists():
        return
    with table.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    place = head.index("corpus")  # model and seed follow it
    kept = [row for row in rows if "/".join(row[place : place + 3]) not in runs]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *kept])


def main() -> None:
    """Write the table, or print what there is to read."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.mistakes")
    parser.add_argument(
        "--read", choices=RUNS, metavar="RUN", help="print fifty lines of this run"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/corpora"))
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    if options.read:
        corpus = options.read.partition("/")[0]
        for name, line in fifty(corpus, lines_of(options.folder / options.read)):
            print(
                f"{name}\n  source     {line.source}\n  reference  {line.reference}\n "
                f" written    {line.written}"
            )
        return
    here = [run for run in RUNS if any((options.folder / run).glob("test-*.tsv"))]
    forget(options.table, here)
    for run in here:
        corpus, model, seed = run.split("/")
        for found in found_in(corpus, lines_of(options.folder / run)):
            row = {"corpus": corpus, "model": model, "seed": seed, **found._asdict()}
            append_row(options.table, {**row, "value": f"{found.value:.2f}"})


if __name__ == "__main__":
    main()
