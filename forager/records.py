"""The base of every record, and files of records in JSON Lines.

At rest, a record is JSON that a person can read. Files are append-only. Each line is a whole
record; a crash may leave a torn last line, which readers skip and the next writer cuts off. A file
has one writer at a time.

Every text that enters a record can be written as UTF-8. JSON and Python's texts can hold half
characters (lone surrogates); a record gets U+FFFD instead, one for one, so that positions in the
text stay the same. This happens here and nowhere else: when a record is made, copied with other
values, or read.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from types import NoneType
from typing import Annotated, Any, BinaryIO, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import (
    json_or_python_schema,
    no_info_before_validator_function,
)

from forager.atomic import replacing, sync_directory
from forager.errors import StoreError, UsageError
from forager.logins import LOGINS

V = TypeVar("V")
R = TypeVar("R", bound=BaseModel)
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # two halves, one character
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NUMBERS = {int, float, bool, NoneType}
LONGEST_LINE = 256 << 20  # bytes; an attempt with the ids of a million tokens has 30 MB
_BLOCK = 1 << 20
_LEVELS = 200  # of lists and objects, as many as pydantic reads


def writable(value: V) -> V:
    """The value with U+FFFD for each half character in its texts, names of fields included.

    Raises ValueError for more than 200 levels of lists and objects.
    """
    cleaned: V = _writable(value, 0)
    return cleaned


def _writable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _HALF.sub("\N{REPLACEMENT CHARACTER}", value)
    if depth > _LEVELS:
        raise ValueError(f"more than {_LEVELS} levels")
    if type(value) is dict:
        return {
            _writable(name, depth + 1): _writable(item, depth + 1) for name, item in value.items()
        }
    # Token ids are by far the longest lists.
    if type(value) in (list, tuple, set, frozenset) and not _NUMBERS.issuperset(map(type, value)):
        return type(value)(_writable(item, depth + 1) for item in value)
    return value


def writable_json(text: str) -> str:
    """The JSON text without half characters, written out or as escapes."""
    if _HALF_ESCAPE.search(text):
        text = _ESCAPE.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)
    return writable(text)


class Record(BaseModel):
    """An immutable record; an unknown field is an error, so that typing mistakes are noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Clean the values that a record is made of; JSON cannot be parsed before it is clean."""
        schema = handler(source)
        cleaned = no_info_before_validator_function(writable, schema)
        return json_or_python_schema(schema, cleaned)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with other values, which are cleaned but not validated."""
        return super().model_copy(update=update and writable(dict(update)), deep=deep)


def parse_record(kind: type[R], line: bytes) -> R:
    """The record in JSON text, in which half characters are replaced. Raises ValidationError."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        try:
            whole = writable_json(line.decode("utf-8", "surrogatepass")).encode()
        except UnicodeDecodeError:
            raise error from None
        if whole == line:
            raise
        return kind.model_validate_json(whole)


def describe_problem(kind: type[BaseModel], error: ValidationError, whole: str = "") -> str:
    """The first thing that is wrong with values given for a record, as `KEY: what`.

    `whole` stands for the key where it is the record itself. An unknown key lists the known ones.
    """
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or whole
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _keys(kind, first["loc"][:-1])
        message = f"no such key; there are {', '.join(known)}" if known else "no such key"
    return f"{key}: {message}" if key else message


def _keys(kind: type[BaseModel], table: tuple[int | str, ...]) -> list[str]:
    """The keys of a table within a record; none if the record does not say."""
    for name in table:
        if isinstance(name, int):
            continue  # a place in a list of tables
        field = kind.model_fields.get(name)
        annotation = field and field.annotation
        inner = [*get_args(annotation), annotation]
        tables = [part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)]
        if not tables:
            return []
        kind = tables[0]
    return list(kind.model_fields)


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a JSON Lines file.

    A torn last line (no newline) is skipped. Raises UsageError, with file and line, for others.
    """
    return (record for _, _, record in locate_records(path, kind))


def is_torn(path: Path) -> bool:
    """Whether the last line of a JSON Lines file is cut off: readers skip it."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        if file.read() == b"\n":
            return False
        file.seek(0)
        last: bytes | None = b""
        for _, _, line in bounded_lines(file, LONGEST_LINE):
            last = line
    try:
        json.loads(last or b"")
    except (ValueError, RecursionError):
        return True
    return False


def locate_records(path: Path, kind: type[R]) -> Iterator[tuple[int, int, R]]:
    """Yield offset and length (in bytes) of each line of a JSON Lines file, and its record.

    Errors are those of `read_records`.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        inside = path / "tasks.jsonl"
        advice = f"; its tasks are in {inside}" if inside.is_file() else ""
        raise UsageError(f"cannot read {path}: {error.strerror}{advice}") from error
    with file:
        for number, (offset, length, line) in enumerate(bounded_lines(file, LONGEST_LINE), 1):
            if line is None:
                raise UsageError(f"{path}:{number} is longer than {LONGEST_LINE >> 20} MiB")
            if line.strip():
                try:
                    yield offset, length, parse_record(kind, line)
                except ValidationError as error:
                    if not line.endswith(b"\n"):  # torn; one written by hand may be whole
                        return
                    problem = describe_problem(kind, error, "record")
                    what = _called(kind)
                    found = looks_like(line)
                    right = not found or what.lower().endswith(found.split()[1])
                    other = f": {problem}" if right else f", but {found}"
                    raise UsageError(f"{path}:{number} is not {what}{other}") from error


def _called(kind: type[BaseModel]) -> str:
    """What messages call a record: the title of its class, or the class's name."""
    name = kind.model_config.get("title") or kind.__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


_MARKS = {  # fields that only these records have; an attempt's messages may hold the others
    "an attempt": b'"model_calls":',
    "an image": b'"test_seconds":',
    "a task": b'"problem_statement":',
}


def looks_like(line: bytes) -> str:
    """What a line of JSON seems to be: a task, an attempt or an image; empty for anything else."""
    return next((name for name, mark in _MARKS.items() if mark in line), "")


def bounded_lines(file: BinaryIO, longest: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield offset, length and content of each line; None instead of a longer line's content."""
    offset = 0
    while line := file.readline(longest + 1):
        length = len(line)
        if length > longest:
            while not line.endswith(b"\n") and (line := file.readline(_BLOCK)):
                length += len(line)
        yield offset, length, line if length <= longest else None
        offset += length


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write a whole file in one step; return the number written. Raises as `replacing` does."""
    count = 0
    with replacing(path) as part, part.open("wb") as file:
        for record in records:
            file.write(_line(record))
            count += 1
    return count


def _without_login(url: str) -> str:
    full = url if "://" in url or not {"@", "?"} & set(url) else f"http://{url}"
    return LOGINS.take(full.strip(), query=True)


Address = Annotated[str, AfterValidator(_without_login)]
"""The address of a server, without its login and query, which LOGINS remembers."""


class AppendFile:
    """A file that only grows, written by several threads; incomplete writes are cut off.

    Call `write`, then `sync` up to the end that it returned. While a thread waits for the disk,
    another one's flush often covers its bytes too, so threads share flushes. Another writer, in
    this process or not, gets UsageError, or waits for `close` with `wait`.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self.broken = False  # after a failed flush, as the disk may hold anything
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            os.close(self._descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            raise UsageError(
                f"another process is writing {path}; wait for it or choose another output"
            ) from None
        self.end = self._synced = os.fstat(self._descriptor).st_size
        self._writing, self._syncing = Lock(), Lock()

    def cut(self, end: int) -> None:
        """Cut the file off at `end`."""
        os.ftruncate(self._descriptor, end)
        self.end = self._synced = end

    def write(self, chunks: Iterable[bytes]) -> int:
        """Write at the end; return the new end. If it raises StoreError, nothing was added."""
        with self._writing:
            self._check()
            position = self.end
            try:
                for chunk in chunks:
                    rest = memoryview(chunk)
                    while rest:
                        count = os.pwrite(self._descriptor, rest, position)
                        position, rest = position + count, rest[count:]
            except BaseException as error:
                os.ftruncate(self._descriptor, self.end)
                if isinstance(error, OSError):
                    raise self._error(error) from error
                raise
            self.end = position
            return position

    def sync(self, end: int) -> None:
        """Return when all bytes before `end` are on the disk. Raises StoreError."""
        with self._syncing:
            if end <= self._synced:
                return
            self._check()
            target = self.end
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self.broken = True
                os.ftruncate(self._descriptor, self._synced)
                raise self._error(error) from error
            self._synced = target

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a child may have the descriptor too
            os.close(self._descriptor)
            self._descriptor = -1

    def _check(self) -> None:
        if self.broken:
            raise StoreError(f"an earlier write to {self.path} failed; open it again")

    def _error(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self.path}: {error.strerror}")


class RecordWriter:
    """Append records to a file from several threads; they are on disk when `append` returns.

    A file has one writer at a time: another one gets UsageError, or waits with `wait`. Raises
    StoreError where the file cannot be opened.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = AppendFile(path, wait=wait)
            try:
                _mend_end(self._file)
                sync_directory(path.parent)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error

    def append(self, *records: BaseModel) -> None:
        """Append records and bring them to the disk with one flush. Raises StoreError."""
        self._file.sync(self._file.write(map(_line, records)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _line(record: BaseModel) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def _mend_end(file: AppendFile) -> None:
    """Cut off the torn line that a killed writer left; end a line that lacks only its newline."""
    end = _end_of_lines(file.path)
    if file.end - end > LONGEST_LINE:
        raise UsageError(f"{file.path} ends with a line of more than {LONGEST_LINE >> 20} MiB")
    tail = _tail(file.path, end)
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        file.cut(end)
    else:
        file.sync(file.write([b"\n"]))


def _tail(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read()


def _end_of_lines(path: Path) -> int:
    """The offset behind the last newline; a killed writer may have left a torn line there."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            position = start
    return 0
