"""An index of attempts: the summary of each, and its place in a file.

It is a cache. Opening it adds the attempts that were appended since; an index that is missing,
damaged or of another version is rebuilt. It knows a checksum of what it indexed of each file, and
compares it when the file's size or times differ. So a file that was cut, replaced or damaged is
indexed anew, without what is damaged. Attempts are fetched in pages, each a short transaction,
so that a slow reader of a million blocks nobody and needs little memory.

The file holds what was graded. Readers see suspect attempts as an Acceptance says.
"""

import heapq
import os
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from forager.drawing import drawn
from forager.errors import StoreError, UsageError
from forager.text import known_words
from forager.trajectories.acceptance import Acceptance
from forager.trajectories.choice import Choice
from forager.trajectories.earlier_calls import load
from forager.trajectories.files import checksum, fits, located, read_bytes, state
from forager.trajectories.record import Trajectory
from forager.trajectories.shards import SUFFIX, torn
from forager.trajectories.summary import Summary

FIELDS = (*Summary.model_fields, *Summary.model_computed_fields)
"""The fields by which attempts can be sorted."""

ALL = Choice()

OnDamage = Callable[[Path, int], None]  # receives a file and the offset of an attempt in it
Places = array  # of attempts, 8 bytes each: the number of a file, then the offset in it
_OFFSET_BITS = 40
_PAGE = 1000  # attempts fetched at a time
_BATCH = 20_000  # attempts indexed in one transaction
_NAMES = ", ".join(FIELDS)
_TABLES = (  # families are never empty
    "DROP TABLE IF EXISTS attempts",
    "DROP TABLE IF EXISTS files",
    "DROP TABLE IF EXISTS lost",
    "CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT UNIQUE, end INTEGER, last INTEGER,"
    " damaged INTEGER, checksum INTEGER, state TEXT)",
    "CREATE TABLE lost (id PRIMARY KEY, name TEXT)",
    f"CREATE TABLE attempts (place INTEGER PRIMARY KEY, {_NAMES}, UNIQUE (id))",
)
_VERSION = crc32("".join(_TABLES).encode()) >> 1
# An attempt that was made twice (as its node counted as lost) counts once: the older file's.
_UPDATES = ", ".join(f"{field} = excluded.{field}" for field in ("place", *FIELDS))
_INSERT = f"""
INSERT INTO attempts VALUES (?, {", ".join("?" * len(FIELDS))})
ON CONFLICT (id) DO UPDATE SET {_UPDATES}
WHERE (SELECT name FROM files WHERE number = excluded.place >> {_OFFSET_BITS})
  < (SELECT name FROM files WHERE number = attempts.place >> {_OFFSET_BITS})
"""


class Index:
    """The attempts of some files. For one thread; a context manager.

    `files` lists them: a name in `.jsonl.zst` is a shard, any other one JSON Lines. The index is
    stored at `database`; without a database that can be written, it lasts until `close`.
    `on_damage` receives file and offset of an attempt that turns out to be damaged when it is read.
    """

    def __init__(
        self,
        files: Callable[[], Iterable[Path]],
        database: Path | None = None,
        acceptance: Acceptance | None = None,
        on_damage: OnDamage = lambda *_: None,
    ) -> None:
        self._files, self._database, self._on_damage = files, database, on_damage
        self._acceptance = acceptance or Acceptance()
        self._paths: dict[int, Path] = {}
        self._verified: set[str] = set()
        self._connection = sqlite3.connect(":memory:")  # until `_open` replaces it
        try:
            if database is None or not self._is_stored(database):
                self._open(None)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"cannot make an index: {error}") from error

    def _is_stored(self, database: Path) -> bool:
        """Open the index at its place, made anew if it is damaged; False if it cannot be written.

        It cannot on a full disk, for example, and the attempts can be read all the same.
        """
        try:
            self._open(database)
        except sqlite3.OperationalError:
            return False
        except (sqlite3.DatabaseError, UnicodeDecodeError):  # damaged
            try:
                _remove(database)
                self._open(database)
            except (OSError, sqlite3.OperationalError):
                return False
        return True

    def places(
        self, choice: Choice = ALL, sort: str = "", limit: int | None = None
    ) -> "Places[int]":
        """The places of the attempts of a choice, in the order of `sort`, else as stored.

        `sort` is a field's name, with a `-` before it for descending order. Raises UsageError.
        """
        name = sort.removeprefix("-")
        if name and name not in FIELDS:
            raise UsageError(f"there is no field {name!r} to sort by; {known_words(name, FIELDS)}")
        order = f"{name} {'DESC' if sort.startswith('-') else 'ASC'}, place" if name else "place"
        condition, values = choice.condition()
        query = f"SELECT place FROM judged WHERE {condition} ORDER BY {order} LIMIT ?"
        rows = self._query(query, [*values, -1 if limit is None else limit])
        return array("q", (place for (place,) in rows))

    def summaries(self, places: "Places[int] | None" = None) -> Iterator[Summary]:
        """Yield the summaries of the attempts at these places, or of all."""
        places = self.places() if places is None else places
        for start in range(0, len(places), _PAGE):
            page = places[start : start + _PAGE]
            known = self._summaries(page)
            yield from (known[place] for place in page if place in known)

    def _summaries(self, page: "Places[int]") -> dict[int, Summary]:
        """The summaries by place; one may have moved, if another process found it twice."""
        marks = ", ".join("?" * len(page))
        query = f"SELECT place, {_NAMES} FROM judged WHERE place IN ({marks})"
        return {
            place: Summary(**dict(zip(Summary.model_fields, fields, strict=False)))
            for place, *fields in self._query(query, page)
        }

    def values(self, field: str) -> list[str]:
        """The distinct values of a field, sorted."""
        rows = self._query(
            f"SELECT DISTINCT {FIELDS[FIELDS.index(field)]} FROM attempts ORDER BY 1"
        )
        return [str(value) for (value,) in rows]

    def trajectories(self, places: "Places[int] | None" = None) -> Iterator[Trajectory]:
        """Yield the attempts at these places, or all."""
        return (self._acceptance.applied(load(line)) for line in self.lines(places))

    def lines(self, places: "Places[int] | None" = None) -> Iterator[bytes]:
        """Yield the attempts at these places, or all, as stored JSON: as they were graded.

        Damaged ones are left out.
        """
        return (line for _, line in self._read(places))

    def entries(self, places: "Places[int] | None" = None) -> Iterator[tuple[Summary, bytes]]:
        """Yield summary and stored JSON of the attempts at these places, or all."""
        places = self.places() if places is None else places
        for start in range(0, len(places), _PAGE):
            page = places[start : start + _PAGE]
            known = self._summaries(page)
            yield from ((known[place], line) for place, line in self._read(page) if place in known)

    def _read(self, places: "Places[int] | None") -> Iterator[tuple[int, bytes]]:
        number, descriptor = -1, -1
        try:
            for place in self.places() if places is None else places:
                if place >> _OFFSET_BITS != number or descriptor < 0:
                    if descriptor >= 0:
                        os.close(descriptor)
                        descriptor = -1
                    number = place >> _OFFSET_BITS
                    if number not in self._paths:
                        raise self._broken("it names a file that it does not know")
                    descriptor = os.open(self._paths[number], os.O_RDONLY)
                offset = place & ((1 << _OFFSET_BITS) - 1)
                line = read_bytes(self._paths[number], descriptor, offset)
                if line is None:
                    self._doubt(number)
                    self._on_damage(self._paths[number], offset)
                else:
                    yield place, line
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def __len__(self) -> int:
        ((count,),) = self._query("SELECT count(*) FROM attempts")
        return int(count)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all attempts."""
        return (id for (id,) in self._query("SELECT id FROM attempts"))

    def matching(self, id: str) -> list[str]:
        """The id itself if there is such an attempt, else up to four ids that begin so."""
        first = self._query("SELECT id FROM attempts WHERE id = ?", (id,))
        begin = "SELECT id FROM attempts WHERE id >= ?1 AND id < ?1 || char(1114111) LIMIT 4"
        return [found for (found,) in first] or [found for (found,) in self._query(begin, (id,))]

    def get(self, id: str) -> Trajectory:
        """The attempt with this id. Raises StoreError if it is damaged."""
        (row,) = self._query("SELECT place FROM attempts WHERE id = ?", (id,))
        for attempt in self.trajectories(array("q", row)):
            return attempt
        raise StoreError(f"{self._paths[row[0] >> _OFFSET_BITS]} is damaged: {id} cannot be read")

    def damaged(self) -> list[tuple[Path, int]]:
        """The files with damaged or torn parts, and how many bytes were skipped in each."""
        found = [
            (self._paths[number], count + torn(self._paths[number], end))
            for number, count, end in self._query("SELECT number, damaged, end FROM files")
        ]
        return [(path, count) for path, count in found if count]

    def lost(self) -> list[str]:
        """The ids of attempts that were indexed, and that damage to their file took."""
        rows = self._query("SELECT id FROM lost WHERE id NOT IN (SELECT id FROM attempts)")
        return [id for (id,) in rows]

    def draws(self, seed: int, count: int, choice: Choice = ALL) -> Iterator[tuple[int, int]]:
        """Yield the `count` smallest numbers drawn for attempts, ascending, each with the place.

        The number drawn for an attempt depends on the seed and the id alone.
        """
        self._connection.create_function("draw", 1, lambda id: drawn(id, seed), deterministic=True)
        condition, values = choice.condition()
        return self._query(
            f"SELECT draw(id) AS drawn, place FROM judged WHERE {condition} ORDER BY drawn LIMIT ?",
            [*values, count],
        )

    def close(self) -> None:
        """Close the index."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _query(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query, values)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._broken(error) from error

    def _broken(self, problem: object) -> StoreError:
        """Remove an index that turned out to be damaged; return the error that says so."""
        advice = "run this again"
        if self._database is not None:
            try:
                _remove(self._database)
            except OSError:
                advice = "delete it"
        return StoreError(f"{self._database} is damaged: {problem}; {advice}")

    def _open(self, database: Path | None) -> None:
        self._connection.close()
        self._connection = sqlite3.connect(database or "", timeout=60, isolation_level=None)
        try:
            if not self._has_tables():
                self._make_tables()
            self._connection.executescript(_judged(self._acceptance))
            self._update()
        except BaseException:
            self._connection.close()
            raise

    def _has_tables(self) -> bool:
        version: tuple[int] = self._connection.execute("PRAGMA user_version").fetchone()
        return version == (_VERSION,)

    def _make_tables(self) -> None:
        with self._transaction():
            if self._has_tables():  # by another process, in the meantime
                return
            for statement in _TABLES:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")

    def update(self) -> None:
        """Add the attempts that were appended since the index was opened. Raises StoreError."""
        try:
            self._update()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._database} cannot be written: {error}") from error

    def _update(self) -> None:
        paths = {path.name: path for path in self._files()}
        states = {name: state(path) for name, path in paths.items()}
        known = "SELECT name, end, last, checksum, state FROM files"
        for name, end, last, total, before in list(self._connection.execute(known)):
            if name not in paths:
                self._forget(name)
            elif states[name] and states[name] == before:
                self._verified.add(name)
            elif not self._fits(name, paths[name], end, last, total):
                self._forget(name, damaged=True)
        for name in sorted(paths):  # shards are named by their time
            while not self._absorb(name, paths[name]):
                pass
            if name not in self._verified:
                self._settle(name, states[name])
        rows = self._connection.execute("SELECT name, number FROM files")
        self._paths = {number: paths[name] for name, number in rows if name in paths}
        self._connection.execute("DELETE FROM temp.accepted")
        accepted = ((id,) for id in self._acceptance.ids)
        self._connection.executemany("INSERT INTO temp.accepted VALUES (?)", accepted)

    def _fits(self, name: str, path: Path, end: int, last: int, total: int) -> bool:
        """Whether the part of a file that was indexed is as it was.

        It is read once; then a file that grows is compared at its last attempt only.
        """
        if name in self._verified:
            return fits(path, end, last)
        return path.stat().st_size >= end and checksum(path, 0, end) == total

    def _settle(self, name: str, state: str) -> None:
        """Remember in which state a file was when it was found in order."""
        self._verified.add(name)
        self._connection.execute(
            "UPDATE files SET state = ? WHERE name = ? AND state != ?", (state, name, state)
        )

    def _doubt(self, number: int) -> None:
        """Let the next process that opens the index make it anew for a file."""
        with suppress(sqlite3.OperationalError):  # nothing can be written here
            self._connection.execute(
                "UPDATE files SET state = '', checksum = -1 WHERE number = ?", (number,)
            )

    def _absorb(self, name: str, path: Path) -> bool:
        """Index the new part of a file; False if another process has just indexed some of it."""
        number, end, total = self._known(name)
        entries = located(path, end)
        while batch := list(islice(entries, _BATCH)):
            with self._transaction():
                if self._known(name) != (number, end, total):
                    return False
                rows = (
                    (
                        number << _OFFSET_BITS | entry.offset,
                        *(getattr(entry.summary, field) for field in FIELDS),
                    )
                    for entry in batch
                )
                self._connection.executemany(_INSERT, rows)
                gaps, start = 0, end
                for entry in batch:
                    gaps, end = gaps + entry.offset - end, entry.end
                gaps *= path.name.endswith(SUFFIX)  # in JSON Lines, gaps are empty lines
                total = checksum(path, start, end, total)
                self._connection.execute(
                    "UPDATE files SET end = ?, last = ?, damaged = damaged + ?, checksum = ?"
                    " WHERE number = ?",
                    (end, batch[-1].offset, gaps, total, number),
                )
        return True

    def _known(self, name: str) -> tuple[int, int, int]:
        """The number of a file, the offset up to which it is indexed, and the checksum so far."""
        query = "SELECT number, end, checksum FROM files WHERE name = ?"
        for number, end, total in self._connection.execute(query, (name,)):
            return number, end, total
        self._connection.execute(
            "INSERT OR IGNORE INTO files VALUES (NULL, ?, 0, 0, 0, 0, '')", (name,)
        )
        return self._known(name)

    def _forget(self, name: str, *, damaged: bool = False) -> None:
        self._verified.discard(name)
        with self._transaction():
            number, *_ = self._known(name)
            span = (number << _OFFSET_BITS, (number + 1) << _OFFSET_BITS)
            if damaged:
                taken = "SELECT id, ? FROM attempts WHERE place >= ? AND place < ?"
                self._connection.execute(f"INSERT OR REPLACE INTO lost {taken}", (name, *span))
            self._connection.execute("DELETE FROM attempts WHERE place >= ? AND place < ?", span)
            self._connection.execute("DELETE FROM files WHERE number = ?", (number,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


def _remove(database: Path) -> None:
    """Remove an index, which is a cache. Raises OSError."""
    for suffix in ("-journal", ""):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def sample(
    indexes: Sequence[Index], count: int, seed: int, choice: Choice = ALL
) -> list["Places[int]"]:
    """Draw `count` attempts from several indexes; return their places by index, as stored.

    The same seed draws the same attempts, and a larger sample contains a smaller one.
    """
    streams = [
        zip(index.draws(seed, count, choice), repeat(number))
        for number, index in enumerate(indexes)
    ]
    chosen = [array("q") for _ in indexes]
    for (_, place), number in islice(heapq.merge(*streams), count):
        chosen[number].append(place)
    return [array("q", sorted(places)) for places in chosen]


def _judged(acceptance: Acceptance) -> str:
    """SQL that makes the view of the attempts as this connection sees them."""
    changed = acceptance.columns()
    columns = (f"{changed[name]} AS {name}" if name in changed else name for name in FIELDS)
    return f"""
    CREATE TEMP TABLE accepted (id PRIMARY KEY);
    CREATE TEMP VIEW judged AS SELECT place, {", ".join(columns)} FROM main.attempts;
    """
