"""The loss in chunks is the lesson's, values and gradients, in less memory."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from minitfm.fast.loss import generator_loss
from minitfm.training import smoothed_loss
from tests.oracle import assert_close, dtypes, seeds
from tests.test_training import epsilons, variants


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
    torch.manual_seed(seed)
    target = torch.randint(vocabulary, (tokens,))
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

    class Largest(TorchDispatchMode):
        numbers = 0

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


def test_its_gradient_has_no_gradient():
    x, weight = (torch.randn(n, 4, requires_grad=True) for n in (3, 5))
    loss = generator_loss(x, weight, None, torch.tensor([1, 2, 3]))
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, x, create_graph=True)
    torch.autograd.grad(loss, x)  # the first is there


def test_padding_alone_costs_nothing():
    x, weight = (torch.randn(n, 4, requires_grad=True) for n in (3, 5))
    loss = generator_loss(x, weight, None, torch.zeros(3, dtype=torch.long))
    assert loss == 0
    assert not any(grad.any() for grad in torch.autograd.grad(loss, [x, weight]))
