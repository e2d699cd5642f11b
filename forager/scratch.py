"""Temporary directories, all in one place: `scratch` in the data directory.

Each has a lock file, which its maker holds. A killed maker removes nothing, so the next process
that makes a temporary directory removes what is there without a holder, as does `forager doctor
--clean`.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from forager.atomic import remove_parts
from forager.errors import StoreError
from forager.locks import take
from forager.paths import data_directory


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """Yield a new directory, which is removed at the end. Raises StoreError if it cannot be made.

    `purpose` is a word for people who look at it.
    """
    try:
        _swept()
        path, lock = _made(purpose)
    except OSError as error:
        raise StoreError(f"cannot write to {data_directory()}: {error.strerror}") from error
    try:
        yield path
    finally:
        _remove(path)
        lock.release()


def sweep() -> int:
    """Remove the directories whose makers are gone; return how many."""
    removed = 0
    for file in _place().glob("*.lock"):
        with suppress(OSError):
            lock = take(file)
            if lock is not None:
                _remove(file.with_suffix(""))
                lock.release()
                removed += 1
    for place in (data_directory() / "unpacked" / "layers", data_directory() / "histories"):
        removed += remove_parts(place)
    return removed


@cache
def _swept() -> int:
    return sweep()


def _place() -> Path:
    path = data_directory().absolute() / "scratch"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _made(purpose: str) -> tuple[Path, FileLock]:
    while True:
        path = _place() / f"{purpose}-{os.getpid()}-{secrets.token_hex(4)}"
        lock = take(_lock_of(path))  # before the directory: what has no holder is swept
        if lock is not None:
            path.mkdir()
            return path, lock


def _remove(path: Path) -> None:
    """Remove a directory, and its lock file last; both stay where something is mounted below."""
    if not _has_mounts(path):
        shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        _lock_of(path).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _has_mounts(path: Path) -> bool:
    """Whether a file system is mounted below, such as by a debootstrap that was killed."""
    places = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return any(place.startswith(f"{path.resolve()}/") for place in places)
