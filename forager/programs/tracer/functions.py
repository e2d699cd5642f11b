"""Finds inputs for the functions of a project, and records the calls."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any, Iterator

import pytest

from .children import in_child
from .codes import describer
from .fallback import RecordingLimits
from .inputs import MOST_ITEMS, Input, is_small, mutated, pooled, written
from .notation import render
from .observing import Observer, ObservingPlugin, access, caches, functions
from .places import project_files
from .recorder import Recorder
from .reporting import TraceReporter, find_helper, packed

_MUTATED, _POOLED = 120, 80  # tries
_CALL_SECONDS, _FUNCTION_SECONDS = 1.0, 40.0
_MORE = 6  # calls that are recorded for each that is kept


class CallTimeout(BaseException):
    """A call takes too long. Not an Exception, so that the function does not catch it."""


def trace_functions(request: dict[str, Any], reporter: TraceReporter) -> None:
    """Observe the tests, then try each function in a child process and record the best calls."""
    root = str(Path.cwd())
    sys.path[0] = root
    wanted = project_files(root)
    observer = Observer(wanted)
    pytest.main(request["arguments"], plugins=[ObservingPlugin(request["tests"], observer)])
    helper = find_helper(request)
    limits = RecordingLimits(*request["limits"])
    done, texts = set(request["done"]), request["written"]
    left = [(name, function) for name, function in functions(wanted) if name not in done]
    if texts:
        left = [(name, function) for name, function in left if name in texts]
    for name, function in left[: request["most"]]:
        observed = observer.inputs(function.__code__)
        by_model = written(texts.get(name, []))
        trial = _FunctionTrial(name, function, observed, by_model, request["count"])
        trial.recorder = Recorder(describer(wanted), limits, helper)
        trial.caches = caches(wanted)
        found = in_child(trial, reporter, _FUNCTION_SECONDS, request["memory"])
        reporter.report({"function": name, **found})


class _FunctionTrial:
    """All calls of one function, in the order in which every process makes them."""

    recorder: Recorder
    caches: list[Any]

    def __init__(
        self,
        name: str,
        function: types.FunctionType,
        observed: list[Input],
        by_model: list[Input],
        count: int,
    ) -> None:
        self._name, self._function, self._observed = name, function, observed
        self._written = by_model
        self._count = count

    def __call__(self) -> dict[str, Any]:
        """Try inputs, choose some, and record them."""
        _silence()
        tried = self._tried()
        valid = [(given, value) for given, value in tried if value is not None]
        steady = [(given, value) for given, value in valid if self._value(given) == value]
        return {
            "kind": "tried",
            "observed": len(self._observed),
            "tried": len(tried),
            "valid": len(valid),
            "steady": len(steady),
            "outputs": len({value for _, value in steady}),
            "recorder": self.recorder.name,
            "access": access(self._function),
            "calls": list(self._traced(steady)),
        }

    def _tried(self) -> list[tuple[Input, str | None]]:
        """Distinct inputs and what the function returns; None if it raises."""
        source = random.Random(self._name)
        found: dict[str, tuple[Input, str | None]] = {}
        ways = (
            self._observed,
            self._written,
            mutated([*self._observed, *self._written], source, _MUTATED),
            pooled(self._function, source, _POOLED),
        )
        deadline = time.monotonic() + _FUNCTION_SECONDS / 3
        for given in itertools.chain(*ways):
            with contextlib.suppress(Exception):
                text = given.text()
                if text not in found and is_small(given):
                    found[text] = given, self._value(given)
            if time.monotonic() > deadline:
                break
        return list(found.values())

    def _value(self, given: Input) -> str | None:
        """What a call returns, as text; None if it raises or takes too long."""
        try:
            arguments = self._prepared(given)
            with _alarm():
                return render(_result(self._function, arguments)[0])
        except (Exception, SystemExit, CallTimeout):
            return None

    def _traced(self, steady: list[tuple[Input, str]]) -> Iterator[dict[str, Any]]:
        """Record inputs; yield those whose calls are the same as untraced.

        The verb compares them with those of a second process, where objects have other addresses.
        """
        others = {value: given for given, value in reversed(steady)}
        chosen = [(given, value) for value, given in others.items()]
        chosen += [pair for pair in steady if others[pair[1]] is not pair[0]]
        for given, value in chosen[: _MORE * self._count]:
            recorded = self._recorded(given)
            if recorded and recorded[0] == value:
                yield {
                    "arguments": given.text(),
                    "origin": given.origin,
                    "value": value,
                    "items": recorded[2],
                    "stream": packed(recorded[1]),
                }

    def _prepared(self, given: Input) -> Input:
        """A copy of the arguments; what earlier calls left in caches is gone."""
        for cache in self.caches:
            cache.cache_clear()
        return given.copied()

    def _recorded(self, given: Input) -> tuple[str, bytes, int | None] | None:
        arguments = self._prepared(given)
        self.recorder.start()
        try:
            with _alarm():
                result, items = _result(self._function, arguments)
        except (Exception, SystemExit, CallTimeout):
            self.recorder.stop()
            return None
        stream, _ = self.recorder.stop()
        return render(result), stream, items


def _result(function: types.FunctionType, given: Input) -> tuple[Any, int | None]:
    """What a call returns; of a generator the list of its first items, and their number."""
    result = function(*given.positional, **given.named)
    if isinstance(result, types.GeneratorType):
        found = list(itertools.islice(result, MOST_ITEMS))
        return found, len(found)
    return result, None


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Raise CallTimeout after a second."""

    def ring(*_: Any) -> None:
        raise CallTimeout

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _CALL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _silence() -> None:
    """Give the functions no terminal and no files to write into."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(descriptor, number)
    sys.setprofile(None)
