"""The recorder's notation of values; `forager/programs/tracer/notation.py` writes it.

| text | value |
|---|---|
| `None`, `12`, `-0.0`, `'a'`, `b'a'`, `[1, 2]`, `{'a': 1}`, … | as in Python |
| `Point(x=1, y=2)`, `Stack([1, 2], limit=3)`, `KeyError('a')` | an instance: its type, what it \
stores, its attributes |
| `<function f>`, `<class 'int'>`, `<list_iterator object>` | an object by its name |
| `<int of 16610 bits, hash 7>` | a whole number of more than 2,048 bits |
| `[...]`, `Stack(...)` | the container that is being written, or an object deep in others |
| `<+9>` | nine more items or characters are left out |
"""

import ast
import re

_NAMES = {
    "None": "NoneType",
    "True": "bool",
    "False": "bool",
    "Ellipsis": "ellipsis",
    "NotImplemented": "NotImplementedType",
    "nan": "float",
    "inf": "float",
    "-inf": "float",
}
_OPENINGS = {"'": "str", '"': "str", "[": "list"}
_COMPLEX = re.compile(r"\(?[-+0-9.a-z]+j\)?")
_INSTANCE = re.compile(r"([^\W\d]\w*)\(")
_OBJECT = re.compile(r"<([\w. -]+?)( object\b|'| |>)")
_BYTES = ("b'", 'b"')


def kind_of(text: str) -> str:
    """The type of a value, such as `int`; of an instance the name of its class."""
    if text in _NAMES:
        return _NAMES[text]
    if text[:1] in _OPENINGS:
        return _OPENINGS[text[0]]
    if text.startswith(_BYTES):
        return "bytes"
    if _COMPLEX.fullmatch(text):
        return "complex"
    if text[:1] == "(":
        return "tuple"
    if text[:1] == "{":
        return _braces(text)
    if text[:1] == "<":
        return _object_kind(text)
    if instance := _INSTANCE.match(text):
        return instance[1]
    return "float" if set(".en") & set(text) else "int"


def _braces(text: str) -> str:
    """Whether a text in braces is a dict, whose first item has a colon outside of its key."""
    if text in ("{}", "{...}"):
        return "dict"
    depth, at = 0, 1
    while at < len(text):
        character = text[at]
        if character in "'\"":
            at = _end_of_string(text, at)
        elif character in "[({<":
            depth += 1
        elif character in "])}>":
            depth -= 1
        elif depth == 0 and character in ":,":
            return "dict" if character == ":" else "set"
        at += 1
    return "set"


def _end_of_string(text: str, at: int) -> int:
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    return at


def _object_kind(text: str) -> str:
    if text.startswith("<int of "):
        return "int"
    for kind in ("function", "class", "module", "generator", "coroutine"):
        if text.startswith(f"<{kind}"):
            return "type" if kind == "class" else kind
    found = _OBJECT.match(text)
    return found[1] if found else "object"


def literal(text: str) -> object:
    """The value of a text that Python's literals can express. Raises ValueError for others."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a literal: {text[:80]}") from error
