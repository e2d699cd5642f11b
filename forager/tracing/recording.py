"""Asks the recorder in a sandbox, and reads its reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter

from forager.environments.repository.programs import ProgramRun, run_program
from forager.environments.repository.task import TestSetup
from forager.programs import copies
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox
from forager.untrusted import Report, unpacked_bytes

LONGEST = 24 << 20  # characters of a report, with its stream compressed
_MOST_OUTPUT = 512 << 20  # bytes of the reports of one run
_LARGEST_STREAM = 64 << 20  # bytes
M = TypeVar("M", bound=Report)


class TraceLimits(Record):
    """Where a recording ends; what is left out is recorded as truncation."""

    events: int = Field(200_000, description="Events of one trace.")
    bytes: int = Field(8 << 20, description="Bytes of one trace before compression.")
    seconds: float = Field(60.0, description="Seconds of one traced execution.")
    depth: int = Field(200, description="Calls within calls.")

    def values(self) -> list[float]:
        """As the recorder takes them."""
        return [self.events, self.bytes, self.seconds, self.depth]


@dataclass(frozen=True)
class SandboxRecorder:
    """The recorder, in one sandbox."""

    sandbox: Sandbox
    setup: TestSetup
    fallback: bool = False
    """Whether to use the recorder in Python where the one in C could be used."""

    def ask(
        self, role: str, request: Mapping[str, Any], kind: TypeAdapter[M], timeout: float
    ) -> ProgramRun[M]:
        """Run the program `tracer` under a fixed hash seed. Raises SandboxError."""
        variables = {**self.setup.variables, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        return run_program(
            self.sandbox,
            self.setup.model_copy(update={"variables": variables}),
            "tracer",
            {
                **request,
                "role": role,
                "fallback": self.fallback,
                "copies": copies(self.setup.python),
            },
            kind,
            timeout=timeout,
            output_limit=_MOST_OUTPUT,
            longest=LONGEST,
        )

    def version(self) -> str:
        """The interpreter's version, such as 3.11.7; `?` if unknown. Raises SandboxError."""
        command = f"{self.setup.python} -c 'import platform; print(platform.python_version())'"
        found = self.sandbox.run(command, timeout=30).output.strip()
        return found if found.replace(".", "").isalnum() and len(found) < 20 else "?"

    def environment(self) -> dict[str, str]:
        """The variables that programs in the sandbox have. Raises SandboxError."""
        found = self.sandbox.run("env -0", timeout=30).output
        pairs = (line.partition("=") for line in found.split("\0"))
        return {name: value for name, _, value in pairs} | self.setup.variables


def unpacked_stream(text: str) -> bytes:
    """What the recorder packed. Raises Malformed."""
    return unpacked_bytes(text, _LARGEST_STREAM)
