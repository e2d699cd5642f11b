"""Digests of a program's complete state at a line of one of its functions.

The state is what the rest of the run can depend on while one activation of a function lasts: its
local variables, the program's global ones, and all that these reach. Callers are suspended; what
only they reach does not change and is not read. Nothing of the program's own is called.

Two states have one digest only if the run goes on from both in the same way. So values whose future
depends on more than what can be read here are refused: iterators, generators, open files, and sets,
whose order depends on what they held before.
"""

from __future__ import annotations

import collections
import types
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from .python import MODULE
from .values import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONSTANTS = (
    *(types.ModuleType, types.GetSetDescriptorType, types.MemberDescriptorType),
    *(types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType),
)
_SINGLE = (None, True, False, Ellipsis, NotImplemented)


def digest(place: tuple[int, ...], local: Mapping[str, Any], shared: Mapping[str, Any]) -> bytes:
    """The digest of a state: where it is, its local and its global variables.

    Raises Unreadable for a value of which a part cannot be read.
    """
    writer = _StateWriter()
    variables = [
        (name, value)
        for names in (local, shared)
        for name, value in sorted(names.items())
        if not name.startswith("__")
    ]
    return writer.digest(place, variables)


class _StateWriter:
    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._waiting: collections.deque[Any] = collections.deque()
        self._kept: list[Any] = []  # so that no id is used twice

    def digest(self, place: tuple[int, ...], variables: list[tuple[str, Any]]) -> bytes:
        hasher = blake2b(repr(place).encode(), digest_size=16)
        for name, value in variables:
            hasher.update(f"{name}={self._node(value)};".encode("utf-8", "surrogatepass"))
        while self._waiting:
            text = ",".join(self._parts(self._waiting.popleft()))
            hasher.update(f"[{text}]".encode("utf-8", "surrogatepass"))
        return hasher.digest()

    def _node(self, value: Any) -> str:
        """A value, or the number under which it is described later."""
        kind = type(value)
        if any(value is single for single in _SINGLE):
            return repr(value)
        if kind is int:
            return hex(value)
        if kind is float:
            return f"f{value.hex()}"
        if kind is complex:
            return f"c{value.real.hex()}_{value.imag.hex()}"
        if kind is str or kind is bytes:
            return repr(value)
        if _is_constant(value):
            return f"@{id(value)}"
        if id(value) not in self._known:
            self._known[id(value)] = len(self._known)
            self._kept.append(value)
            self._waiting.append(value)
        return f"#{self._known[id(value)]}"

    def _parts(self, value: Any) -> list[str]:
        kind = type(value)
        if kind in _READERS:
            return [kind.__name__, *map(self._node, _READERS[kind](value))]
        if kind is type and _is_own(value):
            return [f"class{id(value)}", *map(self._node, _flat(vars(value)))]
        if _is_plain_instance(value):
            attributes = object.__getattribute__(value, "__dict__")
            return [f"of{id(kind)}", *map(self._node, _flat(attributes))]
        raise Unreadable(f"a value of type {kind.__name__}")


def _is_constant(value: Any) -> bool:
    """Whether it never changes, and lives as long as the program."""
    kind = type(value)
    if issubclass(kind, type):
        return not _is_own(value)
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or type(value.__self__) is types.ModuleType
    return kind in _CONSTANTS


def _is_own(kind: type) -> bool:
    """Whether the program defines a class; a metaclass of its own is not asked."""
    return bool(type.__getattribute__(kind, "__dict__").get("__module__") == MODULE)


def _is_plain_instance(value: Any) -> bool:
    """Whether its attributes are all that an instance of a class of the program holds."""
    *own, last = type(value).__mro__
    return (
        last is object
        and all(type(kind) is type and _is_own(kind) for kind in own)
        and not any("__slots__" in vars(kind) for kind in own)
    )


def _flat(pairs: Mapping[Any, Any]) -> list[Any]:
    return [part for pair in list(pairs.items()) for part in pair]


def _function(value: Any) -> list[Any]:
    code = [id(value.__code__), value.__defaults__, value.__closure__]
    return [*code, *_flat(value.__kwdefaults__ or {}), *_flat(value.__dict__)]


def _cell(value: Any) -> list[Any]:
    try:
        return [value.cell_contents]
    except ValueError:  # empty
        return []


def _frozen(value: Any) -> list[Any]:
    if len(value) > 1:
        raise Unreadable("a frozenset, whose order is its own")
    return list(value)


_READERS: dict[Any, Callable[[Any], list[Any]]] = {
    list: list,
    tuple: list,
    dict: _flat,
    collections.OrderedDict: _flat,
    collections.Counter: _flat,
    collections.defaultdict: lambda value: [value.default_factory, *_flat(value)],
    collections.deque: lambda value: [value.maxlen, *value],
    bytearray: lambda value: [bytes(value)],
    range: lambda value: [value.start, value.stop, value.step],
    frozenset: _frozen,
    types.FunctionType: _function,
    types.CellType: _cell,
    types.MethodType: lambda value: [value.__func__, value.__self__],
    types.BuiltinFunctionType: lambda value: [value.__name__, value.__self__],
    staticmethod: lambda value: [value.__func__],
    classmethod: lambda value: [value.__func__],
    property: lambda value: [value.fget, value.fset, value.fdel],
}
