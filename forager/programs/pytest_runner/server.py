"""The server: imports pytest, and forks a child for each run of tests."""

from __future__ import annotations

import gc
import os
import sys

from .lines import read

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .compiling import Answers, ByteCode

SERVE = "serve"  # the argument of a process that serves
_OFTEN = ("unittest", "tomllib", "readline")  # that pytest, canaries and most projects import
_GARBAGE = (100_000, 50, 100)  # few collections: by default they take a twentieth of the time
_PR_SET_DUMPABLE = 4  # prctl(2)


def undumpable() -> None:
    """Keep other processes of this user from tracing this one and its children.

    They can neither read its memory nor open its descriptors in /proc.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def serve(descriptors: list[int]) -> NoReturn:
    """Answer requests for runs, a line each, with how each ended.

    The descriptors: where requests come from, where answers go, and one for each run's reports.
    """
    gc.set_threshold(*_GARBAGE)
    questions, answers, *reports = descriptors
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    guarded = len(reports) > 1
    if guarded:
        undumpable()
    from .plugin import run_tests

    _load_plugins()
    from .compiling import Answers, ByteCode

    del sys.argv[1:]
    code = ByteCode()
    with os.fdopen(questions) as lines:
        for line in lines:
            report = reports.pop(0)
            shared = Answers(code) if reports else None  # another run may follow
            process = os.fork()
            if not process:
                for descriptor in (questions, answers, *reports):
                    os.close(descriptor)
                request = read(line)
                if guarded:
                    _share(code, shared, request)
                _run(run_tests, request, report)
            os.close(report)
            status = shared.until_end(process) if shared else os.waitpid(process, 0)[1]
            os.write(answers, f"{status}\n".encode())
    os._exit(0)


def _load_plugins() -> None:
    """Import pytest's own plug-ins, which each run would have to import."""
    from contextlib import suppress
    from importlib import import_module

    from _pytest.config import default_plugins

    for name in (*(f"_pytest.{plugin}" for plugin in default_plugins), *_OFTEN):
        with suppress(ImportError):  # not every Python has all of them
            import_module(name)


def _share(code: ByteCode, answers: Answers | None, request: dict[str, Any]) -> None:
    """In a run, import with the byte code; the files of tests are others in each run."""
    from .compiling import share

    here = os.getcwd()
    alone = {f"{here}/{test.partition('::')[0]}" for test in request["tests"] or ()}
    share(code, answers.to_run() if answers else None, alone)


def _run(run_tests: Any, request: dict[str, Any], report: int) -> NoReturn:
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it; pytest is imported already
    run_tests(request, report)
    os._exit(0)
