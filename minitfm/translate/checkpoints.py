"""Saving a training so that it can be killed at any moment, and nothing in a file is
ever executed (chapter 11).
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

MODEL, STATE = "model.safetensors", "training.safetensors"


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write tensors with their metadata (as JSON) to a file, and see that it reaches
    the disk.

    Several names of one tensor are written once and named in the metadata.
    """
    first: dict[int, str] = {}
    shared: dict[str, str] = {}
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        if (
            tensor.data_ptr() in first
            and tensor.numel()
            and tensor.shape == kept[first[tensor.data_ptr()]].shape
        ):
            shared[name] = first[tensor.data_ptr()]
        else:
            first[tensor.data_ptr()] = name
            kept[name] = tensor.contiguous()
    save_file(kept, path, {"minitfm": json.dumps({**metadata, "shared": shared})})
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write`` wrote.

    Raises:
        ValueError: if the file is not of this package.
    """
    metadata = described(path)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a safetensors file, no dict)
    tensors |= {name: tensors[other] for name, other in metadata.pop("shared").items()}
    return tensors, metadata


def described(path: Path) -> dict[str, Any]:
    """Read the metadata alone.

    Raises:
        ValueError: if the file is not of this package.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}), and nothing else is read"
            " here"
        ) from error
    if "minitfm" not in header:
        raise ValueError(f"{path} has no description of a minitfm model in it")
    return json.loads(header["minitfm"])


def agree(checkpoint: Path, description: Mapping[str, Any]) -> None:
    """See that a checkpoint is of the training described.

    Raises:
        ValueError: if it is of another one.
    """
    saved, wanted = (
        flat(described(checkpoint / MODEL)),
        flat(json.loads(json.dumps(description))),
    )
    other = [name for name, value in wanted.items() if saved.get(name) != value]
    if other:
        values = ((name, f"{saved.get(name)!r}", f"{wanted[name]!r}") for name in other)
        told = "; ".join(
            f"{n} is {b}, was {a} there" if len(a + b) < 80 else f"the {n} differs"
            for n, a, b in values
        )
        raise ValueError(
            f"{checkpoint.parent} holds another training: {told}. Choose another"
            " folder, or delete it"
        )


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those of inner dictionaries beside them."""
    inner = {
        name: flat(value) if isinstance(value, dict) else {name: value}
        for name, value in values.items()
    }
    return {name: value for part in inner.values() for name, value in part.items()}


def optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """What the optimizer remembers, by parameter and kind: Adam's moments and step
    counts.
    """
    names: dict[Any, str] = {
        parameter: name for name, parameter in model.named_parameters()
    }
    return {
        f"{names[parameter]}/{kind}": value
        for parameter, memory in optimizer.state.items()
        for kind, value in memory.items()
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimizer back what ``optimizer_tensors`` took."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        parameter, _, kind = name.rpartition("/")
        owner = parameters[parameter]
        optimizer.state[owner][kind] = value.to(owner.device) if value.ndim else value


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    description: Mapping[str, Any],
    progress: Mapping[str, Any],
    random: Sequence[Mapping[str, Tensor]],
    keep: int = 5,
) -> Path:
    """Write the checkpoint of a step, then forget all but the last ``keep``.

    It appears under its name in one move, complete: a process killed while it writes
    leaves a folder that begins with a full stop, which the next one sweeps away.

    Args:
        folder: of the training.
        step: steps done.
        model: its weights.
        optimizer: its memory.
        description: how to build the model again; goes with the weights.
        progress: how to continue, whatever JSON can hold; goes with the optimizer.
        random: each process's ``generators``, the first one's first.
        keep: how many checkpoints to keep.
    """
    partial, final = folder / f".step-{step:08d}", folder / f"step-{step:08d}"
    for leftover in folder.glob(".step-*"):
        shutil.rmtree(leftover)
    partial.mkdir(parents=True)
    write(partial / MODEL, model.state_dict(), {**description, "step": step})
    state = {
        f"optimizer/{name}": tensor
        for name, tensor in optimizer_tensors(model, optimizer).items()
    }
    state |= {
        f"random/{rank}/{kind}": tensor
        for rank, own in enumerate(random)
        for kind, tensor in own.items()
    }
    write(
        partial / STATE,
        {name: tensor.clone() for name, tensor in state.items()},
        {**progress, "step": step},
    )
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old.rename(folder / f".{old.name}"))
    return final


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a training, the oldest first."""
    found = (
        path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", path.name)
    )
    return sorted(
        path for path in found if (path / MODEL).is_file() and (path / STATE).is_file()
    )


def restore(
    checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rank: int = 0
) -> dict[str, Any]:
    """Bring model, optimizer and random generator back to where a checkpoint was made;
    return its ``progress``.
    """
    tensors, _ = read(checkpoint / MODEL)
    model.load_state_dict(tensors)
    state, progress = read(checkpoint / STATE)
    prefix = "optimizer/"
    restore_optimizer(
        model,
        optimizer,
        {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)},
    )
    if f"random/{rank}/cpu" in state:
        torch.set_rng_state(state[f"random/{rank}/cpu"])
    if f"random/{rank}/cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state[f"random/{rank}/cuda"])
    return progress


def generators(device: torch.device) -> dict[str, Tensor]:
    """The state of this process's random generators: the processor's, and its GPU's if
    it has one.
    """
    states = {"cpu": torch.get_rng_state()}
    return states | (
        {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    )
