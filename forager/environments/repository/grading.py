"""Grades a patch in a fresh sandbox and trusts nothing that the agent could have changed.

Only the patch leaves the agent's sandbox. It passes five layers; ARCHITECTURE.md says what each of
them stops and what remains possible:

1. `applying` applies the part of the patch that may count.
2. `programs/pytest_runner` reports from a process that the tests cannot reach.
3. `guards`: canaries and tests with changed expected values must fail.
4. `suspicion` reads the added code for what only a forger needs.
5. Tasks of other data sets get the guards that fit; a grade's `caveat` names what is missing.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from forager.environments.environment import Grade
from forager.environments.repository.applying import AppliedPatch, apply_answer
from forager.environments.repository.guards import guards_of, refusal, run_guarded, touched
from forager.environments.repository.patches import changes_by_file
from forager.environments.repository.suspicion import suspicions
from forager.environments.repository.task import Guards, RepositoryTask
from forager.environments.repository.testing import TestReport
from forager.environments.repository.workspace import open_task
from forager.sandboxes.default_sandbox import default_sandbox
from forager.sandboxes.pressure import waited
from forager.sandboxes.sandbox import Limits, SandboxFactory

_AGAIN = 3  # times as long may a run take that begins anew because the machine was busy
_BUSY = 0.25  # of the run's time, in which a process waited for a processor
_NOT_RUN = TestReport(outcomes={}, durations={}, seconds=0, complete=False)
_COMPARISONS = 200_000  # most pairs of lines that a similarity compares


def grade(
    task: RepositoryTask, patch: str, limits: Limits, *, sandbox: SandboxFactory = default_sandbox
) -> Grade:
    """Run the task's tests on the patch in a fresh sandbox. Raises SandboxError."""
    alike = similarity(task.patch, patch)
    if not patch.strip():
        missing = dict.fromkeys(task.FAIL_TO_PASS, "missing")
        return _grade(alike, cause="nothing was changed", tests=missing)
    guards = guards_of(task, limits, sandbox)
    before = waited()
    tried = _try(task, patch, guards, limits, sandbox)
    if tried.report.timed_out and waited() - before > _BUSY * tried.report.seconds:
        more = task.setup.model_copy(update={"timeout": _AGAIN * task.setup.timeout})
        slow = task.model_copy(update={"setup": more})
        tried = _try(slow, patch, guards, limits, sandbox)
    applied, report = tried.applied, tried.report
    if applied.problem:
        return _grade(alike, cause=applied.problem, ignored=applied.ignored)
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    tests = {test: report.outcomes.get(test, "missing") for test in wanted}
    passed = all(outcome == "passed" for outcome in tests.values())
    unloaded = "" if {*tests.values()} - {"missing"} else "none of the tests could be loaded"
    return _grade(
        # Judge what git makes of the patch, because its text can mislead a reader.
        similarity(task.patch, applied.text) if applied.kept else alike,
        passed=passed,
        cause=refusal(report, guards, passed=passed)
        or (touched(task, report, limits, sandbox) if passed else unloaded),
        suspect=tried.reasons if passed else [],
        caveat=_caveat(task, guards, tried.apart) if passed else "",
        tests=tests,
        ignored=applied.ignored,
    )


class _Tried(NamedTuple):
    """What became of a patch: what was applied, what is suspect, and how the tests ended.

    `apart` says whether the tests ran as another user than the grader.
    """

    applied: AppliedPatch
    reasons: list[str]
    report: TestReport
    apart: bool


def _try(
    task: RepositoryTask, patch: str, guards: Guards, limits: Limits, sandbox: SandboxFactory
) -> _Tried:
    """Apply a patch and run the task's tests, in a fresh sandbox."""
    opened, _ = open_task(task, limits, sandbox=sandbox, for_agent=False)
    try:
        applied = apply_answer(opened, task, patch)
        if applied.problem:
            return _Tried(applied, [], _NOT_RUN, False)
        reasons = suspicions(opened, task, applied)
        return _Tried(applied, reasons, *run_guarded(opened, task, guards, applied.kept))
    finally:
        opened.close()


def _caveat(task: RepositoryTask, guards: Guards, apart: bool) -> str:
    """How a verdict could be forged where a guard does not fit, or ""."""
    told = []
    if not guards.sensitive:
        told.append("no FAIL_TO_PASS test could be changed, so emptied tests would pass")
    elif not guards.by_value:
        told.append("no expected value could be changed, so replaced comparisons would pass")
    if task.setup.command:
        told.append("outcomes are read from a log, which code could print that knows both runs")
    if not apart:
        told.append("tests and grader ran as one user")
    return "; ".join(told)


def _grade(
    alike: float,
    *,
    passed: bool = False,
    cause: str = "",
    suspect: Sequence[str] = (),
    caveat: str = "",
    tests: dict[str, str] | None = None,
    ignored: Sequence[str] = (),
) -> Grade:
    """The grade with CWM's reward: +1 if resolved, 0 if similarity is at least 0.5, else -1."""
    resolved = passed and not cause and not suspect
    return Grade(
        resolved=resolved,
        reward=1 if resolved else 0 if alike >= 0.5 and not suspect else -1,
        cause=cause,
        cause_kind="time" if not resolved and "timeout" in (tests or {}).values() else "",
        suspect=[] if cause else list(suspect),
        caveat=caveat,
        tests=tests or {},
        similarity=alike,
        ignored_files=list(ignored),
    )


def similarity(reference: str, patch: str) -> float:
    """The similarity of a patch to the reference, from 0 to 1, as in CWM's SWE environment.

    The mean over the reference's files of difflib's ratio between the two diffs of a file; 0 for
    files that the patch does not change. Only the beginning of a very long change is compared.
    """
    ours, theirs = changes_by_file(reference), changes_by_file(patch)
    if not ours:
        return 0.0
    ratios = [_ratio(_lines(text), _lines(theirs.get(path, ""))) for path, text in ours.items()]
    return round(sum(ratios) / len(ratios), 4)


def _ratio(ours: list[str], theirs: list[str]) -> float:
    if not theirs:
        return 0.0
    most = max(100, _COMPARISONS // max(1, len(ours)))
    return SequenceMatcher(None, ours[:most], theirs[:most], autojunk=False).ratio()


def _lines(changes: str) -> list[str]:
    """The changed lines, because context would make all patches similar."""
    return [line for line in changes.split("\n") if line.startswith(("+", "-"))]
