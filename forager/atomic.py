"""Files and directories that appear whole, or not at all, under their names."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forager.errors import StoreError, UsageError


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A new file to write; at the end it takes the place of `path`, in one step and on the disk.

    Without `durable` a power failure may lose it. Raises StoreError where the disk does not take
    it; then `path` is as it was, as it is after any other error.
    """
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            sync_file(part)
        part.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # such as where its directory could not be made
            part.unlink()


def replace_text(path: Path, text: str) -> None:
    """Write a whole text file in one step, as UTF-8. Raises StoreError."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to write into; at the end it becomes `path`, which may exist only if empty.

    What a killed process left of an earlier one is removed first, so two processes must not make
    the same directory at once. Raises UsageError where `path` exists, StoreError where the disk
    does not take it; then there is none, as after any other error.
    """
    part = part_of(path)
    try:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise UsageError(f"{path} exists; choose a new directory")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        publish(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def part_of(path: Path) -> Path:
    """The directory that is to become `path`; `new_directory` does it for a single process."""
    return path.with_name(f".{path.name}.part")


def publish(path: Path) -> None:
    """Give the directory at `part_of(path)` its name, on the disk. Raises OSError."""
    part_of(path).replace(path)
    sync_directory(path.parent)


def sync_tree(directory: Path) -> None:
    """Bring the contents of all files in a directory to the disk. Raises OSError."""
    for path in directory.rglob("*"):
        if path.is_file():
            sync_file(path)


def sync_file(path: Path) -> None:
    """Bring the contents of a file to the disk. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring the names of new files in a directory to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror or error}")
