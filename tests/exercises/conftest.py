"""An exercise is checked as a learner checks it."""

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture(autouse=True, scope="module")
def _as_a_learner_calls_it() -> Iterator[None]:
    """Without the annotations' checks, which only tests have: an exercise must see the numbers itself.

    Each module puts back what was before, so that the order of the tests does not matter."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
