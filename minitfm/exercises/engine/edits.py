"""Single edits of a right answer: what a learner may have written instead, made by
machine.

A mistake that nobody wrote down is nearly always one of these, so they explain an answer
that fits no known mistake, and the tests reject each that differs from the reference.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

OPERATORS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add, ast.MatMult),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd,),
    ast.Eq: (ast.NotEq, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Gt),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.Is: (ast.IsNot,),
    ast.And: (ast.Or,),
}
METHODS = {
    "sum": ("mean", "amax"),
    "mean": ("sum", "amax"),
    "softmax": ("log_softmax", "argmax"),
    "log_softmax": ("softmax",),
    "sin": ("cos",),
    "cos": ("sin",),
    "tril": ("triu",),
    "all": ("any",),
    "argmax": ("argmin",),
    "relu": ("abs", "sigmoid", "tanh"),
    "tanh": ("sigmoid", "relu"),
    "sigmoid": ("tanh", "relu"),
    "square": ("abs",),
    "sqrt": ("exp",),
    "exp": ("expm1", "exp2"),
    "log": ("sqrt", "log2"),
    "stack": ("cat",),
    "cat": ("stack",),
    "ones": ("zeros",),
    "cross_entropy": ("nll_loss",),
}
STATEMENTS = 12  # of a source whose lines are not shown
BRIEF = 20  # characters of a piece that may be shown whole
TOKEN = re.compile(r"\w+|\s+|==|\*\*|//|[<>!]=|[^\w\s]")
NAME = re.compile(r"\w+$")
MODULES = ("torch", "F", "math", "nn")
SQUASHING = ("tanh", "sigmoid", "softmax", "relu", "exp", "sqrt", "log")

# What a learner is likeliest to have done comes first.
ORDER = (
    "another axis",
    "a step left out",
    "the mask the other way round",
    "a sign left out",
    "another function",
    "another name",
    "another order",
    "something left out",
    "another constant",
    "another operation",
    "a step done twice",
    "a line left out",
    "something added",
    "another condition",
    "another way",
)


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        kind: in words, see `ORDER`.
        start, end: which characters of the source it replaces.
        new: by what.
        was, now: the smallest piece that shows it, before and after.
        line: the line of the source in which it is; "" in a source so short that it
            would give the answer away.
        of: whose source it is.
        detached: what no gradient goes through any more, if that is all it does.
        label: both, unique in its source.
    """

    kind: str
    start: int
    end: int
    new: str
    was: str
    now: str
    line: str = ""
    of: str = "the reference"
    detached: str = ""

    @property
    def label(self) -> str:
        """The edit as one line."""
        return f"{self.was} -> {self.now}"

    def apply(self, source: str) -> str:
        """The source with the edit in it."""
        return source[: self.start] + self.new + source[self.end :]

    def __str__(self) -> str:
        if self.now == "pass":
            name, equals, _ = self.was.partition(" = ")
            return f"`{name}` left as it was" if equals else "a line left out"
        if self.now.startswith("list(") and self.now.endswith("[:1]"):
            return "the loop's first round alone (is a `return` inside the loop?)"
        turned = exchanged(self.was, self.now)
        if turned and len(self.was) > BRIEF:
            return f"numbers {turned[0]} and {turned[1]} exchanged"
        if self.line:
            told = f"`{_short(self.now)}` where {self.of} has `{_short(self.was)}`"
            return told if self.line == self.was else f"{told}, in `{self.line}`"
        was, now = fragments(self.was, self.now)
        if not re.search(r"\w", was + now):
            was, now = "", self.now
        if not now:
            brief = len(was) <= BRIEF
            return f"`{was}` left out" if brief else f"`{_short(self.now)}` alone"
        if not was or len(was) > BRIEF:
            return f"`{_short(now)}`"
        return f"`{_short(now)}` where {self.of} has `{was}`"


def fragments(was: str, now: str) -> tuple[str, str]:
    """What differs between two pieces of code, without what they share, so that a long
    one is not given away; short ones as they are.
    """
    if len(was) <= BRIEF:
        return was, now
    if len(now) > 1 and now in was:  # an operand or a call that is missing
        before, after = was.split(now, 1)
        around = f"{before}…{after}" if before and after else f"{before}{after}"
        if not before and after.startswith("."):
            around = re.sub(r"\(.+\)$", "(…)", after)
        return around.strip(), ""
    if was in now and (head := re.match(r"[\w.]+(?=\()", was)):  # a call inside a call
        return "", now.replace(was, f"{head[0]}(…)")
    old, new = map(TOKEN.findall, (was, now))
    pairs = enumerate(zip(old, new))
    first = next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))
    ahead, old, new, behind = old[:first], old[first:], new[first:], []
    while old and new and old[-1] == new[-1]:
        behind.append(old.pop())
        new.pop()
    while ahead and not all(map(_says, [one for one in (old, new) if one])):
        piece = _last(ahead)
        old.insert(0, piece)
        new.insert(0, piece)
    for shut, opened in (")(", "]["):
        while ahead and any(one.count(shut) > one.count(opened) for one in (old, new)):
            while ahead and ahead[-1] != opened:
                ahead.pop()
            name = ahead[-2] if ahead[-2:-1] and NAME.match(ahead[-2]) else ""
            del ahead[-1 - bool(name) :]
            old.insert(0, f"{name}{opened}… ")
            new.insert(0, f"{name}{opened}… ")
    both = [one for one in (old, new) if one]
    operator = not NAME.match(both[0][-1]) and both[0][-1][-1] not in ")]"
    while behind and (operator or any(map(_open, (old, new)))):
        piece = behind.pop()
        if operator and NAME.match(piece):
            rest = "".join(reversed(behind)).lstrip()
            operator, chain = False, rest[:1] in (*".([@*/",) and rest != ""
            piece = "…" if chain else piece
        old.append(piece)
        new.append(piece)
        if piece == "…" and not any(map(_open, (old, new))):
            break
    return "".join(old).strip(), "".join(new).strip()


def _says(tokens: list[str]) -> bool:
    """Whether a piece has a name in it."""
    return any(re.match(r"[A-Za-z_]", token) for token in tokens)


def _open(tokens: list[str]) -> bool:
    """Whether a parenthesis is open at its end."""
    text = "".join(tokens)
    return any(text.count(a) > text.count(b) for a, b in ("()", "[]"))


def _last(tokens: list[str]) -> str:
    """Take the last operand or sign from a piece of code, what stands in its
    parentheses as "…".
    """
    piece = tokens.pop()
    if piece in (")", "]"):
        depth = 1
        while tokens and depth:
            one = tokens.pop()
            depth += (one in (")", "]")) - (one in ("(", "["))
        piece = f"{one}…{piece}"
        while tokens and (NAME.match(tokens[-1]) or tokens[-1] == "."):
            piece = tokens.pop() + piece
    return piece


def exchanged(was: str, now: str) -> tuple[int, int] | None:
    """Which two parts of a tuple were exchanged, counted from 1; None if none were."""
    try:
        pair = [ast.parse(text, mode="eval").body for text in (was, now)]
    except SyntaxError:
        return None
    if not all(isinstance(one, ast.Tuple) for one in pair):
        return None
    old, new = ([ast.unparse(part) for part in one.elts] for one in pair)  # type: ignore[attr-defined]
    if len(old) != len(new):
        return None
    other = [i + 1 for i, (a, b) in enumerate(zip(old, new)) if a != b]
    if len(other) != 2 or sorted(old) != sorted(new):
        return None
    return other[0], other[1]


def edits(source: str, of: str = "the reference") -> list[Edit]:
    """Every edit of one place that gives other code which compiles, likeliest first."""
    tree = ast.parse(source)
    lines = Positions(source)
    seen, found = {ast.unparse(tree)}, []
    brief = sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) <= STATEMENTS
    for body, names in _bodies(tree):
        for node, above in body:
            for kind, change in _changes(node, above, names):
                edit = _edit(kind, node, change, above, lines)
                try:
                    text = ast.unparse(ast.parse(edit.apply(source)))
                except SyntaxError:
                    continue
                if text not in seen:
                    seen.add(text)
                    line = "" if brief else edit.line
                    found.append(replace(edit, of=of, line=line))
    return sorted(found, key=lambda edit: ORDER.index(edit.kind))


class Positions:
    """Where a node stands in the text."""

    def __init__(self, source: str) -> None:
        """Note where each line begins."""
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """First character, and the one behind the last."""
        ends = ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
        start, end = (self._at(line, column) for line, column in ends)
        return start, end

    def _at(self, line: int, column: int) -> int:
        begin = self.starts[line - 1]
        text = self.source[begin : self.starts[line]]
        return begin + len(text.encode()[:column].decode())


Where = tuple[ast.AST, ...]


def _bodies(
    tree: ast.Module,
) -> Iterator[tuple[list[tuple[ast.AST, Where]], list[str]]]:
    """The nodes that run in each function, with those above them, and the names that the
    function knows; a script without a function is its own.
    """
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name != "__init__"
    ]
    bodies: list[ast.FunctionDef | ast.Module] = [*functions] or [tree]
    for function in bodies:
        found: list[tuple[ast.AST, Where]] = []
        if isinstance(function, ast.FunctionDef):
            for default in function.args.defaults:
                _enter(default, (function,), found)
        for statement in function.body:
            _enter(statement, (function,), found)
        yield found, _names(function)


def _enter(node: ast.AST, above: Where, found: list[tuple[ast.AST, Where]]) -> None:
    """Neither annotations, nor the docstring, nor what only raises, is entered."""
    quiet = ast.Raise | ast.expr_context | ast.operator | ast.cmpop | ast.unaryop
    if isinstance(node, quiet | ast.JoinedStr):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if hasattr(node, "lineno"):
        found.append((node, above))
    if _negative(node):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                _enter(child, (*above, node), found)


def _negative(node: ast.AST) -> bool:
    """Whether it is a negative number, which the grammar takes for an operation."""
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    )


def _names(function: ast.FunctionDef | ast.Module) -> list[str]:
    arguments = (
        [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]
        if isinstance(function, ast.FunctionDef)
        else []
    )
    stored = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    names = dict.fromkeys(arguments + stored)
    return [name for name in names if name not in ("self", "_")]


def _edit(
    kind: str, node: ast.AST, change: ast.AST, above: Where, lines: Positions
) -> Edit:
    start, end = lines.span(node)
    new = ast.unparse(change)
    loose = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.keyword, ast.Call)
    binds = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Lambda)
    direct = isinstance(above[-1], loose) and node is not getattr(above[-1], "func", 0)
    if isinstance(change, binds) and not direct:
        new = f"({new})"
    was, now = _shown(node, change, above, lines)
    begin = lines.source.rfind("\n", 0, start) + 1
    line = _short(lines.source[begin:].partition("\n")[0])
    detached = ast.unparse(node) if new.endswith(".detach()") else ""
    return Edit(kind, start, end, new, was, now, line, detached=detached)


def _shown(
    node: ast.AST, change: ast.AST, above: Where, lines: Positions
) -> tuple[str, str]:
    """The smallest piece around an edit that says something, before and after."""
    whole: ast.AST = node
    telling = (ast.Call, ast.BinOp, ast.Compare, ast.Subscript, ast.stmt, ast.Tuple)
    rest = list(above)
    while not isinstance(whole, telling) and rest and hasattr(rest[-1], "lineno"):
        whole = rest.pop()
    if isinstance(whole, ast.FunctionDef):
        whole = node
    start, end = lines.span(whole)
    inner = lines.span(node)
    receiver = getattr(getattr(whole, "func", None), "value", None)
    if receiver is not None and not isinstance(receiver, ast.Name):
        behind = lines.span(receiver)[1]
        dot = lines.source.index(".", behind)
        if dot < inner[0]:  # of a chain of calls its last one alone
            start = dot + 1
    text = lines.source[start:end]
    now = text[: inner[0] - start] + ast.unparse(change) + text[inner[1] - start :]
    return " ".join(text.split()), " ".join(now.split())


def _short(text: str) -> str:
    """A piece of code in one line, not too long."""
    text = " ".join(text.split())
    return text if len(text) <= 72 else f"{text[:40]} … {text[-28:]}"


def _changes(
    node: ast.AST, above: Where, names: list[str]
) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield from _operations(node)
    elif isinstance(node, ast.UnaryOp) and _negative(node):
        assert isinstance(node.operand, ast.Constant)
        yield from _constants(node, -node.operand.value, above)  # type: ignore[operator]
    elif isinstance(node, ast.UnaryOp):
        inverts = isinstance(node.op, ast.Invert | ast.Not)
        kind = "the mask the other way round" if inverts else "a sign left out"
        yield kind, node.operand
    elif isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), ()):
            change = ast.Compare(node.left, [operator()], node.comparators)
            yield "another condition", change
    elif isinstance(node, ast.BoolOp):
        operator = OPERATORS.get(type(node.op), (ast.And,))[0]
        yield "another condition", ast.BoolOp(operator(), node.values)
        for value in node.values:
            yield "something left out", value
    elif isinstance(node, ast.IfExp):
        yield "something left out", node.body
        yield "something left out", node.orelse
    elif isinstance(node, ast.Constant):
        yield from _constants(node, node.value, above)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield "a step left out", node.value
    elif isinstance(node, ast.Slice):
        yield "something left out", ast.Slice(node.lower, None, node.step)
        yield "something left out", ast.Slice(None, node.upper, node.step)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from _replaced(node, above, names)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from _attributes(node, above)
    elif isinstance(node, ast.Tuple):
        yield from _tuples(node)
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
        yield "a line left out", ast.Pass()
    elif isinstance(node, ast.Return) and names:
        yield "a step left out", ast.Return(ast.Name(names[0], ast.Load()))
    if node is getattr(above[-1], "test", None):
        yield "another condition", ast.Constant(True)
        yield "another condition", ast.Constant(False)
    if isinstance(above[-1], ast.For) and node is above[-1].iter:
        first = ast.Slice(None, ast.Constant(1), None)
        turned = _call("reversed", _call("list", node))
        yield "another order", turned
        yield "a step left out", ast.Subscript(_call("list", node), first, ast.Load())
    if isinstance(above[-1], ast.Return) and not isinstance(node, ast.Tuple):
        yield "something added", _method(node, "squeeze")
        yield "something added", _method(node, "detach")


def _call(name: str, *args: ast.AST) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])  # type: ignore[arg-type]


def _method(node: ast.AST, name: str, *args: ast.AST) -> ast.Call:
    return ast.Call(ast.Attribute(node, name, ast.Load()), list(args), [])  # type: ignore[arg-type]


def _operations(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    yield "something left out", node.left
    yield "something left out", node.right
    for operator in OPERATORS.get(type(node.op), ()):
        yield "another operation", ast.BinOp(node.left, operator(), node.right)
    turned = ast.BinOp(node.right, node.op, node.left)
    if not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield "another order", turned
    if isinstance(node.op, ast.Add):
        yield "a step done twice", ast.BinOp(node, ast.Add(), node.left)
        yield "a step done twice", ast.BinOp(node, ast.Add(), node.right)
    products = ast.Mult | ast.MatMult
    left, sums = node.left, isinstance(node.op, ast.Add | ast.Sub)
    if sums and isinstance(left, ast.BinOp) and isinstance(left.op, products):
        # f * c + i * g as f * (c + i * g)
        inner = ast.BinOp(left.right, node.op, node.right)
        yield "another order", ast.BinOp(left.left, left.op, inner)


def _constants(
    node: ast.AST, value: object, above: Where
) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(value, bool):
        yield "another constant", ast.Constant(not value)
    elif isinstance(value, int):
        axis = _is_axis(node, above)
        kind = "another axis" if axis else "another constant"
        several = (-1, -2, 0, 1, 2) if axis else ()
        subtracted = isinstance(above[-1], ast.BinOp) and node is above[-1].right
        for other in (*several, value + 1, value - 1, 2 * value, -value):
            if other != value and not (subtracted and other < 0):
                yield kind, ast.Constant(other)
    elif isinstance(value, float):
        for number in (value * 2, float(f"{value / 10:.12g}"), 0.0):
            yield "another constant", ast.Constant(number)


def _is_axis(node: ast.AST, above: Where) -> bool:
    one = above[-1]
    if isinstance(one, ast.keyword):
        return one.arg in ("dim", "axis")
    if not isinstance(one, ast.Call) or not isinstance(one.func, ast.Attribute):
        return False
    first = node is one.args[0] if one.args else False
    if one.func.attr in ("chunk", "split", "unflatten"):
        return not first
    return one.func.attr not in ("arange", "full", "view", "reshape", "clamp", "range")


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    of_module = (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in MODULES
    )
    if isinstance(function, ast.Attribute):
        for other in METHODS.get(name, ()):
            renamed = ast.Attribute(function.value, other, ast.Load())
            renamed_call = ast.Call(renamed, node.args, node.keywords)
            yield "another function", renamed_call
        if not of_module:
            yield "a step left out", function.value
        if name in SQUASHING and not of_module:
            again = ast.Attribute(node, name, ast.Load())
            yield "a step done twice", ast.Call(again, node.args, node.keywords)
        if name == "softmax":
            yield "another function", _method(function.value, "sigmoid")
    if name in SQUASHING and of_module and node.args:
        twice = ast.Call(function, [node, *node.args[1:]], node.keywords)
        yield "a step done twice", twice
    for i in range(len(node.args) - 1):
        swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
        yield "another order", ast.Call(function, swapped, node.keywords)
    if node.args and (of_module or isinstance(function, ast.Name)):
        yield "a step left out", node.args[0]
    if node.args:
        fewer = ast.Call(function, node.args[:-1], node.keywords)
        yield "something left out", fewer
    for i in range(len(node.keywords)):
        kept = node.keywords[:i] + node.keywords[i + 1 :]
        yield "something left out", ast.Call(function, node.args, kept)


def _replaced(
    node: ast.Name, above: Where, names: list[str]
) -> Iterator[tuple[str, ast.AST]]:
    if node.id not in names:
        return
    for other in names:
        if other != node.id:
            yield "another name", ast.Name(other, ast.Load())
    if "mask" in node.id or node.id in ("real", "done", "seen"):
        flipped = ast.UnaryOp(ast.Invert(), node)
        yield "the mask the other way round", flipped
    if isinstance(above[-1], ast.BinOp | ast.Call):
        yield "something added", _method(node, "detach")
    if isinstance(above[-1], ast.BinOp) and isinstance(above[-1].op, ast.MatMult):
        yield "something added", ast.Attribute(node, "T", ast.Load())


def _attributes(node: ast.Attribute, above: Where) -> Iterator[tuple[str, ast.AST]]:
    if node.attr in ("T", "mT", "data"):
        yield "a step left out", node.value
    if not isinstance(node.value, ast.Name) or node.value.id in MODULES:
        return
    function = above[0]
    used = [
        other.attr
        for other in ast.walk(function)
        if isinstance(other, ast.Attribute)
        and isinstance(other.value, ast.Name)
        and other.value.id == node.value.id
    ]
    for name in dict.fromkeys(used):
        if name != node.attr:
            yield "another name", ast.Attribute(node.value, name, ast.Load())


def _tuples(node: ast.Tuple) -> Iterator[tuple[str, ast.AST]]:
    if len(node.elts) > 6 or any(isinstance(one, ast.Slice) for one in node.elts):
        return
    for i in range(len(node.elts)):
        for j in range(i + 1, len(node.elts)):
            moved = list(node.elts)
            moved[i], moved[j] = moved[j], moved[i]
            yield "another order", ast.Tuple(moved, node.ctx)
