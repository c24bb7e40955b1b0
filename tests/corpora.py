"""Real corpora in tests: never fetched, used where they are at hand."""

import pytest

from minitfm.translate.corpora import CORPORA, data_folder


def at_hand(name: str) -> bool:
    folder = data_folder() / name
    return all(
        (folder / file).exists()
        for files in CORPORA[name].splits.values()
        for file in files
    )


def real(name: str) -> "pytest.ParameterSet":
    """A corpus as a test's parameter, skipped where it is not at hand."""
    reason = (
        f"needs {name}: set MINITFM_DATA to the folder that holds it, or load it once"
    )
    return pytest.param(
        name, marks=pytest.mark.skipif(not at_hand(name), reason=reason)
    )


each_real_corpus = pytest.mark.parametrize(
    "name", [real("small_parallel_enja"), real("multi30k")]
)
