"""The words of a chapter's exercises, which stand apart from the code: one Markdown file
a chapter, ``exercises/texts/<slug>.md``.

    ## name: Title

    The statement.

    ### Says
    number {d_hidden} of the new state is {got}, expected {want}

    ### Hints
    1. A nudge.
    2. Almost the answer.

    ### Mistakes
    - **name of the mistake**: what the learner reads.

A hint or a message may run over several lines; it ends where the next one begins. To
translate a chapter, translate its file: names, code and the words in braces stay.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "texts"


@dataclass(frozen=True)
class Words:
    """The words of one exercise.

    Attributes:
        title: as a heading.
        statement: what to do, as Markdown.
        says: how to say which entry differs, with the axes' names, ``{got}`` and
            ``{want}`` in it; "" for the plain way.
        hints: from a nudge to almost the answer.
        messages: what to say of each known mistake, by its name.
    """

    title: str = ""
    statement: str = ""
    says: str = ""
    hints: tuple[str, ...] = ()
    messages: dict[str, str] = field(default_factory=dict)


@cache
def chapter(slug: str, folder: Path = FOLDER) -> dict[str, Words]:
    """The words of all exercises of a chapter, by the exercise's name."""
    return parsed((folder / f"{slug}.md").read_text(encoding="utf-8"))


def parsed(text: str) -> dict[str, Words]:
    """Read the format above.

    Raises:
        ValueError: if a heading is none of those above.
    """
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        name, _, title = heading.partition(": ")
        statement, *parts = re.split(r"^### ", body, flags=re.MULTILINE)
        blocks = dict(part.split("\n", 1) for part in parts)
        unknown = blocks.keys() - {"Says", "Hints", "Mistakes"}
        if unknown:
            raise ValueError(f"{name} has the heading {unknown.pop()!r}")
        hints = re.split(r"^\d+\. ", blocks.get("Hints", ""), flags=re.MULTILINE)[1:]
        rows = re.split(r"^- \*\*", blocks.get("Mistakes", ""), flags=re.MULTILINE)[1:]
        messages = dict(row.split("**: ", 1) for row in rows)
        found[name.strip()] = Words(
            title.strip() or name.strip().replace("_", " "),
            statement.strip(),
            flat(blocks.get("Says", "")),
            tuple(map(flat, hints)),
            {one: flat(message) for one, message in messages.items()},
        )
    return found


def flat(text: str) -> str:
    """A paragraph in one line."""
    return " ".join(text.split())
