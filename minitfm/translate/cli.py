"""The command line: train, translate, evaluate, data. What the commands do is in
``runs``, ``translation``, ``evaluation`` and ``presets``, for Python users too.
"""

import dataclasses
import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    import typer
except ModuleNotFoundError:
    raise SystemExit(
        "typer is not installed; pip install 'minitfm[text]' brings what the command"
        " line needs"
    ) from None

app = typer.Typer(
    name="minitfm",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "Train a Transformer on a real corpus, translate with it, and see how good"
        " it is."
    ),
    epilog="Try it without a network: minitfm train dates --minutes 1",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Corpus = Annotated[
    str, typer.Argument(help="dates, cmudict, small_parallel_enja or multi30k.")
]
Checkpoint = Annotated[
    Path, typer.Argument(help="The folder of a training, or a .safetensors file.")
]
Average = Annotated[
    int,
    typer.Option(min=1, help="Take the mean of the weights of the last N checkpoints."),
]
Beam = Annotated[
    int, typer.Option(min=1, help="Translations in progress for each sentence.")
]
Alpha = Annotated[
    float | None,
    typer.Option(
        min=0,
        help=(
            "Length penalty ((5 + n) / 6)^alpha; 0 for none; the preset's if not given."
        ),
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads of PyTorch on the processor; its own choice if not given."
    ),
]


@app.command(
    epilog=(
        "Examples: minitfm train multi30k --minutes 10 | minitfm train dates --steps"
        " 1000 | torchrun --nproc-per-node 2 -m minitfm train multi30k"
    )
)
def train(
    corpus: Corpus,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A model and recipe by name; the corpus's first if not given."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0, help="Stop after this time, wherever it is; start again to go on."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Updates of the weights, all in all.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="For checkpoints and log; runs/CORPUS if not given."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the weights, the dropout and the order.")
    ] = 0,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Of matrix products.")
    ] = "auto",
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens in a batch, all processes together."),
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, help="Batches to an update.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate, as a multiple of the paper's.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(min=1, help="Steps to the highest learning rate.")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Instead of the preset's.")
    ] = None,
    cooldown: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of the steps, the last, in which the rate falls to 0.",
        ),
    ] = None,
    checkpoint: Annotated[
        int | None, typer.Option(min=1, help="Steps between two checkpoints.")
    ] = None,
    log_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two rows of log.csv.")
    ] = None,
    compile: Annotated[
        bool,
        typer.Option("--compile", help="Translate the model by torch.compile first."),
    ] = False,
    threads: Threads = None,
) -> None:
    """Train a Transformer on CORPUS, or go on with the training in the folder.

    A training may be killed at any moment; the same command goes on from its last
    checkpoint. A GPU is used if there is one. torchrun starts several processes, which
    share each batch.
    """
    from minitfm.translate.presets import NAMES, PRESETS

    check_choice(corpus, NAMES, "CORPUS")
    name = preset or next(iter(PRESETS[corpus]))
    check_choice(name, PRESETS[corpus], "--preset")
    chosen = PRESETS[corpus][name]
    options = {
        "steps": steps,
        "precision": precision,
        "accumulate": accumulate,
        "rate": rate,
        "warmup": warmup,
        "cooldown": cooldown,
    }
    options |= {"checkpoint": checkpoint, "log": log_every, "compile": compile}
    recipe = dataclasses.replace(chosen.recipe, **given(options))
    model = dataclasses.replace(chosen.model, **given({"dropout": dropout}))
    chosen = dataclasses.replace(
        chosen, recipe=recipe, model=model, **given({"tokens": tokens})
    )
    set_threads(threads)
    from minitfm.translate.runs import train_on

    folder = folder or Path("runs") / corpus
    first = os.environ.get("RANK", "0") == "0"
    try:
        train_on(
            corpus,
            chosen,
            folder,
            seed=seed,
            minutes=math.inf if minutes is None else minutes,
            say=say,
        )
    except KeyboardInterrupt:
        raise failure(
            "stopped; the same command goes on from the last checkpoint"
        ) from None
    if first:
        from minitfm.translate.presets import pairs

        example = pairs(corpus, "valid")[0][0]
        say(f"To translate: minitfm translate {folder} {shlex.quote(example)}")


@app.command(
    epilog=(
        "Examples: minitfm translate runs/dates '4 March 2025' | minitfm translate"
        " runs/multi30k --file lines.en | cat lines.en | minitfm translate"
        " runs/multi30k --average 5 > lines.de"
    )
)
def translate(
    checkpoint: Checkpoint,
    text: Annotated[
        list[str] | None,
        typer.Argument(help="What to translate; standard input if not given."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Translate the lines of a file."
        ),
    ] = None,
    beam: Beam = 4,
    alpha: Alpha = None,
    n_best: Annotated[
        int | None, typer.Option(min=1, help="Show the N best: number, score and text.")
    ] = None,
    average: Average = 1,
    tokens: Annotated[
        bool,
        typer.Option(
            "--tokens", help="Read and write as the corpus does, tokens parted."
        ),
    ] = False,
    threads: Threads = None,
) -> None:
    """Translate, one line out for each line in, in their order."""
    if text and file:
        raise typer.BadParameter("give texts or --file, not both")
    if n_best and n_best > beam:
        raise typer.BadParameter(
            f"a beam of {beam} holds no {n_best} translations; add --beam {n_best}",
            param_hint="--n-best",
        )
    set_threads(threads)
    from minitfm.translate.translation import (
        description,
        hypotheses,
        load,
        read_as,
        write_as,
    )

    model, tokenizer = load(checkpoint, average)
    found = description(checkpoint)
    corpus = "" if tokens else found.get("corpus", "")
    alpha = found.get("alpha", 0.6) if alpha is None else alpha
    for lines in [text] if text else input_lines(file):
        asked = [read_as(corpus, line) for line in lines]
        pools = hypotheses(
            model, tokenizer, asked, beam=beam, alpha=alpha, best=n_best or 1
        )
        for number, pool in enumerate(pools, start=1):
            for written, hypothesis in pool:
                line = write_as(corpus, written)
                print(f"{number}\t{hypothesis.score:.4f}\t{line}" if n_best else line)
        sys.stdout.flush()


@app.command(epilog="Example: minitfm evaluate runs/multi30k --average 5")
def evaluate(
    checkpoint: Checkpoint,
    split: Annotated[
        Literal["test", "valid"],
        typer.Option(help="Which half that was not learned from."),
    ] = "test",
    beam: Beam = 4,
    alpha: Alpha = None,
    average: Average = 1,
    corpus: Annotated[
        str | None,
        typer.Option(help="Another corpus than the one that it learned from."),
    ] = None,
    threads: Threads = None,
) -> None:
    """Translate the test half of the corpus and score it: BLEU, or errors where those
    are what people report.
    """
    from minitfm.translate.presets import NAMES

    set_threads(threads)
    from minitfm.translate.evaluation import evaluate
    from minitfm.translate.translation import description, load

    model, tokenizer = load(checkpoint, average)
    found = description(checkpoint)
    name = corpus or found.get("corpus", "")
    check_choice(name, NAMES, "--corpus")
    alpha = found.get("alpha", 0.6) if alpha is None else alpha
    result = evaluate(model, tokenizer, name, split, beam=beam, alpha=alpha)
    count = len(result.written)
    say(f"{name}, {split}, step {found['step']:,}, beam {beam}, alpha {alpha}")
    say(
        f"{count:,} sentences in {result.seconds:.1f} seconds,"
        f" {count / result.seconds:.1f} a second"
    )
    for score in result.scores:
        say(str(score))


@app.command(epilog="Example: minitfm data multi30k")
def data(
    corpus: Corpus,
    lines: Annotated[int, typer.Option(min=0, help="How many pairs to show.")] = 3,
) -> None:
    """Fetch CORPUS if it is not at hand, and show where it comes from, its sizes and a
    few lines.
    """
    from minitfm.translate.corpora import CORPORA
    from minitfm.translate.presets import EMBEDDED, NAMES, pairs

    check_choice(corpus, NAMES, "CORPUS")
    splits = {split: pairs(corpus, split) for split in ("train", "valid", "test")}
    say(EMBEDDED[corpus] if corpus in EMBEDDED else CORPORA[corpus].notice)
    for split, found in splits.items():
        sizes = " and ".join(f"{sum(map(len, side)):,}" for side in zip(*found))
        say(f"{split}: {len(found):,} pairs, {sizes} characters")
    for source, target in splits["train"][:lines]:
        say(f"{source}\t{target}")


def input_lines(file: Path | None) -> Iterator[list[str]]:
    """The lines to translate, all at once; from a person at the keyboard, each as it
    comes.
    """
    if file is None and sys.stdin.isatty():
        print("Type a line to translate; end with Ctrl-D.", file=sys.stderr)
        for line in sys.stdin:
            yield [line.rstrip("\r\n")]
        return
    content = sys.stdin.buffer.read() if file is None else file.read_bytes()
    text = content.decode("utf-8").removesuffix("\n")
    if content:
        yield [line.removesuffix("\r") for line in text.split("\n")]


def check_choice(name: str, choices: Any, where: str) -> None:
    """Refuse a name that is none of the choices, as wrong usage."""
    if name not in choices:
        raise typer.BadParameter(
            f"{name!r} is none of {', '.join(choices)}", param_hint=where
        )


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave."""
    return {name: value for name, value in values.items() if value is not None}


def set_threads(threads: int | None) -> None:
    """Let PyTorch use this many threads, if the user gave a number."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def failure(message: str) -> typer.Exit:
    """Print what went wrong; the exit code will be 1."""
    print(f"minitfm: {message}", file=sys.stderr)
    return typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 2 for wrong usage, 1 for what failed."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    try:
        app(arguments, prog_name="minitfm")
    except BrokenPipeError:  # whoever read the lines wants no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (ValueError, FloatingPointError, OSError, ModuleNotFoundError) as error:
        print(f"minitfm: {error}", file=sys.stderr)
        raise SystemExit(1) from None
