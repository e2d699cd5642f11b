"""Reads rows of published data sets, from files or the Hugging Face Hub, and their fields."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forager.errors import ForagerError, UsageError

Row = Mapping[str, Any]

_EXTRA = "pip install -e '.[datasets]'"


class UnusableRow(ForagerError):
    """A row cannot become a task; the message is the reason."""


def read_rows(where: str, split: str | None = None) -> Iterator[Row]:
    """Yield the rows of a JSON, JSON Lines or Parquet file, or of a Hugging Face data set.

    `where` is the path of a file, a directory for `datasets.load_dataset`, or a name on the Hub.
    Raises UsageError.
    """
    path = Path(where).expanduser()
    if path.suffix == ".parquet" and path.is_file():
        return _parquet(path)
    if path.is_file():
        return _json(path)
    if path.is_dir() or where.count("/") == 1:
        return _hub(where, split)
    raise UsageError(
        f"{where} is neither a file nor a data set on the Hub: give a path or OWNER/NAME"
    )


def text(row: Row, *names: str, required: bool = True) -> str:
    """The first non-empty field of these. Raises UnusableRow if a required text is missing."""
    for name in names:
        value = row.get(name)
        if value is not None and not isinstance(value, str):
            value = str(value)  # a date, a version
        if value and value.strip():
            return str(value)
    if required:
        raise UnusableRow(f"{names[0]} is missing or empty")
    return ""


def nested(row: Row, name: str) -> Any:
    """A field that is an object or a list, or JSON text of either. Raises UnusableRow."""
    value = row.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise UnusableRow(f"{name} is no JSON") from None


def names(row: Row, *fields: str) -> list[str]:
    """The list of tests in the first of these fields that exists. Raises UnusableRow."""
    for field in fields:
        value = nested(row, field)
        if value is not None:
            if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
                raise UnusableRow(f"{field} is no list of tests")
            return value
    raise UnusableRow(f"{fields[0]} is missing or empty")


def _json(path: Path) -> Iterator[Row]:
    """Yield the rows of a list, of an object by ids, or of JSON Lines."""
    try:
        with path.open(encoding="utf-8") as file:
            if path.suffix == ".json":
                yield from _whole(path, file.read())
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _row(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _whole(path: Path, content: str) -> Iterator[Row]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # JSON Lines in a .json file, as on the Hub
        yield from (
            _row(path, number, line)
            for number, line in enumerate(content.split("\n"), 1)
            if line.strip()
        )
        return
    if isinstance(value, dict) and "instance_id" not in value:
        value = list(value.values())
    for row in value if isinstance(value, list) else [value]:
        if not isinstance(row, dict):
            raise UsageError(f"{path} has no rows: give a list of objects, or one object per line")
        yield row


def _row(path: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}:{number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise UsageError(f"{path}:{number} is not a JSON object")
    return row


def _parquet(path: Path) -> Iterator[Row]:
    with _needed("pyarrow"):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    try:
        for batch in ParquetFile(path).iter_batches(256):
            yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise UsageError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _hub(where: str, split: str | None) -> Iterator[Row]:
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
    yield from loaded


@contextmanager
def _needed(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"reading this needs {package}: {_EXTRA}") from error
