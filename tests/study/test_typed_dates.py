"""The dates that people type: every answer is checked against a parser of its own."""

import datetime
import re

import pytest

from minitfm.study.tasks import _is_held_out, dates
from minitfm.study.typed_dates import (
    NO_DAY,
    TYPED_FORMS,
    TYPED_VOCABULARY,
    YEARS,
    typed_dates,
)

MONTH = {
    name: number
    for number, name in enumerate(
        re.findall("...", "janfebmaraprmayjunjulaugsepoctnovdec"), start=1
    )
}
WEEKDAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"


def real(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def readings(text: str) -> list[datetime.date]:
    """The days that a text can mean, by the rules of the module's docstring alone."""
    text = re.sub(rf"(?<![a-z]){WEEKDAY}(?![a-z])", "", text.lower())
    text = re.sub(r"(\d)(?:st|nd|rd|th)", r"\1 ", text)
    words = re.findall(r"[a-z]+|\d+", text)
    numbers = [word for word in words if word.isdigit()]
    if len(numbers) == 1 and re.fullmatch(r"\W*\d{8}\W*", text):
        numbers = [numbers[0][:4], numbers[0][4:6], numbers[0][6:]]
        words = numbers
    months = [
        MONTH[word[:3]]
        for word in words
        if re.fullmatch(
            "jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?"
            "|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?",
            word,
        )
    ]
    years = [n for n in numbers if len(n) == 4 and YEARS[0] <= int(n) <= YEARS[1]]
    if len(years) != 1 or len(numbers) + len(months) != 3 or len(months) > 1:
        return []
    year = int(years[0])
    rest = [int(number) for number in numbers if number is not years[0]]
    if months:
        found = [real(year, months[0], rest[0])]
    elif numbers[0] is years[0]:
        found = [real(year, *rest)]
    elif numbers[2] is years[0]:
        found = [real(year, rest[0], rest[1]), real(year, rest[1], rest[0])]
    else:
        found = []
    return list(dict.fromkeys(day for day in found if day))


def answer(text: str, days: list[datetime.date]) -> str:
    if not days:
        return NO_DAY
    named = re.search(rf"(?<![a-z]){WEEKDAY}(?![a-z])", text.lower())
    weekday = ""
    if named:
        number = "montuewedthufrisatsun".index(named[0][:3]) // 3
        weekday = f"{'月火水木金土日'[number]}曜日"
    both = "か".join(f"{day.month}月{day.day}日" for day in days)
    return f"{days[0].year}年{both}{weekday}"


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("form", TYPED_FORMS)
def test_every_answer_is_what_the_rules_say(form: str, held_out: bool) -> None:
    for text, japanese in typed_dates(300, 3, held_out, form=form):
        if form == "no date":
            assert japanese == NO_DAY, text
        else:
            assert japanese == answer(text, readings(text)), text


def test_the_parser_of_this_test_can_tell_the_forms_apart() -> None:
    assert len(readings("3/4/2025")) == 2
    assert (
        readings("25/4/2025") == readings("4.25.2025") == [datetime.date(2025, 4, 25)]
    )
    assert readings("4/4/2025") == [datetime.date(2025, 4, 4)]
    for text in ("31 april 2025", "3/4/25", "4 March", "29 Feb 2025", "4 March 3025"):
        assert readings(text) == [], text


def test_a_held_out_day_is_in_no_training_text_not_even_as_second_reading() -> None:
    for text, _ in typed_dates(6_000, seed=5):
        days = readings(text)
        if re.search("[a-z]{5}", text) is None or days:
            assert not any(_is_held_out(day.isoformat()) for day in days), text
    held_out = typed_dates(300, seed=5, held_out=True, form="in numbers, two days")
    assert all(
        any(_is_held_out(day.isoformat()) for day in readings(text))
        for text, _ in held_out
    )


def test_no_text_has_two_answers_and_no_held_out_text_is_learned() -> None:
    known: dict[str, str] = {}
    for text, japanese in typed_dates(30_000, seed=0):
        assert known.setdefault(text, japanese) == japanese, text
    tested = [
        text
        for form in TYPED_FORMS
        for text, _ in typed_dates(200, 1, held_out=True, form=form)
    ]
    assert not known.keys() & set(tested)


def test_two_day_texts_have_both_and_every_form_has_its_kind_of_answer() -> None:
    kinds = {
        form: {
            "two" if "か" in japanese else "none" if japanese == NO_DAY else "one"
            for _, japanese in typed_dates(200, 0, form=form)
        }
        for form in TYPED_FORMS
    }
    assert kinds.pop("in numbers, two days") == {"two"}
    assert kinds.pop("29 February") == {"one", "none"}
    for form, kind in kinds.items():
        none = form.startswith(("no ", "two digits", "year beyond"))
        assert kind == ({"none"} if none else {"one"}), form


def test_the_draw_is_the_seeds_and_covers_all_forms() -> None:
    assert typed_dates(50, seed=4) == typed_dates(50, seed=4) != typed_dates(50, seed=5)
    assert sum(form.share for form in TYPED_FORMS.values()) == 100
    texts = " ".join(text for text, _ in typed_dates(2_000, seed=0))
    for piece in ("march", "MARCH", "March", "3rd", "1ST", "sept", "tues", "Thu,"):
        assert piece in texts, piece
    for sign in ("/", ".", "-", ", ", " of ", "the "):
        assert sign in texts, sign
    assert len({year[:2] for year in re.findall(r"\d{4}", texts)}) > 15
    with pytest.raises(ValueError, match="choose one of"):
        typed_dates(1, 0, form="in words")


def test_the_vocabulary_holds_all_that_is_drawn_and_all_of_the_chapters_dates() -> None:
    pairs = typed_dates(3_000, seed=2) + dates(500, seed=2)
    TYPED_VOCABULARY.encode([text for pair in pairs for text in pair])
