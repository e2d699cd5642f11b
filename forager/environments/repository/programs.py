"""Runs forager's programs in a sandbox and reads their reports.

An image that this version of forager built has each program compiled, in a directory of root's.
Other sandboxes receive the source.

Programs write reports to a descriptor that the project's processes do not inherit, in lines that
begin with a nonce. All other output of program and project goes to a log.
"""

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from forager.environments.repository.task import TestSetup
from forager.programs import PYTHONS, copies, copy_name, program
from forager.sandboxes.sandbox import CommandResult, Sandbox
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
    question = json.dumps({**request, "nonce": nonce})
    start = _Start(
        sandbox=sandbox,
        before=f"{within(setup)} {shlex.quote(setup.python)} {'-I -S ' * isolated}",
        after=f"<<'{nonce}'\n{question}\n{nonce}",
        log=f"/tmp/forager-{name}-{secrets.token_hex(4)}.log",
        timeout=timeout,
        output_limit=output_limit,
    )
    result = start.copy(f"{copies(setup.python)}/{copy_name(name)}")
    result = result or start.shipped(ship(sandbox, name))
    found, problem = reports(result.output, nonce, kind, longest=longest)
    if result.omitted:
        problem = problem or f"the reports have more than {output_limit:,} bytes"
    log = result.log
    if not found:
        log += f"\n{_too_old(sandbox, setup)}"
    return ProgramRun(found, problem, result.exit_code, result.seconds, log)


class _Result(NamedTuple):
    """What a program did."""

    output: str
    omitted: int
    exit_code: int | None
    seconds: float
    log: str


@dataclass(frozen=True)
class _Start:
    """The command that runs a program, with its path left open."""

    sandbox: Sandbox
    before: str
    after: str
    log: str
    timeout: float
    output_limit: int
    mark: str = field(default_factory=lambda: secrets.token_hex(16))
    """Stands between output and log, and is unknown to the program."""

    def copy(self, path: str) -> _Result | None:
        """Run the image's copy; None if the image has none."""
        path = shlex.quote(path)
        command = f"if [ -f {path} ]; then\n{self._command(path)}\nelse echo {self.mark}; fi"
        result = self._run(command)
        return None if result.output == f"{self.mark}\n" else self._read(result)

    def shipped(self, path: str) -> _Result:
        """Run a file of the sandbox, and remove it."""
        return self._read(self._run(self._command(path, path)), path)

    def _command(self, path: str, waste: str = "") -> str:
        return (
            f"{self.before}{path} 3>&1 >{self.log} 2>&1 {self.after}\n"
            f"printf '\\n{self.mark} %s\\n' $?; {self._take_log(waste)}"
        )

    def _take_log(self, waste: str) -> str:
        return f"tail -c {_LOG_BYTES} {self.log}; rm -f {self.log} {waste}"

    def _run(self, command: str) -> CommandResult:
        limit = self.output_limit + 4 * _LOG_BYTES  # what is left out comes before the log
        return self.sandbox.run(command, timeout=self.timeout, output_limit=limit)

    def _read(self, result: CommandResult, waste: str = "") -> _Result:
        """Divide what the command printed; one that was ended may leave the log behind."""
        output, _, rest = result.output.partition(f"\n{self.mark} ")
        code, ended, log = rest.partition("\n")
        if ended:
            exit_code = None if result.timed_out else int(code)
            return _Result(output, result.omitted, exit_code, result.seconds, log)
        log = self.sandbox.run(self._take_log(waste), output_limit=2 * _LOG_BYTES).output
        return _Result(output, result.omitted, result.exit_code, result.seconds, log)


def _too_old(sandbox: Sandbox, setup: TestSetup) -> str:
    """The reason if the interpreter is older than the programs support; else empty."""
    told = sandbox.run(f"{shlex.quote(setup.python)} -c {shlex.quote(_VERSION)}", timeout=20).output
    version = told.strip()
    numbers = [int(number) for number in version.split(".") if number.isdecimal()]
    if len(numbers) != 3 or tuple(numbers[:2]) >= _OLDEST:
        return ""
    return f"forager's programs need Python {PYTHONS[0]} or later, and this is Python {version}"
