"""Spelling to phonemes with one vector between: train, measure on all held-out words,
one row for each length of word, and on as many words that were trained on.

The runs that chapter 3 shows::

    python -m minitfm.results.seq2seq_words --steps 1200 --seeds 0 1 2

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the rows
name the commit.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.lstm import LSTMCell, forget_bias_
from minitfm.results import append_row
from minitfm.results.pronunciation import without_padding
from minitfm.seq2seq import Seq2Seq, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import error_rates, pronunciations
from minitfm.study.vocabulary import Vocabulary

TABLE = Path(__file__).with_suffix(".csv")


def loss(
    model: Seq2Seq,
    source: Int[Tensor, "batch source"],
    target: Int[Tensor, "batch target"],
) -> Float[Tensor, ""]:
    """The loss of one batch, no longer than its longest word."""
    return teacher_forcing_loss(model, without_padding(source), without_padding(target))


class Words:
    """The words of CMUdict to train and to measure on, as numbers."""

    def __init__(self) -> None:
        """Read them."""
        words, self.held_out = pronunciations(), pronunciations(held_out=True)
        # As many of those to train on, spread over the alphabet.
        some = islice(words.items(), 0, None, len(words) // len(self.held_out))
        self.known = dict(islice(some, len(self.held_out)))
        pairs = [
            (word, phonemes) for word, listed in words.items() for phonemes in listed
        ]
        self.vocabulary = Vocabulary.of([symbols for pair in pairs for symbols in pair])
        self.source = self.vocabulary.encode([word for word, _ in pairs])
        target = [phonemes for _, phonemes in pairs]
        self.target = self.vocabulary.encode(target, bos=True, eos=True)

    def run(
        self,
        model: Seq2Seq,
        seed: int,
        steps: int,
        *,
        batch: int = 128,
        learning_rate: float = 4e-3,
        bf16: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Train a model, in bfloat16 if ``bf16``; measure it on all held-out words, a
        row for each length, and on as many of those that it learned from.
        """
        if any(isinstance(part, LSTMCell) for part in model.modules()):
            forget_bias_(model)

        def of_batch(model: Seq2Seq, source: Tensor, target: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return loss(model, source, target)

        history = fit(
            model,
            of_batch,
            shuffled(self.source, self.target, batch=batch, seed=seed),
            steps,
            learning_rate=learning_rate,
            warmup=100,
            decay=True,
        )
        words = self.held_out | self.known
        by_length = defaultdict(list)
        for word in words:
            by_length[min(max(len(word), 3), 13)].append(word)
        written = {}
        for length, group in by_length.items():
            tokens = greedy(model, self.vocabulary.encode(group), 2 * length + 15)
            written |= dict(zip(group, self.vocabulary.decode(tokens)))
        groups: dict[int | str, list[str]] = {
            length: [word for word in by_length[length] if word in self.held_out]
            for length in sorted(by_length)
        }
        groups |= {"all": list(self.held_out), "trained": list(self.known)}
        for length, group in groups.items():
            answers = [written[word] for word in group]
            listed = [words[word] for word in group]
            word_error, phoneme_error = error_rates(answers, listed)
            yield {
                "seed": seed,
                "seconds": round(history.seconds),
                "threads": torch.get_num_threads(),
                "d_hidden": model.generator.in_features,
                "parameters": sum(p.numel() for p in model.parameters()),
                "steps": steps,
                "letters": length,
                "words": len(group),
                "word_error": f"{100 * word_error:.2f}",
                "phoneme_error": f"{100 * phoneme_error:.2f}",
            }


def main() -> None:
    """Train and append the rows."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.seq2seq_words")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--d-hidden", type=int, default=192)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()

    words = Words()
    settings = {"batch": options.batch, "learning_rate": options.learning_rate}
    for seed in options.seeds:
        torch.manual_seed(seed)
        model = accelerate(Seq2Seq(len(words.vocabulary), options.d_hidden))
        for row in words.run(model, seed, options.steps, **settings):
            append_row(options.table, row)


if __name__ == "__main__":
    main()
