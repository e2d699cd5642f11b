"""A sandbox with which something else ends."""

from collections.abc import Callable
from threading import Lock

from forager.sandboxes.sandbox import CommandResult, Sandbox


class ClosingSandbox:
    """Passes everything on to a sandbox, but closes once, by a function; implements Sandbox.

    Any thread may close it.
    """

    def __init__(self, sandbox: Sandbox, close: Callable[[], None]) -> None:
        self._sandbox, self._close = sandbox, close
        self._closing = Lock()
        self._closed = False

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command in the persistent shell; `timeout` in seconds, `output_limit` in bytes."""
        return self._sandbox.run(command, timeout=timeout, output_limit=output_limit)

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        return self._sandbox.read(path)

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        self._sandbox.write(path, content)

    def elevate(self) -> bool:
        """Make the shell root's."""
        return self._sandbox.elevate()

    def close(self) -> None:
        """Close the sandbox and what ends with it; a second thread waits for the first."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._close()
