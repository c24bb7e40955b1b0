"""Questions whose answers open on the page: what ``minitfm.web.sphinx`` makes of them.

A quiz is plain Markdown, so that it reads well in JupyterLab, on Colab and on GitHub:
each answer of a list hides its reason, and the right one says so in its class. ::

    <div class="quiz">

    **Does a longer name need more weights?**

    - Yes, one matrix more for each letter.
      <details><summary>Check</summary>

      The same three weights are used at every step.

      </details>
    - No.
      <details class="right"><summary>Check</summary>

      A longer name only takes more steps.

      </details>

    </div>

A page of prose may write ``:::{quiz}`` and ``:::`` in place of the two ``div`` lines.
On the site a click on an answer opens its reason. That takes no script and no kernel,
the keyboard reaches every answer, and gettext sees questions, answers and reasons as
the paragraphs that they are.
"""

import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

START = re.compile(r'\s*<div class="quiz">\s*')
END = re.compile(r"\s*</div>\s*")
REASON = re.compile(
    r'\s*<details( class="right")?>\s*<summary>[^<]*</summary>\s*', re.DOTALL
)
CLOSED = re.compile(r"\s*</details>\s*")
VERDICTS = {"en": ("Right.", "Not this one."), "ja": ("正解です。", "違います。")}

log = logging.getLogger(__name__)


class quiz(nodes.Element):
    """One or more questions, each with a list of its choices below."""


class quiz_choice(nodes.Element):
    """An answer and its reason; ``right`` says which kind it is."""


class quiz_answer(nodes.paragraph):
    """The text of an answer."""


class quiz_reason(nodes.Element):
    """Why an answer is right or wrong; ``verdict`` says which in words."""


class QuizDirective(SphinxDirective):
    """A quiz on a page of prose."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse what stands inside; the transform below does the rest."""
        node = quiz()
        self.set_source_info(node)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def html_of(node: nodes.Node, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Whether a node is a line of HTML that looks like this."""
    if isinstance(node, nodes.raw) and node.get("format") == "html":
        return pattern.fullmatch(node.astext())
    return None


class MakeQuizzes(SphinxTransform):
    """Turn the HTML that a quiz is written in into nodes, and say what is wrong with
    it.
    """

    default_priority = 15  # translations are put in at 20

    def apply(self, **_: object) -> None:
        """Find the quizzes of a page."""
        for start in list(self.document.findall(nodes.raw)):
            if html_of(start, START):
                self.gather(start)
        for node in self.document.findall(quiz):
            self.check(node)

    def gather(self, start: nodes.raw) -> None:
        """Move what stands between ``<div class="quiz">`` and ``</div>`` into a
        quiz.
        """
        siblings = start.parent.children
        first = siblings.index(start)
        for last in range(first + 1, len(siblings)):
            if html_of(siblings[last], END):
                break
        else:
            log.warning("a quiz has no </div>", location=start)
            return
        inside = siblings[first + 1 : last]
        node = quiz("", *inside)
        node.source, node.line = start.source, start.line
        start.parent[first : last + 1] = [node]

    def check(self, node: nodes.Element) -> None:
        """Make the choices of every question in a quiz; there must be some."""
        lists = [part for part in node if isinstance(part, nodes.bullet_list)]
        if not lists:
            log.warning("a quiz has no list of answers", location=node)
        for answers in lists:
            question = node[node.index(answers) - 1] if node.index(answers) else None
            if not isinstance(question, nodes.paragraph):
                log.warning("a quiz has answers without a question", location=node)
            choices = [self.choice(item) for item in answers]
            right = sum(choice["right"] for choice in choices if choice is not None)
            if len(choices) < 2 or None in choices or right != 1:
                log.warning(
                    "a quiz needs two answers or more, each with its reason in"
                    " <details>, and exactly one of them <details"
                    ' class="right">: here are %d, of which %d right',
                    len(choices),
                    right,
                    location=question or node,
                )
            answers["classes"].append("quiz-answers")

    def choice(self, item: nodes.list_item) -> quiz_choice | None:
        """Make a choice of an answer and what its ``<details>`` hides; None if it hides
        nothing.
        """
        if len(item) < 4 or not isinstance(item[0], nodes.paragraph):
            return None
        answer, opening, *reason, closing = item.children
        found = html_of(opening, REASON)
        if not found or not html_of(closing, CLOSED):
            return None
        right = bool(found[1])
        words = VERDICTS.get(self.config.language, VERDICTS["en"])
        text = quiz_answer(answer.rawsource, "", *answer.children)
        text.source, text.line = answer.source, answer.line
        choice = quiz_choice(
            "",
            text,
            quiz_reason("", *reason, verdict=words[0 if right else 1]),
            right=right,
        )
        item.children = []
        item += choice
        return choice


def open_quiz(writer: nodes.NodeVisitor, node: quiz) -> None:
    """Begin the box of a quiz."""
    writer.body.append('<div class="quiz">\n')


def open_choice(writer: nodes.NodeVisitor, node: quiz_choice) -> None:
    """Begin an answer that opens."""
    kind = "right" if node["right"] else "wrong"
    writer.body.append(f'<details class="quiz-choice {kind}">\n')


def open_answer(writer: nodes.NodeVisitor, node: quiz_answer) -> None:
    """Begin the text to click on."""
    writer.body.append("<summary>")


def open_reason(writer: nodes.NodeVisitor, node: quiz_reason) -> None:
    """Begin what opens, with the verdict in words."""
    writer.body.append(
        f'<div class="quiz-reason"><p class="quiz-verdict">{node["verdict"]}</p>\n'
    )


def closing(tag: str) -> Callable[[nodes.NodeVisitor, nodes.Element], None]:
    """What ends an element of this name."""

    def close(writer: nodes.NodeVisitor, node: nodes.Element) -> None:
        writer.body.append(f"</{tag}>\n")

    return close


def nothing(writer: nodes.NodeVisitor, node: nodes.Element) -> None:
    """Elsewhere than in HTML the text alone is shown."""


def setup(app: Sphinx) -> None:
    """Teach Sphinx the above."""
    opened: dict[type[nodes.Element], tuple[Any, Any]] = {
        quiz: (open_quiz, closing("div")),
        quiz_choice: (open_choice, closing("details")),
        quiz_answer: (open_answer, closing("summary")),
        quiz_reason: (open_reason, closing("div")),
    }
    others: dict[str, Any] = dict.fromkeys(
        ("latex", "text", "man", "texinfo"), (nothing, nothing)
    )
    for node, html in opened.items():
        app.add_node(node, html=html, **others)
    app.add_directive("quiz", QuizDirective)
    app.add_transform(MakeQuizzes)
