"""Runs pytest and reports each test over a private descriptor.

Standard input is one JSON object; descriptor 3 takes lines of the request's nonce and a JSON
object. Pytest and what it needs are imported before the repository is on the path, so that nothing
in the repository can stand in for them.

A *canary* is a test that must fail, put among the others under a random name. If the canary is not
reported as failed, somebody patched the machinery, and the reports cannot be trusted.
An *always-equal* class is defined in a file that the patch changed, and its `__eq__` returns True
for an object that it cannot know. Any comparison of a test would pass with it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from _pytest.reports import TestReport  # pytest 6 does not export it

_ERROR, _FRAMES, _TEXT = 2000, 50, 4000  # bounds of the description of a failure
_TOGETHER, _DELAY = 16384, 0.2  # bytes and seconds before reports are written


class TestTimeout(BaseException):
    """A test took longer than it may; no `except Exception` of the project swallows it."""


class Reporter:
    """The pytest plugin: chooses, orders, watches and reports the tests."""

    def __init__(self, request: dict[str, Any], descriptor: int) -> None:
        self._nonce = request["nonce"]
        self._descriptor = descriptor
        self._unsent = bytearray()
        self._due = 0.0
        self._chosen: set[str] | None = set(request["tests"]) if request["tests"] else None
        self._shuffle: int | None = request["shuffle"]
        self._seconds: float = request["test_seconds"]
        self._changed: set[str] = {os.path.realpath(path) for path in request["changed"]}
        self._equal_to_all: set[str] = set()
        if self._changed:
            # Few collections, because each of them looks at all classes.
            gc.set_threshold(100_000, 1_000, 1_000)
            gc.callbacks.append(self._look)
        self._canary = "test_" + os.urandom(8).hex()
        self._outcomes: dict[str, str] = {}
        self._durations: dict[str, float] = {}
        self._failures: int = request["failures"]  # how many more are described

    def _send(self, **record: Any) -> None:
        """Report, several lines at a time: each write wakes every process that passes it on."""
        line = f"{self._nonce} {json.dumps(record)}\n"
        self._unsent += line.encode("utf-8", "backslashreplace")
        if "end" in record or len(self._unsent) > _TOGETHER or time.monotonic() > self._due:
            while self._unsent:
                del self._unsent[: os.write(self._descriptor, self._unsent)]
            self._due = time.monotonic() + _DELAY

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the chosen tests, order them, add the canary."""
        if self._chosen is not None:
            items[:] = [item for item in items if item.nodeid in self._chosen]
        if self._shuffle is not None:
            items.sort(key=lambda item: item.nodeid)
            random.Random(self._shuffle).shuffle(items)
        self._send(collected=len(items))
        if items:
            items.append(self._make_canary(items[-1]))

    def _make_canary(self, neighbour: Any) -> Any:
        def canary() -> None:
            raise AssertionError("this test must fail")

        module = neighbour.getparent(pytest.Module) or neighbour.parent
        return pytest.Function.from_parent(module, name=self._canary, callobj=canary)

    def pytest_collectreport(self, report: Any) -> None:
        """Report a file that cannot be collected."""
        if report.failed and report.nodeid:
            self._send(id=report.nodeid, outcome="error", seconds=0.0)
            if self._failures > 0:
                self._failures -= 1
                self._send(failure=report.nodeid, **described(report))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Bound the test's time, and report the test when it is over."""

        def stop(*_: object) -> None:
            self._outcomes[item.nodeid] = "timeout"
            signal.setitimer(signal.ITIMER_REAL, 1.0)  # again, if the test swallows this one
            raise TestTimeout(f"the test took more than {self._seconds:g} s")

        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self._finish(item)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """Leave out a traceback that nobody asked for: making it takes longer than most tests."""
        error = call.excinfo
        if error is None or self._failures > 0 or isinstance(error.value, pytest.skip.Exception):
            return None
        name, at = item.nodeid, item.location
        return TestReport(name, at, {}, "failed", None, call.when, duration=call.duration)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Join the reports of set-up, call and tear-down."""
        name = report.nodeid
        self._durations[name] = self._durations.get(name, 0.0) + report.duration
        known = self._outcomes.get(name)
        if report.when == "call":
            self._outcomes[name] = worse(known, self._of_call(report))
        elif report.failed and known != "timeout":
            self._outcomes[name] = "error"
        elif report.skipped and known is None:
            self._outcomes[name] = "skipped"
        if report.failed and self._failures > 0 and self._canary not in name:
            self._failures -= 1
            self._send(failure=name, **described(report))

    @staticmethod
    def _of_call(report: Any) -> str:
        if hasattr(report, "wasxfail"):
            return "xfailed" if report.skipped else "xpassed"
        return str(report.outcome)

    def _finish(self, item: Any) -> None:
        outcome = self._outcomes.pop(item.nodeid, "missing")
        if item.name == self._canary:
            self._send(canary=outcome)
        else:
            seconds = self._durations.pop(item.nodeid, 0.0)
            self._send(id=item.nodeid, outcome=outcome, seconds=round(seconds, 4))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Look at the classes of changed files."""
        if self._changed:
            self._look("start", {})
            self._send(always_equal=sorted(self._equal_to_all))

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """End here: after this, pytest only collects garbage, several times."""
        self._end()

    def _end(self, code: int = 0) -> NoReturn:
        self._send(end=code)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _look(self, phase: str, _: dict[str, int]) -> None:
        """Look at all classes before the garbage collector removes one (`gc.callbacks`)."""
        if phase == "start":
            self._equal_to_all.update(self._always_equal())

    def _always_equal(self) -> Iterator[str]:
        kinds: list[Any] = [found for found in gc.get_objects() if isinstance(found, type)]
        for kind in kinds:
            equal = kind.__dict__.get("__eq__")
            code = getattr(equal, "__code__", None)
            if code is None or os.path.realpath(code.co_filename) not in self._changed:
                continue
            try:
                if equal(_instance(kind), object()) is True:
                    yield f"{kind.__module__}.{kind.__qualname__}"
            except Exception:  # an honest __eq__ may fail on an empty object
                continue


def _instance(kind: Any) -> Any:
    """An empty object of a class, whatever the class asks for."""
    if issubclass(kind, type):
        return type.__new__(kind, "Empty", (), {})
    try:
        return kind.__new__(kind)
    except Exception:
        return object.__new__(kind)


def worse(known: str | None, outcome: str) -> str:
    """The worse of two outcomes of a test: its subtests report one each, and the test another."""
    kinds = ("skipped", "passed", "xpassed", "xfailed", "failed", "error", "timeout")
    return outcome if known is None else max(known, outcome, key=kinds.index)


def described(report: Any) -> dict[str, Any]:
    """How a test failed: the error, the frames from the test inwards, the end of the traceback."""
    crash = getattr(report.longrepr, "reprcrash", None)
    entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", [])
    places = [getattr(entry, "reprfileloc", None) for entry in entries]
    frames = [
        [str(at.path), at.lineno, str(at.message).replace("in ", "", 1)]
        for at in places
        if at and not str(at.path).startswith("<")  # not the import system
    ]
    error = str(getattr(crash, "message", ""))[:_ERROR]
    return {"error": error, "frames": frames[:_FRAMES], "text": str(report.longrepr)[-_TEXT:]}


def main() -> None:
    """Read the request, run pytest, end without running what the project left behind."""
    request = json.loads(sys.stdin.readline())
    descriptor = os.dup(3)
    os.set_inheritable(descriptor, False)
    os.close(3)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    sys.path[0] = str(Path.cwd())  # as `python -m pytest` has it; pytest itself is imported already
    reporter = Reporter(request, descriptor)
    try:
        code = int(pytest.main(request["arguments"], plugins=[reporter]))
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
        code = -1
    reporter._end(code)


if __name__ == "__main__":
    main()
