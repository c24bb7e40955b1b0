"""What the site needs beyond its theme: its own copy of MathJax, repairs of the stock
pages, accessible names.
"""

import re
import shutil
from importlib.metadata import files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

HTML_BUILDERS = ("html", "dirhtml")
KANA_OR_KANJI = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
ENTRANCE = """<!DOCTYPE html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{title}</title>
<meta name="description" content="{title}">
<meta http-equiv="refresh" content="0; url={home}"></head>
<body><main><h1>{title}</h1><p><a href="{home}">{home}</a></p></main></body>
</html>
"""


def mathjax_files() -> dict[str, Path]:
    """Where each file of MathJax lies in the installed package, by its place in the
    site's ``_static/mathjax``.
    """
    wanted = re.compile(
        r"mathjax/static/mathjax/(?:es5/)?(LICENSE|tex-chtml\.js|output/chtml/fonts/woff-v2/.+)"
    )
    found = {}
    for file in files("django-static-mathjax") or []:
        if match := wanted.fullmatch(file.as_posix()):
            found[match[1]] = Path(str(file.locate()))
    return found


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Serve formulas from the site itself: pages with math need no other host."""
    if exception or app.builder.name not in HTML_BUILDERS:
        return
    for place, source in mathjax_files().items():
        target = Path(app.outdir, "_static", "mathjax", place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def write_entrance(app: Sphinx, exception: Exception | None) -> None:
    """Lead from the site's root to the welcome page, with a title and a language as
    every page has them.
    """
    if (
        exception
        or app.builder.name not in HTML_BUILDERS
        or app.config.root_doc == "index"
    ):
        return
    page = ENTRANCE.format(
        lang=app.config.language,
        title=app.config.html_title,
        home=f"{app.config.root_doc}.html",
    )
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def drop_thebe(
    app: Sphinx,
    pagename: str,
    template: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """Remove what Jupyter Book adds for thebe even where it is off: it declares one
    constant twice on every page.
    """

    def unwanted(asset: object) -> bool:
        name = str(getattr(asset, "filename", "") or "")
        body = str((getattr(asset, "attributes", None) or {}).get("body") or "")
        return "thebe" in name or "THEBE_JS_URL" in body

    for kind in ("script_files", "css_files"):
        if kind in context:
            context[kind] = [asset for asset in context[kind] if not unwanted(asset)]
    context["default_mode"] = (
        "auto"  # left empty, the theme reports an invalid mode on every page
    )


def repair_markup(
    app: Sphinx,
    pagename: str,
    template: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """Repair Sphinx's HTML: parameters are no definition list, and references have a
    role that ARIA has dropped.
    """

    def lines(signature: re.Match) -> str:
        parameters = re.sub(
            r"<dd>(.*?)</dd>",
            r'<span class="sig-line">\1</span>',
            signature[2],
            flags=re.DOTALL,
        )
        return f'{signature[1]}<span class="sig-lines">{parameters}</span>'

    if body := context.get("body"):
        body = re.sub(
            r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>',
            lines,
            body,
            flags=re.DOTALL,
        )
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def mark_japanese_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Tell browsers and screen readers which glossary terms are Japanese."""
    for term in doctree.findall(nodes.term):
        if KANA_OR_KANJI.search(term.astext()):
            term["classes"].append("language-ja")


def keep_colons_in_returns(
    app: Sphinx, what: str, name: str, thing: object, options: dict, lines: list[str]
) -> None:
    """Stop napoleon from reading "The table in float64: …" as a type: our types stand
    in the signatures only.
    """
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            text = lines[number + 1]
            lines[number + 1] = (
                text[: len(text) - len(text.lstrip())] + ": " + text.lstrip()
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the above to the build."""
    app.connect(
        "autodoc-process-docstring", keep_colons_in_returns, priority=400
    )  # napoleon follows at 500
    app.connect("doctree-read", mark_japanese_terms)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", repair_markup)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", write_entrance, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
