"""Runs a project's tests in a sandbox and reads the outcome of each.

Forager's own runner (`programs/pytest_runner`) reports over a stream that the tests cannot reach.
If `TestSetup.command` is set, that command runs instead, and a parser reads its log as the data set
does. Such a run refuses a log without failures after a failing exit code.
"""

import secrets
import shlex
from collections import Counter
from collections.abc import Sequence

from pydantic import Field, TypeAdapter

from forager.environments.repository.logs import PARSERS
from forager.environments.repository.programs import ProgramRun, run_program, within
from forager.environments.repository.services import start_services
from forager.environments.repository.task import TestSetup
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.untrusted import Items, Report

_REPORT_LIMIT = 24 << 20  # bytes of all reports together
_LOG_BYTES = 16384
_ALWAYS = (
    "-q",
    "--rootdir=.",
    "--continue-on-collection-errors",
    "--tb=short",
    "-pno:enabler",  # pytest-enabler adds checks of style and coverage
    "--assert=plain",  # rewriting makes failures readable, but costs a third of the time
)


def always() -> list[str]:
    """Arguments of every run of pytest. Its cache is outside the repository, and new for each."""
    return [*_ALWAYS, f"-ocache_dir=/tmp/forager-cache-{secrets.token_hex(8)}"]


class Guard(Record):
    """What protects the tests of a run from the code under test."""

    paths: list[str] = Field(description="Files and directories of the tests, from workdir.")
    user: str = Field(description="Who runs the tests, if the shell is root's; else empty.")
    sensitive: list[str] = Field([], description="Tests that run again, if all passed.")
    changed: str = Field("", description="Directory of their files with changed expected values.")
    left_out: list[str] = Field([], description="Files that are not collected.")


class Failure(Record):
    """A test's failure, as pytest prints it with short tracebacks."""

    error: str = Field(description="Type and message, such as `ValueError: no such key`.")
    frames: list[tuple[str, int, str]] = Field(
        description="File, line and function of each call, from the test inwards."
    )
    text: str = Field(description="The end of the traceback as pytest prints it.")


class RunnerReport(Report):
    """One report of the runner: a test, a failure, a canary, a count, or the end."""

    id: str = ""
    outcome: str = ""
    seconds: float = 0.0
    failure: str = ""
    error: str = ""
    frames: Items[tuple[str, int, str]] = []
    text: str = ""
    changed: str = ""
    canary: str = ""
    rewritten: str = ""
    touched: str = ""
    collected: int = 0
    canaries: int = 0
    distrusted: str = ""
    file: str = ""
    tests: int = 0
    functions: int = 0
    begins: str = ""
    signal: int = 0
    end: int | None = None


_REPORT = TypeAdapter(RunnerReport)


class TestReport(Record):
    """The outcome of each test by its node id.

    Outcomes: passed, failed, error, skipped, xfailed, xpassed, timeout. A file that pytest cannot
    collect has the outcome error under its path. `complete` is False if the run broke off, and then
    `timed_out` says whether its time was over. A
    non-empty `distrusted` says why not to believe the reports. `changed` holds the outcomes of the
    tests that ran again with changed expected values, `rewritten` the doctests whose examples are
    not those of their file, `touched` the data files that the run changed. `failures` describes
    the first failing tests, up to the requested number. Of a run with a `plan`, `planned` is the
    number of tests by file, `functions` that of test functions, and `running` the test that was
    running when the run broke off; `signal` is what killed it, such as 9 when memory ran out.
    """

    __test__ = False

    outcomes: dict[str, str]
    durations: dict[str, float]
    seconds: float
    complete: bool
    timed_out: bool = False
    distrusted: str = ""
    changed: dict[str, str] = {}
    rewritten: list[str] = []
    touched: list[str] = []
    failures: dict[str, Failure] = {}
    planned: dict[str, int] = {}
    functions: dict[str, int] = {}
    running: str = ""
    signal: int = 0
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
    guard: Guard | None = None,
    failures: int = 0,
    plan: bool = False,
) -> TestReport:
    """Run the whole suite, or the tests named by node id.

    `shuffle` is the seed of a random order. `timeout` limits the run and `test_seconds` each test,
    in seconds. A `guard` protects the tests and runs some again. The runner describes up to
    `failures` failures. If the setup has a command, only `timeout` applies. Raises SandboxError if
    the sandbox is gone.
    """
    start_services(sandbox, setup.services)
    if setup.command:
        return _run_command(sandbox, setup, timeout or setup.timeout, tests or [], guard)
    request = {
        "arguments": [*always(), *setup.arguments, "--maxfail=0"],
        "tests": list(tests) if tests is not None else None,
        "shuffle": shuffle,
        "test_seconds": test_seconds,
        "failures": failures,
        "plan": plan,
        "guard": guard.model_dump() if guard else None,
    }
    run = run_program(
        sandbox,
        setup,
        "pytest_runner",
        request,
        _REPORT,
        timeout=timeout or setup.timeout,
        output_limit=_REPORT_LIMIT,
        isolated=guard is not None and bool(guard.user),
    )
    return _read(run)


def _run_command(
    sandbox: Sandbox, setup: TestSetup, timeout: float, tests: Sequence[str], guard: Guard | None
) -> TestReport:
    """Run the setup's own command and read its log; a second time with changed tests."""
    user = guard.user if guard else ""
    report = _read_log(sandbox, setup, timeout, user)
    passed = all(report.outcomes.get(test) == "passed" for test in tests)
    if not guard or not guard.sensitive or not passed or report.distrusted:
        return report
    place = sandbox.run(f"cp -r {guard.changed}/. {shlex.quote(setup.workdir)}")
    again = _read_log(sandbox, setup, timeout, user).outcomes if not place.exit_code else {}
    changed = {test: again.get(test, "missing") for test in guard.sensitive}
    return report.model_copy(update={"changed": changed})


def acting_as(user: str) -> str:
    """The words after `within` that let this user run a command; none for the shell's own."""
    if not user:
        return ""
    person = f"setpriv --reuid={user} --regid={user} --clear-groups "
    return f'HOME=/home/{user} PATH="$AGENT_PATH" {person}'


def _read_log(sandbox: Sandbox, setup: TestSetup, timeout: float, user: str) -> TestReport:
    """Run the command as this user, or as the shell's if empty, and read the log."""
    place = f"/tmp/forager-{secrets.token_hex(8)}"  # no run before can have put a file there
    script, output = f"{place}.sh", f"{place}.log"
    sandbox.write(script, setup.command.encode())
    result = sandbox.run(
        f"{within(setup)} {acting_as(user)}bash {script} >{output} 2>&1 </dev/null",
        timeout=timeout,
    )
    log = sandbox.run(f"cat {output}; rm -f {script} {output}", output_limit=_REPORT_LIMIT).output
    outcomes = PARSERS[setup.parser](log)
    failed = {"failed", "error"} & set(outcomes.values())
    hidden = result.exit_code and not failed
    return TestReport(
        outcomes=outcomes,
        durations={},
        seconds=result.seconds,
        complete=bool(outcomes) and not result.timed_out,
        timed_out=result.timed_out,
        distrusted=f"no test failed, and the exit code was {result.exit_code}" if hidden else "",
        log=log[-_LOG_BYTES:],
    )


def _read(run: ProgramRun[RunnerReport]) -> TestReport:
    """Join the runner's reports."""
    tests = [report for report in run.reports if report.id]
    problems = [run.problem, *(report.distrusted for report in run.reports)]
    canaries = Counter(report.canary for report in run.reports if report.canary)
    ended = any(report.end is not None for report in run.reports)
    if ended and any(report.collected for report in run.reports):
        problems.append(_judged(canaries, sum(report.canaries for report in run.reports)))
    return TestReport(
        outcomes=_outcomes(tests),
        durations={report.id: report.seconds for report in tests},
        seconds=run.seconds,
        complete=ended,
        timed_out=not ended and run.exit_code is None,
        distrusted="; ".join(filter(None, problems)),
        changed={report.changed: report.outcome for report in run.reports if report.changed},
        rewritten=[report.rewritten for report in run.reports if report.rewritten],
        touched=[report.touched for report in run.reports if report.touched],
        failures={
            report.failure: Failure(error=report.error, frames=report.frames, text=report.text)
            for report in run.reports
            if report.failure
        },
        planned={report.file: report.tests for report in run.reports if report.file},
        functions={report.file: report.functions for report in run.reports if report.file},
        running=_running(run.reports),
        signal=max((report.signal for report in run.reports), default=0),
        log=run.log,
    )


def _running(found: Sequence[RunnerReport]) -> str:
    """The test that began last, if it did not end."""
    begun = next((report.begins for report in reversed(found) if report.begins), "")
    return "" if any(report.id == begun for report in found) else begun


def _outcomes(tests: Sequence[RunnerReport]) -> dict[str, str]:
    """The outcome of each test; a second report of a test mends nothing."""
    found: dict[str, str] = {}
    for report in tests:
        if found.get(report.id, "passed") == "passed":
            found[report.id] = report.outcome
    return found


def _judged(canaries: Counter[str], planned: int) -> str:
    """Why the canaries tell not to believe a run, or "". Marks of a module may skip some."""
    wrong = sorted(set(canaries) & {"passed", "xpassed", "missing"})
    if not wrong and (not planned or canaries.total() < planned):
        wrong = ["missing"]
    return f"a test that must fail was reported as {wrong[0]}" if wrong else ""
