"""Files and directories that appear under their names whole, or not at all."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forager.errors import StoreError, UsageError
from forager.locks import claimed_file, claimed_output, is_special
from forager.makers import dotted, from_dotted, is_gone


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path of a new file to write, which replaces `path` at the end, in one step.

    Then the file is on the disk; without `durable` a power failure may lose it. What a killed
    process left of such a file is removed first. A link stays, and its target is replaced; a device
    or a pipe, such as /dev/stdout, is written to. Raises StoreError if the disk does not take it;
    after any error `path` is as it was.
    """
    if is_special(path):
        try:
            yield path
        except OSError as error:
            raise _cannot_write(path, error) from error
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    part = path.with_name(f".{path.name}.{dotted()}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if durable:
            _remove_left(path)
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
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends.

    Raises UsageError if `path` is a directory or a file that is not empty, or if another process
    writes it.
    """
    with claimed_file(path):
        if path.is_file() and path.stat().st_size:
            raise UsageError(f"{path} is there already; name a new file, or delete it")
        with replacing(path) as part:
            yield part


@contextmanager
def new_directory(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a new directory to write into, which becomes `path` at the end, in one step.

    `path` may exist only if it is empty. What a killed process left of the directory is removed
    first. Without `durable` a power failure may lose the contents of its files. Raises UsageError
    if `path` exists or another process makes it, StoreError if the disk does not take it; after any
    error there is no directory.
    """
    part = part_of(path)
    with claimed_output(path):
        try:
            if path.exists() and not (path.is_dir() and not any(path.iterdir())):
                raise UsageError(f"{path} exists; choose a new directory")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            if durable:
                sync_tree(part)
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


def remove_parts(directory: Path) -> int:
    """Remove what killed processes left of directories in a directory; return how many."""
    removed = 0
    for part in directory.glob(".*.part"):
        with suppress(UsageError, StoreError), claimed_output(_whole(part)):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
                removed += 1
    return removed


def _whole(part: Path) -> Path:
    """The path that a part was to get."""
    return part.with_name(part.name.removeprefix(".").removesuffix(".part"))


def sync_tree(directory: Path) -> None:
    """Bring all files in a directory, and their names, to the disk. Raises OSError."""
    for path in (directory, *directory.rglob("*")):
        if path.is_symlink():
            continue
        if path.is_file():
            sync_file(path)
        elif path.is_dir():
            sync_directory(path)


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


def _remove_left(path: Path) -> None:
    """Remove the new files for `path` whose makers are gone."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        label = part.name.removeprefix(f".{path.name}.").removesuffix(".part").rpartition(".")[0]
        if is_gone(from_dotted(label)):
            part.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror or error}")
