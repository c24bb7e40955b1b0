"""Batches hold every pair once an epoch, little padding, the same everywhere, and go on exactly where they stopped."""

import functools
import json
import random
import re
import time
from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minitfm.seq2seq import teacher_forcing_loss
from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.text import real_share
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.translate.batches import Rows, TokenBatches, evaluation_batches
from minitfm.translate.corpora import corpus
from minitfm.translate.tokenizers import Tokenizer
from tests.corpora import each_real_corpus

ids = st.lists(st.integers(3, 20), max_size=9)
some_pairs = st.lists(st.tuples(ids, ids), min_size=1, max_size=60)
sizes = st.integers(12, 80)
seeds = st.integers(0, 2**40)


def like_language(
    count: int, seed: int = 0, vocabulary: int = 100
) -> list[tuple[list[int], list[int]]]:
    """Pairs with the lengths of a corpus: log-normal, a mean of about 14 tokens, the target's near the source's."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        length = draw.lognormvariate(2.6, 0.35)
        lengths = [
            max(1, round(length * draw.lognormvariate(0, 0.12))) for _ in range(2)
        ]
        source, target = (
            [draw.randrange(3, vocabulary) for _ in range(length)] for length in lengths
        )
        pairs.append((source, target))
    return pairs


def batches_or_none(pairs, tokens, **options):
    """What fits: a draw may hold fewer pairs than there are ranks."""
    try:
        return TokenBatches(pairs, tokens, **options)
    except ValueError as error:
        if "processes cannot share" not in str(error):
            raise
        return None


def epoch(batches: TokenBatches) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(islice(batches, len(batches)))


def read(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs of a batch; anything but ids, then PAD, is an error."""
    pairs = []
    for source, target in zip(*(side.tolist() for side in batch), strict=True):
        assert target[0] == BOS
        end = target.index(EOS)
        real = (
            len(source) - source[::-1].index(next(filter(None, source[::-1])))
            if any(source)
            else 0
        )
        assert not any(source[real:])
        assert not any(target[end + 1 :])
        pairs.append((tuple(source[:real]), tuple(target[1:end])))
    return pairs


def as_counts(pairs) -> Counter:
    return Counter((tuple(source), tuple(target)) for source, target in pairs)


def same(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(*sides) for sides in zip(one, other, strict=True))


# What a batch holds


@given(some_pairs, sizes, seeds)
def test_every_epoch_holds_every_pair_once_and_no_batch_is_too_large(
    pairs, tokens, seed
):
    batches = TokenBatches(pairs, tokens, seed=seed)
    for _ in range(3):
        taken = epoch(batches)
        assert sum((as_counts(read(batch)) for batch in taken), Counter()) == as_counts(
            pairs
        )
        assert all(
            side.numel() <= tokens and side.dtype == torch.long
            for batch in taken
            for side in batch
        )


def test_rows_run_from_begin_to_end_and_are_filled_up_on_the_right():
    batches = TokenBatches([([3, 4, 5], [6]), ([7], [8, 9])], 100, seed=0)
    ((source, target),) = epoch(batches)
    assert sorted(source.tolist()) == [[3, 4, 5, PAD], [7, PAD, PAD, PAD]]
    assert sorted(target.tolist()) == [[BOS, 6, EOS, PAD, PAD], [BOS, 8, 9, EOS, PAD]]


@given(st.lists(ids, min_size=1, max_size=9), st.integers(9, 12))
def test_rows_of_any_length_become_one_tensor(rows, width):
    padded = Rows(rows).padded(torch.arange(len(rows)).numpy(), width)
    assert padded.tolist() == [row + [PAD] * (width - len(row)) for row in rows]


def test_hardly_any_of_the_work_is_on_padding():
    pairs = like_language(20_000)
    for tokens in (1024, 2048, 4096):
        bucketed = epoch(TokenBatches(pairs, tokens, seed=0))
        for side in zip(*bucketed):
            assert real_share([side]) >= 0.9
    random.Random(0).shuffle(pairs)
    longest = max(len(source) for source, _ in pairs)
    mixed = Rows(source for source, _ in pairs).padded(
        torch.arange(len(pairs)).numpy(), longest
    )
    assert real_share([(mixed,)]) < 0.5


def test_the_shapes_are_few_and_the_same_in_every_epoch():
    batches = TokenBatches(like_language(20_000), 2048, seed=0)
    first, second = (
        [(*source.shape, target.shape[1]) for source, target in epoch(batches)]
        for _ in range(2)
    )
    assert first != second
    assert Counter(first) == Counter(second)
    assert len(set(first)) < 100
    assert sum(rows % 8 == 0 for rows, _, _ in first) >= len(first) - 2
    assert all(source % 2 == 0 and target % 2 == 1 for _, source, target in first)


def test_lengths_can_be_rounded_up_for_processors_that_like_it():
    for source, target in epoch(
        TokenBatches(like_language(2000), 2048, seed=0, multiple=8)
    ):
        assert source.shape[1] % 8 == target[:, 1:].shape[1] % 8 == 0


def test_an_epoch_does_not_end_with_a_small_rest():
    nine = [
        ([3], [3])
    ] * 9  # a target is three tokens wide, so eight rows fill a batch of 24
    assert sorted(
        len(source) for source, _ in epoch(TokenBatches(nine, 24, seed=0))
    ) == [4, 5]
    assert [
        len(source)
        for source, _ in epoch(TokenBatches(nine, 12, seed=0, rank=1, world=2))
    ] == [2, 2]


def test_a_sentence_without_words_is_padding_alone():
    assert next(TokenBatches([([], [])], 24, seed=0, multiple=1))[0].tolist() == [[PAD]]


# In which order


def test_every_epoch_is_mixed_anew_by_seed_and_number():
    pairs = like_language(3000)
    one, again, other = (TokenBatches(pairs, 512, seed=seed) for seed in (1, 1, 2))
    epochs = [epoch(one) for _ in range(2)]
    assert all(
        same(a, b) for taken in epochs for a, b in zip(taken, epoch(again), strict=True)
    )
    for changed in (epochs[1], epoch(other)):
        assert sum(same(a, b) for a, b in zip(epochs[0], changed)) == 0
    # Not only the order of the batches changes, but also which pairs meet in one.
    meetings = [{frozenset(read(batch)) for batch in taken} for taken in epochs]
    assert len(meetings[0] & meetings[1]) < 0.1 * len(meetings[0])


def test_short_and_long_batches_come_mixed():
    widths = [
        source.shape[1]
        for source, _ in epoch(TokenBatches(like_language(3000), 512, seed=0))
    ]
    assert widths != sorted(widths)
    assert widths != sorted(widths, reverse=True)


@given(
    some_pairs,
    sizes,
    seeds,
    st.integers(0, 40),
    st.sampled_from([(1, 1), (1, 2), (2, 1)]),
)
def test_it_goes_on_exactly_where_the_state_was_taken_also_with_other_processes(
    pairs, tokens, seed, steps, worlds
):
    before, after = worlds
    taken = batches_or_none(pairs, 2 * tokens // before, seed=seed, world=before)
    whole = batches_or_none(pairs, 2 * tokens // after, seed=seed, world=after)
    resumed = batches_or_none(pairs, 2 * tokens // after, seed=seed, world=after)
    assume(taken and whole and resumed)
    for _ in range(steps):
        next(taken), next(whole)
    resumed.load_state_dict(json.loads(json.dumps(taken.state_dict())))
    for _ in range(len(whole) + 2):
        assert same(next(resumed), next(whole))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"seed": 1}, "seed was 0 there, is 1 here"),
        ({"tokens": 256}, "tokens was 512 there, is 256 here"),
        ({"multiple": 4}, "multiple was 2 there, is 4 here"),
        ({"pairs": like_language(300, seed=1)}, "pairs was"),
        (
            {
                "pairs": [
                    (source, target[::-1]) for source, target in like_language(300)
                ]
            },
            "pairs was",
        ),
        (
            {
                "pairs": [
                    (source[::-1], target) for source, target in like_language(300)
                ]
            },
            "pairs was",
        ),
        ({"max_length": 15}, "pairs was"),
    ],
)
def test_a_state_of_other_batches_is_refused(changed, name):
    options = {"pairs": like_language(300), "tokens": 512, "seed": 0}
    state = TokenBatches(**options).state_dict()
    with pytest.raises(ValueError, match=name):
        TokenBatches(**(options | changed)).load_state_dict(state)


def test_a_state_that_lacks_something_is_refused():
    with pytest.raises(ValueError, match="seed was None there"):
        TokenBatches([([3], [4])], 100, seed=0).load_state_dict(
            {"epoch": 1, "batch": 0}
        )


# In several processes


@given(some_pairs, sizes, seeds, st.integers(2, 4))
def test_processes_share_the_batches_that_one_alone_would_take(
    pairs, tokens, seed, world
):
    ranks = [
        batches_or_none(pairs, tokens, seed=seed, rank=rank, world=world)
        for rank in range(world)
    ]
    assume(all(ranks))
    alone = TokenBatches(pairs, tokens * world, seed=seed)
    assert {len(batches) for batches in ranks} == {len(alone)}
    for whole in islice(alone, len(alone) + 2):
        parts = [next(batches) for batches in ranks]
        assert sum((as_counts(read(part)) for part in parts), Counter()) == as_counts(
            read(whole)
        )
        assert {(part[0].shape[1], part[1].shape[1]) for part in parts} == {
            (whole[0].shape[1], whole[1].shape[1])
        }
        rows = [len(source) for source, _ in parts]
        assert max(rows) - min(rows) <= 1
        assert min(rows) > 0
        assert all(
            side.numel() <= tokens + side.shape[1] for part in parts for side in part
        )


def test_no_rank_gets_more_tokens_than_asked_for_where_the_world_divides_8():
    pairs = like_language(5000)
    for world in (2, 4, 8):
        for rank in (0, world - 1):
            for batch in epoch(
                TokenBatches(pairs, 1024, seed=0, rank=rank, world=world)
            ):
                assert all(side.numel() <= 1024 for side in batch)


def test_two_processes_reproduce_the_loss_of_one():
    pairs, model = (
        like_language(200),
        Transformer(TransformerConfig.tiny(100)).double().eval(),
    )

    def total(batch):
        source, target = batch
        return (
            teacher_forcing_loss(model, source, target) * (target[:, 1:] != PAD).sum()
        )

    one = TokenBatches(pairs, 512, seed=3)
    two = [TokenBatches(pairs, 256, seed=3, rank=rank, world=2) for rank in range(2)]
    with torch.no_grad():
        for _ in range(4):
            assert sum(total(next(batches)) for batches in two) == pytest.approx(
                float(total(next(one))), rel=1e-12
            )


# What cannot be


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pairs": []}, "none of 0 pairs is left"),
        ({"max_length": 0}, "none of 2 pairs is left to learn from, with max_length=0"),
        ({"rank": 2, "world": 2}, "rank=2 is none of world=2 processes"),
        ({"rank": -1}, "rank=-1"),
        ({"world": 0}, "world=0"),
        (
            {"tokens": 5},
            "the longest sentence needs 6 tokens with padding, and a batch holds 5; raise tokens",
        ),
        ({"world": 3}, "3 processes cannot share a batch of 2 sentences"),
        ({"multiple": 0}, "multiple=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_cannot_be_is_answered_in_a_sentence(options, complaint):
    options = {
        "pairs": [([3, 4, 5, 6, 7], [3]), ([3], [3])],
        "tokens": 100,
        "seed": 0,
    } | options
    with pytest.raises(ValueError, match=re.escape(complaint)):
        TokenBatches(**options)


def test_long_pairs_are_left_out_on_request_and_counted():
    pairs = [([3] * 4, [3]), ([3], [3] * 5), ([3], [3])]
    batches = TokenBatches(pairs, 100, seed=0, max_length=4)
    assert batches.left_out == 1
    assert as_counts(read(next(batches))) == as_counts([pairs[0], pairs[2]])
    assert TokenBatches(pairs, 100, seed=0).left_out == 0


# For evaluation


@given(st.lists(ids, max_size=40), st.integers(1, 60))
def test_evaluation_takes_every_sentence_once_the_longest_first_and_knows_its_place(
    sources, tokens
):
    found: dict[int, list[int]] = {}
    widths = []
    for places, source in evaluation_batches(sources, tokens):
        assert source.numel() <= tokens or len(source) == 1
        widths.append(source.shape[1])
        found |= {
            place: row[: len(sources[place])]
            for place, row in zip(places, source.tolist(), strict=True)
        }
        assert all(row[len(sources[place]) :].count(PAD) == len(row) - len(sources[place])
                   for place, row in zip(places, source.tolist()))  # fmt: skip
    assert [found[place] for place in range(len(sources))] == sources
    assert widths == sorted(widths, reverse=True)
    assert all(width > 0 for width in widths)


# At scale


def test_making_a_batch_takes_well_under_a_twentieth_of_a_training_step(
    no_shape_checks,
):
    batches = TokenBatches(like_language(20_000), 2048, seed=0)
    model = Transformer(TransformerConfig.tiny(100))

    def seconds(call) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    batch = next(batches)
    steps = [
        seconds(lambda: teacher_forcing_loss(model, *batch).backward())
        for _ in range(3)
    ]
    assert min(seconds(lambda: next(batches)) for _ in range(50)) < min(steps) / 40


@functools.cache
def numbered(name: str) -> list[tuple[list[int], list[int]]]:
    pairs = corpus(name, "train")
    tokenizer = Tokenizer.train((side for pair in pairs for side in pair), 8000)
    return list(zip(*map(tokenizer.encode, zip(*pairs))))


@each_real_corpus
@pytest.mark.parametrize("tokens", [2048, 4096])
def test_nine_tenths_of_a_batch_of_a_real_corpus_are_real(name, tokens):
    taken = epoch(TokenBatches(numbered(name), tokens, seed=0))
    assert all(real_share([side]) >= 0.9 for side in zip(*taken))
    assert len({(*source.shape, target.shape[1]) for source, target in taken}) < 100
