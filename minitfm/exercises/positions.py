"""Exercises of chapter 7: sinusoids, adding them, and rotary positions."""

from typing import Any

import torch
from torch import Tensor

from minitfm import positional
from minitfm.exercises.engine.answer import Chapter
from minitfm.exercises.engine.draw import Case, Draw
from minitfm.exercises.engine.exercise import Exercise, mistake


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


FREQUENCY = "torch.exp(-math.log(base) * torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)"
TABLE = "torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)"

sinusoids = Exercise(
    name="sinusoids",
    statement="Write `sinusoids(length, d_model, base=10_000.0)`: the table PE(pos, 2i) = sin(pos / "
    "base^(2i/d_model)), PE(pos, 2i+1) = cos of the same (section 3.5), in float64, positions counted "
    "from 0; d_model is even.",
    stub='''def sinusoids(length, d_model, base=10_000.0):
    """-> (length, d_model), torch.float64"""
    raise NotImplementedError
''',
    reference=positional.sinusoids,
    source=f"""def sinusoids(length, d_model, base=10_000.0):
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    frequency = {FREQUENCY}
    angle = position * frequency
    return {TABLE}""",
    names=vars(positional),
    cases=_tables,
    axes=("length", "d_model"),
    words="PE({length}, {d_model}) is {got}, expected {want}",
    hints=(
        (
            "There are d_model/2 frequencies, 1/base^(2i/d_model) for i = 0, 1, 2, …; every position is "
            "multiplied by each."
        ),
        (
            "`torch.arange(length, dtype=torch.float64).unsqueeze(1) * frequency` is the table of angles, "
            "(length, d_model/2)."
        ),
        (
            "Sine and cosine of one angle stand side by side: `torch.stack([…, …], dim=-1).flatten(1)`, or fill "
            "`table[:, 0::2]` and `table[:, 1::2]`."
        ),
    ),
    mistakes=(
        mistake(
            "halves instead of pairs",
            """Your table has all sines on the left and all cosines on the right. The paper interleaves them: sine at
            2i, cosine at 2i+1 (section 3.5; its code, tensor2tensor, does as you do).""",
            (
                "torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)",
                "torch.cat([angle.sin(), angle.cos()], dim=1)",
            ),
        ),
        mistake(
            "exponent i instead of 2i",
            """Your exponent is i/d_model; section 3.5 has 2i/d_model: the wavelengths should reach nearly base·2π,
            yours stop at its root.""",
            (
                "torch.arange(0, d_model, 2, dtype=torch.float64)",
                "torch.arange(d_model // 2, dtype=torch.float64)",
            ),
        ),
        mistake(
            "exponent 2i for column 2i",
            """You use the column's number as i, so the exponent is twice too large: column 2i has the exponent
            2i/d_model, not 4i/d_model (section 3.5).""",
            ("/ d_model)", "* 2 / d_model)"),
        ),
        mistake(
            "a frequency for every column",
            """Your sine and cosine of a pair have different frequencies, j/d_model for each column j. Columns 2i and
            2i+1 share one, 2i/d_model (section 3.5): only so a shift is a rotation.""",
            (
                TABLE,
                "torch.stack([angle.sin(), (position * frequency * base ** (-1 / d_model)).cos()], dim=-1).flatten(1)",
            ),
        ),
        mistake(
            "counted from 1",
            """You count the positions from 1. The first row is position 0: sines 0, cosines 1.""",
            (
                "torch.arange(length, dtype=torch.float64)",
                "torch.arange(1, length + 1, dtype=torch.float64)",
            ),
        ),
        mistake(
            "sine and cosine exchanged",
            """Cosines stand in your even columns. The sine comes first: PE(pos, 2i) = sin (section 3.5).""",
            ("[angle.sin(), angle.cos()]", "[angle.cos(), angle.sin()]"),
        ),
        mistake(
            "frequency upside down",
            """You multiply the position by base^(2i/d_model); section 3.5 divides by it, so that the waves get longer,
            not shorter.""",
            ("-math.log(base)", "math.log(base)"),
        ),
        mistake(
            "divided by d/2 − 1",
            """Your exponents run to 1 exactly: you divide by d_model/2 − 1, as the paper's code (tensor2tensor) does.
            Its formula divides 2i by d_model (section 3.5).""",
            ("/ d_model)", "/ max(1, d_model - 2))"),
        ),
        mistake(
            "base ignored",
            """You use 10000 always; the base is the third argument.""",
            ("math.log(base)", "math.log(10_000)"),
        ),
        mistake(
            "only sines",
            """There are only sines in your table. The odd columns are cosines: with both, moving on by k positions is
            one fixed rotation (section 3.5).""",
            ("angle.cos()", "angle.sin()"),
        ),
        mistake(
            "in float32",
            """Your table is float32 and computed in float32: at position 5,000 the angle is known to 4 decimals only,
            and so is its sine. Use `dtype=torch.float64` from the first `arange` on, and convert at the very end.""",
            ("torch.float64", "torch.float32"),
        ),
        mistake(
            "computed in float32",
            """Your table is float64, but computed in float32: at position 5,000 it is 1e-4 off. A conversion at the
            end restores nothing: begin with `torch.arange(…, dtype=torch.float64)`.""",
            ("torch.float64", "torch.float32"),
            (".flatten(1)", ".flatten(1).double()"),
        ),
        mistake(
            "π inside",
            """You multiply the angle by 2π. The formula has none: pos/base^(2i/d_model) are radians, so the shortest
            wavelength is 2π positions (section 3.5).""",
            (
                "angle = position * frequency",
                "angle = 2 * math.pi * position * frequency",
            ),
        ),
    ),
    difficulty=3,
    minutes=12,
)


def add_positions_reference(x: Tensor, start: int = 0) -> Tensor:
    """The package's `SinusoidalPositions` as a function."""
    return positional.SinusoidalPositions(x.shape[-1])(x, start)


def rotary_reference(x: Tensor, start: int = 0) -> Tensor:
    """The package's `RotaryPositions` as a function."""
    return positional.RotaryPositions(x.shape[-1])(x, start)


def _vectors(draw: Draw, heads: bool) -> list[Case]:
    def case(
        note: str,
        start: int | None = None,
        grad: bool = False,
        device: str = "cpu",
        **options: Any,
    ) -> Case:
        sizes = draw.sizes("batch heads token pairs" if heads else "batch token pairs")
        sizes["d_k" if heads else "d_model"] = 2 * sizes.pop("pairs")
        args: tuple[Any, ...] = (draw.normal(*sizes.values(), **options),)
        return Case(
            args if start is None else (*args, start),
            (),
            note,
            sizes,
            grad,
            device=device,
        )

    return [
        case("from position 0"),
        case("from position 3", 3),
        case("from position 6000", 6000),
        case("in float32", 2, dtype=torch.float32),
        case("gradients", 1, grad=True),
        case("on another device", device="meta"),
    ]


add_positions = Exercise(
    name="add_positions",
    statement="Write `add_positions(x, start=0)`: add to each token its position's row of `sinusoids`; the first "
    "token stands at position `start`. The result has the type and device of x. `sinusoids(length, "
    "d_model)` is yours to use.",
    stub='''def add_positions(x, start=0):
    """x (batch, token, d_model) -> (batch, token, d_model)"""
    raise NotImplementedError
''',
    reference=add_positions_reference,
    source="""def add_positions(x, start=0):
    batch, token, d_model = x.shape
    table = sinusoids(start + token, d_model)
    return x + table[start:].to(x)""",
    names={"sinusoids": positional.sinusoids},
    cases=lambda draw: _vectors(draw, heads=False),
    axes=("batch", "token", "d_model"),
    words="number {d_model} of token {token} is {got}, expected {want}",
    hints=(
        "How many rows must the table have so that the last token finds its own?",
        "`sinusoids(start + token, d_model)[start:]` are the rows; they broadcast over the batch.",
        "The table is float64 on the CPU: `.to(x)` gives it the type and device of x.",
    ),
    mistakes=(
        mistake(
            "start ignored",
            """Your first token always stands at position 0. It stands at `start`: a decoder with a cache gets its
            newest token alone, and would put every one at position 0.""",
            ("table[start:]", "table[:token]"),
        ),
        mistake(
            "counted from 1",
            """Your first token gets the row of position 1 when `start` is 0: an off-by-one in the slice.""",
            (
                "sinusoids(start + token, d_model)",
                "sinusoids(start + token + 1, d_model)[1:]",
            ),
        ),
        mistake(
            "multiplied",
            """You multiply by the table. Section 3.5 adds: the sum of embedding and position.""",
            ("x + table", "x * table"),
        ),
        mistake(
            "type of the table",
            """Your result is float64 whatever x is: the table was not converted. `.to(x)` gives it the type and the
            device of x.""",
            (".to(x)", ""),
            raises=True,
        ),
        mistake(
            "table not moved with the device",
            """Your table stays on the CPU: with x on a GPU the sum fails. `.to(x)` moves the table to the device of x
            (and gives it its type).""",
            (".to(x)", ".to(x.dtype)"),
            raises=True,
        ),
        mistake(
            "positions along the batch",
            """You give every sentence of the batch a position, and all its tokens the same one. The rows belong to
            axis 1, the tokens.""",
            ("batch, token, d_model = x.shape", "token, batch, d_model = x.shape"),
            (".to(x)", ".to(x).unsqueeze(1)"),
        ),
        mistake(
            "positions only",
            """You return the positions without the tokens: x is not in your result.""",
            (
                "return x + table[start:].to(x)",
                "return table[start:].to(x).expand_as(x)",
            ),
        ),
        mistake(
            "scaled here",
            """You multiply x by √d_model first. That belongs to the embedding (section 3.4, chapter 9); here x is
            added as it is.""",
            ("return x + ", "return x * math.sqrt(d_model) + "),
        ),
        mistake(
            "written into x",
            """You add in place: `x += …` overwrites the caller's tensor, and a second call adds the positions twice.
            Return a new tensor, `x + …`.""",
            (
                "return x + table[start:].to(x)",
                "x += table[start:].to(x)\n    return x",
            ),
        ),
        mistake(
            "same position for all",
            """Every token gets the row of the first: the positions do not tell them apart.""",
            ("table[start:]", "table[start : start + 1]"),
        ),
    ),
    difficulty=2,
    minutes=6,
)

rotary = Exercise(
    name="rotary",
    statement="Write `rotary(x, start=0)`: turn each pair of numbers (2i, 2i+1) of a query or key at position pos "
    "by the angle pos / 10000^(2i/d_k) (RoFormer, section 3.2). The first token stands at position "
    "`start`; the result has the type and device of x. `sinusoids(length, d_k)` gives sines in the even "
    "columns, cosines in the odd ones.",
    stub='''def rotary(x, start=0):
    """x (batch, heads, token, d_k) -> (batch, heads, token, d_k)"""
    raise NotImplementedError
''',
    reference=rotary_reference,
    source="""def rotary(x, start=0):
    token, d_k = x.shape[-2:]
    table = sinusoids(start + token, d_k)[start:].to(x)
    sin, cos = table[:, 0::2], table[:, 1::2]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2)""",
    names={"sinusoids": positional.sinusoids},
    cases=lambda draw: _vectors(draw, heads=True),
    axes=("batch", "heads", "token", "d_k"),
    words="number {d_k} of token {token} in head {heads} is {got}, expected {want}",
    hints=(
        "A pair (a, b) turned by φ is (a cos φ − b sin φ, a sin φ + b cos φ).",
        (
            "`x[..., 0::2]` are the first numbers of all pairs, `x[..., 1::2]` the second; the table has sin and "
            "cos likewise."
        ),
        "Put the turned pairs side by side again: `torch.stack([first, second], dim=-1).flatten(-2)`.",
    ),
    mistakes=(
        mistake(
            "turned backwards",
            """You turn the other way, by −φ: the minus sign belongs to the first number, a cos φ − b sin φ. (Scores
            would be the same; weights trained with one do not work with the other.)""",
            (
                "even * cos - odd * sin, even * sin + odd * cos",
                "even * cos + odd * sin, odd * cos - even * sin",
            ),
        ),
        mistake(
            "halves instead of pairs",
            """You pair number i with number i + d_k/2, as GPT-NeoX and Llama's converted weights do. RoFormer pairs
            neighbors, (2i, 2i+1).""",
            ("even, odd = x[..., 0::2], x[..., 1::2]", "even, odd = x.chunk(2, -1)"),
            (
                "torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)",
                "torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=-1)",
            ),
            ("turned.flatten(-2)", "turned"),
        ),
        mistake(
            "pairs torn apart",
            """You turn the right pairs, but put all first numbers before all second ones. Each pair goes back to its
            place: `torch.stack([…], dim=-1).flatten(-2)` instead of `torch.cat`.""",
            (
                "torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)",
                "torch.cat([even * cos - odd * sin, even * sin + odd * cos], dim=-1)",
            ),
            ("turned.flatten(-2)", "turned"),
        ),
        mistake(
            "sine and cosine exchanged",
            """You read the table's columns the wrong way round: sines stand in the even columns, cosines in the odd
            ones (section 3.5).""",
            ("sin, cos = table", "cos, sin = table"),
        ),
        mistake(
            "a mirror, not a turn",
            """Both of your formulas have a plus: a cos φ + b sin φ and a sin φ + b cos φ do not turn a pair, they
            change its length. One sign is a minus: a cos φ − b sin φ.""",
            ("even * cos - odd * sin", "even * cos + odd * sin"),
        ),
        mistake(
            "start ignored",
            """Your first token always stands at position 0; it stands at `start`, or a decoder with a cache turns
            every new token alike.""",
            ("sinusoids(start + token, d_k)[start:]", "sinusoids(token, d_k)"),
        ),
        mistake(
            "counted from 1",
            """Your first token is turned by the angle of position 1 when `start` is 0: an off-by-one in the rows.""",
            (
                "sinusoids(start + token, d_k)[start:]",
                "sinusoids(start + token + 1, d_k)[start + 1 :]",
            ),
        ),
        mistake(
            "added, not turned",
            """You add the sinusoids. Rotary positions multiply: each pair is turned by its angle, and the result stays
            as long as it was.""",
            ("return turned.flatten(-2)", "return x + table"),
        ),
        mistake(
            "type of the table",
            """Your result is float64 whatever x is: the table was not converted. `.to(x)` gives it the type and the
            device of x.""",
            (".to(x)", ""),
            raises=True,
        ),
        mistake(
            "table not moved with the device",
            """Your table stays on the CPU: with x on a GPU the product fails. `.to(x)` moves the table to the device
            of x (and gives it its type).""",
            (".to(x)", ".to(x.dtype)"),
            raises=True,
        ),
        mistake(
            "second number forgotten",
            """You turn the first number of each pair and leave the second as it was: it becomes a sin φ + b cos φ.""",
            ("even * sin + odd * cos", "odd"),
        ),
    ),
    difficulty=4,
    minutes=20,
)

_chapter = Chapter("Chapter 7, positions", [sinusoids, add_positions, rotary])
progress = _chapter.progress
