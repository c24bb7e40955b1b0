"""Exercises of chapter 5: the padding mask, the causal mask, self-attention."""

from typing import Any

import torch

from minitfm import attention, masks
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.source import live


def _tokens(draw: Draw) -> list[Case]:
    cases = []
    for pad in (None, 0, 3):
        sizes = draw.sizes("batch key")
        tokens = draw.tokens(sizes["batch"], sizes["key"] + 2, pad=pad or 0)
        sizes["key"] += 2
        note = "with the default pad" if pad is None else f"with pad = {pad}"
        cases.append(
            Case((tokens,) if pad is None else (tokens, pad), note=note, sizes=sizes)
        )
    cases.append(
        Case(
            (torch.tensor([[0, 4, 0, 5], [0, 0, 0, 0]]),),
            note="with padding in front and in between",
        )
    )
    return cases


padding_mask = Exercise(
    name="padding_mask",
    statement="Write `padding_mask(tokens, pad=0)`: a boolean mask (batch, 1, key), True where the key is a token "
    "and not padding. The middle axis broadcasts over the queries.",
    stub='''def padding_mask(tokens, pad=0):
    """tokens (batch, key), whole numbers -> (batch, 1, key), True where a key may be attended to"""
    raise NotImplementedError
''',
    reference=masks.padding_mask,
    source=live(masks.padding_mask),
    names=vars(masks),
    cases=_tokens,
    axes=("batch", "query", "key"),
    words="key {key} has {got}, expected {want}",
    hints=(
        "A comparison of a tensor with a number gives a boolean tensor of the same shape.",
        "`tokens != pad` is (batch, key). The weights are (batch, query, key): which axis is missing?",
        "`.unsqueeze(1)` adds the queries' axis, of size 1, so it broadcasts.",
    ),
    mistakes=(
        mistake(
            "inverted",
            """Your mask is True at the padding. In this course, as in `F.scaled_dot_product_attention`, True means
            "may attend": `tokens != pad`.""",
            ("tokens != pad", "tokens == pad"),
        ),
        mistake(
            "axis of the queries missing",
            """Your mask is (batch, key). Against weights (batch, query, key) it would line its batch up with the
            queries: add the queries' axis, `.unsqueeze(1)`.""",
            (".unsqueeze(1)", ""),
        ),
        mistake(
            "queries masked instead of keys",
            """Your mask is (batch, key, 1): it hides the padding's **queries** and still lets every token attend to
            padding. The new axis belongs in the middle, `.unsqueeze(1)`.""",
            (".unsqueeze(1)", ".unsqueeze(2)"),
        ),
        mistake(
            "axis in front",
            """Your mask is (1, batch, key): the batch stands where the queries belong. Add the axis in the middle,
            `.unsqueeze(1)`.""",
            (".unsqueeze(1)", ".unsqueeze(0)"),
        ),
        mistake(
            "queries masked as well",
            """Your mask is (batch, key, key) and hides the padding's queries, too. Only keys need hiding; what a
            padding query finds is ignored later. (batch, 1, key) is enough.""",
            (
                "(tokens != pad).unsqueeze(1)",
                "(tokens != pad).unsqueeze(1) & (tokens != pad).unsqueeze(2)",
            ),
        ),
        mistake(
            "pad ignored",
            """You compare with 0 always. The id of the padding is the argument `pad`, which is 0 only by default.""",
            ("tokens != pad", "tokens != 0"),
        ),
        mistake(
            "larger than pad",
            """You take every id above `pad` for a token. Ids below it are tokens, too: `!=`, not `>`.""",
            ("tokens != pad", "tokens > pad"),
        ),
        mistake(
            "numbers instead of booleans",
            """Your mask holds numbers. Masks here are boolean, so that they combine with `&` and cannot be mistaken
            for weights: leave the comparison as it is.""",
            ("(tokens != pad)", "(tokens != pad).float()"),
        ),
        mistake(
            "added to the scores",
            """You return 0 and −∞, to be added to the scores. Masks here are boolean, True where a query may attend;
            the attention makes −∞ of False itself.""",
            (
                "(tokens != pad)",
                "torch.zeros(tokens.shape).masked_fill(tokens == pad, float('-inf'))",
            ),
        ),
    ),
    difficulty=1,
    minutes=4,
)

CAUSAL = """def causal_mask(query, key=None):
    key = query if key is None else key
    return torch.ones(query, key, dtype=torch.bool).tril(key - query)"""


def _lengths(draw: Draw) -> list[Case]:
    n, more = draw.sizes("query more").values()
    squares = [
        Case((size,), note="with as many keys as queries", sizes={"query": size})
        for size in (4, n, 1)
    ]
    wide = [
        Case(
            (size, size + extra),
            note="with more keys than queries",
            sizes={"query": size, "key": size + extra},
        )
        for size, extra in ((n, more), (1, 5), (3, 0), (2, 1))
    ]
    return [*squares, *wide]


causal_mask = Exercise(
    name="causal_mask",
    statement="Write `causal_mask(query, key=None)` for two whole numbers: a boolean mask (query, key), True where "
    "a position may attend to another: to itself and to what came before (section 3.2.3). With more keys "
    "than queries, the queries are the last of the keys.",
    stub='''def causal_mask(query, key=None):
    """numbers of queries and keys (as many as queries, unless said) -> (query, key), True where attending is allowed"""
    raise NotImplementedError
''',
    reference=masks.causal_mask,
    source=CAUSAL,
    cases=_lengths,
    axes=("query", "key"),
    words="query {query} and key {key}: {got}, expected {want}",
    hints=(
        "Write the mask for three positions by hand. On which side of the diagonal is it True?",
        "`torch.ones(query, key, dtype=torch.bool).tril()` keeps the diagonal and what is below it.",
        "With more keys the last query must see all of them: `tril(key - query)` moves the diagonal to the right.",
    ),
    mistakes=(
        mistake(
            "upper triangle",
            """You keep the upper triangle: each position sees itself and the **future**. Keep the lower one, `tril`
            (section 3.2.3).""",
            (".tril(key - query)", ".triu(key - query)"),
        ),
        mistake(
            "inverted",
            """Your mask is True where attending is forbidden. True means "may attend" here, as in
            `F.scaled_dot_product_attention`; `nn.MultiheadAttention` has it the other way round.""",
            (
                "return torch.ones(query, key, dtype=torch.bool).tril(key - query)",
                "return torch.ones(query, key, dtype=torch.bool).triu(key - query + 1)",
            ),
        ),
        mistake(
            "sees the next",
            """Your mask is off by one: each position sees the next one, which is just what it has to predict. The
            diagonal itself is the last that is allowed.""",
            ("tril(key - query)", "tril(key - query + 1)"),
        ),
        mistake(
            "does not see itself",
            """Your mask is off by one: no position sees itself, and the first sees nothing at all. The diagonal is
            allowed: what it holds is the token already written (section 3.1).""",
            ("tril(key - query)", "tril(key - query - 1)"),
        ),
        mistake(
            "queries are the first",
            """With more keys than queries you take the queries for the first positions. They are the last (a decoder
            with a cache asks with its newest tokens): the last query sees every key, `tril(key - query)`.""",
            ("tril(key - query)", "tril()"),
        ),
        mistake(
            "keys ignored",
            """Your mask is (query, query) even where there are more keys; the second number says how many columns
            there are.""",
            (
                "torch.ones(query, key, dtype=torch.bool).tril(key - query)",
                "torch.ones(query, query, dtype=torch.bool).tril()",
            ),
        ),
        mistake(
            "keys by queries",
            """Your mask is (key, query). Rows are queries and columns are keys, as in the weights.""",
            ("tril(key - query)", "tril(key - query).T"),
        ),
        mistake(
            "numbers instead of booleans",
            """Your mask holds numbers. Masks here are boolean: `torch.ones(…, dtype=torch.bool)`; as numbers they
            would be added to the scores.""",
            (", dtype=torch.bool", ""),
        ),
        mistake(
            "added to the scores",
            """You return 0 and −∞, to be added to the scores. Masks here are boolean, True where a query may attend;
            the attention makes −∞ of False itself.""",
            (
                "return torch.ones(query, key, dtype=torch.bool).tril(key - query)",
                "return torch.full((query, key), -math.inf).triu(key - query + 1)",
            ),
        ),
        mistake(
            "everything allowed",
            """Your mask is True everywhere: each position sees the whole future.""",
            (".tril(key - query)", ""),
        ),
    ),
    difficulty=2,
    minutes=6,
)

SELF = """class SelfAttention(nn.Module):
    def __init__(self, d_model, d_k, causal):
        super().__init__()
        self.causal = causal
        self.query = nn.Linear(d_model, d_k, bias=False)
        self.key = nn.Linear(d_model, d_k, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, mask=None):
        if self.causal:
            causal = causal_mask(x.shape[1], device=x.device).unsqueeze(0)
            mask = causal if mask is None else causal & mask
        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)"""


class SelfAttentionReference(attention.SelfAttention):
    """The package's `SelfAttention` with the arguments of the stub, which takes them by
    place.
    """

    def __init__(self, d_model: int, d_k: int, causal: bool) -> None:
        """Make it."""
        super().__init__(d_model, d_k, causal=causal)


def _sentences(draw: Draw) -> list[Case]:
    def case(
        note: str, causal: bool, mask: str = "", grad: bool = False, **options: Any
    ) -> Case:
        sizes = draw.sizes("batch token d_model d_k")
        batch, token, d_model, d_k = sizes.values()
        args: tuple[Any, ...] = (draw.normal(batch, token, d_model, **options),)
        if mask:
            args += (draw.mask(batch, 1 if mask == "padding" else token, token),)
        return Case(args, (d_model, d_k, causal), note, sizes, grad)

    return [
        case("without masks", False),
        case("causal", True),
        case("with a padding mask", False, "padding"),
        case("with a mask (batch, token, token)", False, "full"),
        case("causal with a padding mask", True, "padding"),
        case("causal with a mask (batch, token, token)", True, "full"),
        case("in float32", True, "padding", dtype=torch.float32),
        case("gradients", False, "padding", grad=True),
    ]


MASKED = "        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)"

MASKED_LATE = """        weights = attention_weights(self.query(x), self.key(x))
        return (weights if mask is None else weights * mask) @ self.value(x)"""

self_attention = Exercise(
    name="self_attention",
    statement="Write the `forward` of `SelfAttention`: queries, keys and values are three projections of the same "
    "tokens. `mask` is (batch, token, token), (batch, 1, token) or None; where `self.causal` is True, no "
    "token may attend to a later one either. `causal_mask` and `scaled_dot_product_attention` are yours "
    "to use.",
    stub=SELF[: SELF.index("        if self.causal")]
    + '        """x (batch, token, d_model), mask True where attending is allowed -> (batch, token, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=SelfAttentionReference,
    source=SELF,
    names={
        "causal_mask": masks.causal_mask,
        "scaled_dot_product_attention": attention.scaled_dot_product_attention,
        "attention_weights": attention.attention_weights,
    },
    cases=_sentences,
    axes=("batch", "token", "d_model"),
    words="number {d_model} of token {token}'s result is {got}, expected {want}",
    hints=(
        "One call of attention with three projections of x. The rest is about the mask.",
        "Two masks hold together where both are True: `causal & mask`. And if `mask` is None?",
        "`causal_mask(x.shape[1])` is (token, token); it broadcasts against (batch, 1, token).",
    ),
    mistakes=(
        mistake(
            "causal ignored",
            """You ignore `self.causal`: every token sees the later ones. Where it is True, combine the mask with
            `causal_mask(x.shape[1])` (section 3.2.3).""",
            ("if self.causal:", "if False:"),
        ),
        mistake(
            "always causal",
            """Your layer is causal always. An encoder's self-attention looks both ways; only where `self.causal` is
            True must the future be hidden.""",
            ("if self.causal:", "if True:"),
        ),
        mistake(
            "mask ignored",
            """You do not pass the caller's mask on: tokens attend to padding. Hand it to the attention.""",
            ("causal if mask is None else causal & mask", "causal"),
            ("self.value(x), mask)", "self.value(x), mask if self.causal else None)"),
        ),
        mistake(
            "causal mask instead of the other",
            """Where the layer is causal you throw the caller's mask away, and tokens attend to padding. Both must
            hold: `causal & mask`.""",
            ("causal if mask is None else causal & mask", "causal"),
        ),
        mistake(
            "either mask suffices",
            """You join the masks with "or": what one forbids the other allows. A token may attend where **both** masks
            are True: `causal & mask`.""",
            ("causal & mask", "causal | mask"),
        ),
        mistake(
            "causal mask the wrong way round",
            """Your causal mask lets each token see itself and the future. Rows are queries: `tril`, not `triu`, and no
            transpose.""",
            (
                "causal_mask(x.shape[1], device=x.device)",
                "causal_mask(x.shape[1], device=x.device).T",
            ),
        ),
        mistake(
            "queries masked instead of keys",
            """You transpose the caller's mask: it now hides the padding's queries, and every token still attends to
            the padding's keys. The last axis of the mask is the keys'.""",
            (
                MASKED,
                "        mask = mask if mask is None or self.causal else mask.transpose(1, 2)\n"
                + MASKED,
            ),
        ),
        mistake(
            "mask after the softmax",
            """You set weights to 0 after the softmax: hidden tokens still took their share, and the rows sum to less
            than 1. Mask the scores before the softmax (section 3.2.3): pass the mask to the attention.""",
            (MASKED, MASKED_LATE),
        ),
        mistake(
            "query and key exchanged",
            """Your queries come from `self.key` and your keys from `self.query`: the weights are those of the
            transposed question. The shapes agree, so nothing complains.""",
            ("self.query(x), self.key(x)", "self.key(x), self.query(x)"),
        ),
        mistake(
            "values not projected",
            """You average x itself. What a token hands over is a projection of its own: `self.value(x)`.""",
            ("self.value(x)", "x"),
        ),
        mistake(
            "residual added",
            """You add x to the result. Self-attention returns the averages alone; the residual connection comes in
            chapter 8, around it.""",
            (
                "return scaled_dot_product_attention(",
                "return x + scaled_dot_product_attention(",
            ),
        ),
        mistake(
            "scaled by d_model",
            """Your scores are divided by √d_model. The dot product runs over d_k numbers, and eq. 1 divides by √d_k,
            the width of the **queries**.""",
            (
                "(self.query(x), self",
                "(self.query(x) * (self.query.out_features / x.shape[-1]) ** 0.5, self",
            ),
        ),
    ),
    difficulty=3,
    minutes=12,
)

_chapter = Chapter(
    "Chapter 5, self-attention", [padding_mask, causal_mask, self_attention]
)
progress = _chapter.progress
