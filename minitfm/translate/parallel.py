"""Several processes that train one model: each takes its share of every batch."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor


@contextlib.contextmanager
def processes() -> Iterator[tuple[int, int, torch.device]]:
    """Join the processes that ``torchrun`` started, if it did.

    Yields:
        This process's rank, the number of processes, and its device.
    """
    gpu, local = torch.cuda.is_available(), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0, 1, device
        return
    distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size(), device
    finally:
        distributed.destroy_process_group()


def world_and_rank() -> tuple[int, int]:
    """The number of processes, and the rank of this one."""
    return (
        (distributed.get_world_size(), distributed.get_rank())
        if distributed.is_initialized()
        else (1, 0)
    )


def summed(value: Tensor, world: int) -> Tensor:
    """The sum over all processes."""
    if world > 1:
        distributed.all_reduce(value)
    return value


def gathered(value: Any, world: int) -> list[Any]:
    """The values of all processes, in the order of their ranks."""
    values = [value] * world
    if world > 1:
        distributed.all_gather_object(values, value)
    return values
