"""Locks between processes; the kernel ends each one with the process that holds it.

A lock is a file of its own: `.lock` in a directory, `.NAME.lock` next to a file. It holds the
number of the process that took the lock last, and stays when the lock ends: somebody who waits may
have opened it. A forked child does not inherit the lock. Where the file system has no `flock` the
locks raise OSError: filelock's substitute for it would outlive a killed process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from forager.errors import UsageError
from forager.paths import data_directory


def lock_path(path: Path) -> Path:
    """The lock file of a file."""
    return path.with_name(f".{path.name}.lock")


def wait_for(path: Path) -> FileLock:
    """Take a lock file as a context manager, waiting for whoever holds it. Raises OSError."""
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def take(path: Path) -> FileLock | None:
    """Take a lock file at once, until its `release`; None where somebody else holds it.

    Raises OSError where the file cannot be made.
    """
    lock = wait_for(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    path.write_text(f"{os.getpid()}\n")
    return lock


def take_directory(path: Path) -> FileLock:
    """Make a directory, if need be, and keep other processes from it until `release`.

    Raises UsageError that names the process which has it, or says why it cannot be made.
    """
    file = path / ".lock"
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = take(file)
        owner = file.read_text().strip() or "unknown"
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from error
    if lock is None:
        raise UsageError(
            f"process {owner} is writing to {path}; wait for it or choose another directory"
        )
    return lock


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Do the same as a context manager."""
    lock = take_directory(path)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the data directory, waiting for whoever holds it now."""
    directory = data_directory() / "locks"
    directory.mkdir(exist_ok=True)
    with wait_for(directory / f"{name}.lock"):
        yield
