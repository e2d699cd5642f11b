"""Finds what has changed among the variables of one frame, for the recorder in Python.

Values are never compared by `==`. An exact immutable value has not changed if it is the same
object. Of a container that holds such values only, the values are kept, and compared one by one.
All else is written again, and the texts are compared.
"""

from __future__ import annotations

from operator import is_
from typing import Any, Callable, List, Mapping, Tuple

from .codes import visible
from .notation import MOST_NODES, SCALARS, render
from .writing import Names, numbered

_MISSING, _MUTABLE = object(), object()
_LARGE = 1 << 63
_SCALARS = frozenset(SCALARS)

Snapshot = Tuple[type, List[Any], bool]
"""A container's type and items, and whether the items are snapshots."""


def flat(items: Any) -> bool:
    """Whether all items are exact immutable values."""
    return _SCALARS.issuperset(map(id, map(type, items)))


def snapshot(value: Any, kind: type) -> Snapshot | None:
    """What a container holds, by reference; None if that is more than exact immutable values."""
    if kind is dict:
        if len(value) < MOST_NODES and flat(value) and flat(value.values()):
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
    left = MOST_NODES
    for row in value:
        row_kind = type(row)
        if row_kind is not list and row_kind is not tuple:
            return None
        left -= len(row) + 1
        if left < 0 or not flat(row):
            return None
        rows.append((row_kind, [*row], False))
    return (kind, rows, True)


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
    known = last.get

    def changed_text(name: str, value: Any, kind: type) -> str | None:
        """The text of a value that may have changed, unless a snapshot tells that it has not."""
        scalar = SCALARS.get(id(kind))
        if scalar is not None:
            last[name] = value
            return scalar(value)
        last[name] = _MUTABLE
        kept = snapshots.get(name)
        if kept is not None and same(value, kind, kept):
            return None
        snapshots[name] = snapshot(value, kind)
        return render(value)

    def look(values: Mapping[str, Any]) -> None:
        """Emit what has changed since the last look."""
        found: list[tuple[str, str | None, str | None]] | None = None
        for name, value in values.items():
            if known(name, _MISSING) is value:
                continue
            kind = type(value)
            if kind is int and -_LARGE < value < _LARGE:
                last[name] = value
                new: str | None = int.__repr__(value)
            else:
                new = changed_text(name, value, kind)
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
            if texts.pop(name, None) is not None:
                found.append((name, None, None))
        return found

    def report(found: list[tuple[str, str | None, str | None]]) -> None:
        if len(found) > 1 and order is not None:
            found.sort(key=lambda change: order[change[0]])
        for name, old, new in found:
            place = names.number(name)
            if new is None:
                emit(numbered(0x0B, place))
            else:
                emit(names.change(name, old, new.encode()))

    return look
