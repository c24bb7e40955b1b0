"""The exercises of one chapter, and how far the learner has come."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import minitfm
from minitfm.exercises.engine import texts
from minitfm.exercises.engine.show import Text, stars

if TYPE_CHECKING:
    from minitfm.exercises.engine.exercise import Task

FOLDER = Path(__file__).resolve().parents[1]


class Chapter:
    """The exercises of one chapter; what was done is kept in memory, until the learner
    asks for a file.

    Attributes:
        slug: of the chapter, in `minitfm.CHAPTERS`, which names module and texts.
        exercises: all that belong to it, by name.
        asks: the names of those that its notebook asks for, in their order.
    """

    def __init__(self, slug: str, asks: str) -> None:
        """Begin a chapter; its exercises add themselves."""
        of = {chapter.slug: chapter for chapter in minitfm.CHAPTERS}[slug]
        self.slug, self.asks = slug, tuple(asks.split())
        self.title = f"Chapter {of.number}, {of.title}"
        self.words = texts.chapter(slug)
        self.exercises: dict[str, Task] = {}

    def add(self, task: "Task") -> None:
        """Take an exercise in."""
        self.exercises[task.name] = task

    def progress(self) -> Text:
        """A table of what is done, tried and untouched."""
        asked = {name: self.exercises[name] for name in self.asks}
        done = sum(task.passed for task in asked.values())
        rows = [
            f"{self.title}: {done} of {len(asked)} right",
            "",
            "| done | exercise | difficulty | min | tries | hints |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, task in asked.items():
            mark = "✓" if task.passed else "✗" if task.tries else "○"
            seen = f"{task.hints_seen}/{len(task.hints)}"
            rows.append(
                f"| {mark} | `{name}` | {stars(task.difficulty)} | {task.minutes} | {task.tries} | {seen} |"
            )
        return Text("\n".join(rows))


def chapters() -> dict[str, Chapter]:
    """All chapters that have exercises, in their order."""
    slugs = [chapter.slug for chapter in minitfm.CHAPTERS]
    slugs = [slug for slug in slugs if (FOLDER / f"{slug}.py").exists()]
    modules = {slug: f"minitfm.exercises.{slug}" for slug in slugs}
    return {
        slug: importlib.import_module(module).chapter
        for slug, module in modules.items()
    }


def course() -> Text:
    """A table of how far you are in every chapter. A notebook knows of the others what
    `load` brings.
    """
    rows, done, asked = [], 0, 0
    for chapter in chapters().values():
        right = sum(chapter.exercises[name].passed for name in chapter.asks)
        mark = "✓" if right == len(chapter.asks) else "✗" if right else "○"
        rows.append(f"| {mark} | {chapter.title} | {right} of {len(chapter.asks)} |")
        done, asked = done + right, asked + len(chapter.asks)
    head = ["| done | chapter | right |", "| --- | --- | --- |"]
    return Text("\n".join([f"All chapters: {done} of {asked} right", "", *head, *rows]))


def _each(do: Callable[["Task", dict[str, int]], None], kept: dict) -> None:
    for slug, chapter in chapters().items():
        for name, task in chapter.exercises.items():
            do(task, kept.setdefault(slug, {}).setdefault(name, {}))


def save(path: str | Path) -> Path:
    """Write how far you have come, in all chapters, into a JSON file of your own.

    Nothing is ever written unless you call this; the answers themselves stay in your
    notebook.
    """
    kept: dict[str, dict[str, dict[str, int]]] = {}

    def note(task: "Task", row: dict[str, int]) -> None:
        row.update(passed=task.passed, tries=task.tries, hints=task.hints_seen)

    _each(note, kept)
    kept = {
        slug: {name: row for name, row in rows.items() if any(row.values())}
        for slug, rows in kept.items()
    }
    kept = {slug: rows for slug, rows in kept.items() if rows}
    path = Path(path)
    path.write_text(json.dumps({"minitfm exercises": 1, **kept}, indent=2) + "\n")
    return path


def load(path: str | Path) -> Text:
    """Go on from a file that `save` wrote; what you have done since is kept.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        kept = json.loads(Path(path).read_text())
        assert kept.pop("minitfm exercises") == 1
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError):
        told = f"{path} is no progress file; `ex.save(path)` writes one"
        raise ValueError(told) from None

    def take(task: "Task", row: dict[str, int]) -> None:
        task.passed = task.passed or bool(row.get("passed"))
        task.tries = max(task.tries, int(row.get("tries", 0)))
        seen = min(int(row.get("hints", 0)), len(task.hints))
        task.hints_seen = max(task.hints_seen, seen)

    _each(take, kept)
    done = sum(t.passed for c in chapters().values() for t in c.exercises.values())
    return Text(f"{done} exercise{'s' * (done != 1)} right so far.")
