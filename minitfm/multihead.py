"""Multi-head attention: several lookups side by side (chapter 6)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.attention import attention_weights, scaled_dot_product_attention


def split_heads(
    x: Float[Tensor, "batch token d_heads"], heads: int
) -> Float[Tensor, "batch heads token d_head"]:
    """Give each head its own slice of every token's vector (Figure 2, right)."""
    batch, token, d_heads = x.shape
    return x.view(batch, token, heads, d_heads // heads).transpose(1, 2)


def merge_heads(
    x: Float[Tensor, "batch heads token d_head"],
) -> Float[Tensor, "batch token d_heads"]:
    """Lay the heads' results side by side again: the inverse of ``split_heads``."""
    batch, heads, token, d_head = x.shape
    return x.transpose(1, 2).reshape(batch, token, heads * d_head)


class MultiHeadAttention(nn.Module):
    """Attend ``heads`` times in smaller spaces, concatenate, project (section 3.2.2).

    ``query``, ``key``, ``value`` and ``output`` are the paper's W^Q, W^K, W^V (of all
    heads at once) and W^O.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        d_k: int | None = None,
        d_v: int | None = None,
        *,
        bias: bool = False,
        dropout: float = 0.0,
        rotate: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Make the four projections.

        Args:
            d_model: width of the tokens going in and coming out.
            heads: number of heads, the paper's h.
            d_k: width of one head's queries and keys; d_model / heads unless said.
            d_v: width of one head's values; d_model / heads unless said.
            bias: add a bias in the projections (the paper has none).
            dropout: dropout on the weights while training.
            rotate: applied to each head's queries and keys, for positions that turn
                them (chapter 7).

        Raises:
            ValueError: if d_k or d_v is left to d_model / heads and that is no whole
                number.
        """
        super().__init__()
        if (d_k is None or d_v is None) and d_model % heads:
            divisors = ", ".join(
                str(n) for n in range(1, d_model + 1) if d_model % n == 0
            )
            raise ValueError(
                f"d_model={d_model} is not divisible by heads={heads}; choose heads"
                f" from {divisors}"
            )
        self.heads = heads
        self.d_k = d_k or d_model // heads
        self.d_v = d_v or d_model // heads
        self.dropout = dropout
        self.rotate = rotate
        self.query = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.key = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.value = nn.Linear(d_model, heads * self.d_v, bias=bias)
        self.output = nn.Linear(heads * self.d_v, d_model, bias=bias)

    def queries_and_keys(
        self,
        query: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch key d_model"],
    ) -> tuple[
        Float[Tensor, "batch heads query d_k"], Float[Tensor, "batch heads key d_k"]
    ]:
        """Every head's queries and keys."""
        q = split_heads(self.query(query), self.heads)
        k = split_heads(self.key(key), self.heads)
        return (q, k) if self.rotate is None else (self.rotate(q), self.rotate(k))

    def projected(
        self,
        query: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch key d_model"],
        value: Float[Tensor, "batch key d_model"],
    ) -> tuple[
        Float[Tensor, "batch heads query d_k"],
        Float[Tensor, "batch heads key d_k"],
        Float[Tensor, "batch heads key d_v"],
    ]:
        """Every head's queries, keys and values; in self-attention one product computes
        all three.
        """
        if not (query is key is value and isinstance(self.query, nn.Linear)):
            return (
                *self.queries_and_keys(query, key),
                split_heads(self.value(value), self.heads),
            )
        together = F.linear(query, *side_by_side(self.query, self.key, self.value))
        widths = [layer.out_features for layer in (self.query, self.key, self.value)]
        q, k, v = (
            split_heads(part, self.heads) for part in together.split(widths, dim=-1)
        )
        return (q, k, v) if self.rotate is None else (self.rotate(q), self.rotate(k), v)

    def weights(
        self,
        query: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch key d_model"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "batch heads query key"]:
        """How much each head lets each query attend to each key."""
        return attention_weights(*self.queries_and_keys(query, key), over_heads(mask))

    def forward(
        self,
        query: Float[Tensor, "batch query d_model"],
        key: Float[Tensor, "batch key d_model"],
        value: Float[Tensor, "batch key d_model"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Look up ``value`` by ``key`` with ``query``, in every head at once.

        Args:
            query: the tokens that ask. In self-attention all three are the same tensor.
            key: the tokens that are asked.
            value: what they answer.
            mask: True where a query may attend to a key, the same for all heads.
        """
        q, k, v = self.projected(query, key, value)
        dropout = self.dropout if self.training else 0.0
        return self.output(
            merge_heads(
                scaled_dot_product_attention(q, k, v, over_heads(mask), dropout=dropout)
            )
        )


def side_by_side(*layers: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of one linear layer that computes what several do from the same
    input.
    """
    weights: list[Tensor] = [layer.weight for layer in layers]
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    return torch.cat(weights), torch.cat(biases) if biases else None


def over_heads(
    mask: Bool[Tensor, "*batch query key"] | None,
) -> Bool[Tensor, "*batch 1 query key"] | None:
    """Make a mask hold for every head."""
    return None if mask is None else mask.unsqueeze(-3)


@contextmanager
def recorded_weights(
    model: nn.Module,
) -> Iterator[dict[str, Float[Tensor, "batch heads query key"]]]:
    """Collect the weights of every attention layer that runs inside the ``with`` block,
    by the layer's name.

    The result of the model stays the same to the last bit: the weights are computed
    beside it, from the same inputs.
    """
    record: dict[str, Tensor] = {}

    def remember(name: str) -> Callable[..., None]:
        def hook(
            layer: MultiHeadAttention, inputs: tuple[Tensor, ...], output: Tensor
        ) -> None:
            query, key, _, *mask = inputs
            record[name] = layer.weights(query, key, *mask).detach()

        return hook

    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, MultiHeadAttention)
    ]
    handles = [layer.register_forward_hook(remember(name)) for name, layer in layers]
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()
