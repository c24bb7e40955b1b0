"""The shapes on the way through a model, with the axes' names: what goes into each
layer of a forward pass and what comes out.

The names are those of the signatures, such as ``Float[Tensor, "batch token d_model"]``.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import escape
from types import FrameType
from typing import Any, get_args, get_type_hints

from torch import Tensor, nn

Axis = tuple[str, int]  # its name, "" where none is known, and its size

# Hues of the axes' names, in the order of their first appearance.
HUES = (210, 25, 150, 320, 55, 270, 180, 0)


@dataclass
class Step:
    """One call on the way.

    Attributes:
        depth: how many other calls it stands in.
        name: the attribute that holds the layer, or the function's name.
        kind: the layer's class, empty for a function.
        inputs: the axes of each tensor that goes in, by parameter.
        outputs: the axes of each tensor that comes out.
        times: how often the same call, with the same shapes, follows itself.
    """

    depth: int
    name: str
    kind: str
    inputs: dict[str, list[Axis]] = field(default_factory=dict)
    outputs: list[list[Axis]] = field(default_factory=list)
    times: int = field(default=1, compare=False)

    @property
    def title(self) -> str:
        """How the step is called in the drawing."""
        if not self.kind:
            title = f"{self.name}()"
        else:
            title = f"{self.name}: {self.kind}" if self.name else self.kind
        return title if self.times == 1 else f"{title} × {self.times}"


class Trace:
    """The calls of one forward pass in their order; a notebook draws them."""

    def __init__(self, steps: list[Step]) -> None:
        """Keep the steps; one that repeats itself is kept once, and counted."""
        self.steps: list[Step] = []
        for step in steps:
            if self.steps and self.steps[-1] == step:
                self.steps[-1].times += step.times
            else:
                self.steps.append(step)

    def until(self, depth: int) -> "Trace":
        """Leave out what stands in more than ``depth`` other calls."""
        return Trace([replace(step) for step in self.steps if step.depth <= depth])

    def __repr__(self) -> str:
        titles = [f"{'  ' * step.depth}{step.title}" for step in self.steps]
        width = max((len(title) for title in titles), default=0)
        return "\n".join(
            f"{title:{width}}  {', '.join(map(_words, step.outputs))}".rstrip()
            for title, step in zip(titles, self.steps)
        )

    def _repr_html_(self) -> str:
        hues: dict[str, int] = {}
        rows = []
        for step in self.steps:
            given = "".join(
                _chips(axes, hues, name) for name, axes in step.inputs.items()
            )
            made = "".join(_chips(axes, hues) for axes in step.outputs)
            indent = f"padding-left:{0.4 + 1.1 * step.depth:.1f}em"
            rows.append(
                f'<tr><th scope="row" style="{_CELL};{indent};font-weight:400">'
                f'<code>{escape(step.title)}</code></th><td style="{_CELL}">{given}'
                f'</td><td style="{_CELL}">{made}</td></tr>'
            )
        head = "".join(
            f'<th scope="col" style="{_CELL}">{title}</th>'
            for title in ("layer or function", "goes in", "comes out")
        )
        return (
            '<div class="minitfm-trace" style="overflow-x:auto" tabindex="0"'
            ' role="region" aria-label="Shapes on the way through the model">'
            '<table style="border-collapse:collapse;font-size:.85em">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )


_CELL = "text-align:left;vertical-align:top;padding:.2em .4em;white-space:nowrap"


def _words(axes: list[Axis]) -> str:
    return f"({', '.join(f'{name} {size}'.strip() for name, size in axes)})"


def _chips(axes: list[Axis], hues: dict[str, int], parameter: str = "") -> str:
    """One tensor: its parameter, then a box for every axis, one hue a name."""
    boxes = ""
    for name, size in axes:
        hue = hues.setdefault(name, HUES[len(hues) % len(HUES)]) if name else None
        ground = "transparent" if hue is None else f"hsl({hue} 70% 50% / .16)"
        boxes += (
            f'<span style="border:1px solid hsl({hue or 0} {0 if hue is None else 50}%'
            f" 50%);background:{ground};border-radius:3px;padding:0 .3em;"
            f'margin-right:2px">{escape(f"{name} {size}".strip())}</span>'
        )
    label = f"<small>{escape(parameter)} </small>" if parameter else ""
    return f'<div style="margin:.1em 0">{label}{boxes or "one number"}</div>'


def trace(model: Callable[..., Any], *inputs: Any, **named: Any) -> Trace:
    """Call ``model`` and note the shapes of every layer, and of every function of this
    course that states its axes.

    Args:
        model: a layer, a whole model, or a function that calls some.
        inputs: what it is called with.
        named: what it is called with by name.

    Returns:
        The trace: in a notebook a table, as text the shapes of what comes out.
    """
    tracer = _Tracer()
    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        model(*inputs, **named)
    finally:
        sys.setprofile(before)
    return Trace(tracer.steps)


class _Tracer:
    """Sees every call and every return of a Python function while a model runs."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.open: list[tuple[FrameType, Step, dict[str, Any]]] = []
        self.names: dict[int, list[str]] = {}  # of tensors' axes, by the tensor's id
        self.kept: list[Tensor] = []  # an id is a tensor's own only while it lives
        self.attributes: dict[int, str] = {}  # of layers inside layers

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            function = _function(frame)
            if function is not None:
                self.enter(frame, function)
        elif event == "return" and self.open and self.open[-1][0] is frame:
            _, step, hints = self.open.pop()
            for tensor, hint in _paired(argument, hints.get("return")):
                carried = _carried(step, tuple(tensor.shape))
                self.names.setdefault(id(tensor), carried)
                step.outputs.append(self.axes(tensor, _dims(hint)))

    def enter(self, frame: FrameType, function: Callable[..., Any]) -> None:
        hints = _hints(function)
        module = _owner(frame)
        kind = ""
        name = frame.f_code.co_name
        if module is not None:
            for path, child in module.named_modules():
                last = re.search(r"[^.]*(\.\d+)?$", path)
                assert last is not None
                self.attributes.setdefault(id(child), last[0])
            if name == "forward":
                kind, name = type(module).__name__, self.attributes.get(id(module), "")
        step = Step(len(self.open), name, kind)
        code = frame.f_code
        for parameter in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            value = frame.f_locals.get(parameter)
            if isinstance(value, Tensor):
                dims = _dims(hints.get(parameter))
                step.inputs[parameter] = self.axes(value, dims)
        self.steps.append(step)
        self.open.append((frame, step, hints))

    def axes(self, tensor: Tensor, dims: str | None) -> list[Axis]:
        """Name a tensor's axes by the signature, else as they were named before."""
        shape = tuple(tensor.shape)
        known = self.names.get(id(tensor), [""] * len(shape))
        names = known if dims is None else _spread(dims, len(shape), known)
        self.names[id(tensor)] = names
        self.kept.append(tensor)
        return list(zip(names, shape))


def _owner(frame: FrameType) -> nn.Module | None:
    """The module whose method a frame runs."""
    first = frame.f_code.co_varnames[:1] if frame.f_code.co_argcount else ()
    owner = frame.f_locals.get(first[0]) if first else None
    return owner if isinstance(owner, nn.Module) else None


def _carried(step: Step, shape: tuple[int, ...]) -> list[str]:
    """The names that an axis-by-axis layer without a signature hands on: those of what
    goes in, as far as the sizes agree; a Linear's last axis is a new one.
    """
    first = next(iter(step.inputs.values()), [])
    names = [""] * len(shape)
    for place, ((name, size), now) in enumerate(zip(first, shape)):
        if size != now or (step.kind == "Linear" and place == len(shape) - 1):
            break
        names[place] = name
    return names


def _function(frame: FrameType) -> Callable[..., Any] | None:
    """The function that a frame runs, if it belongs into a drawing: a layer's forward,
    or one with named axes.
    """
    name, owner = frame.f_code.co_name, _owner(frame)
    holders = [frame.f_globals] if owner is None else map(vars, type(owner).__mro__)
    functions = [held[name] for held in holders if inspect.isfunction(held.get(name))]
    ours = [f for f in functions if inspect.unwrap(f).__code__ is frame.f_code]
    if not ours:
        return None
    found = ours[0]
    if owner is not None and name == "forward":
        return found
    if not str(frame.f_globals.get("__name__", "")).startswith("minitfm."):
        return None
    return found if any(_dims(hint) for hint in _hints(found).values()) else None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.unwrap(function))
    except Exception:  # a name in an annotation of torch's own that means nothing here
        return {}


def _dims(hint: Any) -> str | None:
    """The axes that a hint names: "batch token d_model" of a Float, or of a Float or
    None.
    """
    options = [hint, *get_args(hint)]
    return next((o.dim_str for o in options if hasattr(o, "dim_str")), None)


def _paired(value: Any, hint: Any) -> Iterator[tuple[Tensor, Any]]:
    """Each tensor of a result with the hint that belongs to it."""
    if isinstance(value, Tensor):
        yield value, hint
    elif isinstance(value, tuple):
        hints = get_args(hint)
        fitting = hints if len(hints) == len(value) else [None] * len(value)
        for part, its_hint in zip(value, fitting):
            yield from _paired(part, its_hint)


def _spread(dims: str, count: int, known: list[str]) -> list[str]:
    """Give each of ``count`` axes a name; one with a star stands for any number."""
    names = [name.strip("#_?") if name != "..." else "*" for name in dims.split()]
    starred = [place for place, name in enumerate(names) if name.startswith("*")]
    if starred:
        at = starred[0]
        extra = count - len(names) + 1
        star = names[at].strip("*#")
        spread = [known[at + i] or (star if extra == 1 else "") for i in range(extra)]
        names[at : at + 1] = spread
    if len(names) != count:
        return known
    return ["" if name.isdigit() else name for name in names]
