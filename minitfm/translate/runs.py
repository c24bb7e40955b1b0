"""A whole training on a corpus, from its name to a model that translates."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed

from minitfm.fast import accelerate
from minitfm.translate.batches import TokenBatches
from minitfm.translate.checkpoints import (
    MODEL,
    check_same_training,
    describe,
    read,
    whole_checkpoints,
)
from minitfm.translate.engine import train
from minitfm.translate.evaluation import Score, evaluate, nats_a_token
from minitfm.translate.folder import claimed
from minitfm.translate.own import OwnCorpus
from minitfm.translate.parallel import processes
from minitfm.translate.presets import Preset, learned_tokenizer, pairs
from minitfm.translate.tokenizers import Tokenizer
from minitfm.translate.translation import files, start_tokenizer
from minitfm.web.weights import load_weights

RESERVE = 0.1, 1.0  # of the minutes, and at most so many, for scoring at the end


def train_on(
    corpus: str | OwnCorpus,
    preset: Preset,
    folder: Path,
    *,
    seed: int = 0,
    minutes: float = math.inf,
    begin: float | None = None,
    start: Path | None = None,
    progress: bool = True,
    say: Callable[[str], Any] = print,
) -> list[Score]:
    """Train a model on a corpus, or continue the training in ``folder``, and score it
    on the validation split.

    Under ``torchrun`` each process takes its share of every batch; only the first one
    prints and writes files.

    Args:
        corpus: a name that ``presets.pairs`` knows, or pairs of the user's own.
        preset: model, tokenizer, batches and recipe.
        folder: for the checkpoints, the tokenizer and the log.
        seed: of the weights, the dropout and the order of the batches.
        minutes: stop after this time, wherever the recipe is; the scoring at the end is
            part of it.
        begin: when that time began, by ``time.monotonic``; now, if not given.
        start: another training, or a file, whose weights to begin with; the preset's
            model must be that one's, see ``translation.start_config``.
        progress: show a progress bar; in a notebook, the loss curve as well.
        say: called with each line of text for the user.

    Returns:
        The scores, in the first process; nothing in the others.

    Raises:
        ValueError: if the folder holds another training or something else, or another
            process trains there.
        FloatingPointError: if the training diverges.
        OSError: if the checkpoints cannot be written.
        KeyboardInterrupt: if Ctrl-C was pressed; a checkpoint is saved first.
    """
    begin = time.monotonic() if begin is None else begin
    with processes() as (rank, world, device):
        tell: Callable[[str], Any] = say if rank == 0 else lambda line: None
        if preset.tokens % world:
            raise ValueError(
                f"{world} processes cannot share {preset.tokens} tokens a batch; choose"
                " a multiple"
            )
        with claimed(folder) if rank == 0 else contextlib.nullcontext():
            if rank:
                # the first process fetches the corpus and learns the tokenizer for all
                distributed.barrier()
            name = corpus if isinstance(corpus, str) else corpus.name
            training, validation = (
                (pairs(corpus, "train"), pairs(corpus, "valid"))
                if isinstance(corpus, str)
                else (corpus.train, corpus.valid)
            )
            tokenizer = training_tokenizer(name, training, preset, folder, start, tell)
            if world > 1 and rank == 0:
                distributed.barrier()
            config = dataclasses.replace(preset.model, vocabulary=len(tokenizer))
            description = {
                "corpus": name,
                "model": type(config).__name__,
                "config": dataclasses.asdict(config),
                "tokenizer": tokenizer.to_json(),
                "seed": seed,
                "recipe": fixed_choices(preset),
                "alpha": preset.alpha,
            }
            share = preset.tokens // world
            batches = token_batches(
                tokenizer, training, share, seed, rank, world, preset.max_length
            )
            valid = token_batches(
                tokenizer, validation, preset.tokens, seed, 0, 1, preset.max_length
            )
            held_out = [next(valid) for _ in range(len(valid))]
            saved = whole_checkpoints(folder, tell)
            if saved:
                check_same_training(saved[-1], description)
                tell(
                    f"{folder} holds a training of {int(saved[-1].name[5:]):,} steps:"
                    " going on with it"
                )
            torch.manual_seed(seed)
            model = accelerate(config.build()).to(device)
            if start and not saved:
                load_weights(model, read(files(start)[-1])[0])
                tell(f"beginning with the weights of {start}")
            torch.manual_seed(seed + rank)  # each process has its own dropout
            size = sum(parameter.numel() for parameter in model.parameters())
            tell(
                f"{name}: {len(training):,} pairs, {len(tokenizer):,} tokens;"
                f" {size:,} weights on {device}"
            )
            if batches.left_out:
                tell(
                    f"{batches.left_out:,} pairs longer than {preset.max_length} tokens"
                    " are left out"
                )
            reserve = min(RESERVE[0] * minutes, RESERVE[1])
            steps = train(
                model,
                batches,
                preset.recipe,
                folder,
                description=description,
                minutes=minutes - reserve - (time.monotonic() - begin) / 60,
                evaluate=lambda trained: {
                    "valid_nats": nats_a_token(trained, held_out)
                },
                progress=progress,
            )
        if rank:
            return []
        found = evaluate(
            model, tokenizer, name, "valid", wanted=validation, alpha=preset.alpha
        )
        tell(
            f"{steps:,} steps done; the validation half, {len(found.written):,}"
            " sentences:"
        )
        for score in found.scores:
            tell(f"  {score}")
        return found.scores


def training_tokenizer(
    corpus: str,
    training: Sequence[tuple[str, str]],
    preset: Preset,
    folder: Path,
    start: Path | None,
    say: Callable[[str], Any],
) -> Tokenizer:
    """The tokenizer of the training in ``folder``. If there is none yet, it is that of
    the training to begin with, or it is learned from the training split alone.

    Raises:
        ValueError: if the folder's tokenizer is not that of its checkpoints, or they
            belong to another corpus.
    """
    file = folder / "tokenizer.json"
    if saved := whole_checkpoints(folder):
        check_same_training(saved[-1], {"corpus": corpus})
        text = describe(saved[-1] / MODEL)["tokenizer"]
        if file.is_file() and file.read_text("utf-8") != text:
            raise ValueError(
                f"{file} is not the tokenizer of the checkpoints beside it; put that"
                " back, or delete it"
            )
        return Tokenizer.from_json(text)
    if distributed.is_initialized() and distributed.get_rank():
        return Tokenizer.from_json(file.read_text("utf-8"))
    if start:
        tokenizer = start_tokenizer(start)
    else:
        say(f"learning a tokenizer from the training half of {corpus}")
        tokenizer = learned_tokenizer(corpus, preset.vocabulary, training)
    folder.mkdir(parents=True, exist_ok=True)
    renewed = file.with_name(f".{file.name}")
    renewed.write_text(tokenizer.to_json(), "utf-8")
    renewed.replace(file)
    return tokenizer


def token_batches(
    tokenizer: Tokenizer,
    sentences: list[tuple[str, str]],
    tokens: int,
    seed: int,
    rank: int,
    world: int,
    longest: int,
) -> TokenBatches:
    """Batches of the pairs' ids."""
    sources, targets = (tokenizer.encode(side) for side in zip(*sentences))
    ids = list(zip(sources, targets))
    return TokenBatches(
        ids, tokens, seed=seed, rank=rank, world=world, max_length=longest
    )


def fixed_choices(preset: Preset) -> dict[str, Any]:
    """The choices of a preset, apart from the model, that must not change when a
    training is continued.
    """
    recipe = dataclasses.asdict(preset.recipe)
    for free in ("compile", "precision", "checkpoint", "keep", "log", "patience"):
        del recipe[free]
    if not preset.recipe.cooldown:
        del recipe[
            "steps"
        ]  # with one, the learning rate depends on where the training ends
    return {
        **recipe,
        "vocabulary": preset.vocabulary,
        "tokens": preset.tokens,
        "max_length": preset.max_length,
    }
