"""Real corpora: how good several models are by minutes of training, one row for each
checkpoint that was scored.

The runs that the page on results shows, all of them, one after another::

    python -m minitfm.results.corpora

or some, such as ``python -m minitfm.results.corpora --only multi30k/small/0``, which is
corpus/model/seed. Each takes as long as its preset says; nothing else should run
meanwhile. A run that was stopped goes on where it was. Checkpoints stay in runs/corpora
and are not committed. Run it from a checkout (``make test`` or ``make lab`` sets one
up), so that the rows name the commit.
"""

import argparse
import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm.masks import causal_mask
from minitfm.positional import SinusoidalPositions
from minitfm.results import append_row
from minitfm.transformer import TransformerConfig, Writing
from minitfm.translate.checkpoints import checkpoints
from minitfm.translate.evaluation import Score, scores
from minitfm.translate.presets import PRESETS, Preset, pairs
from minitfm.translate.runs import train_on
from minitfm.translate.translation import CONFIGS, description, load, translate

TABLE = Path(__file__).with_suffix(".csv")
MINUTES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 40, 50, 60)
RUNS = (
    *(f"multi30k/small/{seed}" for seed in range(3)),
    *(f"multi30k/paper/{seed}" for seed in range(3)),
    "multi30k/attentive/0",
    "multi30k/torch/0",
    "multi30k/long/0",
    "multi30k/paper-long/0",
    *(f"small_parallel_enja/small/{seed}" for seed in range(3)),
    "small_parallel_enja/inside/0",
    "small_parallel_enja/attentive/0",
    "small_parallel_enja/torch/0",
    "small_parallel_enja/long/0",
    "cmudict/rnn/0",
    "cmudict/attentive/0",
    "cmudict/small/0",
    "cmudict/long/0",
)


class TorchTransformer(nn.Module):
    """``nn.Transformer`` with one shared matrix, and positions as in the paper."""

    def __init__(self, config: TransformerConfig) -> None:
        """Make it of the same shape as ours."""
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        self.positions = SinusoidalPositions(config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = nn.Transformer(
            config.d_model,
            config.heads,
            config.layers,
            config.layers,
            config.d_ff,
            config.dropout,
            batch_first=True,
            norm_first=config.norm == "pre",
        )
        self.transformer.encoder.use_nested_tensor = False  # it would only warn
        self.generator = nn.Linear(config.d_model, config.vocabulary, bias=False)
        self.generator.weight = self.embedding.weight

    def embed(self, tokens: Int[Tensor, "batch token"]) -> Tensor:
        """Embedding times √d_model, plus position, then dropout."""
        scaled = self.embedding(tokens) * self.config.d_model**0.5
        return self.dropout(self.positions(scaled))

    def encode(self, source: Int[Tensor, "batch source"]) -> tuple[Tensor, Tensor]:
        """What the encoder says, and where the source is no padding."""
        real = (source != 0).unsqueeze(1)
        hidden = ~real.squeeze(1)
        return self.transformer.encoder(
            self.embed(source), src_key_padding_mask=hidden
        ), real

    def read_target(
        self, target: Int[Tensor, "batch target"], memory: Tensor, real: Tensor
    ) -> Tensor:
        """What the generator reads."""
        future = ~causal_mask(target.shape[1])
        hidden = ~real.squeeze(1)
        return self.transformer.decoder(
            self.embed(target),
            memory,
            tgt_mask=future,
            memory_key_padding_mask=hidden,
            tgt_is_causal=True,
        )

    def features(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> Tensor:
        """What the generator reads at each target token."""
        return self.read_target(target, *self.encode(source))

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target vocabulary"]:
        """The logits of every next target token."""
        return self.generator(self.features(source, target))

    def start(self, source: Int[Tensor, "batch source"]) -> Writing:
        """Read the source, and begin with an empty target."""
        return Writing(*self.encode(source), source.new_empty(len(source), 0))

    def step(
        self, token: Int[Tensor, " batch"], state: Writing
    ) -> tuple[Float[Tensor, "batch vocabulary"], Writing]:
        """Append one token to the target and predict the next."""
        target = torch.cat([state.target, token.unsqueeze(1)], dim=1)
        x = self.read_target(target, state.memory, state.memory_mask)
        return self.generator(x[:, -1]), state._replace(target=target)


class TorchConfig(TransformerConfig):
    """The same choices, for ``nn.Transformer``."""

    def build(self) -> Any:
        """Make the model."""
        return TorchTransformer(self)


CONFIGS["TorchConfig"] = TorchConfig


def chosen(corpus: str, model: str) -> Preset:
    """The preset of that name; "torch" is the small one with ``nn.Transformer``."""
    if model != "torch":
        return PRESETS[corpus][model]
    preset = PRESETS[corpus]["small"]
    shape = TorchConfig(**dataclasses.asdict(preset.model))
    return dataclasses.replace(preset, model=shape)


class Run:
    """A finished training, and what its log says of each checkpoint."""

    def __init__(self, corpus: str, folder: Path) -> None:
        """Read the log."""
        self.corpus, self.folder = corpus, folder
        with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
            log = list(csv.DictReader(file))
        trained = [row for row in log if row["loss"]]
        self.seconds = {int(row["step"]): float(row["seconds"]) for row in trained}
        self.speed = median(float(row["tokens_per_second"]) for row in trained)
        self.nats = {
            int(row["step"]): float(row["evaluation"].partition("=")[2])
            for row in log
            if row["evaluation"]
        }
        self.saved = {int(file.name[5:]): file for file in checkpoints(folder)}
        self.last = max(self.saved)

    def marks(self, minutes: Iterable[int]) -> list[int]:
        """The steps to score: those nearest to some minutes, and the last."""
        nearest = {
            min(self.saved, key=lambda step, m=minute: abs(self.seconds[step] - 60 * m))
            for minute in minutes
            if 60 * minute < self.seconds[self.last]
        }
        return sorted(nearest | {self.last})

    def scored(self, step: int, split: str) -> tuple[int, list[Score]]:
        """The model's size, and its scores after a step; what it wrote is kept beside
        its weights.
        """
        model, tokenizer = load(self.saved[step])
        alpha = description(self.saved[step])["alpha"]
        wanted = pairs(self.corpus, split)
        written = translate(
            model, tokenizer, [source for source, _ in wanted], alpha=alpha
        )
        with (self.folder / f"{split}-{step}.tsv").open(
            "w", newline="", encoding="utf-8"
        ) as file:
            csv.writer(file, "excel-tab").writerows(
                (*pair, text) for pair, text in zip(wanted, written)
            )
        size = sum(parameter.numel() for parameter in model.parameters())
        return size, scores(self.corpus, written, wanted)


def measure(name: str, options: argparse.Namespace) -> None:
    """Train one model, score its checkpoints, append the rows."""
    corpus, model, seed = name.split("/")
    preset, folder = chosen(corpus, model), options.folder / name
    recipe = dataclasses.replace(preset.recipe, keep=10_000)
    train_on(corpus, dataclasses.replace(preset, recipe=recipe), folder, seed=int(seed))
    done = Run(corpus, folder)
    for step in done.marks(options.minutes):
        for split in ("valid", "test") if step == done.last else ("valid",):
            size, found = done.scored(step, split)
            for score in found:
                row = {
                    "corpus": corpus,
                    "model": model,
                    "seed": seed,
                    "parameters": size,
                }
                row |= {"threads": torch.get_num_threads(), "step": step}
                row |= {
                    "seconds": f"{done.seconds[step]:.0f}",
                    "tokens_per_second": f"{done.speed:.0f}",
                }
                row |= {"valid_nats": f"{done.nats[step]:.4f}", "split": split}
                row |= {
                    "metric": score.name,
                    "value": f"{score.value:.2f}",
                    "note": score.note,
                }
                append_row(options.table, row)


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.corpora")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=RUNS, metavar="RUN")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--minutes",
        nargs="+",
        type=int,
        default=MINUTES,
        help="when to score, besides the end",
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/corpora"))
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.only:
        measure(name, options)


if __name__ == "__main__":
    main()
