"""Additive and dot-product attention, and the recurrent encoder-decoder that looks back (chapter 4)."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from minitfm.attention import AdditiveAttention, DotProductAttention
from minitfm.attentive import AttentiveSeq2Seq, RecurrentConfig
from minitfm.decoding import beam_search
from minitfm.fast import accelerate
from minitfm.lstm import GRU, LSTM
from minitfm.rnn import RNN
from minitfm.seq2seq import EncoderDecoder, Seq2Seq, greedy, teacher_forcing_loss
from tests.oracle import assert_close, dtypes, seeds
from tests.test_recurrent import our_names, parts_of
from tests.test_seq2seq import (
    assert_later_tokens_change_nothing,
    assert_padding_changes_nothing,
    assert_writes_what_it_reads,
    layers,
    lengths,
    rows,
)

small = st.integers(1, 5)
each_network = pytest.mark.parametrize("network", [RNN, LSTM, GRU])
each_attention = pytest.mark.parametrize("attention", ["additive", "dot"])


class Formula(nn.Module):
    """Bahdanau's attention from its equations, one query and one key at a time."""

    def __init__(self, ours: AdditiveAttention) -> None:
        super().__init__()
        self.w, self.u, self.b, self.v = (
            nn.Parameter(p.detach().clone())
            for p in (
                ours.query.weight,
                ours.key.weight,
                ours.key.bias,
                ours.score.weight,
            )
        )

    def forward(self, query, key, value, mask):
        rows = []
        for b in range(len(query)):
            for i in range(query.shape[1]):
                visible = [j for j in range(key.shape[1]) if mask[b, i, j]]
                e = [
                    self.v[0]
                    @ torch.tanh(self.w @ query[b, i] + self.u @ key[b, j] + self.b)
                    for j in visible
                ]
                total = sum(score.exp() for score in e)
                parts = [
                    score.exp() / total * value[b, j] for score, j in zip(e, visible)
                ]
                rows.append(sum(parts, 0 * value[b, 0]))
        nothing = 0 * sum(
            part.sum() for part in (query, key, *self.parameters())
        )  # a gradient for each, if only 0
        return torch.stack(rows).view(len(query), query.shape[1], -1) + nothing


@given(seeds, dtypes, small, small, small, small, small, small, small, st.floats(0, 1))
def test_additive_attention_is_its_equations(
    seed, dtype, batch, queries, keys, d_query, d_key, d_value, d_score, share
):
    torch.manual_seed(seed)
    ours = AdditiveAttention(d_query, d_key, d_score).to(dtype)
    theirs = Formula(ours)
    mask = torch.rand(batch, queries, keys) < share
    sizes = {
        "query": (queries, d_query),
        "key": (keys, d_key),
        "value": (keys, d_value),
    }
    inputs = {
        name: torch.randn(batch, *size, dtype=dtype) for name, size in sizes.items()
    }
    names = {
        "query.weight": "w",
        "key.weight": "u",
        "key.bias": "b",
        "score.weight": "v",
    }
    upstream = torch.randn(batch, queries, d_value, dtype=dtype)

    def outcome(model):
        leaves = {
            name: tensor.clone().requires_grad_() for name, tensor in inputs.items()
        }
        output = model(**leaves, mask=mask)
        output.backward(upstream)
        gradients = {name: leaf.grad for name, leaf in leaves.items()}
        gradients |= {
            names.get(name, name): parameter.grad
            for name, parameter in model.named_parameters()
        }
        return {"output": output.detach()}, gradients

    outputs, gradients = outcome(ours)
    expected_outputs, expected_gradients = outcome(theirs)
    assert_close(outputs, expected_outputs)
    assert_close(
        gradients, expected_gradients
    )  # all together: those of the weights alone are sums that cancel


@given(seeds, dtypes, small, small, small, small, small, small, small)
def test_dot_product_attention_equals_torch(
    seed, dtype, batch, queries, keys, d_query, d_key, d_value, d_score
):
    torch.manual_seed(seed)
    ours = DotProductAttention(d_query, d_key, d_score).to(dtype)
    query = torch.randn(batch, queries, d_query, dtype=dtype)
    key, value = (
        torch.randn(batch, keys, d_key, dtype=dtype),
        torch.randn(batch, keys, d_value, dtype=dtype),
    )
    mask = (torch.rand(batch, 1, keys) < 0.6).index_fill(2, torch.tensor([0]), True)
    q, k = query @ ours.query.weight.T, key @ ours.key.weight.T
    expected = F.scaled_dot_product_attention(q, k, value, mask)
    assert_close({"output": ours(query, key, value, mask)}, {"output": expected})
    torch.testing.assert_close(ours.weights(query, key, mask) @ value, expected)


@pytest.mark.parametrize("kind", [AdditiveAttention, DotProductAttention])
@given(seeds, small, small, small, st.floats(0, 1))
def test_weights_are_shares_of_what_is_visible(kind, seed, batch, queries, keys, share):
    torch.manual_seed(seed)
    attention, mask = kind(3, 4, 5).double(), torch.rand(batch, queries, keys) < share
    query, key = (
        torch.randn(batch, queries, 3).double(),
        torch.randn(batch, keys, 4).double(),
    )
    weights = attention.weights(query, key, mask)
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).double())
    assert not weights[~mask].any()
    nothing = attention(
        query, key, torch.randn(batch, keys, 2).double(), torch.zeros_like(mask)
    )
    assert torch.equal(nothing, torch.zeros(batch, queries, 2).double())


def made(network, attention, seed: int, **options) -> AttentiveSeq2Seq:
    torch.manual_seed(seed)
    return (
        AttentiveSeq2Seq(9, 6, attention=attention, network=network, **options)
        .double()
        .eval()
    )


@each_network
@given(seeds, dtypes, lengths, layers)
def test_the_model_equals_torchs_networks_and_attention(
    network, seed, dtype, lengths, layers
):
    torch.manual_seed(seed)
    ours = AttentiveSeq2Seq(9, 6, attention="dot", network=network, layers=layers).to(
        dtype
    )
    kind = getattr(nn, network.__name__)
    theirs = {
        "encoder": kind(6, 3, layers, batch_first=True, bidirectional=True).to(dtype),
        "decoder": kind(6, 6, layers, batch_first=True).to(dtype),
    }
    for name, model in theirs.items():
        copied = our_names(
            network.__name__,
            {key: value.detach() for key, value in model.named_parameters()},
        )
        getattr(ours, name).load_state_dict(copied)
    source, target = (rows(column, 9) for column in zip(*lengths))

    def reference() -> torch.Tensor:
        x, real = ours.source_embedding(source), (source != 0).sum(1)
        packed = pack_padded_sequence(x, real, batch_first=True, enforce_sorted=False)
        output, state = theirs["encoder"](packed)
        memory, _ = pad_packed_sequence(output, batch_first=True)
        start = tuple(  # the two directions of a layer side by side
            torch.stack(
                [
                    torch.cat([part[2 * n], part[2 * n + 1]], dim=-1)
                    for n in range(layers)
                ]
            )
            for part in parts_of(state)
        )
        output, _ = theirs["decoder"](
            ours.target_embedding(target), start if len(start) > 1 else start[0]
        )
        q, k = (
            output @ ours.attention.query.weight.T,
            memory @ ours.attention.key.weight.T,
        )
        found = F.scaled_dot_product_attention(q, k, memory, (source != 0).unsqueeze(1))
        return ours.generator(ours.combine(torch.cat([found, output], dim=-1)).tanh())

    def outcome(call, encoder, decoder):
        parts = {"encoder": encoder, "decoder": decoder, "rest": ours}
        for model in parts.values():
            model.zero_grad()
        logits = call()
        logits.backward(
            torch.randn(
                logits.shape, generator=torch.Generator().manual_seed(1), dtype=dtype
            )
        )
        gradients = {}
        for name in ("encoder", "decoder"):
            named = {key: value.grad for key, value in parts[name].named_parameters()}
            named = (
                named
                if parts[name] is getattr(ours, name)
                else our_names(network.__name__, named, True)
            )
            gradients |= {
                f"{name}.{key}": value.clone() for key, value in named.items()
            }
        for key, value in ours.named_parameters():
            if not key.startswith(("encoder", "decoder")):
                gradients[key] = value.grad.clone()
        return logits.detach(), gradients

    logits, gradients = outcome(
        lambda: ours(source, target), ours.encoder, ours.decoder
    )
    expected_logits, expected_gradients = outcome(
        reference, theirs["encoder"], theirs["decoder"]
    )
    assert_close({"logits": logits}, {"logits": expected_logits})
    assert_close(gradients, expected_gradients)


@each_network
@each_attention
@given(seeds, lengths, st.integers(0, 5), layers)
def test_padding_changes_no_logits_and_is_never_looked_at(
    network, attention, seed, lengths, padding, layers
):
    model = made(network, attention, seed, layers=layers)
    source, target = (rows(column, 9) for column in zip(*lengths))
    assert_padding_changes_nothing(model, source, target, padding, lengths)
    more = F.pad(source, (0, padding))
    weights = model.alignment(more, target)
    assert not weights.masked_select((more == 0).unsqueeze(1)).any()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(target).double())


@each_network
@each_attention
@given(seeds, lengths, layers)
def test_writing_step_by_step_is_reading_the_whole_target(
    network, attention, seed, lengths, layers
):
    model = made(network, attention, seed, layers=layers)
    assert_writes_what_it_reads(model, *(rows(column, 9) for column in zip(*lengths)))


@each_attention
@given(seeds, lengths, st.data())
def test_later_target_tokens_cannot_change_earlier_logits(
    attention, seed, lengths, data
):
    model = made(LSTM, attention, seed)
    source, target = (rows(column, 9) for column in zip(*lengths))
    assert_later_tokens_change_nothing(
        model, source, target, data.draw(st.integers(0, target.shape[1] - 1))
    )


@each_network
@each_attention
@given(seeds, lengths, layers)
def test_an_accelerated_model_is_the_loop(network, attention, seed, lengths, layers):
    loop = made(network, attention, seed, layers=layers)
    fast = accelerate(made(network, attention, seed, layers=layers))
    source, target = (rows(column, 9) for column in zip(*lengths))
    torch.testing.assert_close(
        fast(source, target), loop(source, target), rtol=0, atol=1e-12
    )


@each_attention
@given(seeds, lengths, layers)
def test_beam_search_takes_it(attention, seed, lengths, layers):
    model = made(LSTM, attention, seed, layers=layers)
    with torch.no_grad():
        model.generator.bias[
            0
        ] = -100.0  # a search never writes padding; let greedy decoding not want to
    source, _ = (rows(column, 9) for column in zip(*lengths))
    limit = torch.full((len(source),), 7)
    written = [
        one.tokens for (one,) in beam_search(model, source, beam=1, max_length=limit)
    ]
    rewritten = greedy(model, source, 7).tolist()
    assert written == [row[: len(tokens)] for row, tokens in zip(rewritten, written)]
    together = beam_search(model, source, beam=3, max_length=limit)
    for row, (one,) in enumerate(together):
        real = source[row : row + 1, : int((source[row] != 0).sum())]
        ((alone,),) = beam_search(model, real, beam=3, max_length=limit[:1])
        assert alone.tokens == one.tokens
        assert math.isclose(alone.log_probability, one.log_probability, rel_tol=1e-9)


@each_attention
def test_it_learns_which_source_token_to_look_at(attention):
    """To write a source backward: nearly every token, and for most of them the greatest
    weight lies on the token that is copied. Untrained, both are about one in six.

    What exactly is learned differs from processor to processor.
    """
    torch.manual_seed(0)
    model, steps = accelerate(AttentiveSeq2Seq(9, 32, attention=attention)), 300
    assert isinstance(model, EncoderDecoder)

    def drawn(batch):
        source = torch.randint(3, 9, (batch, 6))
        bos, eos = torch.full((batch, 1), 1), torch.full((batch, 1), 2)
        return source, torch.cat([bos, source.flip(1), eos], dim=1)

    held_out, target = drawn(200)

    def right_and_looked_at():
        written = greedy(model, held_out, 7)
        written = F.pad(written, (0, 7 - written.shape[1]))
        with torch.no_grad():
            looked = model.alignment(held_out, target[:, :-1])[:, :6].argmax(-1)
        copied = torch.arange(6).flip(0)
        return [
            same.double().mean().item()
            for same in (written == target[:, 1:], looked == copied)
        ]

    untrained = right_and_looked_at()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        teacher_forcing_loss(model, *drawn(64)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    right, looked_at = right_and_looked_at()
    assert max(untrained) < 0.4
    assert right > 0.95
    assert looked_at > 0.6


@pytest.mark.usefixtures("no_shape_checks")
def test_what_does_not_fit_is_said_in_a_sentence():
    with pytest.raises(
        ValueError, match="d_hidden=7 cannot be shared by two directions"
    ):
        AttentiveSeq2Seq(9, 7)
    with pytest.raises(ValueError, match="choose additive or dot"):
        AttentiveSeq2Seq(9, 8, attention="multiplicative")


def test_a_config_builds_the_model_it_describes():
    assert type(RecurrentConfig(9, 8, attention=None).build()) is Seq2Seq
    model = RecurrentConfig(9, 8, layers=2, dropout=0.3, attention="dot").build()
    assert isinstance(model, AttentiveSeq2Seq)
    assert isinstance(model.attention, DotProductAttention)
    assert (model.encoder.layers, model.decoder.layers) == (2, 2)
    assert model.dropout.p == model.encoder.dropout.p == 0.3
