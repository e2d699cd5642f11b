"""Locks between processes; the kernel ends each one with the process that holds it.

A lock is a file of its own: `.lock` in a directory that processes write into, `.NAME.lock` next to
a file, or next to a directory that appears whole. It holds the number and the host of the process
that took the lock last. A lock file that a killed process left locks nothing. A forked child does
not inherit the lock. Where the file system has no `flock` the locks raise OSError: filelock's
substitute for it would outlive a killed process.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from forager.errors import StoreError, UsageError
from forager.paths import data_directory


def lock_path(path: Path) -> Path:
    """The lock file of a file."""
    return path.with_name(f".{path.name}.lock")


def wait_for(path: Path) -> FileLock:
    """Take a lock file as a context manager, waiting for whoever holds it. Raises OSError."""
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def take(path: Path) -> FileLock | None:
    """Take a lock file at once, until its `release`; None where somebody else holds it.

    The holder may remove the file before the release. Raises OSError where the file cannot be made.
    """
    while True:
        taken: list[os.stat_result] = []

        def sign(descriptor: int, taken: list[os.stat_result] = taken) -> None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            taken.append(os.fstat(descriptor))

        lock = FileLock(path, thread_local=False, fallback_to_soft=False, on_acquired=sign)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if path.exists():
                return None
            path.touch()  # its holder has just removed it, or the directory takes no files
            continue
        if _is_there(path, taken[0]):
            return lock
        lock.release()  # it was opened just before its holder removed it


def take_directory(path: Path) -> FileLock:
    """Make a directory, if need be, and keep other processes from it until `release`.

    Raises UsageError that names the process which has it, or says why it cannot be made.
    """
    file = path / ".lock"
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = take(file)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from error
    if lock is None:
        raise UsageError(
            f"{_owner(file)} is writing to {path}; wait for it or choose another directory"
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
def claimed_output(path: Path) -> Iterator[None]:
    """Keep other processes from a file, or from a directory that appears whole.

    Makes the directories above. A device or a pipe is nobody's. Raises UsageError that names the
    process which has it, and StoreError where nothing can be written.
    """
    if is_special(path):
        yield
        return
    file = lock_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = take(file)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    if lock is None:
        raise UsageError(f"{_owner(file)} is writing {path}; wait for it or choose another output")
    try:
        yield
    finally:
        with suppress(OSError):  # it locks nothing once it is released
            file.unlink()
        lock.release()


def is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket, which no file may replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def claimed_file(path: Path) -> Iterator[None]:
    """Do the same for a file. Raises UsageError for a directory as well."""
    with claimed_output(path):
        if path.is_dir():
            raise UsageError(f"{path} is a directory, and this verb writes a file; name another")
        yield


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the data directory, waiting for whoever holds it now."""
    directory = data_directory() / "locks"
    directory.mkdir(exist_ok=True)
    with wait_for(directory / f"{name}.lock"):
        yield


def _is_there(path: Path, taken: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), taken)
    except FileNotFoundError:
        return False


def _owner(file: Path) -> str:
    """Who holds a lock, such as "process 12" or "process 12 on node7"."""
    try:
        number, _, host = file.read_text().strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        number = host = ""
    if not number.isdecimal():
        return "another process"
    elsewhere = host not in ("", socket.gethostname())
    return f"process {number} on {host}" if elsewhere else f"process {number}"
