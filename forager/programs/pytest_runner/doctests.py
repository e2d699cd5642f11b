"""Doctests: their examples must be those of the file, and can be changed to expect other output."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _pytest.doctest import DoctestItem  # pytest does not export it

_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def expect_other_output(items: list[Any]) -> None:
    """Change what the examples of doctests print."""
    for item in items:
        for example in item.dtest.examples if isinstance(item, DoctestItem) else ():
            if example.want:
                example.want = f"{example.want.rstrip()}~\n"


def file_of(node: Any) -> str:
    """The path of an item's or module's file; pytest 6 has `fspath` alone, others may lack it."""
    return str(node.path if hasattr(node, "path") else node.fspath)


def rewritten(items: list[Any]) -> Iterator[str]:
    """The ids of doctests whose examples are in no docstring of that name in their file.

    Code can give a function another docstring while it runs. Some projects do that for good
    reasons, so the same ids without the patch tell which matter.
    """
    trees: dict[str, ast.Module] = {}
    for item in items:
        if isinstance(item, DoctestItem):
            path = file_of(item)
            if path.endswith(".py") and not _in_file(item, path, trees):
                yield item.nodeid


def _in_file(item: Any, path: str, trees: dict[str, ast.Module]) -> bool:
    if path not in trees:
        trees[path] = ast.parse(Path(path).read_bytes())
    module = str(item.dtest.globs.get("__name__", ""))
    parts = item.dtest.name[len(module) :].strip(".").split(".")
    found = [(example.source, example.want) for example in item.dtest.examples]
    docstrings = map(ast.get_docstring, _named(trees[path], [part for part in parts if part]))
    return any(found == _examples(docstring or "") for docstring in docstrings)


def _named(node: Any, parts: list[str]) -> Iterator[Any]:
    """The definitions of a dotted name in a syntax tree; there may be several."""
    if not parts:
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS):
            if child.name == parts[0]:
                yield from _named(child, parts[1:])
        elif isinstance(child, (ast.If, ast.Try, ast.With)):
            yield from _named(child, parts)


def _examples(docstring: str) -> list[tuple[str, str]]:
    from doctest import DocTestParser  # takes time, and most projects have no doctests

    try:
        examples = DocTestParser().get_examples(docstring)
        return [(example.source, example.want) for example in examples]
    except ValueError:
        return []
