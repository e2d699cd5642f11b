"""The Sandbox seam: what commands run in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import Field

from forager.records import Record

WORKDIR = "/testbed"  # the repository in every image, as in SWE-bench's images
USER = "agent"
"""Who runs the commands, in every sandbox."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Directories of programs in which only root can write."""

CAPABILITIES = ("SETUID", "SETGID", "SETPCAP", "KILL", "CHOWN", "DAC_OVERRIDE", "FOWNER")
"""Root's capabilities in a sandbox.

The first four change the user and end processes; by the others root reads and changes files of the
agent once the shell is its own.
"""

LOCALHOST_LABEL = "forager.localhost"
"""The label of an image that resolves `localhost` without /etc/hosts."""


class Limits(Record):
    """What one sandbox may use."""

    memory: int = Field(2 << 30, description="Bytes of memory, swap included.")
    processes: int = Field(256, description="Processes and threads.")
    cpus: float = Field(1.0, description="Processor cores.")
    file_size: int = Field(1 << 30, description="Bytes of the largest file that may be written.")
    disk: int = Field(1 << 30, description="Bytes of all files, if the sandbox can bound them.")
    network: bool = Field(False, description="Whether the container has a network.")

    def with_memory(self, least: int) -> "Limits":
        """These limits, with at least so many bytes of memory."""
        return self.model_copy(update={"memory": max(self.memory, least)})


class CommandResult(Record):
    """What a command did.

    `output` is stdout and stderr in the order in which they came, cut in the middle to the limit;
    `omitted` counts the bytes left out. `exit_code` is None if the time limit ended the command.
    `state_lost` says that the shell was restarted and lost its directory, variables and functions.
    """

    output: str
    exit_code: int | None
    seconds: float
    omitted: int = 0
    directory: str = ""
    state_lost: bool = False

    @property
    def timed_out(self) -> bool:
        """Whether the time limit ended the command."""
        return self.exit_code is None


class Sandbox(Protocol):
    """A machine of its own with one persistent shell.

    Every method raises SandboxError if the machine itself is gone or does not answer: that is a
    failure of infrastructure, never a result.
    """

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command in the persistent shell; `timeout` in seconds, `output_limit` in bytes."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's content; a relative path starts at the shell's directory.

        Raises FileNotFoundError, IsADirectoryError or PermissionError.
        """
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a file, keeping the mode of one that exists.

        Raises FileNotFoundError (no such parent directory), IsADirectoryError, PermissionError,
        or OSError (disk full, file too large).
        """
        ...

    def elevate(self) -> bool:
        """End all processes of the agent, and make the shell root's from now on.

        Only forager's own commands may follow. Root's PATH holds the system's directories only;
        $AGENT_PATH is what PATH is for the agent. Its HOME is /root, and git reads no settings of
        the agent's but those of the repository. Returns False, and does nothing, where there is
        only one user: in a LocalSandbox, or where forager is not root and bubblewrap is used.
        """
        ...

    def close(self) -> None:
        """Remove the machine. Safe to call twice; raises nothing."""
        ...


class SandboxKind(Protocol):
    """Starts sandboxes of an image; a SandboxFactory that can also show files of this machine."""

    def __call__(
        self,
        image: str,
        *,
        limits: Limits = ...,
        environment: Mapping[str, str] = ...,
        files: Sequence[str] = ...,
    ) -> Sandbox:
        """Start a sandbox, with these directories at the same paths, read-only.

        Raises SandboxError, or EngineError if no engine answers.
        """
        ...


class SandboxFactory(Protocol):
    """Starts sandboxes of an image."""

    def __call__(
        self, image: str, *, limits: Limits = ..., environment: Mapping[str, str] = ...
    ) -> Sandbox:
        """Start a sandbox. Raises SandboxError, or EngineError if no engine answers."""
        ...
