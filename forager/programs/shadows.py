"""Reports which new files would take the name of a module that the image has elsewhere.

It runs before a patch is applied. Standard input is one JSON object; descriptor 3 takes lines of
the request's nonce and a JSON object, and the last one says that all are there. It imports nothing
by the names that it is asked about.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any


def within(place: str) -> bool:
    """Whether a path is in the working tree, which is the current directory."""
    return (os.path.realpath(place) + "/").startswith(os.path.realpath(".") + "/")


def elsewhere(name: str) -> bool:
    """Whether a module of this name is found outside the working tree, or built in."""
    for finder in sys.meta_path:
        found: Any = finder.find_spec(name, None) if hasattr(finder, "find_spec") else None
        if found:
            places = [found.origin or "", *(found.submodule_search_locations or ())]
            return not any(within(place) for place in places if "/" in place)
    return False


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


def taken(root: str, name: str, below: str) -> bool:
    """Whether a name at a root is the project's own already; `below` is the rest of the path."""
    place = Path(root, name)
    if below in ("", "__init__.py"):
        return place.with_name(f"{name}.py").exists() or (place / "__init__.py").exists()
    return place.exists()


def main() -> None:
    """Read the request, answer, end without running what pytest's plugins left behind."""
    # What is compiled now could stand for what the patch changes within the second.
    sys.dont_write_bytecode = True
    request = json.loads(sys.stdin.readline())
    answer = os.dup(3)
    before = sys.path[:]
    sys.path[:] = [place for place in sys.path[1:] if not within(place or ".")]
    new = {path: PurePosixPath(path).with_suffix("").parts for path in request["new"]}
    names = {part for parts in new.values() for part in parts if part.isidentifier()}
    known = {name for name in names if elsewhere(name)}
    sys.path[:] = before
    reports: list[dict[str, Any]] = []
    if known:
        for root in roots(request["arguments"], request["tests"]):
            depth = len(PurePosixPath(root).parts)
            for path, parts in new.items():
                inside = root == "." or path.startswith(f"{root}/")
                if inside and parts[depth] in known:
                    below = "/".join(PurePosixPath(path).parts[depth + 1 :])
                    if not taken(root, parts[depth], below):
                        reports.append({"taken": path})
    lines = [f"{request['nonce']} {json.dumps(report)}\n" for report in [*reports, {"end": True}]]
    unsent = "".join(lines).encode()
    while unsent:
        unsent = unsent[os.write(answer, unsent) :]
    os._exit(0)


if __name__ == "__main__":
    main()
