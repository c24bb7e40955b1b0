"""The same linear layers, faster for writing on a CPU (chapter 12)."""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from minitfm.fast.attention import side_by_side


class PackedLinear(nn.Module):
    """An ``nn.Linear`` that will not be trained any more, its weight laid out once as
    oneDNN wants it.

    PyTorch computes float32 products with MKL, which reaches half of oneDNN's speed on
    AMD's processors. Both are exact to float32's rounding.

    The two calls of ``torch.ops.mkldnn`` are private to PyTorch. No public one keeps a
    weight in oneDNN's layout and takes a plain tensor; these are what ``torch.compile``
    itself calls for linear layers on a CPU. Where a version of PyTorch lacks them,
    ``can_pack`` says so and the plain layer stays.
    """

    def __init__(self, layer: nn.Linear) -> None:
        """Pack the layer's weight."""
        super().__init__()
        self.weight = layer.weight.detach()
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """Compute x Wᵀ + b."""
        if torch.is_autocast_enabled("cpu") or not x.numel():
            return F.linear(x, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(
            x, self.packed, self.bias, "none", [], ""
        )


def can_pack(layer: nn.Linear) -> bool:
    """Whether packing pays: in float32 on a CPU, where PyTorch has oneDNN and the two
    calls.
    """
    available = torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name)
        for name in ("_reorder_linear_weight", "_linear_pointwise")
    )
    weight = layer.weight
    return available and (weight.device.type, weight.dtype) == ("cpu", torch.float32)


def pack_linears(model: nn.Module) -> nn.Module:
    """A copy of a model for writing, every linear layer packed that ``can_pack``."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear) and can_pack(layer):
                setattr(parent, name, PackedLinear(layer))
    return model


def join_linears(*layers: nn.Linear) -> nn.Module:
    """One layer that computes what several do from the same input, their outputs side
    by side; packed if it ``can_pack``.
    """
    weight, bias = side_by_side(*layers)
    joined = nn.Linear(
        weight.shape[1], weight.shape[0], bias is not None, weight.device, weight.dtype
    )
    joined.weight = nn.Parameter(weight.detach())
    if bias is not None:
        joined.bias = nn.Parameter(bias.detach())
    return PackedLinear(joined) if can_pack(joined) else joined
