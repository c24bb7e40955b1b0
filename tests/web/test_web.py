"""The live pages: JavaScript computes what PyTorch does, and a reader gets along with it."""

# ruff: noqa: F811
import base64
import csv
import datetime
import html
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from minitfm.masks import causal_mask, padding_mask
from minitfm.results import typed_dates as typed_results
from minitfm.seq2seq import greedy
from minitfm.study.tasks import dates
from minitfm.study.typed_dates import TYPED_FORMS, TYPED_VOCABULARY, typed_dates
from minitfm.study.vocabulary import BOS, Vocabulary
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.web import (
    Attention,
    AttentionView,
    LiveTransformer,
    date_model,
    date_model_facts,
    read_date,
)
from minitfm.web.pages import (
    DATE_EXAMPLES,
    ELEMENTS,
    STATIC,
    WITHOUT,
    bundle,
    live_html,
    read_facts,
)
from minitfm.web.reading import days_of
from minitfm.web.recording import record
from minitfm.web.train import COMMAND, LONGEST
from minitfm.web.weights import pack, unpack
from tests.browser import Pages, pages, reader  # noqa: F401
from tests.site import browser  # noqa: F401

pytestmark = pytest.mark.xdist_group("browser")

FILE = STATIC / "dates.safetensors"
ROOT = Path(__file__).parents[2]
VOCABULARY = Vocabulary.of(text for pair in dates(2_000, seed=0) for text in pair)
CONFIGS = {
    "post": {},
    "pre": {"norm": "pre"},
    "untied": {"tied": False},
    "two embeddings": {"target_vocabulary": len(VOCABULARY)},
    "untied, two embeddings": {"target_vocabulary": len(VOCABULARY), "tied": False},
    "learned": {"positions": "learned", "max_length": 64},
    "rotary": {"positions": "rotary", "norm": "pre"},
    "own widths": {"d_k": 6, "d_v": 10, "heads": 3, "layers": 3},
}


def drawn_texts(count: int, seed: int = 0) -> list[str]:
    """Half dates that the models have never seen, half any characters at all."""
    draw = random.Random(seed)
    noise = [
        "".join(draw.choices(VOCABULARY.symbols[3:], k=draw.randint(1, 40)))
        for _ in range(count // 2)
    ]
    return noise + [
        english for english, _ in dates(count - count // 2, seed, held_out=True)
    ]


def drawn_model(**changes: Any) -> Transformer:
    """An untrained model whose every parameter matters: gains and biases are drawn, too."""
    model = Transformer(TransformerConfig.tiny(len(VOCABULARY), **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("gain", "bias")):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


@pytest.fixture
def blank(pages: Pages) -> str:
    return pages.write("blank.html", "")


# Runs a file in the browser: the tokens that it writes, the logits of each step, and all weights by layer.
TRANSLATE = """async ([address, texts, longest]) => {
  const { Transformer } = await import("../_static/minitfm/transformer.js");
  const model = Transformer.read(await (await fetch(address)).arrayBuffer());
  return texts.map((text) => {
    const steps = [...model.greedy(model.tokens(text).ids, longest)];
    const weights = { ...steps[0].encoder };
    for (const name of Object.keys(steps[0].weights))
      weights[name] = steps[0].weights[name].map((_, head) => steps.map((step) =>
        [...step.weights[name][head], ...Array(name.includes("self") ? longest : 0).fill(0)].slice(
          0, name.includes("self") ? steps.length : undefined)));
    return { written: steps.map(({ written }) => written), logits: steps.map(({ logits }) => [...logits]),
      probabilities: steps.map(({ probabilities }) => [...probabilities]),
      weights: Object.fromEntries(Object.entries(weights).map(([name, heads]) =>
        [name, heads.map((rows) => rows.map((row) => [...row]))])) };
  });
}"""


def in_browser(
    reader: Any,
    pages: Pages,
    blank: str,
    file: bytes,
    texts: list[str],
    longest: int = 14,
) -> list[dict]:
    (pages.folder / "model.safetensors").write_bytes(file)
    return reader(blank).page.evaluate(
        TRANSLATE, ["../model.safetensors", texts, longest]
    )


def assert_same(found: dict, model: Transformer, text: str, tolerance: float) -> None:
    """Compare with PyTorch in float64, so that only the browser's own rounding is left."""
    model = model.double()
    source = VOCABULARY.encode([text])
    target = torch.tensor([[1, *found["written"][:-1]]])
    with torch.no_grad():
        logits = model(source, target)[0]
    here = torch.tensor(found["logits"], dtype=torch.float64)
    assert (here - logits).abs().max() <= tolerance * logits.abs().max()
    assert found["written"] == logits.argmax(-1).tolist()
    torch.testing.assert_close(
        torch.tensor(found["probabilities"], dtype=torch.float64),
        logits.softmax(-1),
        atol=3 * tolerance,
        rtol=0,
    )
    weights = model.attention(source, target)
    assert weights.keys() == found["weights"].keys()
    for name, expected in weights.items():
        torch.testing.assert_close(
            torch.tensor(found["weights"][name], dtype=torch.float64),
            expected[0],
            atol=tolerance,
            rtol=0,
            msg=name,
        )


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["F32", "F16"])
def test_the_browser_computes_what_pytorch_does(
    changes: dict, dtype: torch.dtype, reader: Any, pages: Pages, blank: str
) -> None:
    # An F16 file holds other numbers than the model it was made of, but PyTorch and the browser read the same ones.
    model = drawn_model(**changes)
    file = pack(model, VOCABULARY, longest=(40, 14), dtype=dtype)
    texts = drawn_texts(4)
    for text, found in zip(texts, in_browser(reader, pages, blank, file, texts)):
        assert_same(found, unpack(file)[0], text, tolerance=1e-5)


def test_padding_that_a_model_writes_is_hidden_from_later_tokens(
    reader: Any, pages: Pages, blank: str
) -> None:
    model = drawn_model(tied=False)
    with torch.no_grad():
        model.generator.weight[0] *= 4
    texts = drawn_texts(4)
    results = in_browser(
        reader,
        pages,
        blank,
        pack(model, VOCABULARY, longest=(40, 14), dtype=torch.float32),
        texts,
    )
    assert any(0 in found["written"][:-1] for found in results)
    for text, found in zip(texts, results):
        assert_same(found, model, text, tolerance=1e-5)


def test_half_precision_hardly_changes_the_result(
    reader: Any, pages: Pages, blank: str
) -> None:
    # F16 keeps 11 bits: every weight may be off by 2⁻¹², and four layers add such errors up to some thousandths.
    model = drawn_model()
    texts = drawn_texts(4)
    for text, found in zip(
        texts,
        in_browser(
            reader, pages, blank, pack(model, VOCABULARY, longest=(40, 14)), texts
        ),
    ):
        target = torch.tensor([[1, *found["written"][:-1]]])
        with torch.no_grad():
            logits = model(VOCABULARY.encode([text]), target)[0]
        assert (
            torch.tensor(found["logits"]) - logits
        ).abs().max() < 1e-2 * logits.abs().max()


def test_a_file_keeps_every_bit_of_a_model() -> None:
    model = drawn_model(norm="pre", positions="learned", max_length=40)
    file = pack(
        model, VOCABULARY, longest=(40, 14), about={"steps": 3}, dtype=torch.float32
    )
    again, vocabulary = unpack(file)
    assert (again.config, vocabulary) == (model.config, VOCABULARY)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name]), name
    assert read_facts(file)["about"] == {"steps": 3}
    assert (
        pack(
            again, vocabulary, longest=(40, 14), about={"steps": 3}, dtype=torch.float32
        )
        == file
    )


def test_a_file_that_does_not_fit_its_config_is_refused() -> None:
    file = pack(drawn_model(), VOCABULARY, longest=(40, 14))
    with pytest.raises(ValueError, match="do not fit"):
        unpack(
            file.replace(
                b"encoder.layers.0.residual_1.norm.gain",
                b"encoder.layers.0.residual_1.norm.pain",
            )
        )


@pytest.fixture(scope="module")
def shipped() -> tuple[Transformer, Vocabulary]:
    return date_model()


# ---- The model that the site ships -------------------------------------------------------------------------------


def held_out(count: int, seed: int, form: str) -> list[tuple[str, str]]:
    return typed_dates(count, seed, held_out=True, form=form)


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, str], dict[str, str]]:
    """minitfm/results/typed_dates.csv by form and model."""
    with typed_results.TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(TYPED_FORMS)
    return {(row["form"], row["model"]): row for row in rows}


@pytest.mark.parametrize("form", TYPED_FORMS)
def test_the_shipped_model_reads_what_people_type(
    form: str,
    shipped: tuple[Transformer, Vocabulary],
    table: dict[tuple[str, str], dict[str, str]],
) -> None:
    # Days that it has never seen; the table counts more of them, and other seeds.
    found = typed_results.score(shipped[0], form, count=200, seed=11)
    listed, control = table[form, "live page"], table[form, "CLDR alone"]
    assert found.right >= 0.92
    assert abs(found.right - float(listed["right"])) <= 0.05
    # The control: the same model, trained on CLDR's dates alone, reads only those.
    if form != "as CLDR prescribes":
        assert float(control["right"]) < 0.6 < float(listed["right"]) - 0.3
    assert float(control["two_days"]) == float(control["no_day"]) == 0
    # Neither "two days" nor "no day" is an answer that is always given.
    two, none = (
        form == "in numbers, two days",
        form.startswith(("no ", "two", "year b")),
    )
    if form != "29 February":
        assert (found.two_days > 0.95) if two else (found.two_days < 0.02)
        assert (found.no_day > 0.95) if none else (found.no_day < 0.02)


@pytest.mark.parametrize(
    ("text", "written", "meaning"),
    [
        ("march 4, 2025", "2025年3月4日", "one day: 4 March 2025"),
        ("3/4/2025", "2025年3月4日か4月3日", "two days: 4 March or 3 April 2025"),
        ("4.3.2025", "2025年4月3日か3月4日", "two days: 3 April or 4 March 2025"),
        ("25.3.2025", "2025年3月25日", "one day: 25 March 2025"),
        ("4TH OF MARCH 2025", "2025年3月4日", "one day: 4 March 2025"),
        ("tue 4 mar 2025", "2025年3月4日火曜日", "one day: 4 March 2025"),
        ("14 July 1789", "1789年7月14日", "one day: 14 July 1789"),
        ("3/4/25", "？", "no day"),
        ("31 april 2025", "？", "no day"),
        ("tomorrow", "？", "no day"),
    ],
)
def test_python_says_what_a_text_can_mean(
    text: str, written: str, meaning: str, shipped: tuple[Transformer, Vocabulary]
) -> None:
    reading = read_date(text, *shipped)
    assert (reading.written, reading.meaning) == (written, meaning)
    assert str(reading) == f"{written} ({meaning})"
    assert len(reading.certainty) == len(written) + 1


def test_python_says_where_it_was_least_sure(
    shipped: tuple[Transformer, Vocabulary],
) -> None:
    model, vocabulary = shipped
    reading = read_date("march 4, 2025", model, vocabulary)
    target = vocabulary.encode([reading.written], bos=True)
    with torch.no_grad():
        logits = model(vocabulary.encode([reading.text]), target)[0]
    probabilities = logits.softmax(-1).amax(-1)
    torch.testing.assert_close(
        torch.tensor(reading.certainty), probabilities, atol=1e-5, rtol=0
    )
    token, least = reading.least_sure
    assert least == min(reading.certainty)
    assert token == [*reading.written, "<eos>"][reading.certainty.index(least)]
    with pytest.raises(ValueError, match="not in the vocabulary"):
        read_date("4 März 2025", model, vocabulary)


def test_no_day_is_made_up_where_the_calendar_has_none() -> None:
    assert days_of("2025年2月31日") == days_of("2025年") == days_of("？") == ()
    assert days_of("2025年2月31日か3月2日") == (datetime.date(2025, 3, 2),)


def test_the_shipped_model_says_how_it_was_made() -> None:
    facts = date_model_facts()
    about = facts["about"]
    assert about["command"].startswith(COMMAND)
    assert about["exact_match"].keys() == about["forms"].keys() == TYPED_FORMS.keys()
    assert min(about["exact_match"].values()) >= 0.95
    assert about["years"] == [1000, 2999]
    assert {"steps", "seed", "seconds", "pairs", "cannot"} < about.keys()
    assert tuple(facts["longest"]) == LONGEST
    assert tuple(facts["symbols"]) == TYPED_VOCABULARY.symbols
    assert FILE.stat().st_size < 600_000


def test_chapter_panel_and_file_are_one_model() -> None:
    live = LiveTransformer.shipped()
    assert live.file == FILE.read_bytes()
    facts = date_model_facts()
    assert live.about == facts["about"]
    assert f'model="../_static/minitfm/{FILE.name}"' in live.html()
    assert html.escape(json.dumps(facts["about"], ensure_ascii=False)) in live.html()
    chapter = json.loads((ROOT / "notebooks" / "09_transformer.ipynb").read_text())
    outputs = [out for cell in chapter["cells"] for out in cell.get("outputs", [])]
    stored = ["".join(out.get("data", {}).get("text/html", "")) for out in outputs]
    assert live.html() in stored
    # The architecture is the chapter's, at the same size.
    config = TransformerConfig.tiny(len(TYPED_VOCABULARY), dropout=0.0)
    assert date_model()[0].config == config


def test_the_shipped_model_translates_in_the_browser(
    reader: Any, pages: Pages, blank: str, shipped: tuple[Transformer, Vocabulary]
) -> None:
    texts = [text for form in TYPED_FORMS for text, _ in held_out(2, 8, form)]
    found = in_browser(reader, pages, blank, FILE.read_bytes(), texts, longest=22)
    for text, one in zip(texts, found):
        written = "".join(shipped[1].decode(torch.tensor(one["written"])))
        assert written == read_date(text, *shipped).written, text


# ---- The reader of the live page ----------------------------------------------------------------------------------


@pytest.fixture
def live_page(pages: Pages, shipped: tuple[Transformer, Vocabulary]) -> str:
    return pages.write("live.html", LiveTransformer(*shipped).html())


def translate(page: Any, text: str) -> None:
    page.get_by_label("A date in English").fill(text)
    page.get_by_role("button", name="Translate").click()


def shown(page: Any) -> str:
    return "".join(page.locator(".written button").all_inner_texts())


def test_nothing_heavy_is_fetched_before_the_reader_asks(
    reader: Any, live_page: str
) -> None:
    here = reader(live_page)
    assert not [
        url for url in here.fetched if url.endswith(("transformer.js", ".safetensors"))
    ]
    translate(here.page, "4 March 2025")
    here.page.get_by_text("Done:").wait_for()
    assert (
        len(
            [
                url
                for url in here.fetched
                if url.endswith(("transformer.js", ".safetensors"))
            ]
        )
        == 2
    )


def test_a_reader_translates_steps_back_and_looks_around(
    reader: Any, live_page: str
) -> None:
    page = reader(live_page).page
    translate(page, "Saturday, 14 October 2017")
    page.get_by_text("Done: 15 tokens").wait_for()
    assert shown(page) == "2017年10月14日土曜日⟨eos⟩"
    assert page.locator(".written .now").inner_text() == "日", "not the end itself"
    assert page.locator(".written .now").get_attribute("lang") == "ja"

    page.get_by_role("slider", name="Step 14 of 15").fill("6")
    page.get_by_text("Step 6 of 15").wait_for()
    assert page.locator(".written .now").inner_text() == "1"
    assert page.get_by_text("After “年”: what comes next?").is_visible()
    likeliest = page.get_by_label("Likeliest next tokens").get_by_role("listitem")
    assert likeliest.count() == 5
    assert likeliest.first.inner_text().split()[0] == "1"
    page.get_by_role("button", name="One step back").click()
    page.get_by_text("Step 5 of 15").wait_for()

    sentence = page.locator(".sentence")
    assert sentence.inner_text().startswith("Query “7” (5) looks mostly at the keys")
    page.get_by_role("radio", name="Encoder").check()
    page.get_by_role("radio", name="1", exact=True).check()
    page.get_by_role("checkbox", name="head 2").check()
    page.get_by_role("button", name="query 10: ␣").click()
    assert sentence.inner_text().startswith("Query “␣” (10) looks mostly at the keys")
    assert "layer 1" in sentence.inner_text()
    assert "head" in sentence.inner_text()


def test_a_translation_is_written_before_the_readers_eyes(
    reader: Any, live_page: str
) -> None:
    page = reader(live_page, motion=True).page
    page.evaluate(
        """() => {
            const root = document.querySelector("minitfm-live").shadowRoot;
            window.seen = [];
            new MutationObserver(() => window.seen.push(root.querySelectorAll(".written button").length))
                .observe(root, { childList: true, subtree: true });
        }"""
    )
    page.get_by_role("button", name=DATE_EXAMPLES[0], exact=True).click()
    page.get_by_text(re.compile(r"Step \d+ of \d+")).wait_for()
    page.get_by_role("slider").fill("1")  # the reader takes over, the writing goes on
    page.get_by_text("Done: 13 tokens").wait_for()
    assert page.get_by_text("Step 1 of 13").is_visible()
    assert set(range(1, 14)) <= set(page.evaluate("() => window.seen")), (
        "one token after another"
    )


def test_a_second_translation_ends_the_first(reader: Any, live_page: str) -> None:
    page = reader(live_page, motion=True).page
    translate(page, "4 March 2025")
    page.get_by_text(re.compile(r"Step \d+ of \d+")).wait_for()
    translate(page, "1999/12/31")
    page.get_by_text("Done: 12 tokens").wait_for()
    assert shown(page) == "1999年12月31日⟨eos⟩"


def test_a_date_that_can_be_two_days_is_said_to_be_so(
    reader: Any, live_page: str
) -> None:
    page = reader(live_page).page
    meaning = page.locator(".meaning")
    for text, sentence, warned in (
        (
            "3/4/2025",
            "This can mean two days, 4 March or 3 April 2025; the model",
            True,
        ),
        ("25/4/2025", "That is 25 April 2025.", False),
        ("Tuesday, 4 March 2025", "That is 4 March 2025.", False),
        (
            "Friday, 4 March 2025",
            "That is 4 March 2025, a Tuesday, though 金曜日 says Friday.",
            True,
        ),
        ("3/4/25", "The model writes ？: it reads no day in this.", True),
    ):
        translate(page, text)
        page.get_by_text("Done:").wait_for()
        assert meaning.inner_text().startswith(sentence)
        assert (meaning.get_attribute("class") == "meaning warn") == warned
    assert meaning.locator("[lang=ja]").inner_text() == "？"
    translate(page, "4 März 2025")
    page.get_by_text("This model has never seen").wait_for()
    assert meaning.inner_text() == "", "it belongs to the text before"


def test_the_panel_shows_where_the_model_was_least_sure(
    reader: Any, live_page: str, shipped: tuple[Transformer, Vocabulary]
) -> None:
    page = reader(live_page).page
    # Not one of its forms, so that it hesitates.
    text = "Febuary the 3rd 2025"
    reading = read_date(text, *shipped)
    token, certainty = reading.least_sure
    step = reading.certainty.index(certainty) + 1
    assert certainty < 0.99
    translate(page, text)
    page.get_by_text("Done:").wait_for()
    said = page.locator(".least-sure").inner_text()
    token = {"<eos>": "⟨eos⟩"}.get(token, token)
    assert said.startswith(
        f"Least sure: {token} (step {step}), {100 * certainty:.1f} %"
    )
    marked = page.locator(".written .least")
    assert marked.count() == 1
    assert marked.inner_text() == token
    assert marked.get_attribute("data-sure") == f"{int(100 * certainty)} %"
    assert marked.get_attribute("title").endswith("the least of all")
    for place, share in enumerate(reading.certainty):
        shown = page.locator(".written button").nth(place).get_attribute("data-sure")
        assert bool(shown) == (share < 0.99), place
    page.locator(".least-sure button").focus()
    page.keyboard.press("Enter")
    page.get_by_text(f"Step {step} of {len(reading.certainty)}").wait_for()
    likeliest = page.get_by_label("Likeliest next tokens").get_by_role("listitem")
    assert likeliest.first.inner_text().split()[0] == token


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_panel_says_what_it_was_trained_on_before_anything_is_fetched(
    width: int, scheme: str, reader: Any, live_page: str
) -> None:
    here = reader(live_page, width, scheme)
    summary = here.page.locator("details.about summary")
    summary.focus()
    here.page.keyboard.press("Enter")
    rows = here.page.locator("details.about tbody tr")
    about = date_model_facts()["about"]
    expected = [
        [form, example, f"{100 * about['exact_match'][form]:.1f} %"]
        for form, example in about["forms"].items()
    ]
    assert [row.locator("td").all_inner_texts() for row in rows.all()] == expected
    text = here.page.locator("details.about").inner_text()
    assert "days from 1000 to 2999" in text
    assert all(limit in text for limit in about["cannot"])
    assert not here.accessibility()
    assert here.page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert not [url for url in here.fetched if url.endswith(".safetensors")]


def test_where_the_model_is_sure_of_everything_nothing_is_pointed_at(
    reader: Any, live_page: str, shipped: tuple[Transformer, Vocabulary]
) -> None:
    page = reader(live_page).page
    text = "Tuesday, 4 March 2025"
    assert min(read_date(text, *shipped).certainty) > 0.99
    translate(page, text)
    page.get_by_text("Done:").wait_for()
    said = page.locator(".least-sure").inner_text()
    assert said == "Sure of each of these tokens: at least 99 %."
    assert page.locator(".written .least").count() == 0


def test_a_model_that_says_nothing_of_its_training_has_no_such_words(
    reader: Any, pages: Pages, shipped: tuple[Transformer, Vocabulary]
) -> None:
    live = LiveTransformer(*shipped, page_model="../elsewhere.safetensors")
    page = reader(pages.write("silent.html", live.html())).page
    page.locator("minitfm-live form").wait_for()
    assert page.locator("details.about").is_hidden()


PLAYED = "Tuesday, 4 March 2025"


@pytest.fixture(scope="module")
def recording(shipped: tuple[Transformer, Vocabulary]) -> dict[str, Any]:
    return record(*shipped, PLAYED, 40)


def playing(pages: Pages, recording: dict[str, Any], above: str = "") -> str:
    """A page whose panel, far below if so wished, plays what was recorded."""
    model = f"../_static/minitfm/{FILE.name}"
    return pages.write(
        "play.html",
        above
        + live_html(model, recording=recording)
        + '<div style="height: 900px"></div>',
    )


def test_a_recording_holds_what_the_model_does(
    shipped: tuple[Transformer, Vocabulary], recording: dict[str, Any]
) -> None:
    model, vocabulary = shipped
    source, target = vocabulary.encode([PLAYED]), recording["written"]
    assert recording["symbols"] == vocabulary.symbols
    assert torch.equal(greedy(model, source, 40)[0], torch.tensor(target))
    assert vocabulary.decode(torch.tensor(target)) == list("2025年3月4日火曜日")
    read = torch.tensor([[BOS, *target[:-1]]])
    expected = model(source, read)[0].softmax(-1)
    given = torch.tensor(recording["probabilities"]).float()
    torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-9)
    weights = model.attention(source, read)
    assert recording["weights"].keys() == weights.keys()
    for name, heads in recording["weights"].items():
        for rows, all_keys in zip(heads, weights[name][0], strict=True):
            for i, (row, full) in enumerate(zip(rows, all_keys, strict=True)):
                causal = name.startswith("decoder") and name.endswith("self_attention")
                assert len(row) == (i + 1 if causal else len(PLAYED))
                torch.testing.assert_close(torch.tensor(row) * 1.0, full[: len(row)], rtol=0, atol=6e-4)  # fmt: skip


def test_a_recording_stops_at_the_longest(
    shipped: tuple[Transformer, Vocabulary], recording: dict[str, Any]
) -> None:
    assert record(*shipped, PLAYED, 5)["written"] == recording["written"][:5]


@pytest.mark.parametrize(
    ("motion", "width", "scheme"), [(True, 1280, "light"), (False, 360, "dark")]
)
def test_what_was_recorded_is_played_once_when_it_is_seen_and_fetches_no_model(
    motion: bool,
    width: int,
    scheme: str,
    reader: Any,
    pages: Pages,
    recording: dict[str, Any],
) -> None:
    above = '<div style="height: 3000px">far above</div>'
    here = reader(playing(pages, recording, above), width, scheme, motion=motion)
    here.page.wait_for_timeout(300)
    assert here.page.locator(".stage").is_hidden(), "nobody has seen it"
    here.page.evaluate(
        """() => { window.steps = [];
        document.querySelector("minitfm-live").addEventListener("step", ({ detail }) => steps.push([detail.shown, performance.now()])); }"""
    )
    here.page.locator("minitfm-live form").scroll_into_view_if_needed()
    here.page.get_by_text("This was recorded").wait_for()
    assert shown(here.page) == "2025年3月4日火曜日⟨eos⟩"
    steps = here.page.evaluate("window.steps")
    count = len(recording["written"])
    expected = [*range(1, count + 1), count - 1] if motion else [count - 1]
    assert [step for step, _ in steps] == expected
    here.page.evaluate("scrollTo(0, 0)")
    here.page.locator("minitfm-live form").scroll_into_view_if_needed()
    here.page.wait_for_timeout(700)
    assert len(here.page.evaluate("window.steps")) == len(steps), "once"
    assert not [url for url in here.fetched if url.endswith(".safetensors")]
    assert not here.accessibility()
    assert here.page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_what_was_recorded_shows_what_the_model_shows(
    reader: Any, pages: Pages, recording: dict[str, Any]
) -> None:
    page = reader(playing(pages, recording), motion=False).page
    seen = []
    for done in ("This was recorded", "Done: 13 tokens"):
        if seen:
            translate(page, PLAYED)
        page.get_by_text(done).wait_for()
        steps = []
        for back in range(3):  # by the keyboard, without the model's file at first
            if back:
                page.get_by_label("One step back").focus()
                page.keyboard.press("Enter")
            steps.append(
                [
                    page.get_by_label("Likeliest next tokens")
                    .inner_text()
                    .split("\n")[:6],
                    page.locator(".least-sure").inner_text()[:20],
                    page.evaluate(
                        """() => { const view = document.querySelector("minitfm-live").shadowRoot.querySelector("minitfm-attention");
                        return view.data.views.map(({ keys, queries, weights }) => [keys, queries, weights.flat(3).map((w) => w.toFixed(1))]) }"""
                    )[2][:2],
                ]
            )
        seen.append(steps)
    assert seen[0] == seen[1]


def test_a_reader_who_is_faster_is_not_disturbed(
    reader: Any, pages: Pages, recording: dict[str, Any]
) -> None:
    page = reader(playing(pages, recording), motion=True).page
    page.locator(".written button").nth(2).wait_for()
    translate(page, "1999/12/31")
    page.get_by_text("Done:").wait_for()
    assert shown(page) == "1999年12月31日⟨eos⟩"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("4 März 2025", "This model has never seen “ä”."),
        ("", "Type something to translate first."),
        (
            "Saturday, the 4th of March of the year 2025",
            "That is 43 characters; this model has seen at most 39.",
        ),
    ],
)
def test_what_the_model_cannot_read_is_explained(
    text: str, sentence: str, reader: Any, live_page: str
) -> None:
    page = reader(live_page).page
    translate(page, "1999/12/31")
    page.get_by_text("Done:").wait_for()
    translate(page, text)
    page.get_by_role("status").get_by_text(sentence).wait_for()
    assert page.locator(".stage").is_hidden(), "the translation of the text before"
    assert page.get_by_role("button", name="Retry").is_hidden(), "it would not help"
    translate(page, "4 March 2025")
    page.get_by_text("Done:").wait_for()
    assert page.locator(".stage").is_visible()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("../nothing.safetensors", "is not there (HTTP 404)"),
        ("data:,hello world", "this is no safetensors file"),
    ],
)
def test_a_missing_or_broken_model_is_explained(
    address: str,
    sentence: str,
    reader: Any,
    pages: Pages,
    shipped: tuple[Transformer, Vocabulary],
) -> None:
    here = reader(
        pages.write(
            "missing.html", LiveTransformer(*shipped, page_model=address).html()
        )
    )
    translate(here.page, "4 March 2025")
    here.page.get_by_role("status").get_by_text(sentence).wait_for()
    assert here.page.get_by_role("button", name="Retry").is_visible()
    here.complaints[:] = [
        complaint for complaint in here.complaints if "404" not in complaint
    ]  # the browser's own


@pytest.mark.parametrize("lost", ["model", "module"])
def test_a_broken_download_is_tried_again(
    lost: str, reader: Any, live_page: str
) -> None:
    here = reader(live_page)
    page = here.page
    address = re.compile(r"\.safetensors$" if lost == "model" else r"transformer\.js$")
    page.route(address, lambda route: route.abort())
    translate(page, "4 March 2025")
    page.get_by_text("The model could not be downloaded").wait_for()
    assert here.complaints, "the browser reports the lost file"
    here.complaints.clear()
    page.unroute(address)
    page.get_by_role("button", name="Retry").click()
    if lost == "module":  # which takes a new page
        page.wait_for_function("() => customElements.get('minitfm-live')")
        translate(page, "4 March 2025")
    page.get_by_text("Done: 10 tokens").wait_for()
    assert page.get_by_role("button", name="Retry").is_hidden()


def test_the_public_is_not_told_to_make_a_server() -> None:
    for file in STATIC.iterdir():
        if file.suffix == ".js":
            assert "make serve" not in file.read_text("utf-8"), file.name
    assert "make " not in WITHOUT


# ---- The attention view -------------------------------------------------------------------------------------------


@pytest.fixture
def attention_page(pages: Pages, shipped: tuple[Transformer, Vocabulary]) -> str:
    return pages.write(
        "attention.html", AttentionView.of(*shipped, "Oct 3, 1987").html()
    )


def test_the_sentence_says_what_pytorch_computes(
    reader: Any, attention_page: str, shipped: tuple[Transformer, Vocabulary]
) -> None:
    model, vocabulary = shipped
    source, target = "Oct 3, 1987", "1987年10月3日"
    layers = model.attention(
        vocabulary.encode([source]), vocabulary.encode([target], bos=True)
    )
    heads = layers["decoder.layers.1.cross_attention"][0]
    page = reader(attention_page).page
    page.get_by_role("button", name="all").click()
    page.get_by_role("button", name="query 6: 年").hover()
    weight, place = heads.mean(0)[5].max(0)
    assert (
        f"keys “{source[place]}” ({place + 1}) {round(100 * weight.item())} %"
        in page.locator(".sentence").inner_text()
    )
    sharpest = heads.amax(-1).sum(-1).argmax().item()
    page.reload()
    assert page.get_by_role("checkbox", name=f"head {sharpest + 1}").is_checked()


def test_a_tap_reads_a_cell_and_lifting_the_finger_leaves_it_there(
    reader: Any, attention_page: str
) -> None:
    page = reader(attention_page).page
    finger = page.context.new_cdp_session(page)
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    cells = page.locator(".map canvas")
    cells.scroll_into_view_if_needed()
    box, before = cells.bounding_box(), page.locator(".sentence").inner_text()
    spot = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 3}
    assert page.locator(".ring").is_hidden()
    for kind, points in (("touchStart", [spot]), ("touchEnd", [])):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.locator(".ring").wait_for()
    read = page.locator(".sentence").inner_text()
    assert read != before
    page.mouse.move(spot["x"] + 5, spot["y"])  # a mouse that leaves takes it away
    page.mouse.move(0, 0)
    assert page.locator(".ring").is_hidden()


def test_the_keyboard_reaches_everything(reader: Any, attention_page: str) -> None:
    page = reader(attention_page).page
    sentence = page.locator(".sentence")
    page.get_by_role("radio", name="Cross").focus()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("radio", name="Decoder").is_checked()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("radio", name="1", exact=True).is_checked()
    for _ in range(7):  # four heads, "all", the glance, the first query
        page.keyboard.press("Tab")
    assert sentence.inner_text().startswith("Query “⟨bos⟩” (1)")
    page.keyboard.press("ArrowDown")
    assert sentence.inner_text().startswith("Query “1” (2)")
    page.keyboard.press("Enter")
    assert (
        page.get_by_role("button", name="query 2: 1").get_attribute("aria-pressed")
        == "true"
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert sentence.inner_text().startswith("Key “7” (11)")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert sentence.inner_text().startswith("Query “1” (2) gives ")
    assert "to key “c” (2)" in sentence.inner_text()


def test_lines_and_cells_are_drawn_as_strongly_as_they_weigh(
    reader: Any, pages: Pages
) -> None:
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5]])
    html = AttentionView(
        Attention("Attention", weights, ["a", "b"], ["x", "y", "z"])
    ).html()
    page = reader(pages.write("small.html", html)).page
    opacities = page.locator("path").evaluate_all(
        "(paths) => paths.map((path) => +path.getAttribute('opacity'))"
    )
    lines = page.locator("path").evaluate_all(
        "(paths) => paths.map((path) => path.getAttribute('d').split('M').length - 1)"
    )
    assert opacities == sorted(opacities)
    assert lines == [1, 2, 1]
    pixels = page.locator(".map canvas").evaluate(
        "(c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0)"
    )
    assert len(pixels) == 6
    assert [pixels[i] for i in (0, 1, 2)] == sorted(
        pixels[:3]
    )  # on a light page, darker is more
    assert pixels[4] == pixels[5] < pixels[3]
    page.locator("summary").click()
    page.locator("table").wait_for()
    assert page.locator("table td").all_inner_texts()[1:] == [
        "0.90",
        "0.10",
        "0.00",
        "0.00",
        "0.50",
        "0.50",
    ]


@pytest.fixture
def heads_page(pages: Pages) -> str:
    """Two layers of three heads, each of which attends to one key of four alone."""
    keys = torch.tensor([[[0, 1], [1, 2], [2, 3]], [[3, 0], [0, 2], [1, 3]]])
    weights = torch.nn.functional.one_hot(keys, 4).float()  # (layer, head, query, key)
    html = AttentionView(Attention("Heads", weights, ["a", "b"], list("wxyz"))).html()
    return pages.write("heads.html", html)


def test_all_heads_and_layers_are_seen_at_a_glance(
    reader: Any, heads_page: str
) -> None:
    page = reader(heads_page).page
    darkest = """(canvases) => canvases.map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const lightness = [...Array(canvas.width * canvas.height).keys()]
        .map((cell) => data[4 * cell] + data[4 * cell + 1] + data[4 * cell + 2]);
      return [0, 1].map((row) => {
        const cells = lightness.slice(row * canvas.width, (row + 1) * canvas.width);
        return cells.indexOf(Math.min(...cells));
      });
    })"""  # of every query's row, on a light page
    found = page.locator(".thumb canvas").evaluate_all(darkest)
    assert found == [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2], [1, 3]]
    page.get_by_role("button", name="layer 1, head 3").click()
    assert page.locator(".map canvas").evaluate_all(darkest) == [[2, 3]]
    page.get_by_role("button", name="query 1: a").hover()
    said = page.locator(".sentence").inner_text()
    assert said.endswith("keys “y” (3) 100 %: layer 1, head 3.")


def test_the_glance_is_walked_by_the_keyboard(reader: Any, heads_page: str) -> None:
    page = reader(heads_page).page
    page.get_by_role("button", name="layer 1, head 1").click()
    page.keyboard.press("ArrowUp")  # there is nothing above: stay
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    chosen = page.get_by_role("button", name="layer 2, head 2")
    assert chosen.get_attribute("aria-pressed") == "true"
    assert chosen.evaluate("(b) => b === b.getRootNode().activeElement")
    selection = "document.querySelector('minitfm-attention').selection"
    assert page.evaluate(selection) == {"view": "heads", "layer": 1, "heads": [1]}
    assert page.locator(".thumb[tabindex='0']").count() == 1  # one stop of Tab


def test_a_single_head_needs_no_glance(reader: Any, pages: Pages) -> None:
    html = AttentionView(Attention("One", torch.eye(2), ["a", "b"])).html()
    page = reader(pages.write("one.html", html)).page
    page.locator(".map canvas").wait_for()
    assert not page.locator(".glance").is_visible()


def test_what_a_query_may_not_see_is_not_a_weight(reader: Any, pages: Pages) -> None:
    weights = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    html = AttentionView(Attention("Decoder", weights, ["a", "b"], causal=True)).html()
    page = reader(pages.write("causal.html", html)).page
    assert page.get_by_text("may not look", exact=True).is_visible()
    page.locator(".map canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "may not look at key “b”" in page.locator(".sentence").inner_text()


@pytest.fixture
def switches_page(pages: Pages) -> tuple[str, torch.Tensor]:
    """Scores of two heads, with switches for padding and causal mask."""
    scores = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0))
    masks = {
        "Padding": padding_mask(torch.tensor([[1, 2, 3, 0, 0]]))[0],
        "Causal": causal_mask(5),
    }
    tokens = ["a", "b", "c", "<pad>", "<pad>"]
    view = Attention("Ours", None, tokens, scores=scores, masks=masks)
    return pages.write("switches.html", AttentionView(view).html()), scores


def test_the_page_makes_of_scores_and_masks_the_weights_that_torch_makes(
    reader: Any, switches_page: tuple[str, torch.Tensor]
) -> None:
    address, scores = switches_page
    page = reader(address).page
    page.get_by_text("The weights as a table").click()
    padding = padding_mask(torch.tensor([[1, 2, 3, 0, 0]]))[0].expand(5, 5)
    causal, nothing = causal_mask(5), torch.ones(5, 5, dtype=torch.bool)
    page.evaluate(
        "document.querySelector('minitfm-attention').selection = {heads: [0]}"
    )
    for click, mask in [
        (None, nothing),
        ("Padding", padding),
        ("Causal", padding & causal),
        ("Padding", causal),
    ]:
        if click:
            page.get_by_role("checkbox", name=click).click()
        wanted = scores[0].where(mask, -torch.inf).softmax(-1)
        rows = page.locator(".table tr").all()[1:]
        for row, weights, raw, may in zip(rows, wanted, scores[0], mask, strict=True):
            shown = [cell.inner_text() for cell in row.locator("td").all()]
            for text, weight, score, allowed in zip(shown, weights, raw, may):
                weight_text, score_text = text.split("score")
                assert (weight_text.strip() == "–") == (not allowed)
                if allowed:
                    assert abs(float(weight_text) - weight) < 0.006
                assert abs(float(score_text) - score) < 0.006


@pytest.mark.parametrize("width", [328, 360, 640, 688, 1280])
def test_a_token_keeps_its_name_while_scores_stand_beside_it(
    width: int, reader: Any, pages: Pages
) -> None:
    tokens = ["the", "dog", "saw", "<pad>"]
    scores = torch.linspace(-12, 12, 16).reshape(4, 4)
    masks = {"Causal": causal_mask(4)}
    view = Attention("Ours", None, tokens, scores=scores, masks=masks)
    page = reader(pages.write("names.html", AttentionView(view).html()), width).page
    cut = """(parts) => parts.filter((part) => part.scrollWidth > part.clientWidth
        || part.getBoundingClientRect().right
           > part.closest(".lines").getBoundingClientRect().right + 1
        || (part.matches("span") && part.clientWidth < 15))
        .map((part) => `${part.className} ${part.textContent}`)"""
    before = page.locator(".column").evaluate_all(
        "(all) => all.map((c) => c.offsetWidth)"
    )
    for side in ("query", "key"):
        page.locator(f".{side}.token").nth(2).hover()
        shown = page.locator(".token small.weight")
        assert [text for text in shown.all_inner_texts() if "→" in text]
        assert page.locator(".token span, .token .weight").evaluate_all(cut) == []
        now = page.locator(".column").evaluate_all(
            "(all) => all.map((c) => c.offsetWidth)"
        )
        assert now == before  # nothing moves under the pointer


def test_masks_are_switched_by_the_keyboard_and_said(
    reader: Any, switches_page: tuple[str, torch.Tensor]
) -> None:
    page = reader(switches_page[0]).page
    sentence = page.locator(".sentence")
    page.get_by_role("button", name="query 1: a").click()
    assert sentence.inner_text().endswith("no mask.")
    page.get_by_role("checkbox", name="Causal").focus()
    page.keyboard.press("Space")
    assert sentence.inner_text().endswith(
        "looks mostly at the keys “a” (1) 100 %: layer 1, head 1, causal mask."
    ) or sentence.inner_text().endswith(
        "looks mostly at the keys “a” (1) 100 %: layer 1, head 2, causal mask."
    )
    assert page.evaluate("document.querySelector('minitfm-attention').selection")[
        "masks"
    ] == ["causal"]
    focused = "document.querySelector('minitfm-attention').shadowRoot.activeElement.dataset.name"
    assert page.evaluate(focused) == "mask-causal"


def test_a_chosen_token_stays_chosen_in_another_view_that_has_it_there(
    reader: Any, pages: Pages
) -> None:
    views = [
        Attention(name, torch.eye(2), tokens)
        for name, tokens in (("One", "ab"), ("Two", "ab"), ("Three", "xb"))
    ]
    page = reader(pages.write("kept.html", AttentionView(*views).html())).page
    sentence = page.locator(".sentence")
    page.get_by_role("radio", name="One").check()
    page.get_by_role("button", name="query 1: a").click()
    page.mouse.move(0, 0)
    page.get_by_role("radio", name="Two").check()
    assert sentence.inner_text().startswith("Query “a” (1) looks mostly at the keys")
    page.get_by_role("radio", name="Three").check()
    assert sentence.inner_text().startswith("Each query shares out its attention")


def test_equal_weights_are_said_to_be_equal(reader: Any, pages: Pages) -> None:
    weights = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.26, 0.25, 0.25, 0.24]])
    view = Attention("One", weights, ["a", "b"], ["c", "d", "e", "f"])
    page = reader(pages.write("alike.html", AttentionView(view).html())).page
    sentence = page.locator(".sentence")
    page.get_by_role("button", name="query 1: a").click()
    assert sentence.inner_text().startswith(
        "Query “a” (1) looks at 4 keys all alike, 25 % each"
    )
    page.get_by_role("button", name="query 2: b").click()
    assert "looks mostly at the keys “c” (1) 26 %" in sentence.inner_text()


def test_a_query_that_may_look_at_nothing_gets_zeros_and_the_page_says_so(
    reader: Any, pages: Pages
) -> None:
    mask = torch.tensor([[False, False], [True, True]])
    view = Attention(
        "One", None, ["a", "b"], scores=torch.zeros(2, 2), masks={"Both": mask}
    )
    page = reader(pages.write("nothing.html", AttentionView(view).html())).page
    page.get_by_role("checkbox", name="Both").check()
    page.get_by_role("button", name="query 1: a").click()
    assert (
        "may look at nothing and gets zeros" in page.locator(".sentence").inner_text()
    )
    assert page.get_by_text("may not look", exact=True).is_visible()


def test_scores_and_masks_that_do_not_fit_are_refused() -> None:
    tokens, scores = ["a", "b"], torch.zeros(2, 2)
    with pytest.raises(ValueError, match="either weights or scores"):
        Attention("A", None, tokens).data()
    with pytest.raises(ValueError, match="either weights or scores"):
        Attention("A", scores, tokens, scores=scores).data()
    with pytest.raises(ValueError, match="before the softmax"):
        Attention("A", scores, tokens, masks={"Causal": causal_mask(2)}).data()
    with pytest.raises(ValueError, match="a mask is boolean"):
        Attention("A", None, tokens, scores=scores, masks={"M": scores}).data()


def test_128_tokens_are_drawn_at_once(reader: Any, pages: Pages) -> None:
    weights = torch.softmax(torch.randn(2, 8, 128, 128) * 3, -1)
    html = AttentionView(Attention("Self-attention", weights, ["token"] * 128)).html()
    page = reader(pages.write("large.html", html), width=360).page
    elements = "document.querySelector('minitfm-attention').shadowRoot.querySelectorAll('*').length"
    assert page.evaluate(elements) < 1_500  # not one for each of the 16,384 weights
    milliseconds = page.evaluate(
        """() => { const view = document.querySelector("minitfm-attention"), begin = performance.now();
        view.selection = { heads: [0, 1, 2, 3, 4, 5, 6, 7] }; return performance.now() - begin; }"""
    )
    assert milliseconds < 1_000  # some 100 on an idle machine


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_fit_the_screen_and_are_accessible(
    width: int,
    scheme: str,
    reader: Any,
    live_page: str,
    attention_page: str,
    switches_page: tuple[str, torch.Tensor],
) -> None:
    for address in (live_page, attention_page, switches_page[0]):
        here = reader(address, width, scheme)
        if address == live_page:
            assert not here.accessibility()
            translate(here.page, "Saturday, 12/10/2017")
            here.page.get_by_text("Done: 22 tokens").wait_for()
        here.page.locator(".key.token").nth(3).click()
        here.page.locator("minitfm-attention summary").click()
        assert not here.accessibility()
        assert here.page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert (
            here.page.locator(".names.query").evaluate("(names) => names.offsetWidth")
            > 25
        )  # room for ⟨bos⟩


def test_colours_follow_the_themes_switch(reader: Any, attention_page: str) -> None:
    page = reader(attention_page).page
    hue = "getComputedStyle(document.querySelector('minitfm-attention')).getPropertyValue('--head-0')"
    light = page.evaluate(hue)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{hue} !== '{light}'")


# ---- The notebook -------------------------------------------------------------------------------------------------

# What anywidget does with a widget's front end: import it from a blob, give it a model and a place.
WIDGET = """async ([code, traits, bytes]) => {
  const listeners = {};
  if (bytes) {
    const padded = Uint8Array.from([9, 9, 9, ...Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))]);
    traits.file = new DataView(padded.buffer, 3); // messages put several buffers side by side
  }
  window.model = {
    saved: 0,
    listeners,
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; listeners[`change:${name}`]?.forEach((call) => call()); },
    save_changes() { this.saved++; },
    on: (event, call) => (listeners[event] ??= []).push(call),
    off: (event, call) => (listeners[event] = listeners[event].filter((other) => other !== call)),
  };
  const widget = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  window.cleanup = await widget.render({ model, el: document.querySelector("main") });
}"""


@pytest.fixture
def notebook(pages: Pages) -> str:
    """A page that has none of our scripts."""
    (pages.folder / "notebooks" / "lab.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><main></main>'
    )
    return f"{pages.address}/notebooks/lab.html"


def test_the_attention_widget_follows_python_and_python_follows_it(
    reader: Any, notebook: str
) -> None:
    weights = torch.softmax(torch.randn(2, 3, 4, 4), -1)
    view = AttentionView(Attention("Self-attention", weights, list("abcd")))
    page = reader(notebook).page
    page.evaluate(WIDGET, [view._esm, {"data": view.data, "selection": {}}, None])
    page.get_by_role("checkbox", name="head 1").focus()
    page.get_by_role("radio", name="1", exact=True).check()
    chosen = page.evaluate("model.get('selection')")
    assert (chosen["view"], chosen["layer"]) == ("self-attention", 0)
    assert page.evaluate("model.saved") == 1
    page.evaluate("model.set('selection', {layer: 1, heads: [0, 2]})")
    assert page.get_by_role("radio", name="2", exact=True).is_checked()
    assert [
        page.get_by_role("checkbox", name=f"head {head}").is_checked()
        for head in (1, 2, 3)
    ] == [True, False, True]
    view.show(Attention("Self-attention", weights[:, :, :2, :2], ["new", "tokens"]))
    page.evaluate("(data) => model.set('data', data)", view.data)
    assert page.get_by_role("button", name="query 2: tokens").is_visible()
    page.evaluate("cleanup()")
    assert page.locator("minitfm-attention").count() == 0
    assert page.evaluate("Object.values(model.listeners).flat().length") == 0


def test_the_live_widget_runs_the_readers_own_model(reader: Any, notebook: str) -> None:
    model = drawn_model(norm="pre")  # no date will come of it, but tokens
    live = LiveTransformer(
        model,
        VOCABULARY,
        longest=(28, 6),
        prompt="Your date",
        examples=["4 March 2025"],
    )
    here = reader(notebook)
    traits = {"prompt": live.prompt, "examples": live.examples, "about": {}}
    here.page.evaluate(
        WIDGET, [live._esm, traits, base64.b64encode(live.file).decode()]
    )
    here.page.get_by_label("Your date").fill("4 March 2025")
    here.page.get_by_role("button", name="Translate").click()
    here.page.get_by_text("Done:").wait_for()
    written = greedy(unpack(live.file)[0], VOCABULARY.encode(["4 March 2025"]), 6)[0]
    symbols = [VOCABULARY.symbols[token] for token in written]
    expected = [
        {" ": "␣"}.get(symbol, symbol).replace("<", "⟨").replace(">", "⟩")
        for symbol in symbols
    ]
    assert here.page.locator(".written button").all_inner_texts() == expected
    assert not [
        url for url in here.fetched if "_static" in url
    ]  # it brought all that it needs
    here.page.evaluate("cleanup()")
    assert here.page.locator("minitfm-live").count() == 0


@pytest.mark.parametrize("name", ELEMENTS.values())
def test_a_bundle_needs_no_other_file(name: str) -> None:
    lines = bundle(name).splitlines()
    assert not [
        line for line in lines if 'import("./' in line or line.startswith("import ")
    ]


def test_a_notebooks_output_is_the_same_on_every_run(
    shipped: tuple[Transformer, Vocabulary],
) -> None:
    def stored() -> list[dict]:
        widgets = AttentionView.of(*shipped, "Oct 3, 1987"), LiveTransformer(*shipped)
        bundles = [widget._repr_mimebundle_()[0] for widget in widgets]
        assert all(
            "application/vnd.jupyter.widget-view+json" in bundle for bundle in bundles
        )  # live in a notebook
        return [
            {kind: bundle[kind] for kind in ("text/plain", "text/html")}
            for bundle in bundles
        ]

    assert stored() == stored()


def test_tokens_cannot_break_out_of_the_page(reader: Any, pages: Pages) -> None:
    tokens = ["</script>", "<b>", "&amp;", '"']
    html = AttentionView(Attention("Any", torch.full((4, 4), 0.25), tokens)).html()
    page = reader(pages.write("escape.html", html)).page
    assert page.get_by_role("button", name="query 1: </script>").count() == 1
    assert page.get_by_role("button", name="query 3: &amp;").count() == 1


def test_python_translates_when_no_target_is_given(
    shipped: tuple[Transformer, Vocabulary],
) -> None:
    model, vocabulary = shipped
    model.train()
    given = AttentionView.of(model, vocabulary, "Oct 3, 1987", "1987年10月3日")
    assert model.training
    model.eval()
    assert AttentionView.of(model, vocabulary, "Oct 3, 1987").data == given.data
    encoder, decoder, cross = given.data["views"]
    assert [len(view["queries"]) for view in (encoder, decoder, cross)] == [11, 11, 11]
    assert cross["queries"] == ["<bos>", *"1987年10月3日"]
    assert cross["writes"] == [*"1987年10月3日", "<eos>"]
    assert [len(row) for row in decoder["weights"][0][0]] == list(range(1, 12))


def test_weights_that_do_not_fit_the_tokens_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"shape \(2, 3\) do not fit 2 queries and 2 keys"
    ):
        AttentionView(Attention("Any", torch.zeros(2, 3), ["a", "b"]))
    with pytest.raises(ValueError, match="nothing to look at"):
        AttentionView()


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("minitfm.transformer", ("minitfm.web", "anywidget")),
        ("minitfm.web.sphinx", ("torch", "anywidget")),
    ],
)
def test_nobody_loads_the_widgets_by_accident(
    module: str, unwanted: tuple[str, ...]
) -> None:
    code = f"import sys, {module}; print([name for name in {unwanted} if name in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


# ---- The site -----------------------------------------------------------------------------------------------------


def test_sphinx_puts_the_live_model_on_a_page_and_its_script_nowhere_else(
    tmp_path: Path,
) -> None:
    source, output = tmp_path / "source", tmp_path / "html"
    (source / "deep").mkdir(parents=True)
    (source / "conf.py").write_text(
        'extensions = ["minitfm.web.sphinx"]\nhtml_theme = "basic"\n'
    )
    (source / "index.rst").write_text("Start\n=====\n\n.. toctree::\n\n   deep/live\n")
    (source / "deep" / "live.rst").write_text(
        'Live\n====\n\n.. live-transformer::\n   :prompt: Say "when"\n   :examples: ["1 May 2000"]\n'
    )

    def build() -> str:
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "-j",
            "2",
            "-b",
            "html",
            str(source),
            str(output),
        ]
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout

    build()
    live, index = (
        (output / page).read_text() for page in ("deep/live.html", "index.html")
    )
    assert 'model="../_static/minitfm/dates.safetensors"' in live
    assert 'prompt="Say &quot;when&quot;"' in live
    assert 'type="module" src="../_static/minitfm/live.js' in live
    assert "minitfm/" not in index
    copied = output / "_static" / "minitfm"
    assert {file.name for file in copied.iterdir()} == {
        file.name for file in STATIC.iterdir()
    }
    assert "_static/minitfm/page.css" in live
    before = {file: file.stat().st_mtime_ns for file in copied.iterdir()}
    assert (
        "0 source files to read" in build() or "no targets are out of date" in build()
    )
    assert before == {file: file.stat().st_mtime_ns for file in copied.iterdir()}


def test_the_data_of_a_page_stays_small(
    shipped: tuple[Transformer, Vocabulary],
) -> None:
    html = AttentionView.of(*shipped, "Saturday, 14 October 2017").html()
    assert len(html) < 80_000
    inline = html.split('<script type="application/json">')[1].split("</script>")[0]
    assert json.loads(inline)["views"][2]["label"] == "Cross"
