"""The run: chooses, orders, watches and reports tests, as a plug-in of pytest."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from _pytest._io.saferepr import saferepr
from _pytest.reports import CollectReport, TestReport  # pytest 6 does not export them

from .canaries import Canaries
from .doctests import expect_other_output, rewritten

_ERROR, _FRAMES, _TEXT = 2000, 50, 4000  # bounds of the description of a failure
_ID = 4000  # most characters of a test's id that a report holds
_BUSIEST = 20  # times its limit that a test may take where others hold the processors
_FIRST, _ALIKE = 30, 3  # failures that are described; errors alike that are described after these
_KIND = 200  # characters of a message that make an error like another
_PLANNED = 50_000  # tests up to which each one's beginning is reported, too
_TOGETHER, _DELAY = 16384, 0.2  # bytes and seconds before reports are written
# From the best to the worst. Others are plug-ins' and final for no test, such as "rerun".
_OUTCOMES = ("skipped", "passed", "xpassed", "xfailed", "failed", "error", "timeout")
_STATISTICS = "/proc/self/schedstat"


class TestTimeout(BaseException):
    """A test took longer than it may; no `except Exception` of the project swallows it."""


class TestWatcher:
    """The pytest plugin."""

    def __init__(self, request: dict[str, Any], descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsent = bytearray()
        self._due = 0.0
        self._chosen: set[str] | None = set(request["tests"]) if request["tests"] else None
        self._shuffle: int | None = request["shuffle"]
        self._seconds: float = request["test_seconds"]
        self._failures: int = request["failures"]  # how many more are described
        self._plan: bool = request.get("plan", False)  # report what is planned and what begins
        self._changed: bool = request.get("changed", False)
        self._guarded: bool = request.get("guarded", False)
        self._files = {test.partition("::")[0] for test in self._chosen or ()}
        self._left_out: set[str] = set(request.get("left_out", ()))
        self._canaries = Canaries()
        self._errors: Counter[str] = Counter()
        self._outcomes: dict[str, str] = {}
        self._durations: dict[str, float] = {}
        self._clock = time.monotonic  # tests replace it in modules
        self._statistics = os.open(_STATISTICS, os.O_RDONLY) if os.path.exists(_STATISTICS) else -1

    def _send(self, **record: Any) -> None:
        """Report, several lines at a time: each write wakes the reporter."""
        self._unsent += f"{json.dumps(record)}\n".encode()
        whole = "end" in record or "begins" in record or len(self._unsent) > _TOGETHER
        if whole or time.monotonic() > self._due:
            while self._unsent:
                del self._unsent[: os.write(self._descriptor, self._unsent)]
            self._due = time.monotonic() + _DELAY

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: Any) -> None:
        """Let tests have a cache, but remember no outcomes in it."""
        for name in ("lfplugin", "nfplugin", "stepwiseplugin"):
            plugin = config.pluginmanager.get_plugin(name)
            if plugin is not None:
                config.pluginmanager.unregister(plugin)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the chosen tests, order them, add the canaries."""
        if self._chosen is not None:
            items[:] = [item for item in items if item.nodeid in self._chosen]
        if self._shuffle is not None:
            items.sort(key=lambda item: item.nodeid)
            random.Random(self._shuffle).shuffle(items)
        if self._changed:
            expect_other_output(items)
        for test in rewritten(items) if self._guarded else ():
            self._send(rewritten=test)
        self._send(collected=len(items))
        self._plan = self._plan and len(items) < _PLANNED
        if self._plan:
            functions = {item.nodeid.partition("[")[0] for item in items}
            by_file = Counter(name.partition("::")[0] for name in functions)
            for name, tests in Counter(item.nodeid.partition("::")[0] for item in items).items():
                self._send(file=name[:_ID], tests=tests, functions=by_file[name])
        self._send(canaries=self._canaries.spread(items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: Any) -> Any:
        """Load no file of the patch that has no chosen test: it could register hooks.

        Changed tests run without the files of others.
        """
        if not isinstance(collector, pytest.File) or isinstance(collector, pytest.Package):
            return None
        needless = self._changed and collector.nodeid not in self._files
        if needless or collector.nodeid in self._left_out:
            return CollectReport(collector.nodeid, "passed", None, [])
        return None

    def pytest_collectreport(self, report: Any) -> None:
        """Report a file that cannot be collected."""
        if report.failed and report.nodeid:
            self._send(id=report.nodeid[:_ID], outcome="error", seconds=0.0)
            if self._failures > 0:
                self._failures -= 1
                self._send(failure=report.nodeid[:_ID], **described(report))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Bound the test's time, and report the test when it is over.

        Time in which the test was ready to run, and others did, does not count.
        """
        began, queued = self._clock(), self._queued()
        if self._plan:
            self._send(begins=item.nodeid[:_ID])

        def stop(*_: object) -> None:
            passed = self._clock() - began
            left = min(self._seconds + self._queued() - queued, _BUSIEST * self._seconds) - passed
            if left > 0:
                signal.setitimer(signal.ITIMER_REAL, max(left, _DELAY))
                return
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
        if error is None or isinstance(error.value, pytest.skip.Exception) or self._wanted(error):
            return None
        name, at = item.nodeid, item.location
        return TestReport(name, at, {}, "failed", None, call.when, duration=call.duration)

    def _wanted(self, error: Any) -> bool:
        """Whether to describe an error: not if there are many, and several were like it."""
        if self._failures <= 0:
            return False
        kind = f"{error.typename}: {saferepr(error.value, _KIND)}"
        self._errors[kind] += 1
        return sum(self._errors.values()) <= _FIRST or self._errors[kind] <= _ALIKE

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Join the reports of set-up, call and tear-down."""
        name = report.nodeid
        self._durations[name] = self._durations.get(name, 0.0) + report.duration
        known = self._outcomes.get(name)
        if report.when == "call" and self._of_call(report) in _OUTCOMES:
            self._outcomes[name] = worse(known, self._of_call(report))
        elif report.failed and known != "timeout":
            self._outcomes[name] = "error"
        elif report.skipped and known is None:
            self._outcomes[name] = "skipped"
        told = self._failures > 0 and report.longrepr is not None
        if report.failed and told and name not in self._canaries.names:
            self._failures -= 1
            self._send(failure=name[:_ID], **described(report))

    @staticmethod
    def _of_call(report: Any) -> str:
        if hasattr(report, "wasxfail"):
            return "xfailed" if report.skipped else "xpassed"
        return str(report.outcome)

    def _finish(self, item: Any) -> None:
        outcome = self._outcomes.pop(item.nodeid, "missing")
        if item.nodeid in self._canaries.names:
            self._send(canary=outcome)
        else:
            seconds = self._durations.pop(item.nodeid, 0.0)
            self._send(id=item.nodeid[:_ID], outcome=outcome, seconds=round(seconds, 4))

    def _queued(self) -> float:
        """Seconds in which this thread was ready to run and did not, because others did."""
        try:
            return int(os.pread(self._statistics, 100, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # not every kernel counts
            return 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Print nothing for a test that passes: nobody reads the progress."""
        plain = report.when == "call" and report.passed and not hasattr(report, "wasxfail")
        return ("passed", "", "") if plain else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """End here: after this, pytest only collects garbage, several times."""
        self.end()

    def end(self, code: int = 0) -> NoReturn:
        """Report the end, and end without running what the project left behind."""
        self._send(end=code)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def worse(known: str | None, outcome: str) -> str:
    """The worse of two outcomes of a test: its subtests report one each, and the test another."""
    return outcome if known is None else max(known, outcome, key=_OUTCOMES.index)


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


def run_tests(request: dict[str, Any], descriptor: int) -> NoReturn:
    """Run pytest; the process ends here."""
    watch = TestWatcher(request, descriptor)
    try:
        code = int(pytest.main(request["arguments"], plugins=[watch]))
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
        code = -1
    watch.end(code)
