"""Grades a patch in a fresh container, trusting nothing that the agent could have touched.

Only the patch crosses from the agent's container. Files of the tests, of their configuration, and
files that Python or pytest would load by themselves are left out of it; the original tests decide.
Refused as well: code that brings the test machinery in (pytest, unittest.mock), reports that a
canary shows to be forged, and classes that equal everything.

Not covered: the code under test shares a process with the test runner, so code that was written
against this very runner could forge its reports.
"""

import re
import sys
from collections.abc import Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.sandbox import Limits, Sandbox, SandboxFactory
from forager.environments.task import Task
from forager.environments.testing import TestReport, run_tests
from forager.environments.workspace import apply_patch, open_task
from forager.records import Record

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
    r"^\+(?!\+\+ ).*(\b_?pytest\b|\bpluggy\b|\bunittest\.mock\b|\bunittest import\b.*\bmock\b"
    r"|^\+\s*(?:import|from) mock\b)",
    re.MULTILINE,
)
# An import by a computed name can bring in what the rule above cannot see.
_COMPUTED_IMPORT = re.compile(
    r"""^\+(?!\+\+ ).*\b(?:__import__|import_module)\((?!\s*(?:"[\w.]+"|'[\w.]+')\s*[,)])""",
    re.MULTILINE,
)
_TEST_SECONDS = 60.0


class Grade(Record):
    """What grading says of a patch; see Outcome for the fields."""

    resolved: bool
    tests: dict[str, str]
    similarity: float
    ignored_files: list[str] = []
    note: str = ""

    @property
    def reward(self) -> int:
        """CWM's: +1 resolved; else 0 where the patch is at least half alike; else -1."""
        return 1 if self.resolved else 0 if self.similarity >= 0.5 else -1


def grade(
    task: Task, patch: str, limits: Limits, *, sandbox: SandboxFactory = DockerSandbox
) -> Grade:
    """Run the task's tests on the patch in a fresh container. Raises SandboxError."""
    alike = similarity(task.patch, patch)
    if not patch.strip():
        missing = dict.fromkeys(task.FAIL_TO_PASS, "missing")
        return Grade(resolved=False, tests=missing, similarity=alike, note="nothing was changed")
    opened, _ = open_task(task, limits, sandbox=sandbox)
    try:
        kept, ignored, problem = _apply(opened, task, patch)
        if problem:
            return Grade(
                resolved=False, tests={}, similarity=alike, ignored_files=ignored, note=problem
            )
        report = _run(opened, task, kept)
    finally:
        opened.close()
    wanted = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
    tests = {test: report.outcomes.get(test, "missing") for test in wanted}
    note = (
        report.distrusted
        or _brought_in(task, patch, kept)
        or _equal_to_all(task, report, limits, sandbox)
    )
    if not note and not report.complete:
        note = "the test run did not come to its end"
    return Grade(
        resolved=not note and all(outcome == "passed" for outcome in tests.values()),
        tests=tests,
        similarity=alike,
        ignored_files=ignored,
        note=note,
    )


def _apply(sandbox: Sandbox, task: Task, patch: str) -> tuple[list[str], list[str], str]:
    """Apply what may be applied; return the files kept and ignored, and what went wrong."""
    sandbox.write("/tmp/forager.numstat", patch.encode("utf-8", "surrogateescape"))
    listed = sandbox.run("git apply --numstat -z /tmp/forager.numstat", output_limit=1 << 20)
    if listed.exit_code:
        return [], [], f"the patch is malformed: {listed.output.strip()[:200]}"
    paths = [entry.split("\t", 2)[-1] for entry in listed.output.split("\0") if entry]
    tracked = set(sandbox.run("git ls-files -z", output_limit=8 << 20).output.split("\0"))
    allowed = set(_paths(task.patch))
    ignored = [
        path
        for path in paths
        if path not in allowed
        and (is_protected(path, task.setup.protected) or _shadows(path, path not in tracked))
    ]
    kept = [path for path in paths if path not in ignored]
    if not kept:
        return [], ignored, "nothing was changed outside the tests and their configuration"
    chosen = [f"--include={_glob(path)}" for path in kept]
    applied = apply_patch(sandbox, patch, *(_quote(option) for option in chosen))
    if applied.exit_code:
        return kept, ignored, f"the patch does not apply: {applied.output.strip()[:200]}"
    if task.test_patch:
        tested = apply_patch(sandbox, task.test_patch)
        if tested.exit_code:
            return kept, ignored, f"the test patch does not apply: {tested.output.strip()[:200]}"
    return kept, ignored, ""


def _run(sandbox: Sandbox, task: Task, changed: Sequence[str]) -> TestReport:
    return run_tests(
        sandbox,
        task.setup,
        [*task.FAIL_TO_PASS, *task.PASS_TO_PASS],
        test_seconds=_TEST_SECONDS,
        changed=[path for path in changed if path.endswith(".py")],
    )


def is_protected(path: str, protected: Sequence[str]) -> bool:
    """Whether a file belongs to the tests or is loaded by Python or pytest by itself."""
    parts = PurePosixPath(path).parts
    return (
        any(path == one.rstrip("/") or path.startswith(one.rstrip("/") + "/") for one in protected)
        or any(fnmatchcase(parts[-1], pattern) for pattern in _LOADED_BY_THEMSELVES)
        or any(fnmatchcase(part, pattern) for part in parts[:-1] for pattern in _DIRECTORIES)
    )


def _shadows(path: str, new: bool) -> bool:
    """Whether a new file at an import root takes the name of a standard module or of pytest's."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("src", "lib")]
    name = parts[0].removesuffix(".py") if parts else ""
    machinery = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
    return new and (name in sys.stdlib_module_names or name in machinery)


def _brought_in(task: Task, patch: str, kept: Sequence[str]) -> str:
    """What the patch takes from the test machinery into the code, unless the reference does so."""
    rules = {
        "brings the test machinery into": _MACHINERY,
        "imports by a computed name in": _COMPUTED_IMPORT,
    }
    for path, text in _files(patch).items():
        for what, rule in rules.items():
            ours = rule.search(task.patch)
            if path in kept and path.endswith(".py") and rule.search(text) and not ours:
                return f"the patch {what} {path}"
    return ""


def _equal_to_all(task: Task, report: TestReport, limits: Limits, sandbox: SandboxFactory) -> str:
    """The classes that equal everything, unless the reference solution has them too."""
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
    """How alike a patch is to the reference, from 0 to 1.

    The mean, over the files of the reference, of difflib's ratio between the two diffs of that
    file (0 where the patch does not touch it), after the reward of CWM's SWE environment.
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


def _lines(diff: str) -> list[str]:
    """The changed lines of a diff; headers and context would make all patches alike."""
    return [
        line
        for line in diff.split("\n")
        if line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- "))
    ]


def _files(patch: str) -> dict[str, str]:
    """The diff of each file of a patch, by its path."""
    parts = re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]
    return {
        match[1]: part
        for part in parts
        if (match := re.match(r'"?a/.*?"? "?b/(.*?)"?$', part, re.M))
    }


def _paths(patch: str) -> list[str]:
    return list(_files(patch))


def _glob(path: str) -> str:
    """A path as a pattern that matches it alone."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
