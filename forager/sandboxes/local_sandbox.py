"""A sandbox that is a directory of this machine; it contains nothing."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Self

from forager.errors import SandboxError
from forager.sandboxes.pipes import HEEDING, PipedShell
from forager.sandboxes.sandbox import CommandResult
from forager.sandboxes.shell import SUPERVISOR
from forager.sandboxes.shell_sandbox import ShellSandbox

_MARK = "FORAGER_LOCAL_SANDBOX"


class LocalSandbox:
    """Runs commands in `directory` as the user that runs forager; implements Sandbox.

    For tests and for trusted code. It contains NOTHING: commands read, write and delete whatever
    this user can, reach the network, see this process's environment, and use all memory, processors
    and disk. The shell behaves as in other sandboxes: one persistent bash, time limits, bounded
    output, and processes that end with the sandbox. They are found by their session and an
    environment variable: a process that drops both outlives it. Linux only.
    """

    def __init__(self, directory: Path | str, environment: Mapping[str, str] = {}) -> None:
        self._start = Path(directory).resolve()
        if not self._start.is_dir():
            raise SandboxError(f"there is no directory {self._start}")
        self._here = self._start
        self._shell = ShellSandbox(LocalProcesses(self._start, environment), str(self._start))

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command in the persistent shell; `timeout` in seconds, `output_limit` in bytes."""
        result = self._shell.run(command, timeout=timeout, output_limit=output_limit)
        self._here = Path(result.directory or self._start)
        return result

    def read(self, path: str) -> bytes:
        """Return a file's content; a relative path starts at the shell's directory."""
        return self._regular(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Write a file, keeping the mode of one that exists."""
        self._regular(path).write_bytes(content)

    def elevate(self) -> bool:
        """Return False: commands keep the user that runs forager."""
        return self._shell.elevate()

    def close(self) -> None:
        """End all processes. The directory stays: it is the caller's."""
        self._shell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _regular(self, path: str) -> Path:
        """The path on this machine. Raises OSError for a pipe or device, which may block."""
        place = self._here / path
        if place.exists() and not place.is_file() and not place.is_dir():
            raise OSError(f"{path} is not a regular file")
        return place


class LocalProcesses:
    """A keeper that is reached by two pipes, and signals by process number; implements Machine.

    `before` are words that start another program, such as `setpriv` with its options.
    """

    def __init__(
        self, directory: Path, environment: Mapping[str, str], before: Sequence[str] = ()
    ) -> None:
        self._directory, self._before = directory, before
        self._mark = f"{os.getpid()}.{id(self)}"
        self._environment = {
            **os.environ,
            "PAGER": "cat",
            "GIT_PAGER": "cat",
            **environment,
            _MARK: self._mark,
        }
        self._keeper = self._start_keeper()
        self._pipes = PipedShell(self._keeper)

    @property
    def keeper_is_root(self) -> bool:
        """Return False: keeper and worker are the user that runs forager."""
        return False

    def _start_keeper(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [*HEEDING, *self._before, "/bin/bash", "-c", SUPERVISOR, "keeper"],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"bash does not start: {error}") from error

    def send(self, data: bytes) -> None:
        """Send data to the keeper's standard input."""
        self._pipes.send(data)

    def receive(self, timeout: float) -> bytes | None:
        """Return output of the keeper; None if there was none in time."""
        return self._pipes.receive(timeout)

    def signal(self, name: str, spare: int) -> None:
        """Signal all processes of the sandbox but the keeper and `spare`."""
        self._kill(Signals[f"SIG{name}"], {self._keeper.pid, spare})

    def restart(self) -> None:
        """Kill everything and start a new keeper."""
        self.close()
        self._keeper = self._start_keeper()
        self._pipes = PipedShell(self._keeper)

    def close(self) -> None:
        """Kill everything, the keeper first so that it starts nothing more."""
        self._keeper.kill()
        self._keeper.wait()
        self._kill(Signals.SIGKILL, set())
        self._pipes.close()

    def _kill(self, number: Signals, spared: set[int]) -> None:
        for process in self._all():
            if process not in spared:
                with contextlib.suppress(OSError):  # it has just ended
                    os.kill(process, number)

    def _all(self) -> Iterator[int]:
        mark = f"{_MARK}={self._mark}".encode()
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    process = int(entry.name)
                    marks = Path(entry.path, "environ").read_bytes().split(b"\0")
                    if mark in marks or os.getsid(process) == self._keeper.pid:
                        yield process
