"""Which code is traced, and what the recorders must know of code objects and instructions."""

from __future__ import annotations

import opcode
import sys
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Wanted = Callable[[str], str]
    """Returns the name that a file has in the trace; empty for a file that is not traced."""

_OPTIMIZED, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x1, 0x20, 0x80, 0x200
BLOCK = 4
RETURNS, YIELDS, LOOPS, STARTS = 1, 2, 4, 8
"""What an instruction does: ends a frame, lets a generator wait, asks an iterator for the next
item, begins or continues a function."""
_KINDS = {
    RETURNS: ("RETURN_VALUE", "RETURN_CONST"),
    YIELDS: ("YIELD_VALUE", "YIELD_FROM"),
    LOOPS: (
        "FOR_ITER",
        "YIELD_FROM",
        "SEND",
        "END_SEND",
        "END_FOR",
        "END_ASYNC_FOR",
        "CLEANUP_THROW",
    ),
    STARTS: ("RESUME",),
}
_CACHE = opcode.opmap.get("CACHE", -1)
_BEFORE = 0x10  # the instruction is left at the one before: `yield from` before Python 3.11


def instructions() -> bytes:
    """What each instruction does, by its number: a sum of the constants above."""
    table = bytearray(256)
    for kind, names in _KINDS.items():
        for name in names:
            number = opcode.opmap.get(name)
            if number is not None and number < 256:
                table[number] |= kind
                if name == "YIELD_FROM":
                    table[number] |= _BEFORE
    return bytes(table)


class Described(NamedTuple):
    """What a recorder must know of a code object."""

    file: str
    first: int
    kind: int
    """As `forager/tracing/stream.py` numbers them."""
    name: str
    slots: tuple[str | None, ...]
    """The variables by their places in a frame; None for those that are left out."""


def describer(wanted: Wanted) -> Callable[[CodeType], Described | None]:
    """Return a function that describes the code objects of traced files."""

    def describe(code: CodeType) -> Described | None:
        file = wanted(code.co_filename)
        if not file:
            return None
        name = getattr(code, "co_qualname", code.co_name)
        return Described(file, code.co_firstlineno, _kind(code.co_flags), name, _slots(code))

    return describe


def _kind(flags: int) -> int:
    if not flags & _OPTIMIZED:
        return BLOCK
    for number, flag in enumerate((_GENERATOR, _COROUTINE, _ASYNC_GENERATOR), 1):
        if flags & flag:
            return number
    return 0


def _slots(code: CodeType) -> tuple[str | None, ...]:
    names: list[str] = list(code.co_varnames)
    if sys.version_info >= (3, 11):  # an argument that is a cell stays in its place
        names += [name for name in code.co_cellvars if name not in code.co_varnames]
    else:
        names += code.co_cellvars
    names += code.co_freevars
    return tuple(name if visible(name) else None for name in names)


def visible(name: str) -> bool:
    """Whether a variable is recorded: pytest adds some that begin with `@` to assertions."""
    return not name.startswith("@")


class Instructions:
    """What a frame is about to do, from its code and the place of its last instruction."""

    def __init__(self, code: bytes) -> None:
        self._code = code

    def kind(self, last: int) -> int:
        """What the instruction at a place does."""
        if last < 0 or last >= len(self._code):
            return 0
        while last >= 2 and self._code[last] == _CACHE:  # which belongs to what is before it
            last -= 2
        kind = _TABLE[self._code[last]]
        if last + 2 < len(self._code) and _TABLE[self._code[last + 2]] & _BEFORE:
            kind |= YIELDS | LOOPS
        if kind & STARTS and self._code[last + 1] & 3:  # Python 3.13 is already past the yield
            kind |= YIELDS
        return kind

    def is_start(self, last: int) -> bool:
        """Whether a frame begins, and does not go on after a yield."""
        if last < 0:
            return True
        return bool(_TABLE[self._code[last]] & STARTS) and not self._code[last + 1] & 3


_TABLE = instructions()
