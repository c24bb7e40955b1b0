"""Checkpoints: what was saved comes back, only whole ones count, and nothing in a file is ever executed."""

import ast
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minitfm.transformer import Transformer, TransformerConfig
from minitfm.translate import checkpoints
from minitfm.translate.checkpoints import (
    MODEL,
    STATE,
    check_same_training,
    random_states,
    read,
    restore,
    save,
    write,
)
from minitfm.translate.translation import load

PACKAGE = Path(checkpoints.__file__).parent


def model_and_optimizer(seed=0, **changes):
    torch.manual_seed(seed)
    model = Transformer(
        TransformerConfig(12, d_model=8, d_ff=16, heads=2, layers=1, **changes)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return model, optimizer


def one_step(model, optimizer) -> None:
    tokens = torch.randint(3, 12, (4, 5))
    optimizer.zero_grad()
    model(tokens, tokens).square().mean().backward()
    optimizer.step()


def saved(folder, step, model, optimizer, **options):
    description, random = {"kind": "small"}, [random_states(torch.device("cpu"))]
    return save(
        folder,
        step,
        model,
        optimizer,
        description,
        {"place": [1, 2]},
        random,
        **options,
    )


@pytest.mark.parametrize("tied", [True, False])
def test_what_was_saved_comes_back(tmp_path, tied):
    model, optimizer = model_and_optimizer(tied=tied)
    one_step(model, optimizer)
    path = saved(tmp_path, 7, model, optimizer)
    assert path == checkpoints.checkpoints(tmp_path)[-1] == tmp_path / "step-00000007"
    drawn = torch.rand(3)
    other, others = model_and_optimizer(seed=1, tied=tied)
    progress = restore(path, other, others)
    assert progress["place"] == [1, 2]
    assert progress["step"] == 7
    assert torch.equal(torch.rand(3), drawn), "the random numbers go on"
    for pair in ((model, optimizer), (other, others)):
        torch.manual_seed(5)
        one_step(*pair)
    for one, same in zip(model.parameters(), other.parameters()):
        assert torch.equal(one, same)


def test_tied_weights_are_written_once_and_tied_again(tmp_path):
    model, optimizer = model_and_optimizer()
    path = saved(tmp_path, 1, model, optimizer)
    tensors, metadata = read(path / MODEL)
    assert metadata == {"kind": "small", "step": 1}
    assert tensors.keys() == model.state_dict().keys()
    names = ("source_embedding.weight", "target_embedding.weight", "generator.weight")
    assert len({tensors[name].data_ptr() for name in names}) == 1
    numbers = sum(parameter.numel() for parameter in model.parameters())
    assert (path / MODEL).stat().st_size < 4 * numbers + 8000
    other, others = model_and_optimizer(seed=1)
    restore(path, other, others)
    assert other.generator.weight is other.source_embedding.weight


def test_the_last_ones_are_kept_and_leftovers_are_swept(tmp_path):
    model, optimizer = model_and_optimizer()
    (tmp_path / ".step-00000099").mkdir()
    (tmp_path / ".step-00000099" / MODEL).write_bytes(b"half")
    for step in range(1, 6):
        saved(tmp_path, step, model, optimizer, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000004",
        "step-00000005",
    ]


def test_only_whole_checkpoints_count(tmp_path):
    model, optimizer = model_and_optimizer()
    path = saved(tmp_path, 3, model, optimizer)
    for name in (".step-00000004", "step-00000005", "step-6", "step-00000007.bak"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MODEL).write_bytes((path / MODEL).read_bytes())
    assert checkpoints.checkpoints(tmp_path) == [path]
    assert checkpoints.checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("broken", ["save_file", "rename"])
def test_a_checkpoint_that_fails_to_be_written_does_not_appear(
    tmp_path, monkeypatch, broken
):
    model, optimizer = model_and_optimizer()
    saved(tmp_path, 1, model, optimizer)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            *(
                (checkpoints, "save_file")
                if broken == "save_file"
                else (Path, "rename")
            ),
            full,
        )
        with pytest.raises(OSError, match="No space left"):
            saved(tmp_path, 2, model, optimizer)
    assert [path.name for path in checkpoints.checkpoints(tmp_path)] == [
        "step-00000001"
    ]
    saved(tmp_path, 2, model, optimizer)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000001",
        "step-00000002",
    ]


def test_another_training_is_told_apart_by_what_differs(tmp_path):
    model, optimizer = model_and_optimizer()
    random = [random_states(torch.device("cpu"))]
    description = {
        "corpus": "a",
        "config": {"layers": 1, "betas": (0.9, 0.98)},
        "tokenizer": "x" * 500,
    }
    path = save(tmp_path, 1, model, optimizer, description, {}, random)
    check_same_training(path, description)
    check_same_training(path, {"corpus": "a"})
    with pytest.raises(
        ValueError,
        match=r"another training: corpus is 'b', was 'a' there; the tokenizer differs\.",
    ):
        check_same_training(
            path, {**description, "corpus": "b", "tokenizer": "y" * 500}
        )


class Attack:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["pickle", "torch", "text", "cut short", "nothing"])
def test_a_file_that_is_no_safetensors_is_refused_and_not_run(tmp_path, kind):
    trap, path = tmp_path / "trap", tmp_path / MODEL
    if kind == "torch":
        torch.save({"weight": Attack(trap)}, path)
        assert zipfile.is_zipfile(path)
    elif kind == "cut short":
        save_file({"weight": torch.zeros(100)}, path, {"minitfm": "{}"})
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.write_bytes(
            {"pickle": pickle.dumps(Attack(trap)), "text": b"weights", "nothing": b""}[
                kind
            ]
        )
    for opened in (path, tmp_path):
        with pytest.raises(ValueError, match="is no whole safetensors file"):
            load(opened)
    assert not trap.exists()
    if kind == "pickle":
        pickle.loads(path.read_bytes())
        assert trap.exists(), "the trap works"


def test_weights_of_others_are_refused(tmp_path):
    path = tmp_path / MODEL
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="has no description of a minitfm model in it"):
        load(path)
    write(path, {"weight": torch.zeros(2)}, {"step": 1})
    with pytest.raises(
        ValueError, match="has no config and no tokenizer in its description"
    ):
        load(path)


def test_the_package_unpickles_nothing():
    """Neither by name nor through PyTorch, NumPy or a shelf."""
    names = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported = {alias.name.split(".")[0] for alias in node.names} | {
                    getattr(node, "module", None) or ""
                }
                assert not imported & names, path
            if isinstance(node, ast.Attribute) and node.attr == "load":
                assert not (
                    isinstance(node.value, ast.Name)
                    and node.value.id in {"torch", "np", "numpy"}
                ), path
            if isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", path


def test_the_metadata_is_readable_by_anybody(tmp_path):
    write(
        tmp_path / MODEL, {"weight": torch.zeros(2)}, {"text": "日本語", "number": 0.1}
    )
    content = (tmp_path / MODEL).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["minitfm"]) == {
        "text": "日本語",
        "number": 0.1,
        "shared": {},
    }


def test_the_state_goes_beside_the_weights(tmp_path):
    model, optimizer = model_and_optimizer()
    one_step(model, optimizer)
    tensors, progress = read(saved(tmp_path, 1, model, optimizer) / STATE)
    assert progress == {"place": [1, 2], "step": 1}
    kinds = {
        name.rpartition("/")[2] for name in tensors if name.startswith("optimizer/")
    }
    assert kinds == {"step", "exp_avg", "exp_avg_sq"}
    assert "random/0/cpu" in tensors
