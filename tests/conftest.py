"""Every test runs with the package's shape annotations checked on every call."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
from jaxtyping import install_import_hook

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # the workers share the cores, and so do the processes they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

install_import_hook("minitfm", "beartype.beartype")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

hypothesis.settings.register_profile(
    "ci", max_examples=60, deadline=None, derandomize=True
)
hypothesis.settings.register_profile("laptop", max_examples=60, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture(autouse=True)
def _one_seed_and_thread() -> None:
    """Tests share the machine's cores, and none depends on what another one drew."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """Call the package as a user does, without the annotations' checks in between."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


ROOT = Path(__file__).resolve().parents[1]
PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> object:
    """Remember whether a test's own call passed, for fixtures that end after it."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


def fingerprint(notebook: Path) -> str:
    """What a notebook's run depends on: its text, the package, the sanitizer, the
    versions that are installed, and how it is tested.
    """
    names = ("constraints.txt", "pyproject.toml", "tests/sanitize.cfg")
    files = [
        notebook,
        *(ROOT / name for name in names),
        ROOT / "tests/test_notebooks.py",
    ]
    files += sorted(
        path
        for path in (ROOT / "minitfm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    digest = hashlib.sha256(torch.__version__.encode())
    for path in files:
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def changed_since_it_passed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Skip a notebook that passed this test here with everything as it is now.

    CI, and whoever sets CI, runs all of them.
    """
    notebook = request.node.callspec.params["path"]
    key = f"minitfm/{request.node.originalname}/{notebook.stem}"
    now, cache = fingerprint(notebook), getattr(request.config, "cache", None)
    if cache and not os.environ.get("CI") and cache.get(key, "") == now:
        pytest.skip("nothing changed since it last passed here; CI=1 runs it anyway")
    yield
    if cache and request.node.stash.get(PASSED, False):
        cache.set(key, now)
