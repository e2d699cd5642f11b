"""Modules and things of others that a file imports and uses."""

from __future__ import annotations

import ast
from typing import Any

from . import rules
from .import_time import function_of
from .ingredients import ingredients
from .scopes import FUNCTIONS, Scope, module_of
from .search import Search
from .values import Own


def import_(search: Search, node: Any, scope: Scope) -> None:
    """An import of modules."""
    for alias in node.names:
        note_import(search, alias.name)


def import_from(search: Search, node: Any, scope: Scope) -> None:
    """An import from a module."""
    module = module_of(node)
    note_import(search, module)
    for alias in node.names:
        path = f"{module}.{alias.name}"
        if rules.is_machinery(path) and not rules.is_machinery(module):
            search.find(f"imports {path}")
        search.loads.add(path)
        use(search, path)
        if path in rules.WIDE and alias.asname:
            search.find(f"makes an exception stand for all: {alias.asname}", node)


def note_import(search: Search, module: str) -> None:
    """A module that the file imports."""
    search.loads.add(module)
    if rules.is_machinery(module):
        search.find(f"imports {module}")
    elif module in rules.USES:
        search.find(f"{rules.USES[module]}: {module}")


def import_by_call(search: Search, node: Any, scope: Scope) -> None:
    """A call that imports by a name."""
    for name in search.evaluator.texts(node.args[0], scope) if node.args else ():
        note_import(search, name.replace(":", "."))
    if node.args:
        parts = ingredients(node.args[0], scope, search.evaluator)
        if parts & (rules.DECODING | rules.READING | rules.READING_ATTRIBUTES):
            search.find("hides the name of a module that it imports")


def use(search: Search, path: str) -> None:
    """A thing that the file uses."""
    parts = path.split(".")
    if parts[-1] in rules.FRAMES:
        search.find(f"reads stack frames: {parts[-1]}")
        return
    if parts[-2:-1] in (["_sys"], ["_gc"], ["_inspect"]):  # as `collections` imports it
        path = f"{parts[-2][1:]}.{parts[-1]}"
        parts = path.split(".")
    for length in range(len(parts), 0, -1):
        begin = ".".join(parts[:length])
        if begin in rules.USES and "." in begin:
            search.find(f"{rules.USES[begin]}: {begin}")
            return
    if path in rules.NAMESPACES:
        search.find(f"takes the namespace of {path[: -len('.__dict__')]}")
    elif path.endswith("__subclasses__"):
        owner = path[: -len(".__subclasses__")]
        if _is_foreign_class(search, owner):
            search.find(f"searches classes by {owner}.__subclasses__")
    elif rules.is_machinery(
        parts[0] if parts[0] != "unittest" else ".".join(parts[:2])
    ) or path.startswith("__main__."):
        search.find(f"uses {path}")


def _is_foreign_class(search: Search, owner: str) -> bool:
    if owner.startswith("?"):
        return any(name in owner for name in ("__base__", "__bases__", "__mro__"))
    return not search.owns(owner.partition(".")[0]) and not owner.startswith("__self__")


def documented(search: Search, of: ast.AST, scope: Scope, node: ast.AST) -> None:
    """A docstring of the file that a function reads."""
    if not isinstance(function_of(scope), FUNCTIONS):
        return
    for value in search.evaluator.values(of, scope):
        if isinstance(value, Own) and not isinstance(value.node, ast.Lambda):
            search.find(f"reads the docstring of {value.node.name}", node)


def unknown(search: Search, owner: str, name: ast.AST, scope: Scope, node: ast.AST) -> None:
    """An attribute by a name that only running the code can tell."""
    if owner in rules.DANGEROUS:
        search.find(f"hides which attribute of {shown(owner)} it takes", node)
    elif search.is_foreign(owner):
        parts = ingredients(name, scope, search.evaluator)
        if parts & rules.DECODING:
            search.find(f"hides which attribute of {shown(owner)} it takes", node)


def shown(path: str) -> str:
    """A path for readers."""
    return path.replace("sys.modules[?]", "a module of sys.modules").replace("?module", "a module")
