"""Applies the part of an answer that may count, and names what it leaves out.

Everything is decided in an index of git (`staging`) before the working tree changes, so that git
says what a patch changes, and nothing of the answer can run meanwhile.

- Left out: the tests and what they read, files that Python or pytest load by themselves
  (`protection`), links, files that the image has but git does not know, and new modules in the
  place of one that the image or the tests use (the program `shadows`).
- Of settings and tests that the reference changes, its own hunks stay if the answer has them.
- Docstrings that are tests keep the reference's examples, and modules of the package that the tests
  may use, such as its `testing`, keep all that they have (the program `merging`).

What remains possible: code that is applied can change anything when it runs.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import TypeAdapter

from forager.environments.repository.mentions import read_mentions
from forager.environments.repository.patches import changes_by_file
from forager.environments.repository.programs import run_program
from forager.environments.repository.protection import TestPaths, loads_itself
from forager.environments.repository.staging import (
    PathChange,
    SharedHunks,
    StagedPatch,
    TooLarge,
    shared_hunks,
)
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import always
from forager.errors import TaskError
from forager.sandboxes.sandbox import CommandResult, Sandbox
from forager.untrusted import Items, Report

_NOTHING = "nothing was changed outside the tests and their configuration"
_NOT_FOUND = 127  # exit code of `env` if the interpreter does not exist
_LIST_LIMIT = 8 << 20  # bytes
_SECONDS = 120  # of one program
_MOST_MODULES = 5000  # new ones in a patch


class _Taken(Report):
    taken: str


class _End(Report):
    end: bool


_SHADOWS: TypeAdapter[_Taken | _End] = TypeAdapter(_Taken | _End)


class _MergedFile(Report):
    """`lost` names what is not in the merged file; `unclear`: nothing can be merged."""

    path: str
    merged: bool = False
    lost: Items[str] = []
    unclear: bool = False


_MERGED = TypeAdapter(_MergedFile)


class AppliedPatch(NamedTuple):
    """The kept and the ignored changes, the diff of the kept files, and the problem if any.

    `kept` are paths; `ignored` are paths and ids of doctests. A path is in both if only a part of
    its changes is applied. All of them are printable.
    """

    kept: list[str] = []
    ignored: list[str] = []
    text: str = ""
    problem: str = ""


def apply_answer(sandbox: Sandbox, task: RepositoryTask, patch: str) -> AppliedPatch:
    """Apply the allowed part of a patch, and then the hidden tests.

    Raises TaskError if a program of ours crashes in the image, and SandboxError.
    """
    place = f"/tmp/forager.{secrets.token_hex(8)}"
    try:
        return _Answer(sandbox, task, place).apply(patch)
    except TooLarge as error:
        return AppliedPatch(problem=str(error))
    finally:
        sandbox.run(f"rm -f {place}.*")


class _Answer:
    """One answer on its way into the working tree of a sandbox."""

    def __init__(self, sandbox: Sandbox, task: RepositoryTask, place: str) -> None:
        self._sandbox, self._task, self._place = sandbox, task, place
        self._stage = StagedPatch(sandbox, f"{place}.answer")
        self._reference = StagedPatch(sandbox, f"{place}.reference")
        self._hidden = StagedPatch(sandbox, f"{place}.hidden")
        self._touched: set[bytes] = set()
        self._tests = TestPaths(task, ())
        self._ours = set(changes_by_file(task.patch))
        self._code = self._ours | set(changes_by_file(task.setup_patch))

    def apply(self, patch: str) -> AppliedPatch:
        """Decide about every path, then change the working tree."""
        begun = self._stage.begin(patch)
        if begun.exit_code:
            how = "does not apply" if begun.exit_code == 1 else "is malformed"
            return AppliedPatch(problem=f"the patch {how}: {begun.output.strip()[:200]}")
        if self._task.test_patch:
            hidden = self._read_hidden(self._task.test_patch)
            if hidden.exit_code:
                return AppliedPatch(problem=_fails("the test patch", hidden))
        changes = self._stage.changes()
        left_out = self._left_out(changes)
        kept = [change.name for change in changes if change not in left_out]
        refused = [change.name for change in changes if change in left_out]
        doctests = {path: names for path, names in self._tests.doctests().items() if path in kept}
        helpers = [change.name for change in changes if self._is_helper(change)]
        if doctests or helpers or not self._ours.isdisjoint(refused):
            self._reference.begin(self._task.patch)  # stays HEAD if the reference does not apply
        shared = self._shared([path for path in refused if path in self._ours])
        self._stage.reset([change.path for change in left_out])
        self._stage.add("".join(hunks.patch for hunks in shared.values()))
        ignored = {path for path in refused if path not in shared or not shared[path].whole}
        merged = self._merge({**dict.fromkeys(helpers), **doctests})
        unclear = {report.path for report in merged if report.unclear}
        ignored |= unclear | {
            self._tests.id(report.path, name) for report in merged for name in report.lost
        }
        done = AppliedPatch(
            kept=[*(path for path in kept if path not in unclear), *shared],
            ignored=sorted(ignored),
        )
        return self._finish(done) if done.kept else done._replace(problem=_NOTHING)

    def _read_hidden(self, patch: str) -> CommandResult:
        """Stage the hidden tests: the paths that they change, delete or rename are the tests'."""
        begun = self._hidden.begin(patch)
        if not begun.exit_code:
            changes = self._hidden.changes()
            self._touched = {change.path for change in changes}
            self._tests = TestPaths(self._task, [change.name for change in changes])
        return begun

    def _left_out(self, changes: Sequence[PathChange]) -> set[PathChange]:
        """The changes that are not taken from the answer."""
        found = {change for change in changes if self._belongs_to_tests(change)}
        rest = [change for change in changes if change not in found]
        found.update(self._in_place_of_helpers(rest))
        found.update(self._read_by_tests([change for change in rest if not change.is_python]))
        found.update(self._in_place_of_others([change for change in rest if change.is_python]))
        stay = {change.path for change in found} | self._touched
        return found | set(_in_the_way(changes, stay))

    def _belongs_to_tests(self, change: PathChange) -> bool:
        """Whether a change is left out by names and modes alone."""
        name = change.name
        if change.odd or change.link or change.untracked or loads_itself(name):
            return True
        if change.is_python and name in self._code and not self._tests.hold(name):
            return False
        if change.is_python and change.status in "AM" and self._tests.may_help(name):
            return False
        return self._tests.are(name, new=change.new)

    def _is_helper(self, change: PathChange) -> bool:
        """Whether a change is to a module that the tests may use, though it is none of them."""
        code = change.name in self._code or not change.is_python
        return not code and change.status == "M" and self._tests.may_help(change.name)

    def _in_place_of_helpers(self, changes: Sequence[PathChange]) -> Iterator[PathChange]:
        """The new modules in a protected package that take the place of a module there."""
        new = [change for change in changes if change.new and self._tests.may_help(change.name)]
        if not new:
            return
        listed = self._sandbox.run("git ls-files -z", output_limit=_LIST_LIMIT)
        if listed.omitted:
            raise TooLarge("the repository has too many files to say what the patch replaces")
        known = listed.output.split("\0")
        taken = {*known, *(folder for path in known for folder in _folders(path))}
        for change in new:
            path = change.name.removesuffix(".py")
            if path in taken or any(f"{folder}.py" in taken for folder in _folders(path)):
                yield change

    def _read_by_tests(self, changes: Sequence[PathChange]) -> Iterator[PathChange]:
        """The data files that the tests name, unless the reference changes them for the code."""
        if not changes:
            return
        mentions = read_mentions(
            self._sandbox, [change.name for change in changes], self._tests.scopes
        )
        for change in changes:
            of_code = change.name in self._ours and mentions.by_code(change.name)
            if not of_code and mentions.by_tests(change.name, new=change.new):
                yield change

    def _in_place_of_others(self, changes: Sequence[PathChange]) -> Iterator[PathChange]:
        """The new modules in the place of those that the image's Python or the tests use."""
        new = {change.name: change for change in changes if change.new}
        asked = [name for name in new if name not in self._ours]
        if not asked:
            return
        if len(asked) > _MOST_MODULES:
            raise TooLarge("the patch adds too many modules")
        request = {
            "new": asked,
            "arguments": [*always(), *self._task.setup.arguments],
            "tests": self._tests.collected,
            "scopes": self._tests.scopes,
        }
        run = run_program(
            self._sandbox,
            self._task.setup,
            "shadows",
            request,
            _SHADOWS,
            timeout=_SECONDS,
            output_limit=_LIST_LIMIT,
        )
        if run.reports and isinstance(run.reports[-1], _End):
            yield from (new[report.taken] for report in run.reports if isinstance(report, _Taken))
        elif run.exit_code != _NOT_FOUND:
            raise TaskError(f"nothing can say which modules the patch replaces: {run.ending}")

    def _shared(self, paths: Iterable[str]) -> dict[str, SharedHunks]:
        """By path, the hunks that the reference has as well; without the paths that share none."""
        found = {
            path: shared_hunks(self._stage.diff(path), self._reference.diff(path)) for path in paths
        }
        return {path: hunks for path, hunks in found.items() if hunks.patch}

    def _merge(self, files: Mapping[str, list[str] | None]) -> list[_MergedFile]:
        """Bring back what the tests use, in the index.

        Takes by path the names of objects with doctests, or None for a helper of the tests.
        """
        places: dict[str, str] = {}
        for number, path in enumerate(files):
            place = f"{self._place}.merging.{number}"
            if self._reference.write_out(path, f"{place}.original"):
                self._stage.write_out(path, f"{place}.answer")
                places[path] = place
        if not places:
            return []
        asked = [
            {"path": path, "place": place, "names": files[path]} for path, place in places.items()
        ]
        run = run_program(
            self._sandbox,
            self._task.setup,
            "merging",
            {"files": asked},
            _MERGED,
            timeout=_SECONDS,
            output_limit=_LIST_LIMIT,
            isolated=True,
        )
        # A file can make the program end without a report, by the memory that parsing takes.
        reported = {report.path: report for report in run.reports}
        done = [reported.get(path, _MergedFile(path=path, unclear=True)) for path in places]
        for report in done:
            if report.unclear:
                self._stage.reset([report.path.encode()])
            elif report.merged:
                self._stage.take_in(report.path, f"{places[report.path]}.merged")
        return done

    def _finish(self, done: AppliedPatch) -> AppliedPatch:
        """Change the working tree, and apply the hidden tests."""
        done = done._replace(text=self._stage.text(self._ours))
        applied = self._stage.apply()
        if applied.exit_code:
            return done._replace(problem=_fails("the patch", applied))
        if self._task.test_patch and (tested := self._hidden.apply()).exit_code:
            return done._replace(problem=_fails("the test patch", tested))
        return done


def _fails(what: str, applied: CommandResult) -> str:
    return f"{what} does not apply: {applied.output.strip()[:200]}"


def _in_the_way(changes: Sequence[PathChange], left_out: set[bytes]) -> Iterator[PathChange]:
    """The changes that make a file of a folder, or a folder of a file, which stays as it is."""
    names = {path.decode("utf-8", "surrogateescape") for path in left_out}
    folders = {folder for name in names for folder in _folders(name)}
    for change in changes:
        name = change.path.decode("utf-8", "surrogateescape")
        if name in folders or not names.isdisjoint(_folders(name)):
            yield change


def _folders(path: str) -> Iterator[str]:
    """The folders above a path."""
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))
