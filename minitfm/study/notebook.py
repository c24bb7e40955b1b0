"""What the notebooks share besides the models: the live source of the package, tables
of long runs, the device.
"""

import csv
import inspect
import textwrap
from importlib import resources
from importlib.metadata import metadata
from typing import Any

import torch


def repository() -> str:
    """The address of the project's repository, as the installed package states it."""
    links = dict(
        entry.split(", ", 1)
        for entry in metadata("minitfm").get_all("Project-URL") or []
    )
    return links["Repository"]


class Source:
    """The source of a function, method or class of this package; a notebook shows it
    with a link to its file (not to its lines: these move with every edit above them).
    """

    def __init__(self, *things: Any) -> None:
        """Show ``things`` one below the other, as they stand in the installed
        package.
        """
        self.things = things

    def _parts(self) -> list[tuple[str, str]]:
        parts = []
        for thing in self.things:
            path = thing.__module__.replace(".", "/") + ".py"
            link = f"{repository()}/blob/main/{path}"
            parts.append(
                (
                    textwrap.dedent(inspect.getsource(thing)).rstrip(),
                    f"[{thing.__qualname__} in {path}]({link})",
                )
            )
        return parts

    def __repr__(self) -> str:
        return "\n\n".join(code for code, _ in self._parts())

    def _repr_markdown_(self) -> str:
        return "\n\n".join(
            f"```python\n{code}\n```\n{link}" for code, link in self._parts()
        )


def results(name: str) -> list[dict[str, str]]:
    """The rows of a long run's table, measured once; each row says by which command.

    Args:
        name: the table's name, such as ``"pronunciation"``.

    Raises:
        FileNotFoundError: if there is no such table; the message lists those there are.
    """
    folder = resources.files("minitfm.results")
    table = folder / f"{name}.csv"
    if not table.is_file():
        known = ", ".join(
            sorted(
                file.name.removesuffix(".csv")
                for file in folder.iterdir()
                if file.name.endswith(".csv")
            )
        )
        raise FileNotFoundError(f"there is no table {name!r}; there are: {known}")
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def device() -> torch.device:
    """The fastest device here: a CUDA GPU, an Apple GPU, or the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator if accelerator is not None else torch.device("cpu")
