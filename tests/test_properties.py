"""What must hold for every attention path, whatever the weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minitfm.attention import SelfAttention, scaled_dot_product_attention
from minitfm.fast import accelerate
from minitfm.masks import causal_mask, padding_mask
from minitfm.multihead import MultiHeadAttention
from minitfm.positional import RotaryPositions
from minitfm.seq2seq import greedy
from minitfm.transformer import Encoder, Transformer, TransformerConfig
from tests.oracle import seeds

D_MODEL = 8
lengths = st.integers(1, 9)
norms = st.sampled_from(["post", "pre"])
positions = st.sampled_from(["sinusoidal", "learned", "rotary"])


class Plain(nn.Module):
    """Attention without projections."""

    def forward(self, x, mask=None):
        return scaled_dot_product_attention(x, x, x, mask)


class Itself(nn.Module):
    """Multi-head attention of a sequence to itself."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(D_MODEL, 2, **options)

    def forward(self, x, mask=None):
        return self.attention(x, x, x, mask)


class Stack(nn.Module):
    """Two encoder layers."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        config = TransformerConfig(
            11, d_model=D_MODEL, d_ff=16, heads=2, layers=2, norm=norm, dropout=0.0
        )
        self.encoder = Encoder(config)

    def forward(self, x, mask=None):
        return self.encoder(
            x, torch.ones(1, 1, x.shape[1], dtype=torch.bool) if mask is None else mask
        )


# Each maps (batch, token, d_model) and a mask to (batch, token, d_model).
UNORDERED = {
    "formula": lambda: Plain(),
    "self-attention": lambda: SelfAttention(D_MODEL, 3),
    "multi-head": lambda: Itself(),
    "multi-head with bias": lambda: Itself(bias=True),
    "wide heads": lambda: Itself(d_k=3, d_v=5),
    "post-norm encoder": lambda: Stack("post"),
    "pre-norm encoder": lambda: Stack("pre"),
}
UNORDERED |= {
    "accelerated multi-head": lambda: accelerate(Itself()),
    "accelerated pre-norm encoder": lambda: accelerate(Stack("pre")),
}
PATHS = UNORDERED | {
    "rotary multi-head": lambda: Itself(rotate=RotaryPositions(D_MODEL // 2))
}


def made(
    path: str, seed: int, length: int, batch: int = 2
) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(seed)
    return PATHS[path]().double().eval(), torch.randn(
        batch, length, D_MODEL, dtype=torch.float64
    )


def tiny(seed: int, norm: str = "post", positions: str = "sinusoidal") -> Transformer:
    torch.manual_seed(seed)
    return (
        Transformer(
            TransformerConfig.tiny(11, norm=norm, positions=positions, dropout=0.0)
        )
        .double()
        .eval()
    )


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(3, 11, (batch, length))


@pytest.mark.parametrize("path", PATHS)
@given(seeds, lengths, st.data())
def test_future_tokens_cannot_change_earlier_outputs(path, seed, length, data):
    layer, x = made(path, seed, length)
    changed = x.clone()
    at = data.draw(st.integers(0, length - 1))
    changed[:, at:] += torch.randn_like(changed[:, at:])
    mask = causal_mask(length).unsqueeze(0)
    before, after = layer(x, mask), layer(changed, mask)
    torch.testing.assert_close(before[:, :at], after[:, :at], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, at], after[:, at]), (
        "the changed token's own output does change"
    )


@pytest.mark.parametrize("path", PATHS)
@given(seeds, lengths, st.integers(1, 5))
def test_padding_changes_nothing(path, seed, length, padding):
    layer, x = made(path, seed, length + padding)
    real = torch.arange(length + padding) < length
    padded = layer(x, real.expand(2, 1, -1))
    torch.testing.assert_close(
        padded[:, :length], layer(x[:, :length]), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("path", UNORDERED)
@given(seeds, lengths)
def test_permuting_the_tokens_permutes_the_outputs(path, seed, length):
    layer, x = made(path, seed, length)
    order = torch.randperm(length)
    torch.testing.assert_close(
        layer(x[:, order]), layer(x)[:, order], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("path", PATHS)
@given(seeds, lengths)
def test_a_query_that_sees_nothing_gets_zeros_and_spoils_no_gradient(
    path, seed, length
):
    layer, x = made(path, seed, length)
    x.requires_grad_()
    nothing = torch.zeros(2, 1, length, dtype=torch.bool)
    output = layer(x, nothing)
    assert output.isfinite().all()
    if not isinstance(layer, Stack):  # a stack adds its residual and norms to the zeros
        bias = layer.attention.output.bias if path == "multi-head with bias" else 0
        assert torch.equal(output, torch.zeros_like(output) + bias)
    output.sum().backward()
    assert x.grad.isfinite().all()
    assert all(
        parameter.grad.isfinite().all()
        for parameter in layer.parameters()
        if parameter.grad is not None
    )


@given(seeds, lengths, lengths, norms, positions, st.data())
def test_the_decoder_never_sees_the_future(seed, source, target, norm, kind, data):
    model = tiny(seed, norm, kind)
    source, target = tokens(2, source), tokens(2, target)
    at = data.draw(st.integers(0, target.shape[1] - 1))
    changed = target.clone()
    changed[:, at:] = 3 + (changed[:, at:] - 2) % 8
    before, after = model(source, target), model(source, changed)
    torch.testing.assert_close(before[:, :at], after[:, :at], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, at], after[:, at])


@given(seeds, lengths, lengths, norms, positions, st.integers(1, 5), st.integers(1, 5))
def test_padding_changes_no_prediction(seed, source, target, norm, kind, more, most):
    model = tiny(seed, norm, kind)
    source, target = tokens(2, source), tokens(2, target)
    padded = nn.functional.pad(source, (0, more)), nn.functional.pad(target, (0, most))
    predictions = model(*padded)[:, : target.shape[1]]
    torch.testing.assert_close(predictions, model(source, target), rtol=0, atol=1e-11)
    predictions.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@given(seeds, lengths, norms)
def test_a_source_of_nothing_but_padding_is_survived(seed, target, norm):
    model = tiny(seed, norm)
    logits = model(torch.zeros(2, 4, dtype=torch.long), tokens(2, target))
    assert logits.isfinite().all()
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@given(seeds, lengths, norms, positions, st.integers(1, 12))
def test_writing_step_by_step_predicts_what_the_whole_target_does(
    seed, source, norm, kind, length
):
    model = tiny(seed, norm, kind)
    source = tokens(3, source)
    target = torch.cat([torch.ones(3, 1, dtype=torch.long), tokens(3, length)], 1)
    state = model.start(source)
    for position, token in enumerate(target.unbind(1)):
        logits, state = model.step(token, state)
        torch.testing.assert_close(
            logits, model(source, target)[:, position], rtol=0, atol=1e-11
        )


@given(seeds, norms, positions, st.integers(1, 8))
def test_a_sentence_is_translated_the_same_alone_and_in_a_padded_batch(
    seed, norm, kind, limit
):
    model = tiny(seed, norm, kind)
    sources = [tokens(1, 1 + i * 2) for i in range(4)]
    longest = max(source.shape[1] for source in sources)
    batch = torch.cat(
        [
            nn.functional.pad(source, (0, longest - source.shape[1]))
            for source in sources
        ]
    )
    together = greedy(model, batch, limit)
    for row, source in zip(together, sources):
        alone = greedy(model, source, limit)[0]
        assert torch.equal(row[: len(alone)], alone)
        assert not row[len(alone) :].any()


@given(seeds, st.integers(1, 8))
def test_greedy_takes_the_likeliest_token_and_stops_at_the_end(seed, limit):
    model = tiny(seed)
    source = tokens(5, 4)
    written = greedy(model, source, limit)
    assert written.shape[1] <= limit
    for row, text in zip(written, source):
        sentence = row.tolist()
        length = sentence.index(2) + 1 if 2 in sentence else limit
        assert not any(sentence[length:])
        prefix = [1]
        for token in sentence[:length]:
            logits = model(text.unsqueeze(0), torch.tensor([prefix]))[0, -1]
            assert token == logits.argmax().item()
            prefix.append(token)


def test_greedy_leaves_the_model_in_its_mode():
    model = Transformer(TransformerConfig.tiny(11, dropout=0.5)).train()
    source = tokens(3, 4)
    assert torch.equal(greedy(model, source, 6), greedy(model, source, 6)), (
        "no dropout while writing"
    )
    assert model.training
    assert greedy(model, source, 0).shape == (3, 0)


def test_the_masks_of_a_transformer_allow_what_the_paper_says():
    """Row i of a weight matrix is non-zero exactly where position i may look."""
    model = tiny(0)
    source, target = torch.tensor([[4, 5, 6, 0]]), torch.tensor([[1, 4, 5, 0, 0]])
    weights = model.attention(source, target)
    for name, weight in weights.items():
        seen = weight[0, 0] > 0
        if "cross" in name or "encoder" in name:
            assert torch.equal(seen, padding_mask(source)[0].expand_as(seen))
        else:
            assert torch.equal(seen, causal_mask(5) & padding_mask(target)[0])
