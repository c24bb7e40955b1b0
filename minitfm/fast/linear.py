"""The same linear layers, faster for writing on a CPU (chapter 12)."""

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class PackedLinear(nn.Module):
    """An ``nn.Linear`` that will not be trained any more, its weight laid out once as
    oneDNN wants it.

    PyTorch computes float32 products with MKL, which reaches half of oneDNN's speed on
    AMD's processors. Both are exact to float32's rounding.
    """

    def __init__(self, layer: nn.Linear) -> None:
        """Pack the layer's weight."""
        super().__init__()
        self.weight, self.bias = (
            layer.weight.detach(),
            None if layer.bias is None else layer.bias.detach(),
        )
        self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """Compute x Wᵀ + b."""
        if torch.is_autocast_enabled("cpu") or not x.numel():
            return F.linear(x, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(
            x, self.packed, self.bias, "none", [], ""
        )


def packs(layer: nn.Linear) -> bool:
    """Whether there is something to gain: in float32, on a CPU, where PyTorch brings
    oneDNN and still has this call.
    """
    available = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    )
    return available and (layer.weight.device.type, layer.weight.dtype) == (
        "cpu",
        torch.float32,
    )


def packed(model: Model) -> Model:
    """A copy of a model for writing, in which every linear layer that ``packs`` is
    packed.
    """
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear) and packs(layer):
                setattr(parent, name, PackedLinear(layer))
    return model
