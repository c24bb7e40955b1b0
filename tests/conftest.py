"""Every test runs with the package's shape annotations checked on every call."""

import os
from collections.abc import Iterator

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
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
