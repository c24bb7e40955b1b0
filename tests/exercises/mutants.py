"""Mistakes that nobody wrote down: every small change of a reference's source, made by machine."""

import ast
import copy
from collections import Counter
from collections.abc import Iterator

OPERATORS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
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
    "sum": ("mean",),
    "mean": ("sum", "amax"),
    "softmax": ("log_softmax",),
    "sin": ("cos",),
    "cos": ("sin",),
    "tril": ("triu",),
    "all": ("any",),
    "argmax": ("argmin",),
    "relu": ("abs", "sigmoid"),
    "square": ("abs",),
    "sqrt": ("exp",),
    "exp": ("expm1",),
    "log": ("sqrt",),
    "stack": ("cat",),
    "ones": ("zeros",),
}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Every change of one place: (what was changed, the whole source with it)."""
    tree = ast.parse(source)
    seen, labels = {ast.unparse(tree)}, Counter[str]()
    for function in [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name != "__init__"
    ]:
        for node in _body(function):
            for change in _changes(node, function):
                text = ast.unparse(_with(tree, node, change))
                if text not in seen:
                    seen.add(text)
                    label = f"{_short(node)} -> {_short(change)}"
                    labels[label] += 1
                    yield (
                        f"{label} (#{labels[label]})" if labels[label] > 1 else label,
                        text,
                    )


def _short(node: ast.AST) -> str:
    text = (
        f"if {ast.unparse(node.test)}"
        if isinstance(node, ast.If)
        else " ".join(ast.unparse(node).split())
    )
    return text if len(text) < 60 else f"{text[:40]} … {text[-15:]}"


def _with(tree: ast.Module, old: ast.AST, new: ast.AST) -> ast.Module:
    class Copy(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if node is old:
                return new
            node = copy.copy(node)
            for field, value in ast.iter_fields(node):
                if isinstance(value, list):
                    setattr(
                        node,
                        field,
                        [
                            self.visit(item) if isinstance(item, ast.AST) else item
                            for item in value
                        ],
                    )
                elif isinstance(value, ast.AST):
                    setattr(node, field, self.visit(value))
            return node

    return ast.fix_missing_locations(Copy().visit(tree))


def _body(function: ast.FunctionDef) -> list[ast.AST]:
    """The nodes that run: neither annotations, nor the docstring, nor what only raises."""
    found: list[ast.AST] = [
        node for default in function.args.defaults for node in ast.walk(default)
    ]

    def enter(node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.expr_context | ast.operator | ast.cmpop):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        found.append(node)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        enter(child)

    for statement in function.body:
        enter(statement)
    return found


def _names(function: ast.FunctionDef) -> list[str]:
    arguments = [
        argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)
    ]
    stored = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return [name for name in dict.fromkeys(arguments + stored) if name != "self"]


def _changes(node: ast.AST, function: ast.FunctionDef) -> Iterator[ast.AST]:
    make = type(node)
    if isinstance(node, ast.BinOp):
        for operator in OPERATORS.get(type(node.op), ()):
            yield ast.BinOp(node.left, operator(), node.right)
        yield from (node.left, node.right)
        if not isinstance(
            node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr
        ):  # those may be turned round
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [operator()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(
            OPERATORS[type(node.op)][0]() if type(node.op) in OPERATORS else ast.And(),
            node.values,
        )
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield make(ast.Constant(True), node.body, node.orelse)
        yield make(ast.Constant(False), node.body, node.orelse)
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _numbers(node.value))
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Slice):
        yield from (
            ast.Slice(node.lower, None, node.step),
            ast.Slice(None, node.upper, node.step),
        )
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        names = _names(function)
        if node.id in names:
            yield from (
                ast.Name(other, ast.Load()) for other in names if other != node.id
            )
    elif (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and isinstance(node.ctx, ast.Load)
    ):
        yield from _siblings(node, function)
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
        yield ast.Pass()
    elif isinstance(node, ast.Return):
        yield ast.Return(ast.Name(_names(function)[0], ast.Load()))
    elif isinstance(node, ast.For):
        yield make(node.target, node.iter, [*node.body, ast.Break()], [])
        yield make(
            node.target,
            ast.Call(ast.Name("reversed", ast.Load()), [node.iter], []),
            node.body,
            [],
        )


def _numbers(value: object) -> tuple[object, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1, 2 * value, -value)
    return (value * 2, value / 10, 0.0) if isinstance(value, float) else ()


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Attribute):
        for name in METHODS.get(node.func.attr, ()):
            yield ast.Call(
                ast.Attribute(node.func.value, name, ast.Load()),
                node.args,
                node.keywords,
            )
        if not (
            isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("torch", "F", "math", "nn")
        ):
            yield node.func.value
    for i in range(len(node.args) - 1):
        swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
        yield ast.Call(node.func, swapped, node.keywords)
    if node.args:
        yield ast.Call(node.func, node.args[:-1], node.keywords)
        yield node.args[0]
    for i in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])


def _siblings(node: ast.Attribute, function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Other attributes of the same object that the function uses: self.key for self.query."""
    used = [
        other.attr
        for other in ast.walk(function)
        if isinstance(other, ast.Attribute)
        and isinstance(other.value, ast.Name)
        and other.value.id == node.value.id
    ]
    if node.value.id not in ("torch", "F", "math", "nn"):
        yield from (
            ast.Attribute(node.value, name, ast.Load())
            for name in dict.fromkeys(used)
            if name != node.attr
        )
