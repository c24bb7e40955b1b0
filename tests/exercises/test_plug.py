"""The finished models run and train with the learner's part inside, and get their own back in any case."""

import sys
from typing import Any

import pytest
import torch
from torch import nn

from minitfm import attention, layers, masks, multihead, positional, transformer
from minitfm.exercises import attention as chapter_4
from minitfm.exercises import layers as chapter_8
from minitfm.exercises import lstm as chapter_2
from minitfm.exercises import multi_head as chapter_6
from minitfm.exercises import positions as chapter_7
from minitfm.exercises import rnn as chapter_1
from minitfm.exercises import self_attention as chapter_5
from minitfm.exercises import transformer as whole
from minitfm.exercises.engine.exercise import Exercise
from minitfm.exercises.engine.plug import MODULES, PARTS, STEPS, plugged
from minitfm.fast import REGISTRY, accelerate
from minitfm.lstm import GRU, LSTM
from minitfm.rnn import RNN
from minitfm.seq2seq import teacher_forcing_loss
from minitfm.study.fit import fit, shuffled
from minitfm.study.puzzles import recall
from minitfm.study.tasks import dates
from minitfm.study.vocabulary import Vocabulary
from minitfm.transformer import Transformer, TransformerConfig

WRITTEN = {
    "scaled_dot_product_attention": chapter_4.scaled_dot_product,
    "attention_weights": chapter_4.attention_weights,
    "causal_mask": chapter_5.causal_mask,
    "padding_mask": chapter_5.padding_mask,
    "split_heads": chapter_6.split_heads,
    "merge_heads": chapter_6.merge_heads,
    "MultiHeadAttention": chapter_6.multi_head,
    "sinusoids": chapter_7.sinusoids,
    "rotary": chapter_7.rotary,
    "add_positions": chapter_7.add_positions,
    "layer_norm": chapter_8.layer_norm,
    "FeedForward": chapter_8.feed_forward,
    "Residual": chapter_8.residual,
    "EncoderLayer": whole.encoder_layer,
    "DecoderLayer": whole.decoder_layer,
    "Decoder": whole.decoder,
}
STEPPING: dict[str, tuple[Any, Exercise]] = {
    "rnn_step": (RNN, chapter_1.rnn_step),
    "lstm_step": (LSTM, chapter_2.lstm_step),
    "gru_step": (GRU, chapter_2.gru_step),
}


def everything() -> dict[tuple[str, str], Any]:
    """What every module and class of the package holds."""
    modules = {
        key: vars(module)
        for key, module in sys.modules.items()
        if key.startswith("minitfm") and module
    }
    held = {
        (key, name): thing
        for key, space in modules.items()
        for name, thing in space.items()
    }
    for part in (
        *MODULES.values(),
        *STEPS.values(),
        *REGISTRY.values(),
        positional.RotaryPositions,
        positional.SinusoidalPositions,
        positional.Sinusoids,
    ):
        held |= {(part.__name__, name): thing for name, thing in vars(part).items()}
    return held


def model(**changes: Any) -> Transformer:
    torch.manual_seed(3)
    return Transformer(TransformerConfig.tiny(20, dropout=0.0, **changes)).eval()


def logits(of: Transformer) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    source = torch.randint(3, 20, (3, 7), generator=generator)
    target = torch.randint(3, 20, (3, 5), generator=generator)
    source[1, 5:] = target[1, 3:] = 0
    return of(source, target)


def losses(steps: int = 4) -> list[float]:
    pairs = dates(64, seed=0)
    vocabulary = Vocabulary.of(text for pair in pairs for text in pair)
    source = vocabulary.encode([english for english, _ in pairs])
    target = vocabulary.encode([japanese for _, japanese in pairs], bos=True, eos=True)
    torch.manual_seed(0)
    trained = Transformer(
        TransformerConfig.tiny(
            len(vocabulary), layers=1, d_model=32, d_ff=32, dropout=0.0
        )
    )
    batches = shuffled(source, target, batch=16, seed=0)
    return fit(trained, teacher_forcing_loss, batches, steps, progress=False).loss


def right_part(part: str) -> Any:
    if part in WRITTEN:
        return WRITTEN[part].implementation()

    class Norm(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.layer_norm(
                x, x.shape[-1:], self.gain, self.bias, self.eps
            )

    return Norm


CASES = [(part, positions) for part in PARTS for positions in ("sinusoidal", "rotary")]


@pytest.mark.parametrize(
    ("part", "positions"),
    [case for case in CASES if case != ("MultiHeadAttention", "rotary")],
)
def test_a_right_part_changes_nothing_in_models_old_and_new(part: str, positions: Any):
    before = everything()
    old = model(positions=positions, norm="pre")
    right = logits(old)
    with plugged(**{part: right_part(part)}):
        assert torch.allclose(logits(old), right, atol=1e-5)
        assert torch.allclose(
            logits(model(positions=positions, norm="pre")), right, atol=1e-5
        )
    assert everything() == before
    assert torch.equal(logits(old), right)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_really_used(part: str):
    class Seen(Exception):
        pass

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise Seen

    wrong = type("Mine", (nn.Module,), {"forward": fail}) if part in MODULES else fail
    positions: Any = "rotary" if part == "rotary" else "sinusoidal"
    before = everything()
    with pytest.raises(Seen), plugged(**{part: wrong}):
        logits(model(positions=positions))
    assert everything() == before


def test_training_on_the_dates_with_the_learners_attention():
    right = losses()
    assert right[-1] < right[0]
    with plugged(
        scaled_dot_product_attention=chapter_4.scaled_dot_product.implementation()
    ):
        assert losses() == pytest.approx(right, abs=1e-4)
    for name in ("no scaling", "softmax over the queries", "mask ignored"):
        task = chapter_4.scaled_dot_product
        wrong = next(one for one in task.mistakes if one.name == name)
        with plugged(scaled_dot_product_attention=task.implementation(wrong)):
            assert losses() != pytest.approx(right, abs=1e-4)
    assert losses() == right


def test_parts_are_plugged_together_and_inside_each_other():
    right = logits(model())
    before = everything()
    mine = chapter_4.scaled_dot_product.implementation()
    with plugged(
        scaled_dot_product_attention=mine,
        layer_norm=chapter_8.layer_norm.implementation(),
    ):
        with plugged(
            FeedForward=chapter_8.feed_forward.implementation(),
            scaled_dot_product_attention=mine,
        ):
            assert torch.allclose(logits(model()), right, atol=1e-5)
        assert torch.allclose(logits(model()), right, atol=1e-5)
    assert everything() == before


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        (
            {"scaled_dot_product": len},
            ValueError,
            "did you mean scaled_dot_product_attention",
        ),
        ({"optimizer": len}, ValueError, "there is no part 'optimizer' to plug in"),
        (
            {"causal_mask": 3},
            TypeError,
            "causal_mask is a function; give the function itself, not int",
        ),
        ({"FeedForward": lambda x: x}, TypeError, "FeedForward is a class of modules"),
        ({"layer_norm": layers.LayerNorm}, TypeError, "layer_norm is a function"),
    ],
)
def test_a_part_that_does_not_fit_gets_a_sentence(
    parts: dict[str, Any], error: type[Exception], words: str
):
    before = everything()
    with (
        pytest.raises(error, match=words),
        plugged(padding_mask=masks.padding_mask, **parts),
    ):
        pass
    assert everything() == before


def test_weights_are_dropped_only_by_a_function_that_can():
    dropping = model(attention_dropout=0.5).train()

    def able(query, key, value, mask=None, dropout=0.0):
        weights = attention.attention_weights(query, key, mask)
        return torch.nn.functional.dropout(weights, dropout) @ value

    with plugged(scaled_dot_product_attention=able):
        assert not torch.equal(logits(dropping), logits(dropping))
    mine = chapter_4.scaled_dot_product.implementation()
    with (
        plugged(scaled_dot_product_attention=mine),
        pytest.raises(TypeError, match="attention_dropout=0"),
    ):
        logits(dropping)
    with plugged(scaled_dot_product_attention=mine):
        logits(dropping.eval())


def test_an_attention_that_cannot_turn_its_queries_is_refused_by_a_rotary_model():
    mine = chapter_6.multi_head.implementation()
    with (
        plugged(MultiHeadAttention=mine),
        pytest.raises(TypeError, match="make the model with positions="),
    ):
        logits(model(positions="rotary"))


def test_names_stay_where_the_package_expects_them():
    """A part that moves must move here, too."""
    assert multihead.attention_weights is attention.attention_weights
    assert transformer.causal_mask is masks.causal_mask
    assert attention.causal_mask is masks.causal_mask
    assert transformer.padding_mask is masks.padding_mask


# Steps inside recurrent networks


def read(network: Any) -> tuple[torch.Tensor, ...]:
    """Output and last states for sequences with padding at the end, and the gradients of all weights."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(3, 6, 4, generator=generator)
    mask = torch.arange(6) < torch.tensor([6, 2, 4]).unsqueeze(1)
    output, state = network(x, mask)
    parts = (output, *(state if isinstance(state, tuple) else (state,)))
    return (
        *parts,
        *torch.autograd.grad(
            sum(part.cos().sum() for part in parts), list(network.parameters())
        ),
    )


def network_of(step: str, fast: bool = False, **options: Any) -> Any:
    torch.manual_seed(6)
    network = STEPPING[step][0](4, 5, **options)
    return accelerate(network) if fast else network


@pytest.mark.parametrize("step", STEPPING)
@pytest.mark.parametrize(
    "options",
    [{}, {"layers": 2, "bidirectional": True}, {"layers": 2, "fast": True}],
    ids=str,
)
def test_a_right_step_changes_nothing_in_networks_old_and_new(
    step: str, options: dict[str, Any]
):
    before = everything()
    old = network_of(step, **options)
    right = read(old)
    with plugged(**{step: STEPPING[step][1].implementation()}):
        for network in (old, network_of(step, **options)):
            assert all(
                torch.allclose(a, b, atol=1e-5) for a, b in zip(read(network), right)
            )
    assert everything() == before
    assert all(torch.equal(a, b) for a, b in zip(read(old), right))


@pytest.mark.parametrize("step", STEPPING)
@pytest.mark.parametrize("fast", [False, True])
def test_a_step_is_called_once_for_every_token_layer_and_direction(
    step: str, fast: bool
):
    calls = []

    def counting(*args: Any) -> Any:
        calls.append(tuple(args[0].shape))
        return STEPPING[step][1].implementation()(*args)

    with plugged(**{step: counting}):
        read(network_of(step, layers=2, bidirectional=True, fast=fast))
    assert calls == [(3, 4)] * 12 + [(3, 10)] * 12


@pytest.mark.parametrize("step", STEPPING)
def test_zeros_plugged_into_an_accelerated_network_come_out_of_it(step: str):
    """After a mere exchange of classes its kernel would never ask the learner's step."""
    before = everything()
    network = network_of(step, layers=2, fast=True)
    assert type(network) in REGISTRY.values()
    right = read(network)

    def zeros(*args: Any) -> Any:
        nothing = 0 * args[1]
        return (nothing, nothing) if step == "lstm_step" else nothing

    with plugged(**{step: zeros}):
        for model in (network, network_of(step, layers=2, fast=True)):
            output, *_ = model(torch.randn(3, 4, 4))
            assert not output.any()
    assert right[0].any()
    assert all(torch.equal(a, b) for a, b in zip(read(network), right))
    assert everything() == before


def test_a_plugged_step_leaves_the_other_kinds_alone():
    def fail(*args: Any) -> Any:
        raise AssertionError

    for step in STEPPING:
        for other in STEPPING:
            if other != step:
                with plugged(**{other: fail}):
                    read(network_of(step))


def test_training_on_recall_with_the_learners_step():
    sequences, answers = recall(256, 6, seed=0)

    def losses_on_recall() -> list[float]:
        torch.manual_seed(0)
        parts = nn.ModuleDict(
            {
                "embed": nn.Embedding(8, 8),
                "lstm": LSTM(8, 16),
                "answer": nn.Linear(16, 8),
            }
        )

        def loss(model: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            output, _ = model["lstm"](model["embed"](x))
            return nn.functional.cross_entropy(model["answer"](output[:, -1]), y)

        return fit(
            parts,
            loss,
            shuffled(sequences, answers, batch=32, seed=0),
            4,
            progress=False,
        ).loss

    right = losses_on_recall()
    task = chapter_2.lstm_step
    with plugged(lstm_step=task.implementation()):
        assert losses_on_recall() == pytest.approx(right, abs=1e-5)
    for name in ("forget gate inverted", "candidate last", "output without tanh"):
        wrong = next(one for one in task.mistakes if one.name == name)
        with plugged(lstm_step=task.implementation(wrong)):
            assert losses_on_recall() != pytest.approx(right, abs=1e-5)
    assert losses_on_recall() == right


def test_a_step_that_does_not_fit_gets_a_sentence():
    with pytest.raises(
        ValueError,
        match=r"did you mean lstm_step\?.*the recurrent networks have: rnn_step",
    ):
        plugged(lstm=len).__enter__()
    with pytest.raises(
        TypeError, match="rnn_step is a function; give the function itself, not type"
    ):
        plugged(rnn_step=nn.RNNCell).__enter__()
