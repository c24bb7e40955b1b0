"""The lessons' layers at speed: the same parameters, interface and state dict.

``accelerate(model)`` gives each layer of a lesson the class of its counterpart here.
The counterparts hold no state of their own and compute the same; ``tests/fast`` holds
every pair equal, outputs, gradients and state dicts. A learner's own part that is
``plugged`` into a model takes precedence.
"""

from typing import TypeVar

from torch import nn

from minitfm import layers as lesson_layers
from minitfm import lstm, multihead, positional, rnn
from minitfm.fast.attention import MultiHeadAttention
from minitfm.fast.layers import (
    Dropout,
    LayerNorm,
    RotaryPositions,
    SinusoidalPositions,
)
from minitfm.fast.recurrent import GRU, LSTM, RNN

Model = TypeVar("Model", bound=nn.Module)

# The lesson's class and the one that takes its place.
REGISTRY: dict[type[nn.Module], type[nn.Module]] = {
    rnn.RNN: RNN,
    lstm.LSTM: LSTM,
    lstm.GRU: GRU,
    multihead.MultiHeadAttention: MultiHeadAttention,
    lesson_layers.LayerNorm: LayerNorm,
    nn.Dropout: Dropout,
    positional.SinusoidalPositions: SinusoidalPositions,
    positional.RotaryPositions: RotaryPositions,
}


def accelerate(model: Model) -> Model:
    """Let a model compute the same faster: set the class of each of its layers.

    Call it once, after the model is made and before an optimizer, ``torch.compile`` or
    DistributedDataParallel sees it. Layers of other classes, a learner's own among
    them, stay as they are.

    Returns:
        The model itself.
    """
    for module in model.modules():
        faster = REGISTRY.get(type(module))
        if faster is not None:
            module.__class__ = faster
    return model
