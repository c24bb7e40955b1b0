"""The page that goes through the paper: all of it is there, what it names exists, its numbers are computed."""

import math
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from minitfm import CHAPTERS
from minitfm.training import paper_rate
from minitfm.transformer import Transformer, TransformerConfig
from tests.site import ROOT, browser, site, visit  # noqa: F401

TEXT = (ROOT / "book" / "paper_map.md").read_text("utf-8")
TESTED = re.findall(r"\{tested\}`([^`:]+)::([^`]+)`", TEXT)
SHOWN = re.findall(r"\{shown\}`(\d+)\|([^`]*)`", TEXT)
ITEMS = [
    *(f"**Equation {number}**" for number in (1, 2, 3)),
    *(f"**Figure {number}**" for number in range(1, 6)),
    *("**Table 1**", "**Table 2**", "**Table 3**", "**Table 4**"),
    *(f"**Table 3 ({row})**" for row in "ABCDE"),
    *(f"**Section {number}**" for number in ("3.2.2", "3.2.3", "3.4", "3.5")),
    *(f"**Section {number}**" for number in ("5.1", "5.2", "5.3", "5.4", "6.1")),
    "**Footnote 4**",
    "**Sections 3.1 and 5.4**",
]


@pytest.mark.parametrize("item", ITEMS)
def test_the_page_has_every_part_of_the_paper(item: str) -> None:
    assert item in TEXT


def test_every_row_leads_somewhere_or_says_why_not() -> None:
    rows = re.findall(r"^(\*\*.*)\n: (.*)$", TEXT, re.MULTILINE)
    assert len(rows) >= len(set(ITEMS))
    for item, here in rows:
        assert re.search(r"\{(shown|tested|doc)\}`|^Not reproduced: ", here), item


@pytest.mark.parametrize(("file", "name"), TESTED)
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    code = Path(ROOT, "tests", file).read_text("utf-8")
    assert f"\ndef {name}(" in code


def test_every_difference_is_guarded_or_only_told() -> None:
    differences = re.split(r"^### ", TEXT.partition("## Where the paper, its code")[2], flags=re.MULTILINE)[1:]  # fmt: skip
    only_told = {"41.0 or 41.8?", "12 hours or 11?", "Which BLEU?"}
    assert len(differences) >= 8
    for difference in differences:
        title = difference.partition("\n")[0]
        assert ("{tested}`" in difference) != (title in only_told), title


def number(value: float, digits: int) -> str:
    """A number as the page writes it: 3.28 \\cdot 10^{18}."""
    power = math.floor(math.log10(value))
    return rf"{value / 10**power:.{digits}f} \cdot 10^{{{power}}}"


def test_the_numbers_of_the_page_are_computed() -> None:
    by_symbols = {
        v: sum(p.numel() for p in Transformer(TransformerConfig.base(v)).parameters())
        for v in (1, 2)
    }
    symbol = by_symbols[2] - by_symbols[1]
    rest = by_symbols[1] - symbol
    assert f"{rest:,} parameters and {symbol} more for each symbol" in TEXT
    assert f"makes {(rest + 37_000 * symbol) / 1e6:.2f} million" in TEXT
    for d_model in (512, 1024):
        assert f"{paper_rate(4000, d_model):.6f} for the " in TEXT
    assert f"${10_000 ** (510 / 512):,.0f}".replace(",", "{,}") + r" \cdot 2\pi$" in TEXT  # fmt: skip
    speed = 8 * 9.5e12
    for seconds in (12 * 3600, 3.5 * 86_400, 100_000 * 0.4):
        assert f"${number(seconds * speed, 2)}$" in TEXT
    assert f"are {100_000 * 0.4 / 3600:.1f} hours" in TEXT


def test_every_link_into_a_chapter_ends_at_a_heading(site) -> None:  # noqa: F811
    soup = BeautifulSoup((site.folder / "book/paper_map.html").read_text("utf-8"), "html.parser")  # fmt: skip
    article = soup.select_one("article")
    links = [
        link["href"]
        for link in article.select("a[href*='notebooks/']")
        if "reference" in link.get("class", [])
    ]
    written = {f"notebooks/{c.notebook}" for c in CHAPTERS if (site.folder / f"notebooks/{c.notebook}.html").exists()}  # fmt: skip
    expected = [n for n, _ in SHOWN if f"notebooks/{CHAPTERS[int(n) - 1].notebook}" in written]  # fmt: skip
    assert len(links) == len(expected) > 15
    for link in links:
        page, _, anchor = link.removeprefix("../").partition("#")
        assert anchor, f"{link}: which cell?"
        other = BeautifulSoup((site.folder / page).read_text("utf-8"), "html.parser")
        assert other.find(id=anchor), link
    planned = [e.get_text() for e in article.select("em") if e.get_text().startswith("comes in chapter")]  # fmt: skip
    assert len(planned) == len(SHOWN) - len(expected)


def test_every_named_test_is_a_link_to_its_file(site) -> None:  # noqa: F811
    soup = BeautifulSoup((site.folder / "book/paper_map.html").read_text("utf-8"), "html.parser")  # fmt: skip
    links = [
        link["href"].partition("/blob/main/")[2]
        for link in soup.select("article a[href*='/blob/main/tests/']")
    ]
    assert len(links) == len(TESTED)
    assert all((ROOT / link).is_file() for link in links)
