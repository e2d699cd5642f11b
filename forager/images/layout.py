"""The layout of a project: its modules, tests and licence. Files are read, never run."""

import configparser
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_MOST_TEXT = 1 << 20  # characters of a file
_LONGEST_LINE = 2000  # characters of a line of settings; configparser's time grows with the square
_TEST_FILE = re.compile(r"(test_.*|.*_test)\.py$")
_UNITTEST_FILE = re.compile(r"tests?[^/]*\.py$", re.IGNORECASE)
TEST_DIRECTORIES = ("tests", "test", "testing", "unit_tests", "t")
_NOT_PACKAGES = {*TEST_DIRECTORIES, "doc", "docs", "example", "examples", "benchmarks", "bench"}
_NOT_PACKAGES |= {"tools", "scripts", "ci", "build", "dist", "node_modules", "venv", "demo"}
_NOT_MODULES = {"setup", "conftest", "noxfile", "tasks", "fabfile", "dodo", "versioneer", "conf"}
_LICENCES = (  # words of the licence's text, and its SPDX name
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Apache License", "Apache-2.0"),
    ("Neither the name of", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
    ("GNU LESSER GENERAL PUBLIC LICENSE", "LGPL"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL"),
    ("GNU GENERAL PUBLIC LICENSE", "GPL"),
    ("Mozilla Public License", "MPL-2.0"),
    ("Permission to use, copy, modify, and", "ISC"),
    ("PYTHON SOFTWARE FOUNDATION LICENSE", "PSF-2.0"),
    ("This is free and unencumbered software", "Unlicense"),
)


def read_text(directory: Path, name: str) -> str:
    """Return a file's text, of a large one the beginning.

    Empty if there is none, or a link leads out of the project.
    """
    path = directory / name
    if not path.is_file() or not path.resolve().is_relative_to(directory.resolve()):
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_MOST_TEXT)


def read_toml(directory: Path, name: str) -> dict[str, Any]:
    """Return a TOML file's content; empty if there is none, or it cannot be parsed."""
    try:
        return tomllib.loads(read_text(directory, name))
    except (ValueError, RecursionError):
        return {}


def read_ini(directory: Path, name: str) -> dict[str, dict[str, str]]:
    """Return the sections of an INI file; empty if there is none, or it cannot be parsed."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        lines = read_text(directory, name).split("\n")
        parser.read_string("\n".join(line[:_LONGEST_LINE] for line in lines))
    except configparser.Error:
        return {}
    return {
        section: {key: value or "" for key, value in parser.items(section)}
        for section in parser.sections()
    }


def table(value: Any, *keys: str) -> dict[str, Any]:
    """Return the table at a path of keys; empty if there is no table."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def strings(value: Any) -> list[str]:
    """Return the strings of a list; empty for any other value."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def pytest_options(directory: Path) -> dict[str, list[str]]:
    """Return pytest's settings in the project, each as a list of words.

    The first of these files counts, as in pytest: pytest.ini, pyproject.toml, tox.ini, setup.cfg.
    """
    for name in ("pytest.ini", ".pytest.ini"):
        if "pytest" in (sections := read_ini(directory, name)):
            return {key: _words(value) for key, value in sections["pytest"].items()}
    tool = table(read_toml(directory, "pyproject.toml"), "tool", "pytest")
    settings = table(tool, "ini_options") or {k: v for k, v in tool.items() if k != "ini_options"}
    if settings:
        return {
            key: strings(value) if isinstance(value, list) else _words(str(value))
            for key, value in settings.items()
        }
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if section in (sections := read_ini(directory, name)):
            return {key: _words(value) for key, value in sections[section].items()}
    return {}


def test_paths(directory: Path) -> list[str]:
    """Return the directories and files of the tests, as few as cover all of them.

    pytest's own `testpaths` take precedence; then the usual directories at the top, next to `src`,
    and in packages; then test files at the top.
    """
    stated = [
        str(path.relative_to(directory))
        for pattern in pytest_options(directory).get("testpaths", [])
        if not Path(pattern).is_absolute() and ".." not in Path(pattern).parts
        for path in sorted(directory.glob(pattern.rstrip("/") or "."))
    ]
    if any(True for name in stated for _ in _files_of_tests(directory / name)):
        return sorted(set(stated), key=stated.index)
    found = [path.name for path in _directories_of_tests(directory)]
    for name in packages(directory):
        inside = _relative(directory, _directories_of_tests(directory / name))
        below = _relative(directory, _deep_directories_of_tests(directory / name))
        found += inside if inside == below else [name]  # tests in several places: the whole package
    at_top = [path.name for path in _files_of_tests(directory, deep=False)]
    deep = {str(path.parent.relative_to(directory)) for path in _files_of_tests(directory)}
    return found or at_top or sorted(deep - {"."})


def needs_unittest_names(directory: Path, paths: list[str]) -> bool:
    """Whether the test files have names that unittest discovers and pytest skips."""
    files = [path.name for name in paths for path in _files_of_tests(directory / name)]
    return bool(files) and not any(_TEST_FILE.match(name) for name in files)


def test_files(directory: Path, paths: list[str]) -> list[Path]:
    """Return every Python file below the given test paths."""
    return [file for name in paths for file in _python_files(directory / name)]


def protected_paths(directory: Path, paths: list[str]) -> list[str]:
    """Return the paths that decide the outcome of tests: the tests and every conftest.py.

    A test path may be a whole package; its own modules are not protected.
    """
    found = {directory / name for path in paths for name in _only_tests(directory, path)}
    found |= {path for path in _python_files(directory) if path.name == "conftest.py"}
    return sorted(
        str(path.relative_to(directory)) for path in found if found.isdisjoint(path.parents)
    )


def _only_tests(directory: Path, name: str) -> Iterator[str]:
    path = directory / name
    if path.is_file() or path.name in TEST_DIRECTORIES:
        yield name
        return
    for child in _subdirectories(path):
        yield from _only_tests(directory, str(child.relative_to(directory)))
    for file in _files_of_tests(path, deep=False):
        yield str(file.relative_to(directory))


def packages(directory: Path) -> list[str]:
    """Return the project's import packages as paths: 'src/name', 'lib/name' or 'name'."""
    found = []
    for root in ("src", "lib", "."):
        for path in _subdirectories(directory / root):
            holds = (path / "__init__.py").is_file()
            if holds and path.name not in _NOT_PACKAGES and path.name.isidentifier():
                found.append(str(path.relative_to(directory)))
        if found:
            break
    return found


def modules(directory: Path) -> list[str]:
    """Return the names under which the project is imported, flat modules among them."""
    names = {Path(path).name for path in packages(directory)}
    for root in (directory / "src", directory):
        for path in sorted(root.glob("*.py")) if root.is_dir() else []:
            stem = path.stem
            if stem.isidentifier() and stem not in _NOT_MODULES and not _test_name(path.name):
                names.add(stem)
    return sorted(names)


def project_name(directory: Path) -> str:
    """Return the distribution's name from pyproject.toml, setup.cfg or setup.py; or empty."""
    pyproject = read_toml(directory, "pyproject.toml")
    for section in (table(pyproject, "project"), table(pyproject, "tool", "poetry")):
        if isinstance(section.get("name"), str):
            return str(section["name"])
    stated = read_ini(directory, "setup.cfg").get("metadata", {}).get("name")
    found = re.search(r"""\bname\s*=\s*["']([\w.-]+)["']""", read_text(directory, "setup.py"))
    return stated or (found[1] if found else "")


def required_python(directory: Path) -> str:
    """Return the Python versions that the project requires, such as '>=3.10'; or empty."""
    pyproject = read_toml(directory, "pyproject.toml")
    stated = table(pyproject, "project").get("requires-python")
    stated = stated or read_ini(directory, "setup.cfg").get("options", {}).get("python_requires")
    return stated if isinstance(stated, str) else ""


def guess_licence(directory: Path) -> str:
    """Return the licence that the project's metadata or its licence file names; or empty."""
    project = table(read_toml(directory, "pyproject.toml"), "project")
    stated = project.get("license")
    text = stated.get("text", "") if isinstance(stated, dict) else stated
    if isinstance(text, str) and 0 < len(text) < 60:
        return text
    for path in sorted(directory.iterdir()):
        if re.match(r"(?i)(licen[cs]e|copying)", path.name):
            content = " ".join(read_text(directory, path.name).split())
            for words, name in _LICENCES:
                if words in content:
                    return name
    return ""


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError:
        return value.split()


def _test_name(name: str) -> bool:
    return bool(_TEST_FILE.match(name) or _UNITTEST_FILE.match(name))


def _directories_of_tests(parent: Path) -> Iterator[Path]:
    for path in _subdirectories(parent):
        if path.name in TEST_DIRECTORIES and any(True for _ in _files_of_tests(path)):
            yield path


def _deep_directories_of_tests(parent: Path) -> Iterator[Path]:
    direct = list(_directories_of_tests(parent))
    yield from direct
    for path in _subdirectories(parent):
        if path not in direct:
            yield from _deep_directories_of_tests(path)


def _relative(directory: Path, paths: Iterable[Path]) -> list[str]:
    return [str(path.relative_to(directory)) for path in paths]


def _files_of_tests(path: Path, *, deep: bool = True) -> Iterator[Path]:
    """Yield the files that hold tests, judging by name and text."""
    candidates = _python_files(path) if deep or path.is_file() else sorted(path.glob("*.py"))
    for file in candidates:
        if _test_name(file.name) and re.search(
            r"^[ \t]*(async )?def test|unittest|>>> ", read_text(file.parent, file.name), re.M
        ):
            yield file


def _python_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from sorted(path.glob("*.py"))
    for directory in _subdirectories(path):
        yield from _python_files(directory)


def _subdirectories(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(
        child
        for child in path.iterdir()
        if child.is_dir() and not child.is_symlink() and not child.name.startswith(".")
    )
