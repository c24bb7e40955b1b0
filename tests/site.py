"""The built website, served from this machine, and a browser to look at it."""

import atexit
import fcntl
import functools
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
    "Repository"
]


def course_pages() -> list[str]:
    """Every page of the table of contents, without its ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [
        toc["root"],
        *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"]),
    ]


@dataclass(frozen=True)
class Site:
    """A built site: its folder, what the build said, and where it is served."""

    folder: Path
    log: str
    status: int
    url: str


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _build(output: Path) -> tuple[Path, str, int]:
    """Build the site as `make book` does: its folder, what was said, the exit status."""
    recipe = re.search(
        r"^\t\$\(BIN\)/(jupyter-book build .*)$",
        (ROOT / "Makefile").read_text(),
        re.MULTILINE,
    )
    assert recipe, "the Makefile no longer builds the book with jupyter-book"
    program, *arguments = shlex.split(recipe[1])
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    build = subprocess.run(
        [*command, "--path-output", str(output)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    return output / "_build" / "html", build.stdout, build.returncode


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The built site, served. It is built once, whoever of the workers comes first;
    MINITFM_SITE names one that `make book` has just built from nothing, as in CI.
    """
    given = os.environ.get("MINITFM_SITE")
    workers = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if workers else base
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = shared / "site.json"
        if not told.exists():
            found = (Path(given), "", 0) if given else _build(shared / "site")
            told.write_text(json.dumps([str(found[0]), *found[1:]]))
        folder, log, status = json.loads(told.read_text())
    handler = functools.partial(_Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    yield Site(Path(folder), log, status, url)
    server.shutdown()


def _no_browser(reason: str) -> None:
    remedy = "install Chromium (Debian, Ubuntu: sudo apt-get install chromium) or set CHROMIUM to the browser's path"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}: {remedy}", pytrace=False)
    pytest.skip(f"{reason}: {remedy}")


@functools.cache
def _chromium(path: str) -> object:
    """One browser for all test modules of this process: Playwright cannot be started a second time beside the first."""
    running = pytest.importorskip("playwright.sync_api").sync_playwright().start()
    atexit.register(running.stop)
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    return running.chromium.launch(executable_path=path, args=flags)


def chromium_path() -> str | None:
    """Where Chromium is installed, or the browser that ``CHROMIUM`` names."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )


@pytest.fixture(scope="session")
def browser() -> object:
    """A headless Chromium. Without one, a laptop skips and says how to get it; CI fails."""
    path = chromium_path()
    if not path or not Path(path).exists():
        _no_browser(
            f"there is no browser at {path}" if path else "there is no Chromium"
        )
    return _chromium(path)


@dataclass(frozen=True)
class Visit:
    """One page in the browser, and what it complained about so far."""

    page: object
    complaints: list[str]
    responses: list[object]

    def bodies(self) -> dict[str, bytes]:
        """All that the browser fetched from the site, by its place there."""
        return {
            urlsplit(response.url).path: response.body()
            for response in self.responses
            if response.url.startswith("http") and response.ok
        }


@pytest.fixture
def visit(site: Site, browser: object) -> Iterator:
    """Open a page: ``visit("book/index.html", width=360, scheme="dark")``. Requests that leave this machine are cut."""
    contexts = []

    def open_page(path: str, width: int = 1280, scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        complaints: list[str] = []
        responses: list[object] = []
        page.on("response", lambda got: responses.append(got))
        page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        page.on(
            "console",
            lambda note: (
                note.type == "error" and complaints.append(f"console: {note.text}")
            ),
        )
        page.on(
            "response",
            lambda got: (
                got.status >= 400 and complaints.append(f"{got.status} for {got.url}")
            ),
        )

        def cut(route: object) -> None:
            complaints.append(f"a request to {route.request.url}")
            route.abort()

        page.route(lambda url: not url.startswith((site.url, "data:", "blob:")), cut)
        page.goto(site.url + path, wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise?.then(() => 0)")
        page.wait_for_load_state("networkidle")
        return Visit(page, complaints, responses)

    yield open_page
    for context in contexts:
        context.close()
