"""Questions in the page: plain Markdown becomes answers that open, and a mistake in the form is told."""

# ruff: noqa: F811
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from minitfm import CHAPTERS
from tests.site import ROOT, Site, browser, site, visit  # noqa: F401

QUESTION = "**Which axis sums to 1?**"
RIGHT = """\
- The `keys`, $d_k$ of them.
  <details class="right"><summary>Check</summary>

  Each query shares out its attention.

  </details>
"""
WRONG = """\
- The queries.
  <details><summary>Check</summary>

  That is the other axis.

  </details>
"""


def quiz(*parts: str) -> str:
    return '<div class="quiz">\n\n' + "\n\n".join(parts) + "\n\n</div>\n"


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Build one page of Markdown: `built(text, builder="html", language="ja")` gives the folder and the warnings."""

    def build(text: str, builder: str = "html", **config: object) -> tuple[Path, str]:
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        (source / "conf.py").write_text("")
        (source / "index.md").write_text(f"# A page\n\n{text}", encoding="utf-8")
        warnings = tmp_path / f"warnings-{builder}"
        settings = {
            "extensions": ["myst_parser", "minitfm.web.sphinx"],
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "gettext_compact": False,
            "locale_dirs": [str(tmp_path / "locale")],
            **config,
        }
        with warnings.open("w") as told, docutils_namespace():
            out = tmp_path / builder
            Sphinx(source, source, out, tmp_path / f"tree-{builder}", builder,
                   settings, status=None, warning=told, freshenv=True).build()  # fmt: skip
        return out, warnings.read_text()

    return build


def page(folder: Path) -> BeautifulSoup:
    return BeautifulSoup((folder / "index.html").read_text("utf-8"), "html.parser")


FORMS = {
    "a notebook's": quiz(QUESTION, RIGHT + WRONG),
    "a page of prose's": f":::{{quiz}}\n{QUESTION}\n\n{RIGHT}{WRONG}:::\n",
    "loose": quiz(QUESTION, RIGHT, WRONG),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_each_answer_opens_its_reason(text: str, built: Callable) -> None:
    folder, warnings = built(text)
    assert not warnings
    (box,) = page(folder).select("div.quiz")
    right, wrong = box.select("ul > li > details")
    assert "Which axis" in box.find("p").get_text()
    assert right["class"] == ["quiz-choice", "right"]
    assert right.summary.get_text() == r"The keys, \(d_k\) of them."
    assert right.summary.code
    assert "Right. Each query shares out its attention." in " ".join(
        right.select_one(".quiz-reason").get_text().split()
    )
    assert wrong["class"] == ["quiz-choice", "wrong"]
    assert wrong.summary.get_text() == "The queries."
    assert "Not this one. That is the other axis." in " ".join(wrong.get_text().split())
    assert not any(detail.has_attr("open") for detail in (right, wrong))
    assert "Check" not in box.get_text()


MISTAKES = {
    "two right answers": (quiz(QUESTION, RIGHT + RIGHT), "2, of which 2 right"),
    "none": (quiz(QUESTION, WRONG + WRONG), "2, of which 0 right"),
    "a single answer": (quiz(QUESTION, RIGHT), "1, of which 1 right"),
    "an answer without a reason": (
        quiz(QUESTION, RIGHT + WRONG + "- Both.\n"),
        "3, of which 1 right",
    ),
    "an empty reason": (
        quiz(QUESTION, RIGHT + "- No.\n  <details><summary>Check</summary></details>"),
        "2, of which 1 right",
    ),
    "no question": (quiz(RIGHT + WRONG), "answers without a question"),
    "no answers": (quiz(QUESTION), "no list of answers"),
    "no end": (f'<div class="quiz">\n\n{QUESTION}\n\n{RIGHT}{WRONG}', "no </div>"),
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_form_is_a_warning(
    text: str, told: str, built: Callable
) -> None:
    _, warnings = built(text)
    assert told in warnings
    assert "index.md" in warnings


def test_question_answers_and_reasons_are_translated(
    built: Callable, tmp_path: Path
) -> None:
    text = quiz(QUESTION, RIGHT + WRONG)
    template = (built(text, "gettext")[0] / "index.pot").read_text("utf-8")
    for message in (
        "**Which axis sums to 1?**",
        "The `keys`, $d_k$ of them.",
        "Each query shares out its attention.",
        "The queries.",
        "That is the other axis.",
    ):
        assert f'msgid "{message}"' in template
    assert "details" not in template
    catalog = tmp_path / "locale" / "ja" / "LC_MESSAGES" / "index.po"
    catalog.parent.mkdir(parents=True)
    catalog.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        'msgid "The `keys`, $d_k$ of them."\nmsgstr "`keys` です。"\n\n'
        'msgid "That is the other axis."\nmsgstr "それは別の軸です。"\n',
        encoding="utf-8",
    )
    soup = page(built(text, language="ja")[0])
    right, wrong = soup.select("div.quiz details")
    assert right.summary.get_text() == "keys です。"
    assert right.summary.code.get_text() == "keys"
    assert "正解です。" in right.get_text()
    assert "違います。" in wrong.get_text()
    assert "それは別の軸です。" in wrong.get_text()


def test_a_notebook_shows_it_without_the_site() -> None:
    # Plain CommonMark is what JupyterLab, Colab and GitHub have in common.
    plain = BeautifulSoup(MarkdownIt().render(FORMS["a notebook's"]), "html.parser")
    answers = plain.select("div.quiz > ul > li")
    assert [answer.p.get_text() for answer in answers] == [
        "The keys, $d_k$ of them.",
        "The queries.",
    ]
    for answer in answers:
        assert answer.details.summary.get_text() == "Check"
        assert answer.details.p.get_text()


def test_a_quiz_brings_its_style_and_other_pages_do_without(built: Callable) -> None:
    style = "_static/minitfm/quiz.css"
    with_quiz = built(quiz(QUESTION, RIGHT + WRONG))[0] / "index.html"
    assert style in with_quiz.read_text("utf-8")
    without = built("Some prose.")[0] / "index.html"
    assert style not in without.read_text("utf-8")


def quizzes(name: str) -> int:
    """The number of questions in a notebook."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    return sum(cell.source.count('<div class="quiz">') for cell in notebook.cells)


ASKED = [
    chapter.notebook
    for chapter in CHAPTERS
    if chapter.written and quizzes(chapter.notebook)
]


def test_the_first_chapter_asks() -> None:
    assert "01_rnn" in ASKED


@pytest.mark.parametrize("name", ASKED)
def test_a_chapter_asks_three_to_five_questions(name: str) -> None:
    assert 3 <= quizzes(name) <= 5


@pytest.mark.xdist_group("site")
@pytest.mark.timeout(420)
def test_the_keyboard_opens_an_answer(site: Site, visit: Callable) -> None:
    view = visit("notebooks/01_rnn.html")
    choice = view.page.locator(".quiz details.right").first
    reason = choice.locator(".quiz-reason")
    assert not reason.is_visible()
    choice.locator("summary").focus()
    view.page.keyboard.press("Enter")
    assert reason.is_visible()
    mark = "(s) => getComputedStyle(s, '::before').content"
    assert choice.locator("summary").evaluate(mark) == '"✓"'
    view.page.keyboard.press("Space")
    assert not reason.is_visible()
    assert not view.complaints


@pytest.mark.xdist_group("site")
@pytest.mark.timeout(420)
def test_reasons_are_printed(site: Site, visit: Callable) -> None:
    view = visit("notebooks/01_rnn.html")
    reason = view.page.locator(".quiz .quiz-reason").first
    shown = "(element) => element.checkVisibility()"
    assert not reason.evaluate(shown)
    view.page.emulate_media(media="print")
    assert reason.evaluate(shown)
