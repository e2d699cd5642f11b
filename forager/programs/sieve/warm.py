"""Warm mutants: functions get new code in a fork of a process that has collected the tests."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import pytest

from .baseline import Baseline, verdict
from .functions import NotWarm, SourceFunctions, identity
from .messages import Answer
from .processes import Bounds, ChildEnd, adopt_orphans, in_child, silence
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .messages import ChildReport, Edit, Edits

    Changes = list[tuple[FunctionType, CodeType]]


class WarmQuestion(NamedTuple):
    """What the warm process is asked."""

    edits: Edits
    tests: list[str]


class WarmTests:
    """Collected tests, and the functions that are alive; forks a child for each mutant."""

    def __init__(self, root: str, session: Any, watch: Watch, patience: float) -> None:
        self._root = root
        self._session = session
        self._watch = watch
        self._items = {item.nodeid: item for item in session.items}
        self._files: dict[str, SourceFunctions] = {}
        self._baseline = Baseline(lambda tests, bounds: self._in_child([], tests, bounds), patience)
        watch.limits, watch.special = self._baseline.limits, self._baseline.special
        watch.broken = []  # files that cannot be collected without a mutant either
        self._alive: dict[tuple[str, str, int], list[FunctionType]] = {}
        for found in gc.get_objects():
            # isinstance would ask lazy objects, which run code then
            if type(found) is FunctionType and found.__code__.co_filename.startswith(root):
                self._alive.setdefault(identity(found.__code__), []).append(found)
        gc.collect()
        gc.freeze()

    def judge(self, asked: WarmQuestion) -> Answer | None:
        """Run the tests of a mutant; return None if it is not warm."""
        try:
            changes = [change for file in asked.edits.items() for change in self._changes(*file)]
        except NotWarm:
            return None
        known = [test for test in asked.tests if test in self._items]
        tests, unstable = self._baseline.stable(known)
        unstable += [test for test in asked.tests if test not in self._items]
        if not tests:
            return Answer(unstable=unstable)
        bounds = self._baseline.bounds(tests)
        return verdict(
            lambda bounds: self._in_child(changes, tests, bounds), bounds, unstable, "warm"
        )

    def _changes(self, path: str, edits: list[Edit]) -> Changes:
        if path not in self._files:
            self._files[path] = SourceFunctions(f"{self._root}/{path}")
        old, new = self._files[path].change(edits)
        alive = self._alive.get(identity(old), [])
        if not alive:
            raise NotWarm
        return [(function, new) for function in alive]

    def _in_child(self, changes: Changes, tests: list[str], bounds: Bounds) -> ChildEnd:
        return in_child(lambda _: self._run(changes, tests), bounds)

    def _run(self, changes: Changes, tests: list[str]) -> ChildReport:
        for function, code in changes:
            function.__code__ = code
        with _own_directory(self._session.config):
            self._watch.run([self._items[test] for test in tests])
        return self._watch.report(tests)


@contextlib.contextmanager
def _own_directory(config: Any) -> Iterator[None]:
    """Temporary files of the tests lie in a directory that is removed with them."""
    directory = f"{tempfile.gettempdir()}/forager-sieve-{os.getpid()}"
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:  # makes it when it is first asked for one
        factory._basetemp, factory._given_basetemp = None, Path(directory)
    try:
        yield
    finally:
        if Path(directory).exists():
            shutil.rmtree(directory, ignore_errors=True)


class Answering:
    """The pytest plugin of the warm process: answers instead of running the tests."""

    def __init__(
        self, root: str, watch: Watch, patience: float, reading: int, writing: int
    ) -> None:
        self._root = root
        self._watch = watch
        self._patience = patience
        self._reading = os.fdopen(reading)
        self._writing = os.fdopen(writing, "w")

    def pytest_runtestloop(self, session: Any) -> bool:
        """Say which modules of others are imported; then answer each line.

        The answer to a mutant that is not warm is null.
        """
        root = self._root + os.sep
        self._tell(
            [
                name
                for name, module in list(sys.modules.items())
                if not str(getattr(module, "__file__", None) or root).startswith(root)
            ]
        )
        warm = WarmTests(self._root, session, self._watch, self._patience)
        for line in self._reading:
            answer = warm.judge(WarmQuestion(*json.loads(line)))
            self._tell(asdict(answer) if answer else None)
        os._exit(0)

    def _tell(self, answer: Any) -> None:
        self._writing.write(json.dumps(answer) + "\n")
        self._writing.flush()


class WarmProcess:
    """The process that has collected the tests, as seen by the one that asks it."""

    def __init__(self, arguments: list[str], root: str, patience: float) -> None:
        self._arguments = arguments
        self._patience = patience
        self._root = root
        self.process = 0
        """Its number; 0 once it is gone for good."""
        self.modules: list[str] = []
        """The modules of others that the tests import."""
        self._answers, self._questions = self._start()

    def _start(self) -> tuple[TextIO, TextIO]:
        """Start the process; return the pipes of its answers and of the questions to it."""
        to_read, to_answer = os.pipe()
        answers, questions = os.pipe()
        self.process = os.fork()
        if not self.process:
            os.close(questions)
            os.close(to_read)
            self._be_process(answers, to_answer)
        os.close(answers)
        os.close(to_answer)
        reading, writing = os.fdopen(to_read), os.fdopen(questions, "w")
        line = reading.readline()
        if line:
            self.modules = json.loads(line)
        else:
            self._end()
        return reading, writing

    def _be_process(self, reading: int, writing: int) -> None:
        adopt_orphans()
        silence(0, 1, 2)
        with contextlib.suppress(BaseException):
            watch = Watch({}, set())
            answering = Answering(self._root, watch, self._patience, reading, writing)
            pytest.main(self._arguments, plugins=[watch, answering])
        os._exit(1)

    def judge(self, asked: WarmQuestion) -> Answer | None:
        """The answer to a mutant; None if it has to be cold.

        If the process dies of the mutant, it is started anew.
        """
        if not self.process:
            return None
        line = ""
        with contextlib.suppress(OSError):
            self._questions.write(json.dumps(asked) + "\n")
            self._questions.flush()
            line = self._answers.readline()
        if line:
            fields = json.loads(line)
            return Answer(**fields) if fields else None
        self._end()
        self._answers, self._questions = self._start()
        return None

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.process, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(self.process, 0)
        self.process = 0
