"""What torch.compile and torch.export make of the package: one translation, any length.

The tests check shapes on every call, which neither can read; so this file runs itself
as a user would run it, in a process of its own.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def drawn(
    sentences: int, source: int, target: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.randint(3, 20, (sentences, source)),
        torch.randint(3, 20, (sentences, target)),
    )


def the_forward_pass() -> None:
    model = tiny().eval()
    count = CompileCounter()
    compiled = torch.compile(model, backend=count, fullgraph=True, dynamic=True)
    for length in (5, 7, 12, 40):
        rows = drawn(2 + length % 3, length, length + 3)
        torch.testing.assert_close(compiled(*rows), model(*rows))
    assert count.frame_count == 1, count.frame_count


def a_training_step() -> None:
    model = tiny(dropout=0.0)
    loss, count = Loss(model, Recipe()), CompileCounter()
    compiled = torch.compile(loss, backend=count, fullgraph=True, dynamic=True)
    for length in (5, 7, 12, 40):
        source, target = drawn(2 + length % 3, length, length + 3)
        target[0, -2:] = 0  # padding costs nothing there, too
        found, exact = compiled(source, target), loss(source, target)
        torch.testing.assert_close(found, exact)
        for one, other in zip(
            torch.autograd.grad(found, model.parameters()),
            torch.autograd.grad(exact, model.parameters()),
        ):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert count.frame_count == 1, count.frame_count


def a_decoding_step() -> None:
    """Lengths 0 and 1 are cases of their own to PyTorch; then one is enough."""
    model, count = tiny().eval(), CompileCounter()
    step = torch.compile(model.step, backend=count, fullgraph=True, dynamic=True)
    source, _ = drawn(3, 7, 1)
    state, token = model.start(source), torch.ones(3, dtype=torch.long)
    after = []
    for _ in range(8):
        logits, state = step(token, state)
        token = logits.argmax(-1)
        after.append(count.frame_count)
    assert after[2] <= 3, after
    assert after[-1] == after[2], after
    exact = model.decode(state.target, state.memory, state.memory_mask)[:, -1]
    torch.testing.assert_close(logits, exact)


def an_export_of_any_length() -> None:
    model = tiny().eval()
    sentences, source, target = (
        torch.export.Dim(name, min=2, max=300) for name in ("sentences", "s", "t")
    )
    exported = torch.export.export(
        model,
        drawn(2, 7, 5),
        dynamic_shapes=({0: sentences, 1: source}, {0: sentences, 1: target}),
    ).module()
    for shape in ((2, 7, 5), (3, 40, 9), (5, 2, 200)):
        rows = drawn(*shape)
        torch.testing.assert_close(exported(*rows), model(*rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [the_forward_pass, a_training_step, a_decoding_step, an_export_of_any_length],
    ids=lambda part: part.__name__,
)
def test_it_is_translated_once(what):
    command = [sys.executable, "-m", "tests.fast.test_compiled", what.__name__]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]


if __name__ == "__main__":
    from torch._dynamo.testing import CompileCounter

    from minitfm.fast import accelerate
    from minitfm.transformer import TransformerConfig
    from minitfm.translate.engine import Loss
    from minitfm.translate.recipe import Recipe

    def tiny(**changes):
        return accelerate(TransformerConfig.tiny(20, **changes).build())

    torch.manual_seed(0)
    torch.set_num_threads(1)
    globals()[sys.argv[1]]()
