"""Prints which names a file uses that nothing defines, and how other files import them.

Arguments: the file, and names that may be missing too if the file does not bind them. For each
missing name, the program prints its imports elsewhere in the repository, then the modules there
that define it, then those of the standard library that hold it.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import symtable
import sys
import sysconfig
import warnings
from collections import Counter
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_SHOWN = 8  # ways to import one name
_COMMON = (
    "collections collections.abc functools itertools typing os os.path re sys math operator "
    "datetime contextlib dataclasses enum types abc warnings inspect string textwrap copy "
    "decimal fractions random time json io pathlib urllib.parse threading weakref numbers heapq "
    "bisect unicodedata calendar struct codecs logging traceback keyword ast tokenize base64 "
    "hashlib uuid email.utils importlib array socket subprocess shutil tempfile pprint platform "
    "queue secrets statistics html html.parser gettext locale ctypes errno signal binascii zlib "
    "gzip bz2 posixpath ntpath stat getpass xml.etree.ElementTree "
)


def undefined(text: str, path: str) -> tuple[set[str], set[str]]:
    """The global names that a file reads and nothing binds, and those that it binds."""
    table = symtable.symtable(text, path, "exec")
    bound = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    read: set[str] = set()
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        for symbol in scope.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                read.add(symbol.get_name())
            if symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
    bound |= {*dir(builtins), "__file__", "__name__", "__path__", "__class__"}
    return read - bound, bound


def imports(tree: ast.Module, package: list[str]) -> Iterator[tuple[str, str]]:
    """Each name that a file imports, and an import statement for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                written = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                yield alias.asname or alias.name.split(".")[0], f"import {written}"
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parts, node.module] if node.module else parts)
            for alias in node.names if module else []:
                written = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                yield alias.asname or alias.name, f"from {module} import {written}"


def definitions(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Each name that a module defines, and an import statement for it."""
    for node in tree.body:
        names: list[str] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        for name in names:
            yield name, f"from {module} import {name}"


def package_of(path: Path) -> list[str]:
    """The dotted package of a file: the directories above that are packages."""
    parts: list[str] = []
    directory = path.parent
    while (directory / "__init__.py").exists():
        parts.insert(0, directory.name)
        directory = directory.parent
    return parts


def known(here: Path) -> Counter[tuple[str, str]]:
    """Every import statement that the repository could use for a name, with its weight."""
    found: Counter[tuple[str, str]] = Counter()
    files = [path for path in Path.cwd().rglob("*.py") if "site-packages" not in path.parts]
    for path in files[:2000]:
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):  # a link may lead nowhere
            continue
        package = package_of(path)
        near = 3 if path.parent == here.parent else 1
        found.update(dict.fromkeys(imports(tree, package), near))
        if path != here:
            module = ".".join(package if path.name == "__init__.py" else [*package, path.stem])
            found.update(dict.fromkeys(definitions(tree, module), 2))
            if path.name != "__init__.py" and package:
                found[path.stem, f"from {'.'.join(package)} import {path.stem}"] += 1
    return found


def is_standard(name: str) -> bool:
    """Whether the standard library has a module of this name."""
    names: Container[str] = getattr(sys, "stdlib_module_names", ())  # since 3.10
    if names:
        return name in names
    path = [sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED")]
    return name in sys.builtin_module_names or PathFinder.find_spec(name, path) is not None


def standard(name: str) -> Iterator[str]:
    """The ways to import a name from the standard library."""
    if is_standard(name):
        yield f"import {name}"
    for module in _COMMON.split():
        if hasattr(importlib.import_module(module), name):
            yield f"from {module} import {name}"


def main() -> None:
    """Print the missing names and the ways to import them."""
    warnings.simplefilter("ignore")
    path = Path(sys.argv[1]).resolve()
    text = path.read_text(encoding="utf-8", errors="replace")
    missing, bound = undefined(text, str(path))
    repository = known(path)
    for name in [*sorted(missing), *(name for name in sys.argv[2:] if name not in bound | missing)]:
        ways = [way for (known_name, way), _ in repository.most_common() if known_name == name]
        ways += [way for way in standard(name) if way not in ways]
        if not ways and name not in missing:
            continue
        verb = "is not defined" if name in missing else "may be missing"
        print(f"{name} {verb}" + ("" if ways else ", and nothing here has it"))
        for way in ways[:_SHOWN]:
            print(f"    {way}")


if __name__ == "__main__":
    main()
