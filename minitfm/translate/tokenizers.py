"""Text to ids and back: byte-pair encoding as in ``minitfm.text``, by the `tokenizers`
library and so fast enough for corpora, and tokenizers of characters or phonemes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from minitfm.study.extras import brought_by
from minitfm.study.vocabulary import BOS, EOS, PAD, SPECIAL

UNKNOWN = "\ufffd"  # �, Unicode's sign for a character that could not be read


@dataclass(frozen=True)
class Tokenizer:
    """Text to ids and back, with one vocabulary for both languages, as in the paper
    (section 5.1).

    What `train` learns is byte-pair encoding over the bytes of UTF-8, so every text has
    ids, even an emoji that was not in the training data, and decodes to exactly itself.
    Nothing is normalized. The corpora are in Unicode's form NFC, so bring other text
    into it first: `unicodedata.normalize("NFC", text)`. A space belongs to the word
    after it, and a text is encoded as if it began with a space, so a word has the same
    ids at the beginning of a sentence as within. Ids 0, 1 and 2 are PAD, BOS and EOS as
    in `Vocabulary`; the library does not know them, so no text encodes to them, not
    even "<pad>".

    Attributes:
        library: the `tokenizers.Tokenizer` that does the work; its id 0 is our 3.
    """

    library: Any

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "Tokenizer":
        """Learn a vocabulary of `size` entries from texts, including the special ones
        and the 256 bytes, or of fewer if the texts have no more pairs to join. Train on
        the training split alone: what is learned from the test split leaks.
        """
        if isinstance(texts, str):
            raise ValueError(
                "train takes many texts; for one, write train([text], size)"
            )
        if size < len(SPECIAL) + 256:
            raise ValueError(
                f"size={size} is too small: {len(SPECIAL)} special ids and 256 bytes"
                f" need {3 + 256}"
            )
        tokenizers = _library()
        by_bytes = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        library = tokenizers.Tokenizer(tokenizers.models.BPE())
        library.normalizer = tokenizers.normalizers.Prepend(" ")
        library.pre_tokenizer = by_bytes
        library.decoder = tokenizers.decoders.Sequence(
            [tokenizers.decoders.ByteLevel(), tokenizers.decoders.Strip(" ", 1, 0)]
        )
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size - len(SPECIAL),
            initial_alphabet=sorted(by_bytes.alphabet()),
            show_progress=False,
        )
        library.train_from_iterator(texts, trainer)
        return cls(library)

    def __len__(self) -> int:
        """The number of ids, special ones included."""
        return self.library.get_vocab_size() + len(SPECIAL)

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """Write each text as ids, without BOS and EOS."""
        if isinstance(texts, str):
            raise ValueError(
                f"encode takes a list of texts; for one write encode([{texts!r}])"
            )
        texts = list(texts)
        try:
            encoded = self.library.encode_batch_fast(texts)
        except TypeError as error:  # what the library says of anything but Unicode text
            raise ValueError(
                "encode takes texts in Unicode without lone surrogates; got"
                f" {texts!r:.200}"
            ) from error
        except Exception as error:  # the library raises nothing more precise
            raise ValueError(
                f"this vocabulary lacks a character of {texts!r:.200}; it knows"
                f" {''.join(sorted(self.library.get_vocab()))}"
            ) from error
        return [[token + len(SPECIAL) for token in text.ids] for text in encoded]

    def decode(
        self, rows: Int[Tensor, "batch token"] | Iterable[Sequence[int]]
    ) -> list[str]:
        """Turn each row of ids into a text: up to its first EOS, without PAD and BOS.

        A model may write ids that break a character in the middle of its bytes; such
        bytes become U+FFFD, �.

        Raises:
            ValueError: if an id is outside the vocabulary.
        """
        if isinstance(rows, Tensor):
            rows = rows.tolist()
        texts = []
        for row in rows:
            row = list(row)
            row = row[: row.index(EOS)] if EOS in row else row
            if any(not 0 <= token < len(self) for token in row):
                raise ValueError(
                    f"ids run from 0 to {len(self) - 1} in this vocabulary; got {row}"
                )
            texts.append(
                [token - len(SPECIAL) for token in row if token not in (PAD, BOS)]
            )
        return self.library.decode_batch(texts)

    def to_json(self) -> str:
        """Everything it learned as one text, to be stored in a checkpoint."""
        return self.library.to_str()

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Make a tokenizer from the text of `to_json`.

        Raises:
            ValueError: if it is another text.
        """
        try:
            return cls(_library().Tokenizer.from_str(text))
        except ModuleNotFoundError:
            raise
        except Exception as error:  # the library raises nothing more precise
            raise ValueError(
                f"this is no tokenizer that to_json wrote: {error}; it begins with"
                f" {text[:40]!r}"
            ) from error


def characters(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer whose tokens are the characters of the texts. Any other character is
    read as U+FFFD, �.
    """
    symbols = {character for text in texts for character in text}
    return character_tokenizer(sorted(symbols | {UNKNOWN}))


def character_tokenizer(symbols: Sequence[str]) -> Tokenizer:
    """A tokenizer whose tokens are the given characters, numbered in their order.

    Raises:
        ValueError: if one of them is not a single character.
    """
    if longer := [symbol for symbol in symbols if len(symbol) != 1]:
        raise ValueError(f"{longer[0]!r} is not a single character")
    tokenizers = _library()
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    library = symbol_library(symbols, split)
    library.decoder = tokenizers.decoders.Fuse()
    return Tokenizer(library)


def letters_and_phonemes(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer for "read" and "R EH1 D": a lower-case letter is a token, and so is
    whatever stands between spaces.
    """
    tokenizers = _library()
    letter = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[a-z']"), "isolated")
    split = tokenizers.pre_tokenizers.Sequence(
        [letter, tokenizers.pre_tokenizers.WhitespaceSplit()]
    )
    symbols = {symbol for text in texts for symbol, _ in split.pre_tokenize_str(text)}
    return Tokenizer(symbol_library(sorted(symbols | {UNKNOWN}), split))


def symbol_library(symbols: Sequence[str], split: Any) -> Any:
    """A ``tokenizers.Tokenizer`` of a fixed list of symbols, into which ``split`` cuts
    the texts. If U+FFFD is among them, it stands for all others.
    """
    tokenizers = _library()
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token=UNKNOWN))
    library.pre_tokenizer = split
    return library


def _library() -> Any:
    with brought_by("text"):
        import tokenizers
    return tokenizers
