"""The two kinds of files that hold attempts: shards, and plain JSON Lines (exports)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from forager.errors import StoreError, UsageError
from forager.records import locate_records
from forager.trajectories.shards import SUFFIX, entry_at, read_line, scan
from forager.trajectories.summary import Summary, TrajectoryHead


class Located(NamedTuple):
    """The summary of an attempt, and its place in its file (in bytes)."""

    offset: int
    end: int
    summary: Summary


def fits(path: Path, end: int, last: int) -> bool:
    """Whether the last attempt that was indexed is still at its place."""
    if end == 0:
        return True
    with path.open("rb") as file:
        entry = entry_at(file.fileno(), last)
    return entry is not None and entry.end == end


def located(path: Path, start: int) -> Iterator[Located]:
    """Yield the attempts of a shard from an offset on, or all attempts of a JSON Lines file.

    Raises UsageError for other files.
    """
    if not path.name.endswith(SUFFIX):
        for offset, length, head in locate_records(path, TrajectoryHead):
            yield Located(offset, offset + length, Summary.of(head))
        return
    for entry in scan(path, start):
        try:
            summary = Summary.model_validate_json(entry.head)
        except ValidationError as error:
            raise UsageError(f"{path} was written by another version of forager") from error
        yield Located(entry.offset, entry.end, summary)


def read_bytes(path: Path, descriptor: int, offset: int) -> bytes:
    """The JSON of the attempt at an offset of an open file. Raises StoreError if it is gone."""
    line = None
    if path.name.endswith(SUFFIX):
        line = read_line(descriptor, offset)
    else:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(offset)
            line = file.readline()
    if line is None:
        raise StoreError(f"{path} was changed or is damaged at byte {offset}")
    return line
