"""Values as bounded text, made from their structure: no code of the traced program runs.

The text of None, numbers, texts, lists, tuples, dicts and sets is what `repr` gives for them. What
is left out within a bound is counted, as in `[1, 2, <+98>]`. An instance is its type with what it
stores and its attributes: `Point(x=1, y=2)`, `Stack([1, 2], limit=5)`, `KeyError('a')`. Functions,
classes, modules and objects without attributes are named: `<function main>`. There are no
addresses. `helper.c` writes the same.
"""

from __future__ import annotations

import collections
import os
import types
from contextlib import suppress
from itertools import chain
from typing import Any, Callable, Iterable

MOST_NODES = 2500  # values within a value
LONGEST = 16384  # bytes of a text, after which no further item begins
DEEPEST = 12  # containers within containers
MOST_OBJECTS = 2  # objects within objects whose attributes are written
LONGEST_STRING = 2000  # characters
LONGEST_NAME = 200  # characters
MOST_BITS = 2048  # of a whole number that is written out

_HEAP = 1 << 9  # the flag of a type that was made at run time
_name_of = type.__dict__["__name__"].__get__
_qualified_name_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_mro_of = type.__dict__["__mro__"].__get__
_contents_of = type.__dict__["__dict__"].__get__
_arguments_of = BaseException.__dict__["args"].__get__
_EXCEPTION = BaseException


def _plain(text: str) -> str:
    """A text that may be of a subclass as one of `str`, within the bound of a name."""
    text = str.__str__(text)
    return text[:LONGEST_NAME].encode("utf-8", "backslashreplace").decode()


def _bases_of(kind: type) -> tuple[type, ...]:
    """The types that a type derives from; a type that is not ready has none."""
    return _mro_of(kind) or ()


def name_of(kind: type) -> str:
    """The name of a type."""
    return _plain(_name_of(kind))


def full_name_of(kind: type) -> str:
    """The name of a type with its module, which is left out if it is `builtins`."""
    name = _plain(_qualified_name_of(kind))
    module = _contents_of(kind).get("__module__") if _flags_of(kind) & _HEAP else _module_of(kind)
    if type(module) is not str or module == "builtins":
        return name
    return f"{_plain(module)}.{name}"


def integer(value: int) -> str:
    """A whole number; very large ones by size and remainder, as writing them out takes long."""
    bits = int.bit_length(value)
    if bits <= MOST_BITS:
        return int.__repr__(value)
    return f"<int of {bits} bits, hash {int.__hash__(value)}>"


def string(value: str) -> str:
    """A text, cut off at the bound."""
    length = str.__len__(value)
    if length <= LONGEST_STRING:
        return str.__repr__(value)
    return f"{str.__repr__(str.__getitem__(value, _START))}<+{length - LONGEST_STRING}>"


def octets(value: bytes) -> str:
    """Bytes, cut off at the bound."""
    length = bytes.__len__(value)
    if length <= LONGEST_STRING:
        return bytes.__repr__(value)
    return f"{bytes.__repr__(bytes.__getitem__(value, _START))}<+{length - LONGEST_STRING}>"


def _of_bytearray(value: bytearray) -> str:
    start = bytes.__repr__(bytes(bytearray.__getitem__(value, _START)))
    length = bytearray.__len__(value)
    return start if length <= LONGEST_STRING else f"{start}<+{length - LONGEST_STRING}>"


_START = slice(LONGEST_STRING)


def _of_range(value: range) -> str:
    step = "" if value.step == 1 else f", {integer(value.step)}"
    return f"range({integer(value.start)}, {integer(value.stop)}{step})"


def _builtin(value: types.BuiltinFunctionType) -> str:
    owner = value.__self__
    if owner is None or type(owner) is types.ModuleType:
        return f"<built-in function {_plain(value.__name__)}>"
    return f"<built-in method {_plain(value.__name__)} of {full_name_of(type(owner))} object>"


def _method(value: types.MethodType) -> str:
    function = value.__func__
    if type(function) is not types.FunctionType:
        return "<bound method>"
    return f"<bound method {_plain(function.__qualname__)}>"


def _module(value: types.ModuleType) -> str:
    name = dict.get(_ATTRIBUTES(value), "__name__")
    return f"<module {string(_plain(name)) if type(name) is str else '?'}>"


_ATTRIBUTES = vars(types.ModuleType)["__dict__"].__get__


def _environment(_: Any) -> str:
    return "<environ>"


def _class(value: type) -> str:
    return f"<class '{full_name_of(value)}'>"


# By the address of the type: looking up the type itself would run the `__hash__` of its metaclass.
SCALARS: dict[int, Callable[[Any], str]] = {
    id(type(None)): lambda _: "None",
    id(bool): bool.__repr__,
    id(int): integer,
    id(float): float.__repr__,
    id(str): string,
    id(bytes): octets,
    id(complex): complex.__repr__,
    id(type(Ellipsis)): lambda _: "Ellipsis",
    id(type(NotImplemented)): lambda _: "NotImplemented",
}
"""The types whose exact instances cannot change, and how to write them."""
_NAMED: dict[int, Callable[[Any], str]] = {
    id(range): _of_range,
    id(types.FunctionType): lambda value: f"<function {_plain(value.__qualname__)}>",
    id(types.BuiltinFunctionType): _builtin,
    id(types.MethodType): _method,
    id(types.ModuleType): _module,
    id(types.GeneratorType): lambda value: f"<generator object {_plain(value.__qualname__)}>",
    id(types.CoroutineType): lambda value: f"<coroutine object {_plain(value.__qualname__)}>",
    id(types.AsyncGeneratorType): (
        lambda value: f"<async_generator object {_plain(value.__qualname__)}>"
    ),
    id(types.CodeType): lambda value: f"<code object {_plain(value.co_name)}>",
    id(type): _class,
    id(type(os.environ)): _environment,
}
_STORES = (list, tuple, dict, set, frozenset, str, int, float, bytes, complex, bytearray)
_DEQUE, _DEFAULT, _ORDERED = collections.deque, collections.defaultdict, collections.OrderedDict


class Rendering:
    """The text of one value, while it is written."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = self._nodes = self._objects = 0
        self._path: list[int] = []

    def text(self, value: Any) -> str:
        """The text of a value."""
        self.node(value)
        return "".join(self._parts)

    def write(self, text: str) -> None:
        """Add a piece."""
        self._parts.append(text)
        self._size += len(text) if text.isascii() else len(text.encode())

    def node(self, value: Any) -> None:
        """Write a value."""
        self._nodes += 1
        kind = type(value)
        render = SCALARS.get(id(kind)) or _NAMED.get(id(kind))
        if render is not None:
            self.write(render(value))
        elif id(value) in self._path:
            self.write(_again(kind))
        else:
            self._path.append(id(value))
            self._container(value, kind)
            self._path.pop()

    def _container(self, value: Any, kind: type) -> None:
        if kind is list or kind is tuple or kind is dict or kind is set or kind is frozenset:
            self._store(value, kind)
        elif kind is bytearray:
            self.write(f"bytearray({_of_bytearray(value)})")
        elif kind is slice:
            self._items("slice(", (value.start, value.stop, value.step), 3, ")")
        elif kind is _DEQUE:
            self._items("deque([", value, len(value), "]")
            self.write(")" if value.maxlen is None else f", maxlen={value.maxlen})")
        elif kind is _DEFAULT:
            self.write("defaultdict(")
            self.node(value.default_factory)
            self.write(", ")
            self._store(value, dict)
            self.write(")")
        elif _derives(kind, type):
            self.write(_class(value))
        elif _derives(kind, types.ModuleType):
            self.write(_module(value))
        else:
            self._instance(value, kind)

    def _store(self, value: Any, base: type) -> None:
        """What an instance of a builtin type, or of a subclass, holds."""
        if base is list:
            self._items("[", list.__iter__(value), list.__len__(value), "]")
        elif base is tuple:
            length = tuple.__len__(value)
            self._items("(", tuple.__iter__(value), length, ",)" if length == 1 else ")")
        elif base is dict:
            self._pairs(_dict_items(value), dict.__len__(value))
        elif base is set or base is frozenset:
            length = base.__len__(value)
            begin, end = ("{", "}") if base is set else ("frozenset({", "})")
            if length:
                self._items(begin, base.__iter__(value), length, end)
            else:
                self.write(f"{base.__name__}()")
        elif base is bytearray:
            self.write(_of_bytearray(value))
        else:
            self.write(SCALARS[id(base)](value))

    def _items(self, begin: str, items: Iterable[Any], length: int, end: str) -> None:
        self.write(begin)
        for number, item in enumerate(items):
            if number:
                self.write(", ")
            if self._full(length - number):
                break
            self.node(item)
        self.write(end)

    def _pairs(self, items: Iterable[tuple[Any, Any]], length: int) -> None:
        self.write("{")
        for number, (key, value) in enumerate(items):
            if number:
                self.write(", ")
            if self._full(length - number):
                break
            self.node(key)
            self.write(": ")
            self.node(value)
        self.write("}")

    def _full(self, left: int) -> bool:
        """Whether no further item may begin; those that are left are counted in the text."""
        full = self._nodes >= MOST_NODES or self._size >= LONGEST or len(self._path) > DEEPEST
        if full:
            self.write(f"<+{left}>")
        return full

    def _instance(self, value: Any, kind: type) -> None:
        slots, own, base = _slots_of(value, kind), dict_of(value, kind), _store_of(kind)
        if slots is None and own is None and base is None:
            self.write(f"<{full_name_of(kind)} object>")
            return
        if self._objects == MOST_OBJECTS:
            if base is None:
                self.write(_again(kind))
                return
            slots = own = None
        self._objects += 1
        self.write(f"{name_of(kind)}(")
        written = self._stored(value, kind, base)
        left = len(slots or ()) + (0 if own is None else dict.__len__(own))
        for name, item in chain(slots or (), () if own is None else dict.items(own)):
            if type(name) is str and not (name.startswith("__") and name.endswith("__")):
                if written:
                    self.write(", ")
                written = True
                if self._full(left):
                    break
                self.write(f"{_attribute_name(name)}=")
                self.node(item)
            left -= 1
        self.write(")")
        self._objects -= 1

    def _stored(self, value: Any, kind: type, base: type | None) -> bool:
        """Write what an instance stores besides attributes; False if it is nothing."""
        if base is None:
            return False
        if base is _EXCEPTION:
            return self._arguments(_arguments_of(value))
        names = _fields_of(value, kind) if base is tuple else None
        if names is None:
            self._store(value, base)
            return True
        length = len(names)
        for number, (name, item) in enumerate(zip(names, tuple.__iter__(value))):
            if number:
                self.write(", ")
            if self._full(length - number):
                break
            self.write(f"{_attribute_name(name)}=")
            self.node(item)
        return length > 0

    def _arguments(self, arguments: Any) -> bool:
        if type(arguments) is not tuple or not arguments:
            return False
        self._items("", arguments, len(arguments), "")
        return True


def _again(kind: type) -> str:
    """What stands for a container within itself, and for an object deep in others."""
    if kind is list:
        return "[...]"
    if kind is tuple:
        return "(...)"
    if kind is dict:
        return "{...}"
    return f"{name_of(kind)}(...)"


def _dict_items(value: Any) -> Iterable[tuple[Any, Any]]:
    """The items of a dict, in the order of its own type if that is safe."""
    if (
        type(value) is _ORDERED
        and dict.__len__(value) <= MOST_NODES
        and all(id(type(key)) in SCALARS for key in dict.keys(value))
    ):
        return [(key, dict.__getitem__(value, key)) for key in _ORDERED.__iter__(value)]
    return dict.items(value)


def _derives(kind: type, base: type) -> bool:
    """Whether a type derives from another by its real bases."""
    return any(found is base for found in _bases_of(kind))


def _store_of(kind: type) -> type | None:
    """The builtin type whose storage instances have."""
    bases = _bases_of(kind)
    for store in (*_STORES, _EXCEPTION):
        if any(found is store for found in bases):
            return store
    return None


def _fields_of(value: Any, kind: type) -> tuple[str, ...] | None:
    """The names of the items of a named tuple."""
    for base in _bases_of(kind):
        fields = _contents_of(base).get("_fields")
        if type(fields) is tuple and len(fields) == tuple.__len__(value):
            return fields if all(type(name) is str for name in fields) else None
    return None


def _attribute_name(name: str) -> str:
    return _plain(name) if name.isidentifier() else string(name)


def _slots_of(value: Any, kind: type) -> list[tuple[str, Any]] | None:
    """The attributes of an instance that are in slots; None if its type has no slots."""
    found: list[tuple[str, Any]] | None = None
    for base in _bases_of(kind):
        contents = _contents_of(base)
        if _flags_of(base) & _HEAP and "__slots__" in contents:
            found = found or []
            for name, member in contents.items():
                if type(member) is types.MemberDescriptorType:
                    with suppress(AttributeError):  # not bound yet
                        found.append((name, member.__get__(value)))
    return found


def dict_of(value: Any, kind: type) -> Any:
    """The dict of an instance's attributes, without asking the instance; None without one."""
    for base in _bases_of(kind):
        member = _contents_of(base).get("__dict__")
        found = type(member)
        if found is types.GetSetDescriptorType or found is types.MemberDescriptorType:
            with suppress(Exception):
                own = member.__get__(value)
                return own if _derives(type(own), dict) else None
            return None
    return None


def render(value: Any) -> str:
    """The text of a value."""
    try:
        return Rendering().text(value)
    except Exception:  # such as a container that changes meanwhile
        return "<unreadable>"
