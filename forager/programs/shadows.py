"""Reports which new files would take the place of a module that the image or the tests use.

A name matters if a module outside the working tree has it, and more than the project's own code
may import it: an installed distribution, a module that pytest has loaded before the first test or
names in its own code, or one that the tests import. Other names of the standard library are free.
A name also matters if the tests import it and it is not there, or only at another import root.

It runs before a patch is applied. Standard input is one JSON object; descriptor 3 takes lines of
the request's nonce and a JSON object, and the last one says that all are there. It imports nothing
by the names that it is asked about.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

_MACHINERY = ("_pytest", "pluggy", "iniconfig", "packaging", "pygments", "unittest", "doctest")
_MOST, _LARGEST = 5000, 4 << 20  # files of tests that are read, and bytes of each
_IMPORT = re.compile(
    r"^[ \t]*(?:>>>[ \t]*)?(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^#\n;]+))",
    re.MULTILINE,
)
_BY_NAME = re.compile(r"""(?:__import__|import_module|importorskip)\(\s*["']([\w.]+)""")


def within(place: str) -> bool:
    """Whether a path is in the working tree, which is the current directory."""
    return (os.path.realpath(place) + "/").startswith(os.path.realpath(".") + "/")


def places(name: str) -> list[str]:
    """Where a module of this name is outside the working tree; `built-in` is a place too."""
    for finder in sys.meta_path:
        found: Any = finder.find_spec(name, None) if hasattr(finder, "find_spec") else None
        if found:
            listed = [found.origin or "", *(found.submodule_search_locations or ())]
            known = [place for place in listed if place]
            return [] if any(within(place) for place in known if "/" in place) else known
    return []


def is_standard(found: list[str]) -> bool:
    """Whether a module of these places belongs to the standard library."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return all(
        "/" not in place
        or (
            any(place.startswith(f"{library}/") for library in libraries)
            and not {"site-packages", "dist-packages"} & set(Path(place).parts)
        )
        for place in found
    )


def imports(text: str) -> Iterator[str]:
    """The first part of the names of modules that a text imports, in any statement or comment."""
    for start, names in _IMPORT.findall(text):
        for name in [start] if start else names.split(","):
            yield (name.split() or [""])[0].partition(".")[0]
    for name in _BY_NAME.findall(text):
        yield name.partition(".")[0]


def imported(files: Iterable[Path]) -> set[str]:
    """What Python files import. Too many of them raise ValueError."""
    found: set[str] = set()
    for number, file in enumerate(files):
        if number == _MOST:
            raise ValueError(f"more than {_MOST} files to read")
        if file.is_file() and file.stat().st_size <= _LARGEST:
            found.update(imports(file.read_text("utf-8", "replace")))
    return found


def modules(name: str) -> Iterator[Path]:
    """The Python files of a module outside the working tree; of a package, its own."""
    for place in places(name):
        path = Path(place)
        if path.suffix == ".py" and path.name != "__init__.py":
            yield path
        elif path.is_dir():
            yield from sorted(path.glob("*.py"))


def indirectly(tests: set[str]) -> set[str]:
    """What is imported by pytest and by the standard modules that the tests import."""
    known = {name for name in tests if name.isidentifier() and is_standard(places(name))}
    return imported(file for name in sorted({*known, *_MACHINERY}) for file in modules(name))


def python_files(path: Path) -> Iterator[Path]:
    """A file, or the Python files below a folder."""
    if path.is_dir():
        yield from path.rglob("*.py")
    elif path.suffix == ".py":
        yield path


def roots(arguments: list[str], tests: list[str]) -> set[str]:
    """The directories of the working tree from which a test run imports modules.

    These are on the path once pytest has read its configuration and the first conftest.py, or
    pytest puts them there for a test file: the nearest directory above it that is not a package.
    """
    sys.path[0] = str(Path.cwd())
    try:
        from _pytest.config import _prepareconfig

        _prepareconfig(arguments)
    except BaseException as error:  # what it put on the path before counts
        print(type(error).__name__, error, file=sys.stderr)
    places = {place or "." for place in sys.path if within(place or ".")}
    for test in tests:
        for directory in Path(test).parents:
            if directory == Path(test).parent or (directory / "conftest.py").exists():
                packages = (directory, *directory.parents)
                places.add(str(next(place for place in packages if not is_package(place))))
    sources = [place for place in (Path("src"), Path("lib")) if place.is_dir()]
    places.update(str(place) for place in sources if not is_package(place))
    return {os.path.relpath(os.path.realpath(place)) for place in places}


def is_package(directory: Path) -> bool:
    """Whether a directory belongs to the module of its name; the uppermost does not."""
    return directory.name != "" and (directory / "__init__.py").exists()


def is_there(root: str, name: str, below: str) -> bool:
    """Whether a name at a root is the project's own already; `below` is the rest of the path."""
    place = Path(root, name)
    if below in ("", "__init__.py"):
        return place.with_name(f"{name}.py").exists() or (place / "__init__.py").exists()
    return place.exists()


def new_names(path: str) -> Iterator[str]:
    """The names that a file would bring, whichever folder above it is an import root."""
    parts = PurePosixPath(path).parts
    for depth, part in enumerate(parts):
        below = "/".join(parts[depth + 1 :])
        name = part if below else PurePosixPath(part).stem
        if not is_there("/".join(parts[:depth]), name, below):
            yield name


def main() -> None:
    """Read the request, answer, end without running what pytest's plugins left behind."""
    # What is compiled now could stand for what the patch changes within the second.
    sys.dont_write_bytecode = True
    request = json.loads(sys.stdin.readline())
    answer = os.dup(3)
    before = sys.path[:]
    sys.path[:] = [place for place in sys.path[1:] if not within(place or ".")]
    new = {path: PurePosixPath(path).with_suffix("").parts for path in request["new"]}
    names = {part for path in new for part in new_names(path) if part.isidentifier()}
    scopes = request["scopes"]
    tests = imported(file for scope in scopes for file in python_files(Path(scope)))
    outside = {name: found for name in names if (found := places(name))}
    known = outside.keys() | (names & tests)
    standard = {name for name, found in outside.items() if is_standard(found)}
    free = standard - tests - indirectly(tests) if standard and scopes else set()
    sys.path[:] = before
    reports: list[dict[str, Any]] = []
    if known:
        starts = roots(request["arguments"], request["tests"])
        loaded = {name.partition(".")[0] for name in sys.modules}
        matter = known - (free - loaded)
        for root in starts:
            depth = len(PurePosixPath(root).parts)
            for path, parts in new.items():
                inside = root == "." or path.startswith(f"{root}/")
                if inside and parts[depth] in matter:
                    below = "/".join(PurePosixPath(path).parts[depth + 1 :])
                    if not is_there(root, parts[depth], below):
                        reports.append({"taken": path})
    lines = [f"{request['nonce']} {json.dumps(report)}\n" for report in [*reports, {"end": True}]]
    unsent = "".join(lines).encode()
    while unsent:
        unsent = unsent[os.write(answer, unsent) :]
    os._exit(0)


if __name__ == "__main__":
    main()
