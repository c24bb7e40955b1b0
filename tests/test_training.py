"""Label smoothing: each published variant is what its authors' code computes, and the fast path is the definition."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minitfm.training import generator_loss, shares, smoothed_loss, smoothed_targets
from tests.oracle import assert_close, dtypes, seeds
from tests.test_recurrent import Written

epsilons = st.sampled_from([0.0, 0.1, 0.3])
variants = st.sampled_from(["tensor2tensor", "torch", "annotated"])


def drawn(
    seed: int, tokens: int, vocabulary: int, dtype=torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(tokens, vocabulary, dtype=dtype), torch.randint(
        vocabulary, (tokens,)
    )


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
    right, wrong = shares(epsilon, vocabulary, variant)
    others = vocabulary - (2 if variant == "annotated" else 1)
    assert right + others * wrong == pytest.approx(1)


@given(
    seeds,
    dtypes,
    st.integers(1, 9),
    st.integers(3, 12),
    epsilons,
    variants,
    st.booleans(),
    st.integers(1, 5),
)
def test_the_loss_in_chunks_is_the_definition(
    seed, dtype, tokens, vocabulary, epsilon, variant, biased, rows
):
    _, target = drawn(seed, tokens, vocabulary)
    inputs = {
        "x": torch.randn(tokens, 8, dtype=dtype),
        "weight": torch.randn(vocabulary, 8, dtype=dtype),
    }
    inputs |= {"bias": torch.randn(vocabulary, dtype=dtype)} if biased else {}

    def outcome(call):
        leaves = {
            name: tensor.clone().requires_grad_() for name, tensor in inputs.items()
        }
        loss = call(leaves["x"], leaves["weight"], leaves.get("bias"))
        gradients = torch.autograd.grad(3 * loss, list(leaves.values()))
        return {"loss": loss.detach().reshape(1), **dict(zip(leaves, gradients))}

    fast = outcome(
        lambda x, w, b: generator_loss(x, w, b, target, epsilon, variant, rows=rows)
    )
    plain = outcome(
        lambda x, w, b: smoothed_loss(F.linear(x, w, b), target, epsilon, variant)
    )
    logits = {
        "logits": F.linear(*inputs.values())
    }  # what is rounded: a loss near 0 is the difference of large ones
    assert_close(fast | logits, plain | logits)


def test_the_loss_in_chunks_never_holds_the_logits_of_the_batch():
    x, weight, target = (
        torch.randn(1000, 4),
        torch.randn(300, 4),
        torch.randint(1, 300, (1000,)),
    )

    class Largest(Written):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.numbers = max(self.numbers, result.numel())
            return result

    with Largest() as chunked:
        generator_loss(x, weight, None, target, rows=50)
    with Largest() as whole:
        smoothed_loss(x @ weight.T, target)
    assert chunked.numbers == 50 * 300 < whole.numbers == 1000 * 300


@pytest.mark.parametrize("variant", ["tensor2tensor", "torch", "annotated"])
def test_autocast_rounds_the_products_alone(variant):
    x, weight = (torch.randn(n, 16, requires_grad=True) for n in (40, 30))
    target = torch.randint(30, (40,))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = generator_loss(x, weight, None, target, 0.1, variant)
    assert rounded.dtype == torch.float32
    gradients = torch.autograd.grad(rounded, [x, weight])
    exact = generator_loss(x, weight, None, target, 0.1, variant)
    torch.testing.assert_close(rounded, exact, rtol=0.01, atol=0)
    for gradient, expected in zip(gradients, torch.autograd.grad(exact, [x, weight])):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(
            gradient, expected, rtol=0, atol=0.03 * expected.abs().max().item()
        )


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_variant_is_refused():
    with pytest.raises(
        ValueError, match="variant='paper'; choose tensor2tensor, torch or annotated"
    ):
        shares(0.1, 10, "paper")
