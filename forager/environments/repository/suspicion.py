"""Reads what a patch added for constructs that only a forger of test results needs.

`programs/forgery` compares the syntax trees before and after the patch, in the sandbox, before any
of the patch's code has run. What the project did before, what the reference patch does, and new
files that nothing imports are no reasons. Nor is equality: tests with changed values catch it.
A patch that changes what the reference changes, and nothing else, needs no look.
"""

from pydantic import TypeAdapter

from forager.environments.repository.applying import AppliedPatch
from forager.environments.repository.patches import changes_by_file, same_changes
from forager.environments.repository.programs import run_program
from forager.environments.repository.protection import is_doctest
from forager.environments.repository.task import RepositoryTask
from forager.sandboxes.sandbox import Sandbox
from forager.text import safe
from forager.untrusted import Items, Report

_SECONDS = 60.0
_LIMIT = 1 << 17  # bytes of all reasons
_NOT_FOUND = 127  # exit code of `env` if the interpreter does not exist


class _Reasons(Report):
    reasons: Items[str]


_REASONS = TypeAdapter(_Reasons)


def suspicions(sandbox: Sandbox, task: RepositoryTask, applied: AppliedPatch) -> list[str]:
    """The reasons to think that an applied patch forges test results, one line each.

    A patch that cannot be read is suspect, unless the image lacks a Python that could read it.
    Raises SandboxError.
    """
    if not applied.kept or _is_reference(task, applied):
        return []
    request = {
        "files": applied.kept,
        "reference": task.patch,
        "tests": sorted(_names_of_tests(task)),
        "doctests": any("doctest" in argument for argument in task.setup.arguments)
        or any(map(is_doctest, (*task.FAIL_TO_PASS, *task.PASS_TO_PASS))),
    }
    run = run_program(
        sandbox,
        task.setup,
        "forgery",
        request,
        _REASONS,
        timeout=_SECONDS,
        output_limit=_LIMIT,
        isolated=True,
    )
    for report in run.reports:
        return [safe(reason) for reason in report.reasons]
    if run.exit_code == _NOT_FOUND or "programs need Python" in run.log:
        return []
    return [f"the added code cannot be read: {safe(run.ending)}"]


def _is_reference(task: RepositoryTask, applied: AppliedPatch) -> bool:
    """Whether the applied patch makes of the same files what the reference makes of them."""
    files = changes_by_file(task.patch)
    return {*applied.kept} == {*files} and same_changes(task.patch, applied.text)


def _names_of_tests(task: RepositoryTask) -> set[str]:
    """The files of the task's tests and the functions that decide, without those of doctests."""
    found: set[str] = set()
    for test in (*task.FAIL_TO_PASS, *task.PASS_TO_PASS):
        path, _, name = test.partition("[")[0].partition("::")
        if "." not in name:
            found.add(path)
    for test in task.FAIL_TO_PASS:
        found.add(test.partition("[")[0].rpartition("::")[2])
    return found - {""}
