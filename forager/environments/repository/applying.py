"""Applies the part of an answer that may count, and names the files that it ignores.

Grading judges what git makes of a patch. It ignores changes to tests, to their configuration, to
files that Python or pytest load by themselves, and new modules that would replace the image's.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

from pydantic import TypeAdapter

from forager.environments.repository.programs import run_program
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import ALWAYS
from forager.environments.repository.workspace import apply_patch
from forager.errors import TaskError
from forager.sandboxes.sandbox import Sandbox
from forager.untrusted import Report

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
_LINKS = ("120000", "160000")  # git's modes of symbolic links and submodules
_SAME = re.compile(r'"?a/(.*?)"? "?b/\1"?$', re.MULTILINE)  # first line of a file's diff
_RENAMED = re.compile(r'"?a/.*?"? "?b/(.*?)"?$', re.MULTILINE)
_PATCH, _PATHS, _INDEX = "/tmp/forager.patch", "/tmp/forager.paths", "/tmp/forager.index"
_GIT = f"GIT_INDEX_FILE={_INDEX} git"
_DIFF = f"{_GIT} diff --cached --no-renames --no-color --no-ext-diff --no-textconv"
_NOT_FOUND = 127  # exit code of `env` if the interpreter does not exist
_LIST_LIMIT, _TEXT_LIMIT = 8 << 20, 64 << 20  # bytes


class AppliedPatch(NamedTuple):
    """The kept and the ignored files, the diff of the kept files, and the problem if any."""

    kept: list[str] = []
    ignored: list[str] = []
    text: str = ""
    problem: str = ""


def apply_answer(sandbox: Sandbox, task: RepositoryTask, patch: str) -> AppliedPatch:
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
        return AppliedPatch(problem=f"the patch {how}: {listed.output.strip()[:200]}")
    if listed.omitted:
        return AppliedPatch(problem="the patch changes too many files")
    entries = iter(listed.output.split("\0")[:-1])
    changed = {path: meta[1:].split(" ") for meta, path in zip(entries, entries, strict=True)}
    allowed = set(changes_by_file(task.patch))
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
    done = AppliedPatch([path for path in changed if path not in ignored], sorted(ignored))
    if not done.kept:
        return done._replace(
            problem="nothing was changed outside the tests and their configuration"
        )
    return _keep(sandbox, task, done)


def _keep(sandbox: Sandbox, task: RepositoryTask, done: AppliedPatch) -> AppliedPatch:
    """Apply the kept changes to the working tree, and then the hidden tests."""
    sandbox.write(_PATHS, "\0".join(done.ignored).encode("utf-8", "surrogateescape"))
    compared = ["*.py", *(f":(literal){path}" for path in changes_by_file(task.patch))]
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


class _Taken(Report):
    taken: str


class _End(Report):
    end: bool


_SHADOWS: TypeAdapter[_Taken | _End] = TypeAdapter(_Taken | _End)


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
        sandbox, task.setup, "shadows", request, _SHADOWS, timeout=120, output_limit=_LIST_LIMIT
    )
    if run.reports and isinstance(run.reports[-1], _End):
        return {report.taken for report in run.reports if isinstance(report, _Taken)}
    if run.exit_code == _NOT_FOUND:
        return set()
    raise TaskError(f"nothing can say which modules the patch replaces: {run.ending}")


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


def changes_by_file(patch: str) -> dict[str, str]:
    """The changes of a patch by file path, without headers."""
    found: dict[str, str] = {}
    for part in re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]:
        if match := _SAME.match(part) or _RENAMED.match(part):
            _, hunk, changes = part.partition("\n@@")
            found[match[1]] = found.get(match[1], "") + hunk + changes
    return found
