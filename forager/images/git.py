"""git on this machine, for files and repositories that somebody else wrote.

A repository can name commands that git then runs: `core.fsmonitor`, hooks, filters, textconv,
`remote.NAME.uploadpack`, and more to come. So nothing here runs in a repository that somebody else
made. `git` works in repositories of our own only, without the settings of the machine and the user.
`foreign` makes one of our own that borrows the objects of theirs and copies refs and index.
Whatever git reads then (objects, refs, an index, ignore rules) is data.

Only the network needs the user's settings: credentials, proxies, rewritten addresses.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from forager.environments.repository.objects import (
    ATTRIBUTES,
    LIST_FILES,
    PRINT_FILES,
    contents,
    regular_files,
)
from forager.errors import SourceError
from forager.logins import LOGINS, without_login
from forager.scratch import scratch

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "forager"),
        ("EMAIL", "forager@localhost"),
        ("DATE", "2000-01-01T00:00:00+0000"),
    )
}
_OPTIONS = {
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.untrackedCache": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
}
_OF_THE_NETWORK = (
    "GIT_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
)
_SECONDS = 1800
_COPIED = 64 << 20  # bytes of refs and index that are copied of a foreign repository
_FILES = 200_000


def git(
    directory: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    network: bool = False,
) -> str:
    """Run git in a repository of our own and return what it prints.

    Bytes that are not UTF-8 become surrogates. With `network` the user's settings count. Raises
    SourceError with git's own reason.
    """
    told = git_bytes(directory, *arguments, environment=environment, network=network)
    return told.decode("utf-8", "surrogateescape")


def git_bytes(
    directory: Path,
    *arguments: str,
    given: bytes = b"",
    environment: dict[str, str] | None = None,
    network: bool = False,
) -> bytes:
    """Do the same with bytes; `given` is git's input."""
    options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=directory,
            env=_variables(directory, network) | (environment or {}),
            input=given,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed: install it (apt-get install git)") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} took more than 30 minutes") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        raise SourceError(f"git {arguments[0]} failed: {LOGINS.hide(telling[-1])}")
    return done.stdout


def quiet_git(directory: Path, *arguments: str) -> str:
    """Do the same, without blanks around it; empty where git fails."""
    try:
        return git(directory, *arguments).strip()
    except SourceError:
        return ""


def _variables(directory: Path, network: bool) -> dict[str, str]:
    """The environment of git, without what a user's hook or a shell has set for another git."""
    kept = _OF_THE_NETWORK if network else set()
    ours = {
        **IDENTITY,
        "GIT_CEILING_DIRECTORIES": str(directory.resolve().parent),
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "0" if network else "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    if network:
        ours["GIT_SSH_COMMAND"] = os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        ours |= _logins()
    else:
        ours |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in kept
    } | ours


def _logins() -> dict[str, str]:
    """Variables that answer git's questions for logins, which arguments would show to all users."""
    variables: dict[str, str] = {}
    settings: list[tuple[str, str]] = []
    for number, (host, login) in enumerate(LOGINS.all().items()):
        user, password = f"FORAGER_USER_{number}", f"FORAGER_PASSWORD_{number}"
        variables |= {user: login.user, password: login.password}
        helper = f'!printf \'username=%s\\npassword=%s\\n\' "${user}" "${password}"; :'
        settings += [(f"credential.{host}.helper", ""), (f"credential.{host}.helper", helper)]
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | {"GIT_CONFIG_COUNT": str(len(settings))}


def commit_all(tree: Path) -> None:
    """Make the files the one commit of a new repository; ignored files count too.

    Repositories within the files, and one that was there before, are removed.
    """
    for path in [*tree.rglob(".git")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have lain in one that is gone
    git(tree, "init", "--quiet", "--initial-branch=main", ".")
    without_attributes(tree / ".git")
    git(tree, "add", "--all", "--force", ".")
    git(tree, "commit", "--quiet", "--no-gpg-sign", "--allow-empty", "--message", "Source")


def without_attributes(repository: Path) -> None:
    """Keep the attributes of files from changing what git reads and writes."""
    (repository / "info").mkdir(exist_ok=True)
    (repository / "info" / "attributes").write_text(ATTRIBUTES)


def read_files(repository: Path, commit: str, choose: Callable[[str], bool]) -> dict[str, bytes]:
    """The contents by path of the chosen files of a commit; links and submodules are no files.

    Raises SourceError.
    """
    files = regular_files(git_bytes(repository, *LIST_FILES, commit))
    ids = {path: name for path, name in files.items() if choose(path)}
    asked = "".join(f"{name}\n" for name in ids.values()).encode()
    told = git_bytes(repository, *PRINT_FILES, given=asked)
    try:
        return dict(zip(ids, contents(told), strict=True))
    except ValueError:
        raise SourceError(f"the repository lacks files of {commit}") from None


def clone(url: str, into: Path, *options: str) -> None:
    """Clone a URL, or a `file://` repository of this machine, without checking anything out.

    Raises SourceError.
    """
    if url.startswith("file://"):
        with foreign(_local(url)) as found:
            if found is None:
                raise SourceError(f"{url} holds no git repository")
            source = found.repository.as_uri()
            git(into.parent, "clone", "--quiet", *options, "--", source, str(into))
        git(into, "config", "remote.origin.url", url)
    else:
        git(into.parent, "clone", "--quiet", *options, "--", url, str(into), network=True)
    without_attributes(into if (into / "HEAD").is_file() else into / ".git")


def remove_locks(repository: Path) -> None:
    """Remove git's own locks, which a killed git leaves; the caller keeps other processes away."""
    for path in repository.rglob("*.lock"):  # no branch may be named so
        path.unlink(missing_ok=True)


def update(repository: Path, *references: str) -> None:
    """Fetch what `origin` has got since; with references only these. Raises SourceError."""
    url = git(repository, "config", "remote.origin.url").strip()
    fetch = ("fetch", "--quiet", "--prune")
    if not url.startswith("file://"):
        git(repository, *fetch, "origin", "--", *references, network=True)
        return
    with foreign(_local(url)) as found:
        if found is None:
            raise SourceError(f"{url} holds no git repository any more")
        origin = f"remote.origin.url={found.repository.as_uri()}"
        git(repository, "-c", origin, *fetch, "origin", "--", *references)


def _local(url: str) -> Path:
    return Path(unquote(url.removeprefix("file://")))


class Foreign(NamedTuple):
    """A repository of ours that stands for somebody else's; gone at the end of `foreign`."""

    repository: Path
    """Our git directory."""
    tree: Path | None
    """The top of their working tree; None of a bare repository."""
    origin: str
    """The address of their `origin` without a login, or nothing."""

    def run(self, directory: Path, *arguments: str) -> str:
        """Run git over their working tree, from a directory of it. Raises SourceError."""
        where = [f"--git-dir={self.repository}", f"--work-tree={self.tree or self.repository}"]
        return git(directory, *where, *arguments)

    def ask(self, *arguments: str) -> str:
        """Ask about their commits; empty where git fails."""
        return quiet_git(self.repository, f"--git-dir={self.repository}", *arguments)


@contextmanager
def foreign(path: Path) -> Iterator[Foreign | None]:
    """Stand in for the repository that a directory is, or lies in; None where there is none.

    Raises SourceError for one whose refs and index are too large to be copied.
    """
    found = _find(path)
    if found is None:
        yield None
        return
    tree, own, common = found
    with scratch("git") as directory:
        repository = directory / ".git"
        told = ("config", "--no-includes", "--file", str(common / "config"))
        kind = quiet_git(directory, *told, "extensions.objectFormat") or "sha1"
        git(directory, "init", "--quiet", f"--object-format={kind}", ".")
        _borrow(own, common, repository)
        origin = quiet_git(directory, *told, "remote.origin.url")
        yield Foreign(repository, tree, without_login(origin))


def _find(path: Path) -> tuple[Path | None, Path, Path] | None:
    """The working tree, the git directory, and the one that it shares with other working trees."""
    if (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir():
        return None, path, path
    for tree in (path, *path.parents):
        own = tree / ".git"
        if own.is_file():
            own = tree / _pointer(own).removeprefix("gitdir:").strip()
        if (own / "HEAD").is_file():
            link = own / "commondir"
            common = own / _pointer(link).strip() if link.is_file() else own
            return (tree, own, common) if (common / "objects").is_dir() else None
    return None


def _pointer(path: Path) -> str:
    """The text of a file with a path."""
    with path.open("rb") as file:
        return file.read(4096).decode(errors="surrogateescape")


def _borrow(own: Path, common: Path, repository: Path) -> None:
    """Copy refs, index and ignore rules; the objects are read where they are."""
    objects = str((common / "objects").resolve())
    if "\n" in objects:
        raise SourceError("the path of the repository holds a line break; move it elsewhere")
    (repository / "objects" / "info" / "alternates").write_text(f"{objects}\n")
    copied = [(own / name, name) for name in ("HEAD", "index")]
    copied += [(common / name, name) for name in ("packed-refs", "shallow", "info/exclude")]
    copied += [(file, file.name) for file in common.glob("sharedindex.*")]
    copied += [(file, str(file.relative_to(common))) for file in (common / "refs").rglob("*")]
    left = _COPIED
    for count, (file, name) in enumerate(copied):
        if file.is_symlink() or not file.is_file():
            continue
        left -= file.stat().st_size
        if left < 0 or count > _FILES:
            raise SourceError(f"{common} has too many refs, or too large an index")
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, repository / name)
