"""Says which files of a working tree a test run can import or load."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any, Callable, Iterable

from .scopes import module_of

_LARGEST = 1 << 20  # bytes of a file that is read for its imports
_MOST = 20_000  # files that are looked at


class NamedFiles:
    """The files that others name: in imports, or in texts.

    `known` are the paths of all Python files before the patch, `changed` those that it leaves,
    `names` what these load and which texts they hold; `read` gives a file's bytes.
    """

    def __init__(
        self,
        known: Iterable[str],
        changed: Iterable[str],
        names: dict[str, set[str]],
        read: Callable[[str], bytes],
    ) -> None:
        self._known, self._changed = set(known), set(changed)
        self._names, self._read = names, read
        self._packages = {
            str(PurePosixPath(path).parent)
            for path in self._known | self._changed
            if path.endswith("/__init__.py")
        }

    def reachable(self, wanted: Iterable[str], *, doctests: bool) -> set[str]:
        """Those of the wanted files that a test run may execute.

        A new file counts if a file that counts names it. With `doctests`, pytest imports the
        modules of packages by itself.
        """
        waiting = set(wanted)
        found = {path for path in waiting if self._counts(path, doctests)}
        new = {path for path in self._changed if path not in self._known and path.endswith(".py")}
        sources = [path for path in self._known | self._changed if path not in new]
        pending = (new | waiting) - found
        while pending and sources:
            named = {path for path in pending if self._is_named(path, sources)}
            found |= named & waiting
            pending -= named
            sources = sorted(named)
        return found

    def _counts(self, path: str, doctests: bool) -> bool:
        """Whether a file counts whoever names it."""
        inside = str(PurePosixPath(path).parent) in self._packages
        return inside and (path in self._known or doctests)

    def _is_named(self, path: str, sources: Iterable[str]) -> bool:
        pure = PurePosixPath(path)
        stem = pure.parent.name if pure.name == "__init__.py" else pure.name.partition(".")[0]
        word, modules = stem.encode(), set(_modules(pure))
        for source in list(sources)[:_MOST]:
            if source == path:
                continue
            if any(is_name_of(name, modules, pure.name) for name in self._names.get(source, ())):
                return True
            try:
                data = self._read(source)
            except OSError:
                continue
            if word not in data or len(data) > _LARGEST:
                continue
            if not source.endswith(".py"):
                return True
            try:
                tree = ast.parse(data)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            if _names(tree, PurePosixPath(source), modules, pure.name):
                return True
        return False


def _modules(path: PurePosixPath) -> list[str]:
    """The names by which a module may be imported, whatever is on the path."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return [".".join(parts[place:]) for place in range(len(parts))]


def _names(tree: ast.AST, source: PurePosixPath, modules: set[str], name: str) -> bool:
    """Whether a file imports one of the modules, or names it or its file in a text."""
    own = source.parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            if any(alias.name in modules for alias in node.names):
                return True
        elif isinstance(node, ast.ImportFrom):
            base = module_of(node)
            if node.level:
                above = own[: len(own) - node.level + 1]
                base = ".".join([*above, *((node.module or "").split(".") if node.module else [])])
            if base in modules or any(f"{base}.{alias.name}" in modules for alias in node.names):
                return True
            if any(f"{base}.{alias.name}".lstrip(".") in modules for alias in node.names):
                return True
        elif isinstance(node, ast.Constant) and is_name_of(node.value, modules, name):
            return True
    return False


def is_name_of(text: Any, modules: set[str], name: str) -> bool:
    """Whether a text is the name of a module, or the path of its file."""
    if not isinstance(text, str) or len(text) > 200:
        return False
    return text in modules or text == name or text.endswith(f"/{name}")
