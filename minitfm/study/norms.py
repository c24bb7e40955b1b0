"""Where a norm can stand beside a sublayer, drawn (chapter 8)."""

from minitfm.study.drawings import Drawing


def placements() -> Drawing:
    """Post-norm, pre-norm and both, side by side; read them from the bottom up."""
    drawing = Drawing(
        400,
        350,
        "Three columns, from the bottom up. In each, x goes straight up into a plus,"
        " and beside it through the sublayer f into the same plus. Post: a norm stands"
        " after the plus, on the straight path. Pre: the norm stands before f, beside"
        " the straight path, which no norm interrupts before one final norm above the"
        " last layer. Both: a norm before f and another after the plus.",
    )
    for middle, name, before, after, formula in (
        (66, "post", False, True, "norm(x + f(x))"),
        (202, "pre", True, False, "x + f(norm(x))"),
        (338, "both", True, True, "norm(x + f(norm(x)))"),
    ):
        left, right = middle - 30, middle + 26
        drawing.text(middle, 12, name, bold=True)
        drawing.text(min(middle, 330), 340, formula, size=11)
        drawing.text(left, 316, "x")
        drawing.arrow((left, 304), (left, 166), color="memory", width=3)
        drawing.circle(left, 154, "+")
        bottom = 270 if before else 224
        drawing.arrow((left, 288), (right, 288), (right, bottom))
        if before:
            drawing.box(right, 254, "norm", width=66, height=30, color="query")
            drawing.arrow((right, 239), (right, 220))
        drawing.box(right, 204, "f", width=66, height=30, color="value")
        drawing.arrow((right, 189), (right, 154), (left + 13, 154))
        if after:
            drawing.arrow((left, 142), (left, 112), color="memory", width=3)
            drawing.box(left, 96, "norm", width=66, height=30, color="query")
            drawing.arrow((left, 81), (left, 32), color="memory", width=3)
        else:
            drawing.arrow((left, 142), (left, 82), color="memory", width=3)
            drawing.box(left, 66, "final norm", width=84, height=30, color="query")
            drawing.arrow((left, 51), (left, 32), color="memory", width=3)
            drawing.text(left + 50, 66, "once, on\ntop", size=12, anchor="start")
    return drawing
