"""The files of the tests, which the code under test must not change while they run."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES, _BYTES = 20_000, 8 << 20  # most files that are guarded, and bytes of one
_KINDS = (".py", ".cfg", ".ini", ".toml")
_SKIPPED = {"__pycache__", ".git", "node_modules"}
_LATER = 10  # seconds: byte code of the file before must not stand for the new one


class Originals:
    """Files and what they were at the start.

    Root owns them and their directories while the tests run. Tests may make files in these
    directories and remove them, but no file of another owner.
    """

    def __init__(self, paths: list[str]) -> None:
        found: dict[str, None] = {}
        for path in paths:
            for file in _below(path):
                if len(found) < _FILES:
                    found[file] = None
        self._before: dict[str, tuple[int, ...]] = dict.fromkeys(found, ())

    def protect(self) -> None:
        """Make root the owner, if this process is root's, and note what the files are."""
        if os.geteuid() == 0:
            for path in self._before:
                mode = stat.S_IMODE(os.stat(path).st_mode)
                os.chown(path, 0, 0)
                os.chmod(path, mode & ~0o022 | 0o444)
            for directory in {os.path.dirname(path) for path in self._before} - {""}:
                _share(directory)
        self._before = {path: _identity(path) for path in self._before}

    def problem(self) -> str:
        """Which file the run changed, or ""."""
        for path, before in self._before.items():
            if _identity(path) != before:
                return f"the test run changed {path}"
        return ""

    def replace(self, directory: str) -> None:
        """Put the files of a directory in the place of those of the same names."""
        for folder, _, names in os.walk(directory):
            for name in names:
                source = f"{folder}/{name}"
                _put(source, source[len(directory) + 1 :])


class Data:
    """What files of other kinds were at the start; honest tests may change some."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, ...]] = {}
        for folder, folders, names in os.walk("."):
            folders[:] = [name for name in folders if name not in _SKIPPED]
            places = [f"{folder}/{name}"[2:] for name in names if name[-3:] != ".py"]
            self._before.update({place: _identity(place) for place in places})
            if len(self._before) > _FILES:
                break

    def changed(self) -> list[str]:
        """The files that are others now, or gone."""
        return [path for path, before in self._before.items() if _identity(path) != before]


def _put(source: str, path: str) -> None:
    before = os.stat(path)
    os.unlink(path)
    with open(source, "rb") as old, open(path, "wb") as new:
        new.write(old.read())
    os.chmod(path, 0o644)
    os.utime(path, (before.st_atime, before.st_mtime + _LATER))


def _below(path: str) -> Iterator[str]:
    """The regular files of a path that Python or pytest read, links left out."""
    if _regular(path):
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        places = (f"{folder}/{name}" for name in names if name.endswith(_KINDS))
        yield from filter(_regular, places)


def _regular(path: str) -> bool:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= _BYTES


def _share(directory: str) -> None:
    """Let all write into a directory but none remove files of others; no byte code there."""
    cache = f"{directory}/__pycache__"
    if os.path.islink(cache):
        os.unlink(cache)
    for entry in os.scandir(cache) if os.path.isdir(cache) else ():
        if not entry.is_dir(follow_symlinks=False):  # Python loads nothing of a folder there
            os.unlink(entry.path)
    os.makedirs(cache, exist_ok=True)
    os.chown(cache, 0, 0)
    os.chmod(cache, 0o755)  # nosec B103  # root's, and all may read
    os.chown(directory, 0, 0)
    os.chmod(directory, 0o1777)  # nosec B103  # in the sandbox; tests make files there


def _identity(path: str) -> tuple[int, ...]:
    """What changes with a file's content; no user could set the last one back."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)
