"""The website is whole: it builds without a warning, links lead somewhere, and a browser has nothing to complain of."""

# ruff: noqa: F811
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.site import REPOSITORY, ROOT, Site, browser, course_pages, site, visit  # noqa: F401

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(420)]

PAGES = course_pages()
ALL_PAGES = [*PAGES, "search", "genindex"]
WIDTHS = [1280, 360]
SLUG = urlsplit(REPOSITORY).path.strip("/")


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
