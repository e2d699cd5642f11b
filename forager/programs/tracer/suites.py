"""Runs a project's tests, and records the call of each."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from .codes import describer
from .fallback import RecordingLimits
from .places import project_files
from .recorder import Recorder
from .reporting import TraceReporter, find_helper, packed

_FAILED = ("failed", "error")


class SuiteWatcher:
    """The pytest plugin: reports each test when it is over."""

    def __init__(
        self, request: dict[str, Any], recorder: Recorder | None, reporter: TraceReporter
    ) -> None:
        self._tests = set(request["tests"])
        self._recorder, self._reporter = recorder, reporter
        self._report: dict[str, Any] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests that were asked for."""
        items[:] = [item for item in items if item.nodeid in self._tests]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Begin the report of a test."""
        self._report = {"id": nodeid, "outcome": "passed", "error": ""}

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Record the test itself, without its fixtures."""
        start = time.perf_counter()
        if self._recorder is None:
            yield
        else:
            self._recorder.start()
            yield
            stream, _ = self._recorder.stop()
            self._report["recorder"] = self._recorder.name
            self._report["stream"] = packed(stream)
        self._report["seconds"] = time.perf_counter() - start

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: Any) -> Iterator[None]:
        """Note what a test raised, by its type."""
        if call.excinfo is not None:
            self._report["error"] = str(call.excinfo.typename)[:200]
        yield

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the outcome of each phase."""
        if report.outcome == "failed":
            self._report["outcome"] = "failed" if report.when == "call" else "error"
        elif report.outcome == "skipped" and self._report["outcome"] not in _FAILED:
            self._report["outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"

    def pytest_runtest_logfinish(self) -> None:
        """Report the test."""
        self._reporter.report(self._report)


def trace_suite(request: dict[str, Any], reporter: TraceReporter) -> None:
    """Run the tests of the request once, traced or not."""
    root = str(Path.cwd())
    sys.path[0] = root  # as `python -m pytest` has it
    recorder = None
    if request["traced"]:
        describe = describer(project_files(root))
        recorder = Recorder(describe, RecordingLimits(*request["limits"]), find_helper(request))
    pytest.main(request["arguments"], plugins=[SuiteWatcher(request, recorder, reporter)])
