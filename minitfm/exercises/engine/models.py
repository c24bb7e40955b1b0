"""Models with drawn weights, for the exercises of several chapters."""

from typing import Any

import torch
from torch import Tensor, nn

from minitfm.exercises.engine.draw import Case, Draw
from minitfm.fast import accelerate
from minitfm.transformer import TransformerConfig


def filled(draw: Draw, module: nn.Module, spread: float = 0.5) -> nn.Module:
    """Give a module weights that tell mistakes apart, in evaluation mode and in the type
    of the draw.
    """
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            weight = draw.normal(*parameter.shape, spread=spread, dtype=torch.float64)
            parameter.copy_(weight)
    return module.to(draw.dtype)


def weights_of(
    draw: Draw, sums: int, d_input: int, d_hidden: int, **options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """W, b and U for so many weighted sums."""
    rows = sums * d_hidden
    shapes = ((rows, d_input), (rows,), (rows, d_hidden))
    w, b, u = (draw.normal(*shape, **options) for shape in shapes)
    return w, b, u


def config(sizes: dict[str, int], **changes: Any) -> TransformerConfig:
    """A small Transformer of these sizes."""
    plain = {"d_ff": 7, "layers": 1, "dropout": 0.0}
    sizes = {name: sizes[name] for name in ("d_model", "heads")}
    return TransformerConfig.tiny(11, **{**plain, **sizes, **changes})


def networks(draw: Draw, kind: type[nn.Module]) -> list[Case]:
    """Recurrent networks of the package with inputs that are padded: deep ones, both
    directions, accelerated.
    """

    def case(
        note: str,
        grad: bool = False,
        spread: float = 0.5,
        fast: bool = False,
        **options: Any,
    ) -> Case:
        sizes = draw.sizes("batch token d_input d_hidden")
        batch, token, d_input, d_hidden = sizes.values()
        sizes["d_output"] = d_hidden * (1 + options.get("bidirectional", False))
        network = filled(draw, kind(d_input, d_hidden, **options), spread)
        network = accelerate(network) if fast else network
        x, mask = draw.normal(batch, token, d_input), draw.tokens(batch, token) != 0
        return Case((network, x, mask), (), note, sizes, grad)

    return [
        case("in one layer"),
        case("in two layers, both directions", layers=2, bidirectional=True),
        case("in an accelerated network", layers=2, fast=True),
        case("with large weights", spread=2.0),
        case("gradients of the network", layers=2, grad=True),
    ]


def labelled(
    draw: Draw, batch: int, token: int, vocabulary: int
) -> tuple[Tensor, Tensor]:
    """Logits and the tokens that they are to predict, padded with 0."""
    logits = draw.normal(batch, token, vocabulary)
    return logits, draw.tokens(batch, token, vocabulary)


def unevenly_labelled(draw: Draw) -> list[Case]:
    """Logits and tokens with another padding, with logits in the thousands, and with a
    token whose loss is exactly 0; a first row that is padded, and a token whose
    probability float32 rounds to 0.
    """
    logits, large, sure = (draw.normal(5, 4, 9) for _ in range(3))
    target, other = draw.tokens(5, 4, 9), draw.tokens(5, 4, 9, 3)
    other[0, :2] = 0
    sure.scatter_add_(
        2, target.unsqueeze(2)[:, :1], torch.full((5, 1, 1), 1e4).double()
    )
    early = target.roll(1, 0)
    early[0, 0], early[1, :2] = 0, 0
    rare = logits.float().scatter_add(
        2, target.unsqueeze(2)[:1, :1], torch.full((1, 1, 1), -200.0)
    )
    return [
        Case((logits, target, 0), (), "with pad = 0"),
        Case((logits, other, 3), (), "with pad = 3"),
        Case((large * 3.0, target), (), "with larger logits"),
        Case((sure, target), (), "with a token whose loss is exactly 0", odd=True),
        Case((logits, target.roll(-1, 0)), (), "where the first row is padded"),
        Case((rare, target), (), "with a token of almost no probability", odd=True),
        Case((logits, early), (), "with padding in front of a row"),
        Case((logits, other, 3), (), "with `pad` by its name", named=1),
    ]
