"""Reads rows of published data sets, from files or the Hugging Face Hub.

What is wrong with one row costs that row, an UnusableRow. A UsageError says that there are no rows.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from forager.errors import ForagerError, UsageError
from forager.records import bounded_lines
from forager.text import safe
from forager.untrusted import Malformed, json_value

Row = Mapping[str, Any]

LONGEST_ROW = 64 << 20  # bytes; rows that hold whole files have some megabytes
LARGEST_FILE = 1 << 30  # bytes of a file that is one JSON value
_REASON = 200  # characters
_EXTRA = "pip install -e '.[datasets]'"
_CLOSING = {"[": "]", "{": "}"}
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


class UnusableRow(ForagerError):
    """A row cannot become a task; the message is the reason, in one short line."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(safe(reason).split())[:_REASON])


class ReadRow(NamedTuple):
    """A row, or why it cannot be read; `place` is its number in the file, from 1."""

    place: int
    row: Row | UnusableRow

    @property
    def name(self) -> str:
        """What the row calls itself, or its place."""
        if not isinstance(self.row, UnusableRow):
            for field in ("instance_id", "commit_hash"):
                value = self.row.get(field)
                if value and isinstance(value, str):
                    return safe(value)[:_REASON]
        return f"row {self.place}"


def read_rows(where: str, split: str | None = None) -> Iterator[ReadRow]:
    """Yield the rows of a JSON, JSON Lines (also gzipped) or Parquet file, or of a Hub data set.

    `where` is the path of a file, a directory for `datasets.load_dataset`, or a name on the Hub.
    Raises UsageError.
    """
    path = Path(where).expanduser()
    if path.suffix == ".parquet" and path.is_file():
        return _numbered(path, _parquet(path))
    if path.is_file():
        return _numbered(path, _json(path))
    if path.is_dir() or where.count("/") == 1:
        return _numbered(path, _hub(where, split))
    raise UsageError(
        f"{where} is neither a file nor a data set on the Hub: give a path or OWNER/NAME"
    )


def _numbered(path: Path, rows: Iterator[Row | UnusableRow]) -> Iterator[ReadRow]:
    """Number the rows. Raises UsageError if there are some and none of them can be read."""
    first: ReadRow | None = None
    read = 0
    for place, row in enumerate(rows, 1):
        found = ReadRow(place, row)
        read += not isinstance(row, UnusableRow)
        first = first or found
        yield found
    if first and not read:
        raise UsageError(f"{path} has no rows: row {first.place}: {first.row}")


def _json(path: Path) -> Iterator[Row | UnusableRow]:
    """Yield the rows of a list, of an object by ids, or of JSON Lines."""
    name = path.name.removesuffix(".gz")
    try:
        with _opened(path) as file:
            if not name.endswith(".json"):
                for _, _, line in bounded_lines(file, LONGEST_ROW):
                    if line is None or line.strip():
                        yield _row(line)
                return
            content = file.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        problem = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {problem}") from error
    if len(content) > LARGEST_FILE:
        raise UsageError(
            f"{path} is larger than {LARGEST_FILE >> 20} MiB: convert it to JSON Lines (.jsonl)"
        )
    yield from _whole(content)


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _whole(content: bytes) -> Iterator[Row | UnusableRow]:
    """Yield the rows of a JSON value; of JSON Lines in a .json file, as on the Hub."""
    try:
        value = json_value(_decoded(content), LARGEST_FILE, nan=True)
    except Malformed:  # perhaps because of one row
        beginning = content.lstrip()[:1]
        parts = _elements(content) if beginning == b"[" else content.split(b"\n")
        yield from (_row(part) for part in parts if part.strip())
        return
    except UnusableRow as error:
        yield error
        return
    if isinstance(value, dict) and "instance_id" not in value:
        value = list(value.values())
    for row in value if isinstance(value, list) else [value]:
        yield row if isinstance(row, dict) else UnusableRow("it is not a JSON object")


def _elements(content: bytes) -> Iterator[bytes]:
    """Yield the elements of a list as JSON, without parsing them."""
    text = content.decode("utf-8", "surrogateescape")
    wanted: list[str] = []  # the marks that close what is open
    start = 0
    for mark in _PART.finditer(text):
        if mark[0] in _CLOSING:
            wanted.append(_CLOSING[mark[0]])
            start = mark.end() if len(wanted) == 1 else start
        elif len(wanted) == 1 and mark[0] in ",]":
            yield text[start : mark.start()].encode("utf-8", "surrogateescape")
            start = mark.end()
        if wanted and mark[0] == wanted[-1]:
            wanted.pop()
    if wanted:
        yield text[start:].encode("utf-8", "surrogateescape")


def _row(line: bytes | None) -> Row | UnusableRow:
    """The row in a line; None stands for a line that is too long."""
    if line is None or len(line) > LONGEST_ROW:
        return UnusableRow(f"it is longer than {LONGEST_ROW >> 20} MiB")
    try:
        row = json_value(_decoded(line), LONGEST_ROW, nan=True)
    except Malformed as error:
        return UnusableRow(f"it is not JSON: {error}")
    except UnusableRow as error:
        return error
    return row if isinstance(row, dict) else UnusableRow("it is not a JSON object")


def _decoded(content: bytes) -> str:
    """The text, in which UTF-8 may hold half characters. Raises UnusableRow."""
    try:
        return content.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnusableRow(f"it is not UTF-8: {error.reason} at byte {error.start}") from None


def _parquet(path: Path) -> Iterator[Row | UnusableRow]:
    with _needed("pyarrow"):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    try:
        for batch in ParquetFile(path).iter_batches(256):
            for number in range(batch.num_rows):
                try:
                    yield batch.slice(number, 1).to_pylist()[0]
                except (ArrowException, ValueError, OverflowError) as error:
                    yield UnusableRow(f"it cannot be read: {error}")
    except (ArrowException, OSError) as error:
        raise UsageError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _hub(where: str, split: str | None) -> Iterator[Row | UnusableRow]:
    with _needed("datasets"):
        import datasets
    try:
        loaded = datasets.load_dataset(where, split=split)
    except Exception as error:  # the Hub's client and its dependencies raise many types
        message = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"cannot load the data set {where}: {message[0]}") from error
    if isinstance(loaded, dict):
        if len(loaded) != 1:
            raise UsageError(f"{where} has the splits {', '.join(loaded)}: choose with --split")
        loaded = next(iter(loaded.values()))
    for number in range(len(loaded)):
        try:
            yield loaded[number]
        except Exception as error:  # decoders of columns raise many types, too
            yield UnusableRow(f"it cannot be read: {error}")


@contextmanager
def _needed(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"reading this needs {package}: {_EXTRA}") from error
