"""Sentence pairs from the user's own files: two files, a line of one for each line of
the other, or one file of two columns with a tab between.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Pair = tuple[str, str]
HELD_OUT = 20  # of so many pairs one is held out, where no file is named for it
MOST_HELD_OUT = 1000


class OwnCorpus(NamedTuple):
    """A corpus of the user's: pairs to learn from, and pairs to score by."""

    train: list[Pair]
    valid: list[Pair]
    name: str = "own"


def utf8_lines(content: bytes, name: str, first: int = 1) -> Iterator[str]:
    """The lines of a text, without what ends them and without a byte-order mark.

    Args:
        content: of the file, or a part of it that ends with a line.
        name: of the file, for messages.
        first: number of the first line.

    Raises:
        ValueError: at a line that is not UTF-8; those before it come first.
    """
    if first == 1:
        content = content.removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), first):
        try:
            yield line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{name}, line {number}: byte 0x{line[error.start]:02x} at place"
                f" {error.start + 1} is not UTF-8; save the file as UTF-8"
            ) from None


def read_lines(file: Path) -> list[str]:
    """The lines of a file."""
    content = file.read_bytes()
    return list(utf8_lines(content, str(file))) if content else []


def read_pairs(source: Path, target: Path) -> list[Pair]:
    """The pairs of two files.

    Raises:
        ValueError: if one has more lines than the other, or is not UTF-8.
    """
    sides = read_lines(source), read_lines(target)
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{source} has {len(sides[0]):,} lines and {target} has"
            f" {len(sides[1]):,}; each line of one must belong to the same line of the"
            " other"
        )
    return list(zip(*sides))


def read_table(file: Path) -> list[Pair]:
    """The pairs of a file of two columns.

    Raises:
        ValueError: if a line has another number of columns, or is not UTF-8.
    """
    pairs = []
    for number, line in enumerate(read_lines(file), 1):
        parts = line.split("\t")
        if len(parts) != 2:
            raise ValueError(
                f"{file}, line {number}: {len(parts) - 1} tabs, and one is needed,"
                " between the two sides"
            )
        pairs.append((parts[0], parts[1]))
    return pairs


def cleaned(
    pairs: Iterable[Pair], name: str, tell: Callable[[str], Any] = lambda line: None
) -> list[Pair]:
    """The pairs with both sides in Unicode's form NFC and without spaces around them;
    ``tell`` is called with how many were left out since a side is empty.

    Raises:
        ValueError: if no pair is left.
    """
    listed = [(normalized(source), normalized(target)) for source, target in pairs]
    kept = [pair for pair in listed if all(pair)]
    if not kept:
        raise ValueError(f"{name} holds no pair of sentences")
    if len(kept) < len(listed):
        left = len(listed) - len(kept)
        tell(f"{name}: {left:,} pair{'s' * (left != 1)} with an empty side left out")
    return kept


def normalized(text: str) -> str:
    """The text in Unicode's form NFC, without spaces around it."""
    return unicodedata.normalize("NFC", text.strip())


def own_corpus(
    training: list[Pair],
    validation: list[Pair] | None,
    tell: Callable[[str], Any] = lambda line: None,
) -> OwnCorpus:
    """A corpus of pairs that were read from files.

    Args:
        training: the pairs to learn from.
        validation: the pairs to score by. If there are none, every 20th training pair
            is held out instead, 1,000 at most.
        tell: called with what was left out and held out, line by line.

    Raises:
        ValueError: if a part has no pairs.
    """
    learned = cleaned(training, "the training half", tell)
    if validation is not None:
        return OwnCorpus(learned, cleaned(validation, "the validation half", tell))
    step = max(HELD_OUT, -(-len(learned) // MOST_HELD_OUT))
    held_out = learned[::step]
    rest = [pair for place, pair in enumerate(learned) if place % step]
    seen = set(held_out)  # a pair that stands in the files twice is not held out
    rest = [pair for pair in rest if pair not in seen]
    if not rest:
        raise ValueError(
            f"of {len(learned)} in all, none can be held out; name files to score"
            " by, or bring more"
        )
    tell(f"{len(held_out):,} of {len(learned):,} pairs held out to score by")
    return OwnCorpus(rest, held_out)
