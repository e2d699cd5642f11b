"""Prints which lines failing tests run that passing tests do not.

The job is JSON in the only argument:
    tests     pytest arguments: the tests to run
    failing   tests to run first
    file      count the lines of this file alone; null for all files of the repository but tests
    first     with `file`: the first line of the function to count
    last      and its last one
    seconds   how long all of this may take

A line's suspicion is Ochiai's: the failing tests that run it, over the root of all failing tests
times all tests that run it (Abreu et al., 2007).
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

_TEST_SECONDS = 4.0
_FUNCTIONS = 8  # the most suspicious functions are shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    Place = tuple[str, int]  # a file, relative to the current directory, and a line


class SpectrumPlugin:
    """A pytest plugin that notes the lines each test runs."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._here = f"{Path.cwd()}/"
        self._deadline = time.monotonic() + job["seconds"]
        self._wanted: dict[CodeType, str] = {}
        self._seen: set[Place] = set()
        self._owners: dict[Place, Place] = {}
        self.failed: set[str] = set()
        self.ran: set[str] = set()
        self.by_failing: Counter[Place] = Counter()
        self.by_passing: Counter[Place] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The failing tests first: there may be no time for all."""
        items.sort(key=lambda item: item.nodeid not in self._job["failing"])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Trace one test, and stop it when it hangs."""
        self._seen = set()
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, _TEST_SECONDS, 1.0)
        sys.settrace(self._enter)
        yield
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.ran.add(item.nodeid)
        (self.by_failing if item.nodeid in self.failed else self.by_passing).update(self._seen)
        if time.monotonic() > self._deadline:
            item.session.shouldstop = "the time is over"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        if report.failed:
            self.failed.add(report.nodeid)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        code = frame.f_code
        if code not in self._wanted:
            self._wanted[code] = self._name(code)
        return self._line if self._wanted[code] else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        del argument
        if event == "line":
            name = self._wanted[frame.f_code]
            place = (name, frame.f_lineno)
            self._seen.add(place)
            self._owners[place] = (name, frame.f_code.co_firstlineno)
        return self._line

    def _name(self, code: CodeType) -> str:
        """The file's path from here, empty for code that is not counted."""
        if not code.co_filename.startswith(self._here) or code.co_name == "<module>":
            return ""
        name = code.co_filename[len(self._here) :]
        if self._job["file"]:
            inside = self._job["first"] <= code.co_firstlineno <= self._job["last"]
            return name if inside and name == self._job["file"] else ""
        parts = Path(name).parts
        own = not any("test" in part or part in ("site-packages", ".venv") for part in parts)
        return name if own else ""

    def suspicion(self, place: Place) -> float:
        """Ochiai's coefficient."""
        failing, passing = self.by_failing[place], self.by_passing[place]
        bottom = math.sqrt(len(self.failed & self.ran) * (failing + passing))
        return failing / bottom if bottom else 0.0

    def show(self) -> None:
        """Print the most suspicious functions, line by line."""
        failed = self.failed & self.ran
        print(f"{len(failed)} tests fail, {len(self.ran - failed)} pass")
        for test in sorted(failed)[:100]:
            print(f"FAILED {test}")
        functions: dict[Place, list[Place]] = {}
        for place in sorted(self._owners):
            functions.setdefault(self._owners[place], []).append(place)
        ranked = sorted(functions.values(), key=lambda lines: -max(map(self.suspicion, lines)))
        for lines in ranked[:_FUNCTIONS] if not self._job["file"] else ranked:
            print("suspicion failing passing line")
            for place in lines:
                failing, passing = self.by_failing[place], self.by_passing[place]
                where = f"{place[0]}:{place[1]}"
                print(f"{self.suspicion(place):9.2f} {failing:7} {passing:7} {where}")


def _give_up(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TimeoutError("the test takes too long")


def main() -> None:
    """Run the tests and print their spectrum."""
    sys.dont_write_bytecode = True
    sys.path[0] = str(Path.cwd())
    job = json.loads(sys.argv[1])
    spectrum = SpectrumPlugin(job)
    shown = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads what pytest itself prints
    pytest.main(
        ["-q", "--tb=no", "-o", "cache_dir=/tmp/pytest-cache", *job["tests"]], plugins=[spectrum]
    )
    sys.stdout.flush()
    os.dup2(shown, 1)
    spectrum.show()


if __name__ == "__main__":
    main()
