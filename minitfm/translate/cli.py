"""The command line: train, translate, evaluate, export, data. What they do is in
``runs``, ``translation``, ``evaluation``, ``huggingface`` and ``presets``, for Python
users too.
"""

import dataclasses
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    import typer
except ModuleNotFoundError:
    raise SystemExit(
        "typer is not installed; pip install 'minitfm[text]' brings what the command"
        " line needs"
    ) from None

MOST_VIEWS = 20  # of translations on one page of attention
CHUNK = 2**16  # bytes of input that are translated together

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
        max=10,
        help=(
            "Length penalty ((5 + n) / 6)^alpha; 0 for none; the preset's if not given."
        ),
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Threads of PyTorch on the processor; its own choice if not given.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of all that is drawn.")]
Source = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A file of yours, a line a text."),
]
Target = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Its translation, line by line."),
]
Table = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Both in one file: two columns, a tab between.",
    ),
]


def show_version(asked: bool | None) -> None:
    """Print the version, and end."""
    if asked:
        from minitfm import __version__

        print(f"minitfm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version."
        ),
    ] = None,
) -> None:
    """Train a Transformer on a real corpus, translate with it, and see how good it
    is.
    """


@app.command(
    epilog=(
        "Examples: minitfm train multi30k --minutes 10 | minitfm train dates --steps"
        " 1000 | torchrun --nproc-per-node 2 -m minitfm train multi30k | minitfm train"
        " --source my.en --target my.fr --folder runs/my"
    )
)
def train(
    corpus: Annotated[
        str | None,
        typer.Argument(
            help=(
                "dates, cmudict, small_parallel_enja or multi30k; none with files of"
                " your own."
            )
        ),
    ] = None,
    source: Source = None,
    target: Target = None,
    valid_source: Source = None,
    valid_target: Target = None,
    tsv: Table = None,
    valid_tsv: Table = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A model and recipe by name; the corpus's first if not given."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            help=("About as long as the whole command may take; start again to go on."),
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Updates of the weights, all in all.")
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(help="For checkpoints and log; runs/CORPUS if not given."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Begin with the model, tokenizer and weights of another training.",
        ),
    ] = None,
    seed: Seed = 0,
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
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stop after N checkpoints without a better validation; 0 for never.",
        ),
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
    """Train a Transformer on CORPUS or on files of yours, or go on with the training in
    the folder.

    A training may be killed at any moment; the same command goes on from its last
    checkpoint. Ctrl-C saves one first. The best one by the validation half is kept as
    best.safetensors. A GPU is used if there is one. torchrun starts several processes,
    which share each batch.
    """
    begin = time.monotonic()
    own = given({"--source": source, "--target": target, "--tsv": tsv})
    valid = given(
        {"--source": valid_source, "--target": valid_target, "--tsv": valid_tsv}
    )
    if bool(own) == bool(corpus):
        raise typer.BadParameter(
            "name a corpus, or files of yours by --source and --target or by --tsv"
        )
    if corpus and valid:
        raise typer.BadParameter(f"{corpus} brings its own validation half")
    if folder == "":
        raise typer.BadParameter("it is empty; name a folder", param_hint="--folder")
    from minitfm.translate.presets import NAMES, OWN, PRESETS, pairs

    if corpus:
        check_choice(corpus, NAMES, "CORPUS")
    known = PRESETS[corpus] if corpus else OWN
    name = preset or next(iter(known))
    check_choice(name, known, "--preset")
    chosen = known[name]
    first = os.environ.get("RANK", "0") == "0"
    tell = say if first else lambda line: None
    data: Any = corpus
    if not corpus:
        from minitfm.translate.own import own_corpus

        held_out = own_pairs(valid, "--valid-") if valid else None
        data = own_corpus(own_pairs(own, "--"), held_out, tell)
    options = {
        "steps": steps,
        "precision": precision,
        "accumulate": accumulate,
        "rate": rate,
        "warmup": warmup,
        "cooldown": cooldown,
        "patience": patience,
    }
    options |= {"checkpoint": checkpoint, "log": log_every, "compile": compile}
    recipe = dataclasses.replace(chosen.recipe, **given(options))
    model: Any = chosen.model
    if start:
        from minitfm.translate.translation import start_config

        model = start_config(start)
    model = dataclasses.replace(model, **given({"dropout": dropout}))
    chosen = dataclasses.replace(
        chosen, recipe=recipe, model=model, **given({"tokens": tokens})
    )
    set_threads(threads)
    from minitfm.translate.runs import train_on

    place = Path(folder or f"runs/{corpus or 'own'}")
    try:
        train_on(
            data,
            chosen,
            place,
            seed=seed,
            minutes=math.inf if minutes is None else minutes,
            begin=begin,
            start=start,
            say=say,
        )
    except KeyboardInterrupt as interruption:
        raise failure(
            f"{interruption or 'stopped'}; the same command goes on from the last"
            " checkpoint"
        ) from None
    if first:
        example = (pairs(corpus, "valid") if corpus else data.valid)[0][0]
        say(f"To translate: minitfm translate {place} {shlex.quote(example)}")


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
    sample: Annotated[
        bool,
        typer.Option("--sample", help="Draw every token instead of searching."),
    ] = False,
    temperature: Annotated[
        float,
        typer.Option(help="Of the draws: near 0 the likeliest, above 1 the unlikely."),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Draw from the K likeliest tokens.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the likeliest that have this share together."),
    ] = None,
    seed: Seed = 0,
    attention: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write an HTML page that shows who attended to whom.",
        ),
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
    """Translate, one line out for each line in, in their order.

    Lines are written as soon as they are translated, so the command can stand in a
    pipe.
    """
    if text and file:
        raise typer.BadParameter("give texts or --file, not both")
    if n_best and n_best > beam:
        raise typer.BadParameter(
            f"a beam of {beam} holds no {n_best} translations; add --beam {n_best}",
            param_hint="--n-best",
        )
    if sample and n_best:
        raise typer.BadParameter("--sample draws one; it has no --n-best")
    if not sample and (temperature != 1.0 or top_k or top_p is not None):
        raise typer.BadParameter(
            "--temperature, --top-k and --top-p are of --sample; add that"
        )
    set_threads(threads)
    from minitfm.transformer import Transformer
    from minitfm.translate.translation import (
        attention_views,
        description,
        hypotheses,
        load,
        read_as,
        samples,
        write_as,
    )

    model, tokenizer = load(checkpoint, average)
    found = description(checkpoint)
    corpus = "" if tokens else found.get("corpus", "")
    alpha = found.get("alpha", 0.6) if alpha is None else alpha
    if attention and not isinstance(model, Transformer):
        raise failure("--attention shows Transformers, and this is a recurrent model")
    done = 0
    pages: list[tuple[str, Any]] = []
    try:
        for lines in [text] if text else input_lines(file):
            asked = [read_as(corpus, line) for line in lines]
            if sample:
                drawn = samples(
                    model,
                    tokenizer,
                    asked,
                    seed=seed + done,
                    temperature=temperature,
                    top_k=top_k,
                    top_p=top_p,
                )
                pools: Any = [[(line, None)] for line in drawn]
            else:
                pools = hypotheses(
                    model, tokenizer, asked, beam=beam, alpha=alpha, best=n_best or 1
                )
            for line, pool in zip(asked, pools):
                done += 1
                for written, hypothesis in pool:
                    shown = write_as(corpus, written)
                    print(
                        f"{done}\t{hypothesis.score:.4f}\t{shown}" if n_best else shown
                    )
                if attention and line and len(pages) < MOST_VIEWS:
                    views = attention_views(model, tokenizer, line, pool[0][0])
                    pages.append((f"{line} → {pool[0][0]}", views))
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise failure(f"stopped after {done:,} lines") from None
    if attention:
        from minitfm.web.pages import attention_page

        title = f"Attention in {checkpoint}"
        attention.write_text(attention_page(title, pages), "utf-8")
        more = (
            f", the first {len(pages)} of {done:,} lines" if done > len(pages) else ""
        )
        print(f"{attention} shows who attended to whom{more}", file=sys.stderr)


@app.command(
    epilog=(
        "Examples: minitfm evaluate runs/multi30k --average 5 | minitfm evaluate"
        " runs/own --source test.en --target test.fr --output mine.fr"
    )
)
def evaluate(
    checkpoint: Checkpoint,
    split: Annotated[
        Literal["test", "valid"],
        typer.Option(help="Which half that was not learned from."),
    ] = "test",
    source: Source = None,
    target: Target = None,
    tsv: Table = None,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the translations to a file."),
    ] = None,
    bleu_words: Annotated[
        Literal["13a", "intl", "char", "none"],
        typer.Option(
            help="What BLEU counts as a word, by sacreBLEU's names, for your files."
        ),
    ] = "13a",
    beam: Beam = 4,
    alpha: Alpha = None,
    average: Average = 1,
    corpus: Annotated[
        str | None,
        typer.Option(help="Another corpus than the one that it learned from."),
    ] = None,
    threads: Threads = None,
) -> None:
    """Translate the test half of the corpus, or files of yours, and score it: BLEU and
    chrF, or errors where those are what people report.
    """
    from minitfm.translate.presets import NAMES

    own = given({"--source": source, "--target": target, "--tsv": tsv})
    set_threads(threads)
    from minitfm.translate.evaluation import evaluate
    from minitfm.translate.own import cleaned
    from minitfm.translate.translation import description, load

    model, tokenizer = load(checkpoint, average)
    found = description(checkpoint)
    wanted = cleaned(own_pairs(own, "--"), "the files", say) if own else None
    name = "own" if own else corpus or found.get("corpus", "")
    if name == "own" and not own:
        raise typer.BadParameter(
            "this model learned from files of yours; name others to score it by, with"
            " --source and --target or with --tsv"
        )
    if not own:
        check_choice(name, NAMES, "--corpus")
    alpha = found.get("alpha", 0.6) if alpha is None else alpha
    result = evaluate(
        model,
        tokenizer,
        name,
        split,
        wanted=wanted,
        beam=beam,
        alpha=alpha,
        tokenize=bleu_words,
    )
    count, half = len(result.written), "your files" if own else f"{name}, {split}"
    say(f"{half}, step {found['step']:,}, beam {beam}, alpha {alpha}")
    say(
        f"{count:,} sentences in {result.seconds:.1f} seconds,"
        f" {count / result.seconds:.1f} a second"
    )
    for score in result.scores:
        say(str(score))
    if output:
        output.write_text("".join(f"{line}\n" for line in result.written), "utf-8")
        say(f"the translations are in {output}")


@app.command(epilog="Example: minitfm export runs/multi30k for-others")
def export(
    checkpoint: Checkpoint,
    folder: Annotated[Path, typer.Argument(help="To be made, for the model's files.")],
    average: Average = 1,
) -> None:
    """Write a trained Transformer as a model of Hugging Face's: a Pegasus for pre-norm,
    which CTranslate2 converts too, or a Marian for post-norm.
    """
    from minitfm.translate.huggingface import export
    from minitfm.translate.translation import load

    theirs = export(*load(checkpoint, average, "cpu"), folder)
    say(f"{folder} holds a {type(theirs).__name__} and its tokenizer")


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


def own_pairs(files: dict[str, Path], prefix: str) -> list[tuple[str, str]]:
    """The pairs of the user's files, which are named by two options or by one."""
    from minitfm.translate.own import read_pairs, read_table

    names = [
        f"{prefix}{name.removeprefix('--')}" for name in ("source", "target", "tsv")
    ]
    if set(files) == {"--tsv"}:
        return read_table(files["--tsv"])
    if set(files) == {"--source", "--target"}:
        return read_pairs(files["--source"], files["--target"])
    raise typer.BadParameter(f"give {names[0]} and {names[1]}, or {names[2]} alone")


def input_lines(file: Path | None) -> Iterator[list[str]]:
    """The lines to translate: those that have come, as soon as they have; from a person
    at the keyboard one by one, from a file or a full pipe some hundreds together.
    """
    from tqdm import tqdm

    from minitfm.translate.own import utf8_lines

    if file is None and sys.stdin.isatty():
        print("Type a line to translate; end with Ctrl-D.", file=sys.stderr)
    name = "standard input" if file is None else str(file)
    rest, first, more = b"", 1, True
    # A count on the error output, where somebody watches that alone.
    hidden = sys.stdout.isatty() or None
    opened: Any = nullcontext(sys.stdin.buffer) if file is None else file.open("rb")
    with opened as stream, tqdm(unit="line", file=sys.stderr, disable=hidden) as bar:
        while more:
            came = stream.read1(CHUNK)
            more, content = bool(came), rest + came
            whole = content.rfind(b"\n") + 1 if more else len(content)
            rest, lines, problem = content[whole:], [], None
            try:
                if whole:
                    for line in utf8_lines(content[:whole], name, first):
                        lines.append(line)
            except ValueError as error:
                problem = error
            first += len(lines)
            if lines:
                yield lines
                bar.update(len(lines))
            if problem:
                raise problem


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
    except ModuleNotFoundError as error:
        known = "pip install" in str(error)
        said = f"{error.name} is not installed; pip install 'minitfm[text]' brings it"
        print(f"minitfm: {error if known else said}", file=sys.stderr)
        raise SystemExit(1) from None
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"minitfm: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("minitfm: stopped", file=sys.stderr)
        raise SystemExit(1) from None
