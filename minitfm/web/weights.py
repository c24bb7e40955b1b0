"""A trained Transformer as one safetensors file: what the reader's browser loads, and
Python reads back. ``minitfm translate`` opens it, too: the checkpoints of a training
have the same format, with a tokenizer in place of the symbols.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from minitfm.study.extras import brought_by
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.web.pages import read_facts

with brought_by("notebook"):
    from safetensors.torch import load, save


def pack(
    model: Transformer,
    vocabulary: Vocabulary,
    *,
    longest: tuple[int, int],
    about: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
) -> bytes:
    """Write a model with all that it takes to run it: its config and the symbols behind
    its ids.

    Args:
        model: its parameters are written under their names, a shared matrix once.
        vocabulary: the symbols that source and target share.
        longest: symbols in the longest source, and in the longest target, that the
            model was trained for.
        about: what else the file should say of itself, such as how it was made.
        dtype: half precision halves the file; float32 keeps every bit.

    Returns:
        The same bytes for the same model every time.
    """
    # One entry, because safetensors writes several in no fixed order.
    facts = {
        "config": dataclasses.asdict(model.config),
        "symbols": vocabulary.symbols,
        "longest": longest,
        "about": about or {},
    }
    weights = {
        name: parameter.detach().to("cpu", dtype).contiguous()
        for name, parameter in model.named_parameters()
    }
    return save(weights, {"minitfm": json.dumps(facts, ensure_ascii=False)})


def unpack(file: bytes) -> tuple[Transformer, Vocabulary]:
    """Read a file of `pack`: the model, in float32 and evaluation mode, and its
    vocabulary.

    Raises:
        ValueError: if the file lacks a parameter of its config, or holds one too many.
    """
    facts = read_facts(file)
    model = Transformer(TransformerConfig(**facts["config"]))
    load_weights(model, load(file))
    return model.eval(), Vocabulary(tuple(facts["symbols"]))


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy the tensors of a file into a model, in the model's precision. A matrix that
    several layers share may be in the file under one of its names or under all.

    Raises:
        ValueError: if the file lacks a tensor of the model, or holds one too many.
    """
    own: dict[str, Tensor] = model.state_dict(keep_vars=True)
    given = {id(own[name]) for name in tensors if name in own}
    missing = {name for name, tensor in own.items() if id(tensor) not in given}
    if differing := missing | (tensors.keys() - own.keys()):
        raise ValueError(
            f"the file's weights do not fit its config; they differ in {differing}"
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
