"""The soft dictionary: the same numbers as the package's, by mouse, keyboard and kernel."""

# ruff: noqa: F811
import re
from typing import Any

import pytest
import torch

from minitfm.attention import attention_weights
from minitfm.web import SoftLookup
from tests.browser import Pages, pages, reader  # noqa: F401
from tests.site import browser  # noqa: F401
from tests.web.test_frames import WIDGET

pytestmark = pytest.mark.xdist_group("browser")

ENTRIES = {"north": ((0, 2), 2), "east": ((2, 0), 14), "south": ((0, -2), 26)}


def weather(query: tuple[float, float] = (2, -2), **changes: Any) -> SoftLookup:
    options = {"axes": ("east", "north"), "unit": "°C", "presets": {"nowhere": (0, 0)}}
    return SoftLookup(ENTRIES, query, **options | changes)


@pytest.fixture
def address(pages: Pages) -> str:
    return pages.write("lookup.html", weather().html())


def expected(query: tuple[float, float]) -> tuple[list[str], str]:
    """Weights and average as the package computes them, as the page writes them."""
    keys = torch.tensor([key for key, _ in ENTRIES.values()]).double()
    values = torch.tensor([value for _, value in ENTRIES.values()]).double()
    weights = attention_weights(torch.tensor([query]).double(), keys)[0]
    return [f"{weight:.3f}" for weight in weights], f"{weights @ values:.1f} °C"


def shown(page: Any) -> tuple[list[str], str]:
    rows = page.locator("tbody tr")
    weights = [row.locator("td").nth(2).inner_text().strip() for row in rows.all()]
    return weights, page.locator(".answer b").inner_text()


def test_the_numbers_are_the_packages(reader: Any, pages: Pages) -> None:
    for query in ((2, -2), (0.5, 1.5), (-3, 0.1), (0, 0)):
        page = reader(pages.write("numbers.html", weather(query).html())).page
        assert shown(page) == expected(query)


def test_dragging_the_query_moves_everything(reader: Any, address: str) -> None:
    page = reader(address).page
    box = page.locator("svg").bounding_box()
    at = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    page.mouse.move(*at)
    page.mouse.down()
    assert shown(page) == expected((0, 0))
    page.mouse.move(at[0] + box["width"] / 4, at[1])
    east = float(page.get_by_label("query, east").input_value())
    assert 1 < east < 3
    assert shown(page) == expected((east, 0))
    page.mouse.up()
    page.mouse.move(*at)
    assert shown(page) == expected((east, 0)), "a query that was let go stays"


def test_keys_and_buttons_move_it_and_a_sentence_says_where(
    reader: Any, address: str
) -> None:
    page = reader(address).page
    said = page.get_by_role("status")
    assert said.text_content() == "", "nothing is announced before the reader moves"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert shown(page) == expected((2.1, -2))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert shown(page) == expected((2.1, 4))
    page.get_by_role("button", name="nowhere").press("Enter")
    assert shown(page) == expected((0, 0))
    page.wait_for_function(
        "() => document.querySelector('minitfm-lookup').shadowRoot"
        ".querySelector('[role=status]').textContent"
    )
    assert said.text_content() == (
        "Query east 0.0, north 0.0. Weights: north 33 %, east 33 %, south 33 %."
        " Answer: 14.0 °C."
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_fits_the_screen_and_is_accessible(
    width: int, scheme: str, reader: Any, address: str
) -> None:
    here = reader(address, width, scheme)
    assert not here.accessibility()
    assert here.page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_the_widget_follows_python_and_python_follows_it(
    reader: Any, pages: Pages
) -> None:
    page = '<!doctype html><html lang="en"><title>Lab</title><link rel="icon" href="data:,"><main><h1>Lab</h1></main>'
    (pages.folder / "notebooks" / "lookup-lab.html").write_text(page)
    here = reader(f"{pages.address}/notebooks/lookup-lab.html").page
    widget = weather()
    traits = {"data": widget.data, "query": widget.query}
    here.evaluate(WIDGET, [widget._esm, traits])
    assert shown(here) == expected((2, -2))
    here.get_by_label("query, east").press("ArrowLeft")
    assert here.evaluate("[model.get('query'), model.saved]") == [[1.9, -2], 1]
    here.evaluate("model.set('query', [4, 0])")
    assert shown(here) == expected((4, 0))
    here.evaluate("cleanup()")
    assert here.locator("minitfm-lookup").count() == 0
    assert here.evaluate("Object.values(model.listeners).flat().length") == 0


def test_names_cannot_break_out_of_the_page(reader: Any, pages: Pages) -> None:
    entries = {"</script><b>": ((1, 0), 1), "&amp;": ((0, 1), 2)}
    page = reader(pages.write("nasty.html", SoftLookup(entries, (1, 1)).html())).page
    assert page.get_by_role("rowheader").all_inner_texts() == ["</script><b>", "&amp;"]


def test_an_output_is_the_same_on_every_run_and_asks_for_nothing_else() -> None:
    assert weather().html() == weather().html()
    assert repr(weather()) == "SoftLookup(north, east, south; query [2, -2])"
    assert not re.findall(r"https?:(?!//www.w3.org/2000/svg)|import\(", weather()._esm)


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to look up"):
        SoftLookup({}, (0, 0))
    with pytest.raises(ValueError, match="up has 3 numbers"):
        SoftLookup({"up": ((0, 0, 1), 1.0)}, (0, 0))
