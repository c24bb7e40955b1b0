"""Writing: the cache changes nothing, the beam finds what an exhaustive search finds, draws come as often as the
model says (chapter 12)."""

import itertools
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitfm.attentive import AttentiveSeq2Seq
from minitfm.decoding import (
    CachedTransformer,
    averaged,
    beam_search,
    keep_likeliest,
    length_penalty,
    longest_lengths,
    sample,
    without_dropout,
)
from minitfm.fast import writer as fast
from minitfm.lstm import GRU, LSTM
from minitfm.seq2seq import EncoderDecoder, Seq2Seq, greedy
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import seeds

PAD, BOS, EOS = 0, 1, 2

configs = st.fixed_dictionaries(
    {
        "positions": st.sampled_from(["sinusoidal", "learned", "rotary"]),
        "norm": st.sampled_from(["post", "pre"]),
        "layers": st.integers(1, 2),
        "heads": st.sampled_from([1, 2]),
        "d_k": st.sampled_from([None, 2, 6]),
        "d_v": st.sampled_from([None, 3]),
    }
)
lengths = st.lists(st.integers(1, 6), min_size=1, max_size=4)
alphas = st.sampled_from([0.0, 0.6, 1.0, -0.5])


def made(seed: int, vocabulary: int = 9, **options) -> Transformer:
    """A model whose translations differ and end: its weights are larger than a fresh one's."""
    torch.manual_seed(seed)
    model = Transformer(
        TransformerConfig(
            vocabulary, **{"d_model": 8, "d_ff": 16, "heads": 2, "layers": 1, **options}
        )
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    model.generator = nn.Linear(8, vocabulary)
    with torch.no_grad():
        # A model that hides padding from itself does not write any.
        model.generator.bias[PAD] = -1e9
    return model.double().eval()


def sources(lengths: list[int], vocabulary: int = 9) -> torch.Tensor:
    tokens = torch.randint(3, vocabulary, (len(lengths), max(lengths)))
    return tokens.where(
        torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1), PAD
    )


def until_eos(rows: torch.Tensor) -> list[list[int]]:
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows.tolist()]


# The cache


@settings(max_examples=40)
@given(seeds, configs, lengths)
def test_the_cache_gives_the_models_own_logits(seed, config, lengths):
    model, source = made(seed, **config), sources(lengths)
    cached = CachedTransformer(model)
    assert isinstance(cached, EncoderDecoder)
    target = torch.randint(3, 9, (len(source), 12))
    target[:, 0] = BOS
    target[-1, 7:] = PAD  # padding is hidden from what is written after it
    expected, cache = model(source, target), cached.start(source)
    for step in range(target.shape[1]):
        logits, cache = cached.step(target[:, step], cache)
        torch.testing.assert_close(logits, expected[:, step], rtol=0, atol=1e-10)


@settings(max_examples=15)
@given(seeds, configs, lengths)
def test_writing_with_the_cache_is_writing_without(seed, config, lengths):
    model, source = made(seed, **config), sources(lengths)
    cached = CachedTransformer(model)
    assert torch.equal(greedy(cached, source, 6), greedy(model, source, 6))
    assert beam_tokens(cached, source) == beam_tokens(model, source)


def beam_tokens(model, source) -> list[list[int]]:
    found = beam_search(model, source, beam=3, best=3, max_length=6)
    return [one.tokens for pool in found for one in pool]


def test_with_the_cache_only_the_new_token_goes_through_the_layers():
    model, source, read = made(0), sources([3]), []
    layer = model.decoder.layers[0].feed_forward
    layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[1]))
    model.generator.bias.data[EOS] = -1e9  # it never ends by itself
    greedy(CachedTransformer(model), source, 6)
    assert read == [1] * 6
    read.clear()
    greedy(model, source, 6)
    assert read == [1, 2, 3, 4, 5, 6]


# Beam search


@settings(max_examples=20)
@given(seeds, configs, lengths)
def test_a_beam_of_one_is_greedy(seed, config, lengths):
    model, source = made(seed, **config), sources(lengths)
    found = beam_search(model, source, beam=1, max_length=8)
    assert [one.tokens for (one,) in found] == until_eos(greedy(model, source, 8))


def every_translation(
    model: Transformer, source: torch.Tensor, limit: int, alpha: float
) -> list[tuple[list[int], float]]:
    """All of a tiny vocabulary, scored by the model in one pass each, the best first."""
    scored, vocabulary = [], model.config.vocabulary
    for length in range(1, limit + 1):
        endings = [EOS] if length < limit else range(1, vocabulary)
        middles = [token for token in range(1, vocabulary) if token != EOS]
        for tokens in (
            [*before, end]
            for before in itertools.product(middles, repeat=length - 1)
            for end in endings
        ):
            score = own_log_probability(model, source, tokens)
            scored.append((tokens, score / ((5 + length) / 6) ** alpha))
    return sorted(scored, key=lambda one: -one[1])


def own_log_probability(model, source, tokens) -> float:
    logits = model(source, torch.tensor([[BOS, *tokens[:-1]]]))[0]
    chosen = logits.log_softmax(-1).gather(1, torch.tensor(tokens).unsqueeze(1))
    return chosen.sum().item()


@settings(max_examples=15)
@given(seeds, alphas, st.integers(1, 4))
def test_a_beam_wide_enough_finds_what_an_exhaustive_search_finds(seed, alpha, limit):
    model, source = made(seed, vocabulary=5), sources([3], 5)
    expected = every_translation(model, source, limit, alpha)
    best = min(5, len(expected))
    (found,) = beam_search(
        model, source, beam=4**limit, alpha=alpha, best=best, max_length=limit
    )
    assert [one.tokens for one in found] == [tokens for tokens, _ in expected[:best]]
    assert [one.score for one in found] == pytest.approx(
        [score for _, score in expected[:best]]
    )


@settings(max_examples=20)
@given(seeds, lengths, st.integers(1, 4), alphas)
def test_a_sentence_is_written_alike_alone_and_in_a_padded_batch(
    seed, lengths, beam, alpha
):
    model, source = made(seed), sources(lengths)
    options = {"beam": beam, "alpha": alpha, "best": beam, "max_length": 6}
    together = beam_search(model, source, **options)
    for row, length in enumerate(lengths):
        (alone,) = beam_search(model, source[row : row + 1, :length], **options)
        assert [one.tokens for one in together[row]] == [one.tokens for one in alone]
        assert [one.score for one in together[row]] == pytest.approx(
            [one.score for one in alone]
        )


@settings(max_examples=20)
@given(seeds, lengths, st.integers(2, 5))
def test_what_is_returned_is_scored_by_the_models_own_probabilities(
    seed, lengths, beam
):
    model, source = made(seed), sources(lengths)
    limits = longest_lengths(source, extra=4)
    found = beam_search(model, source, beam=beam, best=beam, max_length=limits)
    for row, pool in enumerate(found):
        assert [one.score for one in pool] == sorted(
            (one.score for one in pool), reverse=True
        )
        assert len({tuple(one.tokens) for one in pool}) == len(pool)
        for one in pool:
            assert PAD not in one.tokens
            own = own_log_probability(
                model, source[row : row + 1, : lengths[row]], one.tokens
            )
            assert one.log_probability == pytest.approx(own)
            assert one.score == pytest.approx(
                own / length_penalty(len(one.tokens), 0.6)
            )
            assert len(one.tokens) <= lengths[row] + 4
            assert one.tokens[-1] == EOS or len(one.tokens) == lengths[row] + 4


def test_the_longest_translation_is_the_papers_unless_another_is_given():
    model, source = made(0), sources([3, 1])
    model.generator.bias.data[EOS] = -1e9  # it never ends by itself
    assert longest_lengths(source).tolist() == [53, 51]
    written = beam_search(CachedTransformer(model), source, beam=1)
    assert [len(one.tokens) for (one,) in written] == [53, 51]
    for limits, expected in ((4, [4, 4]), (torch.tensor([2, 5]), [2, 5])):
        written = beam_search(model, source, beam=2, max_length=limits)
        assert [len(one.tokens) for (one,) in written] == expected
    with pytest.raises(ValueError, match="max_length=0; choose 1 or more"):
        beam_search(model, source, max_length=torch.tensor([3, 0]))


@pytest.mark.parametrize("network", [LSTM, GRU])
def test_any_encoder_decoder_can_write(network):
    model = Seq2Seq(9, 8, network=network).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    nn.init.constant_(model.generator.bias[PAD : PAD + 1], -1e9)
    source = sources([4, 2, 5])
    wide, narrow = (
        beam_search(model, source, beam=beam, alpha=0.0, max_length=9)
        for beam in (5, 1)
    )
    assert [one.tokens for (one,) in narrow] == until_eos(greedy(model, source, 9))
    assert sum(a.log_probability for (a,) in wide) >= sum(
        a.log_probability for (a,) in narrow
    )


def test_the_length_penalty_is_the_published_formula():
    assert length_penalty(1, 0.6) == 1
    assert length_penalty(7, 0.6) == pytest.approx(2**0.6)
    assert length_penalty(25, 0.0) == 1


@pytest.mark.parametrize("write", [beam_search, fast.beam_search])
@pytest.mark.parametrize(
    ("options", "range_of_it"),
    [
        ({"best": 0}, "best=0; choose 1 or more"),
        ({"beam": 0}, "choose a beam of 1 or more"),
        ({"alpha": 1e6}, "alpha=1000000.0; choose -10 to 10"),
        ({"alpha": math.nan}, "alpha=nan; choose -10 to 10"),
        ({"max_length": 0}, "max_length=0; choose 1 or more"),
    ],
)
def test_a_search_refuses_numbers_out_of_range(
    no_shape_checks, write, options, range_of_it
):
    with pytest.raises(ValueError, match=re.escape(range_of_it)):
        write(made(0), sources([3]), **options)


@pytest.mark.parametrize(
    ("options", "range_of_it"),
    [
        ({"temperature": 0.0}, "temperature=0.0; choose a positive one"),
        ({"temperature": math.nan}, "temperature=nan; choose a positive one"),
        ({"top_k": 0}, "top_k=0 keeps no symbol; choose 1 or more"),
        ({"top_k": -3}, "top_k=-3 keeps no symbol; choose 1 or more"),
        ({"top_p": 0.0}, "top_p=0.0; choose more than 0"),
    ],
)
def test_a_draw_refuses_numbers_out_of_range(no_shape_checks, options, range_of_it):
    with pytest.raises(ValueError, match=re.escape(range_of_it)):
        sample(made(0), sources([3]), generator=torch.Generator(), **options)


def test_more_translations_than_the_beam_holds_are_refused():
    with pytest.raises(
        ValueError,
        match="best=3 translations from a beam of 2; choose a beam of 3 or more",
    ):
        beam_search(made(0), sources([3]), beam=2, best=3)


def models() -> list[EncoderDecoder]:
    torch.manual_seed(0)
    return [
        made(1, dropout=0.5),
        CachedTransformer(made(1, dropout=0.5)),
        Seq2Seq(9, 8, dropout=0.5),
        AttentiveSeq2Seq(9, 8, dropout=0.5),
    ]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_dropout_is_off_while_writing_and_the_mode_stays(model):
    source = sources([4, 2])
    draw = lambda: torch.Generator().manual_seed(0)
    calls = (
        lambda: beam_search(model, source, beam=2, max_length=8),
        lambda: sample(model, source, generator=draw(), max_length=8).tolist(),
    )
    for call in calls:
        model.train(False)
        expected = call()
        assert not model.training
        model.train(True)
        for _ in range(3):
            assert call() == expected
            assert model.training
    with pytest.raises(KeyError), without_dropout(model):
        raise KeyError
    assert model.training


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_a_source_of_padding_alone_is_read_as_nothing_and_not_as_nan(model):
    source = torch.tensor([[3, 4, 5], [PAD, PAD, PAD]])
    (_, (one,)) = beam_search(model, source, beam=2, max_length=4)
    assert math.isfinite(one.score)
    assert len(one.tokens) <= 4
    ((alone,),) = beam_search(model, source[1:, :1], beam=2, max_length=4)
    assert alone.tokens == one.tokens
    drawn = sample(
        model, source, generator=torch.Generator().manual_seed(0), max_length=4
    )
    assert drawn.shape[1] <= 4


def test_no_sentence_at_all_gives_none():
    source = torch.zeros(0, 3, dtype=torch.long)
    assert beam_search(made(0), source) == []
    assert sample(made(0), source, generator=torch.Generator()).shape == (0, 0)


# Sampling


@given(seeds, st.integers(1, 9), st.floats(0.05, 1.0))
def test_only_the_likeliest_symbols_are_left(seed, top_k, top_p):
    torch.manual_seed(seed)
    logits = torch.randn(3, 9, dtype=torch.float64)
    for row, k, p in zip(
        logits.softmax(-1),
        keep_likeliest(logits, top_k=top_k),
        keep_likeliest(logits, top_p=top_p),
    ):
        ranked = sorted(range(9), key=lambda symbol: -row[symbol])
        assert {symbol for symbol in range(9) if k[symbol] > -math.inf} == set(
            ranked[:top_k]
        )
        fewest = next(
            n
            for n in range(1, 10)
            if sum(row[s].item() for s in ranked[:n]) >= top_p - 1e-12
        )
        assert {symbol for symbol in range(9) if p[symbol] > -math.inf} == set(
            ranked[:fewest]
        )
    assert torch.equal(keep_likeliest(logits), logits)


@pytest.mark.parametrize(
    "nothing", [{"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}]
)
def test_to_keep_no_symbol_is_refused(nothing):
    with pytest.raises(ValueError, match="choose"):
        keep_likeliest(torch.zeros(1, 5), **nothing)


def test_samples_come_as_often_as_the_model_says():
    model, source = made(3), sources([4]).repeat(4000, 1)
    draw = torch.Generator().manual_seed(0)
    drawn = sample(model, source, generator=draw, temperature=1.5, max_length=1)
    first = drawn[:, 0].tolist()
    logits = model(source[:1], torch.tensor([[BOS]]))[0, 0] / 1.5
    for symbol, expected in enumerate(logits.softmax(-1).tolist()):
        share = first.count(symbol) / len(first)
        assert share == pytest.approx(
            expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000) + 1e-9
        )


def test_a_sample_at_a_temperature_near_zero_is_greedy():
    model, source = made(5), sources([4, 2, 6])
    generator = torch.Generator().manual_seed(0)
    rows = sample(model, source, generator=generator, temperature=1e-6, max_length=12)
    assert torch.equal(rows, greedy(model, source, 12))
    with pytest.raises(ValueError, match=r"temperature=0.0; choose a positive one"):
        sample(model, source, generator=generator, temperature=0.0)


def test_a_sample_ends_at_eos_or_at_its_limit_and_comes_again_from_the_same_seed():
    model, source = made(5), sources([4, 2, 6, 3, 5])
    model.generator.bias.data[EOS] += 1  # so that some end
    limits = torch.tensor([3, 7, 12, 9, 12])
    once, again = (
        sample(
            model,
            source,
            generator=torch.Generator().manual_seed(1),
            max_length=limits,
        )
        for _ in range(2)
    )
    assert torch.equal(once, again)
    ends = 0
    for row, limit in zip(once.tolist(), limits.tolist()):
        length = row.index(EOS) + 1 if EOS in row else limit
        ends += EOS in row
        assert length <= limit
        assert PAD not in row[:length]
        assert not any(row[length:])
    assert ends > 0


def test_padding_is_never_written_however_likely_the_model_finds_it():
    model, source = made(2), sources([3, 2])
    model.generator.bias.data[PAD] = 1e3
    draw = torch.Generator().manual_seed(0)
    for row in sample(model, source, generator=draw, max_length=5).tolist():
        assert row[0] != PAD
    for pool in beam_search(model, source, beam=3, best=3, max_length=5):
        assert all(PAD not in one.tokens for one in pool)


# Averaging


def test_the_average_is_the_mean_of_the_weights():
    states = [made(seed).state_dict() for seed in range(3)]
    mean = averaged(states)
    assert mean.keys() == states[0].keys()
    for name, tensor in mean.items():
        assert tensor.dtype == states[0][name].dtype
        torch.testing.assert_close(tensor, sum(state[name] for state in states) / 3)
    only = averaged(states[:1])
    assert all(torch.equal(only[name], tensor) for name, tensor in states[0].items())


def test_nothing_and_different_models_have_no_average():
    with pytest.raises(ValueError, match="there is no checkpoint to average"):
        averaged([])
    with pytest.raises(ValueError, match="average those of one model only"):
        averaged([{"a": torch.zeros(1)}, {"b": torch.zeros(1)}])
