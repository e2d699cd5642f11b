"""Ships forager's programs into a sandbox, runs them there and reads their reports.

Programs write reports to a descriptor that the project's processes do not inherit, in lines that
begin with a nonce. All other output of program and project goes to a log.
"""

import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

from forager.environments.repository.task import TestSetup
from forager.programs import PYTHONS, program
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending

_LOG_BYTES = 16384
_OLDEST = tuple(map(int, PYTHONS[0].split(".")))
_VERSION = "import sys; print(*sys.version_info[:3], sep='.')"


class ProgramRun(Record):
    """A program's reports, and the end of the log."""

    reports: list[dict[str, Any]]
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
    *,
    timeout: float,
    output_limit: int,
) -> ProgramRun:
    """Run a program with the project's interpreter; `request` and its reports are JSON objects.

    `timeout` is in seconds, `output_limit` in bytes of all reports. Raises SandboxError if the
    sandbox is gone.
    """
    nonce = secrets.token_hex(16)
    path = ship(sandbox, name)
    question = json.dumps({**request, "nonce": nonce})
    result = sandbox.run(
        f"{within(setup)} {shlex.quote(setup.python)} {path} "
        f"3>&1 >{path}.log 2>&1 <<'{nonce}'\n{question}\n{nonce}",
        timeout=timeout,
        output_limit=output_limit,
    )
    log = sandbox.run(
        f"tail -c {_LOG_BYTES} {path}.log; rm -f {path} {path}.log", output_limit=2 * _LOG_BYTES
    ).output
    reports = [
        json.loads(line[len(nonce) :])
        for line in result.output.split("\n")
        if line.startswith(f"{nonce} {{")  # bash prints the nonce in its message on a killed run
    ]
    if not reports:
        log += f"\n{_too_old(sandbox, setup)}"
    return ProgramRun(reports=reports, exit_code=result.exit_code, seconds=result.seconds, log=log)


def _too_old(sandbox: Sandbox, setup: TestSetup) -> str:
    """The reason if the interpreter is older than the programs support; else empty."""
    told = sandbox.run(f"{shlex.quote(setup.python)} -c {shlex.quote(_VERSION)}", timeout=20).output
    version = told.strip()
    numbers = [int(number) for number in version.split(".") if number.isdecimal()]
    if len(numbers) != 3 or tuple(numbers[:2]) >= _OLDEST:
        return ""
    return f"forager's programs need Python {PYTHONS[0]} or later, and this is Python {version}"
