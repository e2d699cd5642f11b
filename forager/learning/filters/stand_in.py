"""A sandbox without a machine, for tools that write the answers of a changed attempt."""

from forager.sandboxes.sandbox import CommandResult


class StandInSandbox:
    """Implements Sandbox. Every path is the one file; every command prints `output`, exits 0."""

    def __init__(self, content: bytes = b"", output: str = "") -> None:
        self._content, self._output = content, output

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """The output, whatever the command."""
        del command, timeout, output_limit
        return CommandResult(output=self._output, exit_code=0, seconds=0.0)

    def read(self, path: str) -> bytes:
        """The file."""
        del path
        return self._content

    def write(self, path: str, content: bytes) -> None:
        """Replace the content of the file."""
        del path
        self._content = content

    def elevate(self) -> bool:
        """Return False: there are no users."""
        return False

    def close(self) -> None:
        """Nothing has to be removed."""
