"""Names, attributes and items: what they stand for, and what is set by them."""

from __future__ import annotations

import ast
from typing import Any

from . import probes, rules
from .operations import index_of
from .scopes import Scope
from .search import Search
from .stores import store, store_item
from .texts import secret
from .uses import documented, unknown, use
from .values import Thing


def attribute(search: Search, node: Any, scope: Scope) -> None:
    """An attribute that is read, assigned or deleted."""
    if node.attr in rules.FRAMES:
        search.find(f"reads stack frames: {node.attr}", node)
    elif node.attr == "from_address":
        search.find("reaches into the interpreter's memory: from_address", node)
    elif node.attr == "pluginmanager":
        search.find("reaches the plug-ins of pytest", node)
    if isinstance(node.ctx, ast.Load):
        if node.attr == "__doc__":
            documented(search, node.value, scope, node)
        for path in search.evaluator.paths(node, scope):
            use(search, path)
        search.find_all(probes.of_attribute(node, scope, search.evaluator), node)
    else:
        store(search, node, scope)


def name(search: Search, node: Any, scope: Scope) -> None:
    """A name that stands for what only a forger needs."""
    passed = node.id in ("exec", "eval") and id(node) not in search.called
    if passed and set(search.evaluator.paths(node, scope)) & rules.EXEC:
        search.find(f"passes exec on: {node.id}", node)
    if node.id == "__builtins__" and isinstance(node.ctx, ast.Load):
        search.find("uses __builtins__", node)
    elif node.id in ("__build_class__", "__loader__"):
        if Thing(f"builtins.{node.id}") in search.evaluator.values(node, scope):
            search.find(f"uses {node.id}", node)
    elif node.id == "pytest_plugins" and isinstance(node.ctx, ast.Store):
        search.find("defines a hook of pytest: pytest_plugins", node)
    elif search.layout.stars and isinstance(node.ctx, ast.Load):
        for path in search.evaluator.paths(node, scope):
            use(search, path)


def subscript(search: Search, node: Any, scope: Scope) -> None:
    """An item that is read, assigned or deleted."""
    if not isinstance(node.ctx, ast.Load):
        store_item(search, node, scope)
        return
    for path in search.evaluator.paths(node, scope):
        use(search, path)
        if path.endswith(".?"):
            unknown(search, path[:-2], node.slice, scope, node)
        elif path == "os.environ[?]":
            search.asked.update(search.evaluator.texts(index_of(node), scope))
    secret(search, node, scope)
