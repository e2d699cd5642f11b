"""A sandbox on a machine of which nothing but a shell is reached."""

from forager.sandboxes.sandbox import CommandResult
from forager.sandboxes.shell import Machine, Shell
from forager.sandboxes.shell_files import read_file, write_file


class ShellSandbox:
    """A persistent shell on a machine; implements the Sandbox protocol.

    The machine is the sandbox's own: it is closed with it, also where its shell does not start.
    """

    def __init__(self, machine: Machine, directory: str) -> None:
        self._machine = machine
        try:
            self._shell = Shell(machine, directory)
        except BaseException:
            machine.close()
            raise

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command in the persistent shell; `timeout` in seconds, `output_limit` in bytes."""
        return self._shell.run(command, timeout, output_limit)

    def read(self, path: str) -> bytes:
        """Return a file's content; a relative path starts at the shell's directory."""
        return read_file(self._shell, path)

    def write(self, path: str, content: bytes) -> None:
        """Write a file, keeping the mode of one that exists."""
        write_file(self._shell, path, content)

    def elevate(self) -> bool:
        """End the agent's processes and make the shell root's; False where there is one user."""
        return self._shell.elevate()

    def close(self) -> None:
        """End all processes; the files of the machine go with it unless they are the caller's."""
        self._machine.close()
