"""The figures on the built pages: in their shape, not blown up on a desk, without a slab in the dark."""

import pytest

from tests.site import browser, course_pages, site, visit  # noqa: F401

CHAPTERS = [page for page in course_pages() if page.startswith("notebooks/")]
each_chapter = pytest.mark.parametrize("path", CHAPTERS)

SHAPES = """async () => { const images = [...document.querySelectorAll(".cell_output img:not([hidden])")];
  for (const image of images) { image.loading = "eager"; await image.decode().catch(() => 0); }
  return images.map((image) => {
    const box = image.getBoundingClientRect();
    return [image.alt.slice(0, 40), box.width, box.height, image.naturalWidth, image.naturalHeight];
  }); }"""


@each_chapter
def test_a_picture_that_is_not_yet_loaded_has_its_place(visit, path):  # noqa: F811
    page = visit(f"{path}.html", width=360).page
    sizes = page.evaluate("""() => [...document.querySelectorAll(".cell_output img:not([hidden])")]
        .map((image) => [image.alt.slice(0, 40), image.getBoundingClientRect().height])""")
    assert not [alt for alt, height in sizes if height < 40]


@each_chapter
@pytest.mark.parametrize("width", [360, 1280])
def test_pictures_keep_their_shape_and_are_not_blown_up(visit, path, width):  # noqa: F811
    for alt, shown, high, wide, tall in visit(f"{path}.html", width).page.evaluate(
        SHAPES
    ):
        assert shown / high == pytest.approx(wide / tall, rel=0.02), alt
        assert shown <= wide / 2 + 1, f"{alt}: {shown} pixels for {wide / 2}"


@each_chapter
def test_the_words_of_a_drawing_stand_inside_it_and_out_from_the_dark(visit, path):  # noqa: F811
    page = visit(f"{path}.html", scheme="dark").page
    outside = page.evaluate("""() => [...document.querySelectorAll("svg.drawing")].flatMap((svg) => {
        const view = svg.viewBox.baseVal;
        return [...svg.querySelectorAll("text")].filter((text) => {
          const box = text.getBBox();
          return box.x < 0 || box.y < 0 || box.x + box.width > view.width || box.y + box.height > view.height;
        }).map((text) => text.textContent)})""")
    assert not outside
    # How a canvas paints each word's color, whatever the notation of its computed style.
    dim = page.evaluate("""() => [...document.querySelectorAll("svg.drawing text")].filter((text) => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = getComputedStyle(text).fill;
        canvas.fillRect(0, 0, 1, 1);
        const light = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((s) => {
          const share = s / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        const luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
        return (luminance + 0.05) / (0.009 + 0.05) < 4.5;
      }).map((text) => text.textContent)""")
    assert not dim
    slabs = page.evaluate("""() => [...document.querySelectorAll(".cell_output .text_html:has(> svg.drawing)")]
        .map((box) => getComputedStyle(box).backgroundColor).filter((color) => !/, 0\\)$|transparent/.test(color))""")
    assert not slabs
    bright = page.evaluate("""() => [...document.querySelectorAll(".cell_output img:not(.as-it-is)")]
        .map((image) => getComputedStyle(image).filter).filter((filter) => !filter.includes("invert(1)"))""")
    assert not bright
