"""Who may attend to whom (chapters 3 and 5).

A mask is boolean, and True means "may attend", everywhere in this package and as in
``torch.nn.functional.scaled_dot_product_attention``. Masks combine with ``&``.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def check_mask(mask: Tensor, shape: torch.Size) -> None:
    """Refuse a mask that would be misread.

    Args:
        mask: what a caller gave.
        shape: of the scores, one for each query and key: (..., query, key).

    Raises:
        ValueError: if the mask is not boolean, or does not broadcast to the scores.
    """
    if mask.dtype != torch.bool:
        raise ValueError(
            f'the mask is {mask.dtype}, but True must mean "may attend" and False '
            "that it may not: give a boolean mask, for instance mask == 1"
        )
    queries, keys = shape[-2:]
    try:
        fits = torch.broadcast_shapes(mask.shape, shape) == shape
    except RuntimeError:
        fits = False
    if not fits or mask.dim() < 2:
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} does not fit {queries} queries and "
            f"{keys} keys, scores of shape {tuple(shape)}; a mask over the keys "
            "alone, (batch, key), needs an axis for the queries: mask.unsqueeze(1)"
        )


def padding_mask(
    tokens: Int[Tensor, "batch key"], pad: int = 0
) -> Bool[Tensor, "batch 1 key"]:
    """Hide the padding: True for each real token.

    Args:
        tokens: token ids, filled up to one length with ``pad``.
        pad: the id of the padding symbol.

    Returns:
        True where a token is real. The middle axis is for attention (chapter 5): every
        query may attend to the same keys, the real tokens.
    """
    return (tokens != pad).unsqueeze(1)


def causal_mask(
    query: int, key: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "query key"]:
    """Hide the future: a position may attend to itself and to what came before (section
    3.2.3).

    Args:
        query: number of queries.
        key: number of keys, as many as queries unless said. With more keys, the queries
            are the last ones, so the last query always sees every key: this is what a
            decoder with a cache needs.
        device: where the mask is made.

    Raises:
        ValueError: if there are fewer keys than queries.
    """
    key = query if key is None else key
    if key < query:
        raise ValueError(
            f"{query} queries and {key} keys: in a causal mask the queries are the last"
            " of the keys, so there must be at least as many keys as queries"
        )
    return torch.ones(query, key, dtype=torch.bool, device=device).tril(key - query)
