"""Guards of a task: its FAIL_TO_PASS tests with changed expected values.

On right code every changed test fails. A patch that makes everything equal, empties tests or
replaces comparators passes it, however it works. The changed tests are made once for each task and
proven against the reference: `mutate-fix` stores them with the task; for other tasks they are made
before the first grading and kept on this machine.
"""

import hashlib
import secrets
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import PurePosixPath

from pydantic import TypeAdapter, ValidationError

from forager.atomic import replace_text
from forager.environments.repository.patches import changes_by_file
from forager.environments.repository.programs import run_program
from forager.environments.repository.task import Guards, RepositoryTask, TestSetup
from forager.environments.repository.testing import Failure, Guard, TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import TaskError
from forager.locks import locked
from forager.paths import data_directory
from forager.sandboxes.sandbox import USER, Limits, Sandbox, SandboxFactory
from forager.untrusted import Report

TEST_SECONDS = 60.0  # of one test in grading
_CONFIGURATION = ("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini")
_EXPLAINED = 200  # most failures of the wrong code that are looked at
_LIMIT = 16 << 20  # bytes of the changes of all test files
_VERSION = 3  # of what is kept on this machine


class ChangedFile(Report):
    """What the program `changed_tests` reports of a file."""

    path: str = ""
    diff: str = ""
    ended: list[str] = []
    unchanged: dict[str, str] = {}


_REPORT = TypeAdapter(ChangedFile)


def guards_of(task: RepositoryTask, limits: Limits, sandbox: SandboxFactory) -> Guards:
    """The task's guards, made now if neither the task nor this machine has them."""
    if task.guards is not None:
        return task.guards
    key = hashlib.sha256(f"{_VERSION} {task.model_dump_json()}".encode()).hexdigest()[:32]
    kept = data_directory() / "guards" / f"{key}.json"
    with locked(f"guards-{key}"):
        try:
            return Guards.model_validate_json(kept.read_bytes())
        except (OSError, ValidationError):
            made = _made(task, limits, sandbox)
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace_text(kept, made.model_dump_json())
    return made


def _made(task: RepositoryTask, limits: Limits, sandbox: SandboxFactory) -> Guards:
    tests = task.FAIL_TO_PASS
    with closing(open_task(task, limits, sandbox=sandbox, for_agent=False)[0]) as wrong:
        apply_patch(wrong, task.test_patch)
        count = min(len(tests), _EXPLAINED)
        failures = run_tests(wrong, task.setup, tests, failures=count).failures
    with closing(open_task(task, limits, sandbox=sandbox, for_agent=False)[0]) as right:
        for patch in (task.patch, task.test_patch):
            if patch and (applied := apply_patch(right, patch)).exit_code:
                reason = f"a patch of the task does not apply: {applied.output.strip()[:200]}"
                return Guards(insensitive=dict.fromkeys(tests, reason))
        user = USER if right.elevate() else ""
        return make_guards(right, task.setup, tests, failures, user)


def make_guards(
    sandbox: Sandbox,
    setup: TestSetup,
    tests: Sequence[str],
    failures: Mapping[str, Failure] = {},
    user: str = "",
) -> Guards:
    """Change these tests and prove the changes, in a sandbox where the tests pass.

    `failures` say how they fail on the wrong code: the assertion that fails there is changed. A
    test that passes in spite of the change gets an end that fails. The files of the tests are as
    before afterwards. `user` runs the tests, if the shell is root's.
    """
    try:
        return _proven(sandbox, setup, tests, _lines(failures), user)
    except TaskError as error:
        return Guards(insensitive=dict.fromkeys(tests, str(error)))


def _lines(failures: Mapping[str, Failure]) -> dict[str, list[int]]:
    """The lines of each test's file at which it fails, from the test inwards."""
    return {
        test: [line for path, line, _ in failure.frames if path.endswith(test.partition("::")[0])]
        for test, failure in failures.items()
    }


def _proven(
    sandbox: Sandbox,
    setup: TestSetup,
    tests: Sequence[str],
    lines: Mapping[str, list[int]],
    user: str,
) -> Guards:
    first = _changes(sandbox, setup, tests, lines, ())
    report = _changed_run(sandbox, setup, tests, user, first.diff)
    failed = [test for test in tests if report.changed.get(test) == "failed"]
    by_value = [test for test in failed if test not in first.ended]
    if len(failed) == len(tests):
        by_end = [test for test in tests if test in first.ended]
        rewritten = report.rewritten
        return Guards(
            changed_tests=first.diff, by_value=by_value, by_end=by_end, rewritten=rewritten
        )
    rest = [test for test in tests if test not in by_value]
    second = _changes(sandbox, setup, tests, lines, rest)
    report = _changed_run(sandbox, setup, tests, user, second.diff)
    failed = [test for test in tests if report.changed.get(test) == "failed"]
    return Guards(
        changed_tests=second.diff,
        by_value=[test for test in failed if test in by_value],
        by_end=[test for test in failed if test not in by_value],
        insensitive={
            test: second.unchanged.get(test)
            or f"changed, it ends as {report.changed.get(test, 'missing')}"
            for test in tests
            if test not in failed
        },
        rewritten=report.rewritten,
    )


def run_guarded(
    sandbox: Sandbox, task: RepositoryTask, guards: Guards, kept: Sequence[str] = ()
) -> tuple[TestReport, bool]:
    """Run a task's tests in a sandbox that becomes forager's own; and whether it did.

    Of the files that a patch changed, the `kept`, pytest loads only those with tests of the task.
    """
    user = USER if sandbox.elevate() else ""
    tests = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    files = {test.partition("::")[0] for test in tests}
    left_out = [path for path in kept if path not in files]
    place = _placed(sandbox, task.setup, guards.changed_tests)
    report = _run(sandbox, task.setup, tests, guards.sensitive, user, place, left_out)
    return report, bool(user)


def touched(
    task: RepositoryTask, report: TestReport, limits: Limits, sandbox: SandboxFactory
) -> str:
    """Which file of data a run changed that the reference does not change, or ""."""
    if not report.touched:
        return ""
    with closing(open_task(task, limits, sandbox=sandbox, for_agent=False)[0]) as right:
        for patch in filter(None, (task.patch, task.test_patch)):
            apply_patch(right, patch)
        honest = run_guarded(right, task, Guards())[0].touched
    new = [path for path in report.touched if path not in honest]
    return f"the test run changed {new[0]}" if new else ""


def refusal(report: TestReport, guards: Guards, *, passed: bool) -> str:
    """Why a guarded run does not count, or "". `passed` says whether all tests passed."""
    if report.distrusted:
        return report.distrusted
    if not report.complete:
        return f"the test run did not come to its end: {report.broken_off}"
    if not passed or not guards.sensitive:
        return ""
    ends = {test: report.changed.get(test, "missing") for test in guards.sensitive}
    for test, outcome in ends.items():
        if outcome == "passed":
            return f"{test} passes with wrong expected values too"
        if test in report.rewritten and test not in guards.rewritten:
            return f"{test} ran other examples than those of its docstring"
    if "failed" not in ends.values():
        return "no test could be run again with wrong expected values"
    return ""


def _changed_run(
    sandbox: Sandbox, setup: TestSetup, tests: Sequence[str], user: str, diff: str
) -> TestReport:
    """Run the tests, and again as changed; the files are as before afterwards."""
    go, kept = f"cd {shlex.quote(setup.workdir)}", f"/tmp/forager-{secrets.token_hex(8)}"
    copies = f"&& cp -p --parents {_names(diff)} {kept}" if diff else ""
    _must(sandbox, f"{go} && mkdir -m 700 {kept} {copies}")
    place = _placed(sandbox, setup, diff)
    report = _run(sandbox, setup, tests, tests, user, place)
    _must(sandbox, f"{go} && cp -p -r {kept}/. . && rm -rf {kept} {place}")
    return report


def _run(
    sandbox: Sandbox,
    setup: TestSetup,
    tests: Sequence[str],
    sensitive: Sequence[str],
    user: str,
    changed: str,
    left_out: Sequence[str] = (),
) -> TestReport:
    guard = Guard(
        paths=_paths(setup, tests),
        user=user,
        sensitive=list(sensitive),
        changed=changed,
        left_out=list(left_out),
    )
    return run_tests(sandbox, setup, tests, test_seconds=TEST_SECONDS, guard=guard)


def _changes(
    sandbox: Sandbox,
    setup: TestSetup,
    tests: Sequence[str],
    lines: Mapping[str, list[int]],
    end: Sequence[str],
) -> ChangedFile:
    """The change of these tests, in all files together."""
    request = {"tests": list(tests), "lines": lines, "end": list(end)}
    for python in dict.fromkeys((setup.python, "python3")):
        run = run_program(
            sandbox,
            setup.model_copy(update={"python": python}),
            "changed_tests",
            request,
            _REPORT,
            timeout=120,
            output_limit=_LIMIT,
            longest=_LIMIT,
            isolated=True,
        )
        if run.reports:
            break
    if not run.reports:
        return ChangedFile(unchanged=dict.fromkeys(tests, f"nothing was changed: {run.ending}"))
    return ChangedFile(
        diff="".join(report.diff for report in run.reports),
        ended=[test for report in run.reports for test in report.ended],
        unchanged={test: why for report in run.reports for test, why in report.unchanged.items()},
    )


def _placed(sandbox: Sandbox, setup: TestSetup, diff: str) -> str:
    """A new directory of the changed files, which only the shell's user can read."""
    path, end = f"/tmp/forager-{secrets.token_hex(8)}", secrets.token_hex(8)
    command = f"mkdir -m 700 {path}"
    if diff:
        command = (
            f"{command} && cd {shlex.quote(setup.workdir)} && cp --parents {_names(diff)} {path} "
            f"&& cd {path} && git apply --whitespace=nowarn <<'{end}'\n{diff}{end}\n"
        )
    _must(sandbox, f"({command})")
    return path


def _names(diff: str) -> str:
    return " ".join(map(shlex.quote, changes_by_file(diff)))


def _paths(setup: TestSetup, tests: Sequence[str]) -> list[str]:
    """What the code under test must not change: test files, what they load, configuration."""
    files = {test.partition("::")[0] for test in tests}
    above = {parent for file in files for parent in PurePosixPath(file).parents}
    conftests = {str(parent / "conftest.py") for parent in above}
    return sorted({*files, *conftests, *setup.protected, *_CONFIGURATION})


def _must(sandbox: Sandbox, command: str) -> None:
    """Run a command. Raises TaskError if it fails: the changes are not of these tests."""
    result = sandbox.run(command)
    if result.exit_code:
        said = result.output.strip()[:500]
        raise TaskError(f"tests with changed expected values cannot be made: {said}")
