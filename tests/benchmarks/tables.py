"""Where the benchmarks put what the page on speed shows."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path


def keep(
    folder: Path | None,
    name: str,
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Write a table as FOLDER/NAME.csv, if a folder was named."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([head, *rows])
