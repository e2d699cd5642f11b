"""The layout of a project: its modules, tests and licence. Files are read, never run."""

import configparser
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from forager.environments.repository.protection import folder_of_tests
from forager.inside import is_inside
from forager.untrusted import Malformed, toml_value

_MOST_TEXT = 1 << 20  # characters of a file
_LONGEST_LINE = 2000  # characters of a line of settings; configparser's time grows with the square
_TEST_FILE = re.compile(r"(test_.*|.*_test)\.py$")
_UNITTEST_FILE = re.compile(r"tests?[^/]*\.py$", re.IGNORECASE)
_TEST = re.compile(r"^[ \t]*(async )?def test|unittest", re.MULTILINE)
_OTHER_TESTS = re.compile(r"doctest|python_(functions|classes)")  # in settings of pytest
_NOT_PACKAGES = {
    "tests",
    "test",
    "testing",
    "unit_tests",
    "t",
    "doc",
    "docs",
    "example",
    "examples",
    "benchmarks",
    "bench",
}
_NOT_PACKAGES |= {"tools", "scripts", "ci", "build", "dist", "node_modules", "venv", "demo"}
_NOT_MODULES = {"setup", "conftest", "noxfile", "tasks", "fabfile", "dodo", "versioneer", "conf"}
_INSTALLING = (("project",), ("build-system",), ("tool", "poetry"), ("tool", "flit"))
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
_REPOSITORY = re.compile(
    r"https?://(?:www\.)?((?:github|gitlab|bitbucket|codeberg)\.(?:com|org)"
    r"/[\w.-]{1,100}/[\w.-]{1,100}?)(?:\.git)?(?![\w.-])",
    re.ASCII,
)
_URLS = re.compile(r"^(?:Home-page|Project-URL|Download-URL):(.{1,2000})$", re.MULTILINE)


def repository_in(urls: Iterable[str]) -> str:
    """The first URL of a public repository among some, such as those of an index; "" if none."""
    found = (_REPOSITORY.search(url[:2000]) for url in urls)
    return next((f"https://{match[1]}" for match in found if match), "")


def stated_repository(directory: Path) -> str:
    """The public repository that the metadata of an sdist names; "" if none."""
    head = read_text(directory, "PKG-INFO").partition("\n\n")[0]
    return repository_in(_URLS.findall(head))


def read_text(directory: Path, name: str) -> str:
    """Return a file's text, of a large one the beginning.

    Empty if there is none, it cannot be read, or a link leads out of the project.
    """
    path = directory / name
    try:
        if not is_inside(path, directory) or not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""


def read_toml(directory: Path, name: str) -> dict[str, Any]:
    """Return a TOML file's content; empty if there is none, or it cannot be parsed."""
    try:
        return toml_value(read_text(directory, name), _MOST_TEXT)
    except Malformed:
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


def likely_tests(directory: Path) -> list[str]:
    """Return the Python files that look like tests by name or folder and by text."""
    return [
        name
        for path in _files(directory)
        if (name := str(path.relative_to(directory)))
        and (_test_name(path.name) or folder_of_tests(name))
        and _TEST.search(read_text(path.parent, path.name))
    ]


def may_hold_tests(directory: Path) -> bool:
    """Whether pytest may find a test: a function, or what a conftest.py or settings make one."""
    for path in _files(directory, (".py", ".ini", ".cfg", ".toml")):
        sign = _TEST if path.name.endswith(".py") else _OTHER_TESTS
        if path.name == "conftest.py" or sign.search(read_text(path.parent, path.name)):
            return True
    return False


def monorepo_packages(directory: Path) -> list[str]:
    """Return the folders below the top that are projects with tests, such as 'libs/core'."""
    found = {
        str(path.parent.relative_to(directory))
        for pattern in ("*/pyproject.toml", "*/*/pyproject.toml", "*/setup.py", "*/*/setup.py")
        for path in directory.glob(pattern)
        if not path.parent.is_symlink()
        and is_installable(path.parent)
        and not _NOT_PACKAGES & {*path.parent.relative_to(directory).parts}
        and may_hold_tests(path.parent)
    }
    return sorted(found)


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


def links_outside(directory: Path, names: Iterable[str]) -> list[str]:
    """Return the links among the files that lead out of the project, or to a folder around them.

    pytest would enter them and collect the whole file system, or every test by several paths.
    """
    links = [name for name in names if (directory / name).is_symlink()]
    return sorted(name for name in links if _leads_out(name, (directory / name).readlink()))


def _leads_out(name: str, target: Path) -> bool:
    depth = 0
    for part in (Path(name).parent / target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return target.is_absolute() or not set(target.parts) - {".."}  # "." has no parts


def import_root(directory: Path) -> str:
    """Return the directory from which modules are imported: 'src', 'lib', or empty for the top."""
    if (directory / "src").is_dir():
        return "src"
    return "lib" if any(path.startswith("lib/") for path in packages(directory)) else ""


def is_installable(directory: Path) -> bool:
    """Whether files of the project say how to install it.

    Many a pyproject.toml or setup.cfg holds settings of tools only.
    """
    pyproject = read_toml(directory, "pyproject.toml")
    stated = [table(pyproject, *keys) for keys in _INSTALLING]
    metadata = {"metadata", "options"} & set(read_ini(directory, "setup.cfg"))
    return (directory / "setup.py").is_file() or any(stated) or bool(metadata)


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


def _test_name(name: str) -> bool:
    return bool(_TEST_FILE.match(name) or _UNITTEST_FILE.match(name))


def _files(directory: Path, endings: tuple[str, ...] = (".py",)) -> Iterator[Path]:
    """Yield the files with these endings outside hidden folders; no link, nothing unreadable."""
    waiting = [directory]
    while waiting:  # not by recursion: a tree may be deeper than Python's stack
        folders = []
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and entry.name.endswith(endings):
                yield Path(entry.path)
        waiting += reversed(folders)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # such as a path that is too long
        return []


def _subdirectories(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(
        child
        for child in path.iterdir()
        if not child.is_symlink() and child.is_dir() and not child.name.startswith(".")
    )
