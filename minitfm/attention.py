"""Attention: a dictionary lookup that can be differentiated (chapters 4 and 5)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from minitfm.masks import causal_mask, check_mask


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

    Raises:
        ValueError: if query and key differ in d_k, or the mask does not fit.
    """
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"queries have {query.shape[-1]} numbers and keys {key.shape[-1]}; "
            "a dot product needs the same d_k in both"
        )
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    return masked_softmax(scores, mask)


def masked_softmax(
    scores: Float[Tensor, "*batch query key"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
) -> Float[Tensor, "*batch query key"]:
    """Turn each query's scores into weights, zero where the mask is False.

    A masked score becomes -∞, whose exponential is 0 (section 3.2.3). The softmax of a
    row of -∞ alone is NaN: a query that may attend to nothing gets zeros instead.
    """
    if mask is None:
        return scores.softmax(-1)
    check_mask(mask, scores.shape)
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch query d_k"],
    key: Float[Tensor, "*batch key d_k"],
    value: Float[Tensor, "*batch key d_v"],
    mask: Bool[Tensor, "*#batch #query key"] | None = None,
) -> Float[Tensor, "*batch query d_v"]:
    """Average the values by how well each query matches each key (equation 1).

    Args:
        query: what each position looks for.
        key: what each position offers to be found by.
        value: what each position hands over when it is attended to.
        mask: True where a query may attend to a key. A query that may attend to nothing
            gets zeros.

    Raises:
        ValueError: if query and key differ in d_k, key and value in number, or the mask
            does not fit.
    """
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{key.shape[-2]} keys but {value.shape[-2]} values; "
            "each key needs one value"
        )
    return attention_weights(query, key, mask) @ value


class AdditiveAttention(nn.Module):
    """Attention whose score is a small network: vᵀ tanh(W q + U k) (Bahdanau et al.
    2015).
    """

    def __init__(self, d_query: int, d_key: int, d_score: int) -> None:
        """Make the network, ``d_score`` numbers wide inside."""
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
        """How much each query attends to each key."""
        # every query beside every key: (..., query, 1, d) + (..., 1, key, d)
        pairs = self.query(query).unsqueeze(-2) + self.key(key).unsqueeze(-3)
        scores = self.score(torch.tanh(pairs)).squeeze(-1)
        return masked_softmax(scores, mask)

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
        return self.weights(query, key, mask) @ value


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
            d_k: width of queries and keys, ``d_model`` unless given.
            causal: let no position attend to a later one.
        """
        super().__init__()
        d_k = d_k or d_model
        self.causal = causal
        self.query = nn.Linear(d_model, d_k, bias=False)
        self.key = nn.Linear(d_model, d_k, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def weights(
        self,
        x: Float[Tensor, "batch token d_model"],
        mask: Bool[Tensor, "#batch #token token"] | None = None,
    ) -> Float[Tensor, "batch token token"]:
        """Row i: how much token i attends to each token."""
        if mask is not None:
            check_mask(mask, torch.Size((len(x), x.shape[1], x.shape[1])))
        if self.causal:
            causal = causal_mask(x.shape[1], device=x.device)
            mask = causal if mask is None else causal & mask
        return attention_weights(self.query(x), self.key(x), mask)

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
        return self.weights(x, mask) @ self.value(x)
