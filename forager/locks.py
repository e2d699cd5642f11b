"""Locks between processes; each ends with the process that holds it."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

from forager.paths import data_directory


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the data directory, waiting for whoever holds it now."""
    directory = data_directory() / "locks"
    directory.mkdir(exist_ok=True)
    with FileLock(directory / f"{name}.lock"):
        yield
