"""Each accelerated layer against its lesson: outputs, gradients, state dicts."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import minitfm.fast.attention
from minitfm.exercises.engine.plug import plugged
from minitfm.fast import REGISTRY, accelerate
from minitfm.fast.layers import Dropout
from minitfm.layers import LayerNorm
from minitfm.masks import causal_mask
from minitfm.multihead import MultiHeadAttention, recorded_weights
from minitfm.positional import RotaryPositions, SinusoidalPositions
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import assert_close, dtypes, seeds

Made = tuple[nn.Module, dict[str, Tensor], Callable[..., Tensor]]
small = st.integers(1, 6)


def multi_head(draw: Callable[[st.SearchStrategy], int]) -> Made:
    heads, d_k, d_v = draw(small), draw(small), draw(small)
    batch, queries, keys, d_model = draw(small), draw(small), draw(small), draw(small)
    rotate = RotaryPositions(2 * d_k) if draw(st.booleans()) else None
    layer = MultiHeadAttention(
        d_model, heads, 2 * d_k, d_v, bias=draw(st.booleans()), rotate=rotate
    )
    itself = draw(st.booleans())
    inputs = {"query": torch.randn(batch, queries, d_model)}
    if not itself:
        inputs |= {name: torch.randn(batch, keys, d_model) for name in ("key", "value")}
    keys = queries if itself else keys
    mask = torch.rand(batch, queries, keys) < draw(st.floats(0, 1))
    mask = mask if draw(st.booleans()) else None

    def call(layer: nn.Module, query: Tensor, **rest: Tensor) -> Tensor:
        return layer(query, rest.get("key", query), rest.get("value", query), mask)

    return layer, inputs, call


def positions(kind: type[nn.Module]) -> Callable[..., Made]:
    def made(draw: Callable[[st.SearchStrategy], int]) -> Made:
        width, start = 2 * draw(small), draw(st.integers(0, 40))
        x = torch.randn(draw(small), draw(small), width)
        return kind(width), {"x": x}, lambda layer, x: layer(x, start)

    return made


def norm(draw: Callable[[st.SearchStrategy], int]) -> Made:
    width = 6 + draw(small)  # few numbers magnify rounding without bound
    layer = LayerNorm(width)
    nn.init.normal_(layer.gain)
    nn.init.normal_(layer.bias)
    x = 3 * torch.randn(draw(small), draw(small), width) + 5
    return layer, {"x": x}, lambda layer, x: layer(x)


# How to draw a layer of each class, its inputs, and the call; dropout has tests below.
DRAWN: dict[type[nn.Module], Callable[..., Made]] = {
    MultiHeadAttention: multi_head,
    LayerNorm: norm,
    SinusoidalPositions: positions(SinusoidalPositions),
    RotaryPositions: positions(RotaryPositions),
}


def outcome(layer: nn.Module, inputs: dict[str, Tensor], call) -> dict[str, Tensor]:
    """The output, and the gradients of inputs and weights."""
    layer.zero_grad()
    leaves = {n: x.detach().clone().requires_grad_() for n, x in inputs.items()}
    output = call(layer, **leaves)
    generator = torch.Generator().manual_seed(1)
    output.backward(torch.randn(output.shape, generator=generator).to(output))
    found = {"output": output.detach()}
    found |= {n: leaf.grad for n, leaf in leaves.items()}
    return found | {n: p.grad.clone() for n, p in layer.named_parameters()}


def test_every_pair_is_held_equal_somewhere() -> None:
    drawn_elsewhere = {"RNN", "LSTM", "GRU"}  # tests/test_recurrent.py
    left = {pair for pair in REGISTRY if pair not in DRAWN} - {nn.Dropout}
    assert {pair.__name__ for pair in left} <= drawn_elsewhere
    for lesson, faster in REGISTRY.items():
        assert issubclass(faster, lesson)
        assert "__init__" not in vars(faster), "no state of its own"


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("lesson", DRAWN, ids=lambda lesson: lesson.__name__)
@given(seeds, dtypes, st.data())
def test_an_accelerated_layer_is_its_lesson(lesson, fused, seed, dtype, data):
    torch.manual_seed(seed)
    layer, inputs, call = DRAWN[lesson](data.draw)
    layer, inputs = layer.to(dtype), {n: x.to(dtype) for n, x in inputs.items()}
    faster = accelerate(copy.deepcopy(layer))
    assert type(faster) is REGISTRY[lesson]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minitfm.fast.attention, "fused_pays", lambda query, key: fused)
        assert_close(outcome(faster, inputs, call), outcome(layer, inputs, call))
    assert list(faster.state_dict()) == list(layer.state_dict())
    layer.load_state_dict(faster.state_dict())


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_an_accelerated_transformer_is_the_transformer(norm, positions):
    config = TransformerConfig.tiny(11, norm=norm, positions=positions, dropout=0.0)
    model = Transformer(config).double()
    faster = accelerate(copy.deepcopy(model))
    assert any(type(part) in REGISTRY.values() for part in faster.modules())
    assert not any(type(part) in REGISTRY for part in faster.modules())
    source, target = torch.randint(3, 11, (3, 7)), torch.randint(3, 11, (3, 5))
    source[0, 4:], target[1, 3:] = 0, 0
    found = []
    for one in (model, faster):
        logits = one(source, target)
        logits.square().mean().backward()
        gradients = {name: p.grad for name, p in one.named_parameters()}
        found.append({"logits": logits.detach()} | gradients)
    assert_close(found[1], found[0])
    assert_close(faster.attention(source, target), model.attention(source, target))


@pytest.mark.parametrize("length", [5, 40])
def test_the_recorded_weights_are_those_of_the_lesson_at_every_length(length):
    layer = MultiHeadAttention(8, 2)
    faster, x = accelerate(copy.deepcopy(layer)), torch.randn(2, length, 8)
    with recorded_weights(layer) as lesson, recorded_weights(faster) as record:
        output = layer(x, x, x, mask=causal_mask(length))
        assert_close(
            {"output": faster(x, x, x, mask=causal_mask(length))}, {"output": output}
        )
    assert_close(record, lesson)
    assert not record[""].triu(1).any()
    assert "attend" not in vars(faster), "the recording leaves nothing behind"


def zeros(query, key, value, mask=None):
    return query.new_zeros(*query.shape[:-1], value.shape[-1])


def test_what_a_learner_plugs_in_runs_in_an_accelerated_model_too() -> None:
    """After a mere exchange of classes it would not, and whatever it is would pass."""
    model = accelerate(Transformer(TransformerConfig.tiny(11, dropout=0.0)))
    source, target = torch.randint(3, 11, (2, 40)), torch.randint(3, 11, (2, 40))
    before = model(source, target)
    parts = {
        "scaled_dot_product_attention": zeros,
        "attention_weights": lambda q, k, mask=None: q @ k.mT * 0,
        "layer_norm": lambda x, gain, bias, eps: x * 0,
        "sinusoids": lambda length, d_model: torch.zeros(length, d_model),
        "add_positions": lambda x, start=0: x * 0,
        "split_heads": lambda x, heads: (
            x.unflatten(2, (heads, -1))
            .mT.mT.mT.flatten(2)
            .view(len(x), heads, x.shape[1], -1)
        ),
    }
    for name, part in parts.items():
        with plugged(**{name: part}):
            changed = model(source, target)
        assert not torch.allclose(changed, before), name
        assert torch.equal(model(source, target), before), "and afterwards it is gone"


def test_a_layer_of_the_learners_own_is_left_alone() -> None:
    class Mine(LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            return x

    model = accelerate(nn.Sequential(Mine(4), LayerNorm(4), nn.Linear(4, 4)))
    assert type(model[0]) is Mine
    assert type(model[1]) is REGISTRY[LayerNorm]
    assert type(model[2]) is nn.Linear


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


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.999999, 1.0])
def test_almost_nothing_or_almost_everything_can_be_dropped(p):
    dropped = (Dropout(p)(torch.ones(1000)) == 0).double().mean().item()
    assert abs(dropped - p) < 0.01


def test_in_place_is_in_place():
    x = torch.ones(1000)
    assert Dropout(0.5, inplace=True)(x) is x
    assert (x == 0).any()


def test_it_acts_in_training_alone_and_can_stand_for_torchs():
    layer, x = Dropout(0.5), torch.randn(4, 3)
    assert isinstance(layer, nn.Dropout)
    assert layer.eval()(x) is x
    turned = layer.train()(x.t())
    assert torch.equal(turned[turned != 0], 2 * x.t()[turned != 0])


def test_it_drops_differently_in_each_sample_of_a_vmap():
    x = torch.ones(3, 1000)
    apart = torch.vmap(Dropout(0.5), randomness="different")(x)
    alike = torch.vmap(Dropout(0.5), randomness="same")(x)
    assert not torch.equal(apart[0], apart[1])
    assert torch.equal(alike[0], alike[1])
    assert set(apart.unique().tolist()) == {0.0, 2.0}
