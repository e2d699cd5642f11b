"""The files of the repository in the current directory, before a patch and with another one."""

from __future__ import annotations

import os

PYTHON = (".py", ".pyw")
_GIT = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]


class Repository:
    """The repository in the current directory, at HEAD and with the reference patch."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._paths: list[str] | None = None
        self._right: dict[str, tuple[bytes, bytes]] | None = None

    def paths(self) -> list[str]:
        """The files at HEAD."""
        if self._paths is None:
            listed = _git(["ls-tree", "-r", "-z", "--name-only", "HEAD"])
            self._paths = os.fsdecode(listed).split("\0")[:-1]
        return self._paths

    def before(self, paths: list[str]) -> dict[str, bytes]:
        """The files at HEAD; those that it lacks are left out."""
        return _blobs([f"HEAD:{path}" for path in paths], paths, {})

    def reference(self) -> dict[str, tuple[bytes, bytes]]:
        """The files of the reference patch, before and after."""
        if self._right is None:
            self._right = self._with_reference() if self._reference.strip() else {}
        return self._right

    def _with_reference(self) -> dict[str, tuple[bytes, bytes]]:
        directory = f"/tmp/forager-{os.urandom(8).hex()}"  # to import `tempfile` takes time
        os.mkdir(directory, 0o700)
        try:
            index = {"GIT_INDEX_FILE": f"{directory}/index"}
            patch = self._reference.encode("utf-8", "surrogateescape")
            _git(["read-tree", "HEAD"], index)
            _git(["apply", "--cached", "--whitespace=nowarn", "-"], index, patch)
            changed = _git(["diff", "--cached", "--name-only", "--no-renames", "-z", "HEAD"], index)
            paths = os.fsdecode(changed).split("\0")[:-1]
            after, before = _blobs([f":{path}" for path in paths], paths, index), self.before(paths)
        finally:
            for name in os.listdir(directory):
                os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
        return {path: (before.get(path, b""), after.get(path, b"")) for path in paths}


def _git(words: list[str], environment: dict[str, str] | None = None, given: bytes = b"") -> bytes:
    """The output of git, which reads no settings of other users; empty if it fails."""
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    # To import `subprocess` would take as long as git.
    asked = os.fdopen(os.memfd_create("asked"), "w+b")
    told = os.fdopen(os.memfd_create("told"), "rb")
    with asked, told:
        asked.write(given)
        asked.seek(0)
        process = os.posix_spawnp(
            _GIT[0],
            [*_GIT, *words],
            {**os.environ, **settings, **(environment or {})},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, asked.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, told.fileno(), 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
        os.waitpid(process, 0)
        told.seek(0)
        return told.read()


def _blobs(names: list[str], paths: list[str], environment: dict[str, str]) -> dict[str, bytes]:
    """The contents of git objects, by path."""
    if not names:
        return {}
    asked = [(name, path) for name, path in zip(names, paths) if "\n" not in name]
    request = "".join(f"{name}\n" for name, _ in asked)
    told = _git(["cat-file", "--batch"], environment, os.fsencode(request))
    found: dict[str, bytes] = {}
    for _, path in asked:
        head, _, told = told.partition(b"\n")
        words = head.rsplit(b" ", 2)
        if len(words) == 3 and words[1] == b"blob":
            size = int(words[2])
            found[path], told = told[:size], told[size + 1 :]
    return found
