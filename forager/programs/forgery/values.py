"""The values that expressions can stand for, and the folding of constants."""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
import zlib
from typing import TYPE_CHECKING, Any, Callable, FrozenSet, NamedTuple

if TYPE_CHECKING:
    from .scopes import Scope

    Values = FrozenSet[Any]  # of what an expression can stand for

LONGEST = 1 << 16  # characters of a folded text, and items of a folded sequence
_LARGEST = 1 << 64


class Constant(NamedTuple):
    """A text, bytes, number or None; `built` if it took computing, so that no reader sees it."""

    value: Any
    built: bool = False


class Thing(NamedTuple):
    """Something of another module, by its dotted path: `sys._getframe`, `inspect.stack()`.

    `()` stands for the result of a call, `[?]` for an unknown item, `.?` for an unknown attribute.
    A path that begins with `?` has an unknown origin, `__self__` is the file's own package.
    """

    path: str


class Sequence(NamedTuple):
    """A tuple, list or set; each item has its possible values."""

    items: tuple[frozenset[Any], ...]


class Table(NamedTuple):
    """A dict with constant keys."""

    items: tuple[tuple[Any, frozenset[Any]], ...]


class Own(NamedTuple):
    """A function, lambda or class of the file."""

    node: Any
    scope: Scope


class Partial(NamedTuple):
    """A callable with its first arguments."""

    function: Any
    arguments: tuple[frozenset[Any], ...]


class Getter(NamedTuple):
    """`operator.attrgetter`, `itemgetter` or `methodcaller` with its argument."""

    kind: str
    argument: Any


class Method(NamedTuple):
    """A method of a constant or a sequence."""

    of: Any
    name: str


NOTHING: Values = frozenset()


def constant(value: Any, built: bool = True) -> Values:
    """The value as folded, unless it is too large."""
    if isinstance(value, (str, bytes)) and len(value) > LONGEST:
        return NOTHING
    if isinstance(value, int) and abs(value) > _LARGEST:
        return NOTHING
    if isinstance(value, (list, tuple)):
        if len(value) > LONGEST:
            return NOTHING
        return frozenset([Sequence(tuple(constant(item, built) for item in value))])
    if value is None or isinstance(value, (str, bytes, int, float)):
        return frozenset([Constant(value, built)])
    return NOTHING


def plain(value: Any) -> Any:
    """A constant or a sequence of constants as Python has it. Raises ValueError."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Sequence):
        return [plain(only(item)) for item in value.items]
    raise ValueError(value)


def only(values: Values) -> Any:
    """The single value. Raises ValueError if there are several or none."""
    (value,) = values
    return value


def operate(operator: ast.operator, left: Any, right: Any) -> Values:
    """The result of an operation on two constants."""
    try:
        if isinstance(operator, ast.Add):
            return constant(left + right)
        if isinstance(operator, ast.Mod) and isinstance(left, (str, bytes)):
            return constant(left % _tuple(right)) if _narrow(str(left)) else NOTHING
        if isinstance(operator, ast.Mult):
            size = len(left) if isinstance(left, (str, bytes, list)) else 1
            times = right if isinstance(right, int) else LONGEST + 1
            return constant(left * right) if size * times <= LONGEST else NOTHING
        if isinstance(left, int) and isinstance(right, int):
            function = _ARITHMETIC.get(type(operator))
            return constant(function(left, right)) if function else NOTHING
    except Exception:  # of any type: the operation fails in the program as well
        return NOTHING
    return NOTHING


_ARITHMETIC: dict[Any, Callable[[int, int], int]] = {
    ast.Sub: lambda left, right: left - right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
    ast.BitXor: lambda left, right: left ^ right,
    ast.BitAnd: lambda left, right: left & right,
    ast.BitOr: lambda left, right: left | right,
}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _narrow(form: str) -> bool:
    """Whether a format has no widths, which could make a text of any size."""
    return not any(character.isdigit() for character in form.replace("{0", "").replace("{1", ""))


_METHODS = frozenset(
    [
        "join",
        "lower",
        "upper",
        "title",
        "capitalize",
        "swapcase",
        "casefold",
        "strip",
        "lstrip",
        "rstrip",
        "split",
        "rsplit",
        "partition",
        "rpartition",
        "decode",
        "encode",
        "hex",
        "removeprefix",
        "removesuffix",
        "translate",
        "splitlines",
    ]
)


def method(of: Any, name: str, arguments: list[Any]) -> Values:
    """The result of a method of a text or of bytes."""
    try:
        if name == "replace" and isinstance(of, (str, bytes)):
            grown = len(of) + of.count(arguments[0]) * len(arguments[1])
            return constant(of.replace(*arguments)) if grown <= LONGEST else NOTHING
        if name == "format" and isinstance(of, str):
            return constant(of.format(*arguments)) if _harmless(of) else NOTHING
        if name == "__getitem__":
            return constant(of[arguments[0]])
        if name == "__add__":
            return constant(of + arguments[0])
        if name in ("fromhex", "decode", "encode", "join") or name in _METHODS:
            return constant(getattr(of, name)(*arguments))
    except Exception:  # of any type: the call fails in the program as well
        return NOTHING
    return NOTHING


def _harmless(form: str) -> bool:
    """Whether a format only inserts its arguments, without widths and attributes."""
    inside = [part.partition("}")[0] for part in form.split("{")[1:]]
    return all(not part or (part.isdecimal() and len(part) < 3) for part in inside)


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, LONGEST)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "builtins.chr": chr,
    "builtins.ord": ord,
    "builtins.str": lambda value="", *_: value.decode() if isinstance(value, bytes) else str(value),
    "builtins.bytes": lambda value=b"", *_: (
        value.encode() if isinstance(value, str) else bytes(_short(value))
    ),
    "builtins.bytearray": lambda value=b"": bytes(_short(value)),
    "builtins.int": int,
    "builtins.repr": repr,
    "builtins.len": len,
    "builtins.reversed": lambda value: list(value)[::-1],
    "builtins.sorted": sorted,
    "builtins.list": list,
    "builtins.tuple": list,
    "builtins.iter": list,
    "builtins.range": lambda *bounds: list(range(*bounds)) if max(bounds) < LONGEST else None,
    "builtins.bytes.fromhex": bytes.fromhex,
    "builtins.bytearray.fromhex": bytes.fromhex,
    "builtins.str.join": lambda text, parts: text.join(parts),
    "base64.b64decode": base64.b64decode,
    "base64.standard_b64decode": base64.b64decode,
    "base64.urlsafe_b64decode": base64.urlsafe_b64decode,
    "base64.decodebytes": base64.decodebytes,
    "base64.b32decode": base64.b32decode,
    "base64.b16decode": base64.b16decode,
    "base64.b85decode": base64.b85decode,
    "base64.a85decode": base64.a85decode,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "codecs.decode": lambda value, name="utf-8": codecs.decode(value, _codec(name)),
    "codecs.encode": lambda value, name="utf-8": codecs.encode(value, _codec(name)),
    "zlib.decompress": lambda data: _inflated(data),
    "os.path.join": lambda *parts: "/".join(parts),
    "posixpath.join": lambda *parts: "/".join(parts),
    "operator.add": lambda left, right: left + right,
    "operator.concat": lambda left, right: left + right,
}
"""Functions of the standard library that compute constants of constants."""


def _short(value: Any) -> Any:
    if isinstance(value, int) and value > LONGEST:
        raise ValueError(value)
    return value


def _codec(name: str) -> str:
    """A codec that cannot make a text of any size."""
    if name.lower().replace("_", "-") in ("zlib", "zip", "bz2", "zlib-codec", "bz2-codec"):
        raise ValueError(name)
    return name


def folded(function: str, arguments: list[Any]) -> Values:
    """The result of a function for constants."""
    try:
        return constant(FUNCTIONS[function](*arguments))
    except Exception:  # of any type: the call fails in the program as well
        return NOTHING
