"""Which expressions may be the input of a function, so that they can only be its input.

A call's arguments could change what the function does, by way of its globals, frames or builtins.
So they have literals, operators, comprehensions, lambdas, and calls of harmless builtins and of the
methods of plain values; no other names or attributes. The one exception: names of literals that
the program defines next to the function and does not use itself.
"""

import ast
from collections import Counter

from forager.environments.answer.texts import parsed

_PLAIN = (str, bytes, list, tuple, dict, set, frozenset, int, float, complex, range)
_ATTRIBUTES = {name for kind in _PLAIN for name in dir(kind) if not name.startswith("_")}
_NAMES = {
    *("abs", "all", "any", "bool", "bytes", "bytearray", "chr", "complex", "dict", "divmod"),
    *("enumerate", "filter", "float", "frozenset", "int", "iter", "len", "list", "map", "max"),
    *("min", "next", "object", "ord", "pow", "range", "repr", "reversed", "round", "set", "slice"),
    *("sorted", "str", "sum", "tuple", "zip"),
}
_REFUSED = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.JoinedStr)


def arguments_of(call: str, function: str, program: str = "") -> str | None:
    """The arguments of a call of this function of a program, as they stand between its brackets.

    None for anything but one call, and for arguments that could do more than be an input.
    """
    expression = parsed(call)
    if not isinstance(expression, ast.Call) or not _is_name(expression.func, function):
        return None
    parts = [*expression.args, *(keyword.value for keyword in expression.keywords)]
    try:
        literals = _unused_literals(program)
        if not all(_is_harmless(part, literals) for part in parts):
            return None
        return ", ".join(
            [
                *map(ast.unparse, expression.args),
                *(_keyword(keyword) for keyword in expression.keywords),
            ]
        )
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return None


def _keyword(keyword: ast.keyword) -> str:
    value = ast.unparse(keyword.value)
    return f"{keyword.arg}={value}" if keyword.arg else f"**{value}"


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _unused_literals(program: str) -> set[str]:
    """The names of literals at a program's top level that occur nowhere else in it."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    occurring = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    found = set()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=value) if occurring[name] == 1:
                try:
                    ast.literal_eval(value)
                except (ValueError, TypeError):
                    continue
                found.add(name)
    return found


def _is_harmless(part: ast.expr, literals: set[str]) -> bool:
    bound = literals | {node.arg for node in ast.walk(part) if isinstance(node, ast.arg)}
    for node in ast.walk(part):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    return all(_may_stand(node, bound) for node in ast.walk(part))


def _may_stand(node: ast.AST, bound: set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _ATTRIBUTES
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return node.id in _NAMES | bound
    return not isinstance(node, _REFUSED)
