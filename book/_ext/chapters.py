"""Pages that follow the course's own lists: ``{chapters}`` draws the table of chapters
from ``minitfm.CHAPTERS``, ``{paths}`` two ways through them, ``{exercise-index}`` the
exercises from their catalogues; ``{drawing}`` shows one of the chapters' drawings,
``{shown}`` leads from a question to the cell that answers it, ``{tested}`` to a test.
"""

import importlib
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

import minitfm
from minitfm import CHAPTERS, PARTS, Chapter
from minitfm.study import drawings, figure2

SHORT_WAY = (4, 5, 6, 9)  # numbers of chapters, for those in a hurry
NUMERALS = ("I", "II", "III", "IV", "V")
ASKED = re.compile(r"### (Exercise \d+: ([^★\n]+?) (★+☆*) · (\d+) min)")
BEGINNING = re.compile(r".{50,}?[.?](?=\s|$)", re.DOTALL)  # whole sentences


def by_part() -> Iterator[tuple[str, list[Chapter]]]:
    """The parts of the course, each with its chapters."""
    for place, (first, title) in enumerate(PARTS, 1):
        end = PARTS[place][0] if place < len(PARTS) else len(CHAPTERS) + 1
        yield (
            f"Part {NUMERALS[place - 1]}: {title}",
            [chapter for chapter in CHAPTERS if first <= chapter.number < end],
        )


class FromMarkdown(SphinxDirective):
    """A directive that writes Markdown and has it read, so that gettext sees its
    words.
    """

    def parsed(self, text: str) -> list[nodes.Node]:
        """What the Markdown means; headings may stand in it."""
        source, line = self.get_source_info()
        node = nodes.Element()
        lines = text.splitlines()
        content = StringList(lines, items=[(source, line)] * len(lines))
        self.state.nested_parse(content, self.content_offset, node, match_titles=True)
        return node.children

    def exists(self, chapter: Chapter) -> bool:
        """Whether a chapter is a page of this site."""
        return f"notebooks/{chapter.notebook}" in self.env.found_docs

    def asked(self, chapter: Chapter) -> dict[str, tuple[str, int]]:
        """The exercises that a chapter's page asks, by title: heading and minutes."""
        page = f"notebooks/{chapter.notebook}"
        if page not in self.env.found_docs:
            return {}
        file = Path(self.env.doc2path(page))
        self.env.note_dependency(str(file))
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) + "\n" for cell in cells)
        return {
            title.strip(): (heading, int(minutes))
            for heading, title, _, minutes in ASKED.findall(text)
        }


class ChaptersDirective(FromMarkdown):
    """The table of chapters, one table a part."""

    def run(self) -> list[nodes.Node]:
        """Write a table for each part."""
        self.env.note_dependency(minitfm.__file__)
        text = []
        for title, chapters in by_part():
            text.append(
                f"### {title}\n\n"
                "```{list-table}\n:header-rows: 1\n:widths: 6 30 40 12 12\n"
                ":class: chapters\n\n"
                "* - No.\n  - Question\n  - What it shows\n  - Minutes\n  - Status\n"
            )
            text += [self.row(chapter) for chapter in chapters]
            text.append("```\n\n")
        return self.parsed("".join(text))

    def row(self, chapter: Chapter) -> str:
        """A chapter's row."""
        minutes, status = "–", "planned"
        if self.exists(chapter):
            exercises = sum(minutes for _, minutes in self.asked(chapter).values())
            minutes = f"{chapter.minutes or '?'} + {exercises} for exercises"
            status = f"{{doc}}`read it </notebooks/{chapter.notebook}>`"
        return (
            f"* - {chapter.number}\n"
            f"  - **{chapter.title}.** {chapter.question}\n"
            f"  - {chapter.shows}\n  - {minutes}\n  - {status}\n"
        )


class WrittenDirective(FromMarkdown):
    """A sentence that says how many chapters there are."""

    def run(self) -> list[nodes.Node]:
        """Count them."""
        self.env.note_dependency(minitfm.__file__)
        here = [str(c.number) for c in CHAPTERS if self.exists(c)]
        which = f": {', '.join(here[:-1])} and {here[-1]}"
        if here == [str(number) for number in range(1, len(here) + 1)]:
            which = f", the first {len(here)}"
        return self.parsed(
            f"Of the {len(CHAPTERS)} chapters, {len(here)} are written{which}. The"
            " others are listed so that you can see where the road leads; they have no"
            " pages yet."
        )


class PathsDirective(FromMarkdown):
    """Two paths through the course, each with its chapters and their minutes."""

    def run(self) -> list[nodes.Node]:
        """Make a card for each."""
        self.env.note_dependency(minitfm.__file__)
        here = [chapter for chapter in CHAPTERS if self.exists(chapter)]
        short = [chapter for chapter in here if chapter.number in SHORT_WAY]
        return self.parsed(
            ":::::{grid} 1 1 2 2\n:gutter: 3\n:class-container: paths\n\n"
            + self.card("All of it", here, "From a network that reads one symbol after"
                        " another to the whole Transformer.")
            + self.card("The short way", short, "Attention and what is built of it, for"
                        " those who have met a recurrent network. Positions, residuals"
                        " and norms you take on trust; chapter 9's last exercise wants"
                        " those of chapters 7 and 8, whose minutes are not counted.")
            + ":::::\n"
        )  # fmt: skip

    def card(self, title: str, chapters: list[Chapter], what: str) -> str:
        """A path's card."""
        steps = " → ".join(
            f"{{doc}}`{chapter.number} </notebooks/{chapter.notebook}>`"
            for chapter in chapters
        )
        reading = sum(chapter.minutes for chapter in chapters)
        exercises = sum(
            minutes
            for chapter in chapters
            for _, minutes in self.asked(chapter).values()
        )
        return (
            f"::::{{grid-item-card}} {title}\n{what}\n\nChapters {steps}\n"
            f":::{{card-footer}}\n{duration(reading)} to read and run, "
            f"{duration(exercises)} for the exercises\n:::\n::::\n\n"
        )


def duration(minutes: int) -> str:
    """Minutes in hours: 3 h 10 min."""
    return f"{minutes // 60} h {minutes % 60:02} min"


class ExerciseIndexDirective(FromMarkdown):
    """Every exercise of the course."""

    def run(self) -> list[nodes.Node]:
        """Write a table for each chapter that has exercises."""
        from minitfm.exercises.engine.exercise import Task
        from minitfm.exercises.engine.show import stars

        text = []
        for chapter in CHAPTERS:
            try:
                module = importlib.import_module(f"minitfm.exercises.{chapter.slug}")
            except ModuleNotFoundError:
                continue
            self.env.note_dependency(str(module.__file__))
            asked = self.asked(chapter)
            tasks = [
                task
                for name, task in vars(module).items()
                if isinstance(task, Task) and not name.startswith("_")
            ]
            tasks.sort(key=lambda task: list(asked).index(task.title)
                       if task.title in asked else len(asked))  # fmt: skip
            where = (
                f"{{doc}}`Open the chapter </notebooks/{chapter.notebook}>`; "
                if self.exists(chapter)
                else f"Chapter {chapter.number} is planned; "
            )
            text.append(
                f"## Chapter {chapter.number}: {chapter.title}\n\n"
                f"{where}`from minitfm.exercises import {chapter.slug} as ex`\n\n"
                "```{list-table}\n:header-rows: 1\n:widths: 26 14 10 50\n"
                ":class: exercises\n\n"
                "* - Exercise\n  - Difficulty\n  - Minutes\n  - How it begins\n"
            )
            for task in tasks:
                name = f"`{task.name}`"
                if task.title in asked:
                    anchor = nodes.make_id(asked[task.title][0])
                    page = f"../notebooks/{chapter.notebook}.html"
                    name = f'<a href="{page}#{anchor}">{escape(task.title)}</a>'
                begins = BEGINNING.match(" ".join(task.statement.split()))
                text.append(
                    f"* - {name}\n  - {stars(task.difficulty)}\n"
                    f"  - {task.minutes}\n"
                    f"  - {begins[0] if begins else task.statement}\n"
                )
            text.append("```\n\n")
        return self.parsed("".join(text))


class ShownRole(SphinxRole):
    """A link to the cell that shows something: ``{shown}`9|text in that cell` ``.

    It leads to the heading that holds the text or stands above the first such cell, to
    the chapter's beginning if there is none, and nowhere while the chapter is planned.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link."""
        number, _, wanted = self.text.partition("|")
        chapter = CHAPTERS[int(number) - 1]
        page = f"notebooks/{chapter.notebook}"
        if page not in self.env.found_docs:
            text = f"comes in chapter {chapter.number}, {chapter.title}"
            return [nodes.emphasis(text, text)], []
        file = Path(self.env.doc2path(page))
        self.env.note_dependency(str(file))
        heading = heading_above(file, wanted)
        uri = f"{'../' * self.env.docname.count('/')}{page}.html"
        text = f"chapter {chapter.number}, {chapter.title}"
        if heading:
            uri += f"#{nodes.make_id(heading)}"
            text += f": {heading}"
        return [nodes.reference(text, text, refuri=uri, internal=True)], []


def heading_above(notebook: Path, wanted: str) -> str:
    """The first heading that holds this text, or the one above the first cell of code
    that does, exercises left out; nothing if there is none.
    """
    heading, above = "", {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"```.*?```", "", source, flags=re.DOTALL)
            for heading in re.findall(r"(?m)^##+ (.+)$", prose):
                above.setdefault(heading, "")
        elif heading and not heading.startswith("Exercise"):
            above[heading] += source
    if not wanted:
        return ""
    titles = [
        title for title in above if wanted in title and not title.startswith("Exercise")
    ]
    return next(
        iter([*titles, *(title for title, code in above.items() if wanted in code)]), ""
    )


class DrawingDirective(SphinxDirective):
    """``{drawing} whole``, ``attention`` or ``heads``: Figure 1 or half of Figure 2 as
    the chapters draw it, each box a link to its chapter and its class.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The drawing, its links seen from this page."""

        def page(name: str) -> str:
            return self.env.app.builder.get_relative_uri(self.env.docname, name)

        api, attention = page("book/api"), page("notebooks/04_attention")
        match self.arguments[0]:
            case "whole":
                chapters = attention.removesuffix("04_attention.html")
                drawing = drawings.architecture(api, chapters)
            case "attention":
                drawing = figure2.scaled_dot_product(api)
            case "heads":
                drawing = figure2.multi_head(api, attention)
            case name:
                raise self.error(f"there is no drawing {name!r}")
        return [nodes.raw("", drawing.svg(), format="html")]


class TestedRole(SphinxRole):
    """A link to a test: ``{tested}`test_attention.py::test_equation_1` ``, as seen from
    ``tests``; one that does not exist is a warning.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link to the file in the repository."""
        file, _, name = self.text.partition("::")
        path = Path(self.env.srcdir, "tests", file)
        if not path.is_file() or f"\ndef {name}(" not in path.read_text("utf-8"):
            message = self.inliner.reporter.warning(
                f"there is no test {self.text}", line=self.lineno
            )
            return [nodes.literal(name, name)], [message]
        self.env.note_dependency(str(path))
        repository = self.env.config.html_theme_options["repository_url"]
        words = name.removeprefix("test_").replace("_", " ")
        uri = f"{repository}/blob/main/tests/{file}"
        return [nodes.reference(words, words, refuri=uri, internal=False)], []


def setup(app: Sphinx) -> None:
    """Teach Sphinx the above."""
    app.add_directive("chapters", ChaptersDirective)
    app.add_directive("chapters-written", WrittenDirective)
    app.add_directive("paths", PathsDirective)
    app.add_directive("exercise-index", ExerciseIndexDirective)
    app.add_directive("drawing", DrawingDirective)
    app.add_role("tested", TestedRole())
    app.add_role("shown", ShownRole())
