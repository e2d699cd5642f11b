"""Lists what an untrusted recipe left in a build container, as one line of JSON.

usage: python -I inventory REQUEST

The system's Python runs it as root; nothing of the project runs. REQUEST is a file of JSON:
    environment  the directory of the virtual environment
    tree         the working tree
    tracked      by path, the SHA-256 of a tracked file in hex, or `-> TARGET` of a link
    top          where else to look, such as /
    passed_over  directories in which not to look
The answer:
    loose        by path, the same of what can be imported and belongs to no distribution, and of
                 what decides which interpreter runs
    altered      files of distributions that differ from their RECORD
    changed      tracked files that differ or are gone
    added        by path, files and links in the tree that are not tracked, the first MOST of them:
                 the target of a link, else an empty text
    plugins      the value of each entry point of pytest
    local        by distribution, the address of the directory or archive that it came from
    outside      what can be imported elsewhere and belongs to the owner of the tree
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 2000
_IMPORTABLE = (".py", ".pth", ".so", ".pyc", ".pyd", ".zip", ".egg", ".egg-link")
_INTERPRETER = ("pyvenv.cfg", "bin/python", "bin/python3")


def digest(path: Path) -> bytes:
    """The SHA-256 of a file's content."""
    result = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.digest()


def target(path: Path) -> str:
    """Where a link leads; empty for other files."""
    return os.readlink(path) if path.is_symlink() else ""  # as it is written


def state(path: Path) -> str:
    """What a path holds, in one word; empty if it is neither a file nor a link."""
    if path.is_symlink():
        return f"-> {target(path)}"
    return digest(path).hex() if path.is_file() else ""


def walk(top: Path) -> Iterator[Path]:
    """Yield files and links below a directory, byte code and the repository aside."""
    for name, children, files in os.walk(top):
        directory = Path(name)
        links = [child for child in children if (directory / child).is_symlink()]
        left_out = {"__pycache__", *links, *([".git"] if directory == top else [])}
        children[:] = sorted(set(children) - left_out)
        yield from (directory / file for file in (*links, *sorted(files)))


def recorded(site: Path) -> dict[Path, str]:
    """By path, the hash of each file that a distribution in this directory installed."""
    found = {}
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.reader(file):
                if len(row) > 1 and row[1].startswith("sha256="):
                    found[site / row[0]] = row[1][len("sha256=") :].rstrip("=")
    return found


def plugins(site: Path) -> Iterator[str]:
    """Yield the value of each entry point by which pytest loads a plug-in."""
    for path in sorted(site.glob("*-info/entry_points.txt")):
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
        if parser.has_section("pytest11"):
            yield from (value for _, value in parser.items("pytest11"))


def origins(site: Path) -> dict[str, str]:
    """By distribution, the address of the directory or the archive on this machine."""
    found = {}
    for path in sorted(site.glob("*.dist-info/direct_url.json")):
        url = str(json.loads(path.read_text(encoding="utf-8")).get("url", ""))
        if url.startswith("file:"):
            found[path.parent.name] = url
    return found


def importable(top: Path, passed_over: set[str], owner: int) -> Iterator[str]:
    """Yield the files of this owner that Python could import."""
    for directory, children, files in os.walk(top):
        children[:] = [name for name in children if str(Path(directory, name)) not in passed_over]
        for path in (Path(directory, name) for name in files if name.endswith(_IMPORTABLE)):
            if path.lstat().st_uid == owner:
                yield str(path)


def compare(environment: Path, sites: list[Path]) -> tuple[dict[str, str], list[str]]:
    """What belongs to no distribution, and what differs from its RECORD."""
    places = [environment / name for name in _INTERPRETER]
    loose, altered = {str(path): state(path) for path in places}, []
    for site in sites:
        owned = recorded(site)
        for path in walk(site):
            if path in owned:
                value = base64.urlsafe_b64encode(digest(path)).decode().rstrip("=")
                altered.extend([str(path)] if value != owned[path] else [])
            elif path.name.endswith(_IMPORTABLE) or path.is_symlink():
                loose[str(path)] = state(path)
    return loose, altered


def main() -> None:
    """Print the inventory."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    passed_over = set(request["passed_over"])
    environment, tree, tracked = (
        Path(request["environment"]),
        Path(request["tree"]),
        request["tracked"],
    )
    sites = sorted(environment.glob("lib/*/site-packages"))
    loose, altered = compare(environment, sites)
    added = ((str(path.relative_to(tree)), path) for path in walk(tree))
    answer = {
        "loose": loose,
        "altered": altered,
        "changed": [name for name, value in tracked.items() if state(tree / name) != value],
        "added": dict([(name, target(path)) for name, path in added if name not in tracked][:MOST]),
        "plugins": [value for site in sites for value in plugins(site)],
        "local": {name: url for site in sites for name, url in origins(site).items()},
        "outside": sorted(importable(Path(request["top"]), passed_over, tree.stat().st_uid))[:MOST],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
