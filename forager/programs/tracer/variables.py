"""Finds what has changed among the variables of one frame, for the recorder in Python.

Values are never compared by `==`. An exact immutable value has not changed if it is the same
object. Lists, dicts and tuples are compared by what `marshal` writes of them, and most are written
by `repr` of what it reads back: a copy that has exact types only. Where that could be another text
than the notation's, the items are kept if they are exact immutable values, and compared one by one.
All else is written again, and the texts are compared.
"""

from __future__ import annotations

import sys
from marshal import dumps, loads
from operator import is_
from typing import Any, Callable, List, Mapping, Tuple

from .codes import visible
from .notation import MOST_NODES, SCALARS, render
from .writing import EDITED as _SET
from .writing import LENGTHS, Names, numbered

_MISSING, _MUTABLE = object(), object()
_LARGE = 1 << 63
_SCALARS = frozenset(SCALARS)
_MARSHAL = sys.version_info < (3, 12)  # since then it calls `__buffer__` of a class in Python
_SHORT = 600  # characters; a longer text may have a number or a text that the notation cuts off
_LONG = 1 << 16  # bytes of marshal; longer ones are not written again and again
_CONTAINERS = 12  # opening brackets, from which on the notation may leave out the innermost

Snapshot = Tuple[type, List[Any], bool]
"""A container's type and items, and whether the items are snapshots."""


def flat(items: Any) -> bool:
    """Whether all items are exact immutable values."""
    return _SCALARS.issuperset(map(id, map(type, items)))


def snapshot(value: Any, kind: type) -> Snapshot | None:
    """What a container holds, by reference; None if that is more than exact immutable values."""
    if kind is dict:
        if 2 * len(value) < MOST_NODES and flat(value) and flat(value.values()):
            return (dict, [*value, *value.values()], False)
        return None
    if kind is not list and kind is not tuple and kind is not set:
        return None
    if len(value) >= MOST_NODES:
        return None
    if flat(value):
        return (kind, [*value], False)
    return None if kind is set else _nested(value, kind)


def _nested(value: Any, kind: type) -> Snapshot | None:
    rows: list[Any] = []
    left = MOST_NODES - 2
    for row in value:
        row_kind = type(row)
        if row_kind is not list and row_kind is not tuple:
            return None
        left -= len(row) + 1
        if left < 0 or not flat(row):
            return None
        rows.append((row_kind, [*row], False))
    return (kind, rows, True)


def text_of(data: bytes) -> str | None:
    """The text of what marshal wrote; empty if the notation cuts it off, None if it is unsure.

    Marshal writes a bytearray as bytes, code as code, and sets in an order of its own.
    """
    if b"<" in data or b">" in data:
        return None
    text = repr(loads(data))  # nosec B302  # what this process has just written
    if "<" in text or "b'" in text or 'b"' in text:
        return None
    if len(text) > _SHORT:
        return ""
    openings = text.count("[") + text.count("(") + text.count("{")
    return text if openings <= _CONTAINERS else ""


def same(value: Any, kind: type, kept: Snapshot) -> bool:
    """Whether a container holds what it held when its snapshot was taken."""
    kept_kind, items, nested = kept
    if kept_kind is not kind:
        return False
    if kind is dict:
        return 2 * len(value) == len(items) and all(map(is_, [*value, *value.values()], items))
    if len(value) != len(items):
        return False
    if nested:
        return all(same_row(row, kept_row) for row, kept_row in zip(value, items))
    return all(map(is_, value, items))


def same_row(row: Any, kept: Snapshot) -> bool:
    """Whether a row of a container is as it was."""
    kind, items, _ = kept
    found: type = type(row)
    return found is kind and len(row) == len(items) and all(map(is_, row, items))


def watching(
    names: Names, emit: Callable[[bytes], None], order: dict[str, int] | None
) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that looks at a frame's variables, and emits what has changed.

    `order` has the places of a function's variables; a block has none, and its variables come in
    their own order.
    """
    last: dict[str, Any] = {}
    texts: dict[str, str] = {}
    snapshots: dict[str, Snapshot | None] = {}
    marks: dict[str, bytes] = {}
    odd: set[str] = set()
    known, mark, write, dump = last.get, marks.get, int.__repr__, dumps
    missing, mutable, large, marshal = _MISSING, _MUTABLE, _LARGE, _MARSHAL

    def other_text(name: str, value: Any, kind: type) -> str | None:
        """The text of a value that may have changed, unless a snapshot shows that it has not."""
        scalar = SCALARS.get(id(kind))
        if scalar is not None:
            last[name] = value
            return scalar(value)
        kept = snapshots.get(name)
        if kept is not None and same(value, kind, kept):
            return None
        kept = snapshots[name] = snapshot(value, kind)
        if kept is not None:
            odd.discard(name)
        return render(value)

    def container_text(name: str, value: Any, data: bytes) -> str:
        """The text of a list, dict or tuple; empty if it is unsure."""
        text = text_of(data) if len(data) <= _LONG else None
        if text is None:
            odd.add(name)
            return ""
        marks[name] = data
        return text or render(value)

    def look(values: Mapping[str, Any]) -> None:
        """Emit what has changed since the last look."""
        found: list[tuple[str, str | None, str | None]] | None = None
        for name, value in values.items():
            if known(name, missing) is value:
                continue
            kind = type(value)
            if kind is int and -large < value < large:
                last[name] = value
                new: str | None = write(value)
            else:
                last[name] = mutable
                new = None
                if (kind is list or kind is dict or kind is tuple) and marshal and name not in odd:
                    try:
                        data = dump(value, 2)
                        if kind is tuple and flat(value):
                            last[name] = value  # which cannot change
                        if data == mark(name):
                            continue
                        new = container_text(name, value, data)
                    except (ValueError, MemoryError):  # it holds something else
                        odd.add(name)
                if not new:
                    marks.pop(name, None)
                    new = other_text(name, value, kind)
            old = texts.get(name)
            if new is None or new == old or (old is None and hidden(name)):
                continue
            texts[name] = new
            if found is None:
                found = [(name, old, new)]
            else:
                found.append((name, old, new))
        if len(values) != len(last):
            found = gone(values, found or [])
        if found is not None:
            report(found)

    def hidden(name: str) -> bool:
        if order is not None:
            return name not in order
        return not visible(name) or (name.startswith("__") and name.endswith("__"))

    def gone(values: Mapping[str, Any], found: list[Any]) -> list[Any]:
        for name in [name for name in last if name not in values]:
            del last[name]
            snapshots.pop(name, None)
            marks.pop(name, None)
            if texts.pop(name, None) is not None:
                found.append((name, None, None))
        return found

    def report(found: list[tuple[str, str | None, str | None]]) -> None:
        if len(found) > 1 and order is not None:
            found.sort(key=lambda change: order[change[0]])
        for name, old, new in found:
            if new is None:
                emit(numbered(0x0B, names.number(name)))
                continue
            if name not in begins:
                names.number(name)
            if len(new) < _SET and new.isascii():
                emit(begins[name] + LENGTHS[len(new)] + new.encode())
            else:
                emit(names.change(name, old, new.encode()))

    begins = names.new
    return look
