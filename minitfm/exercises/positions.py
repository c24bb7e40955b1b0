"""Exercises of chapter 7: slow hands, positions in a padded batch, a head that looks
back, two conventions for rotary pairs, a bias for each distance; the page's own
functions.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minitfm import positional
from minitfm.exercises.engine.answer import Answer
from minitfm.exercises.engine.chapter import Chapter, load, save
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import plugged

__all__ = ["chapter", "load", "plugged", "progress", "save"]

chapter = Chapter(
    "positions",
    asks="slow_pairs add_positions positions_of look_back to_halves relative_bias",
)
progress = chapter.progress


def _slow() -> int:
    """Counted on the package's table: its cosines have not come round to 1 again."""
    cosines = positional.sinusoids(1001, 128)[:, 1::2]
    rising = (cosines[1:] > cosines[:-1]).cummax(0).values
    turned = (rising & (cosines[1:] < cosines[:-1])).any(0)
    return int((~turned).sum())


slow_pairs = Answer(
    chapter,
    "slow_pairs",
    difficulty=1,
    minutes=5,
    solution="""d_model, positions = 128, 1000
wavelengths = [
    2 * math.pi * 10_000 ** (2 * i / d_model) for i in range(d_model // 2)
]
answer = sum(length > positions for length in wavelengths)""",
    package=_slow,
    wrong={
        "the fast ones": 36,
        "columns": 56,
        "2π forgotten": 15,
        "2π forgotten, and one more": 16,
        "exponent i instead of 2i": 0,
        "one pair too many": 29,
        "one pair too few": 27,
        "the last that turns": 35,
        "all of them": 64,
        "2π forgotten, the fast ones": 49,
        "2π forgotten, the fast ones, one less": 48,
        "divided by 64": 46,
        "half a turn": 23,
        "2π on the wrong side": 3,
    },
)


def _padded(draw: Draw) -> list[Case]:
    cases = []
    for pad in (None, 0, 3):
        sizes = draw.sizes("batch token")
        tokens = draw.tokens(sizes["batch"], sizes["token"] + 2, pad=pad or 0).flip(1)
        sizes["token"] += 2
        note = "with padding in front" if pad is None else f"with pad = {pad}"
        cases.append(
            Case((tokens,) if pad is None else (tokens, pad), note=note, sizes=sizes)
        )
    rows = torch.tensor([[0, 4, 0, 5, 6], [0, 0, 0, 0, 0], [7, 8, 9, 0, 0]])
    cases.append(Case((rows,), note="with padding in between, behind and only padding"))
    return cases


def _counted(tokens: Tensor, pad: int = 0) -> Tensor:
    """One token after the other."""
    found = torch.zeros_like(tokens)
    for row, place in (tokens != pad).nonzero().tolist():
        found[row, place] = (tokens[row, :place] != pad).sum()
    return found


positions_of = Exercise(
    chapter,
    "positions_of",
    difficulty=2,
    minutes=8,
    doc="""tokens (batch, token), whole numbers
-> (batch, token), whole numbers
""",
    solution="""def positions_of(tokens, pad=0):
    real = tokens != pad
    return (real.cumsum(1) - 1) * real""",
    package=_counted,
    inputs=lambda draw, batch, token: (draw.tokens(batch, token).flip(1),),
    sizes="batch token",
    special=_padded,
    axes="batch token",
    gradients=False,
    mistakes="""
counted from 1: (real.cumsum(1) - 1) * real => real.cumsum(1) * real
padding counted: return (real.cumsum(1) - 1) * real => return torch.arange(tokens.shape[1]) * real
places, padding included: return (real.cumsum(1) - 1) * real => return torch.arange(tokens.shape[1]).expand(tokens.shape)
padding left below 0: (real.cumsum(1) - 1) * real => real.cumsum(1) - 1
padding goes on: (real.cumsum(1) - 1) * real => (real.cumsum(1) - 1).clamp(min=0)
along the batch: real.cumsum(1) => real.cumsum(0)
pad ignored: tokens != pad => tokens != 0
padding for real: tokens != pad => tokens == pad
one count for the whole batch: real.cumsum(1) => real.flatten().cumsum(0).view(tokens.shape)
padding moved to the end: return (real.cumsum(1) - 1) * real => return torch.arange(tokens.shape[1]) * (torch.arange(tokens.shape[1]) < real.sum(1, keepdim=True))
counted from 1, padding too: (real.cumsum(1) - 1) * real => real.cumsum(1)
from the first token on: return (real.cumsum(1) - 1) * real => return (torch.arange(tokens.shape[1]) - real.int().argmax(1, keepdim=True)).clamp(min=0)
all padding taken off: return (real.cumsum(1) - 1) * real => return (torch.arange(tokens.shape[1]) - (~real).sum(1, keepdim=True)).clamp(min=0)
shifted by the last row's padding: return (real.cumsum(1) - 1) * real => return (torch.arange(tokens.shape[1]) - (~real[-1]).sum()) * real
padding counted before each: (real.cumsum(1) - 1) * real => (~real).cumsum(1) * real
from the end: real.cumsum(1) => real.flip(1).cumsum(1).flip(1)
stopped at the first padding: return (real.cumsum(1) - 1) * real => real = real.cumprod(1)⏎    return (real.cumsum(1) - 1) * real
padding gets 1: return (real.cumsum(1) - 1) * real => return ((real.cumsum(1) - 1) * real).masked_fill(~real, 1)
padding in between counted: return (real.cumsum(1) - 1) * real => return (torch.arange(tokens.shape[1]) - real.int().argmax(1, keepdim=True)) * real
all padding of the batch: return (real.cumsum(1) - 1) * real => return torch.arange(tokens.shape[1]) - (~real).sum()
shifted by the first row's padding: return (real.cumsum(1) - 1) * real => return (torch.arange(tokens.shape[1]) - (~real[0]).sum()).clamp(min=0).expand(tokens.shape)
""",
)


def _looks(draw: Draw) -> list[Case]:
    calls: list[tuple[float, ...]] = [
        (6, 1),
        (8, 3),
        (4, -2),
        (2, 1),
        (6, 0),
        (8, 2, 101.0),
        (10, 5000),
    ]
    notes = ["", "", "with a negative back", "with one pair", "with back = 0"]
    return [
        Case(args, note=note or f"with back = {args[1]:g}", sizes={})
        for args, note in zip(calls, [*notes, "with base = 101", ""])
    ]


def _solved(d_model: int, back: int, base: float = 10_000.0) -> Tensor:
    """The only matrix that does it, from the package's table by least squares."""
    late = abs(back)
    table = positional.sinusoids(64 * d_model + 2 * late, d_model, base)
    now = table[late : len(table) - late]
    then = table[late - back : len(table) - late - back]
    return torch.linalg.lstsq(now, then).solution.T


look_back = Exercise(
    chapter,
    "look_back",
    difficulty=3,
    minutes=15,
    doc="-> (d_model, d_model), torch.float64",
    solution="""def look_back(d_model, back, base=10_000.0):
    pair = torch.arange(0, d_model, 2, dtype=torch.float64)
    angle = back * base ** (-pair / d_model)
    sin, cos = angle.sin(), angle.cos()
    blocks = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)
    return torch.block_diag(*blocks)""",
    package=_solved,
    special=_looks,
    axes="row column",
    gradients=False,
    mistakes="""
looks ahead: [cos, -sin, sin, cos] => [cos, sin, -sin, cos]
a mirror: [cos, -sin, sin, cos] => [cos, sin, sin, cos]
a mirror, the other one: [cos, -sin, sin, cos] => [-cos, sin, sin, cos]
halves instead of pairs: return torch.block_diag(*blocks) => order = torch.cat([torch.arange(0, d_model, 2), torch.arange(1, d_model, 2)])⏎    return torch.block_diag(*blocks)[order][:, order]
exponent i instead of 2i: torch.arange(0, d_model, 2, dtype=torch.float64) => torch.arange(d_model // 2, dtype=torch.float64)
exponent 2i for column 2i: -pair / d_model => -2 * pair / d_model
one angle for all: angle = back * base ** (-pair / d_model) => angle = torch.full_like(pair, back)
back ignored: angle = back * => angle =
a shift of labels: return torch.block_diag(*blocks) => return torch.eye(d_model, dtype=torch.float64).roll(back, 0).tril(-1)
a shift of labels, the other way: return torch.block_diag(*blocks) => return torch.eye(d_model, dtype=torch.float64).roll(-back, 0).triu(1)
base ignored: back * base => back * 10_000.0
frequency upside down: (-pair / d_model) => (pair / d_model)
sine and cosine exchanged: sin, cos = angle.sin(), angle.cos() => cos, sin = angle.sin(), angle.cos()
in float32: return torch.block_diag(*blocks) => return torch.block_diag(*blocks).float()
computed in float32: dtype=torch.float64 => dtype=torch.float32
+ torch.block_diag(*blocks) => torch.block_diag(*blocks).double()
always forward: back * base => -abs(back) * base
always back: back * base => abs(back) * base
the identity: return torch.block_diag(*blocks) => return torch.eye(d_model, dtype=torch.float64)
zeros: return torch.block_diag(*blocks) => return torch.zeros(d_model, d_model, dtype=torch.float64)
a shift of labels, as a diagonal: return torch.block_diag(*blocks) => return torch.diag(torch.ones(d_model - abs(back), dtype=torch.float64), -back)
a shift of labels, as the other diagonal: return torch.block_diag(*blocks) => return torch.diag(torch.ones(d_model - abs(back), dtype=torch.float64), back)
the row itself: return torch.block_diag(*blocks) => return torch.stack([angle.abs().sin(), cos], dim=-1).flatten()
degrees: angle = back * => angle = math.pi / 180 * back *
2π inside: angle = back * => angle = 2 * math.pi * back *
sines left out: [cos, -sin, sin, cos] => [cos, 0 * sin, 0 * sin, cos]
both signs minus: [cos, -sin, sin, cos] => [cos, -sin, -sin, cos]
blocks one row apart: return torch.block_diag(*blocks) => W = torch.zeros(d_model, d_model, dtype=torch.float64)⏎    for i, block in enumerate(blocks):⏎        W[i : i + 2, i : i + 2] = block⏎    return W
whole division: -pair / d_model => -pair // d_model
later rows not looked at: back * base => max(back, 0) * base
exponents that reach 1: -pair / d_model => -pair / max(1, d_model - 2)
the table itself: return torch.block_diag(*blocks) => place = torch.arange(d_model, dtype=torch.float64).unsqueeze(1)⏎    angle = place * base ** (-pair / d_model)⏎    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
scaled by the root: return torch.block_diag(*blocks) => return math.sqrt(d_model) * torch.block_diag(*blocks)
whole division, of back: back * base ** (-pair / d_model) => back // base ** (pair / d_model)
the row of `back`: return torch.block_diag(*blocks) => return torch.stack([sin, cos], dim=-1).flatten()
""",
)


def _row_by_row(weight: Tensor, heads: int) -> Tensor:
    """Each head's even rows, then its odd ones."""
    parts = [torch.cat([head[0::2], head[1::2]]) for head in weight.chunk(heads)]
    return torch.cat(parts)


to_halves = Exercise(
    chapter,
    "to_halves",
    difficulty=3,
    minutes=12,
    doc="weight (heads * d_k, d_model) -> (heads * d_k, d_model)",
    solution="""def to_halves(weight, heads):
    pairs = weight.unflatten(0, (heads, -1, 2))
    return pairs.transpose(1, 2).flatten(0, 2)""",
    package=_row_by_row,
    inputs=lambda draw, heads, pairs, d_model: (
        draw.normal(heads * 2 * pairs, d_model),
        heads,
    ),
    sizes="heads pairs d_model",
    special=lambda draw: [
        Case((draw.normal(12, 5), 2), note="with 2 heads of 6 rows"),
        Case((draw.normal(8, 3), 1), note="with one head"),
    ],
    axes="row d_model",
    gradients=False,
    typed=True,
    mistakes="""
the way back: weight.unflatten(0, (heads, -1, 2)) => weight.unflatten(0, (heads, 2, -1))
heads not kept apart: weight.unflatten(0, (heads, -1, 2)) => weight.unflatten(0, (1, -1, 2))
columns for rows: weight.unflatten(0, (heads, -1, 2)) => weight.T.unflatten(0, (1, -1, 2))
+ .flatten(0, 2) => .flatten(0, 2).T
second numbers first: pairs.transpose(1, 2) => pairs.flip(2).transpose(1, 2)
not flattened: .flatten(0, 2) => .flatten(1, 2)
sorted within pairs of rows: pairs.transpose(1, 2) => pairs.flip(2)
d_k for heads: (heads, -1, 2) => (-1, heads, 2)
heads rows in a part: pairs.transpose(1, 2).flatten(0, 2) => torch.cat([torch.cat([part[0::2], part[1::2]]) for part in weight.split(heads)])
second half backwards: return pairs.transpose(1, 2).flatten(0, 2) => first, second = pairs.unbind(2)⏎    return torch.cat([first, second.flip(1)], dim=1).flatten(0, 1)
transposed as well: .flatten(0, 2) => .flatten(0, 2).T
columns sorted: return pairs.transpose(1, 2).flatten(0, 2) => return torch.cat([weight[:, 0::2], weight[:, 1::2]], dim=1)
columns sorted, in each head: return pairs.transpose(1, 2).flatten(0, 2) => columns = weight.view(len(weight), heads, -1)⏎    return torch.cat([columns[..., 0::2], columns[..., 1::2]], dim=-1).flatten(1)
heads as the inner axis: return pairs.transpose(1, 2).flatten(0, 2) => rows = weight.unflatten(0, (-1, heads))⏎    return torch.cat([rows[0::2], rows[1::2]]).flatten(0, 1)
halves exchanged: return pairs.transpose(1, 2).flatten(0, 2) => return weight.unflatten(0, (heads, 2, -1)).flip(1).flatten(0, 2)
a minus sign: return pairs.transpose(1, 2).flatten(0, 2) => pairs = torch.stack([pairs[:, :, 0], -pairs[:, :, 1]], dim=2)⏎    return pairs.transpose(1, 2).flatten(0, 2)
the first head alone: return pairs.transpose(1, 2).flatten(0, 2) => first = pairs[:1].transpose(1, 2).flatten(0, 2)⏎    return torch.cat([first, weight[len(first) :]])
two heads always: return pairs.transpose(1, 2).flatten(0, 2) => rows = weight.unflatten(0, (2, -1))⏎    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1).flatten(0, 1)
numbers of rows: return pairs.transpose(1, 2).flatten(0, 2) => return torch.arange(len(weight)).unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten()
not flattened at all: .flatten(0, 2) =>
heads backward: pairs.transpose(1, 2) => pairs.flip(0).transpose(1, 2)
d_k from the columns: return pairs.transpose(1, 2).flatten(0, 2) => d_k = weight.size(1) // heads⏎    return weight.view(heads, d_k // 2, 2, -1).transpose(1, 2).reshape_as(weight)
sorted twice: return pairs.transpose(1, 2).flatten(0, 2) => once = pairs.transpose(1, 2).flatten(0, 2)⏎    return once.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
all rows backward: return pairs.transpose(1, 2).flatten(0, 2) => return weight.flip(0)
""",
)


def _distances(draw: Draw) -> list[Case]:
    calls = [(2, 2, 9, 7), (3, 1, 4, 6), (1, 3, 3, 3), (2, 2, 1, 6), (2, 0, 3, 4)]
    cases = []
    for heads, reach, queries, keys in calls:
        sizes = {"head": heads, "query": queries, "key": keys}
        note = f"with {queries} queries, {keys} keys and a reach of {reach}"
        table = draw.normal(heads, 2 * reach + 1)
        cases.append(Case((table, queries, keys), (), note, sizes, grad=True))
    return cases


def _entry_by_entry(table: Tensor, queries: int, keys: int) -> Tensor:
    reach = (table.shape[1] - 1) // 2
    columns = [
        table[:, max(0, min(2 * reach, n - m + reach))]
        for m in range(queries)
        for n in range(keys)
    ]
    return torch.stack(columns, dim=1).view(-1, queries, keys)


relative_bias = Exercise(
    chapter,
    "relative_bias",
    difficulty=4,
    minutes=15,
    doc="""table (heads, 2 * reach + 1), two whole numbers
-> (heads, queries, keys)
""",
    solution="""def relative_bias(table, queries, keys):
    reach = table.shape[1] // 2
    distance = torch.arange(keys) - torch.arange(queries).unsqueeze(1)
    return table[:, distance.clamp(-reach, reach) + reach]""",
    package=_entry_by_entry,
    inputs=lambda draw, heads, reach, queries, keys: (
        draw.normal(heads, 2 * reach + 1),
        queries,
        keys,
    ),
    sizes="heads reach queries keys",
    special=_distances,
    axes="head query key",
    mistakes="""
the other direction: torch.arange(keys) - torch.arange(queries).unsqueeze(1) => torch.arange(queries).unsqueeze(1) - torch.arange(keys)
queries and keys exchanged: torch.arange(keys) - torch.arange(queries).unsqueeze(1) => torch.arange(keys).unsqueeze(1) - torch.arange(queries)
wraps around: distance.clamp(-reach, reach) + reach => (distance + reach) % table.shape[1]
nothing beyond the reach: return table[:, distance.clamp(-reach, reach) + reach] => return table[:, distance.clamp(-reach, reach) + reach] * (distance.abs() <= reach)
without its sign: distance.clamp(-reach, reach) + reach => distance.abs().clamp(max=reach) + reach
distance as column: distance.clamp(-reach, reach) + reach => distance.clamp(-reach, reach)
only the past: distance.clamp(-reach, reach) => distance.clamp(-reach, 0)
heads last: return table[:, distance.clamp(-reach, reach) + reach] => return table[:, distance.clamp(-reach, reach) + reach].permute(1, 2, 0)
one step short: distance.clamp(-reach, reach) => distance.clamp(-reach, reach - 1)
one head for all: return table[:, => return table[:1,
no upper end: distance.clamp(-reach, reach) => distance.clamp(min=-reach)
no lower end: distance.clamp(-reach, reach) => distance.clamp(max=reach)
keys counted from 1: torch.arange(keys) - => torch.arange(1, keys + 1) -
aligned at the end: torch.arange(queries).unsqueeze(1) => (torch.arange(queries) + keys - queries).unsqueeze(1)
heads for the reach: table.shape[1] // 2 => table.shape[0]
softmax: return table[:, distance.clamp(-reach, reach) + reach] => return table[:, distance.clamp(-reach, reach) + reach].softmax(-1)
heads for columns: return table[:, => return table[
""",
)


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
    gradients=False,
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
logarithm to base 10: math.log(base) => math.log10(base)
divided before the power: angle = position * frequency => angle = (position / base) ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
frequencies in float32: torch.arange(0, d_model, 2, dtype=torch.float64) => torch.arange(0, d_model, 2)
""",
)


def add_positions_reference(x: Tensor, start: int = 0) -> Tensor:
    """The package's `SinusoidalPositions` as a function."""
    return positional.SinusoidalPositions(x.shape[-1])(x, start)


def _later(*shape: int) -> Callable[[Draw], list[Case]]:
    """Calls at later positions, and on another device."""

    def special(draw: Draw) -> list[Case]:
        x = draw.normal(*shape)
        wide = draw.normal(*shape[:-1], 64, dtype=torch.float32)
        return [
            Case((x, 3), (), "from position 3"),
            Case((x, 6000), (), "from position 6000"),
            Case((x.float(), 2), (), "from position 2, in float32"),
            Case((wide, 6000), (), "from position 6000, in float32", odd=True),
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
start turns the table round: sinusoids(start + token, d_model) => sinusoids(token, d_model)
+ table[start:] => table.roll(start, 0)
start added to the numbers: sinusoids(start + token, d_model) => sinusoids(token, d_model) + start
+ table[start:] => table
tokens backward: table[start:] => table[start:].flip(0)
columns backward: table[start:] => table[start:].flip(1)
added twice: return x + => return x + table[start:].to(x) +
side by side: return x + table[start:].to(x) => return torch.cat([x, table[start:].to(x).expand_as(x)], dim=-1)
the first sentence alone: return x + table[start:].to(x) => rows = torch.zeros(x.shape, dtype=x.dtype)⏎    rows[0] = table[start:].to(x)⏎    return x + rows
angles in float32: return x + table[start:].to(x) => place = torch.arange(start, start + token).to(x).unsqueeze(1)⏎    angle = place / 10000 ** (torch.arange(0, d_model, 2).to(x) / d_model)⏎    return x + torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
the table ends: sinusoids(start + token, d_model) => sinusoids(5000, d_model)
+ table[start:] => table[start : start + token]
the slice ends too early: table[start:] => table[start:token]
sine and cosine exchanged: table[start:] => table[start:].unflatten(1, (-1, 2)).flip(2).flatten(1)
halves instead of pairs: table[start:] => torch.cat([table[start:, 0::2], table[start:, 1::2]], dim=1)
one position too early: return x + table[start:].to(x) => first = max(start - 1, 0)⏎    return x + table[first : first + token].to(x)
one position too late: return x + table[start:].to(x) => first = start + (start > 0)⏎    return x + sinusoids(first + token, d_model)[first:].to(x)
counted on over the batch: sinusoids(start + token, d_model) => sinusoids(start + batch * token, d_model)
+ table[start:].to(x) => table[start:].unflatten(0, (batch, token)).to(x)
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
overwritten too early: even * sin + odd * cos => (even * cos - odd * sin) * sin + odd * cos
halves with the angles of neighbors: even, odd = x[..., 0::2], x[..., 1::2] => half = torch.cat([-x[..., d_k // 2 :], x[..., : d_k // 2]], dim=-1)
+ torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1) => x * cos.repeat_interleave(2, -1) + half * sin.repeat_interleave(2, -1)
+ turned.flatten(-2) => turned
neighbors with the angles of halves: torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1) => x * torch.cat([cos, cos], dim=-1) + torch.stack([-odd, even], dim=-1).flatten(-2) * torch.cat([sin, sin], dim=-1)
+ turned.flatten(-2) => turned
exponent i instead of 2i: sin, cos = table[:, 0::2], table[:, 1::2] => place = torch.arange(start, start + token, dtype=torch.float64).unsqueeze(1)⏎    angle = place * 10000 ** (-torch.arange(d_k // 2, dtype=torch.float64) / d_k)⏎    sin, cos = angle.sin().to(x), angle.cos().to(x)
heads for tokens: token, d_k = x.shape[-2:] => token, d_k = x.shape[1], x.shape[-1]
+ [start:].to(x) => [start:, None].to(x)
+ table[:, 0::2], table[:, 1::2] => table[..., 0::2], table[..., 1::2]
twice the angle: sin, cos = table[:, 0::2], table[:, 1::2] => sin, cos = table[:, 0::2], table[:, 1::2]⏎    sin, cos = 2 * sin * cos, cos.square() - sin.square()
the first pair alone: return turned.flatten(-2) => return torch.cat([turned.flatten(-2)[..., :2], x[..., 2:]], dim=-1)
positions backward: [start:].to(x) => [start:].flip(0).to(x)
another base: sinusoids(start + token, d_k) => sinusoids(start + token, d_k, 500_000.0)
one formula for both: even * sin + odd * cos => even * cos + odd * sin
not flattened: turned.flatten(-2) => turned
""",
)
