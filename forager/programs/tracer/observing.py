"""Observes with which arguments a project's tests call its functions."""

from __future__ import annotations

import functools
import gc
import inspect
import sys
import types
from typing import Any, Callable

import pytest

from .inputs import Input, is_small
from .places import is_test

_MOST = 40  # inputs of one function
_VARIABLE_POSITIONAL, _VARIABLE_NAMED = 0x4, 0x8
_ASYNCHRONOUS = 0x80 | 0x200


class Observer:
    """A profile function that keeps copies of arguments; it does not follow lines."""

    def __init__(self, wanted: Callable[[str], str]) -> None:
        self._wanted = wanted
        self._known: dict[types.CodeType, dict[str, Input] | None] = {}

    def __call__(self, frame: types.FrameType, event: str, _: Any) -> None:
        """Keep the arguments of a call of the project's code."""
        if event != "call":
            return
        code = frame.f_code
        if code not in self._known:
            path = self._wanted(code.co_filename)
            own = path and not is_test(path) and "<" not in code.co_name
            self._known[code] = {} if own else None
        inputs = self._known[code]
        if inputs is not None and len(inputs) < _MOST:
            self._keep(frame, inputs)

    def _keep(self, frame: types.FrameType, inputs: dict[str, Input]) -> None:
        sys.setprofile(None)
        try:
            given = _given(frame).copied()
            text = given.text()
            if text not in inputs and is_small(given):
                inputs[text] = given
        except Exception:  # nosec B110  # what cannot be copied is not kept
            pass
        finally:
            sys.setprofile(self)

    def inputs(self, code: types.CodeType) -> list[Input]:
        """What a function was called with."""
        return list((self._known.get(code) or {}).values())


def _given(frame: types.FrameType) -> Input:
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames
    count = code.co_argcount
    positional = [values[name] for name in names[:count]]
    named = {name: values[name] for name in names[count : count + code.co_kwonlyargcount]}
    at = count + code.co_kwonlyargcount
    if code.co_flags & _VARIABLE_POSITIONAL:
        positional += values[names[at]]
        at += 1
    if code.co_flags & _VARIABLE_NAMED:
        named.update(values[names[at]])
    return Input(positional, named, "observed")


class ObservingPlugin:
    """Observes the calls of the tests."""

    def __init__(self, tests: list[str], observer: Observer) -> None:
        self._tests, self._observer = set(tests), observer

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests that are known to pass."""
        items[:] = [item for item in items if item.nodeid in self._tests]

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Any:
        """Observe a test."""
        sys.setprofile(self._observer)
        yield
        sys.setprofile(None)


def functions(wanted: Callable[[str], str]) -> list[tuple[str, types.FunctionType]]:
    """The functions and methods of the project that are loaded, by `file:qualified name`."""
    found: dict[str, types.FunctionType] = {}
    for function in gc.get_objects():
        if type(function) is not types.FunctionType:
            continue
        path = wanted(function.__code__.co_filename)
        name = function.__qualname__
        if path and not is_test(path) and "<" not in name and _is_plain(function):
            found.setdefault(f"{path}:{name}", function)
    return sorted(found.items())


def _is_plain(function: types.FunctionType) -> bool:
    """Whether it was not made by a decorator, and can be called without a loop of events."""
    code = function.__code__
    return code.co_name == function.__name__ and not code.co_flags & _ASYNCHRONOUS


def caches(wanted: Callable[[str], str]) -> list[Any]:
    """The caches of the project's functions that `functools` made."""
    kind = type(functools.lru_cache(maxsize=None)(repr))
    found = [cache for cache in gc.get_objects() if type(cache) is kind]
    return [cache for cache in found if wanted(_file(cache.__wrapped__))]


def _file(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return code.co_filename if isinstance(code, types.CodeType) else ""


def access(function: types.FunctionType) -> str:
    """What follows a function's qualified name where that stands for something that holds it.

    Such as `.fget` for a property, whose function a call of `Point.norm` does not reach.
    """
    try:
        place: Any = sys.modules[function.__module__]
        *outer, name = function.__qualname__.split(".")
        for part in outer:
            place = inspect.getattr_static(place, part)
        held = inspect.getattr_static(place, name)
    except (AttributeError, KeyError):
        return ""
    return _path(held, function)


def _path(held: Any, function: types.FunctionType) -> str:
    if isinstance(held, staticmethod):
        held = held.__func__
    if isinstance(held, classmethod):
        return ".__func__" if held.__func__ is function else ""
    for kind, names in (
        (property, ("fget", "fset", "fdel")),
        (functools.cached_property, ("func",)),
    ):
        if isinstance(held, kind):
            return next((f".{name}" for name in names if getattr(held, name) is function), "")
    wrapped = ""
    while held is not function and len(wrapped) < 100:
        held = inspect.getattr_static(held, "__wrapped__", None)
        if held is None:
            return ""
        wrapped += ".__wrapped__"
    return wrapped
