"""The synthetic tasks have the answers that they should have, and nothing but memory leads to them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitfm.study.puzzles import adding, copying, recall
from tests.oracle import seeds

counts, some = st.integers(1, 20), st.integers(1, 9)


@given(seeds, counts, some, st.integers(2, 9))
def test_recall_asks_for_the_first_symbol(seed, count, length, symbols):
    sequences, answers = recall(count, length, seed, symbols)
    assert sequences.shape == (count, length)
    assert sequences.min() >= 0
    assert sequences.max() < symbols
    assert [row[0] for row in sequences.tolist()] == answers.tolist()


def test_what_follows_in_recall_says_nothing_about_the_answer():
    sequences, answers = recall(40_000, 4, seed=0, symbols=3)
    for place in range(4):
        agreeing = (sequences[:, place] == answers).double().mean().item()
        assert agreeing == pytest.approx(1.0 if place == 0 else 1 / 3, abs=0.01)


@given(seeds, counts, some, st.integers(0, 9), some)
def test_copying_asks_for_the_first_symbols_after_the_signal(
    seed, count, kept, delay, symbols
):
    sequences, answers = copying(count, kept, delay, seed, symbols)
    assert sequences.shape == answers.shape == (count, 2 * kept + delay)
    for row, answer in zip(sequences.tolist(), answers.tolist()):
        assert all(1 <= symbol <= symbols for symbol in row[:kept])
        assert row[kept:] == [0] * delay + [symbols + 1] + [0] * (kept - 1)
        assert answer == [0] * (kept + delay) + row[:kept]


@given(seeds, counts, st.integers(2, 12))
def test_adding_asks_for_the_sum_of_the_two_marked_numbers(seed, count, length):
    x, sums = adding(count, length, seed)
    assert x.shape == (count, length, 2)
    for row, total in zip(x.tolist(), sums.tolist()):
        places = [place for place, (_, mark) in enumerate(row) if mark == 1]
        assert [0 <= place < length // 2 for place in places] == [True, False]
        assert sorted({mark for _, mark in row}) == ([0, 1] if length > 2 else [1])
        assert total == pytest.approx(sum(row[place][0] for place in places), abs=1e-6)


def test_who_always_answers_one_is_off_by_a_sixth():
    _, sums = adding(40_000, 10, seed=0)
    assert ((sums - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.005)


def test_a_sequence_too_short_for_two_marks_is_refused():
    with pytest.raises(ValueError, match="length=1 leaves no room for two marks"):
        adding(3, 1, seed=0)


@pytest.mark.parametrize(
    "draw", [lambda seed: recall(9, 9, seed), lambda seed: copying(9, 5, 2, seed)]
)
def test_a_seed_draws_the_same_and_another_seed_something_else(draw):
    assert torch.equal(draw(1)[0], draw(1)[0])
    assert not torch.equal(draw(1)[0], draw(2)[0])
