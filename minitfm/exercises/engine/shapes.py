"""What a stub's docstring says about shapes: ``x (batch, token, d_model), mask (batch,
token) or None -> (batch, d_model)``.
"""

import ast
import re
from dataclasses import dataclass

SHAPE = re.compile(
    r"(?P<names>[A-Za-z_]\w*(?:(?:, | and )[A-Za-z_]\w*)*) \((?P<axes>[^()]*)\)"
    r"(?P<optional> or None)?(?P<about>, (?:whole numbers|True)\b)?"
)


@dataclass(frozen=True)
class Shape:
    """The shape of one tensor.

    Attributes:
        name: of the argument or result; "" where it has none.
        axes: one word or product a dimension, such as ``4 * d_hidden``.
        kind: "number", "whole" or "true" (a mask).
        optional: None may stand in its place.
    """

    name: str
    axes: tuple[str, ...]
    kind: str = "number"
    optional: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The axes' names in it."""
        return tuple(re.findall(r"[A-Za-z_]\w*", ", ".join(self.axes)))

    def sizes(self, of: dict[str, int]) -> tuple[int, ...]:
        """The shape in numbers."""
        return tuple(_computed(axis, of) for axis in self.axes)


def _computed(axis: str, of: dict[str, int]) -> int:
    return int(eval(compile(axis, "<axis>", "eval"), {"__builtins__": {}}, dict(of)))


def shapes(text: str) -> tuple[list[Shape], list[Shape]]:
    """The shapes of the arguments and of the results that a docstring names."""
    given, _, made = text.partition("->")
    results = re.findall(r"\(([^()]*)\)", " ".join(made.split()))
    return _read(given), [Shape("", _axes(axes)) for axes in results]


def _read(text: str) -> list[Shape]:
    found = []
    for match in SHAPE.finditer(" ".join(text.split())):
        axes = _axes(match["axes"])
        if not all(_is_size(axis) for axis in axes):
            continue
        about = match["about"] or ""
        told = "whole" if "whole" in about else "true" if "True" in about else "number"
        for name in re.split(r", | and ", match["names"]):
            kind = "true" if name.endswith("mask") else told
            found.append(Shape(name, axes, kind, bool(match["optional"])))
    return found


def _axes(text: str) -> tuple[str, ...]:
    words = [axis.strip() for axis in text.split(",") if axis.strip()]
    pairs = [("batch", "token") if axis == "…" else (axis,) for axis in words]
    return tuple(word for pair in pairs for word in pair)


def _is_size(axis: str) -> bool:
    try:
        tree = ast.parse(axis, mode="eval")
    except SyntaxError:
        return False
    allowed = (ast.Expression, ast.BinOp, ast.Mult, ast.Add, ast.Sub, ast.Name)
    allowed += (ast.Load, ast.Constant)  # type: ignore[assignment]
    return all(isinstance(node, allowed) for node in ast.walk(tree))
