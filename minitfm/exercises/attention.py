"""Exercises of chapter 4: the weights of attention, and scaled dot-product
attention.
"""

from typing import Any

import torch

from minitfm import attention
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake


def lookups(draw: Draw, values: bool = True) -> list[Case]:
    """Queries, keys and perhaps values: without a mask, with masks, with large scores,
    and in float32.
    """

    def case(
        note: str, mask: str = "", grad: bool = False, keys: int = 0, **options: Any
    ) -> Case:
        sizes = draw.sizes("batch query key d_k d_v")
        sizes["key"] = keys or sizes["key"]
        batch, query, key, d_k, d_v = sizes.values()
        args: tuple[torch.Tensor, ...] = (
            draw.normal(batch, query, d_k, **options),
            draw.normal(batch, key, d_k, **options),
        )
        if values:
            args += (draw.normal(batch, key, d_v, **options),)
        if mask:
            args += (draw.mask(batch, query, key, empty=mask == "empty"),)
        return Case(args, note=note, sizes=sizes, grad=grad)

    return [
        case("without a mask"),
        case("with a mask", "some"),
        case("with a mask that leaves a query nothing", "empty"),
        case("with scores in the hundreds", spread=25.0),
        case("with scores in the hundreds and a mask", "some", spread=25.0),
        case("in float32", "some", dtype=torch.float32),
        case("with one key", "some", keys=1),
        case("gradients, without a mask", grad=True),
        case("gradients, with a mask", "some", grad=True),
    ]


MISTAKES = (
    mistake(
        "no scaling",
        """Your scores are not scaled. The dot product of d_k unit-variance numbers has variance d_k (footnote 4),
        which drives the softmax to where its gradient vanishes: divide `query @ key.transpose(-2, -1)` by √d_k,
        `query.shape[-1] ** 0.5` (eq. 1).""",
        (" / math.sqrt(d_k)", ""),
    ),
    mistake(
        "scaled by d_k",
        """You divide the scores by d_k. Their standard deviation is √d_k, not d_k (footnote 4), so eq. 1 divides by
        the root: `/ math.sqrt(d_k)`.""",
        ("/ math.sqrt(d_k)", "/ d_k"),
    ),
    mistake(
        "multiplied by the root",
        """You multiply the scores by √d_k; eq. 1 divides by it, to bring their variance from d_k back to 1.""",
        ("/ math.sqrt(d_k)", "* math.sqrt(d_k)"),
    ),
    mistake(
        "scaled by the number of keys",
        """You scale by the number of keys, `key.shape[-2]`. What makes dot products large is the number of products in
        the sum, d_k = `query.shape[-1]` (eq. 1 and footnote 4).""",
        ("math.sqrt(d_k)", "math.sqrt(key.shape[-2])"),
    ),
    mistake(
        "softmax over the queries",
        """Your weights sum to 1 over the queries (dim −2), not over the keys. Each query distributes its attention
        over all keys, so every **row** of the weights must sum to 1: softmax over the last dimension (eq. 1).""",
        ("softmax(-1)", "softmax(-2)"),
    ),
    mistake(
        "softmax over the batch",
        """Your softmax runs over dim 0, the batch: the sentences of a batch compete with each other. Each query
        distributes its attention over its own keys: softmax over the last dimension (eq. 1).""",
        ("softmax(-1)", "softmax(0)"),
    ),
    mistake(
        "no softmax",
        """The softmax is missing: you use the scores themselves as weights. Weights must be at least 0 and sum to 1
        over the keys; eq. 1 takes `softmax(-1)` of the scaled scores.""",
        (".softmax(-1)", ""),
    ),
    mistake(
        "mask inverted",
        """Your mask works the wrong way round: it hides the keys that may be attended to. Here True means "may
        attend", as in `F.scaled_dot_product_attention`; what must go to −∞ is where the mask is **False** (section
        3.2.3).""",
        ("scores.where(mask,", "scores.where(~mask,"),
        ("weights.where(mask,", "weights.where(~mask,"),
    ),
    mistake(
        "mask ignored",
        """Your function ignores its mask. Where the mask is False the score must be −∞ before the softmax, so that the
        weight is 0 (section 3.2.3).""",
        ("if mask is None:", "if True:"),
    ),
    mistake(
        "NaN where nothing may be attended to",
        """A query that may attend to nothing gives NaN: the softmax of a row of −∞ alone is 0/0. In this course such a
        query gets zeros: after the softmax, set the weights to 0 where the mask is False.""",
        ("return weights.where(mask, 0.0)", "return weights"),
    ),
    mistake(
        "uniform where nothing may be attended to",
        """A query that may attend to nothing gets the plain average of all values: with a finite number such as −1e9
        in all of a row, the softmax sees equal scores. Such a query gets zeros here: after the softmax, set the
        weights to 0 where the mask is False.""",
        ("-math.inf", "-1e9"),
        ("return weights.where(mask, 0.0)", "return weights"),
    ),
    mistake(
        "masked scores set to 0",
        """You set the masked scores to 0. That is a score like any other, and exp(0) = 1 still gets a share of the
        weight: masked scores must be −∞ before the softmax (section 3.2.3).""",
        ("scores.where(mask, -math.inf)", "scores.where(mask, 0.0)"),
        ("return weights.where(mask, 0.0)", "return weights"),
    ),
    mistake(
        "mask after the softmax",
        """You set weights to 0 after the softmax without normalizing again, so the rows with hidden keys sum to less
        than 1. Mask the **scores** with −∞ before the softmax (section 3.2.3), and the rest shares the whole
        weight.""",
        ("scores.where(mask, -math.inf).softmax(-1)", "scores.softmax(-1)"),
    ),
    mistake(
        "scaled after the softmax",
        """You divide by √d_k after the softmax, so the rows sum to 1/√d_k. The scale belongs to the scores, inside the
        softmax of eq. 1.""",
        (" / math.sqrt(d_k)", ""),
        ("softmax(-1)", "softmax(-1) / math.sqrt(d_k)"),
    ),
    mistake(
        "softmax overflows",
        """Your own softmax overflows: exp of a score in the hundreds is infinite, and ∞/∞ is NaN. Subtract each row's
        largest score first, which changes nothing in the quotient, or call `scores.softmax(-1)`.""",
        (
            "return scores.softmax(-1)",
            "return scores.exp() / scores.exp().sum(-1, keepdim=True)",
        ),
        (
            "scores.where(mask, -math.inf).softmax(-1)",
            "scores.where(mask, -math.inf).exp() / scores.where(mask, -math.inf).exp().sum(-1, keepdim=True)",
        ),
    ),
    mistake(
        "gradient cut at the weights",
        """The values are right, but your weights are detached: no gradient reaches queries and keys, so they could
        never learn what to look for. Leave out `.detach()`, `.data` or `torch.no_grad()`.""",
        (
            "d_k = query.shape[-1]",
            "d_k = query.shape[-1]; query, key = query.detach(), key.detach()",
        ),
    ),
)

WEIGHTS = """def attention_weights(query, key, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        return scores.softmax(-1)
    weights = scores.where(mask, -math.inf).softmax(-1)
    return weights.where(mask, 0.0)"""

attention_weights = Exercise(
    name="attention_weights",
    statement="Write `attention_weights(query, key, mask=None)`: the weights softmax(QKᵀ/√d_k) of eq. 1, as a "
    "tensor (batch, query, key). The mask (batch, query, key) is True where a query may attend to a key; "
    "a query that may attend to nothing gets zeros.",
    stub='''def attention_weights(query, key, mask=None):
    """query (batch, query, d_k), key (batch, key, d_k), mask (batch, query, key) or None -> (batch, query, key)"""
    raise NotImplementedError
''',
    reference=attention.attention_weights,
    source=WEIGHTS,
    cases=lambda draw: lookups(draw, values=False),
    axes=("batch", "query", "key"),
    words="query {query} gives key {key} the weight {got}, expected {want}",
    hints=(
        "Every query meets every key once: which matrix product has one entry for each such pair?",
        (
            "`query @ key.transpose(-2, -1)` has the shape (batch, query, key). Scale it by √d_k before anything else."
        ),
        (
            "Put −∞ where the mask is False, then `softmax(-1)`, then zeros where the mask is False: the last "
            "step only matters in a row that is all −∞."
        ),
    ),
    mistakes=MISTAKES,
    difficulty=2,
    minutes=10,
)

SOURCE = """def scaled_dot_product_attention(query, key, value, mask=None):
    d_k = query.shape[-1]
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        weights = scores.where(mask, -math.inf).softmax(-1)
        weights = weights.where(mask, 0.0)
    return weights @ value"""


def _for_attention(patch: tuple[str, str]) -> tuple[str, str]:
    old, new = (
        text.replace("return scores", "weights = scores").replace(
            "return weights", "weights = weights"
        )
        for text in patch
    )
    return old, new


scaled_dot_product = Exercise(
    name="scaled_dot_product",
    statement="Write `scaled_dot_product_attention(query, key, value, mask=None)`: eq. 1, the average of the values"
    " by how well each query matches each key. The mask (batch, query, key) is True where a query may "
    "attend to a key; a query that may attend to nothing gets zeros.",
    stub='''def scaled_dot_product_attention(query, key, value, mask=None):
    """query (batch, query, d_k), key (batch, key, d_k), value (batch, key, d_v) -> (batch, query, d_v)"""
    raise NotImplementedError
''',
    reference=attention.scaled_dot_product_attention,
    source=SOURCE,
    cases=lookups,
    axes=("batch", "query", "d_v"),
    words="number {d_v} of query {query}'s result is {got}, expected {want}",
    hints=(
        (
            "Three steps: how well does each query match each key, what share is that of its attention, and what "
            "do the values average to with these shares?"
        ),
        (
            "The weights are softmax(QKᵀ/√d_k) over the keys, (batch, query, key); masked scores are −∞ before "
            "the softmax."
        ),
        (
            "`weights @ value` averages; before it, set the weights to 0 where the mask is False, for the rows "
            "that were all −∞."
        ),
    ),
    mistakes=(
        *(
            mistake(one.name, one.message, *map(_for_attention, one.patches))
            for one in MISTAKES
        ),
        mistake(
            "keys averaged",
            """You average the keys. A key is what a position is found by, its value what it hands over: the weights
            multiply V, `weights @ value` (eq. 1).""",
            ("weights @ value", "weights @ key"),
        ),
        mistake(
            "queries and keys exchanged",
            """Your scores are KQᵀ, (batch, key, query): each key asks the queries. In eq. 1 each query asks the keys,
            QKᵀ: `query @ key.transpose(-2, -1)`.""",
            ("query @ key.transpose(-2, -1)", "key @ query.transpose(-2, -1)"),
            raises=True,
        ),
        mistake(
            "values summed without weights",
            """Every query gets the plain average of all values: your weights do not reach the result. Multiply the
            values by them, `weights @ value` (eq. 1).""",
            (
                "weights @ value",
                "value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])",
            ),
        ),
    ),
    difficulty=2,
    minutes=15,
)

_chapter = Chapter("Chapter 4, attention", [attention_weights, scaled_dot_product])
progress = _chapter.progress
