"""Which tests a fix makes pass, seen twice: runs before and after it, each in a fresh container.

The changed test files run first, without and with the fix, which rejects most candidates at the
cost of a few files. Then the whole suite runs in the same way, unless it is slow. FAIL_TO_PASS are
the tests on which both pairs of runs agree, PASS_TO_PASS those that passed in all four runs and are
not flaky in the image. A run without the fix that does not finish (memory, time) proves nothing
about the tests that it did not reach, so the candidate is rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from forager.environments.repository.patches import parsed
from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.environments.repository.testing import Failure, TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import ForagerError, TaskError
from forager.images.image import Image
from forager.images.recipe import options
from forager.sandboxes.sandbox import Limits
from tasks.history import is_test

TEST_SECONDS = 60.0  # limit for one test
_FAILURES = 20  # most failures that a report describes
_BAD = ("failed", "error", "timeout")


class UnsuitableImage(ForagerError):
    """The image does not suit the commit: patches do not apply, or tests do not load."""


class RejectedChange(ForagerError):
    """The change becomes no task; the message is the reason."""


@dataclass(frozen=True, slots=True)
class FixProof:
    """What the runs prove about a fix."""

    fail_to_pass: list[str]
    pass_to_pass: list[str]
    setup: TestSetup
    """How the tests ran: the whole suite, or only the test files that the fix changes."""
    whole: bool
    failures: Mapping[str, Failure] = field(default_factory=dict)


def prove_fix(task: RepositoryTask, image: Image, *, suite_seconds: float) -> FixProof:
    """Prove that tests fail without the fix and pass with it, both times.

    The whole suite runs only if one run of it takes no longer than `suite_seconds`.
    Raises RejectedChange, UnsuitableImage, SandboxError.
    """
    files = test_files(task.test_patch)
    narrow = task.setup.model_copy(update={"arguments": [*options(task.setup.arguments), *files]})
    first = _run(task, narrow, fixed=True)
    if not {"passed"} & set(first.outcomes.values()):
        raise UnsuitableImage(f"no changed test passes with the fix: {_told(first)}")
    before = _run(task, narrow, fixed=False)
    mended = _mended(before, first)
    if not mended:
        raise RejectedChange("no test fails before and passes after")
    setup = task.setup if image.test_seconds <= suite_seconds else narrow
    again, fixed = (_run(task, setup, fixed=on) for on in (False, True))
    if mended.isdisjoint(fixed.outcomes):  # for example files of equal name cannot run together
        setup = narrow
        again, fixed = (_run(task, setup, fixed=on) for on in (False, True))
    mended &= _mended(again, fixed)
    if not mended:
        raise RejectedChange("the second run differs from the first")
    kept = {
        test
        for test in _passed(again) & _passed(fixed)
        if all(run.outcomes.get(test, "passed") == "passed" for run in (before, first))
    }
    stable = sorted(kept - set(image.flaky))
    return FixProof(sorted(mended), stable, setup, setup is not narrow, before.failures)


def test_files(test_patch: str) -> list[str]:
    """The test files that a patch changes or adds."""
    return [
        file.path
        for file in parsed(test_patch)
        if not file.is_removed_file
        and is_test(file.path)
        and file.path.endswith(".py")
        and PurePosixPath(file.path).name not in ("conftest.py", "__init__.py")
    ]


def _run(task: RepositoryTask, setup: TestSetup, *, fixed: bool) -> TestReport:
    """Run the fixed state's tests on the code with or without the fix."""
    try:
        opened, _ = open_task(task, Limits(memory=task.setup.memory))
    except TaskError as error:
        raise UnsuitableImage(str(error)) from error
    try:
        for patch in [task.test_patch, task.patch if fixed else ""]:
            applied = apply_patch(opened, patch) if patch else None
            if applied and applied.exit_code:
                raise UnsuitableImage(f"a patch does not apply: {applied.output.strip()[:200]}")
        report = run_tests(
            opened, setup, test_seconds=TEST_SECONDS, failures=0 if fixed else _FAILURES
        )
    finally:
        opened.close()
    if not report.complete:
        kind = UnsuitableImage if fixed else RejectedChange
        raise kind(f"the test run did not come to its end: {_told(report)}")
    return report


def _passed(report: TestReport) -> set[str]:
    return {test for test, outcome in report.outcomes.items() if outcome == "passed"}


def _mended(before: TestReport, after: TestReport) -> set[str]:
    """The tests that pass after the fix and failed or did not load before it."""
    return {
        test
        for test in _passed(after)
        if before.outcomes.get(test, "error") in _BAD and "::" in test
    }


def _told(report: TestReport) -> str:
    lines: Sequence[str] = [line for line in report.log.splitlines() if line.startswith("E ")]
    lines = lines or report.log.strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it said nothing"
