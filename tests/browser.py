"""Pages of our own making in a browser: the live pages by themselves, without the site around them."""

import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from minitfm.web.pages import ELEMENTS, STATIC

# The theme's variables as pydata-sphinx-theme sets them, and its switch.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>A page</title>
<style>
  html {{ --pst-color-text-base: #222832; --pst-color-text-muted: #48566b; --pst-color-border: #c9c9c9;
    --pst-color-background: #fff; background: #fff; color: #222832; }}
  html[data-theme=dark] {{ color-scheme: dark; --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af;
    --pst-color-border: #48566b; --pst-color-background: #14181e; background: #14181e; color: #ced6dd; }}
</style>{scripts}<main><h1>A page</h1>{body}</main></html>
"""


@dataclass
class Pages:
    """A folder served from this machine, laid out like the site."""

    folder: Path
    address: str

    def write(self, name: str, body: str) -> str:
        """Write a page that loads our elements where the site does; return its address."""
        scripts = "".join(
            f'<script type="module" src="../_static/minitfm/{script}"></script>'
            for script in ELEMENTS.values()
        )
        (self.folder / "notebooks" / name).write_text(
            PAGE.format(scripts=scripts, body=body), encoding="utf-8"
        )
        return f"{self.address}/notebooks/{name}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """An empty site, with our static files in their place."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "notebooks").mkdir()
    (folder / "_static").mkdir()
    (folder / "_static" / "minitfm").symlink_to(STATIC)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Pages(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()


@dataclass
class Reader:
    """A reader in front of one page, and all that the browser complained of or fetched meanwhile."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def accessibility(self) -> list[str]:
        """What axe objects to."""
        self.page.evaluate(
            files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        )
        found = self.page.evaluate(
            "() => axe.run({preload: false}).then(({violations}) => violations)"
        )
        return [
            f"{rule['id']}: {node['html'][:120]}"
            for rule in found
            for node in rule["nodes"]
        ]


@pytest.fixture
def reader(pages: Pages, browser: Any) -> Iterator[Callable[..., Reader]]:
    """Open a page: `reader(address, width=360, scheme="dark")`. At the end nobody may have complained.

    Requests off this machine are cut, and are a complaint. Without `motion`, the reader prefers less of it.
    """
    opened: list[tuple[Any, Reader]] = []

    def open_page(
        address: str, width: int = 1280, scheme: str = "light", motion: bool = False
    ) -> Reader:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            reduced_motion="no-preference" if motion else "reduce",
        )
        page = context.new_page()
        here = Reader(page)
        opened.append((context, here))
        page.on(
            "pageerror", lambda error: here.complaints.append(f"script error: {error}")
        )
        page.on(
            "console",
            lambda note: (
                note.type == "error" and here.complaints.append(f"console: {note.text}")
            ),
        )
        page.on("request", lambda request: here.fetched.append(request.url))

        def cut(route: Any) -> None:
            here.complaints.append(f"a request to {route.request.url}")
            route.abort()

        page.route(
            lambda url: not url.startswith((pages.address, "data:", "blob:")), cut
        )
        page.goto(address)
        page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        return here

    yield open_page
    for context, _ in opened:
        context.close()
    assert not [complaint for _, here in opened for complaint in here.complaints]
