"""What stands around the pages: the entrance at the root, the page for addresses that
do not exist, the sitemap.
"""

from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx

from minitfm import CHAPTERS

HTML_BUILDERS = ("html", "dirhtml")
CARD = "card.png"
CARD_SIZE = (1200, 630)
CARD_ALT = (
    "Grow a Transformer. Lines lead from Tuesday 4 March 2025 to the same parts in"
    " Japanese, and cross."
)

STYLE = """
body { margin: 0; font: 17px/1.6 system-ui, "Segoe UI", Roboto, sans-serif;
  background: #fff; color: #222832; }
main { max-width: 36rem; margin: 0 auto; padding: 3rem 1.2rem; }
a { color: #1f6aa5; } a:focus-visible, input:focus-visible, button:focus-visible {
  outline: 3px solid #1f6aa5; outline-offset: 2px; }
input, button { font: inherit; padding: .4rem .7rem; border: 1px solid #767676;
  border-radius: 6px; background: none; color: inherit; }
form { display: flex; gap: .5rem; flex-wrap: wrap; } input { flex: 1 1 12rem; }
@media (prefers-color-scheme: dark) { body { background: #121212; color: #ced6dd; }
  a { color: #7cb9e8; } }
"""
ENTRANCE = """<!DOCTYPE html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{tags}
<meta http-equiv="refresh" content="0; url={home}"></head>
<body><main><h1>{title}</h1><p><a href="{home}">{home}</a></p></main></body>
</html>
"""
LOST = """<!DOCTYPE html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>No such page — {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="No such page in the course: the way back.">
<meta name="robots" content="noindex">
<link rel="icon" href="{base}_static/favicon.svg">
<style>{style}</style></head>
<body><main>
<p><a href="{base}{home}">{title}</a></p>
<h1>No such page</h1>
<p>The page may have moved. Try one of these, or search for what you were after:</p>
<ul>
{links}
</ul>
<form action="{base}search.html" role="search"><input type="search" name="q"
aria-label="Search the course" placeholder="Search the course"><button>Search</button>
</form>
</main></body>
</html>
"""


def sharing_tags(app: Sphinx, title: str, description: str, address: str) -> str:
    """What other sites show when somebody shares this address."""
    card = f"{app.config.html_baseurl}_static/{CARD}"
    named = {"description": description, "twitter:card": "summary_large_image"}
    properties = {
        "og:title": title,
        "og:type": "website",
        "og:url": address,
        "og:site_name": app.config.project,
        "og:description": description,
        "og:image": card,
        "og:image:width": CARD_SIZE[0],
        "og:image:height": CARD_SIZE[1],
        "og:image:alt": CARD_ALT,
    }
    lines = [f'<link rel="canonical" href="{escape(address)}">']
    lines += [
        f'<meta name="{key}" content="{escape(value)}">' for key, value in named.items()
    ]
    lines += [
        f'<meta property="{key}" content="{escape(str(value))}">'
        for key, value in properties.items()
    ]
    return "\n".join(lines)


def published(app: Sphinx, exception: Exception | None) -> bool:
    """Whether a whole website was built."""
    return exception is None and app.builder.name in HTML_BUILDERS


def description_of(app: Sphinx, page: str) -> str:
    """A page's description, as it states it itself."""
    for meta in app.env.get_doctree(page).findall(nodes.meta):
        if meta.get("name") == "description":
            return str(meta["content"])
    return ""


def write_entrance(app: Sphinx, exception: Exception | None) -> None:
    """Lead from the site's root to the welcome page, with what a page needs to be
    shared.
    """
    if not published(app, exception) or app.config.root_doc == "index":
        return
    home = app.config.root_doc
    description = description_of(app, home)
    page = ENTRANCE.format(
        lang=app.config.language,
        title=app.config.html_title,
        home=f"{home}.html",
        tags=sharing_tags(
            app,
            app.config.html_title,
            description,
            f"{app.config.html_baseurl}{home}.html",
        ),
    )
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def write_lost(app: Sphinx, exception: Exception | None) -> None:
    """Write the page that a host serves for an address that is not there.

    It may be shown at any depth, so its links begin at the site's root.
    """
    if not published(app, exception):
        return
    base = urlsplit(app.config.html_baseurl).path
    pages = [(app.config.root_doc, "Welcome")]
    pages += [
        (f"notebooks/{chapter.notebook}", f"{chapter.number}. {chapter.title}")
        for chapter in CHAPTERS
        if f"notebooks/{chapter.notebook}" in app.env.found_docs
    ]
    page = LOST.format(
        lang=app.config.language,
        title=app.config.html_title,
        base=base,
        home=f"{app.config.root_doc}.html",
        style=STYLE,
        links="\n".join(
            f'<li><a href="{base}{page}.html">{escape(title)}</a></li>'
            for page, title in pages
        ),
    )
    Path(app.outdir, "404.html").write_text(page, encoding="utf-8")


def write_sitemap(app: Sphinx, exception: Exception | None) -> None:
    """List every page for search engines; keep GitHub from leaving out `_static`."""
    if not published(app, exception):
        return
    places = "".join(
        f"<url><loc>{escape(app.config.html_baseurl + page)}.html</loc></url>\n"
        for page in sorted(app.env.found_docs)
    )
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{places}</urlset>\n",
        encoding="utf-8",
    )
    Path(app.outdir, ".nojekyll").touch()
