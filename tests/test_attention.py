"""Attention against torch and against its formula (chapters 5 and 6)."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minitfm.attention import (
    SelfAttention,
    attention_weights,
    scaled_dot_product_attention,
)
from minitfm.fast import accelerate
from minitfm.masks import causal_mask, padding_mask
from minitfm.multihead import (
    MultiHeadAttention,
    merge_heads,
    recorded_weights,
    split_heads,
)
from tests.oracle import assert_close, assert_same_layer, attention_names, dtypes, seeds

small = st.integers(1, 6)


def formula(query, key, value, mask=None):
    """Equation 1, one query and one key at a time, in float64."""
    query, key, value = (tensor.detach() for tensor in (query, key, value))
    output = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=torch.float64)
    mask = (
        torch.ones(*query.shape[:-1], key.shape[-2], dtype=torch.bool)
        if mask is None
        else mask
    )
    mask = mask.expand(*query.shape[:-1], key.shape[-2])
    for *where, i in (
        torch.cartesian_prod(*map(torch.arange, query.shape[:-1]))
        .view(-1, query.dim() - 1)
        .tolist()
    ):
        at = tuple(where)
        visible = [j for j in range(key.shape[-2]) if mask[(*at, i, j)]]
        exps = [
            math.exp(
                query[(*at, i)].double()
                @ key[(*at, j)].double()
                / query.shape[-1] ** 0.5
            )
            for j in visible
        ]
        for j, e in zip(visible, exps):
            output[(*at, i)] += e / sum(exps) * value[(*at, j)].double()
    return output


@given(
    seeds,
    dtypes,
    st.lists(small, max_size=2),
    small,
    small,
    small,
    small,
    st.floats(0, 1),
)
def test_equation_1(seed, dtype, batch, queries, keys, d_k, d_v, share):
    torch.manual_seed(seed)
    query, key, value = (
        torch.randn(*batch, *size, dtype=dtype)
        for size in ((queries, d_k), (keys, d_k), (keys, d_v))
    )
    mask = torch.rand(*batch, queries, keys) < share
    ours = scaled_dot_product_attention(query, key, value, mask)
    assert_close(
        {"output": ours}, {"output": formula(query, key, value, mask).to(dtype)}
    )
    assert not ours[~mask.any(-1)].any(), (
        "a query that may attend to nothing gets zeros"
    )


@given(seeds, dtypes, small, small, small, small, st.floats(0, 1))
def test_weights_are_shares_of_what_is_visible(
    seed, dtype, batch, queries, keys, d_k, share
):
    torch.manual_seed(seed)
    mask = torch.rand(batch, queries, keys) < share
    weights = attention_weights(
        30 * torch.randn(batch, queries, d_k, dtype=dtype),
        torch.randn(batch, keys, d_k, dtype=dtype),
        mask,
    )
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).to(dtype))
    assert not weights[~mask].any()


@given(
    seeds,
    dtypes,
    small,
    small,
    small,
    small,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_multi_head_attention_equals_torch(
    seed, dtype, batch, queries, keys, heads, bias, masked, itself
):
    torch.manual_seed(seed)
    d_model = heads * (1 + seed % 5)
    ours = MultiHeadAttention(d_model, heads, bias=bias).to(dtype)
    theirs = nn.MultiheadAttention(d_model, heads, bias=bias, batch_first=True).to(
        dtype
    )
    keys = queries if itself else keys
    inputs = {"query": torch.randn(batch, queries, d_model, dtype=dtype)}
    if not itself:
        inputs |= {
            name: torch.randn(batch, keys, d_model, dtype=dtype)
            for name in ("key", "value")
        }
    mask = torch.rand(batch, queries, keys) < 0.7
    mask[..., 0] = (
        True  # a row with nothing to see is NaN in torch's layer: see test_equation_1 for ours
    )
    mask = mask if masked else None

    def call_theirs(query, key=None, value=None):
        hidden = None if mask is None else ~mask.repeat_interleave(heads, 0)
        key, value = (query, query) if itself else (key, value)
        return theirs(query, key, value, attn_mask=hidden, need_weights=False)[0]

    def call_ours(query, key=None, value=None):
        return ours(query, *((query, query) if itself else (key, value)), mask)

    assert_same_layer(ours, theirs, attention_names, inputs, call_ours, call_theirs)
    q, k = inputs["query"], inputs.get("key", inputs["query"])
    hidden = None if mask is None else ~mask.repeat_interleave(heads, 0)
    expected = theirs(q, k, k, attn_mask=hidden, average_attn_weights=False)[1]
    with recorded_weights(ours) as record:
        ours(q, k, k, mask)
    assert_close({"weights": record[""]}, {"weights": expected.detach()})


@given(seeds, small, small, small, small, small)
def test_heads_of_any_width_equal_the_formula(seed, batch, tokens, heads, d_k, d_v):
    torch.manual_seed(seed)
    layer = MultiHeadAttention(7, heads, d_k, d_v).double()
    x = torch.randn(batch, tokens, 7, dtype=torch.float64)
    outputs = []
    for h in range(heads):
        q, k = (
            x @ w.weight[h * d_k : (h + 1) * d_k].T for w in (layer.query, layer.key)
        )
        outputs.append(formula(q, k, x @ layer.value.weight[h * d_v : (h + 1) * d_v].T))
    expected = torch.cat(outputs, -1) @ layer.output.weight.T
    assert_close({"output": layer(x, x, x)}, {"output": expected})


@given(seeds, dtypes, small, small, small, st.booleans(), st.booleans())
def test_self_attention_equals_torch_with_one_head(
    seed, dtype, batch, tokens, d_model, causal, padded
):
    torch.manual_seed(seed)
    ours = SelfAttention(d_model, causal=causal).to(dtype)
    theirs = nn.MultiheadAttention(d_model, 1, bias=False, batch_first=True).to(dtype)
    real = torch.rand(batch, tokens) < 0.7
    real[:, 0] = True

    def call_theirs(x):
        hidden = (
            ~torch.ones(tokens, tokens, dtype=torch.bool).tril() if causal else None
        )
        options = {
            "key_padding_mask": ~real if padded else None,
            "attn_mask": hidden,
            "need_weights": False,
        }
        return theirs(x, x, x, **options)[0]

    def rename(named):
        # torch's layer projects its output once more; ours has one head and nothing to mix
        return {
            "in_proj_weight": torch.cat(
                [named[f"{name}.weight"] for name in ("query", "key", "value")]
            )
        }

    theirs.out_proj = nn.Identity()
    theirs.out_proj.weight, theirs.out_proj.bias = torch.eye(d_model, dtype=dtype), None
    assert_same_layer(
        ours,
        theirs,
        rename,
        {"x": torch.randn(batch, tokens, d_model, dtype=dtype)},
        lambda x: ours(x, real.unsqueeze(1) if padded else None),
        call_theirs,
    )


@given(small, small, small, small)
def test_splitting_and_merging_heads_are_inverse(batch, tokens, heads, d_head):
    x = torch.randn(batch, tokens, heads * d_head)
    split = split_heads(x, heads)
    assert split.shape == (batch, heads, tokens, d_head)
    assert torch.equal(split[:, heads - 1], x[..., -d_head:])
    assert torch.equal(merge_heads(split), x)


def test_attention_dropout_acts_in_training_alone_and_keeps_the_mean():
    layer = MultiHeadAttention(8, 2, dropout=0.5)
    x = torch.randn(1, 5, 8)
    layer.train()
    draws = torch.stack([layer(x, x, x) for _ in range(4000)])
    assert not torch.equal(draws[0], draws[1])
    layer.eval()
    assert torch.equal(layer(x, x, x), layer(x, x, x))
    error = (draws.mean(0) - layer(x, x, x)).abs().max()
    assert error < 6 * (draws.std(0) / len(draws) ** 0.5).max()


def test_recording_the_weights_does_not_change_the_result():
    layer = MultiHeadAttention(8, 2)
    x, mask = torch.randn(3, 5, 8), causal_mask(5).unsqueeze(0)
    with recorded_weights(layer) as record:
        recorded = layer(x, x, x, mask)
    assert torch.equal(recorded, layer(x, x, x, mask))
    q, k = (split_heads(part(x), 2) for part in (layer.query, layer.key))
    assert torch.equal(record[""], attention_weights(q, k, mask))
    with recorded_weights(layer) as record:
        layer(x, x, x, mask=mask)
    assert torch.equal(record[""], attention_weights(q, k, mask)), "also by keyword"
    record.clear()
    layer(x, x, x)
    assert not record, "the recording ends with its block"


def test_masks_read_as_may_attend():
    tokens = torch.tensor([[5, 6, 0], [7, 0, 0]])
    assert padding_mask(tokens).tolist() == [
        [[True, True, False]],
        [[True, False, False]],
    ]
    assert causal_mask(3).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert causal_mask(1, 4).tolist() == [[True] * 4], (
        "the query of the last position sees every key"
    )
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("length", [3, 33, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_a_mask_that_is_not_boolean_is_refused_at_every_length(length, dtype):
    x = torch.randn(2, length, 8)
    mask = torch.ones(2, 1, length, dtype=dtype)
    layer = MultiHeadAttention(8, 2)
    for model in (layer, accelerate(copy.deepcopy(layer))):
        with pytest.raises(ValueError, match="give a boolean mask"):
            model(x, x, x, mask)
    for layer in (SelfAttention(8), SelfAttention(8, causal=True)):
        with pytest.raises(ValueError, match="give a boolean mask"):
            layer(x, mask)
    with pytest.raises(ValueError, match="give a boolean mask"):
        scaled_dot_product_attention(x, x, x, mask)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("length", [5, 40])
def test_a_mask_over_the_keys_alone_is_told_to_unsqueeze(length):
    x, mask = torch.randn(2, length, 8), torch.ones(2, length, dtype=torch.bool)
    layer = MultiHeadAttention(8, 2)
    for model in (layer, accelerate(copy.deepcopy(layer))):
        with pytest.raises(ValueError, match=r"mask\.unsqueeze\(1\)"):
            model(x, x, x, mask)
    with pytest.raises(ValueError, match=r"mask\.unsqueeze\(1\)"):
        scaled_dot_product_attention(x, x, x, mask)
    assert layer(x, x, x, mask.unsqueeze(1)).isfinite().all()


@pytest.mark.usefixtures("no_shape_checks")
def test_errors_say_what_was_given_and_what_is_needed():
    x = torch.randn(2, 3, 4)
    with pytest.raises(ValueError, match="queries have 4 numbers and keys 5"):
        scaled_dot_product_attention(x, torch.randn(2, 3, 5), x)
    with pytest.raises(ValueError, match="6 keys but 3 values"):
        scaled_dot_product_attention(x, torch.randn(2, 6, 4), x)
    with pytest.raises(
        ValueError,
        match="d_model=100 is not divisible by heads=8; choose heads from 1, 2, 4, 5, 10",
    ):
        MultiHeadAttention(100, 8)
    with pytest.raises(ValueError, match="3 queries and 2 keys"):
        causal_mask(3, 2)


def test_dot_products_have_variance_d_k_and_scaling_keeps_the_softmax_soft():
    torch.manual_seed(0)
    query, key = torch.randn(1, 512, 64), torch.randn(1, 512, 64)
    scores = query @ key.transpose(1, 2)
    assert 0.9 < scores.var() / 64 < 1.1
    assert (
        F.softmax(scores / 8, -1).max(-1).values.mean()
        < F.softmax(scores, -1).max(-1).values.mean() / 3
    )
