"""A function in a child process, bounded in time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import time
import traceback
from typing import Any, Callable

from .reporting import TraceReporter

_MOST_BYTES = 64 << 20  # of what a child returns
_GRACE = 5.0  # seconds that a child has for its answer
STOPPED: dict[str, Any] = {"kind": "stopped"}
"""What stands for the answer of a child that took too long or too much."""
ENDED: dict[str, Any] = {"kind": "ended"}
"""What stands for the answer of a child that ended by itself without one."""
_BY_LIMITS = (signal.SIGKILL, signal.SIGXCPU)


def in_child(
    run: Callable[[], dict[str, Any]], reporter: TraceReporter, seconds: float, memory: int
) -> dict[str, Any]:
    """What a function returns in a child process, as JSON has it; else STOPPED or ENDED.

    A process that the function forks ends with 0 when it returns from it.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            reporter.close()
            os.setpgid(0, 0)
            _limit(memory, seconds)
            own, answer = os.getpid(), run()
            if os.getpid() == own:
                _send(writing, answer)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    found = _received(reading, seconds + _GRACE)
    os.close(reading)
    for process in (-child, child):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if found is not None:
        return found
    return STOPPED if os.WIFSIGNALED(status) and os.WTERMSIG(status) in _BY_LIMITS else ENDED


def _limit(memory: int, seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 3))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(descriptor: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(descriptor, data) :]


def _received(descriptor: int, seconds: float) -> dict[str, Any] | None:
    deadline, blocks, size = time.monotonic() + seconds, [], 0
    while size < _MOST_BYTES:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        block = os.read(descriptor, 1 << 20) if ready else b""
        if not block:
            break
        blocks.append(block)
        size += len(block)
    try:
        found = json.loads(b"".join(blocks))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
