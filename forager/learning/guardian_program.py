"""Starts a command and ends it, with all its descendants, when forager ends.

usage: python -P guardian_program.py COMMAND…

Standard input is a pipe that forager holds open; it closes when forager ends, however it ends.
Orphans of the command become children of this process, a subreaper, so that it can reach them all.
On SIGTERM, or when the pipe closes, it asks the command to end, and kills what is left after some
seconds.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_SECONDS = 5.0


def main() -> int:
    """Run the command; return its exit code, 128 + N after signal N."""
    system = ctypes.CDLL(None)
    system.prctl(PR_SET_CHILD_SUBREAPER, 1)

    def die_with_guardian() -> None:
        system.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    command = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_guardian,
    )
    while command.poll() is None and not _must_end(reading):
        reap(command.pid)
    end(command)
    code = command.returncode
    return 128 - code if code < 0 else code


def _must_end(reading: int) -> bool:
    """Wait for a signal or for forager's end; return whether the command must end."""
    ready, _, _ = select.select([0, reading], [], [])
    signals = os.read(reading, 4096) if reading in ready else b""
    return 0 in ready or bool(set(signals) - {signal.SIGCHLD})


def end(command: "subprocess.Popen[bytes]") -> None:
    """Ask the command to end, then kill it and all its descendants."""
    if command.poll() is None:
        command.terminate()
        wait(command, GRACE_SECONDS)
    while not has_none_left(command):
        for process in list(descendants(os.getpid())):
            kill(process)
        time.sleep(0.02)


def has_none_left(command: "subprocess.Popen[bytes]") -> bool:
    """Whether this process has no child any more, and so, as a subreaper, no descendant.

    Only the kernel knows: a process that loses its parent while `descendants` reads is not seen.
    """
    if command.poll() is None:
        return False
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def wait(command: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for the command, at most so many seconds."""
    until = time.monotonic() + seconds
    while command.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def reap(but: int) -> None:
    """Reap orphans that have ended, `but` not the command, which `main` waits for."""
    for process in children(os.getpid()):
        if process != but:
            try:
                os.waitpid(process, os.WNOHANG)
            except ChildProcessError:
                continue


def descendants(process: int) -> Iterator[int]:
    """Yield all living descendants of a process, nearest first."""
    waiting = children(process)
    while waiting:
        found = waiting.pop(0)
        if alive(found):
            yield found
        waiting += children(found)


def children(process: int) -> list[int]:
    """Children of a process, started by any of its threads."""
    found: list[int] = []
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, listed.read_text().split())
        except OSError:
            continue
    return found


def alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process: int) -> None:
    """Kill a process if it still exists."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
