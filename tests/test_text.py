"""Byte-pair encoding is what the paper and the library say it is; padding is counted (chapter 10)."""

import json
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, trainers

from minitfm.text import join, learn_merges, real_share, segment

words = st.text("abc", min_size=1, max_size=8)
counts = st.dictionaries(words, st.integers(1, 4), max_size=8)
PAPER = {"low": 5, "lower": 2, "newest": 6, "widest": 3}


def test_the_words_of_the_paper_merge_as_in_the_paper():
    merges = learn_merges(PAPER, 10)
    assert [*merges][:4] == [("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w")]
    assert [*merges.values()] == list(range(10))
    assert segment("lowest", merges) == ["low", "est"]
    assert segment("lower", merges)[0] == "low"
    assert segment("ö", merges) == ["ö"]
    assert segment("", merges) == []


def test_it_stops_when_every_word_is_one_symbol():
    merges = learn_merges(PAPER, 1000)
    assert all(segment(word, merges) == [word] for word in PAPER)
    assert len(merges) < 30
    assert learn_merges([], 5) == learn_merges({"a": 1}, 5) == {}


def test_of_equally_frequent_pairs_the_older_symbols_go_first():
    assert [*learn_merges(["ab", "cd"], 2)] == [("a", "b"), ("c", "d")]
    # After ("z", "z"), both ("a", "b") and ("zz", "a") occur once; zz is the youngest symbol.
    assert [*learn_merges(["zz", "zz", "zzab"], 2)] == [("z", "z"), ("a", "b")]


def test_pairs_are_joined_from_left_to_right():
    assert join(["a", "a", "a"], ("a", "a")) == ["aa", "a"]
    assert join(["b", "a", "b", "a", "b"], ("a", "b")) == ["b", "ab", "ab"]


@given(counts, st.integers(0, 12), st.randoms())
def test_the_order_of_the_words_changes_nothing(words, count, draw):
    listed = [word for word, times in words.items() for _ in range(times)]
    draw.shuffle(listed)
    assert [*learn_merges(words, count).items()] == [
        *learn_merges(listed, count).items()
    ]


@given(counts, st.integers(0, 12), words)
def test_pieces_put_together_are_the_word_and_are_all_known(learned_from, count, word):
    merges = learn_merges(learned_from, count)
    pieces = segment(word, merges)
    assert "".join(pieces) == word
    assert {piece for piece in pieces if len(piece) > 1} <= {
        "".join(pair) for pair in merges
    }


@given(counts, st.integers(0, 12))
def test_words_learned_from_are_cut_as_they_were_joined_while_learning(words, count):
    merges = learn_merges(words, count)
    for word in words:
        symbols = list(word)
        for pair in merges:
            symbols = join(symbols, pair)
        assert segment(word, merges) == symbols


def library_of(merges: dict[tuple[str, str], int], characters: set[str]) -> models.BPE:
    pairs = sorted(merges, key=merges.__getitem__)
    symbols = dict.fromkeys([*sorted(characters), *("".join(pair) for pair in pairs)])
    return models.BPE({symbol: number for number, symbol in enumerate(symbols)}, pairs)


@given(counts, st.integers(0, 20), st.lists(words, max_size=5))
def test_the_library_cuts_words_the_same_by_the_same_merges(
    learned_from, count, others
):
    merges = learn_merges(learned_from, count)
    library = library_of(merges, set("abc"))
    for word in [*learned_from, *others]:
        assert segment(word, merges) == [
            token.value for token in library.tokenize(word)
        ]


@given(counts)
def test_the_library_learns_the_same_merges(words):
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=1000, show_progress=False)
    library.train_from_iterator(
        [" ".join([word] * times) for word, times in words.items()], trainer
    )
    learned = [tuple(pair) for pair in json.loads(library.to_str())["model"]["merges"]]
    merges = learn_merges(words, 1000)
    assert sorted(merges, key=merges.__getitem__) == learned


def test_one_text_is_not_a_list_of_words():
    with pytest.raises(ValueError, match=re.escape("'low lower'.split()")):
        learn_merges("low lower", 3)


def test_the_real_share_counts_what_is_no_padding_on_both_sides():
    source, target = torch.tensor([[5, 6, 0, 0]]), torch.tensor([[1, 7, 2, 0]])
    assert real_share([(source, target)]) == 5 / 8
    assert real_share([(source,), (target,)]) == 5 / 8
    assert real_share([(source,)], pad=5) == 3 / 4
    assert real_share([(torch.zeros(2, 3, dtype=torch.long),)]) == 0
    with pytest.raises(ValueError, match="no token in these batches"):
        real_share([])
