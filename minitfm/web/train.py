"""Train the Transformer of the live pages: `python -m minitfm.web.train` writes
`static/dates.safetensors`.

It is the model of chapter 9, of the same size, trained for longer and on what people
type (`minitfm.study.typed_dates`). Held-out dates decide whether the file is written.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.seq2seq import exact_match, greedy, teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.typed_dates import (
    TYPED_FORMS,
    TYPED_VOCABULARY,
    YEARS,
    typed_dates,
)
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.web.weights import pack, unpack

FILE = Path(__file__).parent / "static" / "dates.safetensors"
COMMAND = "python -m minitfm.web.train"
REQUIRED = 0.95  # of the held-out dates of each form
HELD_OUT = 500  # dates of each form that the file is judged by
CHUNK = 16  # batches that are drawn together and sorted by length
LONGEST = (39, 22)  # symbols in the longest text, and in the longest answer with <eos>
CANNOT_KNOW = (
    "Which country you write from: 3/4/2025 and 3.4.2025 get both days.",
    "Which century two digits mean: 3/4/25 gets ？, as does a date without a year.",
    "Whether your weekday is right: it copies the one that you type.",
    "Misspelled months, other languages: it has seen none. It guesses, or writes ？.",
    "Years of three or five digits: it has seen few, and reads four into some.",
    "Whether it is right: on texts unlike those above it can be sure and wrong.",
)


def held_out_matches(
    model: Transformer, count: int, seed: int = 1, forms: tuple[str, ...] = ()
) -> dict[str, float]:
    """For each form, the share of `count` held-out dates that are read without a
    mistake.
    """
    matches = {}
    for form in forms or TYPED_FORMS:
        pairs = typed_dates(count, seed, held_out=True, form=form)
        source = TYPED_VOCABULARY.encode([text for text, _ in pairs])
        target = TYPED_VOCABULARY.encode([answer for _, answer in pairs], eos=True)
        written = greedy(model, source, max_length=LONGEST[1])
        matches[form] = exact_match(written, target)
    return matches


def by_length(
    source: Tensor, target: Tensor, batch: int, seed: int
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of texts of nearly equal length, without the columns that would hold
    padding alone: most texts are half as long as the longest.
    """
    order = torch.Generator().manual_seed(seed)
    for chunk in shuffled(source, target, batch=batch * CHUNK, seed=seed):
        rows = (chunk[0] != 0).sum(1).argsort(stable=True).split(batch)
        for i in torch.randperm(len(rows), generator=order):
            texts, answers = (tensor[rows[i]] for tensor in chunk)
            yield (
                texts[:, : (texts != 0).sum(1).max()],
                answers[:, : (answers != 0).sum(1).max()],
            )


def loss(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    """The chapter's loss, computed in bfloat16: half the time on a recent CPU."""
    with torch.autocast("cpu", torch.bfloat16):
        return teacher_forcing_loss(model, source, target)


def train(
    steps: int, seed: int, pairs: int, batch: int, learning_rate: float
) -> tuple[Transformer, float]:
    """Train from scratch; return the model, and the seconds that it took."""
    drawn = typed_dates(pairs, seed)
    source = TYPED_VOCABULARY.encode([text for text, _ in drawn])
    answers = [answer for _, answer in drawn]
    target = TYPED_VOCABULARY.encode(answers, bos=True, eos=True)
    torch.manual_seed(seed)
    config = TransformerConfig.tiny(len(TYPED_VOCABULARY), dropout=0.0)
    model = accelerate(Transformer(config))
    history = fit(
        model,
        loss,
        by_length(source, target, batch, seed),
        steps,
        learning_rate=learning_rate,
        warmup=300,
        decay=True,
        evaluate=lambda _: print(
            *(f"{match:.0%}" for match in held_out_matches(model, 100).values()),
            flush=True,
        ),
        every=1_000,
        progress=sys.stderr.isatty(),
    )
    return model, history.seconds


def main() -> None:
    """Train, say how good the model is, and keep it if it is good enough."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=128, help="texts in a batch")
    parser.add_argument("--pairs", type=int, default=200_000, help="texts drawn")
    parser.add_argument(
        "--rate", type=float, default=2e-3, help="Adam's, at its highest"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, default=FILE, help="where to write")
    options = parser.parse_args()
    torch.set_num_threads(1)

    model, seconds = train(
        options.steps, options.seed, options.pairs, options.batch, options.rate
    )
    packed = pack(model, TYPED_VOCABULARY, longest=LONGEST)
    matches = held_out_matches(
        unpack(packed)[0], HELD_OUT
    )  # in the precision of the file
    for form, match in matches.items():
        print(f"{match:7.1%} of {HELD_OUT} held-out: {form}", flush=True)
    about = {
        "command": (
            f"{COMMAND} --steps {options.steps} --batch {options.batch}"
            f" --pairs {options.pairs} --rate {options.rate} --seed {options.seed}"
        ),
        "steps": options.steps,
        "seed": options.seed,
        "seconds": round(seconds),
        "pairs": options.pairs,
        "years": YEARS,
        "forms": {form: typed.example for form, typed in TYPED_FORMS.items()},
        "held_out": HELD_OUT,
        "exact_match": matches,
        "cannot": CANNOT_KNOW,
    }
    options.file.write_bytes(
        pack(model, TYPED_VOCABULARY, longest=LONGEST, about=about)
    )
    if min(matches.values()) < REQUIRED:
        sys.exit(f"not good enough: {REQUIRED:.0%} of each form are required")


if __name__ == "__main__":
    main()
