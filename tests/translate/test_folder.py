"""The folder of a training: nothing of the user's is lost, and one process writes at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from minitfm.translate import checkpoints as saving
from minitfm.translate.checkpoints import (
    BEST,
    MODEL,
    STATE,
    checkpoints,
    describe,
    read,
    save,
    whole_checkpoints,
    write,
)
from minitfm.translate.engine import Best, train
from minitfm.translate.folder import LOCK, MARK, claimed, mark
from minitfm.translate.progress import Report
from minitfm.translate.translation import load
from tests.translate.test_engine import batches, recipe, run, transformer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def finished(tmp_path) -> Path:
    """A training of eight steps and two checkpoints."""
    run(transformer(), tmp_path / "run", chosen=recipe(steps=8))
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["log.csv", "tokenizer.json", ".step-notes", "a.txt"])
def test_a_folder_with_files_and_no_training_is_refused_and_stays(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with (
        pytest.raises(ValueError, match=f"holds {name} and no training of minitfm"),
        claimed(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with (
        pytest.raises(ValueError, match="run is a file; name a folder"),
        claimed(tmp_path / "run"),
    ):
        pass


def test_a_training_killed_before_its_first_checkpoint_goes_on(tmp_path):
    with claimed(tmp_path / "run"):
        (tmp_path / "run" / "log.csv").write_text("step\n")
    with claimed(tmp_path / "run"):
        assert mark(tmp_path / "run")["process"] == os.getpid()


def test_a_training_of_version_0_2_goes_on(finished):
    (finished / MARK).unlink()
    (finished / LOCK).unlink()
    run(transformer(), finished, chosen=recipe(steps=12))
    assert checkpoints(finished)[-1].name == "step-00000012"


def test_the_second_training_in_a_folder_is_told_who_is_there(tmp_path):
    with claimed(tmp_path / "run"):
        program = (
            "import sys; from pathlib import Path\n"
            "from minitfm.translate.folder import claimed\n"
            "with claimed(Path(sys.argv[1])): pass\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "run")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert f"ValueError: process {os.getpid()} on " in done.stderr
    assert "is training in" in done.stderr


@pytest.mark.parametrize("file", [MODEL, STATE])
def test_a_checkpoint_cut_off_is_left_out_and_said(finished, tmp_path, file):
    broken = checkpoints(finished)[-1] / file
    broken.write_bytes(broken.read_bytes()[:-100])
    said: list[str] = []
    (whole,) = whole_checkpoints(finished, said.append)
    assert whole.name == "step-00000004"
    assert len(said) == 1
    assert "step-00000008" in said[0]
    assert "no whole safetensors file" in said[0]
    # Going on from the one before ends where an undisturbed training ends.
    again = run(transformer(), finished, chosen=recipe(steps=8))
    undisturbed = run(transformer(), tmp_path / "other", chosen=recipe(steps=8))
    for one, other in zip(again.parameters(), undisturbed.parameters()):
        assert torch.equal(one, other)


def test_without_a_whole_checkpoint_nothing_is_begun_anew(finished):
    for checkpoint in checkpoints(finished):
        (checkpoint / MODEL).write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 2 checkpoints"):
        run(transformer(), finished, chosen=recipe(steps=8))


def test_a_full_disk_is_a_sentence_and_leaves_the_earlier_checkpoints(
    finished, monkeypatch
):
    save_file = saving.save_file

    def half(tensors, path, metadata):
        save_file(tensors, path, metadata)
        path.write_bytes(path.read_bytes()[:50])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save_file", half)
    with pytest.raises(OSError, match=r"step 12 could not.*No space.*step-00000008"):
        run(transformer(), finished, chosen=recipe(steps=12))
    assert not list(finished.glob(".step-*"))
    monkeypatch.undo()
    run(transformer(), finished, chosen=recipe(steps=12))
    assert checkpoints(finished)[-1].name == "step-00000012"


def test_a_limit_of_the_system_on_files_is_a_sentence(tmp_path):
    """What `ulimit -f` does to the library that writes the file."""
    program = (
        "import resource, sys; from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from tests.translate.test_engine import recipe, run, transformer\n"
        "run(transformer(), Path(sys.argv[1]), chosen=recipe(steps=4))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "OSError: the checkpoint of step 4 could not be written" in done.stderr


def test_weights_of_other_sizes_are_a_sentence(finished):
    tensors, metadata = read(checkpoints(finished)[-1] / MODEL)
    tensors["generator.weight"] = torch.zeros(3, 3)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    write(checkpoints(finished)[-1] / MODEL, tensors, metadata)
    with pytest.raises(ValueError, match="holds the weights of another model"):
        run(transformer(), finished, chosen=recipe(steps=12))


def test_a_position_of_another_version_is_a_sentence(finished):
    tensors, position = read(checkpoints(finished)[-1] / STATE)
    del position["health"]
    write(checkpoints(finished)[-1] / STATE, tensors, position)
    with pytest.raises(ValueError, match="does not say its health"):
        run(transformer(), finished, chosen=recipe(steps=12))


def test_a_config_of_a_newer_version_is_a_sentence(tmp_path):
    model, file = nn.Linear(2, 2), tmp_path / "new.safetensors"
    config = {"vocabulary": 5, "experts": 8}
    write(file, model.state_dict(), {"config": config, "tokenizer": "{}"})
    with pytest.raises(ValueError, match=r"newer version of minitfm.* names experts"):
        load(file)
    config = {"vocabulary": 5, "d_model": "wide"}
    write(file, model.state_dict(), {"config": config, "tokenizer": "{}"})
    with pytest.raises(ValueError, match="config of other types"):
        load(file)


def test_a_folder_in_place_of_a_file_is_a_sentence(tmp_path):
    (tmp_path / MODEL).mkdir()
    with pytest.raises(ValueError, match="is a folder, and a safetensors file"):
        describe(tmp_path / MODEL)


def test_a_log_without_its_columns_is_a_sentence_and_stays(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n1,2.5\n")
    with pytest.raises(ValueError, match="no log of a training: it has no column"):
        Report(tmp_path / "log.csv", 0, 10)
    assert (tmp_path / "log.csv").read_text() == "epoch,loss\n1,2.5\n"


class PressesCtrlC:
    """Batches during the ninth of which somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.batches, self.count = batches(), 0
        self.state_dict = self.batches.state_dict
        self.load_state_dict = self.batches.load_state_dict

    def __iter__(self):
        return self

    def __next__(self):
        self.count += 1
        if self.count == 9:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return next(self.batches)


def test_ctrl_c_saves_the_step_and_the_training_goes_on_from_it(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    stopped = transformer()
    with pytest.raises(KeyboardInterrupt, match="stopped at step 9, which is saved in"):
        train(
            stopped, PressesCtrlC(), recipe(steps=20), tmp_path / "run", progress=False
        )
    assert signal.getsignal(signal.SIGINT) == before
    assert checkpoints(tmp_path / "run")[-1].name == "step-00000009"
    again = run(transformer(), tmp_path / "run", chosen=recipe(steps=20))
    undisturbed = run(transformer(), tmp_path / "whole", chosen=recipe(steps=20))
    for one, other in zip(again.parameters(), undisturbed.parameters()):
        assert torch.equal(one, other)


def trained_with(figures: list[float], folder: Path, **choices) -> int:
    """A training whose evaluations give these figures, one every four steps."""
    given = iter(figures)
    return train(
        transformer(),
        batches(),
        recipe(steps=4 * len(figures), **choices),
        folder,
        evaluate=lambda model: {"nats": next(given)},
        progress=False,
    )


def test_the_best_weights_are_kept_beside_the_last(tmp_path):
    trained_with([3.0, 2.0, 2.5, 4.0], tmp_path / "run", keep=1)
    best, facts = read(tmp_path / "run" / BEST)
    assert facts["step"] == 8
    at_8 = run(transformer(), tmp_path / "other", chosen=recipe(steps=8))
    for name, tensor in at_8.state_dict().items():
        assert torch.equal(best[name], tensor)
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["step-00000016"]


def test_patience_ends_a_training_that_no_longer_improves(tmp_path):
    figures = [3.0, 2.0, 2.5, 2.1, 1.0, 0.5]
    assert trained_with(figures, tmp_path / "patient", patience=3) == 24
    assert trained_with(figures, tmp_path / "stops", patience=2) == 16
    assert trained_with(figures, tmp_path / "never") == 24
    # Started again it stays ended.
    assert trained_with(figures, tmp_path / "stops", patience=2) == 16


def test_the_best_is_the_lowest_and_equal_is_not_better():
    best = Best()
    beaten = [
        best.is_beaten(step, figure) for step, figure in enumerate((2.0, 2.0, 1.0, 3.0))
    ]
    assert beaten == [True, False, True, False]
    assert vars(best) == {"figure": 1, "step": 2, "since": 1}
    assert Best(**json.loads(json.dumps(vars(Best())))) == Best()


def test_a_checkpoint_without_a_best_is_read(finished):
    tensors, position = read(checkpoints(finished)[-1] / STATE)
    del position["best"]
    write(checkpoints(finished)[-1] / STATE, tensors, position)
    run(transformer(), finished, chosen=recipe(steps=12))


def test_save_names_the_folder_it_cannot_make(tmp_path):
    (tmp_path / "file").write_text("")
    model = transformer()
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(OSError, match="step 1 could not be written"):
        save(tmp_path / "file" / "run", 1, model, optimizer, {}, {}, [])
