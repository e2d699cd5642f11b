"""Statements: remove an import, a return, another simple statement, a wrapper or a guard; swap two.

Removing a `raise` belongs here too, as it is a simple statement.
"""

from collections.abc import Iterator
from itertools import pairwise

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.blocks import dedented, indentation, is_trivial, jumps, only, statements
from mutators.neighbours import order_matters

GUARD = 2
"""Most statements of a guard clause, the jump included."""

SIMPLE = (
    cst.Expr,
    cst.Assign,
    cst.AnnAssign,
    cst.AugAssign,
    cst.Raise,
    cst.Del,
    cst.Break,
    cst.Continue,
    cst.Global,
    cst.Nonlocal,
)


def remove_import(region: Region) -> Iterator[Change]:
    """Remove an import statement inside or outside functions, except from `__future__`."""
    for statement in _imports(region):
        if not _imported(statement) & region.source.used_at_import:
            yield Change("remove_import", (Replacement(statement, None),))


def remove_imported_name(region: Region) -> Iterator[Change]:
    """Remove one name from an import of several names."""
    for statement in _imports(region):
        names = statement.names
        if not isinstance(names, cst.ImportStar) and len(names) > 1:
            for name in names:
                if _bound(name) not in region.source.used_at_import:
                    yield Change("remove_imported_name", (Replacement(name, None),))


def remove_return(region: Region) -> Iterator[Change]:
    """Remove a return statement, so that execution continues after it."""
    for statement in region.find(cst.Return):
        yield Change("remove_return", (Replacement(statement, None),))


def remove_statement(region: Region) -> Iterator[Change]:
    """Remove any other simple statement."""
    for statement in region.find(*SIMPLE):
        if not is_trivial(statement):
            yield Change("remove_statement", (Replacement(statement, None),))


def remove_guard(region: Region) -> Iterator[Change]:
    """Remove an `if` that only leaves the function or the iteration."""
    for guard in region.find(cst.If):
        if is_guard(guard) and isinstance(region.parent(guard), cst.IndentedBlock):
            yield Change("remove_guard", (Replacement(guard, None),))


def unwrap_with(region: Region) -> Iterator[Change]:
    """Remove a `with` and keep its body; `with a as b` leaves `b = a`."""
    for wrapper in region.find(cst.With):
        body = dedented(region, wrapper.body)
        if body is not None:
            bound = [
                f"{region.code(item.asname.name)} = {region.code(item.item)}"
                for item in wrapper.items
                if item.asname
            ]
            text = _lines(region, wrapper, [*bound, body])
            yield Change("unwrap_with", (Replacement(wrapper, text),))


def unwrap_try(region: Region) -> Iterator[Change]:
    """Remove a `try` and keep its body and its `else`, so that exceptions propagate."""
    for wrapper in region.find(cst.Try):
        blocks = [wrapper.body, *([wrapper.orelse.body] if wrapper.orelse else [])]
        bodies = [dedented(region, block) for block in blocks]
        if None not in bodies:
            text = _lines(region, wrapper, [body for body in bodies if body])
            yield Change("unwrap_try", (Replacement(wrapper, text),))


def swap_statements(region: Region) -> Iterator[Change]:
    """Swap two neighbours that look independent: two simple statements, or two guards."""
    for block in region.find(cst.IndentedBlock):
        for first, second in pairwise(statements(block, region.parent(block))):
            if _may_swap(region, first, second):
                texts = region.code(second), region.code(first)
                swapped = map(Replacement, (first, second), texts)
                yield Change("swap_statements", tuple(swapped))


def is_guard(statement: cst.CSTNode) -> bool:
    """Whether a statement is an `if` that only leaves the function or the iteration."""
    match statement:
        case cst.If(orelse=None, body=body):
            return len(body.body) <= GUARD and jumps(body)
    return False


def _may_swap(region: Region, first: cst.CSTNode, second: cst.CSTNode) -> bool:
    if is_guard(first) and is_guard(second):
        return True
    parts = only(first), only(second)
    return all(isinstance(part, SIMPLE) and not is_trivial(part) for part in parts) and (
        order_matters(region, first, second)
    )


def _lines(region: Region, statement: cst.CSTNode, texts: list[str]) -> str:
    """Join texts as lines with a statement's indentation."""
    newline = region.source.module.default_newline
    return f"{newline}{indentation(region, statement)}".join(texts)


def _imports(region: Region) -> Iterator[cst.Import | cst.ImportFrom]:
    statements: list[cst.Import | cst.ImportFrom] = region.find(cst.Import, cst.ImportFrom)
    for statement in statements:
        module = getattr(statement, "module", None)
        if not (isinstance(module, cst.Name) and module.value == "__future__"):
            yield statement


def _imported(statement: cst.Import | cst.ImportFrom) -> set[str]:
    """The names that an import binds; none for `import *`."""
    names = statement.names
    return set() if isinstance(names, cst.ImportStar) else {_bound(name) for name in names}


def _bound(alias: cst.ImportAlias) -> str:
    if alias.asname and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return alias.evaluated_name.partition(".")[0]
