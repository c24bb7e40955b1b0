"""The product's beam search finds what the lesson's finds: the same tokens, the same scores."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitfm import decoding
from minitfm.attentive import AttentiveSeq2Seq
from minitfm.fast import accelerate
from minitfm.fast.writer import ModelWriter, TransformerWriter, beam_search, writer
from minitfm.seq2seq import Seq2Seq
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import seeds
from tests.test_decoding import (
    BOS,
    EOS,
    PAD,
    alphas,
    configs,
    lengths,
    made,
    sources,
)


def assert_same(found, expected) -> None:
    assert [[one.tokens for one in pool] for pool in found] == [
        [one.tokens for one in pool] for pool in expected
    ]
    for ours, theirs in zip(found, expected):
        for name in ("score", "log_probability"):
            assert [getattr(one, name) for one in ours] == pytest.approx(
                [getattr(one, name) for one in theirs], rel=1e-9
            )


@settings(max_examples=20)
@given(seeds, configs, lengths, st.integers(1, 3))
def test_its_cache_gives_the_models_own_logits_for_every_beam(
    seed, config, lengths, beam
):
    model, source = made(seed, **config), sources(lengths)
    cached, plain = TransformerWriter(model), ModelWriter(model)
    states = cached.start(source, beam), plain.start(source, beam)
    token = torch.full((len(source) * beam,), BOS)
    keep = torch.ones(len(source), dtype=torch.bool)
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


@settings(max_examples=30)
@given(seeds, configs, lengths, st.integers(1, 4), alphas, st.data())
def test_it_finds_what_the_lesson_finds(seed, config, lengths, beam, alpha, data):
    model, source = made(seed, **config), sources(lengths)
    options = {
        "beam": beam,
        "alpha": alpha,
        "best": data.draw(st.integers(1, beam)),
        "max_length": decoding.longest_lengths(source, extra=4),
    }
    expected = decoding.beam_search(model, source, **options)
    assert_same(beam_search(model, source, **options), expected)
    assert_same(beam_search(writer(model), source, **options), expected)


@settings(max_examples=20)
@given(seeds, st.booleans(), lengths, st.integers(1, 4), alphas)
def test_it_finds_what_the_lesson_finds_with_recurrent_models(
    seed, attentive, lengths, beam, alpha
):
    torch.manual_seed(seed)
    model = (AttentiveSeq2Seq if attentive else Seq2Seq)(9, 8, layers=2).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    options = {"beam": beam, "alpha": alpha, "best": beam, "max_length": 7}
    source = sources(lengths)
    expected = decoding.beam_search(model, source, **options)
    assert_same(beam_search(model, source, **options), expected)


@settings(max_examples=20)
@given(seeds, st.integers(3, 6), st.integers(1, 9))
def test_it_finds_what_the_lesson_finds_where_the_beam_is_wider_than_the_vocabulary(
    seed, vocabulary, beam
):
    model, source = made(seed, vocabulary), sources([2, 3], max(4, vocabulary))
    source = source.clamp(max=vocabulary - 1)
    options = {"beam": beam, "best": beam, "max_length": torch.tensor([1, 4])}
    expected = decoding.beam_search(model, source, **options)
    assert_same(beam_search(model, source, **options), expected)


def test_other_ids_and_an_empty_batch_are_the_lessons_too():
    model, source = made(4), sources([4, 2, 5])
    model.generator.bias.data[7] += 2  # so that some end
    options = {"bos": 5, "eos": 7, "max_length": 6, "beam": 3, "best": 3}
    expected = decoding.beam_search(model, source, **options)
    assert_same(beam_search(model, source, **options), expected)
    assert any(one.tokens[-1] == 7 for pool in expected for one in pool)
    assert beam_search(model, source[:0]) == []
    with pytest.raises(ValueError, match="best=3 translations from a beam of 2"):
        beam_search(model, source, beam=2, best=3)
    with pytest.raises(ValueError, match="max_length=0"):
        beam_search(model, source, max_length=0)


@pytest.mark.parametrize("kind", [Transformer, Seq2Seq, AttentiveSeq2Seq])
def test_dropout_is_off_and_padding_alone_is_no_nan(kind):
    torch.manual_seed(0)
    model = made(1, dropout=0.5) if kind is Transformer else kind(9, 8, dropout=0.5)
    model = model.double()
    source = torch.tensor([[3, 4, 5], [PAD, PAD, PAD]])
    options = {"beam": 2, "best": 2, "max_length": 6}
    expected = decoding.beam_search(model, source, **options)
    model.train()
    for _ in range(2):
        assert_same(beam_search(model, source, **options), expected)
        assert model.training
    alone = beam_search(model, source[1:], **options)
    assert_same(alone, expected[1:])


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_a_model_accelerated_before_writes_the_same(positions):
    model, source = made(6, positions=positions).float(), sources([4, 2, 5])
    expected = decoding.beam_search(model, source, max_length=8)
    for found in (
        beam_search(accelerate(model), source, max_length=8),
        decoding.beam_search(model, source, max_length=8),
    ):
        assert [one.tokens for (one,) in found] == [o.tokens for (o,) in expected]
        assert [one.score for (one,) in found] == pytest.approx(
            [one.score for (one,) in expected], abs=1e-4
        )


def test_it_writes_with_the_weights_of_the_time_when_it_was_made():
    model, source = made(1), sources([4])
    made_before = writer(model)
    before = beam_search(made_before, source, max_length=6)
    with torch.no_grad():
        model.generator.weight.neg_()
    assert_same(beam_search(made_before, source, max_length=6), before)
    after = decoding.beam_search(model, source, max_length=6)
    assert after != before
    assert_same(beam_search(model, source, max_length=6), after)


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
        marian = to_marian(model)
        source = sources([9, 4, 7, 1, 2, 8, 5, 9, 3, 6] * 3, 12)
        target = torch.randint(3, 12, (30, 7))
        theirs = marian(
            input_ids=source, attention_mask=source != PAD, decoder_input_ids=target
        ).logits
        torch.testing.assert_close(model(source, target), theirs, rtol=0, atol=1e-4)
        for beam in (1, 2, 4, 7):
            expected = generated(marian, source, beam, 20)
            found = beam_search(model, source, beam=beam, alpha=0.0, max_length=20)
            assert [one.tokens for (one,) in found] == expected
            ended += sum(row[-1] == EOS for row in expected)
    assert ended > 0, "some translations end by themselves"
