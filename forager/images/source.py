"""From a SOURCE to a git working tree: a path, a git URL[@ref], or pypi:NAME[==VERSION].

Nothing of the source is executed here: files are copied, cloned without hooks, or unpacked.
"""

import datetime
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

from pydantic import Field

from forager.errors import SourceError
from forager.images.git import (
    Foreign,
    clone,
    commit_all,
    foreign,
    git,
    quiet_git,
    update,
)
from forager.images.layout import guess_licence
from forager.images.sdist import download_sdist, unpack
from forager.logins import LOGINS, without_login
from forager.paths import data_directory
from forager.records import Record
from forager.scratch import scratch

_SKIPPED = {"__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules"}
_SKIPPED |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".eggs"}
_SUBDIRECTORY = "#subdirectory="
_RECENT = datetime.timedelta(days=60)  # in which versions hardly drift
_DATE = ("log", "-1", "--format=%cs")
_OUTPUTS = {"build", "dist"}  # only at the top: further down they may be packages


class Source(Record):
    """The files that were fetched, and their origin."""

    given: str = Field(description="The SOURCE as it was typed.")
    kind: Literal["path", "git", "pypi"]
    name: str = Field(description="'owner/name' of a repository, 'pypi/name' or 'local/name'.")
    version: str = Field("", description="Release, or the last tag; empty without one.")
    commit: str = Field("", description="Commit of the origin; empty without a repository.")
    date: str = Field("", description="Day of the commit or of the release; empty if unknown.")
    licence: str = ""
    digest: str = Field(description="'sha256:…' of the sdist, else 'tree:…' of the git tree.")
    subdirectory: str = Field("", description="The package of a monorepo; empty for the top.")
    url: str = Field("", description="Where the files came from, without credentials.")

    @property
    def old_day(self) -> datetime.date | None:
        """The day of the files if it is so long ago that versions have drifted since."""
        try:
            day = datetime.date.fromisoformat(self.date)
        except ValueError:
            return None
        today = datetime.datetime.now(datetime.UTC).date()
        return day if today - day > _RECENT else None


def check_source(source: str) -> None:
    """Raise SourceError if a SOURCE is none, as far as this shows without a network."""
    if not source or source.startswith("-"):
        raise SourceError(
            f"'{source}' is not a SOURCE: give a path, a git URL[@ref] or pypi:NAME[==VERSION]"
        )
    whole, mark, _ = source.rpartition(_SUBDIRECTORY)
    given = whole if mark else source
    if not given.startswith("pypi:") and not _expanded(given).is_dir():
        address(split_reference(given)[0])


def fetch(source: str, into: Path) -> Source:
    """Put the files of a SOURCE into the empty directory `into` as a git working tree.

    Raises SourceError with one line that says what to do.
    """
    check_source(source)
    source = LOGINS.take(source)
    into.mkdir(parents=True, exist_ok=True)
    whole, mark, folder = source.rpartition(_SUBDIRECTORY)
    if mark:
        return _fetch_package(source, whole, folder, into)
    if source.startswith("pypi:"):
        return _fetch_pypi(source, into)
    path = _expanded(source)
    if path.is_dir() and not _is_bare(path):
        return _fetch_path(source, path.resolve(), into)
    return _fetch_git(source, into)


def _fetch_package(source: str, whole: str, folder: str, into: Path) -> Source:
    """Fetch one package of a monorepo: the folder becomes the whole tree."""
    with scratch("monorepo") as directory:
        fetched = fetch(whole, directory / "whole")
        package = directory / "whole" / folder
        parts = PurePosixPath(folder).parts
        inside = parts and not {"..", "/"} & {*parts} and package.is_dir()
        if not inside or package.resolve() != (directory / "whole").resolve() / folder:
            raise SourceError(f"{source}: the source has no folder '{folder}'")
        names = tracked_files(directory / "whole")
        below = [name for name in names if PurePosixPath(name).is_relative_to(folder)]
        _copy([name.removeprefix(f"{folder}/") for name in below], package, into)
    commit_all(into)
    update = {
        "given": source,
        "subdirectory": folder,
        "licence": fetched.licence or guess_licence(into),
        "digest": "tree:" + git(into, "rev-parse", "HEAD^{tree}").strip(),
    }
    return fetched.model_copy(update=update)


def tracked_files(tree: Path) -> list[str]:
    """Return the tracked files of a working tree, submodules left out."""
    names = git(tree, "ls-files", "-z").split("\0")
    return [name for name in names if name and _is_file(tree, name)]


def _is_file(tree: Path, name: str) -> bool:
    """Whether a path is a file or a link, reached without following a link."""
    path = tree / name
    above = (path.parents[depth] for depth in reversed(range(name.count("/"))))
    return not any(folder.is_symlink() for folder in above) and (
        path.is_symlink() or path.is_file()
    )


def _fetch_pypi(source: str, into: Path) -> Source:
    sdist = download_sdist(source)
    unpack(sdist.content, sdist.filename, into)
    commit_all(into)
    return Source(
        given=source,
        kind="pypi",
        name=f"pypi/{sdist.name}",
        version=sdist.version,
        commit=git(into, "rev-parse", "HEAD").strip(),
        date=sdist.date,
        licence=sdist.licence or guess_licence(into),
        digest=f"sha256:{hashlib.sha256(sdist.content).hexdigest()}",
        url=without_login(sdist.url),
    )


def _fetch_path(source: str, path: Path, into: Path) -> Source:
    """Copy a user's tree with uncommitted work, without ignored files."""
    with foreign(path) as found:
        names = _listed_by_git(found, path) if found else []
        if not names and (found is None or found.tree != path):  # a build below a repository
            found, names = None, _listed_by_walk(path)
        own = data_directory().resolve()  # which may lie in the tree
        names = [name for name in names if not (path / name).is_relative_to(own)]
        _copy(names, path, into)
        commit_all(into)
        origin = found.origin if found else ""
        return Source(
            given=source,
            kind="path",
            name=repository_name(origin) if origin else local_name(path),
            version=_version(found.ask) if found else "",
            commit=found.ask("rev-parse", "--verify", "HEAD") if found else "",
            date=found.ask(*_DATE) if found else "",
            licence=guess_licence(into),
            digest="tree:" + git(into, "rev-parse", "HEAD^{tree}").strip(),
            url=origin or path.as_uri(),
        )


def _listed_by_git(found: Foreign, path: Path) -> list[str]:
    """The files of a directory that git tracks or does not ignore."""
    listed = found.run(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted({name for name in listed.split("\0") if name})


def _copy(names: list[str], path: Path, into: Path) -> None:
    for name in names:
        if not _is_file(path, name):
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(path / name, into / name, follow_symlinks=False)
        except OSError as error:
            raise SourceError(f"{path / name} cannot be read: {error.strerror}") from error
    if not any(into.iterdir()):
        raise SourceError(f"{path} holds no files")


def _fetch_git(source: str, into: Path) -> Source:
    url, reference = split_reference(source)
    url = address(url)
    clone(url, into, "--no-checkout", "--filter=blob:none")
    commit = _resolve(into, reference) if reference else "HEAD"
    if not quiet_git(into, "rev-parse", "--verify", "--quiet", commit):
        raise SourceError(f"{url} holds no commit")
    git(into, "checkout", "--quiet", "--detach", commit, network=True)  # which brings the files
    return Source(
        given=source,
        kind="git",
        name=repository_name(url),
        version=_version(lambda *asked: quiet_git(into, *asked)),
        commit=git(into, "rev-parse", "HEAD").strip(),
        date=quiet_git(into, *_DATE),
        licence=guess_licence(into),
        digest="tree:" + git(into, "rev-parse", "HEAD^{tree}").strip(),
        url=without_login(url),
    )


def address(url: str) -> str:
    """The URL to clone from: as it is, or that of a directory. Raises SourceError."""
    if re.match(r"(https?|ssh|git|file)://", url):
        return url
    local = _local(url)
    if local.is_dir():
        return local.resolve().as_uri()
    if re.match(r"[\w.-]+@[\w.-]+:", url):
        return url
    raise SourceError(
        f"{url} is neither a directory nor a git URL (https://…, ssh://…, git@host:path)"
    )


def split_reference(source: str) -> tuple[str, str]:
    """Split URL[@ref] or PATH[@ref]; a path that exists is a path, whatever its name.

    The '@' of 'git@host', of 'https://user@host' and of a folder '/@name' starts no reference.

    >>> split_reference("git@github.com:owner/name.git@v1.0")
    ('git@github.com:owner/name.git', 'v1.0')
    """
    signs = [found.start() for found in re.finditer("@", source)]
    if not re.match(r"(?!file:)[a-z+]+://", source):
        for end in (len(source), *reversed(signs)):
            if source[:end] and _local(source[:end]).is_dir():
                return _divided(source, end)
    authority = re.match(r"[a-z+]+://[^/]*|[\w.-]+@[\w.-]+:", source)
    start = authority.end() if authority else 0
    found = [at for at in signs if at >= start and source[at - 1 : at] != "/"]
    return _divided(source, found[0] if found else len(source))


def _divided(source: str, end: int) -> tuple[str, str]:
    """What is before an '@', and what follows it. Raises SourceError if that names nothing."""
    reference = source[end + 1 :]
    if end < len(source) and (not reference or reference.startswith("-")):
        raise SourceError(f"{source}: a branch, tag or commit is missing after the '@'")
    return source[:end], reference


def _local(url: str) -> Path:
    """The path of a `file://` URL, or of what was typed."""
    if url.startswith("file://"):
        return Path(unquote(url.removeprefix("file://")))
    return _expanded(url)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return Path(path)


def _resolve(repository: Path, reference: str) -> str:
    """Return the commit of a tag, branch or commit name."""
    for candidate in (f"refs/tags/{reference}", f"refs/remotes/origin/{reference}", reference):
        commit = quiet_git(repository, "rev-parse", "--verify", "--quiet", candidate + "^{commit}")
        if commit:
            return commit
    try:  # a commit that no branch holds, such as one of a pull request
        update(repository, reference)
    except SourceError:
        raise SourceError(f"the repository has no branch, tag or commit '{reference}'") from None
    return git(repository, "rev-parse", "FETCH_HEAD").strip()


def _listed_by_walk(path: Path) -> list[str]:
    found = []
    for directory, subdirectories, files in os.walk(path):
        subdirectories[:] = sorted(
            name
            for name in subdirectories
            if name not in _SKIPPED
            and not (Path(directory) == path and name in _OUTPUTS)
            and not _is_environment(Path(directory) / name)
        )
        links = [name for name in subdirectories if (Path(directory) / name).is_symlink()]
        found += [
            str((Path(directory) / name).relative_to(path)) for name in sorted([*files, *links])
        ]
    return [name for name in found if not name.endswith((".pyc", ".pyo"))]


def _is_environment(folder: Path) -> bool:
    try:
        return not folder.is_symlink() and (folder / "pyvenv.cfg").exists()
    except PermissionError:
        return False


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _version(ask: Callable[..., str]) -> str:
    """The version that the last tag names; `ask` runs git."""
    tag = ask("describe", "--tags", "--abbrev=0")
    found = re.search(r"\d+(\.\d+)+([a-z]+\d*)?([._-]?(post|dev)\d+)?$", tag)
    return found.group() if found else ""


def local_name(path: Path) -> str:
    """The name of a repository of this machine without an origin: 'local/name'."""
    return f"local/{_plain(path.name)}"


def repository_name(url: str) -> str:
    """The 'owner/name' that an address ends in."""
    parts = [part for part in re.split(r"[/:]", url.rstrip("/").removesuffix(".git")) if part]
    return "/".join(_plain(unquote(part)) for part in parts[-2:])


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "project"
