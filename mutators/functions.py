"""Functions: delete a whole body, or a part of it.

The signature and the docstring stay, so that what is missing can be worked out again.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement

SHORT_BLOCK = 6
"""Up to this many statements every run is a candidate; above, runs of one, two and half a block."""


def delete_body(region: Region) -> Iterator[Change]:
    """Delete everything but the docstring."""
    for function in region.find(cst.FunctionDef):
        body = _statements(function.body, function)
        if not all(map(_is_trivial, body)):
            yield _deletion("delete_body", body)


def delete_part(region: Region) -> Iterator[Change]:
    """Delete neighbouring statements of one block."""
    for block in region.find(cst.IndentedBlock, cst.SimpleStatementSuite):
        statements = _statements(block, region.parent(block))
        count = len(statements)
        lengths = set(range(1, count + 1)) if count <= SHORT_BLOCK else {1, 2, count // 2}
        for start in range(count):
            for length in sorted(lengths):
                run = statements[start : start + length]
                if len(run) == length and not all(map(_is_trivial, run)):
                    yield _deletion("delete_part", run)


def _deletion(operator: str, statements: list[cst.CSTNode]) -> Change:
    return Change(operator, tuple(Replacement(statement, None) for statement in statements))


def _statements(block: cst.BaseSuite, owner: cst.CSTNode) -> list[cst.CSTNode]:
    """The statements of a block, the docstring left out."""
    statements: list[cst.CSTNode] = list(block.body)
    documented = isinstance(owner, cst.FunctionDef | cst.ClassDef) and _is_string(block.body[0])
    return statements[1:] if documented else statements


def _is_string(statement: cst.CSTNode) -> bool:
    match _only(statement):
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
    return False


def _is_trivial(statement: cst.CSTNode) -> bool:
    """What stands for a missing body, and what only type checkers read."""
    match _only(statement):
        case cst.Pass() | cst.Expr(value=cst.Ellipsis()):
            return True
        case cst.Raise(exc=cst.Name("NotImplementedError")):
            return True
        case cst.Raise(exc=cst.Call(func=cst.Name("NotImplementedError"))):
            return True
        case cst.If(test=cst.Name("TYPE_CHECKING") | cst.Attribute(attr=cst.Name("TYPE_CHECKING"))):
            return True
    return _is_string(statement)


def _only(statement: cst.CSTNode) -> cst.CSTNode:
    """The one small statement of a line; anything else as it is."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        return statement.body[0]
    return statement
