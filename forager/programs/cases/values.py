"""Plain values as JSON, and back: what a function gets and returns.

A value is a JSON object with a table of containers, so that depth, cycles and shared parts cost
nothing. A number, text or constant stands for itself; [n] is entry n of the table; ["i", "-ff"] is
a long integer, ["f", "nan"] a float that JSON lacks, ["c", 1.0, 2.0] a complex number, ["t", "int"]
a type. Reading builds plain values and instances of the classes that the reader names, and calls
nothing of theirs.
"""

from __future__ import annotations

import collections
import decimal
import fractions
import json
import math
import numbers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EXACT = 1 << 53  # beyond it JSON's readers may lose digits
_ITERATORS = tuple(type(iter(kind())) for kind in (list, tuple, str, set, dict, bytes))
_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset, collections.deque)
_LAZY: tuple[Any, ...] = (map, filter, zip, enumerate, reversed, type(_ for _ in ()), *_ITERATORS)
_VIEWS = tuple(type(getattr({}, name)()) for name in ("keys", "values", "items"))
_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (int, float, complex, str, bytes, bool, list, tuple, dict, set, frozenset)
}
_FRACTION = 10_000  # hexadecimal digits
_MOST_ITEMS = 1_000_000  # of an iterator


class Unreadable(ValueError):
    """A text is not a value, or a value has no text."""


def encode(value: Any, classes: Mapping[str, type] = {}) -> str:
    """The value as JSON. Raises Unreadable for values that are not plain.

    Instances of `classes`, by name, are objects with attributes.
    """
    return json.dumps(_Writer(classes).document(value))


def decode(
    text: str,
    classes: Mapping[str, type] = {},
    *,
    most: int = 10_000_000,
    unfolded: bool = False,
    parse: Callable[[str], Any] = json.loads,
) -> Any:
    """The value of a JSON text with at most `most` items. Raises Unreadable.

    With `unfolded` a shared part counts each time, as in a comparison, and no value holds itself.
    """
    try:
        document = parse(text)
        table, value = document["table"], document["value"]
        if sum(map(len, table)) > most or (unfolded and _unfolded(table, most) > most):
            raise Unreadable(f"it has more than {most:,} items")
        return _Reader(table, classes).value(value)
    except Unreadable:
        raise
    except (ValueError, TypeError, LookupError, RecursionError, ArithmeticError) as error:
        raise Unreadable(f"it is not a value: {type(error).__name__}") from None


def size(text: str) -> int:
    """The number of items in an encoded value."""
    return sum(map(len, json.loads(text)["table"]))


def _unfolded(table: list[list[Any]], most: int) -> int:
    """The items of the largest entry where shared parts count each time; at most `most` + 1.

    An entry that holds itself has as many.
    """
    sizes: dict[int, int] = {}
    done: set[int] = set()
    waiting = list(range(len(table)))
    while waiting:
        place = waiting[-1]
        parts = [node[0] for node in table[place] if isinstance(node, list) and len(node) == 1]
        if place in done:
            waiting.pop()
        elif place in sizes:  # its parts are done
            done.add(waiting.pop())
            sizes[place] = min(len(table[place]) + sum(sizes[part] for part in parts), most + 1)
        else:
            sizes[place] = most + 1  # for a part that holds it
            waiting += [part for part in parts if part not in sizes]
    return max(sizes.values(), default=0)


class _Writer:
    def __init__(self, classes: Mapping[str, type]) -> None:
        self._names = {kind: name for name, kind in classes.items()}
        self._table: list[list[Any]] = []
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._waiting: list[tuple[int, Any]] = []

    def document(self, value: Any) -> dict[str, Any]:
        top = self._node(value)
        while self._waiting:
            place, container = self._waiting.pop()
            self._table[place] += self._parts(container)
        return {"value": top, "table": self._table}

    def _node(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -_EXACT < value < _EXACT else ["i", format(value, "x")]
        if kind is float:
            return value if math.isfinite(value) else ["f", repr(value)]
        if kind is type and value in _TYPES.values():
            return ["t", value.__name__]
        if isinstance(value, (str, float, complex, numbers.Integral, numbers.Real)):
            return self._number(value)
        if id(value) not in self._known:
            self._known[id(value)] = len(self._table)
            self._kept.append(value)
            self._waiting.append((len(self._table), value))
            self._table.append([])
        return [self._known[id(value)]]

    def _number(self, value: Any) -> Any:
        """A number or text of another type: of numpy, an enumeration, a complex number."""
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, numbers.Integral):
            return self._node(int(value))
        if isinstance(value, float):
            return self._node(float(value))
        if isinstance(value, complex):
            return ["c", self._node(value.real), self._node(value.imag)]
        return self._special(value)

    def _special(self, value: Any) -> Any:
        if isinstance(value, fractions.Fraction):
            return ["q", format(value.numerator, "x"), format(value.denominator, "x")]
        return self._node(float(value))

    def _parts(self, value: Any) -> list[Any]:
        if isinstance(value, decimal.Decimal):
            return ["decimal", str(value)]
        if isinstance(value, (bytes, bytearray)):
            return [type(value).__mro__[-2].__name__, bytes(value).hex()]
        if isinstance(value, range):
            return ["range", *map(self._node, (value.start, value.stop, value.step))]
        if isinstance(value, dict):
            pairs = (part for pair in dict.items(value) for part in pair)
            return ["dict", *map(self._node, pairs)]
        for kind in _CONTAINERS:
            if isinstance(value, kind):
                return [kind.__name__, *map(self._node, kind.__iter__(value))]
        if isinstance(value, _LAZY + _VIEWS):
            return self._lazy(value)
        return self._object(value)

    def _lazy(self, value: Any) -> list[Any]:
        items: list[Any] = []
        for item in value:
            items.append(item)
            if len(items) > _MOST_ITEMS:
                raise Unreadable(f"an iterator has more than {_MOST_ITEMS:,} items")
        return ["view" if isinstance(value, _VIEWS) else "iterator", *map(self._node, items)]

    def _object(self, value: Any) -> list[Any]:
        name = self._names.get(type(value))
        if name is None:
            if hasattr(value, "tolist"):  # an array
                return self._parts(value.tolist())
            raise Unreadable(f"a value of type {type(value).__name__} is not plain")
        parts = (part for pair in vars(value).items() for part in pair)
        return ["object", name, *map(self._node, parts)]


_SHELLS: dict[str, Callable[[], Any]] = {"list": list, "dict": dict, "set": set}
_SHELLS["deque"] = collections.deque


class _Reader:
    def __init__(self, table: list[list[Any]], classes: Mapping[str, type]) -> None:
        self._table, self._classes = table, classes
        self._made: dict[int, Any] = {}
        self._fill()

    def value(self, node: Any) -> Any:
        """The value that a node stands for."""
        if not isinstance(node, list):
            return node
        if len(node) == 1:
            place = node[0]
            if place not in self._made:
                self._made[place] = self._whole(self._table[place])
            return self._made[place]
        kind, *parts = node
        if kind == "i":
            return int(parts[0], 16)
        if kind == "f":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[parts[0]]
        if kind == "c":
            return complex(*map(self.value, parts))
        if kind == "t":
            return _TYPES[parts[0]]
        if kind == "q" and max(map(len, parts)) <= _FRACTION:  # to reduce it takes quadratic time
            return fractions.Fraction(int(parts[0], 16), int(parts[1], 16))
        raise Unreadable("an unknown kind of value")

    def _fill(self) -> None:
        """Make what may hold itself, empty at first; then put the parts in."""
        for place, entry in enumerate(self._table):
            if entry[0] in _SHELLS:
                self._made[place] = _SHELLS[entry[0]]()
            elif entry[0] == "object":
                kind = self._classes[entry[1]]
                self._made[place] = object.__new__(kind)
        for place, made in list(self._made.items()):
            kind, *nodes = self._table[place]
            if kind == "object":
                names, values = nodes[1::2], nodes[2::2]
                for name, node in zip(names, values):
                    object.__setattr__(made, str(name), self.value(node))
            elif kind == "dict":
                keys = map(self.value, nodes[::2])
                made.update(zip(keys, map(self.value, nodes[1::2])))
            elif kind == "set":
                made.update(map(self.value, nodes))
            else:
                made.extend(map(self.value, nodes))

    def _whole(self, entry: list[Any]) -> Any:
        """A value that is made at once, from its parts."""
        kind, *nodes = entry
        if kind in ("bytes", "bytearray"):
            made = bytes.fromhex(nodes[0])
            return made if kind == "bytes" else bytearray(made)
        if kind == "decimal":
            return decimal.Decimal(nodes[0])
        values = list(map(self.value, nodes))
        if kind == "tuple":
            return tuple(values)
        if kind == "frozenset":
            return frozenset(values)
        if kind == "range":
            return range(*values)
        if kind == "iterator":
            return iter(values)
        if kind == "view":
            return dict.fromkeys(values).keys() if _hashable(values) else values
        raise Unreadable("an unknown kind of container")


def _hashable(values: list[Any]) -> bool:
    try:
        return bool(set(values)) or True
    except TypeError:
        return False
