"""The live page's model in Python: the same file, and what it makes of a text.

``model, vocabulary = date_model()`` is the model that runs on the website, and
``read_date("3/4/2025", model, vocabulary)`` what it writes, how sure it was of each
character, and which days that means.
"""

import datetime
import re
from dataclasses import dataclass

import torch

from minitfm.study.vocabulary import BOS, EOS, SPECIAL, Vocabulary
from minitfm.transformer import Transformer
from minitfm.web.pages import DATE_MODEL, STATIC, read_facts
from minitfm.web.weights import unpack

DAY = r"(\d+)月(\d+)日"
READING = re.compile(rf"(\d+)年{DAY}(?:か{DAY})?(?:.曜日)?")


def date_model() -> tuple[Transformer, Vocabulary]:
    """The model of the website, in evaluation mode, and its vocabulary."""
    return unpack((STATIC / DATE_MODEL).read_bytes())


def date_model_facts() -> dict:
    """What its file says of it: config, symbols, longest, and in ``about`` how it was
    trained, on which forms and years, and what it cannot know.
    """
    return read_facts((STATIC / DATE_MODEL).read_bytes())


@dataclass(frozen=True)
class DateReading:
    """What a model made of a text.

    Attributes:
        text: what was typed.
        written: the model's Japanese, without ``<eos>``.
        certainty: the probability of each token that it took, that of ``<eos>`` last if
            it came to one.
        days: the days that ``written`` means: none, one, or two where the text can mean
            two. A day that the calendar lacks is left out.
    """

    text: str
    written: str
    certainty: tuple[float, ...]
    days: tuple[datetime.date, ...]

    @property
    def least_sure(self) -> tuple[str, float]:
        """The token with the lowest probability, and this probability."""
        tokens = [*self.written, SPECIAL[EOS]]
        place = min(range(len(self.certainty)), key=self.certainty.__getitem__)
        return tokens[place], self.certainty[place]

    @property
    def meaning(self) -> str:
        """The days in words: ``two days: 4 March or 3 April 2025``."""
        names = [f"{day.day} {day:%B} {day.year}" for day in self.days]
        if len(names) == 2:
            names[0] = names[0].rpartition(" ")[0]
        count = ("no day", "one day", "two days")[len(names)]
        return f"{count}: {' or '.join(names)}" if names else count

    def __str__(self) -> str:
        """One line: what it wrote, and what that means."""
        return f"{self.written} ({self.meaning})"


@torch.no_grad()
def read_date(
    text: str, model: Transformer, vocabulary: Vocabulary, max_length: int = 22
) -> DateReading:
    """Let a model translate one date greedily, and keep how sure it was.

    Args:
        text: what somebody typed.
        model: a model that writes dates in Japanese, such as ``date_model``'s.
        vocabulary: its symbols.
        max_length: the most tokens to write, ``<eos>`` included.

    Raises:
        ValueError: if the text has a character that the vocabulary lacks.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        state = model.start(vocabulary.encode([text]).to(device))
        token = BOS
        tokens: list[int] = []
        certainty: list[float] = []
        while token != EOS and len(tokens) < max_length:
            logits, state = model.step(torch.tensor([token], device=device), state)
            probability, best = logits[0].softmax(-1).max(-1)
            token = int(best)
            tokens.append(token)
            certainty.append(float(probability))
    finally:
        model.train(was_training)
    symbols = [vocabulary.symbols[token] for token in tokens if token != EOS]
    written = "".join(symbols)
    return DateReading(text, written, tuple(certainty), days_of(written))


def days_of(written: str) -> tuple[datetime.date, ...]:
    """The days that a Japanese date means: one, two around か, or none."""
    found = READING.fullmatch(written)
    if not found:
        return ()
    year, *numbers = (int(number or 0) for number in found.groups())
    days = []
    for month, day in (numbers[:2], numbers[2:]):
        try:
            days.append(datetime.date(year, month, day))
        except ValueError:  # 31 February, or no second day
            continue
    return tuple(days)
