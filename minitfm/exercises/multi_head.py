"""Exercises of chapter 6: splitting and merging heads, and multi-head attention."""

from typing import Any

import torch

from minitfm import multihead
from minitfm.attention import scaled_dot_product_attention
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake
from minitfm.exercises.engine.source import live


def _whole(draw: Draw) -> list[Case]:
    cases = []
    for dtype, grad in (
        (torch.float64, False),
        (torch.float64, True),
        (torch.float32, False),
    ):
        sizes = draw.sizes("batch token heads d_head")
        x = draw.normal(
            sizes["batch"],
            sizes["token"],
            sizes["heads"] * sizes["d_head"],
            dtype=dtype,
        )
        cases.append(Case((x, sizes["heads"]), sizes=sizes, grad=grad))
    x = draw.normal(2, 3, 8)
    cases.append(
        Case(
            (x, 1),
            note="with one head",
            sizes={"batch": 2, "token": 3, "heads": 1, "d_head": 8},
        )
    )
    cases.append(
        Case(
            (draw.normal(4, 3, 6).transpose(0, 1), 2),
            note="with a tensor that is a view",
        )
    )
    return cases


def _parts(draw: Draw) -> list[Case]:
    cases = []
    for dtype, grad in (
        (torch.float64, False),
        (torch.float64, True),
        (torch.float32, False),
    ):
        sizes = draw.sizes("batch heads token d_head")
        cases.append(
            Case((draw.normal(*sizes.values(), dtype=dtype),), sizes=sizes, grad=grad)
        )
    cases.append(
        Case(
            (draw.normal(2, 3, 4, 5).transpose(1, 2),),
            note="with a tensor that is a view",
        )
    )
    return cases


split_heads = Exercise(
    name="split_heads",
    statement="Write `split_heads(x, heads)`: from (batch, token, d_heads) to (batch, heads, token, d_head). Head h"
    " gets the h-th slice of every token's vector (Figure 2, right).",
    stub='''def split_heads(x, heads):
    """x (batch, token, heads * d_head) -> (batch, heads, token, d_head)"""
    raise NotImplementedError
''',
    reference=multihead.split_heads,
    source=live(multihead.split_heads),
    names=vars(multihead),
    cases=_whole,
    axes=("batch", "heads", "token", "d_head"),
    words="head {heads} sees number {d_head} of token {token} as {got}, expected {want}",
    hints=(
        (
            "Write down the numbers 0 to 5 of one token and cut them for two heads: [0 1 2] and [3 4 5]. Which "
            "axis was cut?"
        ),
        "First cut the last axis in two, (batch, token, heads, d_head); then move `heads` before `token`.",
        "`x.view(batch, token, heads, d_head)` and then `.transpose(1, 2)`.",
    ),
    mistakes=(
        mistake(
            "view without the transpose",
            """A plain `view` to (batch, heads, token, d_head) cuts the **tokens** into groups: your head 0 gets all
            of the first tokens and none of the last. Cut the last axis, `view(batch, token, heads, d_head)`, and
            then `transpose(1, 2)` (Figure 2).""",
            (
                "x.view(batch, token, heads, d_heads // heads).transpose(1, 2)",
                "x.reshape(batch, heads, token, d_heads // heads)",
            ),
        ),
        mistake(
            "heads stay behind the tokens",
            """Your heads stand behind the tokens, (batch, token, heads, d_head): attention would then run over the
            heads of one token. Move them forward with `.transpose(1, 2)`.""",
            (".transpose(1, 2)", ""),
        ),
        mistake(
            "every other number",
            """Your head h takes the numbers h, h + heads, h + 2·heads … of each vector. A head gets one slice in a
            row, as the concatenation of section 3.2.2 has it: `view(batch, token, heads, d_head)`, heads first.""",
            (
                "x.view(batch, token, heads, d_heads // heads).transpose(1, 2)",
                "x.reshape(batch, token, d_heads // heads, heads).permute(0, 3, 1, 2)",
            ),
        ),
        mistake(
            "head size for head count",
            """You exchanged the number of heads and their width: `heads` is how many there are, d_heads // heads
            how wide each is (section 3.2.2: d_k = d_model/h).""",
            (
                "x.view(batch, token, heads, d_heads // heads)",
                "x.reshape(batch, token, d_heads // heads, heads)",
            ),
        ),
        mistake(
            "token and width exchanged",
            """Your last two axes are (d_head, token): the transpose took the wrong pair. `transpose(1, 2)`
            exchanges token and heads, and leaves each head's vectors whole.""",
            (".transpose(1, 2)", ".permute(0, 2, 3, 1)"),
        ),
        mistake(
            "heads in the batch",
            """You put the heads in front of the batch. The axes are (batch, heads, token, d_head): `transpose(1,
            2)`, not `permute(2, 0, 1, 3)`.""",
            (".transpose(1, 2)", ".permute(2, 0, 1, 3)"),
        ),
        mistake(
            "every head the whole vector",
            """Every head of yours sees the whole vector. Heads share it: each gets d_heads // heads numbers, which
            is why h heads cost no more than one (section 3.2.2).""",
            (
                "x.view(batch, token, heads, d_heads // heads).transpose(1, 2)",
                "x.unsqueeze(1).expand(batch, heads, token, d_heads)",
            ),
        ),
    ),
    difficulty=2,
    minutes=8,
)

merge_heads = Exercise(
    name="merge_heads",
    statement="Write `merge_heads(x)`, the inverse of `split_heads`: from (batch, heads, token, d_head) back to "
    "(batch, token, heads · d_head), the heads' results side by side: Concat(head_1 … head_h).",
    stub='''def merge_heads(x):
    """x (batch, heads, token, d_head) -> (batch, token, heads * d_head)"""
    raise NotImplementedError
''',
    reference=multihead.merge_heads,
    source=live(multihead.merge_heads),
    names=vars(multihead),
    cases=_parts,
    axes=("batch", "token", "d_heads"),
    words="number {d_heads} of token {token} is {got}, expected {want}",
    hints=(
        "Undo `split_heads` step by step, the last step first.",
        "`transpose(1, 2)` brings (batch, token, heads, d_head); now the last two axes are to become one.",
        "After a transpose the numbers are not in one row of memory: `reshape` copies them where `view` refuses.",
    ),
    mistakes=(
        mistake(
            "reshape without the transpose",
            """You reshape (batch, heads, token, d_head) without moving the heads: one token's vector then holds
            pieces of several tokens. `transpose(1, 2)` first.""",
            ("x.transpose(1, 2).reshape", "x.reshape"),
        ),
        mistake(
            "view after the transpose",
            """`view` cannot merge axes that a transpose has torn apart in memory. Use `reshape`, or `.contiguous()`
            before `view`.""",
            ("x.transpose(1, 2).reshape(", "x.transpose(1, 2).view("),
            raises=True,
        ),
        mistake(
            "numbers interleaved",
            """You interleave the heads: number 0 of every head, then number 1 … Concat(head_1 … head_h) puts the
            whole of head 1 first (section 3.2.2): heads before d_head in the reshape.""",
            ("x.transpose(1, 2)", "x.permute(0, 2, 3, 1)"),
        ),
        mistake(
            "heads summed",
            """You add the heads up. Concatenated they keep apart what each found, and W^O decides how to mix it
            (section 3.2.2).""",
            ("x.transpose(1, 2).reshape(batch, token, heads * d_head)", "x.sum(1)"),
        ),
        mistake(
            "heads averaged",
            """You average over the heads. Concatenated they keep apart what each found, and W^O decides how to mix
            it (section 3.2.2).""",
            ("x.transpose(1, 2).reshape(batch, token, heads * d_head)", "x.mean(1)"),
        ),
        mistake(
            "heads not merged",
            """The transpose is right, but the last two axes are still apart: `reshape(batch, token, heads *
            d_head)`.""",
            (".reshape(batch, token, heads * d_head)", ""),
        ),
        mistake(
            "tokens merged",
            """You lay the **tokens** of a head side by side. Each token must get the results of all heads: bring
            token before heads, then merge heads and d_head.""",
            (
                "x.transpose(1, 2).reshape(batch, token, heads * d_head)",
                "x.reshape(batch, heads, token * d_head)",
            ),
        ),
    ),
    difficulty=2,
    minutes=6,
)

SOURCE = """class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(self, query, key, value, mask=None):
        q = split_heads(self.query(query), self.heads)
        k = split_heads(self.key(key), self.heads)
        v = split_heads(self.value(value), self.heads)
        if mask is not None:
            mask = mask.unsqueeze(1)
        result = scaled_dot_product_attention(q, k, v, mask)
        return self.output(merge_heads(result))"""


def _attention(draw: Draw) -> list[Case]:
    def case(
        note: str,
        mask: str = "",
        grad: bool = False,
        dtype: torch.dtype = torch.float64,
        **same: Any,
    ) -> Case:
        sizes = draw.sizes("batch heads d_head query key")
        sizes.update(same)
        batch, heads, d_head, query, key = (
            sizes[name] for name in ("batch", "heads", "d_head", "query", "key")
        )
        d_model = heads * d_head
        args: tuple[Any, ...] = tuple(
            draw.normal(batch, n, d_model, dtype=dtype) for n in (query, key, key)
        )
        if mask:
            shape = {"padding": (batch, 1, key), "causal": (1, query, key)}.get(
                mask, (batch, query, key)
            )
            args += (draw.mask(*shape, empty=mask == "empty"),)
        return Case(args, (d_model, heads), note, {**sizes, "d_model": d_model}, grad)

    return [
        case("without a mask"),
        case("with a mask (batch, query, key)", "full"),
        case("with a mask that leaves a query nothing", "empty"),
        case("with a padding mask (batch, 1, key)", "padding"),
        case("with a mask (1, query, key)", "causal"),
        case("with as many heads as sentences", "full", heads=3, batch=3),
        case("in float32", "full", dtype=torch.float32),
        case("gradients", "full", grad=True),
    ]


STUB = SOURCE[: SOURCE.index("        q = ")]

multi_head = Exercise(
    name="multi_head",
    statement="Write the `forward` of `MultiHeadAttention`: attend in every head's own space, concatenate, project "
    "(section 3.2.2). The mask is (batch, query, key), or has 1 where it broadcasts, and holds for every "
    "head. Leave `__init__` as it is; `split_heads`, `merge_heads` and `scaled_dot_product_attention` are"
    " yours to use.",
    stub=STUB
    + '        """(batch, query, d_model), 2 × (batch, key, d_model), mask -> (batch, query, d_model)"""\n'
    "        raise NotImplementedError\n",
    reference=multihead.MultiHeadAttention,
    source=SOURCE,
    names={
        "split_heads": multihead.split_heads,
        "merge_heads": multihead.merge_heads,
        "scaled_dot_product_attention": scaled_dot_product_attention,
    },
    cases=_attention,
    axes=("batch", "query", "d_model"),
    words="number {d_model} of query {query}'s result is {got}, expected {want}",
    hints=(
        "Project first, then split: the four steps are project, attend in every head, concatenate, project again.",
        (
            "With axes (batch, heads, token, d_head) one call of attention serves all heads, since it works on "
            "the last two axes."
        ),
        (
            "The mask lacks the heads' axis: `mask.unsqueeze(1)` makes it (batch, 1, query, key). End with "
            "`self.output`."
        ),
    ),
    mistakes=(
        mistake(
            "output projection missing",
            """You return the concatenated heads. The paper projects them once more, Concat(head_1 … head_h)W^O:
            without `self.output` the heads' results never mix (section 3.2.2).""",
            ("self.output(merge_heads(result))", "merge_heads(result)"),
        ),
        mistake(
            "view without the transpose",
            """Your heads are scrambled: a plain `view` to (batch, heads, token, d_head) gives each head some of the
            **tokens** instead of a slice of every token's vector. Cut the last axis, then `transpose(1, 2)`
            (Figure 2).""",
            (
                "split_heads(self.query(query), self.heads)",
                "cut(self.query(query), self.heads)",
            ),
            (
                "split_heads(self.key(key), self.heads)",
                "cut(self.key(key), self.heads)",
            ),
            (
                "split_heads(self.value(value), self.heads)",
                "cut(self.value(value), self.heads)",
            ),
            (
                "class MultiHead",
                "def cut(x, heads):\n    return x.reshape(len(x), heads, x.shape[1], -1)\n\n\nclass MultiHead",
            ),
        ),
        mistake(
            "not merged by heads",
            """You reshape (batch, heads, token, d_head) to (batch, token, d_model) without moving the heads back: a
            token gets pieces of other tokens' results. `transpose(1, 2)` first, as in `merge_heads`.""",
            ("merge_heads(result)", "result.reshape(query.shape)"),
        ),
        mistake(
            "scaled by d_model",
            """Your scores are divided by √d_model. Each head's dot product runs over d_k = d_model/heads numbers,
            so eq. 1 divides by √d_k of the **head**, `q.shape[-1]`.""",
            (
                "scaled_dot_product_attention(q, k, v, mask)",
                "scaled_dot_product_attention(q / math.sqrt(self.heads), k, v, mask)",
            ),
        ),
        mistake(
            "heads averaged",
            """Your heads are averaged, and the average repeated. Concatenate them instead, `merge_heads`: only side
            by side can W^O weigh what each head found (section 3.2.2).""",
            (
                "merge_heads(result)",
                "merge_heads(result.mean(1, keepdim=True).expand_as(result))",
            ),
        ),
        mistake(
            "heads summed",
            """Your heads are added up, and the sum repeated. Concatenate them instead, `merge_heads`: only side by
            side can W^O weigh what each head found (section 3.2.2).""",
            (
                "merge_heads(result)",
                "merge_heads(result.sum(1, keepdim=True).expand_as(result))",
            ),
        ),
        mistake(
            "mask not over the heads",
            """The mask is not broadcast over the heads: against scores (batch, heads, query, key) a mask (batch,
            query, key) lines its **batch** up with the heads. Give it the missing axis: `mask.unsqueeze(1)`.""",
            ("mask = mask.unsqueeze(1)", "mask = mask"),
            raises=True,
        ),
        mistake(
            "mask ignored",
            """Your layer takes a mask and does not pass it on: every query attends to everything, padding and
            future included. Hand it to the attention, with an axis for the heads: `mask.unsqueeze(1)`.""",
            ("(q, k, v, mask)", "(q, k, v)"),
        ),
        mistake(
            "one head",
            """You attend once over the whole width: the heads are never split, so there is one weighting where the
            paper has h (section 3.2.2). Cut queries, keys and values with `split_heads`.""",
            (
                "split_heads(self.query(query), self.heads)",
                "split_heads(self.query(query), 1)",
            ),
            ("split_heads(self.key(key), self.heads)", "split_heads(self.key(key), 1)"),
            (
                "split_heads(self.value(value), self.heads)",
                "split_heads(self.value(value), 1)",
            ),
        ),
        mistake(
            "keys from the query",
            """You project `query` to make the keys: that is self-attention only. In section 3.2.2 the keys are
            K·W^K, made from the `key` that comes in, which in the decoder is the encoder's output.""",
            ("self.key(key)", "self.key(query)"),
            ("self.value(value)", "self.value(query)"),
            raises=True,
        ),
        mistake(
            "values from the wrong projection",
            """You use the key projection for the values: `self.value` is never called. Each of query, key and value
            has a matrix of its own (section 3.2.2).""",
            ("self.value(value)", "self.key(value)"),
        ),
        mistake(
            "query and key projections exchanged",
            """Your queries go through `self.key` and your keys through `self.query`. The shapes agree, so nothing
            complains, but W^Q belongs to the queries (section 3.2.2).""",
            ("self.query(query)", "self.key(query)"),
            ("self.key(key)", "self.query(key)"),
        ),
        mistake(
            "values from the keys",
            """You take the values from `key`, not from `value`. Here the two may differ: project the third input
            with `self.value`.""",
            ("self.value(value)", "self.value(key)"),
        ),
    ),
    difficulty=3,
    minutes=20,
)

_chapter = Chapter(
    "Chapter 6, multi-head attention", [split_heads, merge_heads, multi_head]
)
progress = _chapter.progress
