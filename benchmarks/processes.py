"""Processes of forager that benchmarks kill or measure."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

FORAGER = Path(sys.executable).with_name("forager")


class Start(NamedTuple):
    """A process that has ended."""

    number: int
    killed: bool
    memory: float
    """Its peak in MB."""


def lines(*paths: Path) -> int:
    """Whole lines of files; a file that is not there has none."""
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def run_killed(command: Sequence[object], files: Sequence[Path], most: int, pause: float) -> Start:
    """Start forager; end it by SIGKILL `pause` seconds after `files` have `most` lines."""
    with started(command, subprocess.DEVNULL) as process:
        while lines(*files) < most and not has_ended(process):
            time.sleep(0.02)
        ending = time.monotonic() + pause
        while time.monotonic() < ending and not has_ended(process):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)  # Popen's own would reap it if it has ended
        return ended(process)


def run_whole(command: Sequence[object]) -> Start:
    """Run forager to its end. Exits with what it printed if it fails."""
    with tempfile.TemporaryFile() as said, started(command, said) as process:
        found = ended(process)
        if process.returncode:
            said.seek(0)
            sys.exit(said.read().decode())
        return found


def started(command: Sequence[object], said: int | IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([FORAGER, *map(str, command)], stdout=subprocess.DEVNULL, stderr=said)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended; it can still be waited for."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def ended(process: subprocess.Popen[bytes]) -> Start:
    """Wait for a process."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Start(process.pid, process.returncode < 0, usage.ru_maxrss / 1024)


class Cost(NamedTuple):
    """The cost of a process: wall seconds, CPU seconds, peak memory in MB."""

    seconds: float
    cpu: float
    memory: float
    lines: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu:.1f} of CPU), {self.memory:.0f} MB"


def run(*arguments: object) -> Cost:
    """Run forager."""
    return process("from forager.cli.main import main; main()", *arguments)


def process(code: str, *arguments: object) -> Cost:
    """Run code in a new process, which prints its own peak memory."""
    command = [sys.executable, "-c", MEASURED + code, *map(str, arguments)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        output, errors = started.stdout, started.stderr
        assert output is not None and errors is not None
        lines = sum(block.count(b"\n") for block in iter(lambda: output.read(1 << 20), b""))
        said = errors.read().decode()
    seconds = time.perf_counter() - began
    if started.returncode:
        sys.exit(said)
    cpu, memory = (said.rsplit(name, 1)[1].split()[0] for name in ("CPU:", "VmHWM:"))
    return Cost(seconds, float(cpu), int(memory) / 1024, lines)


MEASURED = """
import atexit, pathlib, sys, time
def tell():
    status = pathlib.Path("/proc/self/status").read_text()
    print(status, "CPU:", time.process_time(), file=sys.stderr)
atexit.register(tell)
"""
