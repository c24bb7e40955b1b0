"""What each change of a recipe is worth: short trainings that differ in it, scored on
the validation half.

One training a row, for instance::

    python -m minitfm.results.recipes multi30k --steps 1900 --set vocabulary=4000
    cooldown=630

trains START with another vocabulary and a cooldown. Steps stand for time: a step with a
smaller vocabulary takes less of it, so a run gets as many steps as fit into the time of
START's 1,500, five minutes on two cores. Two runs may share the machine, one thread
each (OMP_NUM_THREADS=1). Run it from a checkout (``make test`` or ``make lab`` sets one
up), so that the rows name the commit.
"""

import argparse
import ast
import csv
import dataclasses
from pathlib import Path
from typing import Any

import torch

from minitfm.results import append_row
from minitfm.transformer import TransformerConfig
from minitfm.translate.checkpoints import checkpoints
from minitfm.translate.evaluation import scores
from minitfm.translate.presets import NAMES, Preset, pairs
from minitfm.translate.recipe import Recipe
from minitfm.translate.runs import train_on
from minitfm.translate.translation import load, translate

TABLE = Path(__file__).with_suffix(".csv")
START = Preset(
    TransformerConfig(d_model=256, d_ff=1024, heads=4, layers=3, dropout=0.1),
    vocabulary=8000,
    tokens=2048,
    recipe=Recipe(steps=1500, rate=0.5, warmup=500, checkpoint=100),
)


def changed(preset: Preset, changes: dict[str, Any]) -> Preset:
    """The preset with some of its choices, those of its model and its recipe made
    otherwise.

    Raises:
        ValueError: if there is no such choice.
    """
    for name, value in changes.items():
        for owner in (preset.model, preset.recipe, preset):
            of_the_tokenizer = name == "vocabulary" and owner is preset.model
            if (
                name in {field.name for field in dataclasses.fields(owner)}
                and not of_the_tokenizer
            ):
                new: Any = dataclasses.replace(owner, **{name: value})
                if owner is preset.model:
                    preset = dataclasses.replace(preset, model=new)
                elif owner is preset.recipe:
                    preset = dataclasses.replace(preset, recipe=new)
                else:
                    preset = new
                break
        else:
            raise ValueError(f"{name!r} is no choice of a model, a recipe or a preset")
    return preset


def setting(text: str) -> tuple[str, Any]:
    """Read name=value."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> None:
    """Train, score, append the row."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.recipes")
    parser.add_argument("corpus", choices=NAMES)
    parser.add_argument("--steps", type=int, default=START.recipe.steps)
    parser.add_argument(
        "--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--table", type=Path, default=TABLE, help="where the row goes")
    options = parser.parse_args()
    changes = {"steps": options.steps, **dict(options.set)}
    preset = changed(START, changes)
    told = " ".join(f"{name}={value}" for name, value in changes.items())
    folder = (
        options.folder / options.corpus / f"{told.replace(' ', '_')}_{options.seed}"
    )
    train_on(
        options.corpus,
        preset,
        folder,
        seed=options.seed,
        progress=False,
        say=lambda line: None,
    )
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    wanted = pairs(options.corpus, "valid")
    row = {
        "corpus": options.corpus,
        "changes": told,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
        "seconds": f"{float(log[-1]['seconds']):.0f}",
        "valid_nats": f"{float(log[-1]['evaluation'].partition('=')[2]):.4f}",
    }
    for average in (1, min(5, len(checkpoints(folder)))):
        model, tokenizer = load(folder, average)
        written = translate(model, tokenizer, [source for source, _ in wanted])
        row[f"score_{'last' if average == 1 else 'mean_of_5'}"] = (
            f"{scores(options.corpus, written, wanted)[0].value:.2f}"
        )
    append_row(
        options.table,
        {**row, "metric": scores(options.corpus, written, wanted)[0].name},
    )


if __name__ == "__main__":
    main()
