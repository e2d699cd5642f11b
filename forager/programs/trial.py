"""Tries many edits of one file, each in a process of its own.

The tests are collected once, and the process is forked for each edit. The child gives the file's
functions the code that they would have after the edit, and runs the tests. That takes a
hundredth of a second instead of half of one. With "fresh" each child imports everything anew:
slower, but it shows what happens at import time as well. At the end the file is as it was.
The job is JSON on standard input:
    file      the path of the file
    tests     the tests that fail
    wider     pytest arguments: the tests that must not break, those that fail among them
    known     tests among the wider ones that fail whatever is done
    seconds   how long all of this may take
    hangs     whether the tests do not end without an edit
    fresh     whether to import anew; if not:
    first     the first line of the function that the edits are in
    last      and its last one
    header    the lines that make a module of it
    edits     [first line, last line, new lines] each, counted from 1; an insertion before line n
              is [n, n - 1, new lines]
"""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import pytest

_OPTIONS = ["-q", "--tb=no", "-rfE", "-o", "cache_dir=/tmp/pytest-cache"]
_WIDER_SECONDS = 20
_HANGING_SECONDS = 2.0

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[[bytes, bool], int]  # a text of the file, whether all tests; 0 if they pass


def in_child(work: Callable[[], int], seconds: float, output: str) -> str:
    """Do the work in a forked process; return passed, failed or timed out."""
    child = os.fork()
    if not child:
        _be_child(work, output)
    deadline = time.monotonic() + seconds
    ended = 0
    try:
        while not ended and time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0 if ended else 0.001)
        if ended:
            return "failed" if status else "passed"
        return "timed out"
    finally:
        if not ended:
            with contextlib.suppress(OSError):
                os.killpg(child, signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _be_child(work: Callable[[], int], output: str) -> None:
    """Do the work with its output in a file, and never return."""
    code = 1
    try:
        os.setpgid(0, 0)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = work()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _identity(code: CodeType) -> tuple[str, int, tuple[str, ...]]:
    """What tells functions of one file apart; their code depends on the file's imports."""
    return code.co_name, code.co_firstlineno, code.co_varnames


class LiveFunctions:
    """The functions of a passage that are alive; they get the code that an edit would give them."""

    def __init__(self, job: dict[str, Any], path: str, data: bytes) -> None:
        self._path = path
        header: list[str] = job["header"]
        self._before = "\n" * (job["first"] - 1 - len(header)) + "".join(header)
        lines = data.splitlines(keepends=True)
        self._start, self._after = job["first"] - 1, len(lines) - job["last"]
        places = {
            _identity(code): place for place, code in self._codes(self._passage(data)).items()
        }
        self._alive = [
            (found, places[_identity(found.__code__)])
            for found in gc.get_objects()
            if type(found) is FunctionType  # isinstance would ask lazy objects, which run code
            and found.__code__.co_filename == path
            and _identity(found.__code__) in places
        ]

    def _passage(self, data: bytes) -> str:
        """The passage as a module, its lines numbered as in the file."""
        lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
        return str(self._before) + "".join(lines[self._start : len(lines) - self._after])

    def _codes(self, text: str) -> dict[str, CodeType]:
        """The code of each function, by the names around it and its number among the same."""
        found: dict[str, CodeType] = {}
        waiting = [("", compile(text, self._path, "exec", dont_inherit=True))]
        while waiting:
            around, code = waiting.pop()
            for inner in [found for found in code.co_consts if isinstance(found, CodeType)]:
                place = f"{around}.{inner.co_name}"
                while place in found:
                    place += " again"
                found[place] = inner
                waiting.append((place, inner))
        return found

    def change_to(self, data: bytes) -> None:
        """Give the functions the code of this text."""
        text = self._passage(data)
        codes = self._codes(text)
        for function, place in self._alive:
            old, new = function.__code__, codes.get(place)
            if new is None:
                continue
            count = old.co_argcount + old.co_kwonlyargcount
            function.__code__ = new
            if (new.co_argcount + new.co_kwonlyargcount) != count:
                self._change_defaults(function, text)

    def _change_defaults(self, function: FunctionType, text: str) -> None:
        line = function.__code__.co_firstlineno
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if line in (node.lineno, *(part.lineno for part in node.decorator_list)):
                node.decorator_list = []
                names = dict(function.__globals__)
                code = compile(ast.Module([node], []), self._path, "exec", dont_inherit=True)
                exec(code, names)  # nosec B102  # in the sandbox, as the project
                function.__defaults__ = names[node.name].__defaults__
                function.__kwdefaults__ = names[node.name].__kwdefaults__


class Trial:
    """Tries the edits of a job; as a pytest plugin, once the tests are collected."""

    def __init__(self, job: dict[str, Any], directory: str) -> None:
        self._job = job
        self._output = f"{directory}/output"
        self._path = Path(job["file"]).resolve()
        self._data = self._path.read_bytes()
        self._end = time.monotonic() + job["seconds"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Try the edits instead of running the tests."""
        if session.testsfailed:
            return None
        functions = LiveFunctions(self._job, str(self._path), self._data)
        first = [item for item in session.items if self._is_failing(item.nodeid)]

        def run(text: bytes, all_of_them: bool) -> int:
            functions.change_to(text)
            return self._run_items(session.items if all_of_them else first, session)

        self.try_all(run)
        return True

    def _is_failing(self, test: str) -> bool:
        return any(test == name or test.startswith(f"{name}[") for name in self._job["tests"])

    def _run_items(self, items: list[pytest.Item], session: pytest.Session) -> int:
        for item, following in zip(items, [*items[1:], None]):
            before = session.testsfailed
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed > before and item.nodeid not in self._job["known"]:
                return 1
        return 0

    def run_fresh(self, text: bytes, all_of_them: bool) -> int:
        """Write the file and run pytest."""
        self._path.write_bytes(text)
        # Python tells the byte code of two texts apart by their size and second.
        now = int(time.time())
        os.utime(self._path, (now, now - 1000 - os.getpid() % 100_000))
        if not all_of_them:
            return int(pytest.main([*_OPTIONS, "-x", *self._job["tests"]]))
        if not pytest.main([*_OPTIONS, *self._job["wider"]]):
            return 0
        sys.stdout.flush()
        lines = Path(self._output).read_text(errors="replace").splitlines()
        failed = {line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR "))}
        return int(not failed or bool(failed - set(self._job["known"])))

    def restore(self) -> None:
        """Write the file as it was."""
        if self._path.read_bytes() != self._data:
            self._path.write_bytes(self._data)

    def try_all(self, run: Run) -> None:
        """Try the edits in turn, until one passes or the time is over."""
        started = time.monotonic()
        limit = _HANGING_SECONDS
        if not self._job["hangs"]:
            in_child(lambda: run(self._data, False), 5, self._output)
            limit = max(1.0, min(15.0, 5 * (time.monotonic() - started)))
        count = 0
        for count, text in enumerate(self._texts(), 1):
            if time.monotonic() > self._end:
                print(f"{count - 1} are tried, then the time was over")
                return
            said = self._verdict(run, text, limit)
            if said != "failed":
                print(f"{count - 1} {said}")
            if said == "passes":
                return
        print(f"{count} are tried, none passes")

    def _verdict(self, run: Run, text: bytes, limit: float) -> str:
        """What the tests say of a text."""
        said = in_child(lambda: run(text, False), limit, self._output)
        if said != "passed":
            return said
        said = in_child(lambda: run(text, True), _WIDER_SECONDS, self._output)
        return "passes, but breaks other tests" if said == "failed" else "passes"

    def _texts(self) -> Iterator[bytes]:
        """The file after each edit."""
        lines = self._data.splitlines(keepends=True)
        ending = "\r\n" if b"\r\n" in self._data else "\n"
        for first, last, new in self._job["edits"]:
            text = "".join(line + ending for line in new).encode("utf-8", "surrogateescape")
            yield b"".join(lines[: first - 1]) + text + b"".join(lines[last:])


def main() -> None:
    """Collect the tests and try the edits."""
    sys.path[0] = str(Path.cwd())
    job = json.load(sys.stdin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        # Files that do not change are compiled once, and outside the repository.
        sys.dont_write_bytecode = False
        sys.pycache_prefix = directory
        trial = Trial(job, directory)
        try:
            if job["fresh"]:
                trial.try_all(trial.run_fresh)
            else:
                pytest.main([*_OPTIONS, "-s", *job["wider"]], plugins=[trial])
        finally:
            trial.restore()
    print(f"{job['file']} is as it was")


if __name__ == "__main__":
    main()
