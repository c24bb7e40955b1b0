"""`transformer_2017.py`, the whole model in one file, is what the script makes, and equal to the package."""

import ast
import importlib.util
import re
import sys
from itertools import islice
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitfm import seq2seq, training
from minitfm.transformer import Transformer, TransformerConfig
from tests.tools import one_file

STEPS = 400
SMALL = {"d_model": 32, "d_ff": 64, "heads": 2, "layers": 1}
RENAMED = {
    r"source_embedding": "embedding",
    r"coder\.layers": "coder",
    r"residual_(\d)\.norm\.gain": r"norm_\1.weight",
    r"residual_(\d)\.norm\.bias": r"norm_\1.bias",
}


def load() -> ModuleType:
    """The file as a module, wherever it stands."""
    spec = importlib.util.spec_from_file_location("transformer_2017", one_file.FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


alone = load()


def here(name: str) -> str:
    """A parameter of the package, as the file calls it."""
    for old, new in RENAMED.items():
        name = re.sub(old, new, name)
    return name


def twins(heads=2, layers=2, dropout=0.0):
    """The package's model and the file's, with the same weights."""
    shape = {"d_model": 8, "d_ff": 12, "heads": heads, "layers": layers}
    package = Transformer(TransformerConfig(9, dropout=dropout, **shape)).double()
    with torch.no_grad():
        for parameter in package.parameters():  # also what begins as 0 or 1
            parameter.add_(0.2 * torch.randn_like(parameter))
    file = alone.Transformer(9, dropout=dropout, **shape).double()
    weights = {here(name): value.detach().clone() for name, value in package.named_parameters()}  # fmt: skip
    assert weights.keys() == dict(file.named_parameters()).keys()
    file.load_state_dict({**weights, "generator.weight": weights["embedding.weight"]})
    return package, file


def tokens(rows: int, length: int, padded: bool) -> torch.Tensor:
    """Ids from 1 on; ``padded``: the last row is padding alone, the first one in part."""
    ids = torch.randint(1, 9, (rows, length))
    if padded:
        ids[0, length // 2 + 1 :] = 0
        ids[-1, 1 if rows == 1 else 0 :] = 0
    return ids


def test_the_file_is_what_the_script_makes_of_the_package() -> None:
    made = one_file.made()
    assert one_file.FILE.read_text("utf-8") == made, "run: python -m tests.tools.one_file"  # fmt: skip
    assert made.count("\n") <= one_file.LONGEST


def test_a_lesson_that_changed_is_not_taken_as_it_was() -> None:
    with pytest.raises(ValueError, match=r"Encoder.*stands there 0 times"):
        one_file.replaced("EncoderLayer", "class EncoderLayer: pass")


def test_it_needs_torch_alone() -> None:
    imported = set()
    for node in ast.walk(ast.parse(one_file.FILE.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert "torch" in imported
    assert imported - {"torch"} <= set(sys.stdlib_module_names)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 3),
    source=st.integers(1, 7),
    target=st.integers(1, 7),
    heads=st.sampled_from([1, 2, 4]),
    layers=st.integers(1, 3),
    padded=st.booleans(),
)
def test_same_weights_give_the_packages_logits_and_gradients(
    seed, rows, source, target, heads, layers, padded
):
    torch.manual_seed(seed)
    package, file = twins(heads, layers)
    source, target = tokens(rows, source, padded), tokens(rows, target, padded)
    pull = torch.randn(*target.shape, 9, dtype=torch.float64)
    logits = [model(source, target) for model in (package, file)]
    torch.testing.assert_close(*logits, rtol=1e-9, atol=1e-9)
    gradients = []
    for model, output in zip((package, file), logits):
        (output * pull).sum().backward()
        gradients.append({here(name): p.grad for name, p in model.named_parameters()})
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_dropout_falls_on_the_same_numbers() -> None:
    package, file = twins(dropout=0.3)
    source, target = tokens(3, 6, True), tokens(3, 5, True)
    logits = []
    for model in (package, file):
        torch.manual_seed(1)
        logits.append(model(source, target))
    torch.testing.assert_close(*logits, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(file(source, target), logits[1]), "it drops at all"


def test_it_starts_as_the_packages_model_does() -> None:
    shape = {"d_model": 64, "d_ff": 96, "heads": 4, "layers": 1}
    package = Transformer(TransformerConfig(50, **shape))
    file = dict(alone.Transformer(50, **shape).named_parameters())
    for name, parameter in package.named_parameters():
        own = file[here(name)]
        torch.testing.assert_close(own.std(), parameter.std(), rtol=0.1, atol=0)
        torch.testing.assert_close(own.mean(), parameter.mean(), rtol=0, atol=0.02)


def test_the_loop_is_the_packages(capsys) -> None:
    package, file = twins()
    pairs = [(tokens(4, 6, True), tokens(4, 5, False)) for _ in range(100)]
    expected = training.train(package, pairs, 100, d_model=8, warmup=20)
    losses = alone.train(file, pairs, 100, d_model=8, warmup=20)
    assert losses == pytest.approx(expected, rel=1e-6)
    assert losses[-1] < losses[0]
    assert not file.training
    assert capsys.readouterr().out == f"step 100: loss {losses[-1]:.3f}\n"


def test_dates_are_dates_and_the_held_out_ones_are_never_learned_from() -> None:
    import datetime
    import random

    learned, kept = (
        {alone.date_pair(random.Random(seed), held_out) for seed in range(3000)}
        for held_out in (False, True)
    )
    days = []
    for pairs in (learned, kept):
        days.append(set())
        for english, japanese in pairs:
            year, month, day, name = re.fullmatch(r"(\d+)年(\d+)月(\d+)日(?:(.)曜日)?", japanese).groups()  # fmt: skip
            date = datetime.date(int(year), int(month), int(day))
            assert str(date.year) in english
            assert f"{date:%B}" in english or f"{date.month}/{date.day}" in english
            assert english.startswith(f"{date:%A}, ") == bool(name)
            assert name in (None, "月火水木金土日"[date.weekday()])
            assert 1900 <= date.year <= 2099
            days[-1].add(date)
    assert not days[0] & days[1]
    assert len(days[0]) > 2000


def test_texts_come_back_from_their_ids() -> None:
    texts = ["2025年3月4日火曜日", "5月"]
    rows = alone.encode(texts, ends=True)
    assert [alone.decode(row) for row in rows] == texts
    assert rows[1].tolist() == [1, *rows[1, 1:3].tolist(), 2, *[0] * (rows.shape[1] - 4)]  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> list:
    """A short run, and a control with the same targets, each beside another date's source: model and losses."""
    torch.set_num_threads(1)
    runs = []
    for shift in (0, 1):
        torch.manual_seed(0)
        pairs = [
            (source.roll(shift, 0), target)
            for source, target in islice(alone.batches(seed=1, size=32), STEPS)
        ]
        model = alone.Transformer(len(alone.NUMBERS) + 3, dropout=0.0, **SMALL)
        runs.append((model, alone.train(model, pairs, STEPS, d_model=32, warmup=60)))
    return runs


def test_it_learns_to_read_the_source(trained) -> None:
    learned, control = (sum(losses[-20:]) / 20 for _, losses in trained)
    assert learned < control - 0.4


def test_it_writes_what_the_package_writes(trained) -> None:
    file = trained[0][0].double()
    package = Transformer(TransformerConfig(len(alone.NUMBERS) + 3, **SMALL)).double()
    weights = dict(file.named_parameters())
    with torch.no_grad():
        for name, parameter in package.named_parameters():
            parameter.copy_(weights[here(name)])
    source, target = next(alone.batches(seed=2, size=100, held_out=True))
    written = alone.greedy(file, source, target.shape[1])
    assert torch.equal(written, seq2seq.greedy(package, source, target.shape[1]))
    assert len(written.unique(dim=0)) > 20, "the sources make a difference"
    assert (written == alone.EOS).any(1).double().mean() > 0.9
