"""The live page's model on what people type, form by form, beside the same model
trained as in chapter 9, on CLDR's dates alone: typed_dates.csv.

The table that chapter 9 shows::

    python -m minitfm.results.typed_dates

It measures the file that the page loads (`python -m minitfm.web.train` makes it) and
trains the other one, which takes a minute or two. Run it from a checkout, so that the
rows name the commit.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from minitfm.fast import accelerate
from minitfm.results import append_row
from minitfm.seq2seq import teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.tasks import dates
from minitfm.study.typed_dates import (
    NO_DAY,
    OR,
    TYPED_FORMS,
    TYPED_VOCABULARY,
    typed_dates,
)
from minitfm.study.vocabulary import BOS, EOS
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.web import date_model

TABLE = Path(__file__).with_suffix(".csv")
SURE = 0.9  # every token of an answer has at least this probability
LONGEST = 22


class Score(NamedTuple):
    """Shares of the texts of one form.

    Attributes:
        right: every token is the true one.
        two_days: answered with two days.
        no_day: answered with none.
        sure_and_wrong: wrong, though every token had at least `SURE`.
    """

    right: float
    two_days: float
    no_day: float
    sure_and_wrong: float


@torch.no_grad()
def answers(model: Transformer, texts: list[str]) -> tuple[list[str], Tensor]:
    """What the model writes greedily for each text, and the probability of the token
    that it was least sure of.
    """
    state = model.start(TYPED_VOCABULARY.encode(texts))
    token = torch.full((len(texts),), BOS)
    done, least = torch.zeros(len(texts), dtype=torch.bool), torch.ones(len(texts))
    written = []
    while len(written) < LONGEST and not done.all():
        logits, state = model.step(token, state)
        probability, token = logits.softmax(-1).max(-1)
        least = least.minimum(probability.masked_fill(done, 1.0))
        written.append(token.masked_fill(done, EOS))
        done = done | (token == EOS)
    rows = TYPED_VOCABULARY.decode(torch.stack(written, 1))
    return ["".join(row) for row in rows], least


def score(model: Transformer, form: str, count: int, seed: int) -> Score:
    """Measure one model on `count` held-out texts of one form."""
    pairs = typed_dates(count, seed, held_out=True, form=form)
    written, least = answers(model, [text for text, _ in pairs])
    right = torch.tensor([got == true for got, (_, true) in zip(written, pairs)])
    return Score(
        right.double().mean().item(),
        sum(OR in got for got in written) / count,
        sum(got == NO_DAY for got in written) / count,
        (~right & (least >= SURE)).double().mean().item(),
    )


def trained_on_cldr(steps: int, seed: int = 0) -> Transformer:
    """The same model, trained as chapter 9 trains it."""
    pairs = dates(20_000, seed)
    source = TYPED_VOCABULARY.encode([english for english, _ in pairs])
    japanese = [japanese for _, japanese in pairs]
    target = TYPED_VOCABULARY.encode(japanese, bos=True, eos=True)
    torch.manual_seed(seed)
    config = TransformerConfig.tiny(len(TYPED_VOCABULARY), dropout=0.0)
    model = accelerate(Transformer(config))
    batches = shuffled(source, target, batch=128, seed=seed)
    options = {"learning_rate": 2e-3, "warmup": 100, "decay": True}
    fit(model, teacher_forcing_loss, batches, steps, **options, progress=False)
    return model


def main() -> None:
    """Measure both models on every form."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.typed_dates")
    parser.add_argument("--count", type=int, default=1_000, help="texts a form")
    parser.add_argument("--steps", type=int, default=700, help="of the other model")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    torch.set_num_threads(1)

    models = {
        "live page": date_model()[0],
        "CLDR alone": trained_on_cldr(options.steps),
    }
    for form, typed in TYPED_FORMS.items():
        for name, model in models.items():
            found = score(model, form, options.count, seed=1)
            row = {"form": form, "example": typed.example, "model": name}
            row |= {"test_texts": options.count}
            row |= {key: f"{share:.3f}" for key, share in found._asdict().items()}
            append_row(options.table, row)


if __name__ == "__main__":
    main()
