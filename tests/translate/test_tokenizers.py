"""Byte-pair encoding is what the paper says and what the library does; every text comes back unchanged."""

import functools
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.text import segment
from minitfm.translate.corpora import corpus
from minitfm.translate.tokenizers import Tokenizer
from tests.corpora import each_real_corpus

words = st.text("abc", min_size=1, max_size=8)
counts = st.dictionaries(words, st.integers(1, 4), max_size=8)
PAPER = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
SENTENCES = [
    "the cat sat on the mat .",
    "Der Hund läuft.",
    "私 は 猫 が 好き で す 。",
    "two cats and a <pad> sat",
]


@functools.cache
def small() -> Tokenizer:
    return Tokenizer.train(SENTENCES * 3, 300)


# At scale


@given(st.lists(st.text(), max_size=4))
def test_every_text_comes_back_unchanged(texts):
    ids = small().encode(texts)
    assert small().decode(ids) == texts
    assert all(EOS < token < len(small()) for row in ids for token in row)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  a ",
        "\n",
        "\0",
        "<pad>",
        "<bos> <eos>",
        "ｅ\u0301e\u0301",
        "🙂‍↔️",
        "Ġ",
        "▁",
    ],
)
def test_no_text_is_special_and_none_is_normalized(text):
    (ids,) = small().encode([text])
    assert small().decode([ids]) == [text]
    assert not {PAD, BOS, EOS} & set(ids)


def test_a_word_has_the_same_ids_first_in_a_sentence_as_within():
    (ids,) = small().encode(["cat cat"])
    assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]


def test_reading_stops_at_the_first_end_and_drops_the_rest():
    (ids,) = small().encode(["the cat"])
    row = [BOS, *ids, EOS, 7, EOS, PAD]
    assert small().decode([row, [PAD], [EOS], []]) == ["the cat", "", "", ""]
    assert small().decode(torch.tensor([row, [PAD] * len(row)])) == ["the cat", ""]


@given(st.lists(st.lists(st.integers(0, len(small()) - 1), max_size=12), max_size=4))
def test_whatever_a_model_writes_can_be_read(rows):
    texts = small().decode(rows)
    assert len(texts) == len(rows)
    assert all(text.encode("utf-8").decode("utf-8") == text for text in texts)


def test_a_character_broken_in_the_middle_becomes_the_replacement_character():
    tokenizer = Tokenizer.train(["plain"], 259)  # bytes alone
    (ids,) = tokenizer.encode(["a猫b"])
    assert len(ids) == 1 + 1 + 3 + 1
    assert tokenizer.decode([ids[:4] + ids[5:]]) == ["a�b"]
    assert tokenizer.decode([ids[:3]]) == ["a�"]


@pytest.mark.parametrize("token", [-1, 10_000])
def test_an_id_outside_the_vocabulary_is_refused(token):
    with pytest.raises(
        ValueError,
        match=f"from 0 to {len(small()) - 1} in this vocabulary; got .3, {token}.",
    ):
        small().decode([[3, token]])


def test_it_has_as_many_entries_as_asked_for_or_as_there_are_to_learn():
    assert len(small()) == 300
    assert len(Tokenizer.train(SENTENCES, 259)) == 259
    few = Tokenizer.train(["ab ab"], 1000)
    assert len(few) == 3 + 256 + 2  # "Ġa" or "ab", and "Ġab"
    assert few.encode(["ab"]) == [[260]]


def test_frequent_words_are_one_piece_and_rare_ones_several():
    the, sat, rare = small().encode(["the", "sat", "xylophone"])
    assert len(the) == len(sat) == 1
    assert len(rare) > 5


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: Tokenizer.train(["a"], 258), "size=258 is too small"),
        (lambda: Tokenizer.train("a cat", 300), "train([text], size)"),
        (lambda: small().encode("a cat"), "encode(['a cat'])"),
        (lambda: small().encode(["fine", "\ud800"]), "without lone surrogates"),
        (
            lambda: Tokenizer.from_json("no JSON"),
            "this is no tokenizer that to_json wrote",
        ),
        (lambda: Tokenizer.from_json("{}"), "this is no tokenizer that to_json wrote"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(call, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        call()


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for call in (
        lambda: Tokenizer.train(["a"], 300),
        lambda: Tokenizer.from_json("{}"),
    ):
        with pytest.raises(
            ModuleNotFoundError, match=re.escape("pip install 'minitfm[text]'")
        ):
            call()


def test_it_travels_as_text():
    again = Tokenizer.from_json(small().to_json())
    assert len(again) == len(small())
    assert again.encode(SENTENCES) == small().encode(SENTENCES)
    assert again.decode(again.encode(SENTENCES)) == SENTENCES
    assert again.to_json() == small().to_json()


def test_the_same_texts_give_the_same_tokenizer_in_every_order_and_process():
    code = (
        "import sys; from minitfm.translate.tokenizers import Tokenizer; from tests.translate.test_tokenizers import SENTENCES;"
        "sys.stdout.write(Tokenizer.train(SENTENCES * 3, 300).to_json())"
    )
    for threads in ("1", "3"):
        environment = os.environ | {
            "RAYON_NUM_THREADS": threads,
            "PYTHONHASHSEED": threads,
            "PYTHONUTF8": "1",
        }
        command = [sys.executable, "-c", code]
        run = subprocess.run(
            command, env=environment, capture_output=True, encoding="utf-8", check=True
        )
        assert run.stdout == small().to_json()
    mixed = random.Random(0).sample(SENTENCES * 3, 3 * len(SENTENCES))
    assert Tokenizer.train(mixed, 300).to_json() == small().to_json()


# On real corpora


@functools.cache
def trained(name: str) -> Tokenizer:
    return Tokenizer.train(
        (side for pair in corpus(name, "train") for side in pair), 8000
    )


@each_real_corpus
def test_a_real_corpus_comes_back_unchanged(name):
    assert len(trained(name)) == 8000
    for split in ("train", "valid", "test"):
        for side in zip(*corpus(name, split)):
            assert trained(name).decode(trained(name).encode(side)) == list(side)


@each_real_corpus
def test_every_word_of_a_real_corpus_is_cut_as_the_readable_definition_cuts_it(name):
    library = trained(name).library
    learned = json.loads(trained(name).to_json())["model"]["merges"]
    merges = {(first, second): rank for rank, (first, second) in enumerate(learned)}
    found: Counter[str] = Counter()
    for pair in corpus(name, "train") + corpus(name, "test"):
        for side in pair:
            found.update(
                word for word, _ in library.pre_tokenizer.pre_tokenize_str(" " + side)
            )
    assert len(found) > 10_000
    for word in found:
        assert segment(word, merges) == [
            token.value for token in library.model.tokenize(word)
        ]
