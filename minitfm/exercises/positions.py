"""Exercises of chapter 7: sinusoids, adding them, and rotary positions."""

from collections.abc import Callable

from torch import Tensor

from minitfm import positional
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter("positions", asks="sinusoids add_positions rotary")
progress = chapter.progress


def _tables(draw: Draw) -> list[Case]:
    length, pairs = draw.sizes("length pairs").values()
    sizes = {"length": length, "d_model": 2 * pairs}
    return [
        Case((length, 2 * pairs), note="with the default base", sizes=sizes),
        Case((9, 6), note="with the default base", sizes={"length": 9, "d_model": 6}),
        Case((5, 8, 101.0), note="with base = 101", sizes={"length": 5, "d_model": 8}),
        Case((1, 4), note="with one position", sizes={"length": 1, "d_model": 4}),
        Case(
            (6000, 4), note="with 6000 positions", sizes={"length": 6000, "d_model": 4}
        ),
    ]


sinusoids = Exercise(
    chapter,
    "sinusoids",
    difficulty=3,
    minutes=12,
    doc="-> (length, d_model), torch.float64",
    solution="""def sinusoids(length, d_model, base=10_000.0):
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    frequency = torch.exp(-math.log(base) * torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)""",
    package=positional.sinusoids,
    special=_tables,
    axes="length d_model",
    mistakes="""
halves instead of pairs: torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1) => torch.cat([angle.sin(), angle.cos()], dim=1)
exponent i instead of 2i: torch.arange(0, d_model, 2, dtype=torch.float64) => torch.arange(d_model // 2, dtype=torch.float64)
exponent 2i for column 2i: / d_model) => * 2 / d_model)
a frequency for every column: torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1) => torch.stack([angle.sin(), (position * frequency * base ** (-1 / d_model)).cos()], dim=-1).flatten(1)
counted from 1: torch.arange(length, dtype=torch.float64) => torch.arange(1, length + 1, dtype=torch.float64)
sine and cosine exchanged: [angle.sin(), angle.cos()] => [angle.cos(), angle.sin()]
frequency upside down: -math.log(base) => math.log(base)
divided by d/2 − 1: / d_model) => / max(1, d_model - 2))
base ignored: math.log(base) => math.log(10_000)
only sines: angle.cos() => angle.sin()
in float32: torch.float64 => torch.float32
computed in float32: torch.float64 => torch.float32
+ .flatten(1) => .flatten(1).double()
π inside: angle = position * frequency => angle = 2 * math.pi * position * frequency
""",
)


def add_positions_reference(x: Tensor, start: int = 0) -> Tensor:
    """The package's `SinusoidalPositions` as a function."""
    return positional.SinusoidalPositions(x.shape[-1])(x, start)


def _later(*shape: int) -> Callable[[Draw], list[Case]]:
    """Calls at later positions, and on another device."""

    def special(draw: Draw) -> list[Case]:
        x = draw.normal(*shape)
        return [
            Case((x, 3), (), "from position 3"),
            Case((x, 6000), (), "from position 6000"),
            Case((x.float(), 2), (), "from position 2, in float32"),
            Case((x,), (), "on another device", device="meta"),
        ]

    return special


add_positions = Exercise(
    chapter,
    "add_positions",
    difficulty=2,
    minutes=6,
    doc="x (batch, token, d_model) -> (batch, token, d_model)",
    solution="""def add_positions(x, start=0):
    batch, token, d_model = x.shape
    table = sinusoids(start + token, d_model)
    return x + table[start:].to(x)""",
    package=add_positions_reference,
    names={"sinusoids": positional.sinusoids},
    inputs=lambda draw, batch, token, pairs: (draw.normal(batch, token, 2 * pairs),),
    sizes="batch token pairs",
    special=_later(4, 3, 6),
    axes="batch token d_model",
    mistakes="""
start ignored: table[start:] => table[:token]
counted from 1: sinusoids(start + token, d_model) => sinusoids(start + token + 1, d_model)[1:]
multiplied: x + table => x * table
type of the table: .to(x) =>
table not moved with the device: .to(x) => .to(x.dtype)
positions along the batch: batch, token, d_model = x.shape => token, batch, d_model = x.shape
+ .to(x) => .to(x).unsqueeze(1)
positions only: return x + table[start:].to(x) => return table[start:].to(x).expand_as(x)
scaled here: return x +␣ => return x * math.sqrt(d_model) +␣
written into x: return x + table[start:].to(x) => x += table[start:].to(x)⏎    return x
same position for all: table[start:] => table[start : start + 1]
""",
)


def rotary_reference(x: Tensor, start: int = 0) -> Tensor:
    """The package's `RotaryPositions` as a function."""
    return positional.RotaryPositions(x.shape[-1])(x, start)


rotary = Exercise(
    chapter,
    "rotary",
    difficulty=4,
    minutes=20,
    doc="x (batch, heads, token, d_k) -> (batch, heads, token, d_k)",
    solution="""def rotary(x, start=0):
    token, d_k = x.shape[-2:]
    table = sinusoids(start + token, d_k)[start:].to(x)
    sin, cos = table[:, 0::2], table[:, 1::2]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2)""",
    package=rotary_reference,
    names={"sinusoids": positional.sinusoids},
    inputs=lambda draw, batch, heads, token, pairs: (
        draw.normal(batch, heads, token, 2 * pairs),
    ),
    sizes="batch heads token pairs",
    special=_later(2, 4, 3, 6),
    axes="batch heads token d_k",
    mistakes="""
turned backwards: even * cos - odd * sin, even * sin + odd * cos => even * cos + odd * sin, odd * cos - even * sin
halves instead of pairs: even, odd = x[..., 0::2], x[..., 1::2] => even, odd = x.chunk(2, -1)
+ torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1) => torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
+ turned.flatten(-2) => turned
pairs torn apart: torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1) => torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
+ turned.flatten(-2) => turned
sine and cosine exchanged: sin, cos = table => cos, sin = table
a mirror, not a turn: even * cos - odd * sin => even * cos + odd * sin
start ignored: sinusoids(start + token, d_k)[start:] => sinusoids(token, d_k)
counted from 1: sinusoids(start + token, d_k)[start:] => sinusoids(start + token + 1, d_k)[start + 1 :]
added, not turned: return turned.flatten(-2) => return x + table
type of the table: .to(x) =>
table not moved with the device: .to(x) => .to(x.dtype)
second number forgotten: even * sin + odd * cos => odd
""",
)
