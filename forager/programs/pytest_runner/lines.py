"""Lines of JSON, by the C code of `json` alone.

`json` imports `re` and `enum`, which take as long as the start of the interpreter.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from typing import Any


class _Settings:
    """What `json.JSONDecoder` tells the scanner by default."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int
    memo: dict[str, str] = {}  # of keys; Python 3.8 wants it


def _unknown(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is no JSON")


_scan = make_scanner(_Settings())  # type: ignore[arg-type]
_encode = make_encoder(
    None, _unknown, encode_basestring_ascii, None, ": ", ", ", False, False, True
)


def written(record: dict[str, Any]) -> bytes:
    """A record's line."""
    return "".join(_encode(record, 0)).encode() + b"\n"


def read(line: bytes | str) -> Any:
    """The value of a line. Raises ValueError, and RecursionError if it nests too deeply."""
    text = (line.decode() if isinstance(line, bytes) else line).strip(" \t\r\n")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON value") from None
    if end != len(text):
        raise ValueError("more than a JSON value")
    return value
