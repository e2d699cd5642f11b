"""Compares what files do before and after a patch."""

from __future__ import annotations

import ast
import sys
from collections import Counter

from .binaries import findings_of_binary
from .evaluator import TooMuch
from .finder import SourceFinder
from .repository import PYTHON, Repository
from .rules import is_machinery
from .search import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Iterator

_EACH = ("reads stack frames", "sets a trace", "searches the garbage")
_LARGEST = 4 << 20  # bytes of a file that is read


class Reader:
    """Finds what files do.

    `owns` says whether a module is the project's own, `tests` are the files and functions of tests.
    """

    def __init__(self, owns: Callable[[str], bool], tests: Iterable[str] = ()) -> None:
        self._owns = owns
        self._tests = frozenset(tests)
        self.names: dict[str, set[str]] = {}  # by path: modules that it loads, texts
        self._known: dict[tuple[str, bytes], list[Finding]] = {}

    def findings(self, path: str, data: bytes) -> list[Finding]:
        """What a file does that only a forger needs."""
        if (path, data) not in self._known:
            self._known[path, data] = self._findings(path, data)
        return self._known[path, data]

    def _findings(self, path: str, data: bytes) -> list[Finding]:
        if not path.endswith(PYTHON):
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
            finder = SourceFinder(tree, self._owns, tests=self._tests)
            found = sorted(finder.look())
            self.names[path] = finder.search.loads | finder.search.texts
            return _with_code(found, data)
        except TooMuch:
            return [Finding(1, "is too complicated to be read")]
        except (RecursionError, MemoryError):
            return [Finding(1, "nests too deeply to be read")]


def owner(paths: Callable[[], list[str]]) -> Callable[[str], bool]:
    """Whether a module belongs to the project, by the paths of its files.

    A name with dots must be that of a module; `__self__.` stands for any package before it.
    """
    known: set[str] = set()
    modules: set[str] = set()

    def owns(name: str) -> bool:
        if name in ("", "__self__"):
            return True
        if not known:
            found = paths()
            known.update(_roots(found))
            modules.update(_modules(found))
        if "." in name:
            return name.replace("__self__.", "", 1) in modules
        return name in known and not is_machinery(name)

    return owns


def _modules(paths: list[str]) -> Iterator[str]:
    """The names of a project's modules, and all ends of them."""
    for path in paths:
        if path.endswith(".py"):
            parts = path[: -len(".py")].split("/")
            if parts[-1] == "__init__":
                parts.pop()
            yield from (".".join(parts[place:]) for place in range(len(parts)))


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
    old = Counter(finding[1:] for findings in before.values() for finding in findings)
    new = Counter(finding[1:] for findings in after.values() for finding in findings)
    more = {key for key, count in new.items() if count > old[key] and key[0] not in allowed}
    found: dict[str, list[Finding]] = {}
    for path, findings in after.items():
        mine = Counter(finding[1:] for finding in before.get(path, ()))
        here = Counter(finding[1:] for finding in findings)
        kept = [f for f in findings if f[1:] in more and here[f[1:]] > mine[f[1:]]]
        if kept:
            found[path] = kept
    return found


def _with_code(findings: list[Finding], data: bytes) -> list[Finding]:
    """Findings with their lines of source where an old use does not excuse another one."""
    lines = data.decode("utf-8", "replace").split("\n")
    return [
        finding._replace(code=lines[finding.line - 1].strip())
        if finding.text.startswith(_EACH) and finding.line <= len(lines)
        else finding
        for finding in findings
    ]


def compare(
    repository: Repository,
    files: list[str],
    contents: dict[str, bytes],
    tests: list[str],
    *,
    doctests: bool,
) -> list[str]:
    """One line for each construct that a patch added to files."""
    reader = Reader(owner(lambda: [*repository.paths(), *files]), tests)
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
    from pathlib import Path  # takes time, and few answers need it

    from .reach import NamedFiles

    named = [
        path for path in files if path.endswith((*PYTHON, ".toml", ".cfg", ".ini", "points.txt"))
    ]
    known = [path for path in repository.paths() if path.endswith(PYTHON)]
    reach = NamedFiles(known, named, names, lambda path: Path(path).read_bytes())
    counted = reach.reachable(found, doctests=doctests)
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
