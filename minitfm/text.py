"""Byte-pair encoding: text in pieces between characters and words (chapter 10).

Sennrich, Haddow and Birch (2016): begin with single characters, and join the most
frequent pair of neighbors, again and again. A frequent word becomes one piece and a
rare one stays several, so no word is unknown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise

from torch import Tensor

Pair = tuple[str, str]


def join(symbols: Sequence[str], pair: Pair) -> list[str]:
    """Write every occurrence of a pair as one symbol, from left to right: a, a, a with
    the pair (a, a) becomes aa, a.
    """
    joined: list[str] = []
    place = 0
    while place < len(symbols):
        found = tuple(symbols[place : place + 2]) == pair
        joined.append("".join(pair) if found else symbols[place])
        place += 2 if found else 1
    return joined


def learn_merges(
    words: Mapping[str, int] | Iterable[str], count: int
) -> dict[Pair, int]:
    """Learn which pairs of symbols to join, and in which order.

    Of two equally frequent pairs, the one with the older symbols is joined first:
    characters are numbered in sorted order, joined symbols in the order in which they
    were made. The same words therefore give the same merges on every machine.

    Args:
        words: how often each word occurs, or the words themselves, to be counted. No
            pair crosses the border of a word.
        count: the largest number of merges; there are fewer when every word has become
            one symbol.

    Returns:
        The pairs, each with its rank: the step at which it was learned.

    Raises:
        ValueError: if one text is given instead of words.
    """
    if isinstance(words, str):
        raise ValueError(
            "learn_merges takes words and how often they occur; for one text write"
            f" {words[:20]!r}.split()"
        )
    frequency = Counter(words)
    spelled = {word: list(word) for word in frequency}
    characters = sorted({character for word in frequency for character in word})
    age = {character: number for number, character in enumerate(characters)}
    merges: dict[Pair, int] = {}
    for step in range(count):
        pairs: Counter[Pair] = Counter()
        for word, symbols in spelled.items():
            for pair in pairwise(symbols):
                pairs[pair] += frequency[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        merges[best] = step
        age.setdefault("".join(best), len(age))
        spelled = {word: join(symbols, best) for word, symbols in spelled.items()}
    return merges


def segment(word: str, merges: Mapping[Pair, int]) -> list[str]:
    """Cut a word into pieces: of the pairs in it, join the one that was learned first,
    the leftmost if it occurs twice, until there is none left.
    """
    symbols = list(word)
    while known := [
        (merges[pair], place)
        for place, pair in enumerate(pairwise(symbols))
        if pair in merges
    ]:
        _, place = min(known)
        symbols[place : place + 2] = ["".join(symbols[place : place + 2])]
    return symbols


def real_share(batches: Iterable[tuple[Tensor, ...]], pad: int = 0) -> float:
    """Return the share of the tokens in batches that are real, 0 to 1; the rest is
    padding, and the work done on it is wasted.

    Raises:
        ValueError: if there is no token at all.
    """
    tensors = list(chain.from_iterable(batches))
    tokens = sum(tensor.numel() for tensor in tensors)
    if tokens == 0:
        raise ValueError("there is no token in these batches, neither real nor padding")
    return sum(int((tensor != pad).sum()) for tensor in tensors) / tokens
