"""A training killed at any moment, also while it writes, and started again ends as one that was never killed.

`python tests/test_kill.py FOLDER` runs the trainings and prints what happened; the test below reads that. It forks them
from one warmed-up process, since the start of PyTorch would take longer than all of them, and never computes itself.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 20
# Moments in the writing of a checkpoint at which a run is held and killed, whatever the speed of the machine.
MOMENTS = (
    "half of the weights",
    "weights without state",
    "half of the state",
    "all but the name",
    "half removed",
)


def training(folder: Path, steps: int, stop_at: str | None = None) -> None:
    """Train a small Transformer with dropout; ``stop_at`` a moment of the second checkpoint, leave a mark and wait."""
    import torch

    from minitfm.transformer import Transformer, TransformerConfig
    from minitfm.translate.batches import TokenBatches
    from minitfm.translate.engine import train
    from minitfm.translate.recipe import Recipe

    if stop_at:
        stopping(folder, stop_at)
    draw = random.Random(0)
    sentences = [
        [draw.randrange(3, 20) for _ in range(draw.randint(2, 9))] for _ in range(300)
    ]
    torch.manual_seed(0)
    model = Transformer(
        TransformerConfig(20, d_model=16, d_ff=32, heads=2, layers=1, dropout=0.1)
    )
    batches = TokenBatches([(s, s[::-1]) for s in sentences], 256, seed=0)
    recipe = Recipe(
        steps=steps,
        warmup=40,
        checkpoint=2,
        keep=3,
        accumulate=2,
        precision="float32",
        log=1,
    )
    train(model, batches, recipe, folder, description={"kind": "small"}, progress=False)


def stopping(folder: Path, moment: str) -> None:
    """Slow one write of a checkpoint down for ever."""
    import shutil

    from minitfm.translate import checkpoints

    save_file, rename, rmtree, saved = (
        checkpoints.save_file,
        Path.rename,
        shutil.rmtree,
        [],
    )

    def wait() -> None:
        (folder / moment).touch()
        time.sleep(600)

    def slow_save_file(tensors, path, metadata):
        save_file(tensors, path, metadata)
        saved.append(path.name)
        last = len(saved) > 2
        if last and path.name == (
            "model.safetensors"
            if moment == "half of the weights"
            else "training.safetensors"
        ):
            if moment == "weights without state":
                path.unlink()
                wait()
            if moment.startswith("half of"):
                with path.open("r+b") as file:
                    file.truncate(path.stat().st_size // 2)
                wait()

    def slow_rename(self, target):
        if (
            moment == "all but the name"
            and len(saved) > 2
            and self.name.startswith(".step")
        ):
            wait()
        return rename(self, target)

    def slow_rmtree(path, *arguments, **options):
        if moment == "half removed" and len(saved) > 2:
            (Path(path) / "model.safetensors").unlink(missing_ok=True)
            wait()
        return rmtree(path, *arguments, **options)

    checkpoints.save_file, Path.rename, shutil.rmtree = (
        slow_save_file,
        slow_rename,
        slow_rmtree,
    )


def started(folder: Path, steps: int = 10_000, stop_at: str | None = None) -> int:
    """Fork a process that trains."""
    if process := os.fork():
        return process
    try:
        training(folder, steps, stop_at)
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def newest(folder: Path) -> int:
    """The step of the last checkpoint."""
    return max((int(path.name[5:]) for path in folder.glob("step-*")), default=0)


def killed(process: int) -> bool:
    """Kill it; False if it had ended by itself."""
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def finished(folder: Path, steps: int) -> None:
    """Train to the end."""
    assert os.waitpid(started(folder, steps), 0)[1] == 0


def main(folder: Path) -> None:
    import torch

    from minitfm.translate import engine as _imports  # noqa: F401 (warm)

    torch.set_num_threads(1)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    finished(folder / "first", 2)
    begin = time.monotonic()
    finished(folder / "first", 12)
    a_step = (time.monotonic() - begin) / 10
    draw, stricken, partial, steps = random.Random(), folder / "killed", [], []
    for _ in range(KILLS):
        process, before = started(stricken), newest(stricken)
        # Up to two checkpoints later, or even before the first, at a moment anywhere in the steps that follow.
        goal, deadline = before + 2 * draw.choice((0, 1, 2)), time.monotonic() + 120
        while newest(stricken) < goal and time.monotonic() < deadline:
            time.sleep(a_step / 10)
        time.sleep(draw.uniform(0, 4 * a_step))
        assert killed(process), "a run failed"
        steps.append(newest(stricken))
        partial.append(any(stricken.glob(".step-*")))
    pinned = {}
    for moment in MOMENTS:
        process, deadline = started(stricken, stop_at=moment), time.monotonic() + 120
        while not (stricken / moment).exists() and time.monotonic() < deadline:
            time.sleep(a_step / 10)
        assert killed(process), "a run failed"
        pinned[moment] = sorted(path.name for path in stricken.glob(".step-*/*"))
    last = newest(stricken) + 4
    finished(stricken, last)
    finished(folder / "whole", last)
    seconds = round(time.monotonic() - begin, 1)
    print(
        json.dumps(
            {
                "steps": steps,
                "partial": sum(partial),
                "pinned": pinned,
                "last": last,
                "seconds": seconds,
            }
        )
    )


@pytest.mark.slow
def test_a_training_killed_at_random_moments_ends_as_one_never_killed(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__)), str(tmp_path)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr[-3000:]
    said = json.loads(run.stdout)
    assert len(said["steps"]) == KILLS
    assert said["steps"][-1] > 0
    assert all(said["pinned"].values()), (
        "at each pinned moment a part of a checkpoint was left behind"
    )
    whole, stricken = (
        sorted((tmp_path / name).glob("step-*")) for name in ("whole", "killed")
    )
    assert [path.name for path in whole] == [path.name for path in stricken]
    assert len(whole) == 3
    for one, other in zip(whole, stricken):
        for file in ("model.safetensors", "training.safetensors"):
            assert (one / file).read_bytes() == (other / file).read_bytes(), (
                f"{one.name}/{file}"
            )
    assert not list((tmp_path / "killed").glob(".step-*")), "leftovers are swept"
    logs = [
        (tmp_path / name / "log.csv").read_text().splitlines()[1:]
        for name in ("whole", "killed")
    ]
    columns = [
        [(row.split(",")[0], row.split(",")[2], row.split(",")[3]) for row in log]
        for log in logs
    ]
    assert columns[0] == columns[1]
    assert [int(row[0]) for row in columns[0]] == list(range(1, said["last"] + 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
