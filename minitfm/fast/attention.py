"""Multi-head attention in fewer, larger operations."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minitfm import multihead
from minitfm.fast.tracing import traced
from minitfm.masks import check_mask
from minitfm.multihead import merge_heads, split_heads


class MultiHeadAttention(multihead.MultiHeadAttention):
    """The lesson's layer: queries, keys and values of self-attention in one product,
    and PyTorch's fused attention where that is faster.
    """

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Look up ``value`` by ``key`` with ``query``, in every head at once."""
        if not (query is key is value and isinstance(self.query, nn.Linear)):
            return super().forward(query, key, value, mask)
        together = F.linear(query, *side_by_side(self.query, self.key, self.value))
        widths = [part.out_features for part in (self.query, self.key, self.value)]
        q, k, v = (
            split_heads(part, self.heads) for part in together.split(widths, dim=-1)
        )
        if self.rotate is not None:
            q, k = self.rotate(q), self.rotate(k)
        mask = None if mask is None else mask.unsqueeze(-3)
        return self.output(merge_heads(self.attend(q, k, v, mask)))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Equation 1 in every head; the fused call never stores the weights."""
        if not fused_pays(query, key):
            return super().attend(query, key, value, mask)
        if mask is not None:
            check_mask(mask, torch.Size((*query.shape[:-1], key.shape[-2])))
        dropout = self.dropout.p if self.training else 0.0
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout
        )


def fused_pays(query: Tensor, key: Tensor) -> bool:
    """Whether ``F.scaled_dot_product_attention`` is faster here: everywhere but for
    short sequences on a CPU that are not compiled.

    Backward its CPU kernel is slow for short sequences, most of all in 16 bits;
    tests/benchmarks/attention.py measures where the two cross.
    """
    if query.device.type != "cpu" or traced(query):
        return True
    short = 256 if query.dtype == torch.bfloat16 else 32
    return min(query.shape[-2], key.shape[-2]) > short


def side_by_side(*layers: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of one linear layer that computes what several do from the same
    input.
    """
    weights: list[Tensor] = [layer.weight for layer in layers]
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    return torch.cat(weights), torch.cat(biases) if biases else None
