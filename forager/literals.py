"""Lists and objects in the text of others: JSON, Python's `repr`, and numpy's.

>>> read_literal("['a', \\"b\\"]"), read_literal("['a' 'b'\\n 'c']"), read_literal("[NaN, null]")
(['a', 'b'], ['a', 'b', 'c'], [None, None])
"""

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any

from forager.untrusted import Malformed, json_value

_TOKEN = re.compile(
    r"""\s+|(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+_-]*)|(?P<name>[A-Za-z]+)"""
    r"""|(?P<opening>[\[({])|(?P<closing>[\])}])|(?P<mark>[,:])""",
    re.DOTALL,
)
_NAMES = {"true": "True", "false": "False", "True": "True", "False": "False"}
_NOTHING = ("None", "null", "nan", "NaN", "NaT")
_LONGEST = 4 << 20
_ARRAY, _KIND = "array(", ", dtype="


def read_literal(text: str) -> Any:
    """The value of a text that is JSON, or consists of Python's literals alone. Raises Malformed.

    Missing values are None, whatever they are called. Where numpy leaves out a comma, it is put in.
    """
    try:
        return _without_nan(json_value(text, len(text), nan=True))
    except Malformed:
        pass
    if len(text) > _LONGEST:  # Python's parser takes a hundred times as many bytes
        raise Malformed(f"it is not JSON, and longer than {_LONGEST:,} characters")
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes
            return ast.literal_eval("".join(_tokens(_without_array(text.strip()))))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise Malformed("it is neither JSON nor a list of Python's") from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return None if value != value else value


def _without_array(text: str) -> str:
    """The list within `array([…], dtype=…)`."""
    if not (text.startswith(_ARRAY) and text.endswith(")")):
        return text
    body = text[len(_ARRAY) : -1]
    head, found, _ = body.rpartition(_KIND)
    return head if found else body


def _tokens(text: str) -> Iterator[str]:
    """Yield the parts of a text of literals. Raises ValueError for anything else, such as calls.

    So Python's parser gets no operators, of which many nest without brackets.
    """
    place, ended = 0, False  # whether a value has just ended
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(text[place])
        place = found.end()
        token = found[0]
        if found["closing"] or found["mark"]:
            ended = bool(found["closing"])
            yield token
        elif not token.isspace():
            if ended:
                yield ","
            ended = not found["opening"]
            yield _named(token) if found["name"] else token


def _named(name: str) -> str:
    if name in _NOTHING:
        return "None"
    if name in _NAMES:
        return _NAMES[name]
    raise ValueError(name)
