"""Runs programs on inputs, untraced and traced, each in a process of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from .children import in_child
from .codes import describer
from .fallback import RecordingLimits
from .notation import render
from .recorder import Recorder
from .reporting import TraceReporter, find_helper, packed

_MOST_OUTPUT = 1 << 20  # bytes
_RUNS = (False, True, True)  # untraced, and twice traced: both must do the same


def trace_programs(request: dict[str, Any], reporter: TraceReporter) -> None:
    """Run each job of the request three times."""
    helper, limits = find_helper(request), RecordingLimits(*request["limits"])
    for job in request["jobs"]:
        for number, traced in enumerate(_RUNS):
            run = _Run(job, helper, limits, traced)
            found = in_child(run, reporter, limits.seconds, request["memory"])
            reporter.report({"id": job["id"], "run": number, **found})


class _Run:
    """One run of a program, which takes over the process."""

    def __init__(
        self, job: dict[str, Any], helper: ModuleType | None, limits: RecordingLimits, traced: bool
    ) -> None:
        self._job, self._traced = job, traced
        path = job["path"]
        describe = describer(lambda file: path if file == path else "")
        self._recorder = Recorder(describe, limits, helper)

    def __call__(self) -> dict[str, Any]:
        """Run the program; what it printed is cut off at the bound."""
        directory = tempfile.mkdtemp()
        try:
            output = _redirected(directory, self._job["stdin"])
            start = time.monotonic()
            kind, value, stream = self._execute()
            seconds = time.monotonic() - start
            with Path(output).open("rb") as file:
                printed = file.read(_MOST_OUTPUT + 1)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return {
            "kind": kind,
            "value": value,
            "output": packed(printed[:_MOST_OUTPUT]),
            "cut": len(printed) > _MOST_OUTPUT,
            "stream": packed(stream),
            "seconds": seconds,
            "recorder": self._recorder.name,
        }

    def _execute(self) -> tuple[str, str, bytes]:
        try:
            code = compile(self._job["source"], self._job["path"], "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return "invalid", render(error), b""
        module = ModuleType("__main__")
        module.__file__ = self._job["path"]
        sys.modules["__main__"], sys.argv = module, [self._job["path"]]
        own = os.getpid()
        if self._traced:
            self._recorder.start()
        kind, value, status = _executed(code, module)
        stream = self._recorder.stop()[0] if self._traced else b""
        _finish(module)
        if os.getpid() != own:  # a process that the program forked ends as it would have
            os._exit(status)
        return kind, value, stream


def _executed(code: CodeType, module: ModuleType) -> tuple[str, str, int]:
    """How the program ends, with the exit status of the process."""
    try:
        exec(code, module.__dict__)  # nosec B102  # in the sandbox
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        return "exited", render(error.code), status & 0xFF
    except BaseException as error:
        with suppress(Exception):
            traceback.print_exc()
        return "raised", render(error), 1
    return "exited", "0", 0


def _finish(module: ModuleType) -> None:
    """Do what Python does at its end: other threads, `atexit`, the module's objects, the output.

    Nothing of it is in the trace, but what it prints is output.
    """
    for finish in (
        threading._shutdown,  # type: ignore[attr-defined]
        atexit._run_exitfuncs,
        lambda: _clear(module.__dict__),
        sys.stdout.flush,  # the program may have closed it
    ):
        with suppress(BaseException):
            finish()


def _clear(names: dict[str, Any]) -> None:
    """Let go of a module's objects, in Python's order."""
    for private in (True, False):
        for name in list(names):
            if name.startswith("_") == private and name != "__builtins__":
                names[name] = None


def _redirected(directory: str, given: str) -> str:
    """Give the process a directory, an input, and files for its output; return the output's."""
    places = [str(Path(directory) / name) for name in ("input", "output", "errors")]
    Path(places[0]).write_bytes(given.encode("utf-8", "replace"))
    for number, place in enumerate(places):
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    own = Path(directory) / "own"
    own.mkdir()
    os.chdir(own)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    return places[1]
