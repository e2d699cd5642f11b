"""The versions that a project's lock file pins, as constraints of every install."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from forager.inside import is_inside
from forager.untrusted import Malformed, json_value, toml_value

LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock")
_BYTES = 16 << 20
_ELSEWHERE = {"git", "url", "path", "directory", "editable", "virtual", "file"}  # not an index


def lock_files(tree: Path) -> list[str]:
    """The lock files at the top and one folder below, the uppermost first."""
    found = [path for name in LOCK_FILES for path in (tree / name, *sorted(tree.glob(f"*/{name}")))]
    names = [str(path.relative_to(tree)) for path in found if _pins(path, tree)]
    return sorted(names, key=lambda name: name.count("/"))


def constraints(tree: Path, name: str) -> list[str]:
    """The requirements `name==version` of a lock file, such as `toml==0.10.2`.

    A distribution that is locked in several versions, for several Pythons, is left free. Empty if
    the file cannot be read.
    """
    versions = defaultdict[str, set[str]](set)
    for distribution, version in _pins(tree / name, tree):
        versions[canonicalize_name(distribution)].add(version)
    return sorted(f"{name}=={found.pop()}" for name, found in versions.items() if len(found) == 1)


def _pins(path: Path, tree: Path) -> list[tuple[str, str]]:
    """The distributions of an index that a file locks, with their versions."""
    try:
        if not is_inside(path, tree) or not path.is_file() or path.stat().st_size > _BYTES:
            return []
        text = path.read_text(encoding="utf-8")
        value_of = json_value if path.name == "Pipfile.lock" else toml_value
        content = value_of(text, _BYTES)
    except (OSError, UnicodeError, Malformed):
        return []
    return [(name, version) for name, version in _stated(content) if _is_version(version)]


def _stated(content: Any) -> Iterator[tuple[str, str]]:
    """Yield names and versions; of other things than strings nothing is said."""
    if not isinstance(content, dict):
        return
    for key in ("package", "packages"):
        entries = content.get(key)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and not _ELSEWHERE & {*entry, *_keys(entry.get("source"))}:
                yield str(entry.get("name")), str(entry.get("version"))
    for key in ("default", "develop"):  # of a Pipfile
        section = content.get(key)
        for name, entry in section.items() if isinstance(section, dict) else ():
            if isinstance(entry, dict):
                yield name, str(entry.get("version")).removeprefix("==")


def _keys(source: Any) -> set[str]:
    """What says that a distribution comes from elsewhere: a key of uv, a type of Poetry."""
    return {*source, str(source.get("type"))} if isinstance(source, dict) else set()


def _is_version(text: str) -> bool:
    try:
        return bool(Version(text))
    except InvalidVersion:
        return False
