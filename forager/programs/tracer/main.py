"""Starts in the role that the request names."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable

from .reporting import TraceReporter


def main() -> None:
    """Read the request, record, report."""
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    reporter = TraceReporter(request["nonce"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    role(request["role"])(request, reporter)
    reporter.report({"end": True})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def role(name: str) -> Callable[[dict[str, Any], TraceReporter], None]:
    """What a request asks for; programs need no pytest."""
    if name == "programs":
        from .programs import trace_programs

        return trace_programs
    if name == "suite":
        from .suites import trace_suite

        return trace_suite
    from .functions import trace_functions

    return trace_functions
