"""Every tensor that the model makes is made where its input is, shown without the device.

The meta device computes shapes only, and fake tensors carry a device that need not exist: an operation between two
devices fails on both.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from minitfm.seq2seq import teacher_forcing_loss
from minitfm.transformer import Transformer, TransformerConfig

KINDS = [
    {"positions": positions, "norm": norm, "tied": tied}
    for positions in ("sinusoidal", "learned", "rotary")
    for norm, tied in (("post", True), ("pre", False))
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_forward_and_backward_on_the_meta_device(kind):
    model = Transformer(TransformerConfig.tiny(11, **kind)).to("meta")
    source, target = (
        torch.zeros(2, n, dtype=torch.long, device="meta") for n in (5, 4)
    )
    teacher_forcing_loss(model, source, target).backward()
    assert {parameter.grad.device.type for parameter in model.parameters()} == {"meta"}
    logits, state = model.step(target[:, 0], model.start(source))
    assert logits.device.type == state.target.device.type == "meta"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_forward_and_a_decoding_step_on_a_pretended_gpu(kind):
    model = Transformer(TransformerConfig.tiny(11, **kind)).eval()
    with torch.no_grad(), FakeTensorMode():
        weights = {
            name: torch.empty(weight.shape, device="cuda")
            for name, weight in model.named_parameters()
        }
        source, target = (
            torch.zeros(2, n, dtype=torch.long, device="cuda") for n in (5, 4)
        )

        class Decode(torch.nn.Module):
            """One run of everything, so that one call swaps the weights."""

            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self):
                logits = self.model(source, target)
                state = self.model.start(source)
                first, state = self.model.step(target.select(1, 0), state)
                second, state = self.model.step(first.argmax(-1), state)
                return logits, first, second, self.model.attention(source, target)

        named = {f"model.{name}": weight for name, weight in weights.items()}
        *logits, attention = functional_call(Decode(), named, ())
    assert {tensor.device.type for tensor in [*logits, *attention.values()]} == {"cuda"}
