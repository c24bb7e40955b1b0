"""Spelling to phonemes on CMUdict: train, measure on all held-out words, append one row
to pronunciation.csv.

The run that chapter 9 shows::

    python -m minitfm.results.pronunciation --steps 9000 --bf16

Run it from a checkout (``make test`` or ``make lab`` sets one up), so that the row
names the commit.
"""

import argparse
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitfm.results import append_row
from minitfm.seq2seq import greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import error_rates, pronunciations
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig

TABLE = Path(__file__).with_suffix(".csv")
CONFIG = {"d_model": 128, "d_ff": 512, "heads": 4, "layers": 3, "dropout": 0.1}


def without_padding(
    tokens: Int[Tensor, "batch token"],
) -> Int[Tensor, "batch longest"]:
    """Drop the columns at the end that hold nothing but padding."""
    return tokens[:, : int((tokens != 0).sum(1).max())]


def measure(
    model: Transformer,
    vocabulary: Vocabulary,
    words: dict[str, list[tuple[str, ...]]],
) -> tuple[float, float]:
    """Word and phoneme error of greedy decoding, in per cent."""
    spellings = sorted(words, key=len)
    written = []
    for start in range(0, len(spellings), 512):
        source = vocabulary.encode(spellings[start : start + 512])
        written += vocabulary.decode(greedy(model, source, 2 * source.shape[1] + 5))
    word_error, phoneme_error = error_rates(
        written, [words[spelling] for spelling in spellings]
    )
    return 100 * word_error, 100 * phoneme_error


def main() -> None:
    """Train and append a row."""
    parser = argparse.ArgumentParser(
        prog="python -m minitfm.results.pronunciation", description=__doc__
    )
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="matrix products in bfloat16, where the processor has it",
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="where the row goes")
    options = parser.parse_args()

    words, held_out = pronunciations(), pronunciations(held_out=True)
    pairs = [(word, phonemes) for word, listed in words.items() for phonemes in listed]
    vocabulary = Vocabulary.of([symbols for pair in pairs for symbols in pair])
    source = vocabulary.encode([word for word, _ in pairs])
    target = vocabulary.encode([phonemes for _, phonemes in pairs], bos=True, eos=True)

    def loss(
        model: Transformer,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> Float[Tensor, ""]:
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            return teacher_forcing_loss(
                model, without_padding(source), without_padding(target)
            )

    torch.manual_seed(options.seed)
    model = Transformer(TransformerConfig(len(vocabulary), **CONFIG))
    sample = dict(list(held_out.items())[:: max(1, len(held_out) // 1000)])
    history = fit(
        model,
        loss,
        shuffled(source, target, batch=options.batch, seed=options.seed),
        options.steps,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        decay=True,
        evaluate=lambda model: measure(model, vocabulary, sample),
        every=max(1, options.steps // 10),
    )
    for step, seconds, (word_error, phoneme_error) in history.evaluations:
        print(
            f"step {step}, {seconds:.0f} s: {word_error:.1f} % words,"
            f" {phoneme_error:.1f} % phonemes wrong (sample)"
        )
    word_error, phoneme_error = measure(model, vocabulary, held_out)
    row = {
        "model": "Transformer",
        "parameters": sum(model.parameter_counts().values()),
        "seed": options.seed,
        "steps": options.steps,
        "seconds": round(history.seconds),
        "threads": torch.get_num_threads(),
        "train_words": len(words),
        "test_words": len(held_out),
        "loss": f"{sum(history.loss[-100:]) / 100:.4f}",
        "word_error": f"{word_error:.2f}",
        "phoneme_error": f"{phoneme_error:.2f}",
    }
    append_row(options.table, row)


if __name__ == "__main__":
    main()
