"""The server: imports pytest, and forks a child for each run of tests."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

SERVE = "serve"  # the argument of a process that serves
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


def _run(run_tests: Any, request: dict[str, Any], report: int) -> NoReturn:
    sys.path[0] = os.getcwd()  # as `python -m pytest` has it; pytest is imported already
    run_tests(request, report)
    os._exit(0)
