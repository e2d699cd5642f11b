"""The base of every record, and JSON Lines files of them.

A record is JSON that a person can read when at rest. Files are append-only: a line is a whole
record or, after a crash in mid-write, a torn tail that readers skip and the next writer cuts off.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from forager.errors import UsageError


class Record(BaseModel):
    """An immutable record; an unknown field is an error, so that a typing mistake is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64")


R = TypeVar("R", bound=BaseModel)


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a JSON Lines file.

    A torn last line (no newline) is skipped. Raises UsageError naming file and line for the rest.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                try:  # a file written by hand may lack the last newline
                    yield kind.model_validate_json(line)
                except ValidationError:
                    return
            elif line.strip():
                try:
                    yield kind.model_validate_json(line)
                except ValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(map(str, first["loc"])) or "record"
                    raise UsageError(
                        f"{path}:{number} is not a {kind.__name__}: {where}: {first['msg']}"
                    ) from error


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write a whole file in one step (temporary file, then rename); return the number written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    count = 0
    with temporary.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(record.model_dump_json() + "\n")
            count += 1
    temporary.replace(path)
    return count


class RecordWriter:
    """Append records to a file from several threads; each one is on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._file = path.open("ab")
        _cut_torn_tail(path)

    def append(self, record: BaseModel) -> None:
        """Append one record and flush it to the disk."""
        line = record.model_dump_json().encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _cut_torn_tail(path: Path) -> None:
    """Cut off what a killed writer left behind the last newline."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            position = start
        file.truncate(0)
