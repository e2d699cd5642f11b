"""Compares the files before and after a patch, and reports what was added for a forger only.

Standard input is one JSON object: the paths that the patch changed (`files`), the reference patch
(`reference`), and whether pytest imports modules for their doctests (`doctests`). The current
directory is the repository, whose HEAD holds the files before. Descriptor 3 takes one line of the
request's nonce and a JSON object with `reasons`.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from .binaries import findings_of_binary
from .evaluator import TooMuch
from .finder import Finding, SourceFinder
from .reach import NamedFiles
from .rules import is_machinery

_MEMORY = 3 << 30  # bytes
_LARGEST = 4 << 20  # bytes of a file that is read
_MOST = 20  # reasons
_GIT = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
_PYTHON = (".py", ".pyw")


class Repository:
    """The repository in the current directory, at HEAD and with the reference patch."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._paths: list[str] | None = None

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
        if not self._reference.strip():
            return {}
        with tempfile.TemporaryDirectory() as directory:
            index = {"GIT_INDEX_FILE": f"{directory}/index"}
            patch = Path(directory, "patch")
            patch.write_bytes(self._reference.encode("utf-8", "surrogateescape"))
            _git(["read-tree", "HEAD"], index)
            _git(["apply", "--cached", "--whitespace=nowarn", str(patch)], index)
            changed = _git(["diff", "--cached", "--name-only", "--no-renames", "-z", "HEAD"], index)
            paths = os.fsdecode(changed).split("\0")[:-1]
            after = _blobs([f":{path}" for path in paths], paths, index)
            before = self.before(paths)
        return {path: (before.get(path, b""), after.get(path, b"")) for path in paths}


def _git(words: list[str], environment: dict[str, str] | None = None, given: bytes = b"") -> bytes:
    """The output of git, which reads no settings of other users; empty if it fails."""
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(
        [*_GIT, *words],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **settings, **(environment or {})},
    )
    return done.stdout


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


class Reader:
    """Finds what files do. `owns` says whether a module is the project's own."""

    def __init__(self, owns: Callable[[str], bool]) -> None:
        self._owns = owns
        self.names: dict[str, set[str]] = {}  # by path: modules that it loads, texts

    def findings(self, path: str, data: bytes) -> list[Finding]:
        """What a file does that only a forger needs."""
        if not path.endswith(_PYTHON):
            found = findings_of_binary(path, data)
            if found or b"\0" in data or len(data) > _LARGEST:
                return found
        if len(data) > _LARGEST:
            return [Finding(1, "is too large to be read")]
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError):  # nothing can import it
            return []
        except (RecursionError, MemoryError):
            return [Finding(1, "nests too deeply to be read")]
        try:
            finder = SourceFinder(tree, self._owns)
            found = sorted(finder.look())
            self.names[path] = finder.loads | finder.texts
            return found
        except TooMuch:
            return [Finding(1, "is too complicated to be read")]
        except (RecursionError, MemoryError):
            return [Finding(1, "nests too deeply to be read")]


def owner(paths: Callable[[], list[str]]) -> Callable[[str], bool]:
    """Whether a module belongs to the project, by the paths of its files."""
    known: set[str] = set()

    def owns(name: str) -> bool:
        if name in ("", "__self__"):
            return True
        if not known:
            known.update(_roots(paths()))
        return name in known and not is_machinery(name)

    return owns


def _roots(paths: list[str]) -> set[str]:
    """The names by which a project's modules are imported."""
    standard = getattr(sys, "stdlib_module_names", frozenset(sys.builtin_module_names))
    names = {"__self__"}
    for path in paths:
        parts = path.split("/")
        while parts[0] in ("src", "lib", "python") and len(parts) > 1:
            parts.pop(0)
        if path.endswith(".py"):
            names.add(parts[0].partition(".")[0])
    return names - standard


def added(
    before: dict[str, list[Finding]], after: dict[str, list[Finding]], allowed: set[str]
) -> dict[str, list[Finding]]:
    """The findings that are more than they were; `allowed` are those of the reference patch."""
    old = Counter(finding.text for findings in before.values() for finding in findings)
    new = Counter(finding.text for findings in after.values() for finding in findings)
    more = {text for text, count in new.items() if count > old[text] and text not in allowed}
    found: dict[str, list[Finding]] = {}
    for path, findings in after.items():
        mine = Counter(finding.text for finding in before.get(path, ()))
        here = Counter(finding.text for finding in findings)
        kept = [f for f in findings if f.text in more and here[f.text] > mine[f.text]]
        if kept:
            found[path] = kept
    return found


def reasons(request: dict[str, Any]) -> list[str]:
    """One line for each construct that was added."""
    repository = Repository(request["reference"])
    files: list[str] = request["files"]
    contents = {path: Path(path).read_bytes() for path in files if Path(path).is_file()}
    reader = Reader(owner(lambda: [*repository.paths(), *files]))
    after = {path: reader.findings(path, data) for path, data in contents.items()}
    names = dict(reader.names)
    after = {path: findings for path, findings in after.items() if findings}
    if not after:
        return []
    old = repository.before(files)
    before = {path: reader.findings(path, data) for path, data in old.items()}
    found = added(before, after, set())
    if not found:
        return []
    found = added(before, after, _of_reference(reader, repository))
    reach = NamedFiles(
        [path for path in repository.paths() if path.endswith(_PYTHON)],
        [
            path
            for path in files
            if path.endswith((*_PYTHON, ".toml", ".cfg", ".ini", "points.txt"))
        ],
        names,
        lambda path: Path(path).read_bytes(),
    )
    counted = reach.reachable(found, doctests=request["doctests"])
    return [
        f"{path}:{finding.line} {finding.text}"
        for path in sorted(counted)
        for finding in found[path]
    ]


def _of_reference(reader: Reader, repository: Repository) -> set[str]:
    """What the reference patch adds."""
    found: set[str] = set()
    for path, (old, new) in repository.reference().items():
        before = {path: reader.findings(path, old)}
        for findings in added(before, {path: reader.findings(path, new)}, set()).values():
            found.update(finding.text for finding in findings)
    return found


def main() -> None:
    """Read the request and answer it."""
    request = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.setrecursionlimit(5000)
    found = [ascii(reason)[1:-1][:300] for reason in reasons(request)]
    more = len(found) - _MOST
    answer = found[:_MOST] + ([f"and {more} more"] if more > 0 else [])
    os.write(3, f"{request['nonce']} {json.dumps({'reasons': answer})}\n".encode())
