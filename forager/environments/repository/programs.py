"""Ships forager's programs into a sandbox, runs them there and reads their reports.

Programs write reports to a descriptor that the project's processes do not inherit, in lines that
begin with a nonce. All other output of program and project goes to a log.
"""

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from forager.environments.repository.task import TestSetup
from forager.programs import PYTHONS, program
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.untrusted import LONGEST_REPORT, reports

_LOG_BYTES = 16384
_OLDEST = tuple(map(int, PYTHONS[0].split(".")))
_VERSION = "import sys; print(*sys.version_info[:3], sep='.')"
M = TypeVar("M")


@dataclass(frozen=True)
class ProgramRun(Generic[M]):
    """A program's reports, and the end of the log."""

    reports: list[M]
    problem: str
    """Why not all reports were read: some may be forged. Empty if all were read."""
    exit_code: int | None
    """None if the program reached its time limit."""
    seconds: float
    log: str

    @property
    def ending(self) -> str:
        """The last lines of the log: if the program crashed, the reason."""
        return ending(self.log)


def ship(sandbox: Sandbox, name: str, directory: str = "/tmp") -> str:
    """Write a program into the sandbox and return its path, which Python can run.

    Paths are unique, so that sandboxes on one file system do not collide.
    """
    path = f"{directory}/forager-{name}-{secrets.token_hex(4)}"
    sandbox.write(path, program(name))
    return path


def within(setup: TestSetup) -> str:
    """The beginning of a command that runs tests: it sets the directory and the variables."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in setup.variables.items())
    return f"cd {shlex.quote(setup.workdir)} && env {variables}"


def run_program(
    sandbox: Sandbox,
    setup: TestSetup,
    name: str,
    request: Mapping[str, Any],
    kind: TypeAdapter[M],
    *,
    timeout: float,
    output_limit: int,
    longest: int = LONGEST_REPORT,
    isolated: bool = False,
) -> ProgramRun[M]:
    """Run a program with the project's interpreter; `request` is a JSON object.

    `kind` is what the program reports, `timeout` is in seconds, and `output_limit` in bytes of all
    reports, `longest` in characters of each. An `isolated` interpreter loads nothing of the project
    or of its site directory. Raises SandboxError if the sandbox is gone.
    """
    nonce = secrets.token_hex(16)
    path = ship(sandbox, name)
    question = json.dumps({**request, "nonce": nonce})
    result = sandbox.run(
        f"{within(setup)} {shlex.quote(setup.python)} {'-I -S ' * isolated}{path} "
        f"3>&1 >{path}.log 2>&1 <<'{nonce}'\n{question}\n{nonce}",
        timeout=timeout,
        output_limit=output_limit,
    )
    log = sandbox.run(
        f"tail -c {_LOG_BYTES} {path}.log; rm -f {path} {path}.log", output_limit=2 * _LOG_BYTES
    ).output
    found, problem = reports(result.output, nonce, kind, longest=longest)
    if result.omitted:
        problem = problem or f"the reports have more than {output_limit:,} bytes"
    if not found:
        log += f"\n{_too_old(sandbox, setup)}"
    return ProgramRun(found, problem, result.exit_code, result.seconds, log)


def _too_old(sandbox: Sandbox, setup: TestSetup) -> str:
    """The reason if the interpreter is older than the programs support; else empty."""
    told = sandbox.run(f"{shlex.quote(setup.python)} -c {shlex.quote(_VERSION)}", timeout=20).output
    version = told.strip()
    numbers = [int(number) for number in version.split(".") if number.isdecimal()]
    if len(numbers) != 3 or tuple(numbers[:2]) >= _OLDEST:
        return ""
    return f"forager's programs need Python {PYTHONS[0]} or later, and this is Python {version}"
