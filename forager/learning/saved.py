"""Records that are files of their own, and digests of files and directories."""

import hashlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from forager.atomic import replace_text
from forager.errors import UsageError
from forager.records import describe_problem

R = TypeVar("R", bound=BaseModel)


def save(path: Path, record: BaseModel) -> None:
    """Write a record as indented JSON, atomically. Raises StoreError."""
    replace_text(path, record.model_dump_json(indent=2) + "\n")


def load(path: Path, kind: type[R]) -> R | None:
    """Read a record; None if there is no file. Raises UsageError for another record."""
    try:
        return kind.model_validate_json(path.read_bytes()) if path.is_file() else None
    except ValidationError as error:
        problem = describe_problem(kind, error, "record")
        raise UsageError(
            f"{path} was made by another verb or version of forager ({problem}); name another "
            "directory"
        ) from error


def file_digest(path: Path) -> str:
    """blake2b over the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def digest(directory: Path) -> str:
    """blake2b over names and contents of a directory's files, except hidden ones."""
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as file:
                total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                while block := file.read(1 << 22):
                    total.update(block)
    return total.hexdigest()
