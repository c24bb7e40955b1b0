"""Libraries that the lessons need not, and which extra of the package brings each."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def brought_by(extra: str) -> Iterator[None]:
    """Name the extra where a library that is imported inside is not installed.

    Raises:
        ModuleNotFoundError: if one is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed; pip install 'minitfm[{extra}]' brings it",
            name=error.name,
        ) from None
