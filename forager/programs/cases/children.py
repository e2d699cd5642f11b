"""Children: each runs one case, is bounded and watched, and ends with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

from .users import become

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from .users import CasePlace

_PIDFD_OPEN = 434  # the system call, which Python 3.8 does not have
_PROCESSES, _FILES = 64, 256
_FILE_SIZE = 256 << 20
_STACK = 256 << 20
_PATIENCE = 4  # times the limit that a case may take while it waits for a processor
_SAID = 2000  # bytes at the end of what it prints to stderr
_BLOCK = 1 << 16
_VALUE = 9  # the descriptor to which the child's own code may answer
_KEPT = 10  # the descriptor of a socket that the child keeps
VARIABLES = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class CaseBounds(NamedTuple):
    """What a child may take: seconds, bytes of memory, bytes of output."""

    seconds: float
    memory: int
    output: int


class CaseEnd(NamedTuple):
    """How a child ended.

    `how` is ended, time, memory or output; `code` its exit code, negative for a signal; `cpu` and
    `memory` what it took, in seconds and bytes.
    """

    how: str
    code: int
    cpu: float
    seconds: float
    memory: int
    output: bytes
    said: bytes


class Streams(NamedTuple):
    """What a child reads and keeps.

    `answers` gives it a descriptor of its own for what it answers, and drops what it prints.
    """

    stdin: int = -1
    kept: int = -1
    answers: bool = False


class CaseProcess(NamedTuple):
    """A child that was started."""

    number: int
    output: int
    said: int


_NOBODY: Mapping[CaseProcess, bytearray] = {}


def in_child(
    work: Callable[[], int],
    bounds: CaseBounds,
    place: CasePlace,
    streams: Streams,
    *,
    first: Callable[[], None] = lambda: None,
    others: Mapping[CaseProcess, bytearray] = _NOBODY,
) -> CaseEnd:
    """Do the work in a process of its own; `first` is done before privileges are given up.

    Processes in `others` work for it: the time that they wait for a processor is not its own. The
    end of what each writes to stderr is kept with it.
    """
    child = start(work, bounds, place, streams, first)
    began = time.monotonic()
    output, said, how = _watched(child, bounds, others)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child.number, signal.SIGKILL)
    _, status, usage = os.wait4(child.number, 0)
    seconds = time.monotonic() - began
    for descriptor in (child.output, child.said):
        os.close(descriptor)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    memory = usage.ru_maxrss << 10
    how = how or _reason(code, said, memory, bounds)
    cpu = usage.ru_utime + usage.ru_stime
    return CaseEnd(how, code, round(cpu, 4), round(seconds, 4), memory, output, said)


def _reason(code: int, said: bytes, memory: int, bounds: CaseBounds) -> str:
    """What ended a child that ended by itself."""
    if code == -signal.SIGXCPU:
        return "time"
    last = said.rstrip().rpartition(b"\n")[2]
    if code and (last.startswith(b"MemoryError") or b"bad_alloc" in said):
        return "memory"
    full = code == -signal.SIGKILL or (code and memory > 0.9 * bounds.memory)
    return "memory" if full else "ended"


def start(
    work: Callable[[], int],
    bounds: CaseBounds,
    place: CasePlace,
    streams: Streams,
    first: Callable[[], None] = lambda: None,
) -> CaseProcess:
    """Start a child, which is the caller's to end."""
    output, said = os.pipe(), os.pipe()
    if place.user is not None:
        for descriptor in (output[1], said[1]):
            os.fchown(descriptor, place.user, place.user)  # it may open /dev/stdout
    number = os.fork()
    if not number:
        _be_child(work, first, bounds, place, streams, output[1], said[1])
    for ends in (output, said):
        os.close(ends[1])
        os.set_blocking(ends[0], False)
    return CaseProcess(number, output[0], said[0])


def _watched(
    child: CaseProcess, bounds: CaseBounds, others: Mapping[CaseProcess, bytearray]
) -> tuple[bytes, bytes, str]:
    """What a child prints until it ends, and what is to end it."""
    output, said = bytearray(), bytearray()
    tails = {child.said: said, **{other.said: tail for other, tail in others.items()}}
    numbers = [child.number, *(other.number for other in others)]
    began = time.monotonic()
    poll, end = select.poll(), _pidfd(child.number)
    for descriptor in (child.output, *tails, end):
        poll.register(descriptor, select.POLLIN)
    try:
        while True:
            left = bounds.seconds - (time.monotonic() - began)
            if left <= 0:
                late = min(_waited(numbers), (_PATIENCE - 1) * bounds.seconds)
                left += late
            if left <= 0:
                return bytes(output), bytes(said), "time"
            ready = {descriptor for descriptor, _ in poll.poll(left * 1000 + 1)}
            if child.output in ready and not _take(child.output, output, bounds.output + 1):
                poll.unregister(child.output)
            for descriptor in ready & set(tails):
                if not _take(descriptor, tails[descriptor], _BLOCK):
                    poll.unregister(descriptor)
                del tails[descriptor][:-_SAID]
            if len(output) > bounds.output:
                return bytes(output[: bounds.output]), bytes(said), "output"
            if end in ready:
                while len(output) <= bounds.output and _take(child.output, output, _BLOCK) == 1:
                    pass
                _take(child.said, said, _BLOCK)
                much = "output" if len(output) > bounds.output else ""
                return bytes(output[: bounds.output]), bytes(said[-_SAID:]), much
    finally:
        os.close(end)


def _take(descriptor: int, text: bytearray, most: int) -> int:
    """Read what there is: 1 for some, 2 for nothing yet, 0 for the end."""
    try:
        data = os.read(descriptor, min(_BLOCK, most))
    except BlockingIOError:
        return 2
    text += data
    return 1 if data else 0


def _waited(processes: Sequence[int]) -> float:
    """Seconds in which processes were ready to run, and others ran."""
    nanoseconds = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{process}/schedstat") as file:
                nanoseconds += int(file.read().split()[1])
    return nanoseconds / 1e9


def _pidfd(process: int) -> int:
    """A descriptor that can be read once the process has ended."""
    return int(ctypes.CDLL(None).syscall(_PIDFD_OPEN, process, 0))


def _be_child(
    work: Callable[[], int],
    first: Callable[[], None],
    bounds: CaseBounds,
    place: CasePlace,
    streams: Streams,
    output: int,
    said: int,
) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.umask(0o077)
        _connect(streams, output, said)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # rather this one than its parent
        first()
        os.chdir(place.path)
        _bound(bounds, place)
        if place.user is not None:
            become(place.user)
        kept = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        os.environ.clear()
        os.environ.update(kept, HOME=place.path, TMPDIR=place.path, LANG="C.UTF-8")
        code = work()
    except MemoryError:
        os.write(2, b"\nMemoryError\n")
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _connect(streams: Streams, output: int, said: int) -> None:
    """Set descriptors 0, 1 and 2, the two that may be kept, and close all others."""
    null = os.open(os.devnull, os.O_RDWR)
    kept = [streams.kept] if streams.kept >= 0 else []
    high = [os.dup2(one, 100 + place) for place, one in enumerate([null, output, said, *kept])]
    os.dup2(high[0] if streams.stdin < 0 else streams.stdin, 0)
    os.dup2(high[0] if streams.answers else high[1], 1)
    os.dup2(high[2], 2)
    if streams.answers:
        os.dup2(high[1], _VALUE)
    if kept:
        os.dup2(high[3], _KEPT)
    for number in range(3, _KEPT + 1):
        if not ((number == _VALUE and streams.answers) or (number == _KEPT and kept)):
            with contextlib.suppress(OSError):
                os.close(number)
    os.closerange(_KEPT + 1, 4096)


def _bound(bounds: CaseBounds, place: CasePlace) -> None:
    cpu = int(bounds.seconds) + 2
    stack = resource.getrlimit(resource.RLIMIT_STACK)[1]
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_FSIZE, _FILE_SIZE),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_STACK, _STACK if stack < 0 else min(_STACK, stack)),
    ]
    if place.user is not None:  # others of the same user would count
        wanted.append((resource.RLIMIT_NPROC, _PROCESSES))
    for name, most in wanted:
        with contextlib.suppress(OSError, ValueError):  # it may be lower already
            resource.setrlimit(name, (most, most))


def answer(data: bytes) -> None:
    """Write the answer of a child whose streams have `answers`."""
    while data:
        data = data[os.write(_VALUE, data) :]


def kept_descriptor() -> int:
    """The number of the descriptor that the streams keep, in the child."""
    return _KEPT
