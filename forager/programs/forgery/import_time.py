"""Which functions run while a module is imported."""

from __future__ import annotations

import ast
from typing import Any, Iterator

from .scopes import FUNCTIONS, Layout, Scope


class ImportTime:
    """Which functions run while the module is imported, as far as the file shows."""

    def __init__(self, layout: Layout) -> None:
        functions: dict[str, list[Any]] = {}
        for node, _, _ in layout.visited:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions.setdefault(node.name, []).append(node)
        self._running: set[int] = {id(layout.top.node)}
        calls: dict[int, set[str]] = {}
        for node, scope, block in layout.visited:
            names = calls.setdefault(id(function_of(scope)), set())
            if isinstance(node, ast.Call) and block != "program":
                names.update(_called_names(node))
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                decorators = node.decorator_list
                names.update(part.id for part in decorators if isinstance(part, ast.Name))
        waiting = [id(layout.top.node)]
        while waiting:
            for name in calls.get(waiting.pop(), ()):
                for function in functions.get(name, ()):
                    if id(function) not in self._running:
                        self._running.add(id(function))
                        waiting.append(id(function))

    def runs(self, scope: Scope) -> bool:
        """Whether a scope's code runs at import."""
        return id(function_of(scope)) in self._running


def function_of(scope: Scope) -> ast.AST:
    """The function around a scope, or the module."""
    place = scope
    while place.parent is not None and not isinstance(place.node, FUNCTIONS):
        place = place.parent
    return place.node


_STARTERS = (
    "Thread",
    "Timer",
    "Process",
    "start_new_thread",
    "map",
    "filter",
    "register",
    "submit",
)


def _called_names(node: ast.Call) -> Iterator[str]:
    """The functions that a call runs, by name."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    yield name
    if name[:1].isupper():
        yield from ("__init__", "__new__", "__post_init__")
    if name in _STARTERS:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        yield from (part.id for part in given if isinstance(part, ast.Name))
