"""Issue-fix from PyPI alone: tests divide the changes between consecutive releases.

release n ─▶ image ─▶ release n+1 without some hunks ─▶ tests that need them ─▶ tasks

Hunks belong together if a test needs both. A task is the new release without the hunks of one such
set; the fix restores them. If tests that passed in release n fail without a hunk, it is no fix and
stays in.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from forager.atomic import new_directory
from forager.environments.repository.patches import parsed
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import run_tests
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import SandboxError, SourceError
from forager.images.git import commit_all, git, remove_locks, without_attributes
from forager.images.recipe import options
from forager.images.sdist import Release, download_sdist, list_releases, unpack
from forager.locks import locked
from forager.paths import data_directory
from forager.sandboxes.sandbox import Limits
from forager.scratch import scratch
from tasks.diffs import patch_between
from tasks.history import History, is_code, may_fix
from tasks.validate import TEST_SECONDS, RejectedChange, test_files

_MOST_GROUPS = 80  # most hunk groups between two releases
_METADATA = {"PKG-INFO", "setup.cfg", "MANIFEST.in", "METADATA"}  # prose about the new release
_VERSION = re.compile(r"^[+-]\s*_*version_*\b.*=", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HunkGroup:
    """The hunks in one function or class, or one hunk outside them."""

    path: str
    name: str
    hunks: Sequence[tuple[int, str]]
    """Start line in the newer release and text of each hunk."""


def patch_of(groups: Iterable[HunkGroup]) -> str:
    """The patch of these hunks, from the older to the newer release."""
    files: dict[str, list[tuple[int, str]]] = {}
    for group in groups:
        files.setdefault(group.path, []).extend(group.hunks)
    return "".join(
        f"--- a/{path}\n+++ b/{path}\n{''.join(text for _, text in sorted(hunks))}"
        for path, hunks in files.items()
    )


class Releases:
    """The releases of a project on PyPI, as tags of a git repository. Raises SourceError."""

    def __init__(self, name: str) -> None:
        self.project = name
        self.releases = list_releases(name)
        if len(self.releases) < 2:
            raise SourceError(
                f"pypi:{name} has {len(self.releases)} releases with an sdist: too few"
            )
        path = data_directory() / "histories" / f"pypi-{name}"
        with locked(f"history-{path.name}"):
            if not path.exists():
                with new_directory(path) as part:
                    git(part, "init", "--quiet", "--bare", ".")
        self.history = History(path, f"pypi:{name}=", "HEAD", f"pypi/{name}")

    def pairs(self) -> Iterator[tuple[Release, Release]]:
        """Yield each release after its predecessor, newest first."""
        yield from zip(self.releases[-2::-1], self.releases[:0:-1], strict=True)

    def commit(self, release: Release) -> str:
        """The commit with the files of a release; downloads them once. Raises SourceError."""
        tag = f"refs/tags/{release.version}"
        try:
            return git(self.history.path, "rev-parse", "--verify", "--quiet", tag).strip()
        except SourceError:
            pass
        with scratch("release") as directory:
            tree = directory / "tree"
            tree.mkdir()
            sdist = download_sdist(f"pypi:{self.project}=={release.version}")
            unpack(sdist.content, sdist.filename, tree)
            commit_all(tree)
            with locked(f"history-{self.history.path.name}"):
                remove_locks(self.history.path)
                git(self.history.path, "fetch", "--quiet", str(tree), f"+HEAD:{tag}")
        return git(self.history.path, "rev-parse", tag).strip()


def changed(history: History, before: str, after: str) -> list[str]:
    """The paths that differ between two releases."""
    names = git(history.path, "diff", "--name-only", "--no-renames", "-z", before, after)
    return [name for name in names.split("\0") if name]


def fixed_paths(paths: Sequence[str]) -> list[str]:
    """The paths that may belong to a fix, without prose about the new release."""
    return [path for path in paths if may_fix(path) and Path(path).name not in _METADATA]


def hunk_groups(history: History, before: str, after: str, paths: Sequence[str]) -> list[HunkGroup]:
    """Group the hunks of files in both releases by the function or class around them."""
    code = [path for path in paths if is_code(path) and path.endswith(".py")]
    options = ["-U1", "--no-renames", "--no-color", "--no-ext-diff", "--diff-filter=M"]
    if not code:
        return []
    diff = git(history.path, "diff", *options, before, after, "--", *code)
    grouped: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for file in parsed(diff):
        places = _places(history.text(after, file.path))
        for hunk in file:
            lines = [line.target_line_no or 0 for line in hunk if line.is_added] or [
                hunk.target_start
            ]
            name = places.get(lines[0], f"line {hunk.target_start}")
            if not _VERSION.search(str(hunk)):
                found = grouped.setdefault((file.path, name), [])
                found.append((hunk.target_start, str(hunk)))
    return [HunkGroup(path, name, hunks) for (path, name), hunks in grouped.items()]


def separated(
    task: RepositoryTask, groups: Sequence[HunkGroup], workers: int
) -> list[list[HunkGroup]]:
    """Join hunk groups that share a test into sets; sets share no tests.

    `task` is the whole change between the releases. Raises RejectedChange, SandboxError.
    """
    if len(groups) > _MOST_GROUPS:
        raise RejectedChange(f"too many changes: {len(groups)}")

    def needing(group: HunkGroup) -> set[str] | None:
        return _needing(task, group)

    with ThreadPoolExecutor(workers) as pool:
        needed = list(pool.map(needing, groups))
    sets: list[tuple[list[HunkGroup], set[str]]] = []
    for group, tests in zip(groups, needed, strict=True):
        if not tests:
            continue
        joined, rest = ([group], set(tests)), []
        for members, member_tests in sets:
            if member_tests & joined[1]:
                joined = (members + joined[0], member_tests | joined[1])
            else:
                rest.append((members, member_tests))
        sets = [*rest, joined]
    return [found for found, _ in sets]


def _needing(task: RepositoryTask, group: HunkGroup) -> set[str] | None:
    """The new tests that fail without a group; None if old tests fail too."""
    opened, _ = open_task(task, Limits(memory=task.setup.memory))
    try:
        for patch in (task.test_patch, task.patch):
            if patch and apply_patch(opened, patch).exit_code:
                raise SandboxError(f"{task.instance_id}: a patch does not apply a second time")
        if apply_patch(opened, patch_of([group]), "-R", "--recount").exit_code:
            return None
        files = test_files(task.test_patch)
        arguments = [*options(task.setup.arguments), *files]
        setup = task.setup.model_copy(update={"arguments": arguments})
        report = run_tests(opened, setup, test_seconds=TEST_SECONDS)
    finally:
        opened.close()
    passed = {test for test, outcome in report.outcomes.items() if outcome == "passed"}
    before = {test for test in task.PASS_TO_PASS if test.partition("::")[0] in files}
    return None if before - passed else set(task.FAIL_TO_PASS) - passed


def patches(
    history: History, before: str, after: str, paths: Sequence[str], groups: Sequence[HunkGroup]
) -> tuple[str, str]:
    """The patch from the old release to the new one without these groups, and the patch after it.

    Raises RejectedChange if git cannot remove the groups.
    """
    with scratch("release") as directory:
        tree = directory / "tree"
        git(directory, "clone", "--quiet", "--shared", "--no-checkout", str(history.path), "tree")
        without_attributes(tree / ".git")
        git(tree, "checkout", "--quiet", "--detach", before)
        whole = history.diff(before, after, paths)
        try:
            _apply(tree, whole)
            git(tree, "add", "--all", "--force", ".")
            full = git(tree, "write-tree").strip()
            _apply(tree, patch_of(groups), "-R", "--recount")
        except SourceError as error:
            raise RejectedChange(f"the changes cannot be taken apart: {error}") from error
        git(tree, "add", "--all", "--force", ".")
        base = git(tree, "write-tree").strip()
        return patch_between(tree, before, base), patch_between(tree, base, full)


def entries_about(
    entries: Sequence[str], groups: Sequence[HunkGroup], tests: Sequence[str]
) -> list[str]:
    """The changelog entries that name a changed function or words of its tests."""
    names = {word for group in groups for word in group.name.split(".") if len(word) > 3}
    words: Counter[str] = Counter()
    for test in tests:
        words.update(set(re.findall(r"[a-z]{4,}", test.partition("::")[2].lower())) - {"test"})
    telling = {word for word, count in words.items() if count}
    found = []
    for entry in entries:
        said = set(re.findall(r"\w+", entry))
        shared = telling & {word.lower() for word in said}
        if names & said or len(shared) > 1:
            found.append(entry)
    return found


def _apply(tree: Path, patch: str, *how: str) -> None:
    file = tree.parent / "patch"
    file.write_bytes(patch.encode("utf-8", "surrogateescape"))
    git(tree, "apply", "--whitespace=nowarn", *how, str(file))


def _places(text: str) -> dict[int, str]:
    """The qualified name of the outermost function or method for each of its lines."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, str] = {}
    waiting: list[tuple[str, ast.stmt]] = [("", statement) for statement in body]
    while waiting:
        above, node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            waiting += [(f"{above}{node.name}.", statement) for statement in node.body]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = range(first, (node.end_lineno or first) + 1)
            found.update(dict.fromkeys(lines, f"{above}{node.name}"))
    return found
