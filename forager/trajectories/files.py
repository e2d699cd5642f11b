"""The two kinds of files that hold attempts: shards, and plain JSON Lines (exports)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from pydantic import ValidationError

from forager.errors import UsageError
from forager.records import locate_records
from forager.trajectories.shards import SUFFIX, entry_at, read_line, scan
from forager.trajectories.summary import Summary, TrajectoryHead

_BLOCK = 1 << 20
_FRESH = 2_000_000_000  # nanoseconds, more than the steps of a file system's times


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


def state(path: Path) -> str:
    """The size, times and number of a file, by which a change shows.

    Empty for a file that has just changed: another change might get the same times.
    """
    now, found = time.time_ns(), path.stat()
    if now - found.st_ctime_ns < _FRESH:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def checksum(path: Path, start: int, end: int, total: int = 0) -> int:
    """Continue the CRC-32 of a file from an offset to another one."""
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK, end - start))):
            start, total = start + len(block), crc32(block, total)
    return total


def read_bytes(path: Path, descriptor: int, offset: int) -> bytes | None:
    """The JSON of the attempt at an offset of an open file; None if it is damaged or gone."""
    if path.name.endswith(SUFFIX):
        return read_line(descriptor, offset)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(offset)
        return file.readline()
