"""What the likeliest exceptions mean: torch says what it could not do, a learner wants to
know why.
"""

import re
from typing import Any

from torch import Tensor, nn

from minitfm.exercises.engine.draw import Case
from minitfm.exercises.engine.observe import code_of
from minitfm.exercises.engine.run import Raised

# (what the exception's text matches, what to say; {0} is its first group)
CAUSES = (
    (
        r"unexpected keyword argument '(attn_mask|key_padding_mask|need_weights|is_causal)'",
        (
            "`{0}` is an argument of `nn.MultiheadAttention`. The attention of this course takes (query, key, value, "
            "mask), and its `mask` is True where a query may look."
        ),
    ),
    (
        r"unexpected keyword argument '(\w+)'",
        (
            "`{0}=…` is how an argument that may be left out is handed over: keep its name as it stands in the stub."
        ),
    ),
    (
        r"maximum recursion depth",
        "It calls its own name. Was another function meant, with a name much like it?",
    ),
    (
        r"'Tensor' object is not callable",
        (
            "A tensor is called like a function. Where a function is asked for, hand over the function itself, or "
            "`lambda y: …`, and not what it returns."
        ),
    ),
    (
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        (
            "({0}, {1}) @ ({2}, {3}) does not fit: the last size on the left must be the first on the right. For inputs "
            "in rows W x is `x @ w.T`, or `F.linear(x, w)`."
        ),
    ),
    (
        r"Expected size for first two dimensions of batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]",
        (
            "The left factor's rows have {0} numbers, the right factor's columns {1}: in a product of matrices, the last size "
            "on the left must be the last but one on the right."
        ),
    ),
    (
        r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)",
        (
            "A matrix ({1}, {2}) and a vector ({3}) do not fit: the formula has columns, a batch has rows. In rows W x is "
            "`x @ w.T`."
        ),
    ),
    (
        r"Expected target size|multi-target not supported|expected target.*size|Expected input batch_size",
        (
            "`F.cross_entropy` wants (rows, classes) and (rows): flatten batch and token of the logits, "
            "`logits.flatten(0, 1)`, and the target, `target.flatten()`. Left as they are it takes axis 1, the tokens, for "
            "the classes."
        ),
    ),
    (
        r"Boolean value of Tensor with more than one value is ambiguous",
        (
            "`if`, `while`, `and`, `or` and `not` want one True or False, and this tensor has many. Work on all of them at "
            "once with `torch.where`, `&`, `|` and `~`, or say `.all()` or `.any()`."
        ),
    ),
    (
        r"view size is not compatible",
        (
            "`view` cannot merge axes of a tensor that is itself a view, sliced or transposed: `reshape` copies where it "
            "must."
        ),
    ),
    (
        r"must match the size of tensor b \(0\)|size of tensor a \(0\) must match",
        "One of the two is empty: a slice that begins beyond the end has no rows left. Is a table too short?",
    ),
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        "On axis {2} a size of {0} meets one of {1}, and neither is 1.",
    ),
    (
        r"Expected parameter probs .* constraint Simplex",
        "`Categorical` wants probabilities that sum to 1, and a row of zeros does not.",
    ),
    (
        r"'PackedSequence' object",
        (
            "A packed sequence is how `torch.nn` leaves padding out. The networks of this course take the plain tensor and "
            "the mask: `network(x, mask)`."
        ),
    ),
    (
        r"'NoneType' object",
        "Something is None here: an argument that may be left out, or the result of a function without `return`.",
    ),
    (
        r"not enough values to unpack \(expected (\d+), got (\d+)\)|too many values to unpack",
        "On the left stand more or fewer names than there are things on the right.",
    ),
    (
        r"not implemented for '(?:Float|Double)'|bitwise_not|only implemented on integer and Boolean",
        "`~`, `&` and `|` are for booleans, and this tensor holds numbers: compare first, or `.bool()`.",
    ),
    (
        r"same dtype|expected scalar type|dtype .* (?:Float|Double)|Found dtype",
        (
            "float32 meets float64: a tensor or layer that you made yourself has another type than the inputs. Make it "
            "like them, `x.new_zeros(…)` or `.to(x)`; a layer of your own has its own weights, too, where the given ones "
            "are asked for."
        ),
    ),
    (
        r"Dimension out of range \(expected to be in range of \[-(\d+), (\d+)\], but got (-?\d+)\)",
        "There is no axis {2}: this tensor has {0}, counted from 0 to {1}, or from the end, −1 to −{0}.",
    ),
    (
        r"shape '(\[[^']*\])' is invalid for input of size (\d+)",
        "{1} numbers cannot be laid out as {0}: the product of the sizes must be {1}.",
    ),
    (
        r"too many indices for tensor of dimension (\d+)",
        "More indices than axes: this tensor has {0}.",
    ),
    (
        r"(?:only one element tensors|a Tensor with \d+ elements) (?:can|cannot) be converted",
        "This makes one Python number of a tensor that holds many.",
    ),
    (
        r"index (-?\d+) is out of (?:bounds|range)",
        "There is no entry number {0}: entries are counted from 0, so the last one is one less than the size.",
    ),
    (
        r"[Ss]izes of tensors must match|stack expects each tensor to be equal size",
        "The tensors to be joined have different sizes: one of the rounds made another shape than the others.",
    ),
    (
        r"expected a non-empty list|stack expects a non-empty",
        "The list to be joined is empty: the loop had no round, or nothing was appended.",
    ),
    (
        r"does not require grad",
        "The gradient was asked of something that is cut off its inputs (`.detach()`, `.item()`, `torch.tensor(…)`).",
    ),
    (
        r"'tuple' object has no attribute|'tuple' object is not callable|tuple indices must be",
        "This is a pair or a longer tuple: unpack it first, `output, state = …`.",
    ),
    (
        r"expected .*(?:Long|Int|indices)",
        "Ids must be whole numbers, and these are not: `.long()`.",
    ),
    (
        r"not on the expected device|to be on the same device",
        "A tensor that you made yourself stays on the CPU, the inputs are on another device: `.to(x)`, or `device=x.device`.",
    ),
    (
        r"unsupported operand type.*'(?:function|method|builtin_function_or_method|Sublayer)'",
        "A function itself stands where what it returns should: call it, `f(x)`.",
    ),
    (
        r"referenced before assignment|cannot access local variable '(\w+)'|cannot access free variable",
        "A variable is read before it has got a value.",
    ),
)


def cause(error: Raised, case: Case) -> str:
    """What an exception means, in words; "" for one that nobody has foreseen."""
    bare = case.note.startswith(("without", "gradients, without"))
    if bare and "NoneType" in error.text:
        return f"{case.note[:1].upper()}{case.note[1:]}, the argument is None."
    for pattern, told in CAUSES:
        found = re.search(pattern, error.text)
        if found:
            groups = [group or "" for group in found.groups()]
            told = told.format(*groups) + _sizes(pattern, found, case)
            return told + _unpacked(error) if "unpack" in error.text else told
    return ""


def _unpacked(error: Raised) -> str:
    """Why the count is another one, as far as the line tells."""
    if "chunk" in error.line or "split" in error.line:
        return " `chunk` and `split` cut the batch, axis 0, unless you say `dim=1`."
    return " A pair inside a pair has parentheses of its own: `output, (h, c) = …`."


def _sizes(pattern: str, found: re.Match[str], case: Case) -> str:
    """Whose sizes met."""
    if not pattern.startswith("size of tensor"):
        return ""
    names = [
        next((name for name, size in case.sizes.items() if str(size) == got), "")
        for got in found.groups()[:2]
    ]
    return f" ({names[0]} meets {names[1]}.)" if all(names) else ""


def outsider(answer: Any, inputs: list[str]) -> str:
    """That a function reads a tensor or number of the notebook instead of an input, with
    its name; "" if it reads none.
    """
    code = code_of(answer)
    function = getattr(answer, "forward", answer)
    space = getattr(function, "__globals__", {})
    for name in code.co_names if code else ():
        value = space.get(name)
        if isinstance(value, bool) or not isinstance(
            value, Tensor | nn.Module | int | float
        ):
            continue
        mine = next((one for one in inputs if one.lower() == name.lower()), "")
        if mine:
            return (
                f"Your function reads `{name}`, a variable of the notebook, where its input is `{mine}`: capital and "
                "small letters are different names."
            )
        if isinstance(value, Tensor | nn.Module):
            return (
                f"Your function reads `{name}`, a variable of the notebook and none of its inputs "
                f"({', '.join(inputs)}): it has the value that stands there, whatever it is called with."
            )
    return ""
