"""The tables and the figure of the page on results, from the tables of the long runs:
nothing on it is typed.

Run it from a checkout after new rows came::

    python -m minitfm.results.page
"""

import argparse
import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from minitfm.study.notebook import results

PAGE = Path(__file__).parents[2] / "book" / "results"
NAMES = {
    "multi30k": "Multi30k, English to German",
    "small_parallel_enja": "small_parallel_enja, English to Japanese",
    "cmudict": "CMUdict, spelling to phonemes",
}
MODELS = {
    "small": "Transformer",
    "paper": "Transformer, the paper's dropout",
    "long": "Transformer, longer",
    "paper-long": "Transformer, longer, the paper's dropout",
    "torch": "`nn.Transformer`",
    "attentive": "attentive RNN",
    "rnn": "RNN",
    "inside": "Transformer, dropout inside",
}
Row = dict[str, str]


def table(
    name: str, head: Sequence[str], rows: Iterable[Sequence[str]], to: Path
) -> None:
    """Write one table."""
    to.mkdir(parents=True, exist_ok=True)
    with (to / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def heading(row: Row) -> str:
    """What a score is called in a table: BLEU by its tokenization, an error rate by its
    stress.
    """
    if row["metric"] == "BLEU":
        kinds = {"none": "BLEU of words", "char": "BLEU of characters"}
        return kinds.get(signature(row)["tok"], "BLEU")
    return f"{row['metric']}, {row['note'].removeprefix('%, ')}"


def signature(row: Row) -> dict[str, str]:
    """SacreBLEU's signature, taken apart."""
    return dict(part.split(":", 1) for part in row["note"].split()[-1].split("|"))


def value(row: Row) -> str:
    """A score and, if there is one, the interval of the bootstrap."""
    found = re.match(r"95 % from (\S+) to (\S+)", row["note"])
    return f"{row['value']} [{found[1]}, {found[2]}]" if found else f"{row['value']} %"


def of_tests(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """One line for each training: what it was, and its scores on the test half."""
    tested = [row for row in rows if row["split"] == "test"]
    metrics = list(dict.fromkeys(heading(row) for row in tested))
    runs: dict[tuple[str, str], list[Row]] = {}
    for row in tested:
        runs.setdefault((row["model"], row["seed"]), []).append(row)
    lines = []
    ordered = sorted(runs, key=lambda run: (list(MODELS).index(run[0]), run[1]))
    for model, seed in ordered:
        found = runs[model, seed]
        first = found[0]
        scores = {heading(row): value(row) for row in found}
        lines.append(
            [
                MODELS[model],
                *(scores[metric] for metric in metrics),
                f"{float(first['seconds']) / 60:.1f}",
                first["threads"],
                f"{int(first['step']):,}",
                f"{int(first['tokens_per_second']):,}",
                f"{int(first['parameters']) / 1e6:.1f} M",
                seed,
            ]
        )
    return [
        "model",
        *metrics,
        "minutes",
        "cores",
        "steps",
        "tokens/s",
        "weights",
        "seed",
    ], lines


def of_mistakes(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """One line for each group, one column for each model; of several seeds the
    first.
    """
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["model"], row["seed"])
    rows = [row for row in rows if row["seed"] == first[row["model"]]]
    models = [model for model in MODELS if any(row["model"] == model for row in rows)]
    values = {(row["kind"], row["group"], row["model"]): row["value"] for row in rows}
    counts = {
        (row["kind"], row["group"]): f"{int(row['count']):,}"
        for row in rows
        if row["kind"] != "wrong phonemes"  # there it differs from model to model
    }
    lines = [
        [
            kind,
            group,
            counts.get((kind, group), ""),
            *(values.get((kind, group, model), "0.00") for model in models),
        ]
        for kind, group in dict.fromkeys((row["kind"], row["group"]) for row in rows)
    ]
    return ["what", "where", "of", *(MODELS[model] for model in models)], lines


def of_recipes(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """One line for each recipe: what it has that not all of these have, and how far it
    got.
    """
    settings = [row["changes"].split() for row in rows]
    common = set.intersection(*map(set, settings))
    lines = [
        [
            ", ".join(setting for setting in told if setting not in common),
            row["score_last"],
            row["score_mean_of_5"],
            f"{float(row['seconds']) / 60:.1f}",
            row["valid_nats"],
        ]
        for row, told in zip(rows, settings)
    ]
    return [
        "what was changed",
        "BLEU",
        "BLEU, mean of 5",
        "minutes",
        "nats a token",
    ], lines


def of_beams(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """One line for each way to write."""
    lines = [
        [
            *(row[name] for name in ("beam", "alpha", "averaged", "value")),
            *(row[name] for name in ("length", "longest", "repeat")),
        ]
        for row in rows
    ]
    return [
        *("beam", "α", "checkpoints averaged", heading(rows[0])),
        *("length", "characters at most", "lines that repeat themselves"),
    ], lines


def main() -> None:
    """Write the tables and the figure."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.results.page")
    parser.add_argument("--to", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = results("corpora")
    for corpus in NAMES:
        of_corpus = [row for row in rows if row["corpus"] == corpus]
        if of_corpus:
            table(corpus, *of_tests(of_corpus), options.to)
        wrong = [row for row in results("mistakes") if row["corpus"] == corpus]
        if wrong:
            table(f"{corpus}-mistakes", *of_mistakes(wrong), options.to)
    signatures = {
        row["note"].split()[-1]: None for row in rows if row["metric"] == "BLEU"
    }
    table(
        "signatures",
        ["sacreBLEU's signature"],
        [[f"`{one}`"] for one in signatures],
        options.to,
    )
    tried = [row for row in results("recipes") if row["corpus"] == "multi30k"]
    longer = [row for row in tried if "checkpoint=250" in row["changes"]]
    table(
        "recipes", *of_recipes([row for row in tried if row not in longer]), options.to
    )
    table("recipes-longer", *of_recipes(longer), options.to)
    for corpus in NAMES:
        ways = [row for row in results("beams") if row["corpus"] == corpus]
        if ways:
            table(f"{corpus}-beams", *of_beams(ways), options.to)
    figure(rows, options.to / "curves.svg")


def figure(rows: list[Row], file: Path) -> None:
    """Scores on the validation half by minutes: a panel for each corpus and number of
    cores, since these compare.

    A model has the same color everywhere, whatever its seed.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from minitfm.study import plots

    plots.use_style()
    mpl.rcParams["svg.hashsalt"] = "minitfm"  # the same ids every time
    panels: dict[tuple[str, str], dict[tuple[str, str], list[Row]]] = {}
    metrics: dict[str, str] = {}
    for row in rows:
        metric = metrics.setdefault(row["corpus"], heading(row))  # the corpus's first
        if (row["split"], heading(row)) == ("valid", metric):
            runs = panels.setdefault((row["corpus"], row["threads"]), {})
            runs.setdefault((row["model"], row["seed"]), []).append(row)
    ordered = sorted(
        panels, key=lambda panel: (list(NAMES).index(panel[0]), -int(panel[1]))
    )
    colors = {
        "small": plots.color("transformer"),
        "attentive": plots.color("additive"),
        "rnn": plots.color("RNN"),
    }
    others = iter((*plots.COLORS[:3], "#E69F00", "#7F7F7F"))
    colors |= {model: next(others) for model in MODELS if model not in colors}
    for panel, ax in zip(ordered, plots.panels(len(panels), height=3.2)):
        corpus, threads = panel
        named: set[str] = set()
        for model, seed in sorted(
            panels[panel], key=lambda run: list(MODELS).index(run[0])
        ):
            points = [
                (float(row["seconds"]) / 60, float(row["value"]))
                for row in panels[panel][model, seed]
            ]
            name = "" if model in named else MODELS[model].strip("`")
            ax.plot(*zip(*points), label=name, color=colors[model], marker="o")
            named.add(model)
        cores = "one core" if threads == "1" else f"{threads} cores"
        ax.set_xlabel(f"minutes of training, {cores}")
        ax.set_ylabel(metrics[corpus])
        ax.set_title(NAMES[corpus])
        ax.legend(fontsize=plots.SMALLEST)
    plt.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
