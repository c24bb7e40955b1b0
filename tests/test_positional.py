"""Positions against their formula, complex numbers and a public implementation (chapter 7)."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rotary_embedding_torch import RotaryEmbedding

from minitfm.positional import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    sinusoids,
)
from tests.oracle import assert_close, dtypes, seeds

even = st.integers(1, 16).map(lambda n: 2 * n)
lengths = st.integers(1, 12)


@given(even, st.integers(0, 20_000), st.sampled_from([10_000.0, 100.0]))
def test_the_table_is_the_papers_formula(d_model, position, base):
    row = sinusoids(position + 1, d_model, base)[position]
    for i in range(d_model // 2):
        angle = position / base ** (2 * i / d_model)
        assert row[2 * i].item() == pytest.approx(math.sin(angle), abs=1e-9)
        assert row[2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-9)


@given(seeds, dtypes, st.integers(1, 3), lengths, even, st.integers(0, 50))
def test_positions_are_added_from_the_start_on(
    seed, dtype, batch, length, d_model, start
):
    torch.manual_seed(seed)
    x = torch.randn(batch, length, d_model, dtype=dtype)
    layer = SinusoidalPositions(d_model).to(dtype)
    expected = x + sinusoids(start + length, d_model).to(dtype)[start:]
    assert torch.equal(layer(x, start), expected)
    assert not list(layer.parameters())
    assert not layer.state_dict()


def test_float64_positions_are_exact_to_float64_even_after_float32_ones():
    layer = SinusoidalPositions(4)
    layer(torch.zeros(1, 5000, 4))
    table = layer.double()(torch.zeros(1, 5000, 4, dtype=torch.float64))[0]
    assert torch.equal(table, sinusoids(5000, 4))
    assert not torch.equal(table, table.float().double())


def test_positions_first_used_without_gradients_can_be_trained_through_later():
    layer = RotaryPositions(4)
    with torch.inference_mode():
        layer(torch.randn(1, 6, 4))
    x = torch.randn(1, 6, 4, requires_grad=True)
    layer(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


@given(seeds, dtypes, lengths, even, st.integers(0, 50))
def test_rotary_positions_multiply_by_complex_phases(seed, dtype, length, d_k, start):
    torch.manual_seed(seed)
    x = torch.randn(2, 3, length, d_k, dtype=dtype)
    angle = torch.outer(
        torch.arange(start, start + length, dtype=torch.float64),
        10_000 ** (-torch.arange(0, d_k, 2, dtype=torch.float64) / d_k),
    )
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    expected = (
        torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle))
        .flatten(-2)
        .to(dtype)
    )
    assert_close({"turned": RotaryPositions(d_k)(x, start)}, {"turned": expected})


@given(seeds, lengths, even.filter(lambda d_k: d_k > 2))  # theirs divides by d_k - 2
def test_rotary_positions_equal_the_public_implementation(seed, length, d_k):
    torch.manual_seed(seed)
    x = torch.randn(2, 3, length, d_k)
    expected = (
        RotaryEmbedding(dim=d_k, cache_if_possible=False)
        .rotate_queries_or_keys(x)
        .detach()
    )
    torch.testing.assert_close(RotaryPositions(d_k)(x), expected, rtol=0, atol=1e-5)


@given(seeds, even, st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_rotary_scores_depend_on_the_distance_alone(seed, d_k, m, n, shift):
    torch.manual_seed(seed)
    rotate = RotaryPositions(d_k)
    query, key = torch.randn(2, 1, d_k, dtype=torch.float64)
    score = lambda m, n: (rotate(query, m) * rotate(key, n)).sum().item()
    assert score(m, n) == pytest.approx(score(m + shift, n + shift), abs=1e-9)
    assert rotate(query, m).norm().item() == pytest.approx(query.norm().item())


@given(even, st.integers(0, 200), st.integers(0, 200))
def test_a_shift_is_one_rotation_whatever_the_position(d_model, position, shift):
    """PE(pos + k) is a linear function of PE(pos) that k alone decides (section 3.5)."""
    table = sinusoids(position + shift + 1, d_model)
    turned = RotaryPositions(d_model)(
        table[position : position + 1].unflatten(1, (-1, 2)).flip(-1).flatten(1), shift
    )
    expected = table[position + shift].unflatten(0, (-1, 2)).flip(-1).flatten()
    torch.testing.assert_close(turned[0], expected, rtol=0, atol=1e-9)


def test_learned_positions_are_learned_and_end():
    layer = LearnedPositions(4, 6)
    x = torch.zeros(2, 3, 4)
    assert torch.equal(layer(x, 2)[0], layer.table[2:5])
    layer(x).sum().backward()
    assert torch.equal(
        layer.table.grad, torch.tensor([[2.0] * 4] * 3 + [[0.0] * 4] * 3)
    )
    with pytest.raises(
        ValueError,
        match="7 positions, but only 6 were learned; make the model with a larger max_length",
    ):
        layer(torch.zeros(1, 7, 4))


def test_an_odd_width_is_refused_with_the_next_even_one():
    with pytest.raises(ValueError, match=r"d_model=5 is odd.*choose 6"):
        SinusoidalPositions(5)
