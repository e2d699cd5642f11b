"""The values of a parametrized test's parameters, from its source and the id of the case."""

import ast
from itertools import islice, product

_MOST_CASES = 10_000


def parameters_of(
    function: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> dict[str, ast.expr]:
    """The values of a parametrized test in the case of this id."""
    _, bracket, case = name.partition("[")
    tables = [table for mark in function.decorator_list if (table := _table(mark))]
    if not bracket or not tables:
        return {}
    for rows in islice(product(*reversed(tables)), _MOST_CASES):
        if "-".join(identity for identity, _ in rows) == case.removesuffix("]"):
            return {key: value for _, values in rows for key, value in values.items()}
    return {}


def _table(mark: ast.expr) -> list[tuple[str, dict[str, ast.expr]]]:
    """The cases of a `parametrize` mark: part of the id, values by name."""
    match mark:
        case ast.Call(
            func=ast.Attribute(attr="parametrize"),
            args=[named, ast.List(elts=rows) | ast.Tuple(elts=rows)],
            keywords=[],
        ):
            pass
        case _:
            return []
    match named:
        case ast.Constant(value=str(text)):
            names = [part.strip() for part in text.split(",")]
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            names = [part.value for part in parts if isinstance(part, ast.Constant)]  # type: ignore[misc]
        case _:
            return []
    found: list[tuple[str, dict[str, ast.expr]]] = []
    for number, row in enumerate(rows):
        given = row.elts if len(names) > 1 and isinstance(row, ast.Tuple | ast.List) else [row]
        told = "-".join(
            _told(name, value, number) for name, value in zip(names, given, strict=False)
        )
        found.append((told, dict(zip(names, given, strict=False))))
    return found


def _told(name: str, value: ast.expr, number: int) -> str:
    """A value in the id of a case, as pytest writes it."""
    try:
        constant = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        constant = ...
    if isinstance(constant, str):
        return constant.encode("unicode_escape").decode()
    if constant is None or isinstance(constant, int | float | bool | complex):
        return str(constant)
    return f"{name}{number}"
