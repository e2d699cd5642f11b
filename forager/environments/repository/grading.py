"""Grades a patch in a fresh container and trusts nothing that the agent could have changed.

Only the patch leaves the agent's container, and grading judges what git makes of it. It ignores
changes to tests, to their configuration, to files that Python or pytest load by themselves, and new
modules that would replace the image's. The original tests decide.
Grading refuses code that imports test machinery (pytest, unittest.mock), reports that a canary
shows to be forged, and classes that equal everything.

Not covered: the code under test shares a process with the test runner, so code written against
this runner could forge its reports.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

from forager.environments.environment import Grade
from forager.environments.repository.programs import run_program
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import ALWAYS, TestReport, run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import TaskError
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

_LOADED_BY_THEMSELVES = (
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    "*.pth",
    "*.pyc",
    "*.so",
    "test_*.py",
    "*_test.py",
)
_DIRECTORIES = (
    "tests",
    "test",
    ".git",
    "__pycache__",
    ".pytest_cache",
    "*.egg-info",
    "*.dist-info",
)
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
_LINKS = ("120000", "160000")  # git's modes of symbolic links and submodules
_SAME = re.compile(r'"?a/(.*?)"? "?b/\1"?$', re.MULTILINE)  # first line of a file's diff
_RENAMED = re.compile(r'"?a/.*?"? "?b/(.*?)"?$', re.MULTILINE)
_PATCH, _PATHS, _INDEX = "/tmp/forager.patch", "/tmp/forager.paths", "/tmp/forager.index"
_GIT = f"GIT_INDEX_FILE={_INDEX} git"
_DIFF = f"{_GIT} diff --cached --no-renames --no-color --no-ext-diff --no-textconv"
_NOT_FOUND = 127  # exit code of `env` if the interpreter does not exist
_LIST_LIMIT, _TEXT_LIMIT = 8 << 20, 64 << 20  # bytes


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
        applied = _apply(opened, task, patch)
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


class _AppliedPatch(NamedTuple):
    """The kept and the ignored files, the diff of the kept files, and the problem if any."""

    kept: list[str] = []
    ignored: list[str] = []
    text: str = ""
    problem: str = ""


def _apply(sandbox: Sandbox, task: RepositoryTask, patch: str) -> _AppliedPatch:
    """Apply the allowed part of a patch.

    First applies the whole patch to a separate index and asks git what changed there, because a
    patch can change other files than its text suggests.
    """
    sandbox.write(_PATCH, patch.encode("utf-8", "surrogateescape"))
    listed = sandbox.run(
        f"{_GIT} read-tree HEAD && {_GIT} apply --cached --whitespace=nowarn {_PATCH} && "
        f"{_GIT} diff --cached --raw --no-renames -z HEAD",
        output_limit=_LIST_LIMIT,
    )
    if listed.exit_code:
        how = "does not apply" if listed.exit_code == 1 else "is malformed"
        return _AppliedPatch(problem=f"the patch {how}: {listed.output.strip()[:200]}")
    if listed.omitted:
        return _AppliedPatch(problem="the patch changes too many files")
    entries = iter(listed.output.split("\0")[:-1])
    changed = {path: meta[1:].split(" ") for meta, path in zip(entries, entries, strict=True)}
    allowed = set(_files(task.patch))
    ignored = {
        path
        for path, (_, mode, *_, status) in changed.items()
        if path not in allowed
        and (
            is_protected(path, task.setup.protected)
            or _shadows(path, status == "A")
            or mode in _LINKS
        )
    }
    new = [path for path, meta in changed.items() if meta[-1] == "A" and path.endswith(".py")]
    ignored |= _taking(sandbox, task, [path for path in new if path not in ignored | allowed])
    done = _AppliedPatch([path for path in changed if path not in ignored], sorted(ignored))
    if not done.kept:
        return done._replace(
            problem="nothing was changed outside the tests and their configuration"
        )
    return _keep(sandbox, task, done)


def _keep(sandbox: Sandbox, task: RepositoryTask, done: _AppliedPatch) -> _AppliedPatch:
    """Apply the kept changes to the working tree, and then the hidden tests."""
    sandbox.write(_PATHS, "\0".join(done.ignored).encode("utf-8", "surrogateescape"))
    compared = ["*.py", *(f":(literal){path}" for path in _files(task.patch))]
    told = sandbox.run(
        f"test ! -s {_PATHS} || GIT_LITERAL_PATHSPECS=1 {_GIT} reset -q "
        f"--pathspec-from-file={_PATHS} --pathspec-file-nul HEAD && {_DIFF} --text HEAD -- "
        + shlex.join(compared),
        output_limit=_TEXT_LIMIT,
    )
    if told.exit_code or told.omitted:
        return done._replace(problem="the patch is too large to be judged")
    done = done._replace(text=told.output)
    applied = sandbox.run(
        f"{_DIFF} --binary HEAD >{_PATCH} && git apply --whitespace=nowarn {_PATCH}; code=$?; "
        f"rm -f {_PATCH} {_PATHS} {_INDEX}; (exit $code)"
    )
    if applied.exit_code:
        return done._replace(problem=f"the patch does not apply: {applied.output.strip()[:200]}")
    if task.test_patch:
        tested = apply_patch(sandbox, task.test_patch)
        if tested.exit_code:
            said = tested.output.strip()[:200]
            return done._replace(problem=f"the test patch does not apply: {said}")
    return done


def _taking(sandbox: Sandbox, task: RepositoryTask, new: Sequence[str]) -> set[str]:
    """The new modules whose name the image's Python already finds elsewhere.

    Asks Python before applying the patch. Empty if the image lacks this Python. Raises TaskError if
    the program crashes there.
    """
    if not new:
        return set()
    tests = {test.partition("::")[0] for test in (*task.FAIL_TO_PASS, *task.PASS_TO_PASS)}
    arguments = [*ALWAYS, *task.setup.arguments]
    request = {"new": new, "arguments": arguments, "tests": sorted(tests)}
    run = run_program(
        sandbox, task.setup, "shadows", request, timeout=120, output_limit=_LIST_LIMIT
    )
    for report in run.reports:
        return set(report["taken"])
    if run.exit_code == _NOT_FOUND:
        return set()
    raise TaskError(f"nothing can say which modules the patch replaces: {run.ending}")


def _run(sandbox: Sandbox, task: RepositoryTask, changed: Sequence[str]) -> TestReport:
    return run_tests(
        sandbox,
        task.setup,
        [*task.FAIL_TO_PASS, *task.PASS_TO_PASS],
        test_seconds=_TEST_SECONDS,
        changed=[path for path in changed if path.endswith(".py")],
    )


def is_protected(path: str, protected: Sequence[str]) -> bool:
    """Whether a file belongs to the tests, or Python or pytest load it by themselves."""
    parts = PurePosixPath(path).parts
    return (
        any(
            path == entry.rstrip("/") or path.startswith(entry.rstrip("/") + "/")
            for entry in protected
        )
        or any(fnmatchcase(parts[-1], pattern) for pattern in _LOADED_BY_THEMSELVES)
        or any(fnmatchcase(part, pattern) for part in parts[:-1] for pattern in _DIRECTORIES)
    )


def _shadows(path: str, new: bool) -> bool:
    """Whether a new file at an import root has the name of a standard or pytest module."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("src", "lib")]
    name = parts[0].removesuffix(".py") if parts else ""
    machinery = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
    return new and (name in sys.stdlib_module_names or name in machinery)


def _brought_in(task: RepositoryTask, text: str) -> str:
    """How a patch imports test machinery, or ""; the patch may do what the reference does."""
    rules = {
        "brings the test machinery into": _MACHINERY,
        "imports by a computed name in": _COMPUTED_IMPORT,
    }
    ours = "".join(_files(task.patch).values())
    for path, changes in _files(text).items():
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
    ours, theirs = _files(reference), _files(patch)
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


def _files(patch: str) -> dict[str, str]:
    """The changes of a patch by file path, without headers."""
    found: dict[str, str] = {}
    for part in re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]:
        if match := _SAME.match(part) or _RENAMED.match(part):
            _, hunk, changes = part.partition("\n@@")
            found[match[1]] = found.get(match[1], "") + hunk + changes
    return found
