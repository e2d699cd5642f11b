"""Operations on values: items, slices, and what operators make of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Iterable

from .values import LONGEST, NOTHING, Constant, Sequence, Table, Thing, constant, operate, plain

if TYPE_CHECKING:
    from .values import Values

MOST = 12  # values of one expression


def items(values: Values) -> Values:
    """What a loop over any of the values goes over."""
    found: set[Any] = set()
    for value in values:
        if isinstance(value, Thing):
            if value.path == "sys.modules.values()":
                found.add(Thing("sys.modules[?]"))
            elif value.path == "sys.modules.items()":
                found.add(Sequence((NOTHING, frozenset([Thing("sys.modules[?]")]))))
            elif value.path != "sys.modules":
                found.add(Thing(f"{value.path}[?]"))
        else:
            for part in parts_of(value)[:MOST]:
                found |= part
    return frozenset(found)


def item(values: Values, place: int) -> Values:
    """The item at a place of any of the values."""
    found: set[Any] = set()
    for value in values:
        parts = parts_of(value)
        if -len(parts) <= place < len(parts):
            found |= parts[place]
        elif isinstance(value, Thing):
            found.add(Thing(f"{value.path}[?]"))
    return frozenset(found)


def parts_of(value: Any) -> list[Values]:
    """The items of a sequence or a text; empty for others."""
    if isinstance(value, Sequence):
        return list(value.items)
    if isinstance(value, Table):
        return [constant(key) for key, _ in value.items]
    if isinstance(value, Constant) and isinstance(value.value, (str, bytes)):
        return [constant(part) for part in value.value[:LONGEST]]
    return []


def fewer(found: Values) -> Values:
    """Some of many values: things and texts first."""
    things = sorted(value for value in found if isinstance(value, Thing))
    texts = [value for value in found if isinstance(value, Constant)]
    others = [value for value in found if not isinstance(value, (Thing, Constant))]
    texts.sort(key=lambda value: repr(value)[:100])
    return frozenset([*things[:MOST], *texts[:MOST], *others[:MOST]])


def row_of(name: str, key: Any, values: Values) -> Values:
    """What a loop over a table's `keys`, `values` or `items` has of one key."""
    if name == "values":
        return values
    return constant(key) if name == "keys" else frozenset([Sequence((constant(key), values))])


def operated(operator: ast.operator, left: Any, right: Any) -> Values:
    """The result of an operation on two values, or on the name of the file's own module."""
    if isinstance(left, Thing) and left.path.startswith("__self__"):
        return frozenset([left])  # __name__ + ".part"
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        return frozenset([Sequence((*left.items, *right.items))])
    try:
        return operate(operator, plain(left), plain(right))
    except ValueError:
        return NOTHING


def single(values: Values) -> Any:
    """The value of the only constant, or None."""
    if len(values) == 1:
        (value,) = values
        if isinstance(value, Constant):
            return value.value
    return None


def sliced(owners: Values, bounds: Iterable[Any]) -> Values:
    """The slice of any of the owners."""
    cut = slice(*bounds)
    found: set[Any] = set()
    for owner in owners:
        if isinstance(owner, Sequence):
            found.add(Sequence(owner.items[cut]))
        elif isinstance(owner, Constant) and isinstance(owner.value, (str, bytes)):
            found |= constant(owner.value[cut])
        elif isinstance(owner, Thing):
            found.add(owner)
    return frozenset(found)


def index_of(node: ast.Subscript) -> Any:
    """The index of a subscript, which Python 3.8 wraps in a node of its own."""
    index: Any = node.slice
    return index.value if type(index).__name__ == "Index" else index
