"""Finds which data files the tests of a repository name, by the words of their text.

A test may read a file by its path (`golden/list.txt`), by its folder (`Path("golden").iterdir()`)
or by its suffix (`golden / f"{name}.txt"`). Inside a package, where folders and suffixes have
common names, only the file's own name counts.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from forager.sandboxes.sandbox import Sandbox

_MOST = 200  # files; the tests are taken to read all of a patch that changes more data
_LIMIT = 8 << 20  # bytes of lines that have one of the words
_WORD = re.compile(r"[\w.-]+")


class Mentions:
    """What the tests and the code say about data files."""

    def __init__(self, tests: str, code: str, packages: Iterable[str], *, all_read: bool) -> None:
        self._tests, self._all_read = tests, all_read
        self._said, self._said_by_code = _words(tests), _words(code)
        self._packages = set(packages)

    def by_tests(self, name: str, *, new: bool) -> bool:
        """Whether the tests read a file, or would read a new one, as far as their words show."""
        place = PurePosixPath(name)
        if self._all_read or self._named(place.name):
            return True
        inside = any(str(folder) in self._packages for folder in place.parents)
        if new or inside or self.by_code(name):
            return False
        suffix = place.suffix and (place.suffix in self._said or f"%s{place.suffix}" in self._tests)
        return bool(suffix) or any(part in self._said for part in place.parts[:-1])

    def by_code(self, name: str) -> bool:
        """Whether code outside the tests names a file."""
        return PurePosixPath(name).name in self._said_by_code

    def _named(self, name: str) -> bool:
        if "." in name.strip("."):
            return name in self._said if _WORD.fullmatch(name) else name in self._tests
        return bool(re.search(rf"""["'/]{re.escape(name)}["'/]""", self._tests))


def read_mentions(sandbox: Sandbox, names: Sequence[str], scopes: Sequence[str]) -> Mentions:
    """Search the repository as it is before a patch; `scopes` are files and folders of tests."""
    if len(names) > _MOST:
        return Mentions("", "", [], all_read=True)
    places = [PurePosixPath(name) for name in names]
    bases = {place.name for place in places}
    others = {word for place in places for word in (*place.parts[:-1], place.suffix) if word}
    tests = [f":(literal){scope}" for scope in scopes] or [":(icase)*test*"]
    code = ["*.py", *(f":(exclude,literal){scope}" for scope in scopes)]
    packages = sandbox.run("git ls-files -z -- '*__init__.py'", output_limit=_LIMIT).output
    said, said_by_code = _lines(sandbox, bases | others, tests), _lines(sandbox, bases, code)
    return Mentions(
        said or "",
        said_by_code or "",
        {str(PurePosixPath(path).parent) for path in packages.split("\0") if path} - {"."},
        all_read=said is None or said_by_code is None,
    )


def _lines(sandbox: Sandbox, words: Iterable[str], paths: Sequence[str]) -> str | None:
    """The lines of tracked files that have one of the words; None if they are too many."""
    patterns = shlex.join(f"-e{word}" for word in sorted(words))
    command = f"git grep -h -I -F {patterns} -- {shlex.join(paths)}"
    found = sandbox.run(command, output_limit=_LIMIT)
    return found.output if found.exit_code in (0, 1) and not found.omitted else None


def _words(text: str) -> set[str]:
    found = set(_WORD.findall(text))
    return found | {word.rstrip(".") for word in found}
