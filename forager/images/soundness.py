"""Whether an image is sound: enough of the project's tests are collected and pass."""

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from forager.images.layout import read_text

LEAST_COLLECTED = 0.5  # share of the test functions in a project's files


def test_functions(tree: Path, files: Iterable[str]) -> dict[str, int]:
    """The number of test functions and methods in each file, as far as Python can parse it."""
    return {name: _in_text(read_text(tree, name)) for name in files}


def collected_functions(tests: Sequence[str]) -> int:
    """The number of test functions among node ids, whatever their parameters."""
    return len({test.partition("[")[0] for test in tests if "::" in test})


def _in_text(text: str) -> int:
    try:
        syntax = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    bodies = [syntax.body, *(node.body for node in syntax.body if isinstance(node, ast.ClassDef))]
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        for body in bodies
        for node in body
    )
