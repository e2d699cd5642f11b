"""A keeper that is a process of this computer: its two pipes, as one half of a Machine."""

import os
import select
import subprocess
import threading
import time

from forager.errors import SandboxError

HEEDING = ["/usr/bin/env", "--default-signal"]
"""A prefix that restores ignored signals, such as SIGINT in a process started with `&`."""

_CHUNK = 262_144  # bytes of one read
_SEND_SECONDS = 120.0


class PipedShell:
    """The standard input and output of a process that was started with both as pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        # A descriptor closed while a thread waits for it may be reused for another file.
        self._in_use = threading.Lock()
        os.set_blocking(self._in.fileno(), False)

    def send(self, data: bytes) -> None:
        """Send data. Raises SandboxError if the process is gone or does not read."""
        rest = memoryview(data)
        deadline = time.monotonic() + _SEND_SECONDS
        try:
            with self._in_use:
                poll = select.poll()
                poll.register(self._in, select.POLLOUT)
                while rest:
                    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                        raise SandboxError("the shell does not read its input")
                    rest = rest[os.write(self._in.fileno(), rest[:_CHUNK]) :]
        except (OSError, ValueError) as error:
            raise SandboxError(f"the shell does not answer: {error}") from error

    def receive(self, timeout: float) -> bytes | None:
        """Return output; None if there was none in time. Raises SandboxError at the end."""
        try:
            with self._in_use:
                poll = select.poll()
                poll.register(self._out, select.POLLIN)
                if not poll.poll(timeout * 1000):
                    return None
                data = os.read(self._out.fileno(), _CHUNK)
        except (OSError, ValueError) as error:
            raise SandboxError(f"the shell does not answer: {error}") from error
        if not data:
            raise SandboxError("the shell has ended")
        return data

    def close(self) -> None:
        """Close both once no thread uses them; the process has ended, so threads return soon."""
        with self._in_use:
            self._in.close()
            self._out.close()
