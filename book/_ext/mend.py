"""Mends of a finished page, each from HTML to HTML: lighter, with numbered chapters,
Japanese marked as such, passed assertions folded away.
"""

import ast
import re
from html import escape, unescape

KANA_OR_KANJI = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
JAPANESE = re.compile(
    r"[0-9]*[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"
    r"(?:[0-9]*[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])*"
)
# What no span may stand in, comments, tags, and the text between.
PIECES = re.compile(
    r"<(script|style|title|textarea|select)\b.*?</\1>|<svg\b.*?</svg>|<!--.*?-->|<[^>]*>"
    r"|[^<]+",
    re.DOTALL,
)
SVG_TEXT = re.compile(r"<(text|tspan)\b([^>]*)>(?=([^<]*))")

SEARCH_SCRIPTS = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*">'
    r"</script>"
)
ICON_SCRIPT = re.compile(
    r"\s*(?:<!-- So that users can add custom icons -->\s*)?"
    r"<script[^>]*scripts/fontawesome\.js[^>]*></script>"
)
MATHJAX = re.compile(
    r"\s*<script>window\.MathJax = .*?</script>"
    r"|\s*<script[^>]*mathjax/tex-chtml[^>]*></script>"
)
FORMULA = re.compile(r'<(?:span|div) class="math[ "]')

CELL_CODE = re.compile(
    r'(<div class="cell_input[^"]*">\s*<div class="highlight-\S+ notranslate">'
    r'<div class="highlight"><pre>)(.*?)(</pre>)',
    re.DOTALL,
)
OUTPUT = re.compile(r'<div class="output stream[^"]*">.*?</pre>', re.DOTALL)
CHECKED = {"en": "checked", "ja": "検証済み"}


def lighten(page: str, name: str) -> str:
    """Drop the scripts that a page does not use: icons are drawn by a font, formulas
    stand on some pages, and the search's index serves the search page alone.
    """
    page = ICON_SCRIPT.sub("", page)
    # The one icon of the font of brands costs 115 KiB.
    page = page.replace('"fab fa-github"', '"fa-solid fa-code-branch"')
    if name != "search":
        page = SEARCH_SCRIPTS.sub("", page)
    if not FORMULA.search(page):
        page = MATHJAX.sub("", page)
    return page


def describe(page: str, title: str, project: str) -> str:
    """Give every page a description, and show the same one where it is shared."""
    found = re.search(r'<meta content="([^"]*)" name="description" />', page)
    if not found:
        found = re.search(r'<meta name="description" content="([^"]*)"', page)
    if found:
        return re.sub(
            r'(<meta property="og:description" content=")[^"]*',
            lambda tag: tag[1] + found[1],
            page,
        )
    text = escape(f"{unescape(re.sub('<[^>]*>', '', title)) or project}: a page of the"
                  f" course {project}.")  # fmt: skip
    tag = f'<meta name="description" content="{text}" />'
    return page.replace("</title>", f"</title>\n    {tag}", 1)


def plain_signs(body: str) -> str:
    """Begin a row of measured numbers with ≈: the bar behind it is for the comparison
    of outputs alone (tests/sanitize.cfg), and stays in code.
    """
    return OUTPUT.sub(lambda found: found[0].replace("≈|", "≈ "), body)


def load_images_late(body: str) -> str:
    """Let the browser fetch a picture when it comes near, and keep its place till then:
    that takes its size in attributes, where docutils writes a style.
    """
    body = re.sub(
        r'(<img [^>]*)style="width: (\d+)px; height: (\d+)px;"',
        r'\1width="\2" height="\3"',
        body,
    )
    return re.sub(r"<img (?![^>]*\bloading=)", '<img loading="lazy" ', body)


def mark_japanese(page: str) -> str:
    """Tell browsers and screen readers which words of an English page are Japanese."""
    head, body, rest = page.partition("<body")
    last = ""
    marked = []
    for found in PIECES.finditer(body + rest):
        piece = found[0]
        if piece.startswith("<svg"):
            piece = SVG_TEXT.sub(mark_svg_text, piece)
        elif piece.startswith("<"):
            last = piece
        elif KANA_OR_KANJI.search(piece) and not re.search(
            r'lang="ja"|class="math', last
        ):
            piece = JAPANESE.sub(mark_run, piece)
        marked.append(piece)
    return head + "".join(marked)


def mark_run(run: re.Match[str]) -> str:
    """Mark one run of Japanese characters, unless it is punctuation alone."""
    if not KANA_OR_KANJI.search(run[0]):
        return run[0]
    return f'<span lang="ja">{run[0]}</span>'


def mark_svg_text(start: re.Match[str]) -> str:
    """Mark a piece of text in a drawing."""
    name, attributes, text = start.groups()
    if not KANA_OR_KANJI.search(text) or "lang=" in attributes:
        return start[0]
    return f'<{name} lang="ja"{attributes}>'


def number_chapters(page: str, name: str, numbers: dict[str, int]) -> str:
    """Put each chapter's number before its title in the navigation.

    Args:
        page: the page's HTML.
        name: the page's own name, which its entry links to as "#".
        numbers: the number of each notebook that is a chapter.
    """

    def numbered(link: re.Match[str]) -> str:
        target = name if link[2] == "#" else link[2]
        notebook = target.rpartition("/")[2].removesuffix(".html")
        if notebook not in numbers:
            return link[0]
        number = f'<span class="chapter-number">{numbers[notebook]}</span>'
        return f"{link[1]}{number} "

    start = page.find('<nav class="bd-links')
    end = page.find("</nav>", start)
    if start < 0:
        return page
    links = re.sub(
        r'(<a class="[^"]*\binternal" href="([^"]*)">)', numbered, page[start:end]
    )
    return page[:start] + links + page[end:]


def only_asserts(statement: ast.stmt) -> bool:
    """Whether a statement asserts and does nothing else."""
    if isinstance(statement, ast.For):
        return all(map(only_asserts, statement.body)) and not statement.orelse
    return isinstance(statement, ast.Assert)


def asserted_lines(code: str) -> list[tuple[int, int]]:
    """The first and last lines, counted from 0, of each run of assertions in a cell;
    none where a cell does nothing else.
    """
    try:
        statements = ast.parse(re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", code)).body
    except SyntaxError:
        return []
    runs: list[tuple[int, int]] = []
    follows = False
    for statement in statements:
        asserts = only_asserts(statement)
        if asserts:
            first = runs.pop()[0] if follows else statement.lineno - 1
            runs.append((first, (statement.end_lineno or statement.lineno) - 1))
        follows = asserts
    return [] if all(map(only_asserts, statements)) else runs


def fold_assertions(body: str, language: str = "en") -> str:
    """Fold the assertions of the notebooks' cells into a mark that opens.

    A stored output means that the cell ran to its end, so they have passed.
    """

    def fold(cell: re.Match[str]) -> str:
        text = unescape(re.sub(r"<[^>]*>", "", cell[2]))
        lines = cell[2].split("\n")
        for first, last in reversed(asserted_lines(text)):
            code = "\n".join(lines[first : last + 1])
            word = CHECKED.get(language, CHECKED["en"])
            folded = (
                f'<details class="checked"><summary>{word}</summary>{code}\n</details>'
            )
            after = lines[last + 1] if last + 1 < len(lines) else ""
            lines[first : last + 2] = [folded + after]
        return cell[1] + "\n".join(lines) + cell[3]

    return CELL_CODE.sub(fold, body)
