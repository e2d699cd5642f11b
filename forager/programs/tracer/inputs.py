"""Inputs for functions: what tests pass, changes of it, and values from pools."""

from __future__ import annotations

import ast
import copy
import inspect
import random
import types
from typing import Any, Callable, Iterator

from .notation import render

POOL: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 10, 100, 0.0, 0.5, -1.5, 2.25, True, False, None),
    *("", "a", "abc", "Hello, World", "12", "3.5", "a b c", "x=1", "foo_bar", "été"),
    *([], [1], [3, 1, 2], [0, 0, 5], ["b", "a"], [[1, 2], [3]], (), (1, 2), ("a", 1)),
    *({}, {"a": 1}, {"a": 1, "b": [2]}, {1: "x"}, {1, 2, 3}, b"", b"abc"),
)
_BY_ANNOTATION: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (float, int), "str": (str,), "bytes": (bytes,), "bool": (bool,),
    "list": (list,), "dict": (dict,), "set": (set,), "tuple": (tuple,), "Sequence": (list, tuple),
    "Iterable": (list, tuple), "Mapping": (dict,), "None": (type(None),), "Any": (object,),
}  # fmt: skip
MOST_ITEMS = 100
"""Items that are taken of a generator."""
_LARGEST = 1000  # characters of an input's text


class Input:
    """The arguments of a call, and where they come from."""

    def __init__(self, positional: list[Any], named: dict[str, Any], origin: str) -> None:
        self.positional, self.named, self.origin = positional, named, origin

    def text(self) -> str:
        """The arguments as in a call."""
        parts = [render(value) for value in self.positional]
        parts += [f"{name}={render(value)}" for name, value in self.named.items()]
        return ", ".join(parts)

    def copied(self) -> Input:
        """Arguments that the call may change. Raises whatever copying them raises."""
        return Input(
            [_copied(value) for value in self.positional],
            {name: _copied(value) for name, value in self.named.items()},
            self.origin,
        )

    def with_value(self, place: Any, value: Any, origin: str) -> Input:
        """The same call with another argument."""
        other = Input(list(self.positional), dict(self.named), origin)
        if isinstance(place, int):
            other.positional[place] = value
        else:
            other.named[place] = value
        return other

    def places(self) -> list[tuple[Any, Any]]:
        """Each argument by its place."""
        return [*enumerate(self.positional), *self.named.items()]


def _copied(value: Any) -> Any:
    if callable(value) or isinstance(value, (types.ModuleType, types.GeneratorType)):
        return value
    return copy.deepcopy(value)


def written(texts: list[str]) -> list[Input]:
    """Inputs that a model wrote, as calls with literals; what is anything else is left out."""
    return [given for given in map(_literals, texts) if given is not None]


def _literals(text: str) -> Input | None:
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        positional = [ast.literal_eval(value) for value in call.args]
        named = {str(part.arg): ast.literal_eval(part.value) for part in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return Input(positional, named, "written")


def is_small(given: Input) -> bool:
    """Whether an input is short enough to be read."""
    return len(given.text()) <= _LARGEST


def mutated(observed: list[Input], source: random.Random, tries: int) -> Iterator[Input]:
    """Inputs made from observed ones: an argument changed, or taken from another call."""
    for _ in range(tries if observed else 0):
        base = source.choice(observed)
        places = base.places()
        if not places:
            return
        place, value = source.choice(places)
        other = dict(source.choice(observed).places())
        if place in other and source.random() < 0.3:
            yield base.with_value(place, other[place], "mixed")
        else:
            yield base.with_value(place, changed(value, source), "mutated")


def changed(value: Any, source: random.Random) -> Any:
    """A value near another one; what is not plain stays."""
    if isinstance(value, bool) or value is None:
        return source.choice([True, False, None, 0, 1])
    if type(value) in (int, float):
        return source.choice(
            [value + 1, value - 1, -value, 0, value * 2, value // 2, 10 * value + 7]
        )
    if type(value) in (str, bytes):
        return _changed_text(value, source)
    if type(value) in (list, tuple):
        return type(value)(_changed_items(list(value), source))
    if type(value) is dict:
        return _changed_dict(dict(value), source)
    if type(value) is set:
        return set(list(value)[1:]) | {source.choice([0, 1, "a"])}
    return value


def _changed_text(text: Any, source: random.Random) -> Any:
    at = source.randrange(len(text) + 1)
    added = source.choice(["a", " ", "1", "-", "Z", "\n"])
    piece = added if isinstance(text, str) else added.encode()
    return source.choice(
        [text[:at] + piece + text[at:], text[:at] + text[at + 1 :], text[::-1], text + text,
         text[:at], text.upper(), text.swapcase(), text[:0]]
    )  # fmt: skip


def _changed_items(items: list[Any], source: random.Random) -> list[Any]:
    if not items:
        return [source.choice([0, 1, "a"])]
    at = source.randrange(len(items))
    choice = source.randrange(5)
    if choice == 0:
        return items[::-1]
    if choice == 1:
        return items[:at] + items[at + 1 :]
    if choice == 2:
        return [*items, items[at]]
    if choice == 3:
        return items[:at]
    return [*items[:at], changed(items[at], source), *items[at + 1 :]]


def _changed_dict(items: dict[Any, Any], source: random.Random) -> dict[Any, Any]:
    if not items:
        return {"a": 1}
    key = source.choice(list(items))
    if source.random() < 0.3:
        del items[key]
    else:
        items[key] = changed(items[key], source)
    return items


def pooled(function: Callable[..., Any], source: random.Random, tries: int) -> Iterator[Input]:
    """Inputs from a pool, by the annotations of the parameters if they are plain."""
    try:
        parameters = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return
    needed = [
        parameter for parameter in parameters if parameter.default is parameter.empty
    ] or parameters[:1]
    pools = [_pool(parameter.annotation) for parameter in needed]
    for _ in range(tries if pools else 0):
        yield Input([source.choice(pool) for pool in pools], {}, "pool")


def _pool(annotation: Any) -> list[Any]:
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    kinds = [kind for word, found in _BY_ANNOTATION.items() if word in str(name) for kind in found]
    if not kinds or object in kinds:
        return list(POOL)
    return [value for value in POOL if type(value) in kinds] or list(POOL)
