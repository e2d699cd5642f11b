"""What families share: the statements of a block, and what one is worth."""

import libcst as cst

from forager.mutation.candidates import Region
from forager.mutation.syntax import is_log_call

JUMPS = (cst.Return, cst.Raise, cst.Continue, cst.Break)


def statements(block: cst.BaseSuite, owner: cst.CSTNode) -> list[cst.CSTNode]:
    """The statements of a block, the docstring left out."""
    body: list[cst.CSTNode] = list(block.body)
    documented = isinstance(owner, cst.FunctionDef | cst.ClassDef) and _is_string(body[0])
    return body[1:] if documented else body


def is_trivial(statement: cst.CSTNode) -> bool:
    """What stands for a missing body, and what only type checkers or people read."""
    match only(statement):
        case cst.Pass() | cst.Assert() | cst.Expr(value=cst.Ellipsis()):
            return True
        case cst.Raise(exc=cst.Name("NotImplementedError")):
            return True
        case cst.Raise(exc=cst.Call(func=cst.Name("NotImplementedError"))):
            return True
        case cst.If(test=cst.Name("TYPE_CHECKING") | cst.Attribute(attr=cst.Name("TYPE_CHECKING"))):
            return True
    return _is_string(statement) or is_log_call(statement)


def only(statement: cst.CSTNode) -> cst.CSTNode:
    """The one small statement of a line; anything else as it is."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        return statement.body[0]
    return statement


def jumps(block: cst.BaseSuite) -> bool:
    """Whether what stands behind a block is not run after it."""
    return isinstance(only(block.body[-1]), JUMPS)


def dedented(region: Region, block: cst.BaseSuite) -> str | None:
    """The code of a block as it stands where its owner stands.

    None where a text may run over several lines, whose beginnings are no indentation.
    """
    start = region.source.extent(block.body[0])[0]
    code = region.between(start, region.source.span(block.body[-1])[1])
    if isinstance(block, cst.SimpleStatementSuite):
        return code
    if '"""' in code or "'''" in code or "\\\n" in code:
        return None
    inner = indentation(region, block.body[0])
    outer = indentation(region, region.parent(block))
    first, *rest = code.split("\n")
    lines = [outer + line[len(inner) :] if line.startswith(inner) else line for line in rest]
    return "\n".join([first, *lines])


def indentation(region: Region, statement: cst.CSTNode) -> str:
    """The blanks at the beginning of the line that a statement stands on."""
    start = region.source.extent(statement)[0]
    line = region.between(region.source.lines(start, start)[0], start)
    return line[: len(line) - len(line.lstrip())]


def _is_string(statement: cst.CSTNode) -> bool:
    match only(statement):
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
    return False
