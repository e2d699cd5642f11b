"""The bytes of the stream's operations; `forager/tracing/stream.py` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .codes import Described

EDITED = 64  # bytes of a value from which on a small difference is written as such
_SHORT_NAMES = 0x80  # names that need no operand
NEAR = {difference: bytes((0x40 + difference,)) for difference in range(-32, 32)}
"""A line, by its distance from the frame's last one."""


def number(value: int) -> bytes:
    """A number as operand."""
    if value < 0x80:
        return bytes((value,))
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


LENGTHS = [number(length) for length in range(256)]


def string(data: bytes) -> bytes:
    """A text as operand."""
    length = len(data)
    return (LENGTHS[length] if length < 256 else number(length)) + data


def named(operation: int, content: str) -> bytes:
    """An operation with a text."""
    return bytes((operation,)) + string(content.encode("utf-8", "backslashreplace"))


def numbered(operation: int, operand: int) -> bytes:
    """An operation with a number."""
    return bytes((operation,)) + number(operand)


def code(file: int, described: Described) -> bytes:
    """The definition of a code object."""
    head = b"\x03" + number(file) + number(described.first) + number(described.kind)
    return head + string(described.name.encode("utf-8", "backslashreplace"))


def valued(operation: int, line: int, value: str) -> bytes:
    """An event with a line and a value."""
    return bytes((operation,)) + number(line) + string(value.encode())


class Names:
    """The numbers of variables' names, each defined where it is first used."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks
        self._numbers: dict[str, int] = {}
        self.new: dict[str, bytes] = {}
        """Name → the beginning of the operation that gives it a value."""

    def number(self, name: str) -> int:
        """The number of a name."""
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = len(self._numbers)
            self._chunks.append(named(0x01, name))
            short = known < _SHORT_NAMES
            self.new[name] = bytes((0x80 + known,)) if short else b"\x0d" + number(known)
        return known

    def change(self, name: str, before: str | None, new: bytes) -> bytes:
        """The operation that gives a variable a new value, once its name is defined."""
        if before is not None and len(new) >= EDITED:
            old = before.encode()
            if len(old) >= EDITED:
                prefix = _prefix(old, new)
                suffix = _suffix(old[prefix:], new[prefix:])
                if 2 * (prefix + suffix) >= len(new):
                    middle = new[prefix : len(new) - suffix]
                    numbers = number(self._numbers[name]) + number(prefix) + number(suffix)
                    return b"\x0c" + numbers + string(middle)
        return self.new[name] + string(new)


def _prefix(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are equal."""
    most = min(len(one), len(other))
    return _equal(
        int.from_bytes(one[:most], "little") ^ int.from_bytes(other[:most], "little"), most
    )


def _suffix(one: bytes, other: bytes) -> int:
    """How many bytes at the end are equal."""
    most = min(len(one), len(other))
    ends = one[len(one) - most :], other[len(other) - most :]
    return _equal(int.from_bytes(ends[0], "big") ^ int.from_bytes(ends[1], "big"), most)


def _equal(difference: int, most: int) -> int:
    """How many of the lowest bytes of a number are zero."""
    return ((difference & -difference).bit_length() - 1) >> 3 if difference else most
