"""The history of a repository as a list of changes, newest first. Nothing of it is executed."""

import hashlib
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from pydantic import Field

from forager.atomic import new_directory
from forager.errors import SourceError, UsageError
from forager.images.git import clone, foreign, git, update
from forager.images.layout import TEST_DIRECTORIES
from forager.images.source import address, repository_name, split_reference
from forager.locks import locked
from forager.paths import data_directory
from forager.records import Record

_FIELDS, _RECORDS = "\x1f", "\x1e"
_FORMAT = f"%x1e{_FIELDS.join(('%H', '%P', '%cI', '%aI', '%B'))}{_FIELDS}".replace("\x1f", "%x1f")
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
_SUITE = re.compile(r"(test_.*|.*_test|tests?)\.py$", re.IGNORECASE)


class Change(Record):
    """What a commit changed, against its first parent."""

    commit: str
    base: str = Field(description="The first parent.")
    others: list[str] = Field([], description="The other parents, of a merge.")
    date: str = Field(description="When it was committed, ISO 8601.")
    written: str = Field("", description="When it was written, ISO 8601: not after `date`.")
    message: str = Field(description="What was written of it; of a merge, of all that it brought.")
    files: list[str] = Field(description="Paths that differ from the base.")

    @property
    def pull(self) -> int:
        """The number of the pull request that it merges, or 0."""
        found = _PULL.search(self.message)
        return int(found[1] or found[2]) if found else 0

    def tests(self) -> list[str]:
        """The changed files that belong to the tests."""
        return [path for path in self.files if is_test(path)]

    def code(self) -> list[str]:
        """The changed files that hold the project's code."""
        return [path for path in self.files if is_code(path)]

    def why_not(self, max_files: int) -> str:
        """Why it is no candidate by what git tells, or nothing."""
        if not self.code():
            return "no code"
        if not any(_SUITE.match(PurePosixPath(path).name) for path in self.tests()):
            return "no tests"
        if len(self.files) > max_files:
            return "too many files"
        return "" if _FIX.search(_PULL.sub("", self.message)) else "no word of a fix"


def is_test(path: str) -> bool:
    """Whether a file belongs to the tests: by its name, or by a directory above it."""
    *directories, name = PurePosixPath(path).parts
    return (
        name == "conftest.py"
        or bool(_SUITE.match(name))
        or not set(TEST_DIRECTORIES).isdisjoint(directories)
    )


def is_code(path: str) -> bool:
    """Whether a file holds the project's own code."""
    *directories, name = PurePosixPath(path).parts
    return (
        name.endswith(_CODE)
        and name not in _NOT_CODE_FILES
        and not is_test(path)
        and (not directories or directories[0] not in _NOT_CODE)
    )


def is_prose(path: str) -> bool:
    """Whether a file tells people what changed: documentation, the changelog."""
    *directories, name = PurePosixPath(path).parts
    return name.endswith(_PROSE) or bool(directories and directories[0] in ("doc", "docs"))


def may_fix(path: str) -> bool:
    """Whether a file can belong to a fix: not to the tests, to words about it, or to services."""
    return not is_test(path) and not is_prose(path) and not path.startswith(".")


def closed_by(text: str, repo: str) -> list[int]:
    """The issues of a repository that a text closes, by GitHub's keywords.

    >>> closed_by("Fixes #12, closes other/place#3 and resolves gh-4", "owner/name")
    [12, 4]
    """
    return [
        int(number)
        for elsewhere, short, number in _CLOSING.findall(text)
        if (elsewhere or short or repo).lower() == repo.lower()
    ]


class History:
    """A clone of a repository, with all that its branch holds."""

    def __init__(self, path: Path, source: str, reference: str, name: str) -> None:
        self.path = path
        self._source, self._reference = source, reference
        self.name = name
        """As of a repository: 'owner/name'."""

    def source_at(self, commit: str) -> str:
        """The SOURCE that gives the files of a commit."""
        return f"{self._source}@{commit}"

    def changes(self) -> Iterator[Change]:
        """The commits that have a parent, newest first."""
        options = ["--topo-order", "--diff-merges=first-parent", "--name-only", "--no-renames"]
        told = git(self.path, "-c", "core.quotePath=false", "log", *options,
                   f"--format={_FORMAT}", self._reference, "--")  # fmt: skip
        for record in told.split(_RECORDS)[1:]:
            commit, parents, date, written, message, files = record.split(_FIELDS)
            if not parents:
                continue
            base, *others = parents.split()
            yield Change(
                commit=commit, base=base, others=others, date=date, written=written,
                message=message.strip(), files=[line for line in files.split("\n") if line],
            )  # fmt: skip

    def merged(self, change: Change) -> list[str]:
        """The commits that a merge brought in, newest first."""
        if not change.others:
            return []
        return git(self.path, "rev-list", *change.others, f"^{change.base}").split()

    def told(self, change: Change) -> str:
        """What was written of a change and of the commits that it brought in."""
        if not change.others:
            return change.message
        brought = [*change.others, f"^{change.base}"]
        texts = git(self.path, "log", "--no-merges", "--format=%B%x1e", *brought).split(_RECORDS)
        return "\n\n".join([change.message, *(text.strip() for text in texts if text.strip())])

    def diff(self, before: str, after: str, paths: Sequence[str] = ()) -> str:
        """What `git apply` needs to go from one commit to the other."""
        options = ["--binary", "--full-index", "--no-renames", "--no-color", "--no-ext-diff"]
        limited = ["--", *(f":(literal){path}" for path in paths)]
        return git(self.path, "diff", *options, before, after, *limited)

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether a commit is in the history of another one."""
        return git(self.path, "merge-base", commit, of).strip() == commit

    def text(self, commit: str, path: str) -> str:
        """A file as it is at a commit; empty where there is none."""
        try:
            return git(self.path, "show", f"{commit}:{path}")
        except SourceError:
            return ""

    def texts(self, commit: str) -> dict[str, str]:
        """The code of a commit by its paths."""
        with tempfile.TemporaryDirectory(prefix="forager-history-") as name:
            archive = Path(name) / "archive.tar"
            git(self.path, "archive", "-o", str(archive), commit)
            with tarfile.open(archive) as opened:
                return {
                    member.name: file.read().decode(errors="replace")
                    for member in opened
                    if is_code(member.name) and (file := opened.extractfile(member))
                }

    @property
    def tip(self) -> str:
        """The commit whose history it is."""
        return self._reference

    def roots(self) -> set[str]:
        """The commits without parents, which forks of a repository share."""
        return set(git(self.path, "rev-list", "--max-parents=0", self._reference).split())


def open_history(source: str, *, name: str = "") -> History:
    """Clone the whole history of a path or git URL[@ref], or bring an earlier clone up to date.

    `name` overrides what the address says. Raises SourceError.
    """
    url, reference = split_reference(source)
    url = address(url)
    directory = _directory() / hashlib.sha256(url.encode()).hexdigest()[:16]
    with locked(f"history-{directory.name}"):
        if directory.exists():
            update(directory)
        else:
            with new_directory(directory) as part:
                clone(url, part, "--mirror")
    if git(directory, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise UsageError(f"{source} is a shallow clone: give one with its history")
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
    """Of a local repository that of its origin, where it has one."""
    if not url.startswith("file://"):
        return repository_name(url)
    path = Path(unquote(url.removeprefix("file://")))
    with foreign(path) as found:
        origin = found.origin if found else ""
    return repository_name(origin) if origin else f"local/{path.name}"


def _directory() -> Path:
    path = data_directory() / "histories"
    path.mkdir(parents=True, exist_ok=True)
    return path
