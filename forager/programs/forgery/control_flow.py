"""Comparisons, conditions, patterns, loops, and blocks that handle failures."""

from __future__ import annotations

import ast
from typing import Any

from . import objects, probes, rules
from .scopes import Scope
from .search import Search
from .uses import shown, use
from .values import Thing

_VARIABLES = frozenset(
    ["os.environ", "os.environb", *(f"os.environ.{way}" for way in ("keys", "items", "copy"))]
)


def compare(search: Search, node: Any, scope: Scope) -> None:
    """A comparison that tells processes or runners apart."""
    sides = [node.left, *node.comparators]
    texts = [text for side in sides for text in search.evaluator.texts(side, scope)]
    paths = [path for side in sides for path in search.evaluator.paths(side, scope)]
    asked = [text for text in texts if "pytest" in text or text == "unittest"]
    if {"os.getpid()", "posix.getpid()", "os.getppid()"} & set(paths):
        search.find("tells processes apart: getpid", node)
    if "os.environ" in paths:
        search.asked.update(texts)
    known = ("sys.modules", "sys.argv", "sys.orig_argv", "os.environ")
    if asked and any(path.startswith(known) for path in paths):
        search.find(f"asks whether {asked[0]} runs", node)
    search.find_all(probes.of_compare(node, scope, search.evaluator), node)


def condition(search: Search, node: Any, scope: Scope) -> None:
    """A condition that asks what runs the code."""
    parts = node.values if isinstance(node, ast.BoolOp) else [node.test]
    for part in parts:
        search.find_all(probes.of_condition(part, scope, search.evaluator), node)


def try_(search: Search, node: Any, scope: Scope) -> None:
    """A block that swallows failures of tests, or learns from failures what runs it."""
    search.find_all(objects.of_try(node, scope, search.evaluator), node)
    search.find_all(probes.of_try(node, scope, search.evaluator), node)


def with_(search: Search, node: Any, scope: Scope) -> None:
    """A block that swallows failures of tests."""
    search.find_all(objects.of_with(node, scope, search.evaluator), node)


def match(search: Search, node: Any, scope: Scope) -> None:
    """Patterns that take attributes."""
    subjects = search.evaluator.values(node.subject, scope)
    attributes = [name for part in ast.walk(node) for name in getattr(part, "kwd_attrs", ())]
    for name in attributes:
        if name in rules.FRAMES:
            search.find(f"reads stack frames: {name}", node)
        for value in search.evaluator.attribute(subjects, name):
            if isinstance(value, Thing):
                use(search, value.path)
    for path in search.evaluator.paths(node.subject, scope):
        if attributes and path in rules.DANGEROUS:
            search.find(f"takes attributes of {shown(path)} by a pattern", node)


def loop(search: Search, node: Any, scope: Scope) -> None:
    """A loop over what shows a runner."""
    listed(search, node.iter, scope)


def listed(search: Search, node: ast.AST, scope: Scope) -> None:
    """What goes through modules, variables of the environment or places of modules."""
    paths = search.evaluator.paths(node, scope)
    if "sys.modules" in paths:
        search.find("searches sys.modules")
    search.find_all(probes.of_loop(node, scope, search.evaluator), node)
    if any(path.partition("(")[0] in _VARIABLES for path in paths):
        search.searched.append(node)
