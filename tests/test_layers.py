"""Dropout with cheaper random numbers against what dropout is (chapter 8)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minitfm.layers import Dropout, DroppedLinear, FeedForward
from minitfm.transformer import TransformerConfig
from tests.oracle import seeds

shares = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9])


@given(seeds, shares, st.lists(st.integers(0, 7), min_size=1, max_size=3))
def test_each_number_is_dropped_or_scaled_and_so_is_its_gradient(seed, p, shape):
    x = torch.rand(*shape, dtype=torch.float64).add_(1).requires_grad_()
    torch.manual_seed(seed)
    y = Dropout(p)(x)
    kept = y != 0
    torch.testing.assert_close(y, x * kept / (1 - p))
    y.backward(torch.ones_like(y))
    torch.testing.assert_close(x.grad, kept.double() / (1 - p))
    torch.manual_seed(seed)
    assert torch.equal(Dropout(p)(x) != 0, kept), "the same seed drops the same"


@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_numbers_are_dropped_with_probability_p_independently_of_their_neighbors(
    p, dtype
):
    torch.manual_seed(0)
    dropped = (Dropout(p)(torch.ones(1000, 1001, dtype=dtype)) == 0).double().flatten()
    spread = (p * (1 - p) / dropped.numel()) ** 0.5
    assert abs(dropped.mean().item() - p) < 5 * spread
    for distance in (1, 2, 3, 4, 1001):  # four neighbors come out of one draw
        both = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert (
            abs(both - p * p)
            < 5 * (p * p * (1 - p * p) / dropped.numel()) ** 0.5 + 2 * p * 5 * spread
        )
    for place in range(4):
        assert abs(dropped[place::4].mean().item() - p) < 5 * 2 * spread


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_or_everything_can_be_dropped(p):
    assert torch.equal(Dropout(p)(torch.ones(5)), torch.full((5,), 1 - p))


def test_it_acts_in_training_alone_and_can_stand_for_torchs():
    layer, x = Dropout(0.5), torch.randn(4, 3)
    assert isinstance(layer, nn.Dropout)
    assert layer.eval()(x) is x
    turned = layer.train()(x.t())
    assert torch.equal(turned[turned != 0], 2 * x.t()[turned != 0])


@given(seeds, shares)
def test_dropout_before_a_relu_is_dropout_behind_it(seed, p):
    torch.manual_seed(seed)
    plain, x = FeedForward(4, 6).double(), torch.randn(5, 3, 4, dtype=torch.float64)
    dropped = FeedForward(4, 6).double()
    dropped.inner = DroppedLinear(4, 6, p).double()
    dropped.load_state_dict(plain.state_dict())
    torch.manual_seed(seed)
    found = dropped(x)
    torch.manual_seed(seed)
    torch.testing.assert_close(found, plain.outer(Dropout(p)(plain.inner(x).relu())))
    torch.testing.assert_close(dropped.eval()(x), plain(x))


def test_a_transformer_drops_inside_its_feed_forward_networks_if_asked_to():
    source, target = torch.randint(1, 9, (2, 5)), torch.randint(1, 9, (2, 4))
    models = []
    for share in (0.0, 0.5):
        torch.manual_seed(0)
        shape = TransformerConfig(
            9,
            d_model=8,
            d_ff=16,
            heads=2,
            layers=2,
            dropout=0.0,
            activation_dropout=share,
        )
        models.append(shape.build())
    plain, dropping = models
    dropping.load_state_dict(plain.state_dict())
    torch.testing.assert_close(
        dropping.eval()(source, target), plain.eval()(source, target)
    )
    assert torch.equal(plain.train()(source, target), plain(source, target))
    assert not torch.equal(dropping.train()(source, target), dropping(source, target))
