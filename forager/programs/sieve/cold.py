"""Cold mutants: files change on the disk, and a child that imported none of them runs the tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .baseline import Baseline, verdict
from .functions import edited
from .messages import Answer
from .processes import Bounds, ChildEnd, in_child
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .messages import ChildReport, Edits
    from .processes import Tell

_stamps = itertools.count(1_000_000_001)
"""Times of changed files: no two alike, so that no byte code is taken for that of another text."""


class ColdTests:
    """Runs tests on changed files, each time in a child that collects them anew."""

    def __init__(self, options: list[str], root: str, patience: float) -> None:
        self._options = options
        self._root = root
        self._spared = 0
        self._temporary = f"{tempfile.gettempdir()}/forager-cold-{os.getpid()}"
        self._baseline = Baseline(self._in_child, patience)

    def judge(self, edits: Edits, tests: list[str], spared: int) -> Answer:
        """Run the tests of a mutant; the process `spared` stays alive."""
        self._spared = spared
        good, unstable = self._baseline.stable(tests)
        if not good:
            return Answer(unstable=unstable, way="cold")
        bounds = self._baseline.bounds(good)
        with self._changed(edits):
            return verdict(lambda bounds: self._in_child(good, bounds), bounds, unstable, "cold")

    @contextlib.contextmanager
    def _changed(self, edits: Edits) -> Iterator[None]:
        """The files after the edits, for as long as it is open."""
        before = []
        try:
            for name, changes in edits.items():
                path = Path(self._root, name)
                state, data = path.stat(), path.read_bytes()
                before.append((path, data, (state.st_atime_ns, state.st_mtime_ns)))
                path.write_bytes(edited(data, changes))
                os.utime(path, (next(_stamps),) * 2)
            yield
        finally:
            for path, data, times in before:
                path.write_bytes(data)
                os.utime(path, ns=times)  # its byte code is good again

    def _in_child(self, tests: list[str], bounds: Bounds) -> ChildEnd:
        try:
            return in_child(lambda tell: self._run(tests, tell), bounds, self._spared)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _run(self, tests: list[str], tell: Tell) -> ChildReport:
        sys.dont_write_bytecode = True
        watch = ColdWatch(self._baseline, tests, tell)
        files = sorted({test.partition("::")[0] for test in tests})
        temporary = f"--basetemp={self._temporary}"
        pytest.main([*self._options, temporary, *files], plugins=[watch])
        return watch.report(tests)


class ColdWatch(Watch):
    """The pytest plugin of a cold child: it ends as soon as the tests are over."""

    def __init__(self, baseline: Baseline, tests: list[str], tell: Tell) -> None:
        super().__init__(baseline.limits, baseline.special)
        self._tests = tests
        self._tell = tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests that were asked for."""
        wanted = set(self._tests)
        items[:] = [item for item in items if item.nodeid in wanted]

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run the tests, report what they did, and end."""
        self.run(session.items)
        self._tell(self.report(self._tests))
