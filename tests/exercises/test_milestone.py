"""The whole Transformer of a learner: every part is graded, then all together."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from minitfm import attention, layers, masks, positional, transformer
from minitfm.exercises import transformer as ex
from minitfm.exercises.engine import milestone
from minitfm.exercises.engine.source import build
from minitfm.masks import causal_mask
from minitfm.transformer import DecoderLayer
from tests.exercises.answers import RIGHT

PARTS = ex.milestone.parts


def answer(**changes: Any) -> dict[str, Any]:
    return {name: part.reference for name, part in PARTS.items()} | changes


def test_the_solutions_of_all_parts_make_a_whole():
    assert ex.milestone.grade(answer())
    assert ex.milestone.grade(SimpleNamespace(**answer(), other=1))


@pytest.mark.parametrize("style", range(4))
def test_parts_written_in_other_styles_make_a_whole(style: int):
    import re

    mine = {}
    for name, task in PARTS.items():
        texts = RIGHT[task.name]
        text = texts[style % len(texts)]
        defined = re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE)[-1]
        mine[name] = build(text, defined, task.names)
    result = ex.milestone.grade(mine)
    assert result, result.message


@pytest.mark.parametrize("name", PARTS)
def test_a_wrong_part_is_named_with_its_mistake_and_its_chapter(name: str):
    task = PARTS[name]
    mistake = task.mistakes[0]
    result = ex.milestone.grade({name: task.implementation(mistake)})
    assert not result
    assert result.mistakes == (mistake.name,)
    assert mistake.message in result.message
    assert f"`{name}` (Chapter " in result.message
    assert f"`{task.name}`" in result.message


def test_parts_that_are_missing_unknown_or_not_ones_own_are_told():
    whole = ex.milestone
    for nothing in (None, ..., {}, {"causal_mask": None}):
        assert whole.grade(nothing).kind == "not attempted"
    some = whole.grade({"causal_mask": PARTS["causal_mask"].reference})
    assert "1 of 11 parts" in some.message
    assert "`Residual`" in some.message
    assert "`causal_mask`" not in some.message
    assert "mean `causal_mask`?" in whole.grade({"causal_msk": 1}).message
    assert "mean `MultiHeadAttention`?" in whole.grade({"multi_head": 1}).message
    assert "mean" not in whole.grade({"helper": 1}).message
    assert "not yours" in whole.grade({"causal_mask": causal_mask}).message
    assert "dictionary" in whole.grade([1, 2]).message


NAMED = {
    "padding_mask": masks.padding_mask,
    "sinusoids": positional.sinusoids,
    "layer_norm": layers.layer_norm,
    "scaled_dot_product_attention": attention.scaled_dot_product_attention,
}


@pytest.mark.parametrize("name", NAMED)
def test_a_wrapper_of_the_packages_own_part_is_refused_by_name(name: str):
    from functools import partial

    own = NAMED[name]
    for mine in (lambda *args: own(*args), partial(own)):
        result = ex.milestone.grade(answer(**{name: mine}))
        assert not result
        assert f"calls the package's own `{name}`" in result.message


def test_attention_out_of_the_packages_weights_is_refused():
    def mine(query, key, value, mask=None):
        return attention.attention_weights(query, key, mask) @ value

    name = "scaled_dot_product_attention"
    result = ex.milestone.grade(answer(**{name: mine}))
    assert not result
    assert f"`{name}` is right alone, and not yours" in result.message
    assert "`attention_weights`" in result.message


def test_the_packages_helpers_and_ones_own_weights_may_be_used():
    def attention_weights(query, key, mask=None):
        scores = query @ key.mT / query.shape[-1] ** 0.5
        return attention.masked_softmax(scores, mask)

    def mine(query, key, value, mask=None):
        return attention_weights(query, key, mask) @ value

    assert ex.milestone.grade(answer(scaled_dot_product_attention=mine))


def test_other_names_beside_the_parts_do_not_matter():
    assert ex.milestone.grade(answer(math=torch, LayerNorm=layers.LayerNorm))
    assert not ex.milestone.grade({"math": torch})
    few = {"causal_mask": answer()["causal_mask"], "math": torch}
    assert "1 of 11 parts are yours" in ex.milestone.grade(few).message
    misspelt = {"causal_mask": answer()["causal_mask"], "decoder": PARTS["Decoder"]}
    assert "Did you mean `Decoder`?" in ex.milestone.grade(misspelt).message


@pytest.mark.parametrize("own", [DecoderLayer, layers.Residual])
def test_a_class_with_the_packages_forward_is_refused_by_name(own: type):
    reference = PARTS[own.__name__].reference
    borrowed = type(own.__name__, (reference,), {"forward": own.forward})
    result = ex.milestone.grade(answer(**{own.__name__: borrowed}))
    assert f"`{own.__name__}` is right alone, and not yours" in result.message


def test_a_residual_with_the_packages_init_is_told_what_its_own_takes():
    own = type("Residual", (layers.Residual,), {})
    said = ex.milestone.grade({"Residual": own}).message
    assert "`Residual(d_model, placement, dropout)`" in said, said


def test_a_part_that_calls_what_it_replaces_calls_itself_and_is_named():
    def mine(query, key=None):
        return transformer.causal_mask(query, key)

    class FeedForward(layers.FeedForward):
        def forward(self, x):
            return super().forward(x)

    for name, part in (("causal_mask", mine), ("FeedForward", FeedForward)):
        result = ex.milestone.grade(answer(**{name: part}))
        assert not result
        assert f"`{name}` is right alone" in result.message
        assert "Recursion" not in result.message


def in_the_whole() -> bool:
    """Whether the milestone's own model runs."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals["__name__"] == milestone.__name__ and (
            frame.f_code.co_name == milestone._run.__name__
        ):
            return True
        frame = frame.f_back
    return False


def differing() -> float:
    return 1.5


def exiting() -> float:
    raise SystemExit("bye")


def looping() -> float:
    while True:
        pass


def ungrateful() -> float:
    torch.set_grad_enabled(False)
    torch.rand(3)
    return 1.0


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (differing, "gave other logits"),
        (exiting, "SystemExit: bye"),
        (looping, "never ends"),
        (ungrateful, "raised an error"),
    ],
)
def test_a_part_that_fails_only_in_the_model_is_named(act: Any, words: str):
    feed_forward: Any = PARTS["FeedForward"].reference
    attend: Any = PARTS["scaled_dot_product_attention"].reference

    class FeedForward(feed_forward):
        def forward(self, x):
            return super().forward(x) * (act() if in_the_whole() else 1.0)

    def mine(query, key, value, mask=None):
        return attend(query, key, value, mask) * (act() if in_the_whole() else 1.0)

    parts = {"FeedForward": FeedForward, "scaled_dot_product_attention": mine}
    for name, part in parts.items():
        torch.manual_seed(3)
        due = torch.rand(2)
        torch.manual_seed(3)
        result = ex.milestone.grade(answer(**{name: part}))
        assert not result
        assert f"`{name}` is right by its own exercise." in result.message
        assert words in result.message
        assert "package's own" not in result.message
        assert torch.is_grad_enabled()
        assert torch.equal(torch.rand(2), due)
    assert ex.milestone.grade(answer()), "the package is as before"


def test_an_array_of_sinusoids_is_right_and_an_array_for_a_part_is_none():
    reference = PARTS["sinusoids"].reference
    assert ex.milestone.grade(answer(sinusoids=lambda *a: reference(*a).numpy()))
    message = ex.milestone.grade(answer(sinusoids=np.ones((3, 4)))).message
    assert "NumPy array" in message


def test_a_right_whole_leaves_the_random_numbers_as_they_were():
    torch.manual_seed(0)
    due = torch.rand(1)
    torch.manual_seed(0)
    assert ex.milestone.grade(answer())
    assert torch.equal(torch.rand(1), due)


def test_the_table_of_the_course_counts_what_is_right(monkeypatch: pytest.MonkeyPatch):
    before = ex.course().text
    monkeypatch.setattr(ex.prefix_mask, "passed", not ex.prefix_mask.passed)
    after = ex.course().text
    assert before != after
    assert after.count("| Chapter ") == 9
