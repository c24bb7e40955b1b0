"""Attention: a dictionary lookup that can be differentiated (chapters 4 and 5)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.masks import causal_mask


def attention_weights(
    query: Float[Tensor, "*batch query d_k"],
    key: Float[Tensor, "*batch key d_k"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
) -> Float[Tensor, "*batch query key"]:
    """How much each query attends to each key: softmax(QKᵀ/√d_k), the first factor of
    equation 1.

    Args:
        query: what each position looks for.
        key: what each position offers to be found by.
        mask: True where a query may attend to a key.

    Returns:
        Weights of at least 0 that sum to 1 over the keys; all zeros for a query that
        may attend to nothing.
    """
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        return scores.softmax(-1)
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0)  # the softmax of a row of -inf alone is NaN


def masked_softmax(
    scores: Float[Tensor, "*batch query key"],
    mask: Bool[Tensor, "*#batch #query key"] | None,
) -> Float[Tensor, "*batch query key"]:
    """Make scores weights as ``attention_weights`` does, faster for few keys.

    On a CPU the softmax of a row that does not fill a register of 64 bytes takes
    several times longer: fill it up.
    """
    keys = scores.shape[-1]
    scores = scores if mask is None else scores.where(mask, -math.inf)
    room = (
        max(0, 64 // scores.element_size() - keys) if scores.device.type == "cpu" else 0
    )
    filled = F.pad(scores, (0, room), value=-math.inf) if room else scores
    weights = filled.softmax(-1)[..., :keys]
    return weights if mask is None else weights.where(mask, 0.0)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch query d_k"],
    key: Float[Tensor, "*batch key d_k"],
    value: Float[Tensor, "*batch key d_v"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
    *,
    dropout: float = 0.0,
    fast: bool | None = None,
) -> Float[Tensor, "*batch query d_v"]:
    """Average the values by how well each query matches each key (equation 1).

    Args:
        query: what each position looks for.
        key: what each position offers to be found by.
        value: what each position hands over when it is attended to.
        mask: True where a query may attend to a key. A query that may attend to nothing
            gets zeros.
        dropout: share of the weights set to zero at random. The paper's text has none
            here, its code does.
        fast: compute the same in one fused call that never stores the weights; unless
            said, where ``fused_pays``.

    Raises:
        ValueError: if query and key differ in d_k, or key and value in number.
    """
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"queries have {query.shape[-1]} numbers and keys {key.shape[-1]}; a dot"
            " product needs the same d_k in both"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{key.shape[-2]} keys but {value.shape[-2]} values; each key needs one"
            " value"
        )
    if fused_pays(query, key) if fast is None else fast:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout
        )
    weights = masked_softmax(
        query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), mask
    )
    return F.dropout(weights, dropout) @ value


def fused_pays(query: Tensor, key: Tensor) -> bool:
    """Whether ``F.scaled_dot_product_attention`` is faster here: everywhere but for
    short sequences on a CPU.

    Backward its CPU kernel is slow for short sequences, most of all in 16 bits;
    tests/benchmarks/attention.py measures where the two cross.
    """
    short = 256 if query.dtype == torch.bfloat16 else 32
    return query.device.type != "cpu" or min(query.shape[-2], key.shape[-2]) > short


class AdditiveAttention(nn.Module):
    """Attention whose score is a small network: vᵀ tanh(W q + U k) (Bahdanau et al.
    2015).
    """

    def __init__(self, d_query: int, d_key: int, d_score: int) -> None:
        """Make the network.

        Args:
            d_query: width of the queries.
            d_key: width of the keys.
            d_score: width of its inner layer.
        """
        super().__init__()
        self.query = nn.Linear(d_query, d_score, bias=False)
        self.key = nn.Linear(d_key, d_score)
        self.score = nn.Linear(d_score, 1, bias=False)

    def weights(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query key"]:
        """How much each query attends to each key, as ``attention_weights`` has it with
        another score.
        """
        pairs = self.query(query).unsqueeze(-2) + self.key(key).unsqueeze(
            -3
        )  # every query beside every key
        return masked_softmax(self.score(pairs.tanh()).squeeze(-1), mask)

    def forward(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        value: Float[Tensor, "*batch key d_value"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query d_value"]:
        """Average the values by how well each query matches each key.

        Args:
            query: what each position looks for.
            key: what each position offers to be found by.
            value: what each position hands over when it is attended to.
            mask: True where a query may attend to a key. A query that may attend to
                nothing gets zeros.
        """
        return self.weights(query, key, mask) @ value


class DotProductAttention(nn.Module):
    """Attention whose score is a scaled dot product: queries and keys are projected to
    the same width first.
    """

    def __init__(self, d_query: int, d_key: int, d_score: int) -> None:
        """Make both projections, to ``d_score`` numbers, the paper's d_k."""
        super().__init__()
        self.query = nn.Linear(d_query, d_score, bias=False)
        self.key = nn.Linear(d_key, d_score, bias=False)

    def weights(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query key"]:
        """How much each query attends to each key."""
        return attention_weights(self.query(query), self.key(key), mask)

    def forward(
        self,
        query: Float[Tensor, "*batch query d_query"],
        key: Float[Tensor, "*batch key d_key"],
        value: Float[Tensor, "*batch key d_value"],
        mask: Bool[Tensor, "*#batch #query key"] | None = None,
    ) -> Float[Tensor, "*batch query d_value"]:
        """Average the values by how well each query matches each key; arguments as in
        ``AdditiveAttention``.
        """
        return scaled_dot_product_attention(
            self.query(query), self.key(key), value, mask
        )


class SelfAttention(nn.Module):
    """One head of self-attention: queries, keys and values are three views of the same
    tokens (section 3.2.3).
    """

    def __init__(
        self, d_model: int, d_k: int | None = None, *, causal: bool = False
    ) -> None:
        """Make the three projections.

        Args:
            d_model: width of the tokens, and of the values.
            d_k: width of queries and keys, ``d_model`` unless said.
            causal: let no position attend to a later one.
        """
        super().__init__()
        d_k = d_k or d_model
        self.causal = causal
        self.query = nn.Linear(d_model, d_k, bias=False)
        self.key = nn.Linear(d_model, d_k, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def mask(
        self,
        x: Float[Tensor, "batch token d_model"],
        mask: Bool[Tensor, "#batch #token token"] | None = None,
    ) -> Bool[Tensor, "#batch #token token"] | None:
        """The mask in force: the caller's, and the causal one where this layer is
        causal.
        """
        if not self.causal:
            return mask
        causal = causal_mask(x.shape[1], device=x.device).unsqueeze(0)
        return causal if mask is None else causal & mask

    def weights(
        self,
        x: Float[Tensor, "batch token d_model"],
        mask: Bool[Tensor, "#batch #token token"] | None = None,
    ) -> Float[Tensor, "batch token token"]:
        """Row i: how much token i attends to each token."""
        return attention_weights(self.query(x), self.key(x), self.mask(x, mask))

    def forward(
        self,
        x: Float[Tensor, "batch token d_model"],
        mask: Bool[Tensor, "#batch #token token"] | None = None,
    ) -> Float[Tensor, "batch token d_model"]:
        """Give every token an average of all tokens' values.

        Args:
            x: the tokens' vectors.
            mask: True where a token may attend to another, for instance
                ``padding_mask(tokens)``.
        """
        return scaled_dot_product_attention(
            self.query(x), self.key(x), self.value(x), self.mask(x, mask)
        )
