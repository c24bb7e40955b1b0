"""Multi-head attention: several lookups side by side (chapter 6)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.attention import attention_weights


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
            d_k: width of one head's queries and keys; d_model / heads unless given.
            d_v: width of one head's values; d_model / heads unless given.
            bias: add a bias in the projections (the paper has none).
            dropout: share of the weights set to zero at random in training. The paper's
                text has none here, its code has.
            rotate: applied to each head's queries and keys, for positions that turn
                them (chapter 7).

        Raises:
            ValueError: if d_k or d_v is left to d_model / heads and that is no whole
                number.
        """
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads={heads}; choose 1 or more")
        if (d_k is None or d_v is None) and d_model % heads:
            divisors = [str(n) for n in range(1, d_model + 1) if d_model % n == 0]
            raise ValueError(
                f"d_model={d_model} is not divisible by heads={heads}; "
                f"choose heads from {', '.join(divisors)}"
            )
        self.heads = heads
        self.d_k = d_k or d_model // heads
        self.d_v = d_v or d_model // heads
        self.rotate = rotate
        self.query = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.key = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.value = nn.Linear(d_model, heads * self.d_v, bias=bias)
        self.output = nn.Linear(heads * self.d_v, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

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
        q = split_heads(self.query(query), self.heads)  # (batch, heads, query, d_k)
        k = split_heads(self.key(key), self.heads)
        v = split_heads(self.value(value), self.heads)
        if self.rotate is not None:
            q, k = self.rotate(q), self.rotate(k)
        mask = None if mask is None else mask.unsqueeze(-3)  # the same for all heads
        return self.output(merge_heads(self.attend(q, k, v, mask)))

    def attend(
        self,
        query: Float[Tensor, "batch heads query d_k"],
        key: Float[Tensor, "batch heads key d_k"],
        value: Float[Tensor, "batch heads key d_v"],
        mask: Bool[Tensor, "*#batch 1 #query key"] | None = None,
    ) -> Float[Tensor, "batch heads query d_v"]:
        """Equation 1 in every head, with dropout on the weights."""
        weights = attention_weights(query, key, mask)
        return self.dropout(weights) @ value


@contextmanager
def recorded_weights(
    model: nn.Module,
) -> Iterator[dict[str, Float[Tensor, "batch heads query key"]]]:
    """Collect the weights of every attention layer that runs inside the ``with`` block,
    by the layer's name.

    They are the very tensors that the layers use, before dropout. While it records,
    every layer computes them by ``MultiHeadAttention.attend``, also where a faster way
    without weights has taken its place.
    """
    record: dict[str, Tensor] = {}

    def remember(name: str) -> Callable[..., None]:
        def hook(dropout: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            record[name] = inputs[0].detach()

        return hook

    named = list(model.named_modules())
    layers = {n: part for n, part in named if isinstance(part, MultiHeadAttention)}
    handles = []
    for name, layer in layers.items():
        handles.append(layer.dropout.register_forward_pre_hook(remember(name)))
        vars(layer)["attend"] = MultiHeadAttention.attend.__get__(layer)
    try:
        yield record
    finally:
        for handle, layer in zip(handles, layers.values()):
            handle.remove()
            del vars(layer)["attend"]
