"""Training: the paper's schedule and optimizer, steps that add up, runs that stop and go on, processes that agree."""

import csv
import itertools
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from minitfm import training as lesson
from minitfm.lstm import LSTM
from minitfm.seq2seq import Seq2Seq
from minitfm.training import paper_rate, smoothed_loss
from minitfm.transformer import Transformer, TransformerConfig
from minitfm.translate import engine as training
from minitfm.translate import progress
from minitfm.translate.batches import TokenBatches
from minitfm.translate.checkpoints import checkpoints
from minitfm.translate.engine import Health, train
from minitfm.translate.parallel import processes
from minitfm.translate.progress import Report
from minitfm.translate.recipe import Recipe, bfloat16_pays

ROOT = Path(__file__).parents[2]
PLAIN = Recipe(warmup=40, precision="float32", checkpoint=4, log=1)


def recipe(**changes) -> Recipe:
    return Recipe(**{**vars(PLAIN), **changes})


def transformer(seed=0, **changes) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(
        TransformerConfig(20, d_model=16, d_ff=32, heads=2, layers=1, **changes)
    )


def sentences(count=120) -> list[tuple[list[int], list[int]]]:
    draw = random.Random(0)
    sources = [
        [draw.randrange(3, 20) for _ in range(draw.randint(1, 9))] for _ in range(count)
    ]
    return [(source, source[::-1]) for source in sources]


def batches(tokens=64, **options) -> TokenBatches:
    return TokenBatches(sentences(), tokens, seed=0, **options)


class Listed:
    """The same few batches again and again."""

    def __init__(self, *listed) -> None:
        self.listed, self.place = listed, 0

    def __iter__(self):
        while True:
            self.place += 1
            yield self.listed[(self.place - 1) % len(self.listed)]

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters()))


def run(model, folder, source=None, *, chosen=PLAIN, **options):
    train(model, source or batches(), chosen, folder, **{"progress": False, **options})
    return model


def losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


@pytest.mark.parametrize(
    ("steps", "cooldown"), [(100, 0), (100, 20), (100, 100), (4, 1)]
)
def test_a_cooldown_is_a_line_to_zero_over_the_last_steps(steps, cooldown):
    chosen = Recipe(steps=steps, rate=0.7, warmup=10, cooldown=cooldown / steps)
    shares = [
        chosen.rate_at(step, 64) / (0.7 * paper_rate(step, 64, 10))
        for step in range(1, steps + 1)
    ]
    assert shares[: steps - cooldown] == pytest.approx([1.0] * (steps - cooldown))
    falls = [number / (cooldown + 1) for number in range(cooldown, 0, -1)]
    assert shares[steps - cooldown :] == pytest.approx(falls)


def test_a_recipe_refuses_counts_that_do_not_fit():
    with pytest.raises(ValueError, match="accumulate=0; choose 1 or more"):
        Recipe(accumulate=0)
    with pytest.raises(
        ValueError, match=r"cooldown=1\.5 is no share of the steps; choose 0 to 1"
    ):
        Recipe(cooldown=1.5)


@pytest.mark.parametrize(
    ("choice", "range_of_it"),
    [
        ({"steps": -3}, "steps=-3; choose 1 or more"),
        ({"rate": 0}, "rate=0; choose more than 0"),
        ({"rate": math.inf}, "rate=inf; choose a finite one"),
        ({"clip": 0}, "clip=0; choose more than 0"),
        ({"eps": math.nan}, "eps=nan; choose more than 0"),
        ({"smoothing": 2}, "smoothing=2; choose 0 (none) or more, below 1"),
        ({"betas": (0.9, 1)}, "betas=(0.9, 1); choose each from 0 up to below 1"),
        ({"variant": "paper"}, "variant='paper'; choose tensor2tensor, torch"),
        ({"precision": "half"}, "precision='half'; choose auto, float32"),
    ],
)
def test_a_recipe_refuses_numbers_out_of_range(no_shape_checks, choice, range_of_it):
    with pytest.raises(ValueError, match=re.escape(range_of_it)):
        Recipe(**choice)


def test_training_is_torchs_adam_on_the_smoothed_loss(tmp_path):
    """The same ten steps by hand: mean smoothed cross-entropy, clipped gradient, Adam as in section 5.3."""
    ours, theirs = transformer(dropout=0.0).double(), transformer(dropout=0.0).double()
    run(ours, tmp_path, chosen=recipe(steps=10))
    optimizer = torch.optim.Adam(theirs.parameters(), betas=(0.9, 0.98), eps=1e-9)
    stream = batches()
    for step in range(1, 11):
        source, target = next(stream)
        optimizer.param_groups[0]["lr"] = paper_rate(step, 16, 40)
        optimizer.zero_grad()
        goal = target[:, 1:].flatten()
        logits = theirs(source, target[:, :-1]).flatten(0, 1)
        (smoothed_loss(logits, goal, 0.1) / (goal != 0).sum()).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_computes_what_the_lessons_loop_computes(tmp_path, accumulate):
    """The same weights, up to the norm of a gradient at which the engine clips and the paper does not."""
    ours, theirs = (transformer(dropout=0.0).double() for _ in range(2))
    chosen = recipe(steps=8, accumulate=accumulate, clip=1e9, smoothing=0.1)
    run(ours, tmp_path, chosen=chosen)
    lesson_losses = lesson.train(
        theirs,
        batches(),
        chosen.steps,
        16,
        rate=chosen.rate,
        warmup=chosen.warmup,
        accumulate=accumulate,
    )
    for a, b in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
    assert losses(tmp_path) == pytest.approx(
        [lesson_losses[step - 1] for step in logged(tmp_path)], abs=1e-6
    )


def logged(folder: Path) -> list[int]:
    with (folder / "log.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["loss"]]


def test_batches_accumulated_are_one_large_batch(tmp_path):
    """They hold different numbers of tokens, so the mean over all tokens is not the mean of their means."""
    first, second = sentences()[:5], sentences()[5:25]

    def batch(pairs):
        return next(TokenBatches(pairs, 10_000, seed=0, multiple=10))

    (a, a_target), (b, b_target) = batch(first), batch(second)
    whole = (torch.cat([a, b]), torch.cat([a_target, b_target]))
    parts = (
        transformer(dropout=0.0).double(),
        Listed((a, a_target), (b, b_target)),
        recipe(steps=6, accumulate=2),
    )
    at_once = transformer(dropout=0.0).double(), Listed(whole), recipe(steps=6)
    models = [
        run(m, tmp_path / str(n), s, chosen=c)
        for n, (m, s, c) in enumerate((parts, at_once))
    ]
    for one, other in zip(models[0].parameters(), models[1].parameters()):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    assert losses(tmp_path / "0") == pytest.approx(losses(tmp_path / "1"), abs=2e-6)


@pytest.mark.parametrize("clip", [0.01, 1e9])
def test_a_long_gradient_is_clipped(tmp_path, monkeypatch, clip):
    norms = []

    class Spy(torch.optim.Adam):
        def step(self, closure=None):
            grads = [p.grad for p in self.param_groups[0]["params"]]
            norms.append(torch.stack([grad.norm() for grad in grads]).norm().item())
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    run(transformer(), tmp_path, chosen=recipe(steps=3, clip=clip))
    assert (
        norms == pytest.approx([0.01] * 3, rel=1e-3)
        if clip < 1
        else all(norm > 0.1 for norm in norms)
    )


def test_bfloat16_learns_what_float32_learns(tmp_path):
    """16 bits hold three decimal digits: the losses agree to some hundredths, and the weights stay in 32 bits."""
    for precision in ("float32", "bfloat16"):
        model = run(
            transformer(dropout=0.0),
            tmp_path / precision,
            chosen=recipe(steps=20, precision=precision),
        )
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    exact, rough = losses(tmp_path / "float32"), losses(tmp_path / "bfloat16")
    assert exact != rough
    assert rough == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("pays", [True, False])
def test_auto_computes_in_bfloat16_where_that_pays(tmp_path, monkeypatch, pays):
    monkeypatch.setattr(training, "bfloat16_pays", lambda device: pays)
    run(
        transformer(dropout=0.0),
        tmp_path / "auto",
        chosen=recipe(steps=4, precision="auto"),
    )
    named = "bfloat16" if pays else "float32"
    run(
        transformer(dropout=0.0),
        tmp_path / named,
        chosen=recipe(steps=4, precision=named),
    )
    assert losses(tmp_path / "auto") == losses(tmp_path / named)


def test_bfloat16_pays_where_the_processor_says_so(monkeypatch):
    file = Path("/proc/cpuinfo")
    if not file.exists() or "flags" not in (text := file.read_text()):
        pytest.skip("this system does not tell the processor's flags in /proc/cpuinfo")
    assert bfloat16_pays(torch.device("cpu")) == (
        "avx512_bf16" in text or "amx_bf16" in text
    )
    assert not bfloat16_pays(torch.device("meta"))
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not bfloat16_pays(torch.device("cpu")), "where PyTorch does not say"


def test_a_loss_that_is_no_number_stops_with_advice_and_spoils_no_weight(tmp_path):
    model = transformer()
    with torch.no_grad():
        model.decoder.layers[0].feed_forward.outer.bias[0] = math.nan
    before = [parameter.clone() for parameter in model.parameters()]
    message = r"at step 1 the loss is nan .*try half of it, twice the warm-up, or precision float32"
    with pytest.raises(FloatingPointError, match=message):
        run(model, tmp_path, chosen=recipe(steps=3))
    assert all(
        torch.equal(a, b) or a.isnan().any() for a, b in zip(model.parameters(), before)
    )
    assert not checkpoints(tmp_path)


def test_a_diverging_training_stops_with_advice(tmp_path):
    with pytest.raises(
        FloatingPointError,
        match=r"the loss has grown from [\d.]+ to [\d.]+ nats by step \d+: the tr",
    ):
        run(transformer(), tmp_path, chosen=recipe(steps=300, rate=1000.0, warmup=1))


def test_a_training_that_lost_what_it_had_learned_diverges_though_it_began_higher():
    health = Health()
    for step in range(1, 300):
        health.check(step, 9.0 - 0.02 * step, 1.0, 1e-3)
    with pytest.raises(FloatingPointError, match="diverges"):
        [health.check(step, 8.0, 1.0, 1e-3) for step in range(300, 500)]


def test_one_bad_batch_is_no_divergence():
    health = Health()
    for step in range(1, 1000):
        health.check(step, 30.0 if step % 50 == 49 else 3.0 + 5 / step, 1.0, 1e-3)


def kinds():
    yield "transformer", lambda: transformer(dropout=0.2)
    yield "tied not", lambda: transformer(dropout=0.2, tied=False, norm="pre")
    yield "seq2seq", lambda: Seq2Seq(20, 16, network=LSTM, layers=2, dropout=0.2)


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in kinds()]
)
def test_a_training_that_goes_on_is_one_that_never_stopped(tmp_path, make):
    def built():
        torch.manual_seed(0)
        return make()

    def curious(model):
        return {"drawn": torch.rand(()).item(), "training": float(model.training)}

    whole = run(built(), tmp_path / "whole", chosen=recipe(steps=24), evaluate=curious)
    for steps in (4, 8, 8, 24):
        torch.manual_seed(steps)  # whatever happened to the generator meanwhile
        chosen = recipe(steps=steps)
        model = run(built(), tmp_path / "parts", chosen=chosen, evaluate=curious)
        assert not model.training
    assert same(whole, model)
    assert same(whole, run(built(), tmp_path / "unseen", chosen=recipe(steps=24))), (
        "to evaluate changes nothing"
    )
    names = [path.name for path in checkpoints(tmp_path / "whole")]
    assert names == [path.name for path in checkpoints(tmp_path / "parts")]
    for name, file in itertools.product(
        names, ("model.safetensors", "training.safetensors")
    ):
        assert (tmp_path / "whole" / name / file).read_bytes() == (
            tmp_path / "parts" / name / file
        ).read_bytes()


def test_minutes_choose_where_to_stop_and_nothing_else(tmp_path):
    whole = run(transformer(), tmp_path / "whole", chosen=recipe(steps=9))
    for step in range(1, 10):
        model = transformer()
        assert (
            train(
                model,
                batches(),
                recipe(steps=9),
                tmp_path / "parts",
                minutes=0.0,
                progress=False,
            )
            == step
        )
    assert same(whole, model)
    assert (
        train(
            model,
            batches(),
            recipe(steps=9),
            tmp_path / "parts",
            minutes=0.0,
            progress=False,
        )
        == 9
    )


def test_the_log_of_a_training_that_went_on_has_each_step_once(tmp_path):
    run(
        transformer(),
        tmp_path,
        chosen=recipe(steps=8),
        evaluate=lambda model: {"valid_nats": 1.5},
    )
    with (tmp_path / "log.csv").open(
        "a"
    ) as file:  # what a killed run left: a step beyond, and half a row
        file.write("9,1.0,0.1,2.5,100,\n10,1.")
    run(transformer(), tmp_path, chosen=recipe(steps=10))
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["loss"]] == list(range(1, 11))
    assert [(row["step"], row["evaluation"]) for row in rows if not row["loss"]] == [
        ("4", "valid_nats=1.5000"),
        ("8", "valid_nats=1.5000"),
    ]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert [float(row["rate"]) for row in rows if row["loss"]] == pytest.approx(
        [paper_rate(step, 16, 40) for step in range(1, 11)], rel=1e-3
    )


def test_another_training_in_the_folder_is_refused(tmp_path):
    run(
        transformer(),
        tmp_path,
        chosen=recipe(steps=4),
        description={"corpus": "a", "config": {"layers": 1, "heads": 2}},
    )
    with pytest.raises(
        ValueError,
        match=r"holds another training: layers is 2, was 1 there\. Choose another folder",
    ):
        run(
            transformer(),
            tmp_path,
            description={"corpus": "a", "config": {"layers": 2, "heads": 2}},
        )
    with pytest.raises(ValueError, match="the state is of other batches"):
        run(transformer(), tmp_path, batches(tokens=128), description={"corpus": "a"})


@pytest.fixture
def display(monkeypatch):
    """What a notebook was given to show."""
    import IPython.display
    import matplotlib as mpl

    mpl.use("Agg")
    shown = []
    monkeypatch.setattr(
        IPython.display,
        "display",
        lambda *things, **options: SimpleNamespace(update=shown.append),
    )
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    return shown


def test_a_notebook_gets_the_curve_of_the_loss(tmp_path, display):
    report = Report(tmp_path / "log.csv", 0, 5)
    report.bar = None
    for step in range(1, 6):
        report.step(step, 1e-3, 5.0 - step, 100, write=True)
    assert len(display) == 1, "the first picture is still young"
    report.close()
    first, last = display
    assert first is not last
    (axes,) = last.axes
    assert axes.get_xlabel() == "step"
    assert axes.get_ylabel() == "loss, nats a token"
    assert axes.lines[0].get_xydata().tolist() == [
        [step, 5.0 - step] for step in range(1, 6)
    ]


def test_a_terminal_gets_a_bar(tmp_path, monkeypatch):
    report = Report(tmp_path / "log.csv", 2, 9, minutes=5.0)
    assert (report.bar.total, report.figure) == (9, None)
    assert report.bar.disable, "nobody watches a test's output"
    said = []
    report.bar.set_postfix_str = said.append
    report.shown_at -= 2
    report.step(3, 1e-3, 4.25, 100)
    assert len(said) == 1
    assert "loss 4.250, " in said[0]
    assert said[0].endswith(" tokens/s, 5.0 min left")
    report.close()


def shared_training(folder: Path) -> None:
    """50 steps in float64; started by torchrun, each process takes its share."""
    with processes() as (rank, world, _):
        source = batches(256 // world, rank=rank, world=world)
        run(
            transformer(dropout=0.0).double(),
            folder,
            source,
            chosen=recipe(steps=50, checkpoint=25, accumulate=2),
        )


def compiled_training(folder: Path) -> None:
    """The part of torch.compile that reads Python; to translate to machine code would take a minute."""
    translated, compile = [], torch.compile

    def halfway(module, **options):
        translated.append(module)
        return compile(module, backend="eager", **options)

    torch.compile = halfway
    models = [
        run(
            transformer(dropout=0.0),
            folder / str(flag),
            chosen=recipe(steps=3, compile=flag),
        )
        for flag in (False, True)
    ]
    assert len(translated) == 1
    for one, other in zip(*(model.parameters() for model in models)):
        torch.testing.assert_close(one, other)


def in_process(*words: str | Path) -> None:
    """Run this module apart from the tests, whose checks of shapes torch.compile cannot read."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_a_compiled_model_trains_as_the_plain_one(tmp_path):
    in_process("tests.translate.test_engine", "compiled_training", tmp_path)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    """In float64, so that what differs is not the rounding, which a training in float32 can amplify beyond 1e-4."""
    launch = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    in_process(
        *launch, "tests.translate.test_engine", "shared_training", tmp_path / "two"
    )
    shared_training(tmp_path / "one")
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == 50
    assert two == pytest.approx(one, abs=5e-6)
    assert one[-1] < one[0] - 0.3


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
