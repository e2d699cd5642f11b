"""Which paths of a repository decide its tests, judged by their names and the task alone.

Names are compared as Python compares the names of metadata: ignoring case. Where a rule depends on
what the files contain or on the image's Python, `applying` asks in the sandbox.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

from forager.environments.repository.task import RepositoryTask, TestSetup

_LOADED_MODULES = ("conftest", "sitecustomize", "usercustomize")  # as a file or a package
_LOADED_FILES = (
    # pytest, and tools that run with it and whose settings name code
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    ".coveragerc",
    ".coveragerc.toml",
    "mypy.ini",
    ".mypy.ini",
    ".flake8",
    "pylintrc",
    ".pylintrc",
    "nose.cfg",
    "unittest.cfg",
    ".env",
    # Python, and git when it writes the tests
    "pyvenv.cfg",
    "*._pth",
    "*.pth",
    ".gitattributes",
    ".gitmodules",
    # code that nobody can read
    "*.pyc",
    "*.pyo",
    "*.pyd",
    "*.so",
    "*.so.*",
    # archives that Python imports from
    "*.zip",
    "*.whl",
    "*.pyz",
    "*.pyzw",
    "*.egg-link",
)
_LOADED_FOLDERS = (
    ".git",
    "__pycache__",
    ".pytest_cache",
    ".hypothesis",
    "site-packages",
    "dist-packages",
    # metadata, which may also be one file or an archive
    "egg-info",
    "*.egg-info",
    "*.dist-info",
    "*.egg",
)
_TEST_FOLDERS = ("tests", "test", "testing", "unit_tests", "t")
_TEST_FILES = ("test_*.py", "*_test.py", "tests*.py")
_RUNNERS = {  # the files that a program reads if a test command calls it
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "nox": ("noxfile.py",),
    "just": ("justfile", ".justfile"),
    "invoke": ("tasks.py", "invoke.yaml"),
    "inv": ("tasks.py", "invoke.yaml"),
    "doit": ("dodo.py",),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "nose2": ("nose2.cfg",),
    "behave": ("behave.ini", ".behaverc"),
    "scons": ("SConstruct",),
}
_WORD = re.compile(r"[^\s\"'=;|&<>()$]+")


class DecidingDoctest(NamedTuple):
    """A docstring whose examples are one of the task's tests."""

    test: str
    path: str
    name: str
    """Of the object in its module, such as `Box.size`; empty for the module itself."""


def is_protected(path: str, protected: Iterable[str]) -> bool:
    """Whether a file is among the protected paths, or Python or pytest load it by themselves.

    Without protected paths, a file that is named like a test counts as one.
    """
    entries = _entries(protected)
    named = _within(plain(path), entries) if entries else _looks_like_tests(plain(path))
    return named or loads_itself(path)


def loads_itself(path: str) -> bool:
    """Whether Python, pytest or git read a file of this name without being asked to."""
    parts = PurePosixPath(plain(path)).parts
    return (
        any(part.partition(".")[0] in _LOADED_MODULES for part in parts)
        or any(fnmatchcase(part, name) for part in parts for name in _LOADED_FOLDERS)
        or any(fnmatchcase(part, name) for part in parts[-1:] for name in _LOADED_FILES)
    )


def plain(path: str) -> str:
    """A path as paths are compared."""
    return unicodedata.normalize("NFKC", path).casefold()


class TestPaths:
    """The files that decide a task's tests, as far as the task names them."""

    __test__ = False

    def __init__(self, task: RepositoryTask, test_patch: Iterable[str]) -> None:
        tests = [*task.FAIL_TO_PASS, *task.PASS_TO_PASS]
        found = [doctest for test in tests if (doctest := _doctest(test))]
        self._doctests = {(doctest.path, doctest.name): doctest.test for doctest in found}
        sources = {doctest.path for doctest in found}
        named = {_file(test) for test in tests} | set(test_patch)
        self.files = {name for name in named if name and name not in sources}
        """Files with tests; docstrings of other files may be tests as well (`doctests`)."""
        folders = {folder_of_tests(name) for name in self.files} - {""}
        protected = {name.rstrip("/") for name in task.setup.protected}
        conftests = {
            str(folder / "conftest.py")
            for name in self.files
            for folder in PurePosixPath(name).parents
        }
        self.scopes = sorted({*self.files, *folders, *protected, *conftests})
        """The files and folders in which to look for what the tests use."""
        self.collected = sorted(self.files | sources)
        """The files from which pytest collects the tests."""
        self._strict = _entries([*self.files, *folders, *_used(task.setup)])
        self._entries = self._strict | _entries(protected)
        self._runners = {plain(name) for name in _runners(task.setup)}
        self._next_to = {str(PurePosixPath(plain(name)).parent) for name in self.files}
        self._above = {
            str(folder)
            for name in (*self.files, *sources)
            for folder in PurePosixPath(plain(name)).parents
        }

    def doctests(self) -> dict[str, list[str]]:
        """By path, the names of objects whose docstrings are tests; empty is the module's name."""
        names: dict[str, list[str]] = {}
        for path, name in self._doctests:
            names.setdefault(path, []).append(name)
        return names

    def id(self, path: str, name: str) -> str:
        """The id of such a test; for other names the path."""
        return self._doctests.get((path, name), path)

    def are(self, path: str, *, new: bool) -> bool:
        """Whether a file is one of the tests or of what belongs to them."""
        name = plain(path)
        place = PurePosixPath(name)
        if _within(name, self._entries) or (not self.files and _looks_like_tests(name)):
            return True
        if name in self._runners:
            return True
        if not new:
            return str(place.parent) in self._next_to and named_like_tests(place.name)
        return self._is_package_above(name) or name.removesuffix(".py") in self._entries

    def may_help(self, path: str) -> bool:
        """Whether the image protects a file only because the tests may use it."""
        name = plain(path)
        return (
            _within(name, self._entries)
            and not self.hold(path)
            and not self._is_package_above(name)
        )

    def _is_package_above(self, path: str) -> bool:
        """Whether a new file would change the names under which pytest imports the tests."""
        place = PurePosixPath(path)
        return place.name == "__init__.py" and str(place.parent) in self._above

    def hold(self, path: str) -> bool:
        """Whether a file has tests or is in their folder, whatever else the image protects."""
        return _within(plain(path), self._strict) or plain(path) in self._runners


def _looks_like_tests(path: str) -> bool:
    """The rule for tasks whose tests are named without their files."""
    place = PurePosixPath(path)
    return named_like_tests(place.name) or any(
        part in ("tests", "test") for part in place.parts[:-1]
    )


def named_like_tests(name: str) -> bool:
    """Whether the name of a file, without its folders, is one by which tests are found."""
    return any(fnmatchcase(name, pattern) for pattern in _TEST_FILES)


def _entries(names: Iterable[str]) -> set[str]:
    """Paths to compare with, and for each module the package that would replace it."""
    paths = {plain(str(PurePosixPath(name))) for name in names}
    return paths | {path.removesuffix(".py") for path in paths}


def _within(path: str, entries: set[str]) -> bool:
    """Whether a path or a folder above it is an entry."""
    return path in entries or any(str(above) in entries for above in PurePosixPath(path).parents)


def _file(test: str) -> str:
    """The file that a test's id names; or empty."""
    name, separator, _ = test.partition("::")
    return name if separator or name.endswith(".py") else ""


def folder_of_tests(name: str) -> str:
    """The uppermost folder above a file that is named like a folder of tests; or empty.

    A package `testing` counts only if no other folder does: libraries have one for their users.
    """
    parts = PurePosixPath(name).parts
    depths = [depth for depth, part in enumerate(parts[:-1], 1) if plain(part) in _TEST_FOLDERS]
    sure = [depth for depth in depths if plain(parts[depth - 1]) != "testing"]
    return "/".join(parts[: (sure or depths or [0])[0]])


def is_doctest(test: str) -> bool:
    """Whether a test's id names a docstring in a module outside the test files."""
    return _doctest(test) is not None


def _doctest(test: str) -> DecidingDoctest | None:
    """The docstring that a test's id names: `src/pkg/core.py::pkg.core.double`."""
    path, _, name = test.partition("::")
    for module in () if "::" in name else _modules(path):
        if f"{name}.".startswith(f"{module}."):
            return DecidingDoctest(test, path, name[len(module) + 1 :])
    return None


@lru_cache(maxsize=1024)  # a file has many tests
def _modules(path: str) -> list[str]:
    """The names by which a file that is not named like tests may be imported."""
    place = PurePosixPath(path)
    if place.suffix != ".py" or named_like_tests(place.name):
        return []
    module = place.with_suffix("").parts
    modules = [module[start:] for start in range(len(module))]
    modules += [names[:-1] for names in modules if names[-1] == "__init__" and names[:-1]]
    return [".".join(names) for names in modules]


def _used(setup: TestSetup) -> Iterator[str]:
    """What the test command itself is made of: files that it names, and an interpreter's folder."""
    for word in _WORD.findall(setup.command):
        place = PurePosixPath(word)
        place = place.relative_to(setup.workdir) if _inside(place, setup) else place
        if place.suffix or place.parts[:1] == ("bin",):
            yield str(place)
    if _inside(place := PurePosixPath(setup.python).parent.parent, setup):
        yield str(place.relative_to(setup.workdir))


def _runners(setup: TestSetup) -> Iterator[str]:
    """The files that the test command names, such as `scripts/test`, and that its programs read.

    A word may also name a folder of the program, whose files are no runners.
    """
    for word in _WORD.findall(setup.command):
        place = PurePosixPath(word)
        yield str(place.relative_to(setup.workdir) if _inside(place, setup) else place)
        yield from _RUNNERS.get(place.name, ())


def _inside(place: PurePosixPath, setup: TestSetup) -> bool:
    return place.is_relative_to(setup.workdir) and place != PurePosixPath(setup.workdir)
