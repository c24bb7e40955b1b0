"""The website is whole: it builds without a warning, links lead somewhere, and a browser has nothing to complain of."""

# ruff: noqa: F811
import gzip
import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from minitfm import CHAPTERS, PARTS
from minitfm.exercises.engine.exercise import Task
from minitfm.study import plots
from tests.site import REPOSITORY, ROOT, Site, browser, course_pages, site, visit  # noqa: F401

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(420)]

PAGES = course_pages()
ALL_PAGES = [*PAGES, "search", "genindex"]
WIDTHS = [1280, 360]
SLUG = urlsplit(REPOSITORY).path.strip("/")
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["html_baseurl"]  # fmt: skip


@pytest.fixture(scope="session")
def soups(site: Site) -> dict[str, BeautifulSoup]:
    """Every page of the built site, parsed, by its address within the site."""
    found = {}
    for file in sorted(site.folder.rglob("*.html")):
        if "_static" not in file.parts:
            found[file.relative_to(site.folder).as_posix()] = BeautifulSoup(
                file.read_text("utf-8"), "html.parser"
            )
    return found


def test_the_site_builds_without_a_warning(site: Site) -> None:
    problems = [
        line
        for line in site.log.splitlines()
        if re.search("WARNING|ERROR|Traceback", line)
    ]
    assert not problems, "\n".join(problems)
    assert site.status == 0, site.log[-3000:]


def test_every_page_of_the_contents_is_built(site: Site) -> None:
    missing = [page for page in PAGES if not (site.folder / f"{page}.html").is_file()]
    assert not missing


def test_internal_links_and_anchors_resolve(
    site: Site, soups: dict[str, BeautifulSoup]
) -> None:
    anchors = {
        path: {tag["id"] for tag in soup.find_all(id=True)}
        for path, soup in soups.items()
    }
    broken, checked = [], 0
    for path, soup in soups.items():
        if path == "404.html":  # its links begin at the published site's root
            continue
        for link in soup.find_all("a", href=True):
            target = urlsplit(urljoin(f"http://site/{path}", link["href"]))
            if target.netloc != "site" or target.scheme != "http":
                continue
            checked += 1
            place = unquote(target.path).lstrip("/") or "index.html"
            fragment = unquote(target.fragment)
            if not (site.folder / place).is_file():
                broken.append(f"{path}: no file for {link['href']}")
            elif fragment and place in anchors and fragment not in anchors[place]:
                broken.append(f"{path}: no anchor for {link['href']}")
    assert not broken, "\n".join(sorted(set(broken)))
    assert checked > 100


def outside(address: str) -> bool:
    """Whether loading this address leaves the site."""
    return bool(re.match(r"\s*(?:https?:)?//", address))


def test_no_page_loads_anything_from_another_host(
    site: Site, soups: dict[str, BeautifulSoup]
) -> None:
    loads = {"script": "src", "img": "src", "source": "src", "video": "src", "audio": "src", "iframe": "src",
             "object": "data", "embed": "src", "image": "href", "use": "href"}  # fmt: skip
    found = []
    for path, soup in soups.items():
        for name, attribute in loads.items():
            found += [
                f"{path}: {tag[attribute]}"
                for tag in soup.find_all(name)
                if outside(tag.get(attribute, ""))
            ]
        for link in soup.find_all("link", href=True):
            if outside(link["href"]) and not {
                "canonical",
                "alternate",
                "next",
                "prev",
            } & set(link.get("rel", [])):
                found.append(f"{path}: {link['href']}")
        found += [
            f"{path}: {tag['srcset']}"
            for tag in soup.find_all(srcset=True)
            if outside(tag["srcset"])
        ]
    for sheet in site.folder.rglob("*.css"):
        for address in re.findall(
            r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)",
            sheet.read_text("utf-8"),
        ):
            found += [f"{sheet.name}: {part}" for part in address if outside(part)]
    assert not found, "\n".join(found)


def test_every_page_has_a_language_a_title_and_a_description(
    soups: dict[str, BeautifulSoup],
) -> None:
    poor = []
    for path, soup in soups.items():
        if not soup.html.get("lang"):
            poor.append(f"{path}: no language")
        if not soup.title or not soup.title.get_text(strip=True):
            poor.append(f"{path}: no title")
        description = soup.find("meta", attrs={"name": "description"})
        if path.removesuffix(".html") in PAGES and not (
            description and description["content"].strip()
        ):
            poor.append(f"{path}: no description")
    assert not poor, "\n".join(poor)


def test_every_image_has_a_text_alternative(soups: dict[str, BeautifulSoup]) -> None:
    silent, images = [], 0
    for path, soup in soups.items():
        for image in soup.find_all("img"):
            images += 1
            alt = image.get("alt", "").strip()
            if (
                not alt
                or Path(urlsplit(image.get("src", "")).path).name == Path(alt).name
            ):
                silent.append(f"{path}: {str(image)[:120]}")
    assert not silent, "\n".join(silent)
    assert images


@pytest.mark.parametrize("page", PAGES)
def test_launch_and_edit_links_lead_to_the_page_in_the_one_repository(
    page: str, soups: dict[str, BeautifulSoup]
) -> None:
    links = {link["href"] for link in soups[f"{page}.html"].find_all("a", href=True)}
    source = f"{page}.ipynb" if page.startswith("notebooks/") else f"{page}.md"
    assert (ROOT / source).is_file()
    assert f"{REPOSITORY}/edit/main/{source}" in links
    assert REPOSITORY in links
    assert any(link.startswith(f"{REPOSITORY}/issues/new") for link in links)
    launches = {link for link in links if re.match("https://(colab|mybinder)", link)}
    if source.endswith(".md"):
        assert not launches
    else:
        assert launches == {
            f"https://colab.research.google.com/github/{SLUG}/blob/main/{source}",
            f"https://mybinder.org/v2/gh/{SLUG}/main?urlpath=lab/tree/{source}",
        }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ALL_PAGES)
def test_the_browser_has_nothing_to_complain_of(
    path: str, width: int, scheme: str, visit
) -> None:
    view = visit(f"{path}.html", width, scheme)
    problems = view.complaints
    if (
        shown := view.page.evaluate("document.documentElement.dataset.theme")
    ) != scheme:
        problems.append(f"the page is {shown}")
    if (
        too_wide := view.page.evaluate(
            "document.scrollingElement.scrollWidth - innerWidth"
        )
    ) > 0:
        problems.append(f"the page is {too_wide} px wider than the screen")
    view.page.evaluate(
        files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    )
    # Colors do not depend on the width. Preload would fetch the style sheets' imports from the wrong folder.
    contrast = {"color-contrast": {"enabled": width == WIDTHS[0]}}
    options = {"preload": False, "resultTypes": ["violations"], "rules": contrast}
    for rule in view.page.evaluate(
        "(options) => axe.run(options).then((result) => result.violations)", options
    ):
        problems += [
            f"{rule['id']}: {node['html'][:160]}" for node in rule["nodes"][:3]
        ]
    assert not problems, "\n".join(problems)


def test_formulas_are_drawn_with_the_sites_own_mathjax(visit) -> None:
    view = visit("book/notation.html")
    assert view.page.locator("mjx-container").count() > 10
    assert view.page.locator("mjx-merror").count() == 0
    fonts = view.page.evaluate(
        "() => [...document.fonts].filter((f) => f.family.startsWith('MJX') && f.status == 'loaded').length"
    )
    assert fonts > 0
    assert not view.complaints


def test_the_search_finds_a_term(visit) -> None:
    view = visit("search.html?q=perplexity")
    results = view.page.locator("ul.search li a")
    results.first.wait_for(timeout=15_000)
    assert any(
        "glossary" in (link.get_attribute("href") or "") for link in results.all()
    )
    assert not view.complaints


def test_the_root_leads_to_the_welcome_page(soups: dict[str, BeautifulSoup]) -> None:
    refresh = soups["index.html"].find("meta", attrs={"http-equiv": "refresh"})
    assert refresh["content"] == f"0; url={PAGES[0]}.html"


def test_japanese_terms_say_that_they_are_japanese(
    soups: dict[str, BeautifulSoup],
) -> None:
    terms = soups["book/glossary.html"].select("dl.glossary > dt")
    japanese = [
        term
        for term in terms
        if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", term.get_text())
    ]
    assert len(japanese) > 40
    assert all(term.get("lang") == "ja" for term in japanese)


# ---- Lighter pages -------------------------------------------------------------------------------------------------

CHAPTER_PAGES = [page for page in PAGES if page.startswith("notebooks/")]
KIB = 1024


def first_view(visit, path: str) -> dict[str, int]:
    """What the browser fetches for a page's first view: bytes by address, gzipped where that makes them fewer."""
    view = visit(f"{path}.html")
    return {
        address: min(len(body), len(gzip.compress(body, 6)))
        for address, body in view.bodies().items()
    }


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light(path: str, visit) -> None:
    most = 900 if path in CHAPTER_PAGES else 450 if path == PAGES[0] else 700
    fetched = first_view(visit, path)
    assert len(fetched) > 10, "the measurement sees the page's scripts and styles"
    heaviest = sorted(fetched, key=fetched.get, reverse=True)[:5]
    assert sum(fetched.values()) <= most * KIB, [
        (address, fetched[address] // KIB) for address in heaviest
    ]


def test_formulas_alone_bring_mathjax_and_the_search_its_index(
    soups: dict[str, BeautifulSoup],
) -> None:
    with_formulas = set()
    for path, soup in soups.items():
        scripts = " ".join(tag["src"] for tag in soup.select("script[src]"))
        formulas = bool(soup.select(".math"))
        with_formulas |= {path} if formulas else set()
        assert ("mathjax" in scripts) == formulas, path
        assert ("searchindex" in scripts) == (path == "search.html"), path
        assert "fontawesome.js" not in scripts, path
    assert "notebooks/01_rnn.html" in with_formulas
    assert "book/index.html" not in with_formulas


def test_icons_are_drawn(visit) -> None:
    view = visit("notebooks/01_rnn.html")
    view.page.wait_for_function("() => document.fonts.status == 'loaded'")
    empty = view.page.evaluate(
        """() => [...document.querySelectorAll("i, span")].filter((e) => /(^| )fa[bsr]?( |-)/.test(e.className))
          .filter((e) => { const before = getComputedStyle(e, "::before");
            return before.content == "none" || !document.fonts.check(`${before.fontWeight} 16px ${before.fontFamily}`); })
          .map((e) => e.className)"""
    )
    assert not empty
    assert view.page.locator("i.fa-solid, span.fa-solid").count() > 5


# ---- Around the pages ----------------------------------------------------------------------------------------------


def meta(soup: BeautifulSoup) -> dict[str, str]:
    return {
        tag.get("property") or tag.get("name"): tag.get("content", "")
        for tag in soup.find_all("meta")
    }


def test_the_site_is_at_the_address_that_github_gives_the_repository() -> None:
    owner, name = SLUG.split("/")
    assert f"https://{owner.lower()}.github.io/{name}/" == ADDRESS


@pytest.mark.parametrize("path", [*PAGES, ""])
def test_a_shared_link_shows_what_it_leads_to(
    path: str, site: Site, soups: dict[str, BeautifulSoup]
) -> None:
    soup = soups[f"{path}.html" if path else "index.html"]
    tags = meta(soup)
    assert tags["og:site_name"] == "minitfm"
    assert tags["og:url"] == f"{ADDRESS}{path or PAGES[0]}.html"
    assert soup.find("link", rel="canonical")["href"] == tags["og:url"]
    assert len(tags["description"]) > 40
    assert tags["og:description"] == tags["description"]
    assert tags["twitter:card"] == "summary_large_image"
    assert tags["og:image"].startswith(ADDRESS)
    card = site.folder / tags["og:image"].removeprefix(ADDRESS)
    size = (int(tags["og:image:width"]), int(tags["og:image:height"]))
    assert size == (1200, 630)
    assert png_size(card) == size
    assert tags["og:image:alt"]


def png_size(file: Path) -> tuple[int, int]:
    """Width and height as a PNG file states them."""
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def test_the_sitemap_lists_every_page_and_no_other(site: Site) -> None:
    text = (site.folder / "sitemap.xml").read_text("utf-8")
    assert sorted(re.findall("<loc>(.*?)</loc>", text)) == sorted(
        f"{ADDRESS}{page}.html" for page in PAGES
    )
    assert (site.folder / ".nojekyll").is_file(), "or GitHub leaves out _static"


def test_a_wrong_address_gets_a_page_with_the_way_back(
    site: Site, soups: dict[str, BeautifulSoup], browser
) -> None:
    base = urlsplit(ADDRESS).path
    soup = soups["404.html"]
    for link in soup.select("a[href], link[href]"):
        assert link["href"].startswith(base)
        assert (site.folder / link["href"].removeprefix(base)).is_file(), link
    assert soup.form["action"] == f"{base}search.html"
    page = browser.new_page()
    page.goto(f"{site.url}404.html")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(axe)
    problems = page.evaluate("() => axe.run({preload: false}).then((r) => r.violations.map((v) => v.id))")  # fmt: skip
    page.close()
    assert not problems


# ---- Seeing where one is -------------------------------------------------------------------------------------------


def test_the_keyboard_can_be_seen_on_every_control(visit) -> None:
    view = visit("notebooks/01_rnn.html")
    invisible, seen = set(), 0
    for _ in range(70):
        view.page.keyboard.press("Tab")
        found = view.page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
              if (e === document.body || e.shadowRoot) return null;
              return [e.outerHTML.slice(0, 90), s.outlineStyle, parseFloat(s.outlineWidth)]; }"""
        )
        if found:
            seen += 1
            if found[1] == "none" or found[2] < 2:
                invisible.add(found[0])
    assert seen > 30
    assert not invisible


def test_the_course_is_named_on_a_deep_page(visit) -> None:
    for width in (360, 800, 1280):
        view = visit("notebooks/09_transformer.html", width)
        names = view.page.locator(".course-brand, .home-link a.navbar-brand")
        (name,) = [link for link in names.all() if link.is_visible()]
        box = name.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] < 200
        assert "minitfm" in name.inner_text()


def test_chapters_are_numbered_in_the_navigation(
    soups: dict[str, BeautifulSoup],
) -> None:
    for path in ("book/index.html", "notebooks/09_transformer.html"):
        found = {
            int(tag.get_text()): tag.parent.get_text(" ", strip=True)
            for tag in soups[path].select("nav.bd-links .chapter-number")
        }
        written = {chapter.number for chapter in CHAPTERS if chapter.written}
        assert set(found) == written
        assert found[9] == "9 The Transformer"
    neighbor = soups["notebooks/02_lstm.html"].select_one(".left-prev")
    assert "1. Recurrent networks" in neighbor.get_text(" ", strip=True)


# ---- Paper ---------------------------------------------------------------------------------------------------------

DARK_INK = """() => [...document.querySelectorAll(".bd-article *")].filter((e) => e.checkVisibility()
    && !e.closest("svg, minitfm-live, minitfm-frames, minitfm-attention"))
  .map((e) => [e.tagName + "." + e.className, getComputedStyle(e).backgroundColor.match(/[0-9.]+/g).map(Number),
    getComputedStyle(e).color.match(/[0-9.]+/g).map(Number), [...e.childNodes].some((n) => n.nodeType == 3 && n.data.trim())])
  .filter(([, [r, g, b, a = 1], [x, y, z], text]) => (a > 0.4 && r + g + b < 600) || (text && x + y + z > 480))
  .map(([name]) => name)"""


@pytest.mark.parametrize("path", ["notebooks/01_rnn", "book/index", "book/api"])
def test_a_dark_page_is_printed_black_on_white(path: str, visit) -> None:
    view = visit(f"{path}.html", 760, "dark")
    assert view.page.evaluate(DARK_INK), "on the screen it is dark"
    view.page.emulate_media(media="print")
    assert view.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"  # fmt: skip
    assert not view.page.evaluate(DARK_INK)


def test_code_is_wrapped_on_paper(visit) -> None:
    view = visit("notebooks/01_rnn.html", 420)
    cut = "() => [...document.querySelectorAll('.bd-article pre')].filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).length"
    assert view.page.evaluate(cut), "on the screen it scrolls"
    view.page.emulate_media(media="print")
    assert not view.page.evaluate(cut)


# ---- Words ---------------------------------------------------------------------------------------------------------


def test_japanese_text_says_that_it_is_japanese(
    soups: dict[str, BeautifulSoup],
) -> None:
    silent, marked = [], 0
    for path, soup in soups.items():
        for text in soup.body.find_all(string=re.compile("[\u3040-\u30ff\u4e00-\u9fff]")):  # fmt: skip
            if text.find_parent(["script", "style", "title", "textarea"]):
                continue
            marked += 1
            if not text.find_parent(attrs={"lang": "ja"}):
                silent.append(f"{path}: {text[:60]}")
    assert not silent, silent[:10]
    assert marked > 100


@pytest.mark.parametrize(
    ("query", "term"),
    [
        ("perplexity", "perplexity"),
        ("注意機構", "注意機構"),
        ("アテンション", "アテンション"),
    ],
)
def test_a_hit_in_the_glossary_names_its_term(query: str, term: str, visit) -> None:
    view = visit(f"search.html?q={query}")
    results = view.page.locator("ul.search li a")
    results.first.wait_for(timeout=15_000)
    hits = {link.inner_text(): link.get_attribute("href") for link in results.all()}
    assert "glossary.html#term-" in hits[f"Glossary > {term}"]
    assert not view.complaints


# ---- Assertions that passed ----------------------------------------------------------------------------------------


def test_passed_assertions_fold_into_a_mark(visit) -> None:
    view = visit("notebooks/01_rnn.html")
    marks = view.page.locator("details.checked")
    assert marks.count() >= 10
    first = marks.first
    assert first.locator("summary").inner_text() == "checked"
    is_shown = "(e) => e.querySelector('.k').checkVisibility()"
    assert not first.evaluate(is_shown)
    first.locator("summary").press("Enter")
    assert first.evaluate(is_shown)
    first.locator("summary").press("Enter")
    view.page.emulate_media(media="print")
    assert first.evaluate(is_shown)


def test_no_code_is_lost_by_folding(soups: dict[str, BeautifulSoup]) -> None:
    for path in CHAPTER_PAGES:
        cells = [
            cell.source.strip()
            for cell in nbformat.read(ROOT / f"{path}.ipynb", 4).cells
            if cell.cell_type == "code" and "remove-input" not in str(cell.metadata)
        ]
        shown = []
        for box in soups[f"{path}.html"].select(".cell_input pre"):
            for summary in box.select("summary"):
                summary.extract()
            shown.append(box.get_text().strip())
        assert [re.sub(r"\s+", " ", code) for code in shown] == [
            re.sub(r"\s+", " ", code) for code in cells if code
        ]


def test_rows_of_measured_numbers_begin_with_the_sign_alone(
    soups: dict[str, BeautifulSoup],
) -> None:
    outputs = [
        box.get_text()
        for soup in soups.values()
        for box in soup.select(".cell_output .output.stream pre")
    ]
    assert any(line.startswith("≈ ") for text in outputs for line in text.split("\n"))
    assert not [text for text in outputs if "≈|" in text]


# ---- Boxes and figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_no_box_is_cut_at_1280(path: str, visit) -> None:
    view = visit(f"{path}.html")
    cut = view.page.evaluate(
        """() => { document.querySelectorAll(".bd-article details").forEach((e) => { e.open = true; });
          return [...document.querySelectorAll(".bd-article pre, .bd-article .pst-scrollable-table-container")]
            .filter((e) => e.scrollWidth > e.clientWidth + 1)
            .map((e) => e.textContent.trim().split("\\n").sort((a, b) => b.length - a.length)[0]); }"""
    )
    assert not cut, "\n".join(cut)


# A figure is stored with this many pixels an inch, and its smallest type has this many points.
STORED_DPI = 2 * plots.DPI
FIGURES = """() => [...document.querySelectorAll(".bd-article .cell_output img")].filter((e) => /png/.test(e.src) && !e.hidden)
  .map((e) => [e.alt.slice(0, 60), e.naturalWidth, e.getBoundingClientRect().width])"""
DRAWINGS = """() => [...document.querySelectorAll(".bd-article svg text, .bd-article svg tspan")]
  .filter((e) => e.textContent.trim() && e.checkVisibility())
  .map((e) => [e.textContent.trim().slice(0, 40), parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a])"""
PICTURES = """() => [...document.querySelectorAll(".bd-article img")].filter((e) => e.src.endsWith(".svg") && e.checkVisibility())
  .map((e) => [e.src, e.getBoundingClientRect().width])"""


@pytest.mark.parametrize("path", PAGES)
def test_no_text_of_a_figure_is_smaller_than_9_px_on_a_phone(
    path: str, site: Site, visit
) -> None:
    view = visit(f"{path}.html", 360)
    view.page.evaluate(
        """async () => { for (const image of document.images) { image.loading = "eager"; await image.decode().catch(() => 0); } }"""
    )
    small = []
    for alt, stored, shown in view.page.evaluate(FIGURES):
        pixels = plots.SMALLEST / 72 * STORED_DPI * shown / stored
        if pixels < 9:
            small.append(f"{pixels:.1f} px: {alt}")
    for text, pixels in view.page.evaluate(DRAWINGS):
        if pixels < 8.95:
            small.append(f"{pixels:.1f} px: {text}")
    for address, shown in view.page.evaluate(PICTURES):
        drawing = (site.folder / urlsplit(address).path.lstrip("/")).read_text("utf-8")
        sizes = [float(size) for size in re.findall(r'font-size[=:]"?\s*([\d.]+)', drawing)]  # fmt: skip
        width = float(re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+)', drawing)[1])
        if sizes and min(sizes) * shown / width < 9:
            small.append(f"{min(sizes) * shown / width:.1f} px: {address}")
    assert not small, "\n".join(small)
    if path.startswith("notebooks/"):
        sources = [
            cell.source
            for cell in nbformat.read(ROOT / f"{path}.ipynb", 4).cells
            if cell.cell_type == "code"
        ]
        sizes = re.findall(r"\bfont_?size=(\d+(?:\.\d+)?)\b", "\n".join(sources))
        assert not [size for size in sizes if float(size) < plots.SMALLEST]


# ---- Pages that follow a list --------------------------------------------------------------------------------------


STRAIGHT = str.maketrans("’“”", '\'""')  # as the list has its quotes


def test_the_table_of_chapters_follows_the_list(
    soups: dict[str, BeautifulSoup],
) -> None:
    rows = soups["book/index.html"].select("table.chapters tbody tr")
    assert len(rows) == len(CHAPTERS)
    for chapter, row in zip(CHAPTERS, rows):
        number, question, shows, minutes, status = (
            cell.get_text(" ", strip=True) for cell in row.select("td")
        )
        assert number == str(chapter.number)
        assert question == f"{chapter.title}. {chapter.question}"
        assert shows.translate(STRAIGHT) == chapter.shows
        page = f"notebooks/{chapter.notebook}"
        if page in PAGES:
            assert row.select_one("a")["href"] == f"../{page}.html"
            assert minutes.startswith(f"{chapter.minutes} + ")
        else:
            assert (minutes, status) == ("–", "planned")
            assert not row.select("a")
    parts = [h.get_text() for h in soups["book/index.html"].select("h3")]
    assert all(any(title in part for part in parts) for _, title in PARTS)


def test_the_welcome_page_has_one_button_and_it_begins(
    soups: dict[str, BeautifulSoup],
) -> None:
    soup = soups["book/index.html"]
    buttons = soup.select("article a.sd-btn")
    assert [button["href"] for button in buttons] == ["../notebooks/01_rnn.html"]
    before = buttons[0].find_all_previous(["p", "h1"])
    words = " ".join(tag.get_text() for tag in before if tag.find_parent("article"))
    assert "A free course" in words
    assert "ChatGPT, piece by piece on your own laptop" in words
    assert len(words.split()) < 40, "ten seconds"


def test_the_welcome_page_plays_one_date_and_stays_light(visit) -> None:
    view = visit("book/index.html")
    view.page.get_by_text("This was recorded from the model").wait_for()
    view.page.wait_for_load_state("networkidle")
    assert view.page.get_by_label("A date in English").input_value() == "Tuesday, 4 March 2025"  # fmt: skip
    tokens = view.page.locator(".written button")
    assert "".join(tokens.all_inner_texts()) == "2025年3月4日火曜日⟨eos⟩"
    assert not view.complaints
    fetched = view.bodies()
    assert not [address for address in fetched if address.endswith(".safetensors")]
    sizes = [min(len(body), len(gzip.compress(body, 6))) for body in fetched.values()]
    assert sum(sizes) <= 450 * KIB


def test_both_paths_take_the_minutes_of_their_chapters(
    soups: dict[str, BeautifulSoup],
) -> None:
    cards = soups["book/index.html"].select(".paths .sd-card")
    assert len(cards) == 2
    written = [chapter for chapter in CHAPTERS if chapter.written]
    short = [chapter for chapter in CHAPTERS if chapter.number in (4, 5, 6, 9)]
    for card, chapters in zip(cards, (written, short)):
        pages = [link["href"] for link in card.select(".sd-card-body a")]
        assert pages == [f"../notebooks/{c.notebook}.html" for c in chapters]
        told = re.findall(r"(\d+) h (\d\d) min", card.select_one(".sd-card-footer").get_text())  # fmt: skip
        reading, exercises = (60 * int(hours) + int(rest) for hours, rest in told)
        assert reading == sum(chapter.minutes for chapter in chapters)
        asked = [
            int(minutes)
            for chapter in chapters
            for cell in nbformat.read(ROOT / f"notebooks/{chapter.notebook}.ipynb", 4).cells
            for minutes in re.findall(r"^### Exercise .* · (\d+) min", cell.source, re.MULTILINE)
        ]  # fmt: skip
        assert exercises == sum(asked) > 0


def test_the_contents_put_each_chapter_into_its_part() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    for place, (first, title) in enumerate(PARTS):
        end = PARTS[place + 1][0] if place + 1 < len(PARTS) else len(CHAPTERS) + 1
        numerals = ("I", "II", "III", "IV", "V")
        wanted = [
            f"notebooks/{chapter.notebook}"
            for chapter in CHAPTERS
            if first <= chapter.number < end and chapter.written
        ]
        caption = f"Part {numerals[place]}: {title}"
        found = [part for part in toc["parts"] if part["caption"] == caption]
        assert wanted == [entry["file"] for part in found for entry in part["chapters"]]


def test_the_index_of_exercises_lists_the_catalogues(
    soups: dict[str, BeautifulSoup],
) -> None:
    soup = soups["book/exercises.html"]
    names = [
        cell.get_text(strip=True)
        for cell in soup.select("table.exercises tbody tr td:first-child")
    ]
    expected = []
    for chapter in CHAPTERS:
        try:
            module = import_module(f"minitfm.exercises.{chapter.slug}")
        except ModuleNotFoundError:
            continue
        expected += [
            {task.name, task.title}
            for name, task in vars(module).items()
            if isinstance(task, Task) and not name.startswith("_")
        ]
    assert len(names) == len(expected)
    assert all(any(name in task for task in expected) for name in names)
    asked = [
        cell.source
        for page in CHAPTER_PAGES
        for cell in nbformat.read(ROOT / f"{page}.ipynb", 4).cells
        if cell.source.startswith("### Exercise ")
    ]
    assert len(soup.select("table.exercises td:first-child a")) == len(asked)  # fmt: skip


def test_every_question_leads_to_the_cell_that_shows_it(
    soups: dict[str, BeautifulSoup],
) -> None:
    questions = soups["book/questions.html"].select("section section > h3")
    assert len(questions) >= 20
    for question in questions:
        answer = question.parent
        shown = re.search(r"Shown: (.*)", answer.get_text())
        assert shown, question.get_text()
        for link in answer.select("a[href*='notebooks/']"):
            chapter = int(re.search(r"/(\d\d)_", link["href"])[1])
            assert "#" in link["href"], f"{question.get_text()}: what in chapter {chapter}?"  # fmt: skip


def test_the_api_has_every_lesson_in_the_chapters_order() -> None:
    text = (ROOT / "book" / "api.md").read_text("utf-8")
    documented = re.findall(r"automodule:: minitfm\.(\w+)$", text, re.MULTILINE)
    lessons = [
        module
        for chapter in CHAPTERS
        for module in chapter.modules
        if (ROOT / "minitfm" / f"{module}.py").is_file()
    ]
    assert [name for name in documented if name in lessons] == lessons
