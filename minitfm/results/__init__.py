"""Long runs, measured once: the command that makes each table, and the table."""

import csv
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any


def append_row(table: Path, row: dict[str, Any]) -> None:
    """Print one measured row and append it to a table, with the command and the commit
    that made it.
    """
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(
        git, cwd=Path(__file__).parent, capture_output=True, text=True
    ).stdout.strip()
    module = f"minitfm.results.{Path(sys.argv[0]).stem}"
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    row = {"command": command, "commit": commit or "unknown", **row}
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
