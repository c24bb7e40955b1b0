"""A whole training on a corpus, from its name to a model that translates (chapter
12).
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed

from minitfm.fast import accelerate
from minitfm.translate.batches import TokenBatches
from minitfm.translate.checkpoints import MODEL, agree, checkpoints, described
from minitfm.translate.engine import train
from minitfm.translate.evaluation import Score, evaluate, nats_a_token
from minitfm.translate.parallel import processes
from minitfm.translate.presets import Preset, learned_tokenizer, pairs
from minitfm.translate.tokenizers import Tokenizer


def train_on(
    corpus: str,
    preset: Preset,
    folder: Path,
    *,
    seed: int = 0,
    minutes: float = math.inf,
    progress: bool = True,
    say: Callable[[str], Any] = print,
) -> list[Score]:
    """Train a model on a corpus, or go on with a training in ``folder``; score it on
    the validation half.

    Under ``torchrun`` each process takes its part of every batch, and the first one
    alone speaks and writes.

    Args:
        corpus: its name, see ``presets.pairs``.
        preset: model, tokenizer, batches and recipe.
        folder: for the checkpoints, the tokenizer and the log.
        seed: of the weights, the dropout and the order of the batches.
        minutes: stop after this time, wherever the recipe is.
        progress: show it.
        say: takes what there is to tell, a line at a time.

    Returns:
        The scores, in the first process; nothing in the others.

    Raises:
        ValueError: if the folder holds another training.
        FloatingPointError: if the training diverges.
    """
    with processes() as (rank, world, device):
        tell: Callable[[str], Any] = say if rank == 0 else lambda line: None
        if preset.tokens % world:
            raise ValueError(
                f"{world} processes cannot share {preset.tokens} tokens a batch; choose"
                " a multiple"
            )
        if rank:
            # the first process fetches the corpus and learns the tokenizer for all
            distributed.barrier()
        tokenizer = kept_tokenizer(corpus, preset, folder, tell)
        training, validation = pairs(corpus, "train"), pairs(corpus, "valid")
        if world > 1 and rank == 0:
            distributed.barrier()
        config = dataclasses.replace(preset.model, vocabulary=len(tokenizer))
        described_as = {
            "corpus": corpus,
            "model": type(config).__name__,
            "config": dataclasses.asdict(config),
            "tokenizer": tokenizer.to_json(),
            "seed": seed,
            "recipe": what_matters(preset),
            "alpha": preset.alpha,
        }
        share = preset.tokens // world
        batches = token_batches(
            tokenizer, training, share, seed, rank, world, preset.max_length
        )
        watched = token_batches(
            tokenizer, validation, preset.tokens, seed, 0, 1, preset.max_length
        )
        held_out = [next(watched) for _ in range(len(watched))]
        if saved := checkpoints(folder):
            agree(saved[-1], described_as)
            tell(
                f"{folder} holds a training of {int(saved[-1].name[5:]):,} steps: going"
                " on with it"
            )
        torch.manual_seed(seed)
        model = accelerate(config.build()).to(device)
        torch.manual_seed(seed + rank)  # each process has its own dropout
        size = sum(parameter.numel() for parameter in model.parameters())
        tell(
            f"{corpus}: {len(training):,} pairs, {len(tokenizer):,} tokens; {size:,}"
            f" weights on {device}"
        )
        steps = train(
            model,
            batches,
            preset.recipe,
            folder,
            description=described_as,
            minutes=minutes,
            evaluate=lambda trained: {"valid_nats": nats_a_token(trained, held_out)},
            progress=progress,
        )
        if rank:
            return []
        found = evaluate(model, tokenizer, corpus, "valid", alpha=preset.alpha)
        tell(
            f"{steps:,} steps done; the validation half, {len(found.written):,}"
            " sentences:"
        )
        for score in found.scores:
            tell(f"  {score}")
        return found.scores


def kept_tokenizer(
    corpus: str, preset: Preset, folder: Path, say: Callable[[str], Any]
) -> Tokenizer:
    """The tokenizer of the training in ``folder``; a new one, learned from the training
    half alone, if there is none.

    Raises:
        ValueError: if the folder's tokenizer is not that of its checkpoints, or those
            are of another corpus.
    """
    file = folder / "tokenizer.json"
    if saved := checkpoints(folder):
        agree(saved[-1], {"corpus": corpus})
        text = described(saved[-1] / MODEL)["tokenizer"]
        if file.is_file() and file.read_text("utf-8") != text:
            raise ValueError(
                f"{file} is not the tokenizer of the checkpoints beside it; put that"
                " back, or delete it"
            )
        return Tokenizer.from_json(text)
    if distributed.is_initialized() and distributed.get_rank():
        return Tokenizer.from_json(file.read_text("utf-8"))
    say(f"learning a tokenizer from the training half of {corpus}")
    tokenizer = learned_tokenizer(corpus, preset.vocabulary)
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


def what_matters(preset: Preset) -> dict[str, Any]:
    """What of a preset, besides the model, two trainings must share for one to go on
    with the other's weights.
    """
    recipe = dataclasses.asdict(preset.recipe)
    for free in ("compile", "precision", "checkpoint", "keep", "log"):
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
