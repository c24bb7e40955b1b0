"""What the site needs beyond its theme: its own copy of MathJax, repairs of the stock
pages, accessible names. The mends of whole pages are in `mend`, what stands around them
in `around`.
"""

import re
import shutil
from importlib.metadata import files
from pathlib import Path

import around
import chapters
import mend
from around import HTML_BUILDERS
from docutils import nodes
from mend import KANA_OR_KANJI
from sphinx import addnodes
from sphinx.application import Sphinx

from minitfm import CHAPTERS

NUMBERS = {chapter.notebook: chapter.number for chapter in CHAPTERS}


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
        body = body.replace('role="doc-biblioentry"', 'role="listitem"')
        body = mend.fold_assertions(body, app.config.language)
        body = mend.plain_signs(body)
        context["body"] = mend.load_images_late(body)
    for neighbor in filter(None, (context.get("prev"), context.get("next"))):
        number = NUMBERS.get(Path(neighbor["link"]).stem)
        if number and number != neighbor.get("number"):
            neighbor["number"] = number
            neighbor["title"] = f"{number}. {neighbor['title']}"


def mend_pages(app: Sphinx) -> None:
    """Mend each page as it is written."""
    if app.builder.name not in HTML_BUILDERS:
        return
    render = app.builder.templates.render

    def mended(template: str, context: dict) -> str:
        page = render(template, context)
        if not page.lstrip().startswith("<!DOCTYPE html>"):
            return page
        name = context["pagename"]
        page = mend.lighten(page, name)
        page = mend.number_chapters(page, name, NUMBERS)
        page = mend.describe(page, context.get("title", ""), app.config.project)
        return page if app.config.language == "ja" else mend.mark_japanese(page)

    app.builder.templates.render = mended


def name_glossary_terms(
    app: Sphinx,
    pagename: str,
    template: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """Let the search name each term of the glossary and lead to it, as it does with
    headings.
    """
    indexer = getattr(app.builder, "indexer", None)
    if doctree is None or indexer is None:
        return
    terms = [
        (term.astext(), term["ids"][0])
        for glossary in doctree.findall(addnodes.glossary)
        for term in glossary.findall(nodes.term)
    ]
    if terms:
        indexer._all_titles[pagename] = [
            *indexer._all_titles.get(pagename, []),
            *terms,
        ]
        # Sphinx has them as entries of the index, too, but shows only "Glossary".
        indexer._index_entries.pop(pagename, None)


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
    chapters.setup(app)
    app.connect(
        "autodoc-process-docstring", keep_colons_in_returns, priority=400
    )  # napoleon follows at 500
    app.connect("doctree-read", mark_japanese_terms)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", repair_markup)
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", name_glossary_terms)
    app.connect("builder-inited", mend_pages, priority=900)
    for write in (around.write_entrance, around.write_lost, around.write_sitemap):
        app.connect("build-finished", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
