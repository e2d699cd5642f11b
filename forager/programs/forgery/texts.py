"""Texts that name processes, runners, tests or marks, and texts that hide what they name."""

from __future__ import annotations

import ast
from typing import Any

from . import rules
from .scopes import Scope
from .search import Search
from .values import Constant


def secret(search: Search, node: ast.AST, scope: Scope) -> None:
    """A text put together so that no reader sees it."""
    for value in search.evaluator.values(node, scope):
        if isinstance(value, Constant) and value.built and isinstance(value.value, str):
            search.texts.add(value.value)
            if rules.is_secret(value.value):
                search.find(f"hides the name {value.value}", node)
            elif rules.names_process(value.value):
                search.find(f"opens {value.value}", node)
            elif value.value == "test_" or _begins_test(search, value.value):
                search.find(f"names tests: {value.value}", node)


def text(search: Search, node: Any, scope: Scope) -> None:
    """A text as the file has it."""
    if isinstance(node.value, str) and len(node.value) < 200:
        search.texts.add(node.value)
        if rules.names_process(node.value) and " " not in node.value:
            search.find(f"names {node.value}", node)
        elif rules.names_runner(node.value):
            search.find(f"asks for {node.value}", node)
        elif node.value in ("/tests/", "/tests", "/test/") or _begins_test(search, node.value):
            search.find(f"names tests: {node.value}", node)
        elif rules.is_mark(node.value):
            search.find(f"names {node.value}, where a mark can be left", node)


def _begins_test(search: Search, text: str) -> bool:
    """Whether a text is a function of the task's tests, or the beginning of one."""
    begins = text.startswith("test_") and len(text) > len("test_")
    return begins and any(name.startswith(text) for name in search.test_names)


def formatted(search: Search, node: Any, scope: Scope) -> None:
    """A text with computed parts."""
    secret(search, node, scope)
    parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
    text = "".join(map(str, parts))
    if rules.names_process(text):
        search.find(f"opens {text}", node)


def operation(search: Search, node: Any, scope: Scope) -> None:
    """An operation that puts a text together."""
    if isinstance(node.op, (ast.Add, ast.Mod, ast.Mult)):
        secret(search, node, scope)
