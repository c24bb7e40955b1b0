"""Dates as people type them, with what a reader may conclude from each (chapter 9).

`tasks.dates` draws what CLDR, the locale database, prescribes. People write *march 4th,
2025*, *TUE 4-MAR-2025* and *3/4/2025* as well, and sometimes no date at all. Here every
text has its answer in Japanese::

    march 4th, 2025 → 2025年3月4日          one day
    3/4/2025        → 2025年3月4日か4月3日  two days: か means "or"
    31 april 2025   → ？                    no day

The rules are few. A month in words, or a year that comes first, leaves one reading. A
day and a month in numbers before the year have two, whatever stands between them, and
those that are days of the calendar count. No day is read from a text without a year in
full, from 1000 to 2999.
"""

import datetime
import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from minitfm.study.tasks import _is_held_out, dates
from minitfm.study.vocabulary import Vocabulary

YEARS = (1000, 2999)
OR, NO_DAY = "か", "？"
TYPED_VOCABULARY = Vocabulary.of(
    [
        string.ascii_letters,
        string.digits,
        " ,./-'()",
        "年月日月火水木金土曜",
        OR,
        NO_DAY,
    ]
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = (
    ("Monday", "Mon"),
    ("Tuesday", "Tue", "Tues"),
    ("Wednesday", "Wed"),
    ("Thursday", "Thu", "Thur", "Thurs"),
    ("Friday", "Fri"),
    ("Saturday", "Sat"),
    ("Sunday", "Sun"),
)
WORDS = re.findall(
    r"\w+",
    """today tomorrow yesterday now hello never someday week month year monday tuesday
    wednesday thursday friday saturday sunday morning next last summer christmas easter
    birthday noon midnight spring winter what when is it the day after march madness
    may be decent january sales""",
)


Draw = Callable[[random.Random, bool], tuple[str, str]]


@dataclass(frozen=True)
class TypedForm:
    """One way to type a date.

    Attributes:
        example: what it looks like.
        share: of the texts drawn by `typed_dates`, of 100.
        draw: makes a text and its answer; called with the random numbers' source and
            whether the day is a held-out one.
    """

    example: str
    share: int
    draw: Draw


# ---- Days ---------------------------------------------------------------------------


def _day(draw: random.Random, held_out: bool) -> datetime.date:
    """A day of the asked side, half of them from 1900 to 2099, half from all years."""
    while True:
        first, last = (1900, 2099) if draw.random() < 0.5 else YEARS
        day = datetime.date.fromordinal(
            draw.randint(
                datetime.date(first, 1, 1).toordinal(),
                datetime.date(last, 12, 31).toordinal(),
            )
        )
        if _is_held_out(day.isoformat()) == held_out:
            return day


def _real(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _without_day(make: Callable[[random.Random], str]) -> Draw:
    """Texts that mean no day, split by their own checksum."""

    def draw_one(draw: random.Random, held_out: bool) -> tuple[str, str]:
        while True:
            text = make(draw)
            if _is_held_out(text.lower()) == held_out:
                return _case(draw, text), NO_DAY

    return draw_one


def _answer(days: list[datetime.date], weekday: int | None) -> str:
    """What to write: no day, one, or two of one year."""
    if not days:
        return NO_DAY
    read = OR.join(f"{day.month}月{day.day}日" for day in days)
    name = "" if weekday is None else f"{'月火水木金土日'[weekday]}曜日"
    return f"{days[0].year}年{read}{name}"


# ---- How it is written --------------------------------------------------------------


def _case(draw: random.Random, text: str) -> str:
    """As it is, in lower case or in upper case."""
    return draw.choices([text, text.lower(), text.upper()], [45, 40, 15])[0]


def _ordinal(day: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{day}{'th' if 10 < day < 20 else endings.get(day % 10, 'th')}"


def _day_text(draw: random.Random, day: int) -> str:
    return draw.choices([str(day), f"{day:02}", _ordinal(day)], [50, 15, 35])[0]


def _month_text(draw: random.Random, month: int) -> str:
    name = MONTHS[month - 1]
    short = "Sept" if month == 9 and draw.random() < 0.4 else name[:3]
    return draw.choices([name, short, f"{short}."], [55, 37, 8])[0]


def _with_weekday(
    draw: random.Random, text: str, weekday: int, share: float
) -> tuple[str, int | None]:
    """Perhaps a weekday, mostly in front: the text, and the weekday or None."""
    if draw.random() >= share:
        return text, None
    name = draw.choice(WEEKDAYS[weekday])
    if draw.random() < 0.85:
        gap = draw.choices([", ", " ", ",", ". "], [50, 38, 6, 6])[0]
        return f"{name}{gap}{text}", weekday
    return text + draw.choice([f", {name}", f" {name}", f" ({name})"]), weekday


def _day_first(draw: random.Random, year: str, month: int, day: int) -> str:
    d, m = _day_text(draw, day), _month_text(draw, month)
    way = draw.random()
    if way < 0.15:
        of = f"{draw.choice(['', 'the '])}{_ordinal(day)} of {m}"
        return f"{of}{draw.choice([' ', ', '])}{year}"
    if way < 0.7:
        return f"{d} {m}{draw.choices([' ', ', ', ','], [75, 20, 5])[0]}{year}"
    gap = draw.choice(["-", "/", ".", ""])
    return f"{d}{gap}{m.rstrip('.') if gap else m}{gap}{year}"


def _month_first(draw: random.Random, year: str, month: int, day: int) -> str:
    d, m = _day_text(draw, day), _month_text(draw, month)
    way = draw.random()
    if way < 0.08:
        return f"{m} the {_ordinal(day)}{draw.choice([', ', ' '])}{year}"
    if way < 0.85:
        glue = draw.choices([" ", ""], [90, 10])[0]
        return f"{m}{glue}{d}{draw.choices([', ', ' ', ','], [55, 35, 10])[0]}{year}"
    gap = draw.choice("-/.")
    return f"{m.rstrip('.')}{gap}{d}{gap}{year}"


def _year_first(draw: random.Random, year: str, month: int, day: int) -> str:
    d, m = _day_text(draw, day), _month_text(draw, month)
    gap = draw.choices([" ", ", ", "-", "/", "."], [50, 15, 20, 10, 5])[0]
    return f"{year}{gap}{m.rstrip('.')}{' ' if gap == ', ' else gap}{d}"


IN_WORDS = (_day_first, _month_first, _year_first)


def _number(draw: random.Random, *numbers: int | str) -> str:
    """Numbers side by side: 4/3/2025, 04-03-2025, 4. 3. 2025."""
    padded = draw.random() < 0.35
    gap = draw.choices(
        ["/", "-", ".", " ", " / ", " - ", ". ", ", "], [48, 16, 16, 6, 4, 3, 5, 2]
    )[0]
    return gap.join(
        f"{number:02}" if padded and isinstance(number, int) else str(number)
        for number in numbers
    )


# ---- The forms ----------------------------------------------------------------------


def _cldr(draw: random.Random, held_out: bool) -> tuple[str, str]:
    return dates(1, draw.getrandbits(32), held_out)[0]


def _in_words(order: Callable) -> Draw:
    def make(draw: random.Random, held_out: bool) -> tuple[str, str]:
        day = _day(draw, held_out)
        text = order(draw, str(day.year), day.month, day.day)
        text, weekday = _with_weekday(draw, text, day.weekday(), 0.3)
        return _case(draw, text), _answer([day], weekday)

    return make


def _iso(draw: random.Random, held_out: bool) -> tuple[str, str]:
    day = _day(draw, held_out)
    text = _number(draw, str(day.year), day.month, day.day)
    if draw.random() < 0.1:
        text = day.isoformat().replace("-", "")
    text, weekday = _with_weekday(draw, text, day.weekday(), 0.15)
    return _case(draw, text), _answer([day], weekday)


def _in_numbers(readings: int) -> Draw:
    """Day and month in numbers, the year last: with one reading, or with two."""

    def make(draw: random.Random, held_out: bool) -> tuple[str, str]:
        while True:
            day = _day(draw, held_out)
            other = _real(day.year, day.day, day.month)
            days = [day] if other in (None, day) else [day, other]
            # no held-out day is learned from, not even as the second reading
            known = held_out or not any(_is_held_out(d.isoformat()) for d in days)
            if len(days) == readings and known:
                break
            if readings == 1 and draw.random() < 0.02:  # 4/4/2025: two that are one
                twin = day.replace(day=day.month)
                if _is_held_out(twin.isoformat()) == held_out:
                    day, days = twin, [twin]
                    break
        if draw.random() < 0.5:
            days.reverse()
            first, second = day.day, day.month
        else:
            first, second = day.month, day.day
        text = _number(draw, first, second, str(day.year))
        named = draw.choice(days).weekday()
        text, weekday = _with_weekday(draw, text, named, 0.1)
        return _case(draw, text), _answer(days, weekday)

    return make


def _leap(draw: random.Random, held_out: bool) -> tuple[str, str]:
    """29 February, in leap years and in others: half and half, split by the year."""
    leap = draw.random() < 0.5
    while True:
        year = _day(draw, False).year
        day = _real(year, 2, 29)
        if (day is not None) == leap and _is_held_out(f"{year}-02-29") == held_out:
            break
    order = draw.choice((*IN_WORDS, None))
    if order:
        text = order(draw, str(year), 2, 29)
    else:
        text = _number(draw, *draw.choice([(2, 29), (29, 2)]), str(year))
    return _case(draw, text), _answer([day] if day else [], None)


def _no_such_day(draw: random.Random) -> str:
    """A day that no month has, or a month that no year has."""
    year, way = str(_day(draw, False).year), draw.random()
    if way < 0.42:
        short = [(2, 30), (2, 31), (4, 31), (6, 31), (9, 31), (11, 31)]
        month, day = draw.choice(short)
    elif way < 0.7:
        month, day = draw.randint(1, 12), draw.choice([0, *range(32, 100)])
    else:
        month, day = draw.choice([0, *range(13, 32)]), draw.randint(13, 31)
    if month in range(1, 13) and draw.random() < 0.6:
        text = draw.choice(IN_WORDS)(draw, year, month, day)
    elif draw.random() < 0.4:
        text = _number(draw, year, month, day)
    else:
        pair = [month, day] if draw.random() < 0.5 else [day, month]
        text = _number(draw, *pair, year)
    return _with_weekday(draw, text, draw.randrange(7), 0.15)[0]


def _no_year(draw: random.Random) -> str:
    day, way = _day(draw, False), draw.random()
    if way < 0.25:
        text = _number(draw, *_shuffled(draw, day.month, day.day))
    elif way < 0.9:
        text = draw.choice(IN_WORDS[:2])(draw, "", day.month, day.day).rstrip(" ,-/.")
    else:
        text = _month_text(draw, day.month)
    return _with_weekday(draw, text, day.weekday(), 0.2)[0]


def _short_year(draw: random.Random) -> str:
    day = _day(draw, False)
    year = f"{draw.choice(['', '', chr(39)])}{day.year % 100:02}"
    return _with_year(draw, year, day)


def _strange_year(draw: random.Random) -> str:
    """A year before 1000 or after 2999."""
    ranges = [(100, 999), (3_000, 9_999), (10_000, 99_999)]
    year = str(draw.randint(*draw.choices(ranges, [45, 45, 10])[0]))
    return _with_year(draw, year, _day(draw, False))


def _with_year(draw: random.Random, year: str, day: datetime.date) -> str:
    """A day in words or in numbers, then a year that is not the day's own."""
    if draw.random() < 0.4:
        text = _number(draw, *_shuffled(draw, day.month, day.day), year)
    else:
        text = draw.choice(IN_WORDS[:2])(draw, year, day.month, day.day)
    return _with_weekday(draw, text, day.weekday(), 0.15)[0]


def _shuffled(draw: random.Random, *numbers: int) -> list[int]:
    return draw.sample(numbers, len(numbers))


def _letters(draw: random.Random, fewest: int) -> str:
    count = draw.randint(fewest, fewest + 6)
    return "".join(draw.choices(string.ascii_lowercase, k=count))


def _no_date(draw: random.Random) -> str:
    """Words, letters, numbers, and dates whose month is no month."""
    way, day = draw.random(), _day(draw, False)
    if way < 0.3:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, 4)))
    if way < 0.5:
        return " ".join(_letters(draw, 1) for _ in range(draw.randint(1, 4)))
    if way < 0.6:
        return "".join(draw.choices(string.digits, k=draw.randint(1, 7)))
    if way < 0.65:  # 04032025 is not taken for the year 403
        text = f"{day.day:02}{day.month:02}{day.year}"
        if not _real(int(text[:4]), int(text[4:6]), int(text[6:])):
            return text
    if way < 0.75:
        return f"{draw.choice(MONTHS)} {day.year}"
    if way < 0.8:
        signs = TYPED_VOCABULARY.symbols[3:]
        return "".join(draw.choices(signs, k=draw.randint(1, 12))).strip() or "-"
    order = draw.choice(["{d} {w} {y}", "{w} {d}, {y}", "{d}-{w}-{y}", "{w} {y}"])
    return order.format(d=day.day, w=_letters(draw, 4).capitalize(), y=day.year)


_FORMS: tuple[tuple[str, str, int, Draw], ...] = (
    ("as CLDR prescribes", "Sun, 01 Feb 2048", 10, _cldr),
    ("day, month in words, year", "tue 4th mar. 2025", 17, _in_words(_day_first)),
    ("month in words, day, year", "march 4th, 2025", 17, _in_words(_month_first)),
    ("year, month in words, day", "2025 Mar 4", 5, _in_words(_year_first)),
    ("year first, in numbers", "2025.3.4", 8, _iso),
    ("in numbers, one day", "25/4/2025", 8, _in_numbers(1)),
    ("in numbers, two days", "3/4/2025", 9, _in_numbers(2)),
    ("29 February", "29 Feb 2025", 6, _leap),
    ("no such day", "31 April 2025", 9, _without_day(_no_such_day)),
    ("no year", "march 4th", 3, _without_day(_no_year)),
    ("two digits of the year", "3/4/25", 3, _without_day(_short_year)),
    ("year beyond 1000 to 2999", "4 March 3025", 2, _without_day(_strange_year)),
    ("no date", "tomorrow", 3, _without_day(_no_date)),
)
TYPED_FORMS = {
    name: TypedForm(example, share, draw) for name, example, share, draw in _FORMS
}


def typed_dates(
    count: int, seed: int, held_out: bool = False, form: str | None = None
) -> list[tuple[str, str]]:
    """Draw what people type as (text, Japanese) pairs: ("march 4th, 2025",
    "2025年3月4日").

    A day that can be two is answered with both ("3/4/2025", "2025年3月4日か4月3日"), in
    the order that month first and day first give; what is no day, with "？". One day in
    ten is held out, by its checksum, the same ones as in `tasks.dates`: no training
    text has it among its readings. Texts that mean no day are split by their own
    checksums, 29 February by that of its year.

    Args:
        count: how many; a pair may come up twice.
        seed: of the draw; the same on every machine.
        held_out: whether the days are the held-out ones.
        form: one of `TYPED_FORMS`; all, by their shares, unless given.

    Raises:
        ValueError: if there is no such form.
    """
    if form is not None and form not in TYPED_FORMS:
        raise ValueError(f"form={form!r}; choose one of {list(TYPED_FORMS)}")
    draw = random.Random(f"{seed} {form}")
    shares = [typed.share for typed in TYPED_FORMS.values()]
    names = [form] * count if form else draw.choices([*TYPED_FORMS], shares, k=count)
    return [TYPED_FORMS[name].draw(draw, held_out) for name in names]
