"""Objects get their attributes in constructors, checked in the syntax trees."""

import ast
from collections.abc import Iterator

from test_imports import SOURCES, tree_of

TEXTUAL = {"border_title", "theme", "virtual_size"}
"""Attributes that Textual's own constructors set."""


def assigned(function: ast.FunctionDef) -> Iterator[str]:
    """Return the attributes of `self` that a method assigns."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr


def declared(kind: ast.ClassDef) -> Iterator[str]:
    """Return the attributes that a class or its constructor gives each object."""
    for node in kind.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from assigned(node)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_state_begins_in_constructors() -> None:
    """No method gives an object an attribute that it lacked from its beginning."""
    for path in SOURCES:
        for kind in ast.walk(tree_of(path)):
            if isinstance(kind, ast.ClassDef):
                methods = [node for node in kind.body if isinstance(node, ast.FunctionDef)]
                late = {name for method in methods for name in assigned(method)}
                late -= {*declared(kind), *TEXTUAL}
                assert not late, f"{path}: {kind.name}: {late}"
