"""The recurrent encoder-decoder against torch's networks, and what must hold for any of them (chapter 3)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from minitfm.fast import accelerate
from minitfm.lstm import GRU, LSTM
from minitfm.rnn import RNN
from minitfm.seq2seq import EncoderDecoder, Seq2Seq, greedy, teacher_forcing_loss
from tests.oracle import assert_close, dtypes, seeds
from tests.test_recurrent import our_names, parts_of

PARTS = {RNN: 1, LSTM: 2, GRU: 1}
each_network = pytest.mark.parametrize("network", PARTS)
layers = st.integers(1, 3)
widths = st.integers(1, 6)
vectors = st.none() | st.integers(1, 7)
lengths = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4
)


def rows(lengths, vocabulary: int) -> torch.Tensor:
    """Random tokens, padded with 0; the rest are drawn from 1 on."""
    tokens = torch.randint(1, vocabulary, (len(lengths), max(lengths)))
    return tokens.where(
        torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1), 0
    )


@each_network
@given(seeds, dtypes, lengths, widths, layers, vectors)
def test_the_model_equals_torchs_networks_and_packed_sequences(
    network, seed, dtype, lengths, width, layers, d_vector
):
    torch.manual_seed(seed)
    ours = Seq2Seq(9, width, network=network, layers=layers, d_vector=d_vector).to(
        dtype
    )
    theirs = {
        name: getattr(nn, network.__name__)(width, width, layers, batch_first=True).to(
            dtype
        )
        for name in ("encoder", "decoder")
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
        _, state = theirs["encoder"](
            pack_padded_sequence(x, real, batch_first=True, enforce_sorted=False)
        )
        vector = torch.cat(
            [layer for part in parts_of(state) for layer in part], dim=-1
        )
        if d_vector is not None:
            vector = nn.functional.linear(
                vector, ours.squeeze.weight, ours.squeeze.bias
            )
            vector = nn.functional.linear(vector, ours.expand.weight, ours.expand.bias)
        pieces = torch.stack(vector.split(width, dim=-1))
        start = tuple(piece.contiguous() for piece in pieces.split(layers))
        output, _ = theirs["decoder"](
            ours.target_embedding(target), start if len(start) > 1 else start[0]
        )
        return ours.generator(output)

    def outcome(call, encoder, decoder):
        ours.zero_grad()
        encoder.zero_grad()
        decoder.zero_grad()
        logits = call()
        logits.backward(
            torch.randn(
                logits.shape, generator=torch.Generator().manual_seed(1), dtype=dtype
            )
        )
        gradients = {}
        for name, model in (("encoder", encoder), ("decoder", decoder)):
            named = {key: value.grad for key, value in model.named_parameters()}
            named = (
                named
                if model in (ours.encoder, ours.decoder)
                else our_names(network.__name__, named, True)
            )
            gradients |= {f"{name}.{key}": value for key, value in named.items()}
        for key, value in ours.named_parameters():
            if not key.startswith(("encoder", "decoder")):
                gradients[key] = value.grad.clone()
        return logits.detach(), {key: value.clone() for key, value in gradients.items()}

    logits, gradients = outcome(
        lambda: ours(source, target), ours.encoder, ours.decoder
    )
    expected_logits, expected_gradients = outcome(
        reference, theirs["encoder"], theirs["decoder"]
    )
    assert_close({"logits": logits}, {"logits": expected_logits})
    assert_close(gradients, expected_gradients)


def made(network, seed: int, **options) -> Seq2Seq:
    torch.manual_seed(seed)
    return Seq2Seq(9, 5, network=network, **options).double().eval()


@each_network
@given(seeds, lengths, st.integers(0, 5), layers, vectors)
def test_padding_changes_neither_the_vector_nor_the_logits(
    network, seed, lengths, padding, layers, d_vector
):
    model = made(network, seed, layers=layers, d_vector=d_vector)
    source, target = (rows(column, 9) for column in zip(*lengths))
    more = nn.functional.pad(source, (0, padding))
    torch.testing.assert_close(
        model.encode(more), model.encode(source), rtol=0, atol=1e-12
    )
    assert_padding_changes_nothing(model, source, target, padding, lengths)
    for row, (length, _) in enumerate(lengths):
        alone = model.encode(source[row : row + 1, :length])
        torch.testing.assert_close(
            model.encode(source)[row : row + 1], alone, rtol=0, atol=1e-12
        )


def assert_writes_what_it_reads(
    model, source, target, tolerance: float = 1e-12
) -> None:
    """Step by step an encoder-decoder gives the logits that it gives for the whole target."""
    state, logits = model.start(source), []
    for token in target.unbind(1):
        row, state = model.step(token, state)
        logits.append(row)
    torch.testing.assert_close(
        torch.stack(logits, 1), model(source, target), rtol=0, atol=tolerance
    )


def assert_later_tokens_change_nothing(model, source, target, at: int) -> None:
    """The logits before ``at`` are the same to the last bit whatever the target holds from there on."""
    changed = target.clone()
    changed[:, at:] = (changed[:, at:] + 1) % 9
    assert torch.equal(model(source, target)[:, :at], model(source, changed)[:, :at])


def assert_padding_changes_nothing(
    model, source, target, padding: int, lengths
) -> None:
    """More padding, or none and no other sentences beside it: a sentence's logits stay."""
    logits = model(source, target)
    torch.testing.assert_close(
        model(nn.functional.pad(source, (0, padding)), target),
        logits,
        rtol=0,
        atol=1e-12,
    )
    for row, (length, _) in enumerate(lengths):
        alone = model(source[row : row + 1, :length], target[row : row + 1])
        torch.testing.assert_close(logits[row : row + 1], alone, rtol=0, atol=1e-12)


@each_network
@given(seeds, lengths, layers, vectors)
def test_writing_step_by_step_is_reading_the_whole_target(
    network, seed, lengths, layers, d_vector
):
    model = made(network, seed, layers=layers, d_vector=d_vector)
    assert_writes_what_it_reads(model, *(rows(column, 9) for column in zip(*lengths)))


@each_network
@given(seeds, lengths, vectors, st.data())
def test_later_target_tokens_cannot_change_earlier_logits(
    network, seed, lengths, d_vector, data
):
    model = made(network, seed, d_vector=d_vector)
    source, target = (rows(column, 9) for column in zip(*lengths))
    assert_later_tokens_change_nothing(
        model, source, target, data.draw(st.integers(0, target.shape[1] - 1))
    )


@each_network
@given(seeds, lengths, layers, vectors)
def test_the_vector_is_all_that_the_decoder_learns_about_the_source(
    network, seed, lengths, layers, d_vector
):
    model = made(network, seed, layers=layers, d_vector=d_vector)
    source, target = (rows(column, 9) for column in zip(*lengths))
    vector = model.encode(source)
    size = PARTS[network] * layers * 5 if d_vector is None else d_vector
    assert vector.shape == (len(source), size)
    assert model.d_vector == size
    output, _ = model.decoder(model.target_embedding(target), None, model.begin(vector))
    torch.testing.assert_close(
        model.generator(output), model(source, target), rtol=0, atol=1e-12
    )


@each_network
@given(seeds, lengths, vectors)
def test_an_accelerated_model_is_the_loop(network, seed, lengths, d_vector):
    loop, fast = (
        made(network, seed, d_vector=d_vector),
        accelerate(made(network, seed, d_vector=d_vector)),
    )
    source, target = (rows(column, 9) for column in zip(*lengths))
    torch.testing.assert_close(
        fast(source, target), loop(source, target), rtol=0, atol=1e-12
    )
    assert torch.equal(greedy(fast, source, 6), greedy(loop, source, 6))


@each_network
def test_it_learns_to_turn_a_sequence_around(network):
    model = accelerate(Seq2Seq(6, 32, network=network))
    assert isinstance(model, EncoderDecoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        source = torch.randint(3, 6, (64, 3))
        target = torch.cat(
            [
                torch.ones(64, 1, dtype=torch.long),
                source.flip(1),
                torch.full((64, 1), 2),
            ],
            1,
        )
        optimizer.zero_grad()
        teacher_forcing_loss(model, source, target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    source = torch.cartesian_prod(*[torch.arange(3, 6)] * 3)
    assert torch.equal(greedy(model, source, 10)[:, :3], source.flip(1))


def test_dropout_acts_in_training_alone():
    model, source = Seq2Seq(9, 16, dropout=0.5), torch.randint(3, 9, (2, 4))
    assert not torch.equal(model(source, source), model(source, source))
    model.eval()
    assert torch.equal(model(source, source), model(source, source))
