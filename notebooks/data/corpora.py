"""Real corpora: how good several models are by minutes of training, one row for each checkpoint that was scored.

The runs that the page on results shows, all of them, one after another::

    python -m minitfm.results.corpora

or some, such as ``python -m minitfm.results.corpora --only multi30k/small/0``, which is corpus/model/seed. Each takes
as long as its preset says; nothing else should run meanwhile. A run that was stopped goes on where it was. Checkpoints
stay in runs/corpora and are not committed. Run it from a checkout (``make test`` or ``make lab`` sets one up), so that
the rows name the commit.
"""

import argparse
import csv
import dataclasses
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitfm import tasks, translation
from minitfm.checkpoints import checkpoints
from minitfm.evaluation import Score, scores
from minitfm.masks import causal_mask
from minitfm.positional import SinusoidalPositions
from minitfm.presets import PRESETS, Preset, pairs
from minitfm.results import append_row
from minitfm.runs import train_on
from minitfm.transformer import TransformerConfig, Writing

TABLE = Path(__file__).with_suffix(".csv")
MINUTES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 40, 50, 60)
RUNS = (
    *(f"multi30k/small/{seed}" for seed in range(3)),
    "multi30k/attentive/0",
    "multi30k/torch/0",
    "multi30k/long/0",
    *(f"small_parallel_enja/small/{seed}" for seed in range(3)),
    "small_parallel_enja/attentive/0",
    "small_parallel_enja/torch/0",
    "small_parallel_enja/long/0",
    "cmudict/rnn/0",
    "cmudict/attentive/0",
    "cmudict/small/0",
    "cmudict/long/0",
)


class TorchTransformer(nn.Module):
    """``nn.Transformer`` with one shared matrix and positions as in the paper."""

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
        )
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


translation.SHAPES["TorchConfig"] = TorchConfig


def chosen(corpus: str, model: str) -> Preset:
    """The preset of that name; "torch" is the small one with ``nn.Transformer`` in the place of ours."""
    preset = PRESETS[corpus]["small" if model == "torch" else model]
    if model == "torch":
        shape = TorchConfig(**dataclasses.asdict(preset.model))
        preset = dataclasses.replace(preset, model=shape)
    return preset


def scored(
    corpus: str, split: str, folder: Path, step: Path, average: int
) -> list[Score]:
    """Translate a split with the mean of some checkpoints up to ``step``, and score it."""
    found = checkpoints(folder)
    last = found.index(step) + 1
    states = [
        translation.read(file / translation.MODEL)[0]
        for file in found[max(0, last - average) : last]
    ]
    model, tokenizer = translation.load(step)
    if len(states) > 1:
        model.load_state_dict(translation.averaged(states))
    wanted = pairs(corpus, split)
    written = translation.translate(model, tokenizer, [source for source, _ in wanted])
    if split == "test":
        lines = "".join(
            f"{a}\t{b}\t{c}\n" for (a, b), c in zip(wanted, written, strict=True)
        )
        (folder / "test.tsv").write_text(lines, encoding="utf-8")
    return scores(corpus, written, wanted)


def run(
    corpus: str, model: str, seed: int, average: int, options: argparse.Namespace
) -> None:
    """Train one model, score its checkpoints, append the rows."""
    preset = chosen(corpus, model)
    recipe = dataclasses.replace(preset.recipe, keep=10_000)
    preset = dataclasses.replace(preset, recipe=recipe)
    folder = options.folder / f"{corpus}-{model}-{seed}"
    train_on(corpus, preset, folder, seed=seed)
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    speeds = [
        float(row["tokens_per_second"]) for row in log if row["tokens_per_second"]
    ]
    nats = {
        int(row["step"]): float(row["evaluation"].partition("=")[2])
        for row in log
        if row["evaluation"]
    }
    seconds = {int(row["step"]): float(row["seconds"]) for row in log if row["loss"]}
    saved = checkpoints(folder)
    marks = {
        min(saved, key=lambda file, m=minute: abs(seconds[int(file.name[5:])] - 60 * m))
        for minute in MINUTES
    } | {saved[-1]}
    for file in sorted(marks):
        step = int(file.name[5:])
        for split in ("valid", "test") if file == saved[-1] else ("valid",):
            for score in scored(corpus, split, folder, file, average):
                append_row(
                    options.table,
                    {
                        "corpus": corpus,
                        "model": model,
                        "seed": seed,
                        "threads": torch.get_num_threads(),
                        "weights": tasks.__name__ and len(saved),
                        "step": step,
                        "seconds": f"{seconds[step]:.0f}",
                        "tokens_per_second": f"{sorted(speeds)[len(speeds) // 2]:.0f}",
                        "valid_nats": f"{nats[step]:.4f}",
                        "split": split,
                        "metric": score.name,
                        "value": f"{score.value:.2f}",
                        "note": score.note,
                    },
                )


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.corpora")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=RUNS, metavar="RUN")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--average", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/corpora"))
    parser.add_argument("--table", type=Path, default=TABLE, help="where the rows go")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.only:
        corpus, model, seed = name.split("/")
        run(corpus, model, int(seed), options.average, options)


if __name__ == "__main__":
    main()
