"""Run the finished Transformer or a recurrent network, training included, with the
learner's own part inside.
"""

import contextlib
import difflib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from minitfm import (
    attention,
    layers,
    lstm,
    masks,
    multihead,
    positional,
    rnn,
    seq2seq,
    transformer,
)
from minitfm.exercises.engine.observe import as_tensor
from minitfm.fast import REGISTRY
from minitfm.fast.recurrent import gru_weights, lstm_weights, rnn_weights

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention.scaled_dot_product_attention,
    "attention_weights": attention.attention_weights,
    "causal_mask": masks.causal_mask,
    "padding_mask": masks.padding_mask,
    "split_heads": multihead.split_heads,
    "merge_heads": multihead.merge_heads,
    "sinusoids": positional.sinusoids,
    "layer_norm": layers.layer_norm,
    "rotary": positional.RotaryPositions.forward,
    "add_positions": positional.SinusoidalPositions.forward,
}
MODULES: dict[str, type[nn.Module]] = {
    "MultiHeadAttention": multihead.MultiHeadAttention,
    "FeedForward": layers.FeedForward,
    "LayerNorm": layers.LayerNorm,
    "Residual": layers.Residual,
    "EncoderLayer": transformer.EncoderLayer,
    "DecoderLayer": transformer.DecoderLayer,
    "Decoder": transformer.Decoder,
}
PARTS = (*FUNCTIONS, *MODULES)
STEPS: dict[str, type[nn.Module]] = {
    "rnn_step": rnn.RNNCell,
    "lstm_step": lstm.LSTMCell,
    "gru_step": lstm.GRUCell,
}
METHODS: dict[str, type[nn.Module]] = {"encode": seq2seq.Seq2Seq}


@contextlib.contextmanager
def plugged(**parts: Any) -> Iterator[None]:
    """Put the learner's own parts where the finished models use their own, and the
    originals back at the end.

    It holds for models made before as well as inside the ``with`` block, in training as
    in evaluation. A function takes what its exercise says:
    ``scaled_dot_product_attention`` gets (batch, query, d_k), with all heads in the
    batch. Of a class the ``forward`` is used; the attributes that it reads are those of
    its stub. A step of chapters 1 and 2 is called once a token, also in a model that
    was accelerated.

    Args:
        parts: any of `PARTS`, which the Transformer has, of `STEPS`, which the
            recurrent networks have, or of `METHODS`, which `Seq2Seq` has, by name, for
            instance ``plugged(scaled_dot_product_attention=mine)`` or
            ``plugged(rnn_step=mine)``. What ``encode`` returns is squeezed as usual
            where the model has a `d_vector`.

    Raises:
        ValueError: if no model has a part of that name.
        TypeError: if a part is not a function, or not a class of modules, where one is
            expected.
    """
    for name, part in parts.items():
        _suit(name, part)
    with contextlib.ExitStack() as originals:
        originals.enter_context(_as_in_the_lessons())
        for name, part in parts.items():
            for holder, attribute, replacement in _places(name, part):
                if attribute in holder.__dict__:
                    originals.callback(
                        setattr, holder, attribute, holder.__dict__[attribute]
                    )
                else:  # inherited
                    originals.callback(delattr, holder, attribute)
                setattr(holder, attribute, replacement)
        yield


@contextlib.contextmanager
def _as_in_the_lessons() -> Iterator[None]:
    """Let accelerated layers run their lessons' lines, where the parts are plugged in.

    Their classes have nothing but methods of their own: without these, they inherit.
    """
    classes = {one for faster in REGISTRY.values() for one in faster.__mro__}
    own = [
        (faster, name, value)
        for faster in classes
        if faster.__module__.startswith("minitfm.fast.")
        for name, value in vars(faster).items()
        if inspect.isfunction(value)
    ]
    for faster, name, _ in own:
        delattr(faster, name)
    try:
        yield
    finally:
        for faster, name, value in own:
            setattr(faster, name, value)


def original(name: str) -> Any:
    """The package's own function or class of that name among `PARTS`."""
    return FUNCTIONS[name] if name in FUNCTIONS else MODULES[name]


def _suit(name: str, part: Any) -> None:
    if name not in (*PARTS, *STEPS, *METHODS):
        near = difflib.get_close_matches(
            name, (*PARTS, *STEPS, *METHODS), n=1, cutoff=0.4
        )
        guess = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"there is no part {name!r} to plug in; {guess}It has: {', '.join(PARTS)}; "
            f"the recurrent networks have: {', '.join(STEPS)}; Seq2Seq has: {', '.join(METHODS)}"
        )
    a_class = isinstance(part, type) and issubclass(part, nn.Module)
    if name in MODULES and not a_class:
        raise TypeError(
            f"{name} is a class of modules; give the class itself, not {type(part).__name__}"
        )
    if name in (*FUNCTIONS, *STEPS, *METHODS) and (
        isinstance(part, type) or not callable(part)
    ):
        raise TypeError(
            f"{name} is a function; give the function itself, not {type(part).__name__}"
        )


def _places(name: str, part: Any) -> list[tuple[Any, str, Any]]:
    """Where a part sits: (module or class, attribute, what to put there)."""
    if name in MODULES:
        return [(MODULES[name], "forward", _forward(part))]
    if name in STEPS:
        return [(STEPS[name], "forward", STEPPING[name](part))]
    if name in METHODS:
        return [
            (METHODS[name], name, lambda self, source: self.squeeze(part(self, source)))
        ]
    if name == "layer_norm":
        return [
            (
                layers.LayerNorm,
                "forward",
                lambda self, x: part(x, self.gain, self.bias, self.eps),
            )
        ]
    if name == "rotary":
        return [
            (
                positional.RotaryPositions,
                "forward",
                lambda self, x, start=0: part(x, start),
            )
        ]
    if name == "add_positions":
        return [
            (
                positional.SinusoidalPositions,
                "forward",
                lambda self, x, start=0: part(x, start),
            )
        ]
    if name == "sinusoids":
        return [(positional.Sinusoids, "rows", _rows(part))]
    if name == "attention_weights":
        return _named(name, _heads_in_batch(part, 2))
    if name == "scaled_dot_product_attention":
        attend = _heads_in_batch(part, 3)
        layer = multihead.MultiHeadAttention
        return [*_named(name, attend), (layer, "attend", _in_every_head(attend))]
    return _named(name, _with_device(part) if name == "causal_mask" else part)


def _named(name: str, replacement: Any) -> list[tuple[Any, str, Any]]:
    """Every module of the package that holds what `name` means at home."""
    original = getattr(sys.modules[FUNCTIONS[name].__module__], name)
    modules = [
        module
        for key, module in sys.modules.items()
        if key.startswith("minitfm.") and module is not None
    ]
    modules = [
        module
        for module in modules
        if not module.__name__.startswith("minitfm.exercises")
    ]
    return [
        (module, name, replacement)
        for module in modules
        if module.__dict__.get(name) is original
    ]


def _forward(part: type[nn.Module]) -> Callable[..., Any]:
    """The learner's `forward` on the package's module: a twin of the learner's class
    that shares all attributes.
    """
    names = getattr(getattr(part.forward, "__code__", None), "co_names", ("rotate",))

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "rotate", None) is not None and "rotate" not in names:
            raise TypeError(
                "this model turns queries and keys by position, and the plugged forward never calls self.rotate; "
                'make the model with positions="sinusoidal"'
            )
        twin = part.__new__(part)
        twin.__dict__ = self.__dict__
        return part.forward(twin, *args, **kwargs)

    return forward


def _heads_in_batch(part: Callable[..., Any], tensors: int) -> Callable[..., Any]:
    """Let a function for (batch, token, width) work on (batch, heads, token, width)."""

    def adapted(
        *args: Any, dropout: float = 0.0, fast: bool = True, mask: Tensor | None = None
    ) -> Tensor:
        inputs, given = args[:tensors], args[tensors:]
        mask = given[0] if given else mask
        lead, (query, key) = (
            inputs[0].shape[:-2],
            (inputs[0].shape[-2], inputs[1].shape[-2]),
        )
        flat = [tensor.reshape(-1, *tensor.shape[-2:]) for tensor in inputs]
        if mask is not None:
            flat.append(mask.expand(*lead, query, key).reshape(-1, query, key))
        result = part(*flat, **_dropout(part, dropout))
        return result.reshape(*lead, *result.shape[-2:])

    return adapted


def _dropout(part: Callable[..., Any], dropout: float) -> dict[str, float]:
    """Dropout on the weights, for a function that takes it.

    Raises:
        TypeError: if the model drops weights and the function cannot.
    """
    if not dropout:
        return {}
    if "dropout" in inspect.signature(part).parameters:
        return {"dropout": dropout}
    raise TypeError(
        f"this model drops attention weights (attention_dropout={dropout}), and the plugged function takes no "
        "`dropout`; make the model with attention_dropout=0"
    )


def _in_every_head(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`MultiHeadAttention.attend` from a function for equation 1."""

    def attend_in_heads(
        self: multihead.MultiHeadAttention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        dropout = self.dropout.p if self.training else 0.0
        return attend(query, key, value, mask, dropout=dropout)

    return attend_in_heads


def _with_device(part: Callable[..., Any]) -> Callable[..., Any]:
    def mask(
        query: int, key: int | None = None, device: torch.device | str | None = None
    ) -> Tensor:
        return part(*((query,) if key is None else (query, key))).to(device or "cpu")

    return mask


def _rows(part: Callable[..., Any]) -> Callable[..., Any]:
    def rows(self: positional.Sinusoids, x: Tensor, start: int) -> Tensor:
        bases = () if self.base == 10_000.0 else (self.base,)
        table = part(start + x.shape[-2], self.width, *bases)
        return as_tensor(table, True, x.dtype)[start:].to(x)  # an array will do

    return rows


def _rnn_step(part: Callable[..., Any]) -> Callable[..., Any]:
    """`RNNCell.forward` from ``part(x, h, w, b, u)``."""

    def forward(self: rnn.RNNCell, x: Tensor, h: Tensor) -> Tensor:
        w, u, b, _ = rnn_weights(self)
        return part(x, h, w, b, u)

    return forward


def _lstm_step(part: Callable[..., Any]) -> Callable[..., Any]:
    """`LSTMCell.forward` from ``part(x, h, c, w, b, u)``."""

    def forward(
        self: lstm.LSTMCell, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        w, u, b, _ = lstm_weights(self)
        h, c = part(x, *state, w, b, u)
        return h, c

    return forward


def _gru_step(part: Callable[..., Any]) -> Callable[..., Any]:
    """`GRUCell.forward` from ``part(x, h, w, b, u, b_candidate)``."""

    def forward(self: lstm.GRUCell, x: Tensor, h: Tensor) -> Tensor:
        w, u, b, _ = gru_weights(self)
        return part(x, h, w, b, u, self.candidate_bias)

    return forward


STEPPING = {"rnn_step": _rnn_step, "lstm_step": _lstm_step, "gru_step": _gru_step}
