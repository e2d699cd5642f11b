"""Patches that solve nothing: a task whose tests one of them passes rewards a shortcut.

Each is made from the broken code and the places that the reference patch changes. No model wrote
them, so a success means that the tests do not look at what the function does.
"""

import ast
from collections.abc import Iterator, Mapping

from forager.mutation.files import parse, unified_diff
from forager.mutation.reach import Edit

EMPTY, CONSTANT, DELETED = "empty change", "constant return", "deleted subject"
_COMMENT = "# reviewed: nothing to change\n"
_LARGEST = 1 << 20  # characters of a file that is parsed
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def shortcuts(sources: Mapping[str, str], edits: Mapping[str, list[Edit]]) -> dict[str, str]:
    """The patches by name: a comment, a body that returns None, no function at all.

    `sources` are the broken files, `edits` what the reference changes in them. Where it changes no
    function, the last two are missing.
    """
    found: dict[str, str] = {}
    for name, change in ((EMPTY, _commented), (CONSTANT, _constant), (DELETED, _deleted)):
        diffs = []
        for path, source in sources.items():
            changed = change(source, edits.get(path, []))
            diffs.append(unified_diff(path, source, changed))
        if patch := "".join(diffs):
            found[name] = patch
    return found


def _commented(source: str, edits: list[Edit]) -> str:
    if not edits:
        return source
    end = "" if source.endswith("\n") else "\n"
    return f"{source}{end}{_COMMENT}"


def _constant(source: str, edits: list[Edit]) -> str:
    lines = source.split("\n")
    for function in _subjects(source, edits):
        body = function.body[0]
        if body.lineno == function.lineno:  # on one line with its head
            continue
        indent = " " * body.col_offset
        lines[body.lineno - 1 : function.end_lineno] = [f"{indent}return None"]
    return "\n".join(lines)


def _deleted(source: str, edits: list[Edit]) -> str:
    lines = source.split("\n")
    for function in _subjects(source, edits):
        first = min([function.lineno, *(mark.lineno for mark in function.decorator_list)])
        indent = " " * function.col_offset
        lines[first - 1 : function.end_lineno] = [f"{indent}pass"]
    return "\n".join(lines)


def _subjects(source: str, edits: list[Edit]) -> list[_Function]:
    """The innermost functions that the edits touch, the last first; none lies in another."""
    if len(source) > _LARGEST:
        return []
    try:
        functions = [node for node in ast.walk(parse(source)) if isinstance(node, _Function)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = {id(function): function for function in _around(functions, edits)}
    spans = [(function.lineno, function.end_lineno or 0) for function in found.values()]
    alone = [
        function
        for function in found.values()
        if not any(first < function.lineno <= last for first, last in spans)
    ]
    return sorted(alone, key=lambda function: -function.lineno)


def _around(functions: list[_Function], edits: list[Edit]) -> Iterator[_Function]:
    """The innermost function at each changed line."""
    for first, last, _ in edits:
        for line in range(first, max(first, last) + 1):
            holders = [node for node in functions if node.lineno <= line <= (node.end_lineno or 0)]
            if holders:
                yield max(holders, key=lambda node: node.lineno)
