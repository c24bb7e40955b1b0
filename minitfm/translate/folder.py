"""The folder of a training: whether it is one, and that nobody else writes to it."""

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minitfm import __version__
from minitfm.translate.checkpoints import checkpoints

MARK, LOCK = "training.json", ".lock"  # whose the folder is; held while one writes


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder of a training, or go on in one, and keep other processes out
    inside the ``with`` block.

    Raises:
        ValueError: if the folder holds files of something else, or another process is
            training there.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # A singleton, so that one process may claim it twice, as a run and as a training.
    lock = FileLock(folder / LOCK, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        who = mark(folder)
        raise ValueError(
            f"process {who.get('process', '?')} on {who.get('host', '?')} is training"
            f" in {folder} since {who.get('begun', '?')}; wait for it, or choose"
            " another folder"
        ) from None
    except NotImplementedError:
        pass  # a file system without locks: nobody can be kept out
    try:
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        facts = {"minitfm": __version__, "process": os.getpid()}
        facts |= {"host": socket.gethostname(), "begun": now}
        renewed = folder / f".{MARK}"
        renewed.write_text(json.dumps(facts) + "\n", "utf-8")
        renewed.replace(folder / MARK)
        yield
    finally:
        lock.release()


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds files and no training, so that nothing of the user's
    is overwritten.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for the training")
    held = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if held and not mark(folder) and not checkpoints(folder):
        raise ValueError(
            f"{folder} holds {held[0]} and no training of minitfm; name a new folder,"
            " so that nothing of yours is overwritten"
        )


def mark(folder: Path) -> dict[str, Any]:
    """What the last process that trained in the folder said of itself; empty if none
    did.
    """
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((folder / MARK).read_text("utf-8"))
        if isinstance(facts, dict) and "minitfm" in facts:
            return facts
    return {}
