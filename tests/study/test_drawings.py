"""Drawings: SVG that follows the page's color and can be read on a phone."""

import re
from xml.etree import ElementTree

import pytest

import minitfm
from minitfm import multihead
from minitfm.study import figure2, plots
from minitfm.study.drawings import (
    LESSONS,
    Drawing,
    architecture,
    head_by_hand,
    lstm_cell,
    place,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> Drawing:
    drawing = Drawing(200, 100, "A box, 3 < 4, and an arrow.")
    drawing.box(50, 30, "a & b\nc", color="encoder")
    drawing.arrow((50, 47), (50, 80), (90, 80))
    drawing.cells(120, 20, [[0, 0.5], [1, 0.25]], color="query")
    drawing.circle(150, 80, "+")
    drawing.frame(5, 5, 90, 60, "decoder")
    return drawing


def test_a_drawing_is_svg_with_words_for_those_who_cannot_see_it():
    root = ElementTree.fromstring(drawn().svg())
    assert root.get("aria-label") == "A box, 3 < 4, and an arrow."
    assert root.get("role") == "img"
    assert [text.text for text in root.iter(f"{SVG}text")] == ["a & b", "c", "+"]
    assert drawn()._repr_html_() == drawn().svg()
    assert repr(drawn()) == "Drawing: A box, 3 < 4, and an arrow."
    assert "0x" not in drawn().svg(), "the same on every run"


def test_words_and_lines_follow_the_pages_color():
    for shape in ElementTree.fromstring(drawn().svg()).iter():
        for look in ("fill", "stroke"):
            value = shape.get(look, "none")
            assert value == "none" or "currentColor" in value, value


def test_a_color_is_the_palettes():
    used = set(re.findall(r"#\w{6}", drawn().svg()))
    assert used == {plots.color(name) for name in ("encoder", "decoder", "query")}
    with pytest.raises(ValueError, match="no color is kept for 'mauve'"):
        drawn().text(0, 0, "x", color="mauve")


def test_cells_are_as_full_as_they_are_shaded():
    root = ElementTree.fromstring(drawn().svg())
    cells = [r for r in root.iter(f"{SVG}rect") if r.get("rx") is None]
    assert [float(cell.get("fill-opacity")) for cell in cells] == [0, 0.5, 1, 0.2]
    assert [cell.get("x") for cell in cells] == ["120", "136", "120", "136"]


def test_an_arrow_ends_at_its_last_point():
    root = ElementTree.fromstring(drawn().svg())
    (head,) = root.iter(f"{SVG}polygon")
    assert head.get("points").split()[0] == "90,80"


def test_type_too_small_for_a_phone_is_refused():
    wide = Drawing(700, 100, "Wide.")
    with pytest.raises(
        ValueError, match=r"13 pixels .* 700 wide is only 6.1 on a phone"
    ):
        wide.text(0, 0, "small")
    wide.text(0, 0, "large", size=20)


def test_a_drawing_without_words_is_refused():
    with pytest.raises(ValueError, match="alt is empty"):
        Drawing(100, 100, " ")


def test_the_architecture_names_the_packages_parts():
    words = architecture().svg()
    for name in (
        "self_attention",
        "cross_attention",
        "feed_forward",
        "residual_3",
        "generator",
        "source_embedding",
    ):
        assert name in words


def test_the_architecture_leads_to_classes_that_there_are():
    import importlib

    root = ElementTree.fromstring(architecture().svg())
    assert root.get("role") == "group", "links are more than a picture"
    assert "<a " not in architecture(api="").svg()
    links = {a.get("href") for a in root.iter(f"{SVG}a")}
    pages = {link for link in links if "#" not in link}
    assert len(links - pages) > 3
    for link in links - pages:
        module, name = re.fullmatch(
            r"\.\./book/api\.html#(minitfm\.\w+)\.(\w+)", link
        ).groups()
        assert hasattr(importlib.import_module(module), name)
    numbers = {chapter.notebook: chapter.number for chapter in minitfm.CHAPTERS}
    assert pages == {f"{page}.html" for _, page in LESSONS.values()}
    for number, page in LESSONS.values():
        assert numbers[page] == number


def test_a_map_lights_the_boxes_that_it_is_asked_for():
    def lit(*kinds: str) -> int:
        root = ElementTree.fromstring(place(*kinds).svg())
        return sum(r.get("fill-opacity") == "0.9" for r in root.iter(f"{SVG}rect"))

    assert lit("attention") == 3
    assert lit("embed") == 2
    assert lit("embed", "positions") == 4
    assert lit("generator") == 1
    assert lit("encoder") == 4
    assert lit("decoder") == 6
    with pytest.raises(ValueError, match="there are: embed"):
        place("cross-attention")


def test_multi_head_attention_links_to_what_its_boxes_stand_for():
    drawing = figure2.multi_head(api="api.html", attention="chapter.html")
    links = re.findall(r'href="([^"]+)"', drawing.svg())
    names = {link.partition("#minitfm.multihead.")[2] for link in links}
    assert names == {"", "MultiHeadAttention", "split_heads", "merge_heads"}
    for name in names - {""}:
        assert hasattr(multihead, name)
    assert "chapter.html" in links
    assert ".query" in drawing.svg()


def test_letters_stand_where_they_are_put_each_token_in_its_tint():
    drawing = figure2.letters(
        [("whole", [[["A1", "A2"], ["B1", "B2"]]]), ("cut", [[["A1"]], [["B1"]]])],
        "two tokens",
    )
    root = ElementTree.fromstring(drawing.svg())
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words[:5] == ["whole", "A1", "A2", "B1", "B2"]
    assert words[5:] == ["cut", "head 1", "A1", "head 2", "B1"]
    tints = [rect.get("fill") for rect in root.iter(f"{SVG}rect")]
    assert tints[0] == tints[1] == tints[4] != tints[2] == tints[3] == tints[5]


def test_the_lstm_cell_grows_gate_by_gate():
    stages = [
        {text.text for text in ElementTree.fromstring(stage.svg()).iter(f"{SVG}text")}
        for stage in map(lstm_cell, (1, 2, 3))
    ]
    names = {"forget gate", "input gate", "candidate", "output gate"}
    assert [sorted(names & words) for words in stages] == [
        ["forget gate"],
        ["candidate", "forget gate", "input gate"],
        sorted(names),
    ]
    derivative = "∂c after / ∂c before = f"
    assert [derivative in words for words in stages] == [False, False, True]
    assert lstm_cell().svg() == lstm_cell(3).svg()
    with pytest.raises(ValueError, match="gates=4 is no stage"):
        lstm_cell(4)


def test_the_head_by_hand_shows_its_scores_and_fetches_the_heaviest():
    meanings = [[7, 0], [0, 8], [9, 9]]
    scores, weights = [0, 6, 0], [0, 1, 0]
    drawing = head_by_hand(["a", "b", "c"], meanings, 2, [0, 6, 0], scores, weights)
    root = ElementTree.fromstring(drawing.svg())
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words.count("7 0") == words.count("9 9") == 2, "as meaning and as value"
    assert words.count("0 8") == 3, "and it is fetched"
    assert words.count("6") == words.count("1.00") == 1
    assert "“place 2?”" in words
    assert drawing.alt.endswith("is the meaning of b.")
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x")) < 420
