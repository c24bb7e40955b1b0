"""An exercise is checked as a learner checks it."""

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture(autouse=True, scope="session")
def _as_a_learner_calls_it() -> Iterator[None]:
    """Without the annotations' checks, which only tests have: an exercise must see the numbers itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
