"""Shards: append-only zstd files in which each record can be read alone.

A record is two zstd frames. The first is skippable; it holds the length of the second, a checksum
of both, and the record's head, which is the data for an index. The second holds the record itself,
a line of JSON. `zstdcat` prints just the lines, and indexing decompresses nothing.

There is no dictionary: one trained on two attempts at a project would halve the frames, but then
ordinary tools could not read a shard.

A shard belongs to one writer at a time (`.NAME.lock`) and is named after the first: time, host and
process, so that the nodes of a cluster write into one directory at the same time. Readers skip a
torn tail; the next writer of the same host cuts it off and continues the shard.
"""

import os
import re
import socket
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Self
from zlib import crc32

from filelock import FileLock
from zstandard import ZstdCompressor, ZstdDecompressor

from forager.atomic import sync_directory
from forager.errors import StoreError
from forager.locks import lock_path, take
from forager.records import AppendFile

SUFFIX = ".jsonl.zst"
SHARD_BYTES = 256 << 20  # a shard of this size is complete, and a new one begins

_LEVEL = 9  # 1.1 ms for an attempt of 108 KB; a seventh smaller than level 3
_MAGIC = 0x184D2A5F  # of a skippable frame
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_HEADER = struct.Struct("<4I")  # magic, bytes to skip, bytes of the record's frame, checksum
_SKIPPED = 8  # bytes of the header that the skippable frame counts as its own


class Entry(NamedTuple):
    """The place of a record in a shard (in bytes), and its head."""

    offset: int
    length: int
    head: bytes

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + self.length


def scan(path: Path, start: int = 0) -> Iterator[Entry]:
    """Yield the whole entries from an offset on; bytes between them are damaged or torn.

    Each entry's checksum is verified.
    """
    with path.open("rb") as file:
        descriptor, position = file.fileno(), start
        while True:
            entry = entry_at(descriptor, position)
            if entry is None:
                later = _entry_behind(descriptor, position)
                if later is None:
                    return
                # The record may have been half written before, but is whole if a later one is.
                entry = entry_at(descriptor, position) or later
            yield entry
            position = entry.end


def entry_at(descriptor: int, offset: int) -> Entry | None:
    """The entry that begins at an offset of an open file; None if no whole entry does."""
    header = os.pread(descriptor, _HEADER.size, offset)
    if len(header) < _HEADER.size:
        return None
    magic, skipped, length, checksum = _HEADER.unpack(header)
    size = skipped - _SKIPPED + length
    whole = _HEADER.size + size
    if magic != _MAGIC or skipped < _SKIPPED or offset + whole > os.fstat(descriptor).st_size:
        return None
    body = os.pread(descriptor, size, offset + _HEADER.size)
    if len(body) < size or crc32(body) != checksum:
        return None
    return Entry(offset, whole, body[: skipped - _SKIPPED])


def read_line(descriptor: int, offset: int) -> bytes | None:
    """The record of the entry at an offset of an open file; None if no whole entry begins there."""
    entry = entry_at(descriptor, offset)
    if entry is None:
        return None
    start = _HEADER.size + len(entry.head)
    frame = os.pread(descriptor, entry.length - start, offset + start)
    return ZstdDecompressor().decompress(frame)


def torn(path: Path, end: int) -> int:
    """How many bytes lie behind the last whole entry; 0 for a file that is being written.

    A killed writer left them, or the last entries are damaged.
    """
    count = path.stat().st_size - end if path.name.endswith(SUFFIX) else 0
    if count <= 0:
        return 0
    try:
        lock = take(lock_path(path))
    except OSError:  # where nothing can be written, nobody writes
        return count
    if lock is None:
        return 0
    lock.release()
    return count


class ShardWriter:
    """Appends records to shards in a directory, from several threads.

    A record is on disk when `append` returns. The first record makes the first file.
    """

    def __init__(self, directory: Path, size: int = SHARD_BYTES) -> None:
        self._directory, self._size = directory, size
        self._lock = Lock()
        self._shard: _OwnShard | None = None

    def append(self, head: bytes, line: bytes) -> None:
        """Append a record (a line of JSON) under its head. Raises StoreError."""
        data = encode(head, line)
        with self._lock:
            file = self._current()
            end = file.write([data])
        file.sync(end)

    def close(self) -> None:
        """Close the shard; another writer may continue it."""
        with self._lock:
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _current(self) -> AppendFile:
        """The file of the shard to write to."""
        shard = self._shard
        if shard is not None and (shard.file.broken or shard.file.end >= self._size):
            if not shard.file.broken:
                shard.file.sync(shard.file.end)  # for the threads that are about to
            shard.close()
            shard = None
        if shard is None:
            try:
                shard = _open_shard(self._directory, self._size)
            except OSError as error:
                raise StoreError(f"cannot write to {self._directory}: {error.strerror}") from error
        self._shard = shard
        return shard.file


def encode(head: bytes, line: bytes) -> bytes:
    """The bytes of a record in a shard."""
    frame = ZstdCompressor(level=_LEVEL, write_checksum=True).compress(line)
    checksum = crc32(frame, crc32(head))
    return _HEADER.pack(_MAGIC, _SKIPPED + len(head), len(frame), checksum) + head + frame


class _OwnShard(NamedTuple):
    """A shard that is open for writing, and the lock that keeps other writers from it."""

    file: AppendFile
    lock: FileLock

    def close(self) -> None:
        self.file.close()
        self.lock.release()


def _open_shard(directory: Path, size: int) -> _OwnShard:
    """Open a shard of this host that is not full and that nobody writes to, or a new one."""
    directory.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^\w.]", "_", socket.gethostname())
    for path in sorted(directory.glob(f"*-{host}-*{SUFFIX}")):
        if path.stat().st_size < size and (shard := _claim(path)) is not None:
            whole = 0
            for entry in scan(path):
                whole = entry.end
            shard.file.cut(whole)
            return shard
    while True:
        time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = directory / f"{time}-{host}-{os.getpid()}{SUFFIX}"
        if not path.exists() and (shard := _claim(path)) is not None:
            sync_directory(directory)
            return shard


def _claim(path: Path) -> _OwnShard | None:
    """Lock a shard for this writer and open it; None if another writer has it."""
    lock = take(lock_path(path))
    if lock is None:
        return None
    try:
        return _OwnShard(AppendFile(path), lock)
    except OSError:
        lock.release()
        raise


def _entry_behind(descriptor: int, position: int) -> Entry | None:
    """The first whole entry that begins behind a position; None without one."""
    size = 1 << 20
    start = position + 1
    while len(block := os.pread(descriptor, size, start)) >= len(_MAGIC_BYTES):
        found = block.find(_MAGIC_BYTES)
        if found < 0:
            start += len(block) - len(_MAGIC_BYTES) + 1
        elif entry := entry_at(descriptor, start + found):
            return entry
        else:
            start += found + 1
    return None
