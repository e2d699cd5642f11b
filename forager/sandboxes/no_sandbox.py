"""The sandbox of an attempt that needs none, because its task allows no tools."""

from forager.errors import Unforeseen
from forager.sandboxes.sandbox import CommandResult


class NoSandbox:
    """Implements Sandbox without a machine: `close` does nothing, and all else is a bug."""

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Raise Unforeseen."""
        del command, timeout, output_limit
        raise _unforeseen()

    def read(self, path: str) -> bytes:
        """Raise Unforeseen."""
        del path
        raise _unforeseen()

    def write(self, path: str, content: bytes) -> None:
        """Raise Unforeseen."""
        del path, content
        raise _unforeseen()

    def elevate(self) -> bool:
        """Raise Unforeseen."""
        raise _unforeseen()

    def close(self) -> None:
        """Do nothing."""


def _unforeseen() -> Unforeseen:
    return Unforeseen("an environment uses the sandbox of a task that allows no tools")
