"""Grades a patch in a fresh container and trusts nothing that the agent could have changed.

Only the patch leaves the agent's container, and grading applies only the part of it that may count
(`applying`). The original tests decide.
Grading refuses code that imports test machinery (pytest, unittest.mock), reports that a canary
shows to be forged, and classes that equal everything.

Not covered: the code under test shares a process with the test runner, so code written against
this runner could forge its reports.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from forager.environments.environment import Grade
from forager.environments.repository.applying import apply_answer, changes_by_file
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

_MACHINERY = re.compile(
    r"^\+(?:.*(?:\b_?pytest\b|\bpluggy\b|\bunittest\.mock\b|\bunittest import\b.*\bmock\b)"
    r"|\s*(?:import|from) mock\b)",
    re.MULTILINE,
)
# An import by a computed name can import machinery that the rule above does not see.
_COMPUTED_IMPORT = re.compile(
    r"""^\+.*\b(?:__import__|import_module)\((?!\s*(?:"[\w.]+"|'[\w.]+')\s*[,)])""",
    re.MULTILINE,
)
_TEST_SECONDS = 60.0


def grade(
    task: RepositoryTask, patch: str, limits: Limits, *, sandbox: SandboxFactory = docker_sandbox
) -> Grade:
    """Run the task's tests on the patch in a fresh container. Raises SandboxError."""
    if not patch.strip():
        missing = dict.fromkeys(task.FAIL_TO_PASS, "missing")
        alike = similarity(task.patch, patch)
        return _grade(alike, cause="nothing was changed", tests=missing)
    opened, _ = open_task(task, limits, sandbox=sandbox)
    try:
        applied = apply_answer(opened, task, patch)
        # Judge what git makes of the patch, because its text can mislead a reader.
        alike = similarity(task.patch, applied.text if applied.kept else patch)
        if applied.problem:
            return _grade(alike, cause=applied.problem, ignored=applied.ignored)
        report = _run(opened, task, applied.kept)
    finally:
        opened.close()
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    tests = {test: report.outcomes.get(test, "missing") for test in wanted}
    cause = (
        report.distrusted
        or _brought_in(task, applied.text)
        or _equal_to_all(task, report, limits, sandbox)
    )
    if not cause and not report.complete:
        cause = f"the test run did not come to its end: {report.broken_off}"
    resolved = not cause and all(outcome == "passed" for outcome in tests.values())
    return _grade(alike, resolved=resolved, cause=cause, tests=tests, ignored=applied.ignored)


def _grade(
    alike: float,
    *,
    resolved: bool = False,
    cause: str = "",
    tests: dict[str, str] | None = None,
    ignored: Sequence[str] = (),
) -> Grade:
    """The grade with CWM's reward: +1 if resolved, 0 if similarity is at least 0.5, else -1."""
    return Grade(
        resolved=resolved,
        reward=1 if resolved else 0 if alike >= 0.5 else -1,
        cause=cause,
        tests=tests or {},
        similarity=alike,
        ignored_files=list(ignored),
    )


def _run(sandbox: Sandbox, task: RepositoryTask, changed: Sequence[str]) -> TestReport:
    return run_tests(
        sandbox,
        task.setup,
        [*task.FAIL_TO_PASS, *task.PASS_TO_PASS],
        test_seconds=_TEST_SECONDS,
        changed=[path for path in changed if path.endswith(".py")],
    )


def _brought_in(task: RepositoryTask, text: str) -> str:
    """How a patch imports test machinery, or ""; the patch may do what the reference does."""
    rules = {
        "brings the test machinery into": _MACHINERY,
        "imports by a computed name in": _COMPUTED_IMPORT,
    }
    ours = "".join(changes_by_file(task.patch).values())
    for path, changes in changes_by_file(text).items():
        for what, rule in rules.items():
            if path.endswith(".py") and rule.search(changes) and not rule.search(ours):
                return f"the patch {what} {path}"
    return ""


def _equal_to_all(
    task: RepositoryTask, report: TestReport, limits: Limits, sandbox: SandboxFactory
) -> str:
    """Names the classes that equal everything, unless the reference solution has them; or ""."""
    if not report.always_equal:
        return ""
    opened, _ = open_task(task, limits, sandbox=sandbox)
    try:
        apply_patch(opened, task.patch)
        listed = opened.run("git ls-files -z '*.py'", output_limit=8 << 20).output.split("\0")
        honest = _run(opened, task, [path for path in listed if path]).always_equal
    finally:
        opened.close()
    new = sorted(set(report.always_equal) - set(honest))
    return f"equals everything: {', '.join(new)}" if new else ""


def similarity(reference: str, patch: str) -> float:
    """The similarity of a patch to the reference, from 0 to 1, as in CWM's SWE environment.

    The mean over the reference's files of difflib's ratio between the two diffs of a file; 0 for
    files that the patch does not change.
    """
    ours, theirs = changes_by_file(reference), changes_by_file(patch)
    if not ours:
        return 0.0
    ratios = [
        SequenceMatcher(None, _lines(text), _lines(theirs.get(path, "")), autojunk=False).ratio()
        if path in theirs
        else 0.0
        for path, text in ours.items()
    ]
    return round(sum(ratios) / len(ratios), 4)


def _lines(changes: str) -> list[str]:
    """The changed lines, because context would make all patches similar."""
    return [line for line in changes.split("\n") if line.startswith(("+", "-"))]
