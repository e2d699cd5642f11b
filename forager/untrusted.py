"""Where text from a container, a model or a foreign file becomes a record, within bounds.

One parser reads all of it: pydantic's. It takes linear time, reads no more than 200 levels and no
number of more than 4,300 digits, and refuses NaN. A caller bounds the number of characters first,
because a parsed text takes up to thirty times its length in memory. Half characters are replaced
as in all records.
"""

import binascii
import codecs
import io
import tokenize
import zlib
from collections.abc import Iterator
from importlib.util import decode_source
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import ConfigDict, FailFast, TypeAdapter, ValidationError
from pydantic_core import from_json

from forager.records import Record, writable_json
from forager.text import safe

M = TypeVar("M")
T = TypeVar("T")
_PROBLEMS = 100  # wrong values of one record, of which the first is named
LONGEST_REPORT, MOST_REPORTS = 1 << 17, 200_000
_SLOW = ("idna", "punycode")  # encodings that take quadratic time
OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
"""Any JSON object."""


class Report(Record):
    """The base of what programs in sandboxes report: no value is converted to another type."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Malformed(ValueError):
    """A text is not the JSON that it should be; the message says why, in one short line."""


Items = Annotated[list[T], FailFast()]
"""A list of a report. Pydantic describes each wrong item, in a thousand bytes, unless told."""


class Reports(NamedTuple, Generic[M]):
    """What a program reported up to the first line that is not a report of the right kind."""

    records: list[M]
    problem: str = ""
    """What is wrong with that line, or how a bound was exceeded; empty if nothing is wrong."""


def json_value(text: str, characters: int, *, nan: bool = False) -> Any:
    """Return the value of a JSON text, in which `nan` allows NaN. Raises Malformed."""
    if len(text) > characters:
        raise Malformed(f"it has more than {characters:,} characters")
    try:
        return from_json(writable_json(text), allow_inf_nan=nan, cache_strings="none")
    except ValueError as error:
        raise Malformed(str(error)) from error


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text holds, such as the arguments of a call; None if none."""
    try:
        value = json_value(text, len(text))
    except Malformed:
        return None
    return value if isinstance(value, dict) else None


def toml_value(text: str, characters: int) -> dict[str, Any]:
    """Return the table of a TOML text. Raises Malformed.

    Not by `tomllib`, whose time and memory grow with the square of a key's dots: one of 40 kB holds
    all threads for half a minute.
    """
    if len(text) > characters:
        raise Malformed(f"it has more than {characters:,} characters")
    import rtoml

    try:
        return rtoml.loads(text)
    except (rtoml.TomlParsingError, UnicodeError) as error:
        raise Malformed(str(error)) from error


def record(kind: TypeAdapter[M], text: str, characters: int) -> M:
    """Return the record that a JSON text holds. Raises Malformed."""
    if len(text) > characters:
        raise Malformed(f"it has more than {characters:,} characters")
    try:
        return kind.validate_json(writable_json(text))
    except ValidationError as error:
        raise Malformed(_first_problem(error)) from error


def reports(
    output: str,
    nonce: str,
    kind: TypeAdapter[M],
    *,
    longest: int = LONGEST_REPORT,
    most: int = MOST_REPORTS,
) -> Reports[M]:
    """Read the lines that consist of the nonce, a space and a JSON object; skip all others.

    At most `most` reports are read, each of at most `longest` characters.

    A last line without its end is skipped: its writer was killed. So are lines in which bash names
    the nonce, because it was killed.
    """
    found: list[M] = []
    for text in _lines(output, f"{nonce} {{", longest):
        if len(found) == most:
            return Reports(found, f"there are more than {most:,} reports")
        try:
            found.append(record(kind, text[len(nonce) :], longest))
        except Malformed as error:
            return Reports(found, f"a report is malformed: {error}")
    return Reports(found)


def source_text(content: bytes) -> str | None:
    """A Python source in the encoding that it names; None if that is wrong, or a slow one."""
    try:
        named, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if codecs.lookup(named).name in _SLOW:
            return None
        return decode_source(content)
    except (SyntaxError, ValueError, LookupError):
        return None


def unpacked(text: str, characters: int) -> str:
    """Return the UTF-8 text that zlib compressed and base64 encoded. Raises Malformed."""
    try:
        return unpacked_bytes(text, characters).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"it is not packed text: {error}") from error


def unpacked_bytes(text: str, most: int) -> bytes:
    """Return the bytes that zlib compressed and base64 encoded. Raises Malformed."""
    unzip = zlib.decompressobj()
    try:
        found = unzip.decompress(binascii.a2b_base64(text), most + 1)
    except (ValueError, zlib.error) as error:
        raise Malformed(f"it is not packed: {error}") from error
    if len(found) > most or not unzip.eof:
        raise Malformed(f"it is torn, or longer than {most:,} bytes")
    return found


def _first_problem(error: ValidationError) -> str:
    """The first thing that is wrong; making the list of very many takes long."""
    if error.error_count() > _PROBLEMS:
        return "it has many wrong values"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))  # not a union's
    return safe(f"{place}: {first['msg']}" if place else first["msg"])[:200]


def _lines(text: str, beginning: str, longest: int) -> Iterator[str]:
    """Yield each whole line with this beginning, cut off one character after the bound."""
    at = -1
    while (at := text.find(beginning, at + 1)) >= 0:
        if at == 0 or text[at - 1] == "\n":
            end = text.find("\n", at)
            if end < 0:
                return
            yield text[at : min(end, at + len(beginning) + longest)]
            at = end
