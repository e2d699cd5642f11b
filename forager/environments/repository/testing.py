"""Runs a project's tests in a sandbox and reads the outcome of each.

Forager's own runner writes reports that the code under test cannot easily forge. If
`TestSetup.command` is set, that command runs instead, and a parser reads its log as the data set
does. Such a run has no private descriptor, nonce, canary or audit: it believes code that prints the
lines of passing tests and exits. It refuses only a log without failures after a failing exit code.
"""

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import Field

from forager.environments.repository.logs import PARSERS
from forager.environments.repository.programs import ProgramRun, run_program, within
from forager.environments.repository.task import TestSetup
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.untrusted import OBJECT

_COMMAND = "/tmp/forager-command.sh"
_LOG = "/tmp/forager-tests.log"
_REPORT_LIMIT = 64 << 20  # bytes of all reports together
_LOG_BYTES = 16384
ALWAYS = (
    "-q",
    "--rootdir=.",
    "--continue-on-collection-errors",
    "--tb=short",
    "-pno:cacheprovider",
    "--assert=plain",  # rewriting makes failures readable, but costs a third of the time
)


class Failure(Record):
    """A test's failure, as pytest prints it with short tracebacks."""

    error: str = Field(description="Type and message, such as `ValueError: no such key`.")
    frames: list[tuple[str, int, str]] = Field(
        description="File, line and function of each call, from the test inwards."
    )
    text: str = Field(description="The end of the traceback as pytest prints it.")


class TestReport(Record):
    """The outcome of each test by its node id.

    Outcomes: passed, failed, error, skipped, xfailed, xpassed, timeout. A file that pytest cannot
    collect has the outcome error under its path. `complete` is False if the run broke off. A
    non-empty `distrusted` says why not to believe the reports. `failures` describes the first
    failing tests, up to the requested number.
    """

    __test__ = False

    outcomes: dict[str, str]
    durations: dict[str, float]
    seconds: float
    complete: bool
    distrusted: str = ""
    always_equal: list[str] = []
    failures: dict[str, Failure] = {}
    log: str = ""

    @property
    def broken_off(self) -> str:
        """The last lines of an incomplete run's output; empty for a complete run."""
        return "" if self.complete else ending(self.log)


def run_tests(
    sandbox: Sandbox,
    setup: TestSetup,
    tests: Sequence[str] | None = None,
    *,
    shuffle: int | None = None,
    timeout: float | None = None,
    test_seconds: float = 60.0,
    changed: Collection[str] = (),
    failures: int = 0,
) -> TestReport:
    """Run the whole suite, or the tests named by node id.

    `shuffle` is the seed of a random order. `timeout` limits the run and `test_seconds` each test,
    in seconds. The runner checks classes of the files in `changed` for always-true equality and
    describes up to `failures` failures. If the setup has a command, only `timeout` applies.
    Raises SandboxError if the sandbox is gone.
    """
    if setup.command:
        return _run_command(sandbox, setup, timeout or setup.timeout)
    request = {
        "arguments": [*ALWAYS, *setup.arguments],
        "tests": list(tests) if tests is not None else None,
        "shuffle": shuffle,
        "test_seconds": test_seconds,
        "changed": [f"{setup.workdir}/{path}" for path in changed],
        "failures": failures,
    }
    run = run_program(
        sandbox,
        setup,
        "pytest_runner",
        request,
        OBJECT,
        timeout=timeout or setup.timeout,
        output_limit=_REPORT_LIMIT,
    )
    return _read(run)


def _run_command(sandbox: Sandbox, setup: TestSetup, timeout: float) -> TestReport:
    """Run the setup's own command and read its log."""
    sandbox.write(_COMMAND, setup.command.encode())
    result = sandbox.run(f"{within(setup)} bash {_COMMAND} >{_LOG} 2>&1", timeout=timeout)
    log = sandbox.run(f"cat {_LOG}", output_limit=_REPORT_LIMIT).output
    outcomes = PARSERS[setup.parser](log)
    failed = {"failed", "error"} & set(outcomes.values())
    hidden = result.exit_code and not failed
    return TestReport(
        outcomes=outcomes,
        durations={},
        seconds=result.seconds,
        complete=bool(outcomes) and not result.timed_out,
        distrusted=f"no test failed, and the exit code was {result.exit_code}" if hidden else "",
        log=log[-_LOG_BYTES:],
    )


def _read(run: ProgramRun[dict[str, Any]]) -> TestReport:
    """Join the runner's reports."""
    outcomes: dict[str, str] = {}
    durations: dict[str, float] = {}
    ended, collected, canary = False, 0, "missing"
    always_equal: list[str] = []
    failures: dict[str, Failure] = {}
    for record in run.reports:
        if "id" in record:
            outcomes[record["id"]] = record["outcome"]
            durations[record["id"]] = record["seconds"]
        if "failure" in record:
            name = record.pop("failure")
            failures[name] = Failure(**record)
        collected = record.get("collected", collected)
        canary = record.get("canary", canary)
        always_equal += record.get("always_equal", [])
        ended = ended or "end" in record
    distrusted = run.problem
    if ended and collected and canary not in ("failed", "error", "timeout"):
        distrusted = f"a test that must fail was reported as {canary}"
    return TestReport(
        outcomes=outcomes,
        durations=durations,
        seconds=run.seconds,
        complete=ended,
        distrusted=distrusted,
        always_equal=always_equal,
        failures=failures,
        log=run.log,
    )
