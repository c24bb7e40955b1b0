"""A figure out of many: drawn in Python, chosen in the browser with and without a kernel."""

# ruff: noqa: F811
import base64
import functools
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from PIL import Image

from minitfm.study import plots
from minitfm.web import Frames
from tests.browser import Pages, pages, reader  # noqa: F401
from tests.site import browser  # noqa: F401

pytestmark = pytest.mark.xdist_group("browser")

RADII = [0.5, 0.7, 0.9, 1.0, 1.1, 1.3]
DATES = [
    "4 March 2025",
    "Saturday, 14 October 2017",
    "Oct 3, 1987",
    "1999/12/31",
    "Sun, 01 Feb 2048",
    "09 Aug 1911",
]


@pytest.fixture(scope="module", autouse=True)
def house_style() -> Iterator[None]:
    with plt.rc_context():
        plots.use_style()
        yield


def decay(radius: float) -> Figure:
    """Two lines, on the scale of chapter 1."""
    fig, ax = plt.subplots()
    distance = np.arange(60)
    for start in (1.0, 3.0):
        ax.plot(distance, start * radius**distance, label=f"from {start}")
    ax.set(
        yscale="log",
        ylim=(1e-20, 1e8),
        xlabel="distance (steps)",
        ylabel="gradient norm",
    )
    ax.legend()
    return fig


def how_it_decays(radius: float) -> str:
    return f"At radius {radius}, the gradient norm after 59 steps is {radius**59:.1e} of what it was."


def letters(text: str) -> Figure:
    """A heat map and bars, as of a vector."""
    if strange := [character for character in text if not character.isascii()]:
        raise ValueError(f"This model has never seen “{strange[0]}”.")
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    left.imshow(
        [[ord(character) % width for character in text] for width in range(2, 12)]
    )
    right.bar(range(len(text)), [ord(character) for character in text])
    return fig


def what_letters(text: str) -> str:
    return f"A heat map of {len(text)} characters, and a bar for each."


@functools.cache
def radii(**changes: Any) -> Frames:
    return Frames(
        decay,
        RADII,
        label="spectral radius",
        describe=how_it_decays,
        **{"start": 0.9} | changes,
    )


@functools.cache
def texts(typed: bool = True, **changes: Any) -> Frames:
    return Frames(
        letters, DATES, label="date", describe=what_letters, typed=typed, **changes
    )


def picture(address: str) -> Image.Image:
    return Image.open(
        io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))
    )


# ---- Python ---------------------------------------------------------------------------------------------------------


def test_every_choice_has_its_figure_and_its_sentence() -> None:
    frames = radii().frames
    assert [frame["name"] for frame in frames] == [
        "0.5",
        "0.7",
        "0.9",
        "1",
        "1.1",
        "1.3",
    ]
    assert [frame["alt"] for frame in frames] == [
        how_it_decays(radius) for radius in RADII
    ]
    assert len({frame["src"] for frame in frames}) == len(RADII)
    for frame in frames:
        assert (frame["width"], frame["height"]) == (420, 280)  # 4.2 × 2.8 in
        assert picture(frame["src"]).size == (840, 560), "sharp on any screen"


@pytest.mark.parametrize(
    ("make", "index"), [(radii, 2), (texts, 0), (lambda: texts(start=DATES[3]), 3)]
)
def test_a_page_shows_the_start_until_its_script_runs(
    make: Callable[[], Frames], index: int
) -> None:
    frames = make()
    images = BeautifulSoup(frames.html(), "html.parser").find_all("img")
    assert frames.index == index
    assert [i for i, image in enumerate(images) if not image.has_attr("hidden")] == [
        index
    ]
    assert [image["alt"] for image in images] == [
        frame["alt"] for frame in frames.frames
    ]


@pytest.mark.parametrize(("draw", "choice"), [(decay, 0.9), (letters, DATES[1])])
def test_pictures_are_small_and_look_as_drawn(
    draw: Callable[[Any], Figure], choice: Any
) -> None:
    frame = Frames(draw, [choice], label="any", describe=str).frames[0]
    found = picture(frame["src"]).convert("RGB")
    whole = io.BytesIO()
    drawn = draw(choice)
    drawn.savefig(whole, format="png", dpi=2 * drawn.dpi, facecolor="white")
    plt.close(drawn)
    expected = Image.open(whole).convert("RGB")
    assert (
        np.abs(np.asarray(found, int) - np.asarray(expected, int)).max() <= 16
    )  # of 255
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert len(frame["src"]) < 30_000


def test_a_notebooks_output_is_small_and_the_same_on_every_run() -> None:
    def stored() -> dict[str, str]:
        bundle = texts.__wrapped__()._repr_mimebundle_()[0]
        assert bundle.pop(
            "application/vnd.jupyter.widget-view+json"
        )  # live in a notebook
        return bundle

    first = stored()
    assert first == stored()
    assert set(first) == {"text/plain", "text/html"}
    assert first["text/plain"] == f"Frames(date: {', '.join(DATES)})"
    assert len(first["text/html"]) < 150_000


def test_no_figure_stays_open() -> None:
    mine = plt.figure()
    before = plt.get_fignums()  # another test's may be among them

    def broken(text: str) -> Figure:
        letters("many")
        if text == "bad":
            raise ValueError("no")
        return letters(text)

    with pytest.raises(ValueError, match="no"):
        Frames(broken, ["good", "bad"], label="any", describe=str)
    assert plt.get_fignums() == before
    plt.close(mine)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"choices": []}, ValueError, "nothing to choose from"),
        ({"choices": [1, "a"]}, ValueError, "neither all numbers nor all texts"),
        ({"choices": [0.5, float("nan")]}, ValueError, "neither all numbers"),
        ({"choices": [2, 1]}, ValueError, "not in rising order"),
        ({"start": 3}, ValueError, "start=3 is not among the choices: 1, 2"),
        ({"typed": True}, ValueError, "needs choices that are texts"),
        ({"describe": lambda _: " "}, ValueError, r"describe\(1\) is empty"),
        (
            {"draw": lambda _: None},
            TypeError,
            r"draw\(1\) returned NoneType, not a matplotlib figure",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(
    changes: dict, error: type[Exception], sentence: str
) -> None:
    given = {
        "draw": decay,
        "choices": [1, 2],
        "label": "any",
        "describe": str,
    } | changes
    with pytest.raises(error, match=sentence):
        Frames(given.pop("draw"), given.pop("choices"), **given)


def answer_to(frames: Frames, text: str) -> dict[str, Any]:
    """What the kernel sends when the reader types a text."""
    sent: list[dict[str, Any]] = []
    frames.send = sent.append
    frames._handle_custom_msg({"text": text}, [])
    del frames.send
    (answer,) = sent
    return answer


def test_the_kernel_draws_what_the_reader_types() -> None:
    before = plt.get_fignums()
    frames = texts()
    answer = answer_to(frames, DATES[2])
    assert answer == frames.frames[2]
    assert "error" not in answer
    assert answer_to(frames, "7 März 2020") == {
        "name": "7 März 2020",
        "error": "This model has never seen “ä”.",
    }
    assert plt.get_fignums() == before


def test_even_a_broken_draw_answers() -> None:
    def draw(text: str) -> Figure:
        return {"a": letters}[text](text)

    frames = Frames(draw, ["a"], label="letter", describe=str, typed=True)
    assert answer_to(frames, "b") == {"name": "b", "error": "KeyError: 'b'"}


# ---- The page, without a kernel -------------------------------------------------------------------------------------


@pytest.fixture
def slider_page(pages: Pages) -> str:
    return pages.write("slider.html", radii().html())


@pytest.fixture
def texts_page(pages: Pages) -> str:
    return pages.write("texts.html", texts().html())


def shown(page: Any) -> str:
    """The text alternative of the one image that is seen."""
    (alt,) = [
        image.get_attribute("alt")
        for image in page.locator("minitfm-frames img").all()
        if image.is_visible()
    ]
    return alt


def test_the_slider_redraws_the_figure_by_keyboard(
    reader: Any, slider_page: str
) -> None:
    page = reader(slider_page).page
    slider = page.get_by_role("slider", name="spectral radius")
    assert (shown(page), page.locator("output").inner_text()) == (
        how_it_decays(0.9),
        "0.9",
    )
    assert (
        page.locator(".unseen").text_content() == ""
    )  # nothing is announced before the reader moves
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert (shown(page), page.locator("output").inner_text()) == (
        how_it_decays(1.0),
        "1",
    )
    assert slider.get_attribute("aria-valuetext") == "1"
    assert page.locator(".unseen").text_content() == how_it_decays(1.0)
    page.keyboard.press("End")
    assert shown(page) == how_it_decays(1.3)
    page.keyboard.press("Home")
    assert shown(page) == how_it_decays(0.5)


def test_buttons_choose_a_text_and_nothing_can_be_typed_without_a_kernel(
    reader: Any, texts_page: str
) -> None:
    page = reader(texts_page).page
    assert page.get_by_role("radio", name=DATES[0]).is_checked()
    page.get_by_role("radio", name=DATES[1]).check()
    assert shown(page) == what_letters(DATES[1])
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name=DATES[2]).is_checked()
    assert shown(page) == what_letters(DATES[2])
    assert page.get_by_role("textbox").count() == 0
    assert page.get_by_text("To type your own date, run the notebook.").is_visible()


def test_only_views_for_typing_speak_of_it(reader: Any, pages: Pages) -> None:
    page = reader(pages.write("prepared.html", texts(typed=False).html())).page
    assert page.get_by_role("radio").count() == len(DATES)
    assert page.get_by_text("Typing").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_fit_the_screen_and_are_accessible(
    width: int,
    scheme: str,
    reader: Any,
    pages: Pages,
    slider_page: str,
    texts_page: str,
) -> None:
    long = Frames(
        letters, ["a", "b" * 80], label="long text", describe=what_letters
    ).html()
    for address in (slider_page, texts_page, pages.write("long.html", long)):
        here = reader(address, width, scheme)
        assert not here.accessibility()
        assert here.page.evaluate("document.scrollingElement.scrollWidth") <= width
        box = here.page.locator("minitfm-frames img:not([hidden])").bounding_box()
        drawn = here.page.locator("minitfm-frames img:not([hidden])").evaluate(
            "(i) => i.naturalWidth / i.naturalHeight"
        )
        assert box["width"] / box["height"] == pytest.approx(
            drawn, rel=0.01
        )  # scaled down, not squeezed


def test_paper_shows_the_figure_and_its_choice(
    reader: Any, slider_page: str, texts_page: str
) -> None:
    page = reader(slider_page).page
    page.emulate_media(media="print")
    assert page.get_by_text("0.9", exact=True).is_visible()
    assert not page.get_by_role("slider").is_visible()
    assert shown(page) == how_it_decays(0.9)
    page = reader(texts_page).page
    page.emulate_media(media="print")
    assert [
        choice.inner_text()
        for choice in page.locator(".choice").all()
        if choice.is_visible()
    ] == DATES[:1]
    assert not page.get_by_text("Typing").is_visible()


def test_without_javascript_the_first_figure_stands_there(
    browser: Any, slider_page: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(slider_page)
    assert shown(page) == how_it_decays(0.9)
    assert page.get_by_text("comes alive with JavaScript").is_visible()
    context.close()


def test_two_views_on_a_page_keep_apart(reader: Any, pages: Pages) -> None:
    page = reader(
        pages.write("two.html", texts(typed=False).html() + texts(typed=False).html())
    ).page
    page.get_by_role("radio", name=DATES[3]).nth(1).check()
    assert page.get_by_role("radio", name=DATES[0]).nth(0).is_checked()
    seen = [
        image.get_attribute("alt")
        for image in page.locator("img").all()
        if image.is_visible()
    ]
    assert seen == [what_letters(DATES[0]), what_letters(DATES[3])]


def test_texts_cannot_break_out_of_the_page(reader: Any, pages: Pages) -> None:
    nasty = ['"><script>alert(1)</script>', "<b>&amp;"]
    html = Frames(
        letters,
        nasty,
        label="<i>",
        describe=lambda text: f'It is "{text}".',
        typed=True,
    ).html()
    page = reader(pages.write("nasty.html", html)).page
    page.get_by_role("radio", name=nasty[1]).check()
    assert shown(page) == f'It is "{nasty[1]}".'
    assert page.get_by_text("To type your own <i>, run").is_visible()


# ---- The notebook ---------------------------------------------------------------------------------------------------

# What anywidget does with a widget's front end: import it from a blob, give it a model and a place. As in JupyterLab,
# the place is put on the page only afterwards, and an Enter in it sends no form.
WIDGET = """async ([code, traits]) => {
  const listeners = {};
  window.model = {
    saved: 0, sent: [], listeners,
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; model.happens(`change:${name}`); },
    happens: (event, ...about) => listeners[event]?.forEach((call) => call(...about)),
    save_changes() { this.saved++; },
    send(content) { this.sent.push(content); },
    on: (event, call) => (listeners[event] ??= []).push(call),
    off: (event, call) => (listeners[event] = listeners[event].filter((other) => other !== call)),
  };
  const widget = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  const el = document.createElement("div");
  el.addEventListener("beforeinput", (event) => event.inputType === "insertLineBreak" && event.preventDefault());
  window.cleanup = await widget.render({ model, el });
  document.querySelector("main").append(el);
}"""


def start(here: Any, frames: Frames) -> Any:
    """Show a widget in a page that has none of our scripts."""
    traits = {
        name: getattr(frames, name)
        for name in ("frames", "label", "kind", "typed", "index")
    }
    here.page.evaluate(WIDGET, [frames._esm, traits])
    return here.page


@pytest.fixture
def notebook(pages: Pages) -> str:
    """A page that has none of our scripts."""
    page = '<!doctype html><html lang="en"><title>Lab</title><link rel="icon" href="data:,"><main><h1>Lab</h1></main>'
    (pages.folder / "notebooks" / "frames-lab.html").write_text(page)
    return f"{pages.address}/notebooks/frames-lab.html"


def test_the_widget_follows_python_and_python_follows_it(
    reader: Any, notebook: str
) -> None:
    page = start(reader(notebook), radii())
    assert shown(page) == how_it_decays(0.9)
    page.get_by_role("slider").press("ArrowLeft")
    assert page.evaluate("[model.get('index'), model.saved]") == [1, 1]
    page.evaluate("model.set('index', 4)")
    assert (shown(page), page.locator("output").inner_text()) == (
        how_it_decays(1.1),
        "1.1",
    )
    assert page.get_by_role("slider").input_value() == "4"
    assert page.get_by_role("textbox").count() == 0
    page.evaluate("cleanup()")
    assert page.locator("minitfm-frames").count() == 0
    assert page.evaluate("Object.values(model.listeners).flat().length") == 0


def answer(page: Any, frames: Frames) -> None:
    """Let the kernel answer what was sent last."""
    text = page.evaluate("model.sent.at(-1).text")
    page.evaluate(
        "(answer) => model.happens('msg:custom', answer)", answer_to(frames, text)
    )


def test_a_typed_text_is_drawn_by_the_kernel(reader: Any, notebook: str) -> None:
    frames = texts()
    here = reader(notebook)
    page = start(here, frames)
    field, note = page.get_by_label("another date"), page.locator(".note")
    field.fill("11 May 2011")
    field.press("Enter")
    assert page.evaluate("model.sent") == [{"text": "11 May 2011"}]
    assert note.inner_text() == "Drawing …"
    answer(page, frames)
    assert shown(page) == what_letters("11 May 2011")
    assert page.locator("img").count() == len(DATES) + 1
    assert not page.get_by_role("radio", checked=True).count()
    assert page.evaluate("model.get('index')") == -1
    assert note.inner_text() == ""
    assert not here.accessibility()

    field.fill("11 März 2011")
    page.get_by_role("button", name="Show").click()
    answer(page, frames)
    assert note.inner_text() == "This model has never seen “ä”."
    assert note.get_attribute("role") == "status"
    assert shown(page) == what_letters("11 May 2011")  # what was there stays
    assert not here.accessibility()

    page.get_by_role("radio", name=DATES[0]).check()
    assert shown(page) == what_letters(DATES[0])
    assert note.inner_text() == ""
    field.fill("12 June 2012")
    field.press("Enter")
    answer(page, frames)
    assert shown(page) == what_letters("12 June 2012")
    assert page.locator("img").count() == len(DATES) + 1  # it replaced the one before


def test_jupyterlab_leaves_the_keys_to_the_view(reader: Any, notebook: str) -> None:
    # Its commands would take the arrow keys, and none is looked for above an element with this attribute.
    page = start(reader(notebook), radii())
    assert page.locator("minitfm-frames[data-lm-suppress-shortcuts]").count() == 1


def test_nothing_typed_asks_for_nothing(reader: Any, notebook: str) -> None:
    page = start(reader(notebook), texts())
    page.get_by_label("another date").press("Enter")
    assert page.locator(".note").inner_text() == "Type something first."
    assert page.evaluate("model.sent") == []


def test_a_late_answer_does_not_push_the_readers_choice_away(
    reader: Any, notebook: str
) -> None:
    frames = texts()
    page = start(reader(notebook), frames)
    page.get_by_label("another date").fill("11 May 2011")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("radio", name=DATES[3]).check()
    answer(page, frames)
    assert shown(page) == what_letters(DATES[3])


def test_the_front_end_asks_for_nothing_but_itself() -> None:
    assert not re.findall(r"https?:|import\(", Frames._esm)


# ---- The site -------------------------------------------------------------------------------------------------------


def test_the_site_loads_the_script_where_a_view_is_and_nowhere_else(
    tmp_path: Path,
) -> None:
    source, output = tmp_path / "source", tmp_path / "html"
    source.mkdir()
    (source / "conf.py").write_text(
        'extensions = ["minitfm.web.sphinx"]\nhtml_theme = "basic"\n'
    )
    (source / "index.rst").write_text("Start\n=====\n\n.. toctree::\n\n   view\n")
    (source / "view.rst").write_text(
        f"View\n====\n\n.. raw:: html\n\n   {radii().html()}\n"
    )
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-b",
        "html",
        str(source),
        str(output),
    ]
    subprocess.run(command, capture_output=True, text=True, check=True)
    assert (
        'type="module" src="_static/minitfm/frames.js'
        in (output / "view.html").read_text()
    )
    assert "frames.js" not in (output / "index.html").read_text()
    assert (output / "_static" / "minitfm" / "frames.js").is_file()
