"""Knowing when PyTorch itself reads the code."""

import torch
from torch import Tensor


def traced(x: Tensor) -> bool:
    """Whether ``torch.compile``, ``torch.export`` or a transform of ``torch.func`` runs
    this: each knows PyTorch's own operations best.
    """
    return torch.compiler.is_compiling() or (
        torch._C._functorch.is_functorch_wrapped_tensor(x)
    )
