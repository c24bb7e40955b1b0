r"""The ladder: one vector, attention, the Transformer, at equal parameters and updates.

The runs that chapter 9 shows::

    python -m minitfm.results.ladder dates --seeds 0
    python -m minitfm.results.ladder dates --seeds 1 --bf16
    python -m minitfm.results.ladder dates --seeds 2 --bf16
    python -m minitfm.results.ladder dates --seeds 0 1 2 --learning-rate 5e-3 --bf16
    python -m minitfm.results.ladder dates --seeds 0 1 2 --steps 2000 --bf16
    python -m minitfm.results.ladder dates --seeds 0 1 2 --positions rotary --bf16
    python -m minitfm.results.ladder dates --seeds 0 1 2 --positions both --bf16
    python -m minitfm.results.ladder words --seeds 0 1 2 --bf16
    python -m minitfm.results.ladder words --seeds 0 1 2 --positions rotary --bf16

``dates`` are chapter 4's lines of one to four whole dates, ``words`` chapter 3's from
CMUdict; the rows of words go to ladder_words.csv. The rows of the two older models,
trained on the same batches, are in the tables of chapters 3 and 4: attention.csv,
seq2seq_words.csv and attention_words.csv. Each model learns at its chapter's rate: at
most 5e-3 for recurrent networks on lines and 4e-3 on words, 2e-3 for the Transformer.
Its positions are the paper's sinusoids unless ``--positions`` says otherwise: chapter
7's rotary ones, or both; neither adds a parameter. One thread is enough
(OMP_NUM_THREADS=1). Run it from a checkout (``make test`` or ``make lab`` sets one up),
so that the rows name the commit.
"""

import argparse
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.fast.writer import TransformerWriter
from minitfm.positional import SinusoidalPositions
from minitfm.results import append_row
from minitfm.results.seq2seq_words import Words
from minitfm.results.vector import COUNTS, Lines
from minitfm.seq2seq import teacher_forcing_loss
from minitfm.study.fit import fit
from minitfm.study.tasks import date_lines
from minitfm.transformer import Transformer, TransformerConfig

Positions = Literal["sinusoidal", "rotary", "both"]
POSITIONS = get_args(Positions)
TABLE = Path(__file__).with_suffix(".csv")
WORDS = TABLE.with_stem("ladder_words")
# Shapes with which it has as many parameters as chapter 4's models, within 2 %.
SHAPE = {
    "lines": {"d_model": 72, "d_ff": 324, "heads": 4, "layers": 2, "dropout": 0.0},
    "words": {"d_model": 96, "d_ff": 524, "heads": 4, "layers": 2, "dropout": 0.0},
}


class Cached(TransformerWriter):
    """What ``greedy`` can write with as it does with a model, and no key or value is
    computed twice (chapter 12).
    """

    training = False

    def train(self, mode: bool = True) -> None:
        """Stay as it is: a writer does not learn."""


def build(
    vocabulary: int, task: str, positions: Positions = "sinusoidal"
) -> Transformer:
    """Make the Transformer of one task, "lines" or "words"."""
    kind = "sinusoidal" if positions == "sinusoidal" else "rotary"
    model = Transformer(TransformerConfig(vocabulary, **SHAPE[task], positions=kind))
    if positions == "both":
        model.source_positions = SinusoidalPositions(model.config.d_model)
        model.target_positions = SinusoidalPositions(model.config.d_model)
    return accelerate(model)


def loss_in_bf16(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    """The loss of a batch, its matrix products in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        return teacher_forcing_loss(model, source, target)


def train(
    data: Lines,
    seed: int,
    steps: int = 600,
    learning_rate: float = 2e-3,
    *,
    positions: Positions = "sinusoidal",
    bf16: bool = False,
    progress: bool = False,
) -> tuple[Transformer, float]:
    """Train on lines of every kind; return the model, and the seconds that it took."""
    torch.manual_seed(seed)
    model = build(len(data.vocabulary), "lines", positions)
    options = {"learning_rate": learning_rate, "warmup": 100, "decay": True}
    batches = data.batches(seed)
    loss = loss_in_bf16 if bf16 else teacher_forcing_loss
    history = fit(model, loss, batches, steps, progress=progress, **options)
    return model, history.seconds


def main() -> None:
    """Train once for each seed."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.ladder")
    parser.add_argument("task", choices=["dates", "words"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="600 for lines, 1200 for words")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--positions", choices=POSITIONS, default=POSITIONS[0])
    parser.add_argument(
        "--bf16", action="store_true", help="matrix products in bfloat16"
    )
    parser.add_argument("--table", type=Path, help="where the rows go")
    options = parser.parse_args()
    rate, positions = options.learning_rate, options.positions
    name = "transformer"
    if positions != "sinusoidal":
        name += f", {positions}"

    if options.task == "words":
        words = Words()
        how: dict[str, Any] = {"learning_rate": rate, "bf16": options.bf16}
        for seed in options.seeds:
            torch.manual_seed(seed)
            model = build(len(words.vocabulary), "words", positions)
            steps = options.steps or 1200
            for row in words.run(model, seed, steps, **how):
                row = {"model": name, "learning_rate": rate, **row}
                append_row(options.table or WORDS, row)
        return

    data = Lines(draw=date_lines)
    steps = options.steps or 600
    for seed in options.seeds:
        model, seconds = train(
            data, seed, steps, rate, positions=positions, bf16=options.bf16
        )
        row = {
            "seed": seed,
            "seconds": round(seconds),
            "threads": torch.get_num_threads(),
            "task": "dates",
            "model": name,
            "steps": steps,
            "learning_rate": rate,
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        held_out = zip(COUNTS, data.matches(Cached(model)))
        trained_on = zip(COUNTS, data.matches(Cached(model), "train"))
        row |= {f"match_{count}": f"{match:.3f}" for count, match in held_out}
        row |= {f"train_{count}": f"{match:.3f}" for count, match in trained_on}
        append_row(options.table or TABLE, row)


if __name__ == "__main__":
    main()
