"""One record a file, digests of directories, and directories that belong to one process."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from forager.errors import UsageError
from forager.records import replacing

R = TypeVar("R", bound=BaseModel)


def save(path: Path, record: BaseModel) -> None:
    """Write a record in one step, as JSON that a person can read. Raises StoreError."""
    with replacing(path) as part:
        part.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load(path: Path, kind: type[R]) -> R | None:
    """Read what `save` wrote; None where it was not. Raises UsageError where it is another."""
    try:
        return kind.model_validate_json(path.read_text()) if path.is_file() else None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path} is no {kind.__name__}: {where}: {first['msg']}") from error


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Make a directory this process's own. Raises UsageError where another is at work in it."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is at work in {path}; wait for it") from None
        yield


def digest(directory: Path) -> str:
    """The blake2b of the names and contents of a directory's files, hidden ones left out."""
    total = blake2b(digest_size=16)
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as file:
                total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                while block := file.read(1 << 22):
                    total.update(block)
    return total.hexdigest()
