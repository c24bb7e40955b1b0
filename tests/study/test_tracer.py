"""The tracer draws the shapes that a forward pass really has, under the signatures' names."""

import sys

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitfm.attention import SelfAttention
from minitfm.study.tracer import Step, Trace, trace
from minitfm.transformer import Transformer, TransformerConfig


class Mine(nn.Module):
    """What a reader writes: no signature with axes, another name than ``self``."""

    def __init__(this) -> None:
        super().__init__()
        this.head = SelfAttention(8, 4, causal=True)
        this.readout = nn.Linear(8, 3)

    def forward(this, x):
        return this.readout(this.head(x))


def named(drawn: Trace, name: str) -> Step:
    return next(step for step in drawn.steps if step.name == name)


def test_a_readers_model_is_drawn_layer_in_layer_with_the_axes_names() -> None:
    drawn = trace(Mine(), torch.randn(2, 5, 8))
    assert [step.kind for step in drawn.steps[:2]] == ["Mine", "SelfAttention"]
    assert [step.depth for step in drawn.steps[:3]] == [0, 1, 2]
    x = [("batch", 2), ("token", 5), ("d_model", 8)]
    assert named(drawn, "head").inputs["x"] == x
    assert named(drawn, "head").outputs == [x]
    # a Linear has no signature: what it leaves alone keeps its name
    assert named(drawn, "query").outputs == [[("batch", 2), ("token", 5), ("", 4)]]
    assert named(drawn, "readout").outputs == [[("batch", 2), ("token", 5), ("", 3)]]


def test_functions_that_name_their_axes_are_drawn_where_they_are_called() -> None:
    drawn = trace(SelfAttention(8, 4, causal=True), torch.randn(1, 6, 8))
    attention = named(drawn, "attention_weights")
    assert attention.depth == 2  # in weights(), in the layer
    assert attention.inputs["query"] == [("batch", 1), ("query", 6), ("d_k", 4)]
    assert attention.inputs["key"] == [("batch", 1), ("key", 6), ("d_k", 4)]
    assert attention.outputs == [[("batch", 1), ("query", 6), ("key", 6)]]
    assert named(drawn, "causal_mask").outputs == [[("query", 6), ("key", 6)]]


def test_a_star_stands_for_the_axes_that_were_known_before() -> None:
    def square(x):
        return x.square()

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Float[Tensor, "batch heads width"]):
            return self.inner(x)

    class Inner(nn.Module):
        def forward(self, x: Float[Tensor, "*any width"]) -> Float[Tensor, "*any out"]:
            return square(x)

    drawn = trace(Outer(), torch.randn(2, 3, 4))
    assert named(drawn, "inner").inputs["x"] == [
        ("batch", 2),
        ("heads", 3),
        ("width", 4),
    ]
    assert named(drawn, "inner").outputs == [[("batch", 2), ("heads", 3), ("out", 4)]]
    assert "square" not in repr(drawn)


def test_a_whole_model_can_be_drawn_down_to_a_depth() -> None:
    model = Transformer(TransformerConfig.tiny(20, layers=2)).eval()
    source, target = torch.ones(2, 7).long(), torch.ones(2, 4).long()
    drawn = trace(model, source, target)
    assert drawn.steps[0].outputs == [[("batch", 2), ("target", 4), ("vocabulary", 20)]]
    assert {"layers.0", "layers.1"} <= {step.name for step in drawn.steps}
    few = drawn.until(depth=1)
    assert max(step.depth for step in few.steps) == 1
    assert len(few.steps) < len(drawn.steps) / 4


def test_a_call_that_repeats_itself_is_counted() -> None:
    layer = nn.Linear(3, 3)
    drawn = trace(lambda x: [layer(x) for _ in range(4)], torch.randn(2, 3))
    assert repr(drawn) == "Linear × 4  (2, 3)"


def test_text_and_table_say_the_same() -> None:
    drawn = trace(SelfAttention(8), torch.randn(1, 6, 8))
    table = drawn._repr_html_()
    for step in drawn.steps:
        assert step.title in table
        assert step.title in repr(drawn)
    assert "d_model 8" in table
    assert "d_model 8" in repr(drawn)
    assert "<script" not in table


def test_nothing_is_left_behind_even_when_the_model_fails() -> None:
    before = sys.getprofile()
    with pytest.raises(RuntimeError):
        trace(nn.Linear(3, 4), torch.randn(2, 5))
    assert sys.getprofile() is before
