"""Reads a repository's history as a list of commits, newest first. Executes none of its code."""

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from forager.atomic import new_directory
from forager.environments.repository.protection import folder_of_tests
from forager.errors import SourceError, UsageError
from forager.images.git import (
    clone,
    foreign,
    git,
    git_bytes,
    read_files,
    remove_locks,
    update,
    without_attributes,
)
from forager.images.source import address, local_name, repository_name, split_reference
from forager.locks import locked
from forager.logins import LOGINS
from forager.mutation.files import read_source
from forager.paths import data_directory
from forager.records import writable
from tasks.diffs import patch_between

_FIELDS = ("%H", "%P", "%cI", "%aI", "%B")
# https://docs.github.com/issues/tracking-your-work-with-issues/linking-a-pull-request-to-an-issue
_CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+"
    r"(?:https?://github\.com/([\w.-]+/[\w.-]+)/issues/|([\w.-]+/[\w.-]+)?#|gh-)(\d+)",
    re.IGNORECASE,
)
_FIX = re.compile(
    r"\b(?:fix(?:e[sd]|ing)?|bug(?:fix)?s?|close[sd]?|resolve[sd]?|regression|crash\w*|incorrect\w*"
    r"|wrong\w*|broken|fail(?:s|ed|ing|ure)?|error|leak\w*|handle[sd]?|correct(?:ly|s|ed)?|avoid"
    r"|prevent\w*|missing|typo|don't|should)\b|#\d+|\bgh-\d+",
    re.IGNORECASE,
)
_PULL = re.compile(r"^Merge pull request #(\d+)|\(#(\d+)\)\s*$", re.MULTILINE)
_NOT_CODE = {"doc", "docs", "example", "examples", "benchmarks", "bench", "scripts", "ci", "tools"}
_NOT_CODE_FILES = {"setup.py", "conftest.py", "noxfile.py", "fabfile.py", "versioneer.py"}
_CODE = (".py", ".pyx", ".pxd", ".pyi", ".c", ".h", ".cpp", ".rs")
_PROSE = (".rst", ".md", ".txt", ".adoc")
_PROSE_FILES = {"authors", "changelog", "changes", "contributors", "copying", "history", "licence",
                "license", "news", "readme", "thanks", "todo"}  # fmt: skip
_SUITE = re.compile(r"(test_.*|.*_test|tests?)\.py$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit and what it changed against its first parent."""

    commit: str
    base: str
    """The first parent."""
    others: Sequence[str] = ()
    """The other parents of a merge."""
    date: str
    """Commit date, ISO 8601."""
    written: str = ""
    """Author date, ISO 8601: not after `date`."""
    message: str
    """The message; for a merge, with those of merged commits."""
    files: Sequence[str]
    """Paths that differ from the base, as git names them; surrogates stand for other bytes."""

    @property
    def pull(self) -> int:
        """The number of the merged pull request, or 0."""
        found = _PULL.search(self.message)
        return int(found[1] or found[2]) if found else 0

    def tests(self) -> list[str]:
        """The changed test files."""
        return [path for path in self.files if is_test(path)]

    def code(self) -> list[str]:
        """The changed files with the project's own code."""
        return [path for path in self.files if is_code(path)]

    def why_not(self, max_files: int) -> str:
        """Why the commit cannot be a fix, judging by git's data alone, or ""."""
        if not self.code():
            return "no code"
        if not any(_SUITE.match(PurePosixPath(path).name) for path in self.tests()):
            return "no tests"
        if len(self.files) > max_files:
            return "too many files"
        return "" if _FIX.search(_PULL.sub("", self.message)) else "no word of a fix"


def is_test(path: str) -> bool:
    """Whether a file belongs to the tests, by its name or a parent directory."""
    name = PurePosixPath(path).name
    return name == "conftest.py" or bool(_SUITE.match(name) or folder_of_tests(path))


def is_code(path: str) -> bool:
    """Whether a file contains the project's own code."""
    *directories, name = PurePosixPath(path).parts
    return (
        name.endswith(_CODE)
        and name not in _NOT_CODE_FILES
        and not is_test(path)
        and (not directories or directories[0] not in _NOT_CODE)
    )


def is_prose(path: str) -> bool:
    """Whether a file is prose, such as documentation or the changelog."""
    *directories, name = PurePosixPath(path).parts
    return (
        name.endswith(_PROSE)
        or name.lower() in _PROSE_FILES
        or bool(directories and directories[0] in ("doc", "docs"))
    )


def may_fix(path: str) -> bool:
    """Whether a file can belong to a fix: it is no test, no prose and no dot file."""
    return not is_test(path) and not is_prose(path) and not path.startswith(".")


def closed_by(text: str, repo: str) -> list[int]:
    """The issues of a repository that a text closes by GitHub's keywords.

    >>> closed_by("Fixes #12, closes other/place#3 and resolves gh-4", "owner/name")
    [12, 4]
    """
    return [
        int(number)
        for elsewhere, short, number in _CLOSING.findall(text)
        if (elsewhere or short or repo).lower() == repo.lower()
    ]


class History:
    """A clone of a repository, and the branch or commit whose history it gives."""

    def __init__(self, path: Path, source: str, reference: str, name: str) -> None:
        self.path = path
        self._source, self._reference = source, reference
        self.name = name
        """Name of the repository: 'owner/name'."""

    def source_at(self, commit: str) -> str:
        """The SOURCE with the files of a commit."""
        return f"{self._source}@{commit}"

    def changes(self) -> Iterator[Commit]:
        """The commits that have a parent, newest first."""
        mark = secrets.token_hex(16)  # a message may hold any character
        options = ["--topo-order", "--diff-merges=first-parent", "--name-only", "--no-renames",
                   "--ignore-submodules=all"]  # fmt: skip
        told = git(self.path, "log", "-z", *options,
                   f"--format={mark}{mark.join(_FIELDS)}{mark}", self._reference, "--")  # fmt: skip
        _, *values = told.split(mark)
        size = len(_FIELDS) + 1
        for start in range(0, len(values), size):
            commit, parents, date, written, message, files = values[start : start + size]
            if not parents:
                continue
            base, *others = parents.split()
            yield Commit(
                commit=commit, base=base, others=others, date=date, written=written,
                message=writable(message).strip(),
                files=[name for name in files.removeprefix("\0\n").split("\0") if name],
            )  # fmt: skip

    def merged(self, change: Commit) -> list[str]:
        """The commits that a merge brought in, newest first."""
        if not change.others:
            return []
        return git(self.path, "rev-list", *change.others, f"^{change.base}").split()

    def told(self, change: Commit) -> str:
        """The message of a commit; for a merge, with the messages of the merged commits."""
        if not change.others:
            return change.message
        brought = [*change.others, f"^{change.base}"]
        told = git(self.path, "log", "-z", "--no-merges", "--format=%B", *brought)
        texts = [writable(text).strip() for text in told.split("\0")]
        return "\n\n".join([change.message, *filter(None, texts)])

    def diff(self, before: str, after: str, paths: Sequence[str] = ()) -> str:
        """The patch from one commit to another, for `git apply`."""
        return patch_between(self.path, before, after, paths)

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether a commit is in the history of another commit."""
        return git(self.path, "merge-base", commit, of).strip() == commit

    def text(self, commit: str, path: str) -> str:
        """The text of a file at a commit; empty if the file does not exist."""
        try:
            data = git_bytes(self.path, "cat-file", "blob", f"{commit}:{path}")
        except SourceError:
            return ""
        return _text(data)

    def texts(self, commit: str) -> dict[str, str]:
        """The texts of a commit's code files by path."""
        files = read_files(self.path, commit, is_code)
        return {path: _text(data) for path, data in files.items()}

    @property
    def tip(self) -> str:
        """The commit at which the history ends."""
        return self._reference

    def roots(self) -> set[str]:
        """The commits without parents; a repository shares them with its forks."""
        return set(git(self.path, "rev-list", "--max-parents=0", self._reference).split())


def spread(history: History, count: int) -> list[str]:
    """The SOURCEs of commits all over a history, newest first.

    The commits that change code or tests are taken apart into `count` equal parts; of each part the
    newest commit is chosen.
    """
    chosen = [
        change.commit
        for change in history.changes()
        if any(is_code(name) or is_test(name) for name in change.files)
    ]
    places = sorted({number * len(chosen) // count for number in range(count)}) if chosen else []
    return [history.source_at(chosen[place]) for place in places]


def open_history(source: str, *, name: str = "") -> History:
    """Clone the whole history of a path or git URL[@ref], or update an earlier clone.

    `name` overrides the name in the address. Raises SourceError; UsageError for a shallow clone.
    """
    source = LOGINS.take(source)
    url, reference = split_reference(source)
    url = address(url)
    directory = _directory() / hashlib.sha256(url.encode()).hexdigest()[:16]
    with locked(f"history-{directory.name}"):
        if directory.exists():
            remove_locks(directory)
            without_attributes(directory)
            update(directory)
        else:
            with new_directory(directory) as part:
                clone(url, part, "--mirror")
    if git(directory, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise UsageError(f"{source} is a shallow clone: run `git fetch --unshallow` in it")
    return History(directory, url, _resolved(directory, reference), name or _name(url))


def _resolved(directory: Path, reference: str) -> str:
    for candidate in (reference, f"origin/{reference}") if reference else ("HEAD",):
        try:
            wanted = f"{candidate}^{{commit}}"
            return git(directory, "rev-parse", "--verify", "--quiet", wanted).strip()
        except SourceError:
            continue
    raise SourceError(f"the repository has no branch, tag or commit '{reference or 'HEAD'}'")


def _name(url: str) -> str:
    """The repository's name; for a local repository, the name of its origin if it has one."""
    if not url.startswith("file://"):
        return repository_name(url)
    path = Path(unquote(url.removeprefix("file://")))
    with foreign(path) as found:
        origin = found.origin if found else ""
    return repository_name(origin) if origin else local_name(path)


def _text(data: bytes) -> str:
    text = read_source(data)
    return data.decode(errors="replace") if text is None else writable(text)


def _directory() -> Path:
    path = data_directory() / "histories"
    path.mkdir(parents=True, exist_ok=True)
    return path
