"""Files and directories that appear under their names whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forager.errors import StoreError, UsageError


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path of a new file to write, which replaces `path` at the end, in one step.

    Then the file is on the disk; without `durable` a power failure may lose it. Raises StoreError
    if the disk does not take it; after any error `path` is as it was.
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
        with suppress(OSError):  # such as if its directory could not be made
            part.unlink()


def replace_text(path: Path, text: str) -> None:
    """Write a whole text file in one step, as UTF-8. Raises StoreError."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a new directory to write into, which becomes `path` at the end, in one step.

    `path` may exist only if it is empty. What a killed process left of the directory is removed
    first, so two processes must not make it at once. Raises UsageError if `path` exists, StoreError
    if the disk does not take it; after any error there is no directory.
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
