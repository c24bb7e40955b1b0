"""Writing: the cache changes nothing, the beam finds what an exhaustive search finds, chance is fair (chapter 12)."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitfm.decoding import Beams, beam_search, length_penalty, limits, writer
from minitfm.fast.linear import PackedLinear, packed, packs
from minitfm.fast.writer import CachedTransformer
from minitfm.lstm import GRU, LSTM
from minitfm.sampling import likely, sample
from minitfm.seq2seq import EncoderDecoder, Seq2Seq, greedy
from minitfm.study.vocabulary import BOS, EOS, PAD
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import seeds

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
    torch.manual_seed(seed)
    model = Transformer(
        TransformerConfig(
            vocabulary, **{"d_model": 8, "d_ff": 16, "heads": 2, "layers": 1, **options}
        )
    )
    for parameter in model.parameters():
        nn.init.normal_(
            parameter, std=0.5
        )  # sharper than a fresh model: its translations differ and end
    model.generator = nn.Linear(8, vocabulary)
    with torch.no_grad():
        model.generator.bias[
            PAD
        ] = -1e9  # a model that hides padding from itself does not write any
    return model.double().eval()


def sources(lengths: list[int], vocabulary: int = 9) -> torch.Tensor:
    tokens = torch.randint(3, vocabulary, (len(lengths), max(lengths)))
    return tokens.where(
        torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1), PAD
    )


@given(seeds, configs, lengths, st.integers(1, 3))
def test_the_cache_gives_the_models_own_logits_for_every_beam(
    seed, config, lengths, beam
):
    model, source = made(seed, **config), sources(lengths)
    cached, plain = CachedTransformer(model), Beams(model)
    assert isinstance(cached, EncoderDecoder)
    states = cached.start(source, beam), plain.start(source, beam)
    token, keep = (
        torch.full((len(source) * beam,), BOS),
        torch.ones(len(source), dtype=torch.bool),
    )
    for step in range(20):  # past the 16 steps for which a cache has room at first
        logits, ours = cached.step(token, states[0])
        expected, theirs = plain.step(token, states[1])
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
        parents = torch.randint(beam, (len(keep), beam))
        states = cached.reorder(ours, parents), plain.reorder(theirs, parents)
        if step == 9 and len(keep) > 1:  # some sentences are finished
            keep = torch.arange(len(keep)) % 2 == 0
            states = cached.keep(states[0], keep), plain.keep(states[1], keep)
            keep = keep[keep]
        token = torch.randint(3, 9, (len(keep) * beam,))


@given(seeds, configs, lengths, st.integers(1, 4), alphas)
def test_the_cache_writes_the_same_tokens(seed, config, lengths, beam, alpha):
    model, source = made(seed, **config), sources(lengths)
    with_cache = beam_search(
        model, source, beam=beam, alpha=alpha, best=beam, limit=limits(source, 6)
    )
    without = beam_search(
        model,
        source,
        beam=beam,
        alpha=alpha,
        best=beam,
        limit=limits(source, 6),
        cached=False,
    )
    assert [[one.tokens for one in found] for found in with_cache] == [
        [o.tokens for o in found] for found in without
    ]
    assert torch.equal(
        greedy(CachedTransformer(model), source, 20), greedy(model, source, 20)
    )
    for cached in (True, False):
        again = beam_search(
            writer(model, cached),
            source,
            beam=beam,
            alpha=alpha,
            best=beam,
            limit=limits(source, 6),
        )
        assert [[one.tokens for one in found] for found in again] == [
            [one.tokens for one in f] for f in with_cache
        ]


@given(seeds, st.booleans(), st.integers(0, 3), st.integers(1, 40), st.integers(1, 40))
def test_packed_layers_are_the_layers_they_pack(seed, biased, rows, d_in, d_out):
    torch.manual_seed(seed)
    layer, x = nn.Linear(d_in, d_out, bias=biased), torch.randn(2, rows, d_in)
    assert packs(layer), "float32 on a CPU"
    assert not packs(nn.Linear(2, 3).double())
    torch.testing.assert_close(PackedLinear(layer)(x), layer(x), rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert PackedLinear(layer)(x).dtype == torch.bfloat16


def test_packing_leaves_the_model_as_it_is():
    model, source = made(0).float(), sources([4, 2])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copy = packed(model)
    kinds = {type(layer) for layer in copy.modules()}
    assert PackedLinear in kinds
    assert nn.Linear not in kinds
    torch.testing.assert_close(
        copy(source, source), model(source, source), rtol=0, atol=1e-5
    )
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()
    )


@given(seeds, configs, lengths)
def test_a_beam_of_one_is_greedy(seed, config, lengths):
    model, source = made(seed, **config), sources(lengths)
    found = beam_search(model, source, beam=1, limit=torch.full((len(source),), 12))
    written = greedy(model, source, 12).tolist()
    assert [one.tokens for (one,) in found] == [
        row[: row.index(EOS) + 1] if EOS in row else row for row in written
    ]


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
            logits = model(source, torch.tensor([[BOS, *tokens[:-1]]]))
            log_probability = (
                logits[0]
                .log_softmax(-1)
                .gather(1, torch.tensor(tokens).unsqueeze(1))
                .sum()
                .item()
            )
            scored.append((tokens, log_probability / ((5 + length) / 6) ** alpha))
    return sorted(scored, key=lambda one: -one[1])


@settings(max_examples=25)
@given(seeds, alphas, st.integers(1, 4))
def test_a_beam_wide_enough_finds_what_an_exhaustive_search_finds(seed, alpha, limit):
    model, source = made(seed, vocabulary=5), sources([3], 5)
    expected = every_translation(model, source, limit, alpha)
    best = min(5, len(expected))
    (found,) = beam_search(
        model,
        source,
        beam=4**limit,
        alpha=alpha,
        best=best,
        limit=torch.tensor([limit]),
    )
    assert [one.tokens for one in found] == [tokens for tokens, _ in expected[:best]]
    assert [one.score for one in found] == pytest.approx(
        [score for _, score in expected[:best]]
    )


@given(seeds, lengths, st.integers(1, 4), alphas, st.booleans())
def test_a_sentence_is_written_alike_alone_and_in_a_padded_batch(
    seed, lengths, beam, alpha, cached
):
    model, source = made(seed), sources(lengths)
    options = {"beam": beam, "alpha": alpha, "best": beam, "cached": cached}
    together = beam_search(model, source, **options)
    for row, length in enumerate(lengths):
        (alone,) = beam_search(model, source[row : row + 1, :length], **options)
        assert [one.tokens for one in together[row]] == [one.tokens for one in alone]
        assert [one.score for one in together[row]] == pytest.approx(
            [one.score for one in alone]
        )


@given(seeds, lengths, st.integers(2, 5))
def test_what_is_returned_is_scored_by_the_models_own_probabilities(
    seed, lengths, beam
):
    model, source = made(seed), sources(lengths)
    for row, found in enumerate(
        beam_search(model, source, beam=beam, alpha=0.6, best=beam)
    ):
        assert [one.score for one in found] == sorted(
            (one.score for one in found), reverse=True
        )
        assert len({tuple(one.tokens) for one in found}) == len(found)
        for one in found:
            assert PAD not in one.tokens
            logits = model(
                source[row : row + 1, : lengths[row]],
                torch.tensor([[BOS, *one.tokens[:-1]]]),
            )
            chosen = (
                logits[0]
                .log_softmax(-1)
                .gather(1, torch.tensor(one.tokens).unsqueeze(1))
            )
            assert one.log_probability == pytest.approx(chosen.sum().item())
            assert one.score == pytest.approx(
                one.log_probability / length_penalty(len(one.tokens), 0.6)
            )
            assert len(one.tokens) <= lengths[row] + 50
            assert one.tokens[-1] == EOS or len(one.tokens) == lengths[row] + 50


def test_it_writes_what_hugging_face_generates():
    """`generate` of a MarianMTModel with the same weights, greedy and beams; where transformers is installed."""
    pytest.importorskip(
        "transformers", reason="pip install 'minitfm[bench]' brings transformers"
    )
    from tests.marian import generated, to_marian

    ended = 0
    for seed in range(4):
        torch.manual_seed(seed)
        model = Transformer(
            TransformerConfig(12, d_model=32, d_ff=64, heads=4, layers=2)
        ).eval()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.35)
        marian, source = (
            to_marian(model),
            sources([9, 4, 7, 1, 2, 8, 5, 9, 3, 6] * 3, 12),
        )
        target = torch.randint(3, 12, (30, 7))
        theirs = marian(
            input_ids=source, attention_mask=source != PAD, decoder_input_ids=target
        ).logits
        torch.testing.assert_close(model(source, target), theirs, rtol=0, atol=1e-4)
        for beam in (1, 2, 4, 7):
            expected = generated(marian, source, beam, 20)
            found = beam_search(
                model, source, beam=beam, alpha=0.0, limit=torch.full((30,), 20)
            )
            assert [one.tokens for (one,) in found] == expected
            ended += sum(row[-1] == EOS for row in expected)
    assert ended > 0, "some translations end by themselves"


@pytest.mark.parametrize("network", [LSTM, GRU])
def test_any_encoder_decoder_can_write(network):
    model = Seq2Seq(9, 8, network=network).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    nn.init.constant_(model.generator.bias[PAD : PAD + 1], -1e9)
    source = sources([4, 2, 5])
    wide = beam_search(model, source, beam=5, alpha=0.0, limit=torch.tensor([9, 9, 9]))
    narrow = beam_search(
        model, source, beam=1, alpha=0.0, limit=torch.tensor([9, 9, 9])
    )
    written = [
        row[: row.index(EOS) + 1] if EOS in row else row
        for row in greedy(model, source, 9).tolist()
    ]
    assert [one.tokens for (one,) in narrow] == written
    assert sum(a.log_probability for (a,) in wide) >= sum(
        a.log_probability for (a,) in narrow
    )


def test_the_length_penalty_is_the_published_formula():
    assert length_penalty(1, 0.6) == 1
    assert length_penalty(7, 0.6) == pytest.approx(2**0.6)
    assert length_penalty(25, 0.0) == 1


def test_more_translations_than_the_beam_holds_are_refused():
    with pytest.raises(
        ValueError,
        match="best=3 translations from a beam of 2; choose a beam of 3 or more",
    ):
        beam_search(made(0), sources([3]), beam=2, best=3)


@given(seeds, st.integers(1, 9), st.floats(0.05, 1.0))
def test_only_the_likely_symbols_are_left(seed, top_k, top_p):
    torch.manual_seed(seed)
    logits = torch.randn(3, 9, dtype=torch.float64)
    for row, k, p in zip(
        logits.softmax(-1), likely(logits, top_k=top_k), likely(logits, top_p=top_p)
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
    assert torch.equal(likely(logits), logits)


def test_samples_come_as_often_as_the_model_says():
    model, source = made(3), sources([4]).repeat(4000, 1)
    first = [
        row[0]
        for row in sample(
            model,
            source,
            generator=torch.Generator().manual_seed(0),
            temperature=1.5,
            limit=torch.ones(4000, dtype=torch.long),
        )
    ]
    logits = model(source[:1], torch.tensor([[BOS]]))[0, 0] / 1.5
    for symbol, expected in enumerate(logits.softmax(-1).tolist()):
        share = first.count(symbol) / len(first)
        assert share == pytest.approx(
            expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000) + 1e-9
        )


def test_a_sample_at_a_temperature_near_zero_is_greedy_and_ends_at_eos_or_its_limit():
    model, source = made(5), sources([4, 2, 6])
    generator = torch.Generator().manual_seed(0)
    rows = sample(
        model,
        source,
        generator=generator,
        temperature=1e-6,
        limit=torch.tensor([3, 7, 12]),
    )
    (expected,) = zip(
        *beam_search(model, source, beam=1, limit=torch.tensor([3, 7, 12]))
    )
    assert rows == [one.tokens for one in expected]
    again = [
        sample(model, source, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    ]
    assert again[0] == again[1]
    for row, limit in zip(again[0], limits(source).tolist()):
        assert row.index(EOS) == len(row) - 1 if EOS in row else len(row) == limit
    with pytest.raises(
        ValueError,
        match=r"temperature=0.0; choose a positive one, or beam_search\(..., beam=1\)",
    ):
        sample(model, source, generator=generator, temperature=0.0)
