"""The server: imports pytest, and forks a child for each run of tests."""

from __future__ import annotations

import gc
import json
import os
import sys

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

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
    questions, answers, *reports = descriptors
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if len(reports) > 1:
        undumpable()
    from .plugin import run_tests

    _load_plugins()
    del sys.argv[1:]
    with os.fdopen(questions) as lines:
        for line in lines:
            report = reports.pop(0)
            process = os.fork()
            if not process:
                for descriptor in (questions, answers, *reports):
                    os.close(descriptor)
                _run(run_tests, json.loads(line), report)
            os.close(report)
            _, status = os.waitpid(process, 0)
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


def _run(run_tests: Any, request: dict[str, Any], report: int) -> NoReturn:
    gc.set_threshold(*_GARBAGE)
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it; pytest is imported already
    run_tests(request, report)
    os._exit(0)
