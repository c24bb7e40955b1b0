"""The page on the course's history: its numbers have sources, and its two drawings tell the same story."""

# ruff: noqa: F811
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minitfm.study.plots import COLORS
from tests.site import ROOT, browser  # noqa: F401

PAGE = (ROOT / "book" / "history.md").read_text("utf-8")
DRAWINGS = {
    path.stem: path
    for path in sorted((ROOT / "book" / "_static").glob("timeline*.svg"))
}
SVG = "{http://www.w3.org/2000/svg}"

# Results that the page quotes, each with the entries of book/references.bib whose abstract or text states it.
QUOTED = {
    "1000": {"hochreiter1997long"},  # steps, abstract
    "34.8": {"sutskever2014sequence"},  # BLEU, abstract
    "33.3": {"sutskever2014sequence"},
    "28.4": {"vaswani2017attention"},  # BLEU, abstract
    "2": {"vaswani2017attention"},  # BLEU above the best before, abstract
    "3.5": {"vaswani2017attention"},  # days, abstract
    "9": {"radford2018improving"},  # of 12 tasks, abstract
    "12": {"radford2018improving"},
    "110": {"devlin2019bert"},  # millions of parameters, section 3
    "340": {"devlin2019bert"},
    "1.5": {"radford2019language"},  # billions of parameters, abstract
    "175": {
        "brown2020language",
        "ouyang2022training",
    },  # billions of parameters, both abstracts
    "70": {"hoffmann2022training"},  # billions of parameters, abstract
    "280": {"hoffmann2022training"},
    "1.3": {"ouyang2022training"},  # billions of parameters, abstract
    "7": {"touvron2023llama"},  # billions of parameters, abstract
    "65": {"touvron2023llama"},
}


def sections() -> list[str]:
    """The page's prose by section, without the parts that only address chapters."""
    body = PAGE.split("---\n", 2)[2]
    body = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    body = re.sub(r"\bchapters? \d+(?:(?:, | to | and )\d+)*", "", body)
    return re.split(r"^## ", body, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("section", sections(), ids=lambda text: text.split("\n")[0])
def test_every_number_of_a_section_is_quoted_from_a_work_that_it_cites(
    section: str,
) -> None:
    prose = re.sub(
        r"\{\w+:?\w*\}`[^`]*`|GPT-\d|30 November 2022|\b(?:19|20)\d\d\b|steps? (?:500|499)\b",
        "",
        section,
    )
    numbers = re.findall(r"\d+(?:[.,]\d+)*", prose.split("\n", 1)[1])
    cited = set(
        re.findall(
            r"\w+\d{4}\w*", " ".join(re.findall(r"\{cite:p\}`([^`]*)`", section))
        )
    )
    assert [n for n in numbers if not cited & QUOTED.get(n, set())] == []


def stops(drawing: Path) -> list[tuple[str, ...]]:
    """Year and title of every stop, from top to bottom."""
    texts = {kind: [] for kind in ("year", "title")}
    for text in ElementTree.parse(drawing).iter(f"{SVG}text"):
        if (kind := text.get("class")) in texts:
            texts[kind].append(text.text or "")
    return list(zip(texts["year"], texts["title"], strict=True))


def test_both_drawings_have_the_same_stops_in_order_of_time_and_describe_them() -> None:
    wide, narrow = (stops(DRAWINGS[name]) for name in ("timeline", "timeline-narrow"))
    assert wide == narrow
    years = [int(year) for year, _ in wide]
    assert years == sorted(years)
    for path in DRAWINGS.values():
        description = ElementTree.parse(path).find(f"{SVG}desc")
        assert description is not None
        for year, title in wide:
            assert f"{year}, {title[0].lower()}{title[1:]}" in (description.text or "")


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_uses_the_course_colors_and_those_of_the_page(name: str) -> None:
    colors = set(re.findall(r"--[rap]: (#\w+)", DRAWINGS[name].read_text("utf-8")))
    assert len(colors) > 3
    assert colors <= set(COLORS)


@pytest.mark.parametrize(
    ("name", "width"), [("timeline", 1280), ("timeline-narrow", 360)]
)
def test_the_drawing_that_a_screen_shows_is_one_and_holds_its_text(
    name: str, width: int, browser
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    both = "".join(path.read_text("utf-8") for path in DRAWINGS.values())
    page.set_content(f"<!doctype html><html><body>{both}</body></html>")
    shown = page.evaluate(
        """() => [...document.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().width > 0)
            .map((svg) => [svg.getAttribute("viewBox"), [...svg.querySelectorAll("text")].filter((text) => {
                const [box, view] = [text.getBBox(), svg.viewBox.baseVal];
                return box.x < 0 || box.x + box.width > view.width || box.y + box.height > view.height;
            }).map((text) => text.textContent)])"""
    )
    context.close()
    assert shown == [[ElementTree.parse(DRAWINGS[name]).getroot().get("viewBox"), []]]
