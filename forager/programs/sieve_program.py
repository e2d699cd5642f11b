"""Runs in the sandbox and stays: says which tests each mutant fails.

This file is copied into the container as it is; it needs Python 3.8 and pytest, nothing else.
usage: sieve.py IN OUT, two named pipes. Each time IN is written, one job is read from it as JSON
and answered on OUT by a line a mutant. Nothing here is proof: what the sieve lets through is run
again by the plain test command in a clean container.

A *warm* mutant changes nothing but the code of functions that did not run at import. A process
that has collected the tests is forked; the child gives the functions their new code and runs the
tests that were chosen. Most of what that costs is pages that a new process must copy, so a child
serves several mutants of much the same tests, and at its end runs these without any: where one
fails, or the child does not come to its end, each of the mutants is run again in a child of its
own. All others are *cold*: the files are changed on the disk and a
process that has imported pytest and third-party packages, but nothing of the repository, is
forked and collects the test files anew.

    job       {"arguments": pytest's, "root": directory, "order": tests, "mutants": […],
              "seconds": of the whole job}
    mutant    {"edits": {file: [[first, last, new lines], …]}, "cold": bool, "tests": their places
              in the order as bits of a number in hexadecimal}
    answer    {"failed": […], "timeout": […], "broken": files that cannot be collected,
              "unstable": tests that fail without the mutant, "way": warm|cold,
              "crashed": reason or "", "cpu": seconds}
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import gc
import json
import mmap
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple, NoReturn

import pytest
from _pytest.reports import TestReport  # pytest 6 does not export it

Mutant = dict[str, Any]
Answer = dict[str, Any]
Unit = tuple[int, int, list[str]]  # first and last line of a function, the class headers over it

_SLOWER = 4  # times its normal time that a test may take, and
_CPU_GRACE = 0.1  # seconds of the processor more, which no load of the machine shortens
_DEAF = 0.2  # seconds of the processor after which one that no signal reaches is killed
_GRACE = 2.0  # seconds of the clock more
_BASELINE_SECONDS = 60.0
_COLD_SECONDS = 30.0
_TOGETHER = 8  # warm mutants in one process, if
_QUICK = 0.02  # seconds; what takes longer gains nothing by it
_ASKED = 32  # mutants between two looks at the clock
_WIDER = 1.5  # all their tests together are no more times as many as the most of one of them
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, <linux/prctl.h>


class TestTimeout(BaseException):
    """A test took longer than it may; no `except Exception` of the project swallows it."""


class NotWarm(Exception):
    """The mutant changes what happens at import."""


# Processes


Tell = Callable[[Answer], NoReturn]


def in_child(work: Callable[[Tell], Answer], seconds: float) -> Answer:
    """Do the work in a forked process of its own group, and return what it says.

    The work may tell its answer before its end, and ends with that.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _be_child(work, writing)
    os.close(writing)
    told, deadline = bytearray(), time.monotonic() + seconds
    while not told.endswith(b"\n"):
        ready, *_ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(reading, 1 << 20) if ready else b""
        if not data:
            break
        told += data
    os.close(reading)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    _end_orphans()
    answer: Answer = {"failed": [], "crashed": "the process died", "broken": [], "timeout": []}
    if told.endswith(b"\n"):
        answer = json.loads(bytes(told))
    elif time.monotonic() >= deadline or status == signal.SIGVTALRM:
        answer["crashed"], answer["timeout"] = "", ["all tests together"]
    answer["cpu"] = usage.ru_utime + usage.ru_stime
    return answer


def _be_child(work: Callable[[Tell], Answer], descriptor: int) -> NoReturn:
    def tell(answer: Answer) -> NoReturn:
        line = json.dumps(answer).encode() + b"\n"
        while line:
            line = line[os.write(descriptor, line) :]
        os._exit(0)

    try:
        os.setpgid(0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # rather this one than its parent
        null = os.open(os.devnull, os.O_RDWR)
        for each in (0, 1, 2):
            os.dup2(null, each)
        tell(work(tell))
    finally:
        os._exit(1)


def _end_orphans() -> None:
    """Kill what a child left running: we are the one it falls to."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(50):
        with contextlib.suppress(OSError):
            strangers = [int(pid) for pid in own.read_text().split() if int(pid) not in _KEPT]
            if not strangers:
                return
            for pid in strangers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


_KEPT: set[int] = set()  # children that stay


# Tests


class Watch:
    """The pytest plugin: which tests failed, and an end to those that take too long."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.passed: set[str] = set()
        self.broken: list[str] = []
        self.timeout: list[str] = []
        self.seconds: dict[str, float] = {}
        self.limits: dict[str, float] = {}
        self.wanted: set[str] | None = None
        self.special: set[str] = set()  # tests that pass in pytest's own way only

    def forget(self) -> None:
        """What was seen of the tests up to now."""
        self.failed, self.passed, self.timeout, self.seconds = set(), set(), [], {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests that are wanted."""
        if self.wanted is not None:
            items[:] = [item for item in items if item.nodeid in self.wanted]

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be collected."""
        if report.failed and report.nodeid:
            self.broken.append(report.nodeid)

    @contextlib.contextmanager
    def bounded(self, test: str) -> Iterator[None]:
        """Bound a test's time: that of the processor, and that of the clock more widely."""

        def stop(*_: object) -> None:
            self.timeout.append(test)
            signal.setitimer(signal.ITIMER_REAL, 1.0)  # again, should it have been swallowed
            raise TestTimeout(test)

        before = [signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)]
        limit = self.limits.get(test, _BASELINE_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, limit)
        signal.setitimer(signal.ITIMER_VIRTUAL, limit + _DEAF)  # nobody handles it: the kernel does
        signal.setitimer(signal.ITIMER_REAL, limit + _GRACE)
        started = time.monotonic()
        try:
            yield
        finally:
            for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL, signal.ITIMER_REAL):
                signal.setitimer(timer, 0)
            signal.signal(signal.SIGALRM, before[0])
            signal.signal(signal.SIGPROF, before[1])
            self.seconds[test] = time.monotonic() - started

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """How it ended and no more: nobody reads the traceback, which takes long to make."""
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

    def answer(self, wanted: list[str]) -> Answer:
        """What is told of a run."""
        good = self.passed - self.failed
        failed = [test for test in wanted if test not in good]
        return {"failed": failed, "broken": self.broken, "timeout": self.timeout[:1], "crashed": ""}


def run_items(items: list[Any], watch: Watch) -> None:
    """Run collected tests; the first that hangs ends it: a mutant that hangs is no task."""
    plain = bool(items) and only_known_hooks(items[0].config)
    for item, following in zip(items, [*items[1:], None]):  # noqa: B905 - Python 3.8
        with watch.bounded(item.nodeid):
            if plain and item.nodeid not in watch.special and is_plain(item):
                run_plain(item, following, watch)
            else:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.timeout:
            return


# Tests that nothing but pytest itself has a hand in are run without its hooks: these take ten times
# as long as many a test, and touch many pages that a forked process must then copy.

_HOOKS = ("protocol", "logstart", "setup", "call", "teardown", "makereport", "logreport")
_MARKS = frozenset({"skip", "skipif", "xfail", "filterwarnings"})
_FIXTURES = frozenset({"caplog", "tmp_path", "tmpdir"})  # pytest's hooks serve these


def only_known_hooks(config: Any) -> bool:
    """Whether no plugin, conftest or setting changes how a test is run."""
    hooks = [getattr(config.hook, "pytest_runtest_" + name) for name in _HOOKS]
    known = all(
        each.function.__module__.startswith("_pytest.") or isinstance(each.plugin, Watch)
        for hook in [*hooks, config.hook.pytest_pyfunc_call]
        for each in hook.get_hookimpls()
    )
    warnings = config.getini("filterwarnings") or config.getoption("pythonwarnings", None)
    return known and not warnings and not config.getini("log_level")


def is_plain(item: Any) -> bool:
    """Whether a test is a function that no mark or fixture makes special."""
    return (
        type(item) is pytest.Function
        and not any(name in _FIXTURES or name.startswith("cap") for name in item.fixturenames)
        and _MARKS.isdisjoint(mark.name for mark in item.iter_markers())
    )


def run_plain(item: Any, following: Any, watch: Watch) -> None:
    """Set a test up, call it, tear it down; as `_pytest.runner.runtestprotocol` does."""
    state = item.session._setupstate
    os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"
    if not item._request:
        item._initrequest()
    outcome = _outcome_of(lambda: (state.setup(item), item.runtest()))
    ended = _outcome_of(lambda: state.teardown_exact(following))
    item._request = False
    item.funcargs = None
    if "failed" in (outcome, ended):
        watch.failed.add(item.nodeid)
    elif outcome == "passed":
        watch.passed.add(item.nodeid)


def _outcome_of(work: Callable[[], object]) -> str:
    try:
        work()
    except (pytest.exit.Exception, KeyboardInterrupt):
        raise
    except pytest.skip.Exception:
        return "skipped"
    except pytest.xfail.Exception:
        return "xfailed"
    except BaseException:
        return "failed"
    return "passed"


# Code


class Text:
    """A file of the repository: its lines and its outermost functions."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.data = Path(path).read_bytes()
        text = self.data.decode("utf-8", "surrogateescape")
        *lines, last = text.split("\n")  # as diffs count them, and Python does
        self.lines = [f"{line}\n" for line in lines] + ([last] if last else [])
        tree = ast.parse(self.data, path)
        self.units: list[Unit] = list(_units(tree.body, []))
        module = compile(tree, path, "exec", dont_inherit=True)
        self._flags = module.co_flags & _FUTURE
        self._codes: dict[tuple[int, int], CodeType] = {}
        ending = "\r\n" if b"\r\n" in self.data else "\n"
        self._ending = ending

    def after(self, edits: list[Any]) -> bytes:
        """The file after the edits, which are in order."""
        lines, ending = list(self.lines), self._ending
        for first, last, new in reversed(edits):
            lines[first - 1 : last] = [line + ending for line in new]
        return "".join(lines).encode("utf-8", "surrogateescape")

    def unit_of(self, edits: list[Any]) -> Unit:
        """The one function that holds all edits; raises NotWarm."""
        first = min(edit[0] for edit in edits)
        last = max(max(edit[0], edit[1]) for edit in edits)
        for unit in self.units:
            if unit[0] <= first and last <= unit[1]:
                return unit
        raise NotWarm

    def old_code(self, unit: Unit) -> CodeType:
        """The code of a function as it is."""
        key = unit[0], unit[1]
        if key not in self._codes:
            self._codes[key] = self._compile(unit, self.lines[unit[0] - 1 : unit[1]])
        return self._codes[key]

    def new_code(self, unit: Unit, edits: list[Any]) -> CodeType:
        """The code of a function after the edits."""
        first, last, _ = unit
        lines = list(self.lines[first - 1 : last])
        for start, end, new in reversed(edits):
            lines[start - first : end - first + 1] = [line + self._ending for line in new]
        return self._compile(unit, lines)

    def _compile(self, unit: Unit, lines: list[str]) -> CodeType:
        """Compile a function within the classes around it, its lines numbered as in the file."""
        first, _, headers = unit
        before = "\n" * (first - 1 - len(headers)) + "".join(f"{line}\n" for line in headers)
        text = before + "".join(lines)
        code: CodeType = compile(text, self.path, "exec", self._flags, dont_inherit=True)
        return code


def _units(body: list[Any], headers: list[str]) -> Iterator[Unit]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield first, node.end_lineno or first, headers
        elif isinstance(node, ast.ClassDef):
            yield from _units(node.body, [*headers, f"{' ' * node.col_offset}class {node.name}:"])


def _future_flags() -> int:
    import __future__

    flags = 0
    for name in __future__.all_feature_names:
        flags |= getattr(__future__, name).compiler_flag
    return flags


_FUTURE = _future_flags()


def the_function(old: CodeType, new: CodeType) -> tuple[CodeType, CodeType]:
    """The one function in both codes, whose surroundings must be the same; raises NotWarm."""
    while True:
        ours = [each for each in old.co_consts if isinstance(each, CodeType)]
        theirs = [each for each in new.co_consts if isinstance(each, CodeType)]
        if len(ours) != 1 or len(theirs) != 1 or _without_code(old) != _without_code(new):
            raise NotWarm
        old, new = ours[0], theirs[0]
        if old.co_flags & 2:  # CO_NEWLOCALS: a function, not a class
            if old.co_name != new.co_name or len(old.co_freevars) != len(new.co_freevars):
                raise NotWarm
            return old, new


def _without_code(code: CodeType) -> Any:
    constants = [each for each in code.co_consts if not isinstance(each, CodeType)]
    return code.co_code, code.co_names, [repr(each) for each in constants]


# The warm process


class Prepared(NamedTuple):
    """What a mutant changes, and its tests: those that can be run, and those that cannot."""

    changes: list[tuple[FunctionType, CodeType]]
    tests: list[str]
    unstable: list[str]


class Warm:
    """Collected tests, and the functions that are alive; forks a child for each mutant."""

    def __init__(self, root: str, session: Any, watch: Watch) -> None:
        self._root = root
        self._session = session
        self._watch = watch
        self._items = {item.nodeid: item for item in session.items}
        self._texts: dict[str, Text] = {}
        self._normal: dict[str, float] = {}
        self._unstable: set[str] = set()
        self._once: set[str] = set()  # tests that pass in a process the first time only
        self._alive: dict[tuple[str, str, int], list[FunctionType]] = {}
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                code = each.__code__
                if code.co_filename.startswith(root):
                    self._alive.setdefault(_identity(code), []).append(each)
        gc.collect()
        gc.freeze()

    def judge(self, mutants: list[Mutant]) -> list[Answer]:
        """Run the tests of each mutant; one that is not warm is told to be cold."""
        answers: list[Answer] = []
        group: list[Prepared] = []
        for mutant in mutants:
            try:
                prepared = self._prepared(mutant)
            except NotWarm:
                answers += [*self._all_of(group), {"way": "cold"}]
                group = []
                continue
            if not self._may_share([*group, prepared]):
                answers += self._all_of(group)
                group = []
            group.append(prepared)
        return [*answers, *self._all_of(group)]

    def _may_share(self, group: list[Prepared]) -> bool:
        """Whether mutants may share a process: their tests are much the same, quick, repeatable."""
        union = {test for each in group for test in each.tests}
        most = max(len(each.tests) for each in group)
        quick = sum(self._normal[test] for test in union) <= _QUICK
        alike = quick and len(union) <= _WIDER * most and union.isdisjoint(self._once)
        return len(group) == 1 or (len(group) <= _TOGETHER and alike and bool(union))

    def _prepared(self, mutant: Mutant) -> Prepared:
        changes = [
            change
            for path, edits in mutant["edits"].items()
            for change in self._change(path, edits)
        ]
        tests = [test for test in mutant["tests"] if test in self._items]
        self._know(tests)
        stable = [test for test in tests if test not in self._unstable]
        return Prepared(changes, stable, [test for test in tests if test in self._unstable])

    def _all_of(self, group: list[Prepared]) -> list[Answer]:
        """The answers for a group: from one child as far as that goes, then from one each."""
        answers, hung = self._together(group) if len(group) > 1 else ([], -1)
        rest = group[len(answers) :]
        if answers and rest:
            return [*answers, *self._all_of(rest)]
        return [*answers, *(self._alone(each, place == hung) for place, each in enumerate(rest))]

    def _together(self, group: list[Prepared]) -> tuple[list[Answer], int]:
        """One child for all; it stops at a mutant that hangs. Nothing where it is not believed.

        The number is the place of the mutant that hung so that the child had to be killed.
        """
        at = mmap.mmap(-1, 1)
        everything = list(dict.fromkeys(test for each in group for test in each.tests))

        def work(_: Tell) -> Answer:
            told = []
            for at[0], each in enumerate(group):
                before = [(function, function.__code__) for function, _ in each.changes]
                began = time.process_time()
                told.append(self._changed(each))
                told[-1]["cpu"] = time.process_time() - began
                for function, code in before:
                    function.__code__ = code
                if told[-1]["timeout"]:
                    break
            at[0] = len(group)
            return {"all": told, "clean": not self._run(everything)["failed"], "timeout": []}

        seconds = sum(self._seconds(each.tests) for each in group) + self._seconds(everything)
        told = in_child(work, seconds)
        if not told.get("clean"):
            return [], at[0] if told["timeout"] else -1
        answers = told["all"]
        shared = (told["cpu"] - sum(each["cpu"] for each in answers)) / len(answers)
        return [
            {**each, "cpu": each["cpu"] + shared, "unstable": asked.unstable, "way": "warm"}
            for each, asked in zip(answers, group)  # noqa: B905 - Python 3.8
        ], -1

    def _alone(self, asked: Prepared, hung: bool) -> Answer:
        answer: Answer = {"failed": [], "cpu": 0.0, "timeout": asked.tests[:1] if hung else []}
        if asked.tests and not hung:
            answer = in_child(lambda _: self._changed(asked), self._seconds(asked.tests))
        return {**answer, "unstable": asked.unstable, "way": "warm"}

    def _changed(self, asked: Prepared) -> Answer:
        for function, code in asked.changes:
            function.__code__ = code
        return self._run(asked.tests)

    def _seconds(self, tests: list[str]) -> float:
        return 3 * (_GRACE + sum(self._normal[test] + 0.001 for test in tests))

    def _change(self, path: str, edits: list[Any]) -> list[tuple[FunctionType, CodeType]]:
        if path not in self._texts:
            self._texts[path] = Text(f"{self._root}/{path}")
        text = self._texts[path]
        unit = text.unit_of(edits)
        try:
            old, new = the_function(text.old_code(unit), text.new_code(unit, edits))
        except SyntaxError as error:
            raise NotWarm from error
        alive = self._alive.get(_identity(old), [])
        if not alive:
            raise NotWarm
        return [(function, new) for function in alive]

    def _know(self, tests: list[str]) -> None:
        """Learn how long tests take, and which fail on their own, where it is not known yet."""
        new = [test for test in tests if test not in self._normal and test not in self._unstable]
        if not new:
            return
        answer = in_child(lambda _: self._twice(new), 2 * _BASELINE_SECONDS + len(new))
        failed = answer["failed"] if not answer["crashed"] else new
        self._once.update(answer.get("again", ()))
        if failed:
            self._watch.special.update(failed)
            again = in_child(lambda _: self._run(failed), _BASELINE_SECONDS + len(failed))
            self._unstable.update(again["failed"] if not again["crashed"] else failed)
            answer.setdefault("seconds", {}).update(again.get("seconds", {}))
        for test, seconds in answer.get("seconds", {}).items():
            self._normal[test] = seconds
            self._watch.limits[test] = _SLOWER * seconds + _CPU_GRACE

    def _twice(self, tests: list[str]) -> Answer:
        return {**self._run(tests), "again": self._run(tests)["failed"]}

    def _run(self, tests: list[str]) -> Answer:
        self._watch.forget()
        with own_directory(self._session.config):
            run_items([self._items[test] for test in tests], self._watch)
            answer = self._watch.answer(tests)
        return {**answer, "seconds": self._watch.seconds}


@contextlib.contextmanager
def own_directory(config: Any) -> Iterator[None]:
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


def _identity(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_name, code.co_firstlineno


class Server:
    """The pytest plugin of the warm process: answers instead of running the tests."""

    def __init__(self, root: str, watch: Watch, reading: int, writing: int) -> None:
        self._root = root
        self._watch = watch
        self._reading = os.fdopen(reading)
        self._writing = os.fdopen(writing, "w")

    def pytest_runtestloop(self, session: Any) -> bool:
        """Say what is imported; then answer each line."""
        root = self._root + os.sep
        names = [
            name
            for name, module in list(sys.modules.items())
            if not str(getattr(module, "__file__", None) or root).startswith(root)
        ]
        self._tell({"modules": names})
        warm = Warm(self._root, session, self._watch)
        for line in self._reading:
            self._tell(warm.judge(json.loads(line)))
        os._exit(0)

    def _tell(self, answer: Any) -> None:
        self._writing.write(json.dumps(answer) + "\n")
        self._writing.flush()


# The cold process, which is also the one that is asked


class Sieve:
    """Answers for mutants, warm where it can."""

    def __init__(self, arguments: list[str], root: str) -> None:
        self._arguments = [*arguments, "-s", "--tb=no"]
        self._root = root
        self._warm: tuple[int, Any, Any] | None = None
        self._cold_known: set[str] = set()  # tests that were run cold without a mutant
        self._cold_unstable: set[str] = set()
        self._temporary = f"{tempfile.gettempdir()}/forager-cold-{os.getpid()}"
        self._learned = False
        self._start()

    def _start(self) -> None:
        """Start the warm process, and import what it imported of other people's."""
        to_read, to_answer = os.pipe()
        answers, questions = os.pipe()
        child = os.fork()
        if not child:
            os.close(questions)
            os.close(to_read)
            null = os.open(os.devnull, os.O_RDWR)
            for each in (0, 1, 2):
                os.dup2(null, each)
            watch = Watch()
            server = Server(self._root, watch, answers, to_answer)
            with contextlib.suppress(BaseException):
                pytest.main(self._arguments, plugins=[watch, server])
            os._exit(1)
        os.close(answers)
        os.close(to_answer)
        _KEPT.add(child)
        self._warm = child, os.fdopen(to_read), os.fdopen(questions, "w")
        told = self._warm[1].readline()
        if not told:
            self._lose()
        elif not self._learned:
            self._learned = True
            self._import(json.loads(told)["modules"])

    def _import(self, names: list[str]) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for each in (1, 2):
            os.dup2(null, each)
        for name in names:
            if name not in sys.modules:
                with contextlib.suppress(BaseException):
                    __import__(name)

    def _lose(self) -> None:
        """The warm process has died."""
        if self._warm:
            with contextlib.suppress(OSError):
                os.kill(self._warm[0], signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(self._warm[0], 0)
            _KEPT.discard(self._warm[0])
        self._warm = None

    def judge(self, mutants: list[Mutant]) -> Iterator[Answer]:
        """Say which tests fail, of each in turn."""
        told = iter(self._ask([mutant for mutant in mutants if not mutant["cold"]]))
        for mutant in mutants:
            answer = None if mutant["cold"] else next(told)
            yield answer if answer and answer["way"] == "warm" else self._cold(mutant)

    def _ask(self, mutants: list[Mutant]) -> list[Answer]:
        """What the warm process says; it is started anew where it dies of a mutant."""
        if self._warm is None or not mutants:
            return [{"way": "cold"}] * len(mutants)
        _, answers, questions = self._warm
        line = ""
        with contextlib.suppress(OSError):
            questions.write(json.dumps(mutants) + "\n")
            questions.flush()
            line = answers.readline()
        if line:
            told: list[Answer] = json.loads(line)
            return told
        self._lose()
        self._start()
        if len(mutants) == 1:
            return [{"way": "cold"}]
        return [answer for mutant in mutants for answer in self._ask([mutant])]

    def _cold(self, mutant: Mutant) -> Answer:
        """Change the files on the disk, run in a child, change them back."""
        tests = mutant["tests"]
        new = [test for test in tests if test not in self._cold_known]
        if new:
            self._cold_known.update(new)
            answer = in_child(lambda tell: self._run(new, tell), _COLD_SECONDS + _BASELINE_SECONDS)
            self._cold_unstable.update(new if answer["crashed"] else answer["failed"])
        unstable = [test for test in tests if test in self._cold_unstable]
        stable = [test for test in tests if test not in self._cold_unstable]
        if not stable:
            return {"failed": [], "unstable": unstable, "way": "cold"}
        before = {path: _read(f"{self._root}/{path}") for path in mutant["edits"]}
        try:
            for path, edits in mutant["edits"].items():
                _write(f"{self._root}/{path}", Text(f"{self._root}/{path}").after(edits))
            answer = in_child(lambda tell: self._run(stable, tell), _COLD_SECONDS)
            return {**answer, "unstable": unstable, "way": "cold"}
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)
            for path, (data, times) in before.items():
                Path(self._root, path).write_bytes(data)
                os.utime(f"{self._root}/{path}", ns=times)  # its byte code is good again

    def _run(self, tests: list[str], tell: Tell) -> Answer:
        sys.dont_write_bytecode = True
        watch = Cold(tests, tell)
        watch.wanted = set(tests)
        watch.limits = dict.fromkeys(tests, _COLD_SECONDS / 2)
        options = [each for each in self._arguments if each.startswith("-") or not _is_path(each)]
        files = sorted({test.partition("::")[0] for test in tests})
        pytest.main([*options, f"--basetemp={self._temporary}", *files], plugins=[watch])
        return watch.answer(tests)


class Cold(Watch):
    """The pytest plugin of a cold process: nothing is done once the tests are over."""

    def __init__(self, tests: list[str], tell: Tell) -> None:
        super().__init__()
        self._tests = tests
        self._tell = tell

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run the tests, tell what they did, and end."""
        run_items(session.items, self)
        self._tell(self.answer(self._tests))


def _is_path(argument: str) -> bool:
    return Path(argument.partition("::")[0]).exists()


def _read(path: str) -> tuple[bytes, tuple[int, int]]:
    """A file and its times."""
    found = Path(path).stat()
    return Path(path).read_bytes(), (found.st_atime_ns, found.st_mtime_ns)


def _write(path: str, data: bytes) -> None:
    """Write a file so that byte code of another text is not taken for its own."""
    Path(path).write_bytes(data)
    _write.count += 1  # type: ignore[attr-defined]
    stamp = 1_000_000_000 + _write.count  # type: ignore[attr-defined]
    os.utime(path, (stamp, stamp))


_write.count = 0  # type: ignore[attr-defined]


def chosen(numbers: int, tests: list[str]) -> list[str]:
    """The tests whose bits are set."""
    found = []
    while numbers:
        lowest = numbers & -numbers
        found.append(tests[lowest.bit_length() - 1])
        numbers ^= lowest
    return found


def main() -> None:
    """Answer jobs until nobody asks any more."""
    source, target = sys.argv[1:3]
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    sieve: Sieve | None = None
    while True:
        with Path(source).open() as pipe:
            job = json.loads(pipe.read())
        if sieve is None:
            os.chdir(job["root"])
            sys.path[0] = str(Path.cwd())
            sieve = Sieve(job["arguments"], sys.path[0])
        end = time.monotonic() + job["seconds"]
        with Path(target).open("w") as pipe:
            mutants = job["mutants"]
            for mutant in mutants:
                mutant["tests"] = chosen(int(mutant["tests"], 16), job["order"])
            while mutants and time.monotonic() < end:
                for answer in sieve.judge(mutants[:_ASKED]):
                    print(json.dumps(answer), file=pipe, flush=True)
                mutants = mutants[_ASKED:]
            print("end", file=pipe)


if __name__ == "__main__":
    main()
