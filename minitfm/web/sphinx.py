"""What a Sphinx site needs for the live pages: put `minitfm.web.sphinx` among its
extensions.

Pages that hold one of our elements get its script; `{live-transformer}` puts the live
model on a page of prose, and `minitfm.web.quiz` makes the questions.
"""

import filecmp
import json
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minitfm.web import quiz
from minitfm.web.pages import (
    DATE_EXAMPLES,
    DATE_MODEL,
    DATE_PROMPT,
    ELEMENTS,
    STATIC,
    live_html,
    read_facts,
)


class LiveTransformerDirective(SphinxDirective):
    """A live Transformer; the options `prompt`, `examples` (a JSON list), `model` (a
    file in `static`) and `play` (the first example's translation, recorded while the
    site is built, is played once).
    """

    option_spec = {  # noqa: RUF012
        "prompt": str,
        "examples": json.loads,
        "model": str,
        "play": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Make the element, with the address of its model as seen from this page."""
        to_root = "../" * self.env.docname.count("/")
        model = self.options.get("model", DATE_MODEL)
        examples = self.options.get("examples", DATE_EXAMPLES)
        recording = None
        if "play" in self.options:
            self.env.note_dependency(str(STATIC / model))
            recording = recorded(STATIC / model, examples[0])
        html = live_html(
            f"{to_root}_static/minitfm/{model}",
            self.options.get("prompt", DATE_PROMPT),
            examples,
            recording=recording,
        )
        return [nodes.raw("", html, format="html")]


def recorded(file: Path, text: str) -> dict[str, Any]:
    """What the model of this file writes, step by step."""
    from minitfm.web.recording import record  # torch, for the pages that play alone
    from minitfm.web.weights import unpack

    content = file.read_bytes()
    return record(*unpack(content), text, read_facts(content)["longest"][1])


def copy_static(app: Sphinx) -> None:
    """Put the modules and the model into the site, where they are not there yet or have
    changed.
    """
    if app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", "minitfm")
    folder.mkdir(parents=True, exist_ok=True)
    for source in STATIC.iterdir():
        target = folder / source.name
        if not target.exists() or not filecmp.cmp(source, target, shallow=False):
            shutil.copyfile(source, target)


def add_scripts(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Load an element's script, or a quiz's style, on the pages that use it, and on no
    other.
    """
    for element, script in ELEMENTS.items():
        if f"<{element}" in context.get("body", ""):
            app.add_js_file(f"minitfm/{script}", type="module")
            app.add_css_file("minitfm/page.css")
    if '<div class="quiz">' in context.get("body", ""):
        app.add_css_file("minitfm/quiz.css")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the above to the build."""
    app.add_directive("live-transformer", LiveTransformerDirective)
    quiz.setup(app)
    app.connect("builder-inited", copy_static)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
