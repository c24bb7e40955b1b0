"""Saving a training so that it can be killed at any moment. Nothing in a file is ever
executed.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.study.extras import brought_by

with brought_by("notebook"):
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

MODEL, STATE = "model.safetensors", "training.safetensors"
BEST = "best.safetensors"


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and their metadata (as JSON) to a file, and wait until it is on the
    disk.

    A tensor that has several names is written once; the metadata lists its other names.
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
    """Read the tensors and the metadata of a file.

    Raises:
        ValueError: if this package did not write the file.
    """
    metadata = describe(path)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a safetensors file, no dict)
    shared = metadata.pop("shared", {})
    tensors |= {name: tensors[other] for name, other in shared.items()}
    return tensors, metadata


def describe(path: Path) -> dict[str, Any]:
    """Read the metadata alone.

    Raises:
        ValueError: if this package did not write the file.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, and a safetensors file is needed")
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


def check_same_training(checkpoint: Path, description: Mapping[str, Any]) -> None:
    """Compare a checkpoint with the description of a training.

    Raises:
        ValueError: if the checkpoint belongs to another training; it says what differs.
    """
    saved = flattened(describe(checkpoint / MODEL))
    wanted = flattened(json.loads(json.dumps(description)))
    differences = []
    for name, value in wanted.items():
        if saved.get(name) != value:
            before, now = repr(saved.get(name)), repr(value)
            differences.append(
                f"{name} is {now}, was {before} there"
                if len(before + now) < 80
                else f"the {name} differs"
            )
    if differences:
        raise ValueError(
            f"{checkpoint.parent} holds another training: {'; '.join(differences)}."
            " Choose another folder, or delete it"
        )


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """One dictionary of all values, those of inner dictionaries among them."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flattened(value) if isinstance(value, dict) else {name: value}
    return flat


def optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """The optimizer's state, named by parameter and kind: Adam's moments and step
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
    """Put the state that ``optimizer_tensors`` returned into an optimizer."""
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
    position: Mapping[str, Any],
    random: Sequence[Mapping[str, Tensor]],
    keep: int = 5,
) -> Path:
    """Write the checkpoint of a step, then delete all but the last ``keep``.

    It appears under its name in one move, complete: a process that is killed while it
    writes leaves a folder whose name begins with a full stop, which the next one
    deletes.

    Args:
        folder: of the training.
        step: number of steps done.
        model: whose weights are saved.
        optimizer: whose state is saved.
        description: how to build the model again, in values that JSON can hold. It is
            saved with the weights.
        position: where to continue, in values that JSON can hold. It is saved with the
            optimizer's state.
        random: the ``random_states`` of each process, in the order of their ranks.
        keep: how many checkpoints to keep.

    Raises:
        OSError: if it cannot be written, such as on a full disk; the earlier ones stay.
    """
    partial, final = folder / f".step-{step:08d}", folder / f"step-{step:08d}"
    for leftover in folder.glob(".step-*"):
        shutil.rmtree(leftover)
    state = {
        f"optimizer/{name}": tensor
        for name, tensor in optimizer_tensors(model, optimizer).items()
    }
    state |= {
        f"random/{rank}/{kind}": tensor
        for rank, own in enumerate(random)
        for kind, tensor in own.items()
    }
    copies = {name: tensor.clone() for name, tensor in state.items()}
    with told_if_full(folder, step):
        partial.mkdir(parents=True)
        write(partial / MODEL, model.state_dict(), {**description, "step": step})
        write(partial / STATE, copies, {**position, "step": step})
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old.rename(folder / f".{old.name}"))
    return final


@contextlib.contextmanager
def told_if_full(folder: Path, step: int) -> Iterator[None]:
    """Say what is left where a checkpoint cannot be written, and sweep its parts."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        shutil.rmtree(folder / f".step-{step:08d}", ignore_errors=True)
        with contextlib.suppress(OSError):
            (folder / f".{BEST}").unlink()
        found = checkpoints(folder)
        last = f"the last one is {found[-1].name}" if found else "there is none yet"
        raise OSError(
            f"the checkpoint of step {step} could not be written to {folder}"
            f" ({error}); {last}. Make room, and the same command goes on"
        ) from error


def save_best(
    folder: Path, step: int, model: nn.Module, description: Mapping[str, Any]
) -> None:
    """Keep the weights of a step as the best so far, in one move.

    Raises:
        OSError: if they cannot be written.
    """
    with told_if_full(folder, step):
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f".{BEST}", model.state_dict(), {**description, "step": step})
        (folder / f".{BEST}").replace(folder / BEST)


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a training, the oldest first."""
    found = (
        path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", path.name)
    )
    return sorted(
        path for path in found if (path / MODEL).is_file() and (path / STATE).is_file()
    )


def whole_checkpoints(
    folder: Path, tell: Callable[[str], Any] = lambda line: None
) -> list[Path]:
    """The checkpoints that can be read, the oldest first; ``tell`` is called with a
    line on each that cannot, such as one that was cut off while it was copied.

    Raises:
        ValueError: if there are some and none can be read.
    """
    found, whole = checkpoints(folder), []
    for checkpoint in found:
        try:
            describe(checkpoint / MODEL)
            describe(checkpoint / STATE)
            whole.append(checkpoint)
        except (OSError, ValueError) as error:
            tell(f"left out: {error}")
    if found and not whole:
        raise ValueError(
            f"none of the {len(found)} checkpoints in {folder} can be read; delete the"
            " folder to begin anew"
        )
    return whole


def restore(
    checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rank: int = 0
) -> dict[str, Any]:
    """Bring model, optimizer and random generators back to where a checkpoint was made.

    Returns:
        The checkpoint's ``position`` and its step.

    Raises:
        ValueError: if it is of another model.
    """
    tensors, _ = read(checkpoint / MODEL)
    state, position = read(checkpoint / STATE)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"{checkpoint} holds the weights of another model: {error}"
        ) from error
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
    return position


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of this process's random generators: the processor's, and its GPU's if
    it has one.
    """
    states = {"cpu": torch.get_rng_state()}
    return states | (
        {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    )
