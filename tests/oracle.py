"""Comparing a layer of ours with somebody else's that has the same weights."""

from collections.abc import Callable, Mapping

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

Named = Mapping[str, Tensor]
Renaming = Callable[[Named], dict[str, Tensor]]

# In float64 only the order of additions differs. In float32 that alone costs some 1e-6 of the largest entry.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}

dtypes = st.sampled_from([torch.float64, torch.float32])
seeds = st.integers(0, 2**31)


def assert_close(ours: Named, theirs: Named) -> None:
    """Every tensor agrees within the tolerance, relative to the largest entry of all of them."""
    assert ours.keys() == theirs.keys()
    largest = max(
        tensor.abs().max().item() for tensor in theirs.values() if tensor.numel()
    )
    for name, expected in theirs.items():
        actual = ours[name]
        assert actual.shape == expected.shape, name
        assert actual.isfinite().all(), name
        error = (actual - expected).abs().max().item() if actual.numel() else 0.0
        assert error <= TOLERANCE[expected.dtype] * largest, (
            f"{name}: off by {error:.1e}, largest entry {largest:.1e}"
        )


def assert_same_layer(
    ours: nn.Module,
    theirs: nn.Module,
    rename: Renaming,
    inputs: dict[str, Tensor],
    call_ours: Callable[..., Tensor],
    call_theirs: Callable[..., Tensor],
    fixed: tuple[str, ...] = (),
) -> None:
    """Copy our weights into ``theirs``; outputs, gradients of the inputs and of the weights must agree.

    ``fixed`` names parameters of theirs that ours lacks: they are set to zero, and their gradients not compared.
    """
    named = dict(theirs.named_parameters())
    copied = rename(
        {name: parameter.detach() for name, parameter in ours.named_parameters()}
    )
    assert set(named) == set(copied) | {name for name in named if name.endswith(fixed)}
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(
                copied[name] if name in copied else torch.zeros_like(parameter)
            )

    def run(
        model: nn.Module, call: Callable[..., Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        model.zero_grad()
        leaves = {
            name: tensor.detach().clone().requires_grad_()
            for name, tensor in inputs.items()
        }
        output = call(**leaves)
        upstream = torch.randn(
            output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype
        )
        (output * upstream).sum().backward()
        weights = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        return (
            output.detach(),
            {name: leaf.grad for name, leaf in leaves.items()},
            weights,
        )

    our_output, our_inputs, our_weights = run(ours, call_ours)
    their_output, their_inputs, their_weights = run(theirs, call_theirs)
    assert_close({"output": our_output}, {"output": their_output})
    if inputs:
        assert_close(our_inputs, their_inputs)
    assert_close(
        rename(our_weights),
        {name: grad for name, grad in their_weights.items() if name in copied},
    )


def attention_names(named: Named) -> dict[str, Tensor]:
    """Our MultiHeadAttention's tensors under the names of ``nn.MultiheadAttention``."""
    renamed = {
        "in_proj_weight": torch.cat(
            [named[f"{name}.weight"] for name in ("query", "key", "value")]
        )
    }
    renamed["out_proj.weight"] = named["output.weight"]
    if "query.bias" in named:
        renamed["in_proj_bias"] = torch.cat(
            [named[f"{name}.bias"] for name in ("query", "key", "value")]
        )
        renamed["out_proj.bias"] = named["output.bias"]
    return renamed


LAYER_NAMES = {
    "feed_forward.inner.": "linear1.",
    "feed_forward.outer.": "linear2.",
    "residual_1.norm.": "norm1.",
    "residual_2.norm.": "norm2.",
    "residual_3.norm.": "norm3.",
    "self_attention.": "self_attn.",
    "cross_attention.": "multihead_attn.",
}


def transformer_names(named: Named) -> dict[str, Tensor]:
    """The tensors of our layers and stacks under the names of ``nn.Transformer``'s."""
    renamed: dict[str, Tensor] = {}
    attention: dict[str, dict[str, Tensor]] = {}
    for name, tensor in named.items():
        prefix, found, rest = name.partition("attention.")
        if found:
            attention.setdefault(prefix + found, {})[rest] = tensor
        else:
            renamed[name.replace(".gain", ".weight")] = tensor
    for prefix, tensors in attention.items():
        renamed |= {
            prefix + name: tensor for name, tensor in attention_names(tensors).items()
        }
    for old, new in LAYER_NAMES.items():
        renamed = {name.replace(old, new): tensor for name, tensor in renamed.items()}
    return renamed
