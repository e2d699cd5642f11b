"""Definitions of classes and functions, and tables that classes are made of."""

from __future__ import annotations

import ast
from typing import Any

from . import objects, rules
from .scopes import Scope
from .search import Search


def class_(search: Search, node: Any, scope: Scope) -> None:
    """A class whose objects lie to tests."""
    defined(search, node, scope)
    search.find_all(objects.of_class(node, scope, search.evaluator), node)


def defined(search: Search, node: Any, scope: Scope) -> None:
    """A hook of pytest, or a function that runs at an event."""
    if rules.is_hook(node.name):
        search.find(f"defines a hook of pytest: {node.name}", node)
    for decorator in node.decorator_list:
        for path in search.evaluator.paths(decorator, scope):
            if path in rules.AT_IMPORT and search.importing.runs(scope):
                search.find(rules.AT_IMPORT[path], node)


def table(search: Search, node: Any, scope: Scope) -> None:
    """A table of methods, of which `type` makes a class."""
    for key, value in zip(node.keys, node.values):
        if key is not None and not isinstance(value, (ast.Constant, ast.JoinedStr)):
            for name in rules.DECISIVE & set(search.evaluator.texts(key, scope)):
                search.find(f"puts a method into a table: {name}", node)
