"""Runs collected tests under a plugin which notes those that fail and ends those that loop."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.reports import TestReport  # pytest 6 does not export it

from .messages import ChildReport
from .plain import is_plain, only_known_hooks, run_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEAF = 0.2  # seconds of processor time after which the kernel ends a test that hears no signal


class CpuTimeout(BaseException):
    """A test took too much processor time; no `except Exception` of the project swallows it."""


class Watch:
    """The pytest plugin: notes which tests failed and what they took, and bounds their time."""

    def __init__(self, limits: dict[str, float], special: set[str]) -> None:
        self.limits = limits
        """Seconds of processor time that each test may take."""
        self.special = special
        """Tests that pass in pytest's own way only."""
        self.failed: set[str] = set()
        self.passed: set[str] = set()
        self.broken: list[str] = []
        self.timeout = False
        self.spent: dict[str, list[float]] = {}
        self._schedstat = 0

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be collected."""
        if report.failed and report.nodeid:
            self.broken.append(report.nodeid)

    @contextlib.contextmanager
    def bounded(self, test: str) -> Iterator[None]:
        """Bound the processor time of a test, and note what it took."""

        def stop(*_: object) -> None:
            self.timeout = True
            raise CpuTimeout(test)

        before = signal.signal(signal.SIGPROF, stop)
        signal.setitimer(signal.ITIMER_PROF, self.limits[test])
        signal.setitimer(signal.ITIMER_VIRTUAL, self.limits[test] + _DEAF)  # nobody handles it
        began, clock, queued = time.process_time(), time.monotonic(), self._queued()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGPROF, before)
            cpu = time.process_time() - began
            busy = cpu + self._queued() - queued
            self.spent[test] = [cpu, max(0.0, time.monotonic() - clock - busy)]

    def _queued(self) -> float:
        """Seconds in which this process was ready and did not run, because others did."""
        return int(os.pread(self._schedstat, 99, 0).split()[1]) / 1e9 if self._schedstat else 0.0

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """Say how it ended and no more: nobody reads the traceback, which takes long to make."""
        error = call.excinfo
        skipped = error is not None and isinstance(error.value, pytest.skip.Exception)
        outcome: Any = "passed" if error is None else "skipped" if skipped else "failed"
        return TestReport(item.nodeid, item.location, {}, outcome, None, call.when)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test that is skipped has not passed; one of its subtests may be."""
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.passed.add(report.nodeid)

    def run(self, items: list[Any]) -> None:
        """Run collected tests; the first that loops ends it: such a mutant is no task."""
        with contextlib.suppress(OSError):  # not every kernel counts
            self._schedstat = os.open("/proc/self/schedstat", os.O_RDONLY)
        plain = bool(items) and only_known_hooks(items[0].config, Watch)
        for item, following in zip(items, [*items[1:], None]):
            with self.bounded(item.nodeid):
                if plain and item.nodeid not in self.special and is_plain(item):
                    failed, passed = run_plain(item, following)
                    self.failed.update([item.nodeid] if failed else [])
                    self.passed.update([item.nodeid] if passed else [])
                else:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.timeout:
                return

    def report(self, wanted: list[str]) -> ChildReport:
        """What became of the wanted tests; one that did not run has failed."""
        good = self.passed - self.failed
        failed = [test for test in wanted if test not in good]
        return ChildReport(failed, self.timeout, self.broken, self.spent)
