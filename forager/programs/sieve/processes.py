"""Children: each is forked for one run of tests, bounded, and killed with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from .messages import ChildReport

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[ChildReport], NoReturn]
    Work = Callable[[Tell], ChildReport]

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, <linux/prctl.h>
_LOOK = 0.05  # seconds between two looks at a child that is late
_USED_UP = (signal.SIGVTALRM, signal.SIGXCPU)  # by these the kernel ends who used up its time


class Bounds(NamedTuple):
    """What a child may take.

    A busy machine makes neither of them shorter: time in which a child is ready to run, and does
    not run because others do, is not waiting.
    """

    cpu: float
    """Seconds of processor time."""
    waiting: float
    """Seconds in which it neither runs nor is ready to run."""

    def times(self, factor: float) -> Bounds:
        """The same processor time, and more patience."""
        return self._replace(waiting=factor * self.waiting)


class ChildEnd(NamedTuple):
    """How a child ended."""

    report: ChildReport | None
    """None if it was cut short."""
    cut: str
    """What cut it short: cpu, waiting, or died for any other end; else empty."""
    cpu: float
    """Seconds of processor time that it took."""


def in_child(work: Work, bounds: Bounds, spared: int = 0) -> ChildEnd:
    """Do the work in a forked process of its own group.

    The work may report before it returns; the child ends with that. `spared` is another child of
    this process, which stays when all that this one left behind is killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _be_child(work, writing, bounds.cpu)
    os.close(writing)
    line, cut = _receive(reading, child, bounds.waiting)
    os.close(reading)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    _end_orphans(spared)
    cpu = usage.ru_utime + usage.ru_stime
    if line.endswith(b"\n"):
        return ChildEnd(ChildReport.read(line), "", cpu)
    used_up = os.WIFSIGNALED(status) and os.WTERMSIG(status) in _USED_UP
    return ChildEnd(None, "cpu" if used_up else cut or "died", cpu)


def _receive(reading: int, child: int, patience: float) -> tuple[bytes, str]:
    """The line that a child reports, as far as it comes; and whether the child waited too long."""
    line, started, busy, left = bytearray(), time.monotonic(), 0.0, patience
    while not line.endswith(b"\n"):
        if select.select([reading], [], [], max(left, _LOOK))[0]:
            data = os.read(reading, 1 << 20)
            if not data:
                break
            line += data
            continue
        busy = max(busy, _busy(child))  # threads that have ended are not counted any more
        left = patience - (time.monotonic() - started - busy)
        if left <= 0:
            return bytes(line), "waiting"
    return bytes(line), ""


def _busy(process: int) -> float:
    """Seconds in which the threads of a process ran or were ready to run.

    0 where the kernel does not count them: then all time is waiting.
    """
    nanoseconds = 0
    with contextlib.suppress(OSError, ValueError):
        for thread in os.scandir(f"/proc/{process}/task"):
            ran, queued, _ = Path(thread.path, "schedstat").read_text().split()
            nanoseconds += int(ran) + int(queued)
    return nanoseconds / 1e9


def _be_child(work: Work, descriptor: int, cpu: float) -> NoReturn:
    def tell(report: ChildReport) -> NoReturn:
        line = report.line()
        while line:
            line = line[os.write(descriptor, line) :]
        os._exit(0)

    try:
        os.setpgid(0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # rather this one than its parent
        with contextlib.suppress(OSError, ValueError):  # the sandbox may have set it lower
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 5))
        silence(0, 1, 2)
        tell(work(tell))
    finally:
        os._exit(1)


def silence(*descriptors: int) -> None:
    """Connect descriptors with nothing."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)


def adopt_orphans() -> None:
    """Become the parent of processes that children leave behind."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _end_orphans(spared: int) -> None:
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(50):
        with contextlib.suppress(OSError):
            orphans = [int(pid) for pid in own.read_text().split() if int(pid) != spared]
            if not orphans:
                return
            for orphan in orphans:
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
