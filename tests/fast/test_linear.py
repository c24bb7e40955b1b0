"""Packed and joined linear layers compute what the layers do that they stand for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minitfm.fast.linear import PackedLinear, can_pack, join_linears, pack_linears
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import seeds


@given(seeds, st.booleans(), st.integers(0, 3), st.integers(1, 40), st.integers(1, 40))
def test_packed_layers_are_the_layers_they_pack(seed, biased, rows, d_in, d_out):
    torch.manual_seed(seed)
    layer, x = nn.Linear(d_in, d_out, bias=biased), torch.randn(2, rows, d_in)
    assert can_pack(layer), "float32 on a CPU"
    assert not can_pack(nn.Linear(2, 3).double())
    torch.testing.assert_close(PackedLinear(layer)(x), layer(x), rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert PackedLinear(layer)(x).dtype == torch.bfloat16


def test_packing_leaves_the_model_as_it_is():
    model = Transformer(TransformerConfig.tiny(9, d_model=8, dropout=0.0))
    source = torch.randint(3, 9, (2, 5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    packed = pack_linears(model)
    kinds = {type(layer) for layer in packed.modules()}
    assert PackedLinear in kinds
    assert nn.Linear not in kinds
    torch.testing.assert_close(
        packed(source, source), model(source, source), rtol=0, atol=1e-5
    )
    assert model.state_dict().keys() == before.keys()
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_joined_layers_are_the_layers_side_by_side(dtype, bias):
    layers = [nn.Linear(6, d_out, bias=bias, dtype=dtype) for d_out in (4, 4, 3)]
    x = torch.randn(2, 5, 6, dtype=dtype)
    joined = join_linears(*layers)
    assert isinstance(joined, PackedLinear) == (dtype == torch.float32)
    torch.testing.assert_close(
        joined(x), torch.cat([layer(x) for layer in layers], dim=-1), rtol=0, atol=1e-5
    )


def test_without_the_private_calls_nothing_is_packed(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not can_pack(nn.Linear(2, 3))
    assert isinstance(join_linears(nn.Linear(2, 3)), nn.Linear)
    assert PackedLinear not in {
        type(layer) for layer in pack_linears(nn.Sequential(nn.Linear(2, 3))).modules()
    }
