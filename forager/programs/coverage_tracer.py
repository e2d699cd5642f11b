"""Reports which lines and functions each test runs.

Standard input is one JSON object; descriptor 3 takes lines of the request's nonce and a JSON
object. Each but the last holds a part of the result as compressed JSON; the last one holds the
tests that are opaque. Sets of tests are numbers in hexadecimal: bit i stands for the i-th test.

A line that runs in a fixture of a wider scope counts for every test that uses the fixture. What
runs before the first test, at import and collection, is kept apart. A test that starts processes
is *opaque*: the tracer does not see what it runs.
"""

from __future__ import annotations

import base64
import functools
import gc
import json
import os
import sys
import threading
import zlib
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn")

_PART = 65536  # characters of a part, but for its last item

_CACHE = functools.lru_cache(lambda: None)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Trace = Callable[[FrameType, str, Any], Any]
    Entry = tuple[str, Any]  # the name of a list in a part, and an item of this list


class Context:
    """What ran during one test, one wide fixture, or before all tests."""

    def __init__(self) -> None:
        self.lines: dict[CodeType, set[int]] = {}
        self.depths: dict[CodeType, tuple[int, int]] = {}  # calls and files from the test
        self.traces: dict[CodeType, Trace] = {}
        self.opaque = False


class Tracer:
    """A trace function (`sys.settrace`) that notes the lines of the repository's files."""

    def __init__(self, root: str) -> None:
        self._root = root + os.sep
        self._ours: dict[CodeType, int] = {}  # lines of each code of the repository, 0: not ours
        self.context = Context()

    def start(self) -> None:
        """Trace this thread and those to come, and watch for processes."""
        sys.addaudithook(self._audit)
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    def resume(self) -> None:
        """Trace this thread again, if something has taken the trace function away."""
        if not self.is_on():
            sys.settrace(self.trace)

    def is_on(self) -> bool:
        """Whether this thread is traced."""
        return sys.gettrace() == self.trace

    def _audit(self, event: str, _: Any) -> None:
        if event in _PROCESSES:
            self.context.opaque = True

    def is_ours(self, code: CodeType) -> int:
        """The number of lines of a code of the repository; 0 for others."""
        count = self._ours.get(code)
        if count is None:
            path = code.co_filename
            ours = path.startswith(self._root) and "site-packages" not in path
            count = self._ours[code] = len(set(lines_of(code))) if ours else 0
        return count

    def trace(self, frame: FrameType, event: str, _: Any) -> Trace | None:
        """Follow a call into a function of the repository whose lines were not all seen yet."""
        code, context = frame.f_code, self.context
        count = self.is_ours(code)
        if event != "call":
            return None
        if not count:
            return unfollowed(code)
        lines = context.lines.get(code)
        if lines is None:
            lines = context.lines[code] = set()
            context.depths[code] = self._depth(frame)
            context.traces[code] = follow(lines)
        elif len(lines) >= count:
            return unfollowed(code)
        return context.traces[code]

    def _depth(self, frame: FrameType) -> tuple[int, int]:
        """Calls between functions of the repository on the way here, and how many files."""
        calls, files = -1, set()
        at: FrameType | None = frame
        while at is not None:
            if self.is_ours(at.f_code):
                calls += 1
                files.add(at.f_code.co_filename)
            at = at.f_back
        return calls, len(files) - 1


def unfollowed(code: CodeType) -> Trace | None:
    """Return the trace function of a call whose lines are not recorded: None for Python code.

    Cython code compiled with line tracing calls it even if it is None, and the TypeError ends all
    tracing. An empty `co_consts` tells such code from Python's.
    """
    return None if code.co_consts else ignore


def ignore(*_: Any) -> None:
    """Note nothing."""


def follow(lines: set[int]) -> Trace:
    """A trace function for one code in one context."""
    add = lines.add

    def line(frame: FrameType, event: str, _: Any) -> Trace:
        if event == "line":
            add(frame.f_lineno)
        return line

    return line


def lines_of(code: CodeType) -> Iterator[int]:
    """The lines that have code, in any version of Python."""
    if hasattr(code, "co_lines"):
        return (line for *_, line in code.co_lines() if line)
    import dis

    return (line for _, line in dis.findlinestarts(code))


class Watcher:
    """The pytest plugin: one context a test, one a wide fixture."""

    def __init__(self, tests: list[str], tracer: Tracer) -> None:
        self._numbers = {test: number for number, test in enumerate(tests)}
        self._tracer = tracer
        self.before = tracer.context
        self.tests: dict[int, list[Context]] = {}
        self._fixtures: dict[int, Context] = {}
        self._caches: list[Any] | None = None

    def _is_our_cache(self, found: Any) -> bool:
        """Whether it is a `functools.lru_cache` around a function of the repository."""
        if type(found) is not type(_CACHE):  # to ask a lazy object would run code
            return False
        code = getattr(found.__wrapped__, "__code__", None)
        return isinstance(code, CodeType) and self._tracer.is_ours(code) > 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the tests that are known to pass."""
        items[:] = [item for item in items if item.nodeid in self._numbers]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Count what runs for this test, and clear what its predecessors left in caches."""
        if self._caches is None:
            self._caches = [found for found in gc.get_objects() if self._is_our_cache(found)]
        for cache in self._caches:
            cache.cache_clear()
        context = self._tracer.context = Context()
        self._tracer.resume()
        yield
        context.opaque = context.opaque or not self._tracer.is_on()
        used = getattr(item, "_fixtureinfo", None)
        definitions = (
            [fixture for group in used.name2fixturedefs.values() for fixture in group]
            if used
            else []
        )
        wide = [self._fixtures.setdefault(id(fixture), Context()) for fixture in definitions]
        self.tests[self._numbers[item.nodeid]] = [context, *wide]
        self._tracer.context = Context()  # between tests

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Count what a wide fixture runs for all tests that use it."""
        before = self._tracer.context
        if fixturedef.scope != "function":
            self._tracer.context = self._fixtures.setdefault(id(fixturedef), Context())
        yield
        self._tracer.context = before


def results(watcher: Watcher, root: str) -> Iterator[dict[str, Any]]:
    """What ran, by file: the reports."""
    lines: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    calls: dict[str, dict[int, dict[str, int]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(int))
    )
    opaque = 0
    for number, contexts in watcher.tests.items():
        bit = 1 << number
        depths: dict[CodeType, tuple[int, int]] = {}
        for context in reversed(contexts):
            opaque |= bit * context.opaque
            depths.update(context.depths)
            for code, seen in context.lines.items():
                of_file = lines[code.co_filename]
                for line in seen:
                    of_file[line] |= bit
        for code, (deep, files) in depths.items():
            calls[code.co_filename][code.co_firstlineno][f"{deep},{files}"] |= bit
    before: dict[str, set[int]] = defaultdict(set)
    for code in watcher.before.lines:
        if code.co_name != "<module>":
            before[code.co_filename].add(code.co_firstlineno)
    for path in sorted({*lines, *before}):
        for part in parts(entries(before[path], lines[path], calls[path])):
            yield {"part": packed({"file": os.path.relpath(path, root), **part})}
    yield {"opaque": hex(opaque)}


def entries(
    before: set[int], lines: dict[int, int], calls: dict[int, dict[str, int]]
) -> Iterator[Entry]:
    """What ran in one file."""
    yield from (("before", first) for first in sorted(before))
    yield from (("lines", [line, hex(tests)]) for line, tests in lines.items())
    for first, group in calls.items():
        yield from (("calls", [first, near, hex(tests)]) for near, tests in group.items())


def parts(found: Iterable[Entry]) -> Iterator[dict[str, list[Any]]]:
    """Divide entries into parts of about the same size."""
    part: dict[str, list[Any]] = {}
    size = 0
    for name, item in found:
        part.setdefault(name, []).append(item)
        size += len(str(item))
        if size > _PART:
            yield part
            part, size = {}, 0
    if part:
        yield part


def packed(part: dict[str, Any]) -> str:
    """A part as compressed JSON: sets of tests are mostly zeros."""
    return base64.b64encode(zlib.compress(json.dumps(part).encode(), 1)).decode()


def main() -> None:
    """Read the request, run the tests under the tracer, report."""
    request = json.loads(sys.stdin.readline())
    descriptor = os.dup(3)
    os.set_inheritable(descriptor, False)
    os.close(3)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    root = str(Path.cwd().resolve())
    sys.path[0] = str(Path.cwd())
    tracer = Tracer(root)
    watcher = Watcher(request["tests"], tracer)
    tracer.start()
    ended = pytest.main(request["arguments"], plugins=[watcher])
    sys.settrace(None)
    if ended == pytest.ExitCode.INTERNAL_ERROR:
        sys.exit("pytest has failed under the tracer")
    for report in results(watcher, root):
        line = f"{request['nonce']} {json.dumps(report)}\n".encode()
        while line:
            line = line[os.write(descriptor, line) :]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
