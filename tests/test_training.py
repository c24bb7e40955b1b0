"""The paper's rate, each published way of label smoothing as its authors' code computes it, and the plain loop
(chapter 11)."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minitfm.training import (
    paper_rate,
    smoothed_loss,
    smoothed_targets,
    target_probabilities,
    train,
)
from minitfm.transformer import Transformer, TransformerConfig
from tests.oracle import seeds

epsilons = st.sampled_from([0.0, 0.1, 0.3])
variants = st.sampled_from(["tensor2tensor", "torch", "annotated"])


def drawn(
    seed: int, tokens: int, vocabulary: int, dtype=torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(tokens, vocabulary, dtype=dtype), torch.randint(
        vocabulary, (tokens,)
    )


@pytest.mark.parametrize(("d_model", "warmup"), [(512, 4000), (256, 1000), (64, 1)])
def test_the_rate_rises_in_a_line_and_falls_with_the_root_of_the_step(d_model, warmup):
    peak = (d_model * warmup) ** -0.5
    assert paper_rate(warmup, d_model, warmup) == pytest.approx(peak, rel=1e-12)
    for step in range(1, 3 * warmup, max(1, warmup // 7)):
        expected = (
            peak * step / warmup if step <= warmup else peak * math.sqrt(warmup / step)
        )
        assert paper_rate(step, d_model, warmup) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="step=0, but the schedule counts from 1"):
        paper_rate(0, d_model)


def test_the_papers_peak():
    assert paper_rate(4000, 512) == pytest.approx(6.99e-4, rel=1e-3)


@given(seeds, st.integers(1, 9), st.integers(3, 12), epsilons)
def test_the_torch_variant_is_torchs(seed, tokens, vocabulary, epsilon):
    logits, target = drawn(seed, tokens, vocabulary)
    expected = F.cross_entropy(
        logits, target, label_smoothing=epsilon, ignore_index=0, reduction="sum"
    )
    torch.testing.assert_close(
        smoothed_loss(logits, target, epsilon, "torch"), expected
    )


@given(seeds, st.integers(1, 9), st.integers(3, 12), epsilons)
def test_the_tensor2tensor_variant_is_confidence_and_low_confidence(
    seed, tokens, vocabulary, epsilon
):
    """As in its `padded_cross_entropy`: one-hot targets with on-value 1 - ε and off-value ε / (V - 1)."""
    logits, target = drawn(seed, tokens, vocabulary)
    one_hot = F.one_hot(target, vocabulary).double()
    soft = one_hot * (1 - epsilon) + (1 - one_hot) * (epsilon / (vocabulary - 1))
    expected = F.cross_entropy(logits, soft, reduction="none")[target != 0].sum()
    torch.testing.assert_close(
        smoothed_loss(logits, target, epsilon, "tensor2tensor"), expected
    )


@given(seeds, st.integers(1, 9), st.integers(3, 12), epsilons)
def test_the_annotated_variant_gives_padding_nothing(seed, tokens, vocabulary, epsilon):
    logits, target = drawn(seed, tokens, vocabulary)
    real = target != 0
    soft = torch.full(
        (tokens, vocabulary), epsilon / (vocabulary - 2), dtype=torch.float64
    )
    soft[:, 0] = 0
    soft[torch.arange(tokens), target] = 1 - epsilon
    torch.testing.assert_close(
        smoothed_targets(target, vocabulary, epsilon, "annotated")[real], soft[real]
    )
    expected = (
        F.cross_entropy(logits[real], soft[real], reduction="sum")
        if real.any()
        else torch.zeros(())
    )
    torch.testing.assert_close(
        smoothed_loss(logits, target, epsilon, "annotated"),
        expected.double(),
        rtol=1e-6,
        atol=1e-6,
    )


@given(st.floats(0.0, 0.5), st.integers(3, 50_000), variants)
def test_every_target_sums_to_one(epsilon, vocabulary, variant):
    right, wrong = target_probabilities(epsilon, vocabulary, variant)
    others = vocabulary - (2 if variant == "annotated" else 1)
    assert right + others * wrong == pytest.approx(1)


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_variant_is_refused():
    with pytest.raises(
        ValueError, match="variant='paper'; choose tensor2tensor, torch or annotated"
    ):
        target_probabilities(0.1, 10, "paper")


def tiny(dropout: float = 0.0) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig.tiny(11, d_model=16, dropout=dropout)).double()


def rows(count: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Sources and targets of different lengths: a mean over rows is not one over tokens."""
    draw = torch.Generator().manual_seed(seed)
    source = torch.randint(3, 11, (count, 7), generator=draw)
    target = torch.randint(3, 11, (count, 8), generator=draw)
    lengths = torch.randint(2, 8, (count, 1), generator=draw)
    target = target.where(torch.arange(8) < lengths, 0)
    target[:, 0] = 1
    return source, target


def test_one_step_is_adam_at_equation_3_on_the_mean_loss_of_a_token():
    source, target = rows(6)
    ours, plain = tiny(), tiny()
    losses = train(ours, [(source, target)] * 3, 3, 16, warmup=2, rate=0.5)
    optimizer = torch.optim.Adam(plain.parameters(), betas=(0.9, 0.98), eps=1e-9)
    for step, loss in enumerate(losses, start=1):
        optimizer.param_groups[0]["lr"] = 0.5 * paper_rate(step, 16, 2)
        logits = plain(source, target[:, :-1]).flatten(0, 1)
        right = target[:, 1:].flatten()
        mean = smoothed_loss(logits, right) / (right != 0).sum()
        assert loss == pytest.approx(mean.item())
        mean.backward()
        optimizer.step()
        optimizer.zero_grad()
    for mine, its in zip(ours.parameters(), plain.parameters()):
        torch.testing.assert_close(mine, its)


def test_accumulated_batches_are_one_large_batch():
    source, target = rows(12)
    halves = [(source[:3], target[:3]), (source[3:], target[3:])]
    whole, parts = tiny(), tiny()
    (one,) = train(whole, [(source, target)], 1, 16, warmup=1)
    (two,) = train(parts, halves, 1, 16, warmup=1, accumulate=2)
    assert one == pytest.approx(two)
    for a, b in zip(whole.parameters(), parts.parameters()):
        torch.testing.assert_close(a, b)


def test_a_constant_sequence_is_learned():
    source = torch.randint(3, 11, (16, 5))
    target = torch.tensor([[1, 5, 6, 7, 2]]).repeat(16, 1)
    losses = train(tiny(0.1), [(source, target)] * 60, 60, 16, warmup=20, epsilon=0.0)
    assert losses[0] > 1.5
    assert losses[-1] < 0.5


def test_dropout_is_on_while_training_and_off_afterwards():
    model, modes = tiny(), []
    model.register_forward_hook(lambda layer, *_: modes.append(layer.training))
    train(model.eval(), [rows(2)], 1, 16)
    assert modes == [True]
    assert not model.training


def test_batches_that_run_out_are_named():
    with pytest.raises(ValueError, match="the batches ran out in step 2 of 5"):
        train(tiny(), [rows(2)] * 3, 5, 16, accumulate=2)
