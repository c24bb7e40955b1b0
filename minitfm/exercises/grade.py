"""Grade a folder of notebooks: ``python -m minitfm.exercises grade FOLDER``.

In every notebook the cells tagged ``exercise`` run, and those tagged ``setup`` that
they need (all cells, where the tags are gone), in a process and an empty folder of
their own. This executes whatever the learners wrote: see to it that it can do no harm.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

COLUMNS = ("file", "exercise", "passed", "tries", "message")
SECONDS = 900.0  # for one notebook; the last exercises of a chapter train a model
CHECK = re.compile(r"\bex\.(\w+)\.check\(")


def cells_to_run(notebook: Path) -> list[str]:
    """The code of a notebook's exercises and of what they need."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    tagged = [
        cell
        for cell in code
        if {"setup", "exercise"} & set(cell["metadata"].get("tags", ()))
    ]
    return ["".join(cell["source"]) for cell in tagged or code]


def run_cells(notebook: Path, report: Path) -> None:
    """Run the cells in this process, and report each check as a line of JSON at once,
    so that what was found survives an endless loop.
    """
    from IPython.core.interactiveshell import InteractiveShell

    from minitfm.exercises.engine.exercise import Task

    check = Task.check

    def reporting(task: Task, answer: Any) -> Any:
        result = check(task, answer)
        write(result.exercise, bool(result), result.message)
        return result

    def write(exercise: str, passed: bool, message: str) -> None:
        with report.open("a", encoding="utf-8") as file:
            file.write(json.dumps([exercise, passed, message]) + "\n")

    setattr(Task, "check", reporting)  # noqa: B010  every exercise reports from now on
    shell = InteractiveShell.instance()
    for code in cells_to_run(notebook):
        before = report.read_text(encoding="utf-8") if report.exists() else ""
        outcome = shell.run_cell(code)
        error = outcome.error_before_exec or outcome.error_in_exec
        after = report.read_text(encoding="utf-8") if report.exists() else ""
        if error and before == after:
            for exercise in CHECK.findall(code):
                write(exercise, False, f"{type(error).__name__}: {error}")


def grades(notebook: Path, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """A row for each exercise of a notebook, in their order.

    Raises:
        ValueError: if the file is no notebook.
    """
    try:
        code = "\n".join(cells_to_run(notebook))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook} is no notebook: {error}") from error
    found: dict[str, dict[str, Any]] = {
        exercise: {
            "file": notebook.name,
            "exercise": exercise,
            "passed": False,
            "tries": 0,
            "message": "not reached",
        }
        for exercise in CHECK.findall(code)
    }
    with tempfile.TemporaryDirectory() as empty:
        report = Path(empty, "report")
        work = Path(empty, "work")
        work.mkdir()
        command = [sys.executable, "-m", __name__, str(notebook.resolve()), str(report)]
        try:
            subprocess.run(
                command,
                cwd=work,
                env={**os.environ, "MPLBACKEND": "Agg"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            for row in found.values():
                row["message"] = f"not reached within {seconds:g} seconds"
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
    for exercise, passed, message in map(json.loads, lines):
        if exercise in found:
            row = found[exercise]
            row["tries"] += 1
            if not row["passed"]:
                row.update(passed=passed, message=message)
    yield from found.values()


def grade(folder: Path, out: TextIO, seconds: float = SECONDS) -> None:
    """Write a table of all notebooks under a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    notebooks = [
        path
        for path in sorted(folder.rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
    ]
    if not notebooks:
        raise FileNotFoundError(f"there is no notebook under {folder}")
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()
    for notebook in notebooks:
        try:
            for row in grades(notebook, seconds):
                row["file"] = notebook.relative_to(folder).as_posix()
                row["passed"] = "yes" if row["passed"] else "no"
                table.writerow(row)
        except ValueError as error:
            table.writerow({"file": notebook.name, "message": str(error)})
        out.flush()


if __name__ == "__main__":
    run_cells(Path(sys.argv[1]), Path(sys.argv[2]))
