r"""One vector or attention: chapter 3's tasks at equal parameters and updates.

The runs that chapter 4 shows::

    python -m minitfm.results.attention dates --seeds 0 1 2 --models none dot
    python -m minitfm.results.attention dates --seeds 0 1 2 --models none --steps 2000
    python -m minitfm.results.attention days --seeds 0 1 2
    python -m minitfm.results.attention scale --seeds 0 1 2 \
        --models unscaled 'dot, unit' 'unscaled, unit'
    python -m minitfm.results.attention scale --seeds 0 1 \
        --models 'dot, large' 'unscaled, small'
    python -m minitfm.results.attention words --models dot --seeds 0 1 2

``dates`` are lines of one to four whole dates, ``days`` lines of one to four days
without a year; the models are chapter 3's ("none"), the same one that looks back with
an additive or a dot-product score, and one that looks back at everything alike
("mean"). ``scale`` trains on days with and without the division by √d_k, from
PyTorch's initial weights, from some that give queries and keys unit variance, and from
some that exchange the initial scores of these.
``words`` are chapter 3's from CMUdict; its rows go to attention_words.csv. One thread
is enough (OMP_NUM_THREADS=1). Run it from a checkout (``make test`` or ``make lab``
sets one up), so that the rows name the commit.
"""

import argparse
import math
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from minitfm.attention import DotProductAttention, attention_weights
from minitfm.attentive import AttentiveSeq2Seq
from minitfm.fast import accelerate
from minitfm.lstm import forget_bias_
from minitfm.results import append_row
from minitfm.results.seq2seq_words import Words
from minitfm.results.vector import COUNTS, Lines, lines
from minitfm.seq2seq import Seq2Seq, teacher_forcing_loss
from minitfm.study.fit import fit
from minitfm.study.tasks import date_lines

TABLE = Path(__file__).with_suffix(".csv")
WORDS = TABLE.with_stem("attention_words")
MODELS = ("none", "mean", "additive", "dot")
# Widths at which the models have equally many parameters, within 2 %.
WIDTH = {"lines": (136, 128), "words": (192, 182)}
SCALES = ("unscaled", "dot, unit", "unscaled, unit", "dot, large", "unscaled, small")
# The factor on queries and on keys at the start. Without the root, "small" begins with
# the softmax of "dot, unit"; with it, "large" begins with that of "unscaled, unit".
STARTS = {"unit": 1.0, "large": WIDTH["lines"][1] ** 0.25}
STARTS["small"] = 1 / STARTS["large"]


class Unscaled(DotProductAttention):
    """Dot-product attention without the division by √d_k."""

    def weights(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query key"]:
        """How much each query attends to each key: softmax(QKᵀ)."""
        query, key = self.query(query), self.key(key)
        return attention_weights(query * math.sqrt(query.shape[-1]), key, mask)

    def forward(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        value: Float[Tensor, "*batch key d_value"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query d_value"]:
        """Average the values by these weights."""
        return self.weights(query, key, mask) @ value


class Mean(Unscaled):
    """No choice at all: every query gets the plain average of the values. Its
    projections are there and idle.
    """

    def weights(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query key"]:
        """The same weight for every key that may be attended to."""
        return attention_weights(0 * self.query(query), self.key(key), mask)


def build(
    vocabulary: int, kind: str, widths: tuple[int, int]
) -> Seq2Seq | AttentiveSeq2Seq:
    """Make a model: chapter 3's ("none"), or one that looks back.

    Args:
        vocabulary: number of symbols.
        kind: one of ``MODELS``, or "unscaled".
        widths: d_hidden without and with attention.
    """
    without, with_attention = widths
    if kind == "none":
        return accelerate(Seq2Seq(vocabulary, without))
    score = "additive" if kind == "additive" else "dot"
    model = accelerate(AttentiveSeq2Seq(vocabulary, with_attention, attention=score))
    if kind in ("mean", "unscaled"):
        part = Mean if kind == "mean" else Unscaled
        model.attention = part(with_attention, with_attention, with_attention)
    return model


@torch.no_grad()
def unit_variance_(model: AttentiveSeq2Seq, source: Tensor, target: Tensor) -> None:
    """Scale the projections of queries and keys so that on this batch each number of
    a query and of a key has variance 1, as footnote 4 of the paper assumes.
    """
    output, reading = model.outputs(source, target[:, :-1])
    found = {"query": output[target[:, :-1] != 0]}
    found["key"] = reading.memory[reading.memory_mask.squeeze(1)]
    for name, states in found.items():
        weight = model.attention.get_parameter(f"{name}.weight")
        weight /= (states @ weight.T).std()


def train(
    data: Lines,
    kind: str,
    seed: int,
    steps: int = 600,
    learning_rate: float = 5e-3,
    progress: bool = False,
) -> tuple[Seq2Seq, float]:
    """Train a model on lines of every kind; return it, and the seconds that it took.

    Args:
        data: the lines.
        kind: as in ``build``; with ", unit" behind it, queries and keys begin with
            unit variance; with ", large" or ", small", that times or divided by the
            fourth root of d_k, so that the scores are √d_k times larger or smaller.
        seed: of the initial weights and of the order of the batches.
        steps: batches of 64 lines.
        learning_rate: Adam's, at its highest.
        progress: show a bar.
    """
    torch.manual_seed(seed)
    name, _, start = kind.partition(", ")
    model = build(len(data.vocabulary), name, WIDTH["lines"])
    forget_bias_(model, 3.0)
    if start and isinstance(model, AttentiveSeq2Seq):
        unit_variance_(model, *next(data.batches(seed)))
        with torch.no_grad():
            for projection in (model.attention.query, model.attention.key):
                projection.weight *= STARTS[start]
    options = {"learning_rate": learning_rate, "warmup": 50, "decay": True}
    batches = data.batches(seed)
    history = fit(
        model, teacher_forcing_loss, batches, steps, progress=progress, **options
    )
    return model, history.seconds


def main() -> None:
    """Train once for each seed and model."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.attention")
    parser.add_argument("task", choices=["dates", "days", "scale", "words"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", help="these alone")
    parser.add_argument("--steps", type=int, help="600 for lines, 1200 for words")
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--table", type=Path, help="where the rows go")
    options = parser.parse_args()

    if options.task == "words":
        words = Words()
        steps = options.steps or 1200
        for seed in options.seeds:
            for kind in options.models or ("dot", "additive"):
                torch.manual_seed(seed)
                model = build(len(words.vocabulary), kind, WIDTH["words"])
                for row in words.run(model, seed, steps):
                    append_row(options.table or WORDS, {"model": kind, **row})
        return

    data = Lines(draw=date_lines if options.task == "dates" else lines)
    steps = options.steps or 600
    for seed in options.seeds:
        for kind in options.models or (SCALES if options.task == "scale" else MODELS):
            model, seconds = train(data, kind, seed, steps, options.learning_rate)
            row = {
                "seed": seed,
                "seconds": round(seconds),
                "threads": torch.get_num_threads(),
                "task": "dates" if options.task == "dates" else "days",
                "model": kind,
                "steps": steps,
                "learning_rate": options.learning_rate,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
            held_out = zip(COUNTS, data.matches(model))
            trained_on = zip(COUNTS, data.matches(model, "train"))
            row |= {f"match_{count}": f"{match:.3f}" for count, match in held_out}
            row |= {f"train_{count}": f"{match:.3f}" for count, match in trained_on}
            append_row(options.table or TABLE, row)


if __name__ == "__main__":
    main()
