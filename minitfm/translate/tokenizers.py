"""Byte-pair encoding: text in pieces that are neither characters nor words (chapter
10).

Sennrich, Haddow and Birch 2016: begin with single characters, and again and again join
the pair of neighbors that is most frequent. Frequent words become one piece; rare ones
stay several, so nothing is ever unknown. `learn_merges` and `segment` are that idea, to
be read; `Tokenizer` is the same from the `tokenizers` library, fast enough for corpora.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from minitfm.study.vocabulary import BOS, EOS, PAD, SPECIAL


@dataclass(frozen=True)
class Tokenizer:
    """Text to ids and back, in one vocabulary for both languages, as in the paper
    (section 5.1).

    BPE over the bytes of UTF-8, so that every text has ids, an emoji never seen in
    training, too, and decodes to exactly itself. Nothing is normalized; the corpora are
    in Unicode's form NFC, so bring other text into it first
    (`unicodedata.normalize("NFC", text)`). A space belongs to the word after it, and a
    text is encoded as if it began with one: a word has the same ids first in a sentence
    as within. Ids 0, 1 and 2 are PAD, BOS and EOS as in `Vocabulary`, outside of what
    the library knows: no text, not even "<pad>", encodes to them.

    Attributes:
        library: the `tokenizers.Tokenizer` that does the work; its id 0 is our 3.
    """

    library: Any

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> "Tokenizer":
        """Learn a vocabulary of `size` entries from texts, the special ones and the 256
        bytes counted; fewer if the texts have no more to join. Give it the training
        split alone: what it learns from the test split leaks.
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
        """Count the ids, special ones included: the embeddings that a model needs."""
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
        return [[token + len(SPECIAL) for token in text.ids] for text in encoded]

    def decode(
        self, rows: Int[Tensor, "batch token"] | Iterable[Sequence[int]]
    ) -> list[str]:
        """Read a batch of ids back, one text a row: up to its first EOS, PAD and BOS
        dropped.

        Ids that a model wrote may break a character in the middle of its bytes: such
        bytes become U+FFFD, �. An id outside the vocabulary is a ValueError.
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
        """Write all that it learned as one text, to travel with a checkpoint."""
        return self.library.to_str()

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Read what `to_json` wrote; anything else is a ValueError."""
        try:
            return cls(_library().Tokenizer.from_str(text))
        except ModuleNotFoundError:
            raise
        except Exception as error:  # the library raises nothing more precise
            raise ValueError(
                f"this is no tokenizer that to_json wrote: {error}; it begins with"
                f" {text[:40]!r}"
            ) from error


def _library() -> Any:
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tokenizers is not installed; pip install 'minitfm[text]' brings it"
        ) from error
    return tokenizers
