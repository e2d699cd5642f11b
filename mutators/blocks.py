"""Functions that families share: the statements of a block, and which of them are trivial."""

import libcst as cst

from forager.mutation.candidates import Region
from forager.mutation.syntax import is_log_call

JUMPS = (cst.Return, cst.Raise, cst.Continue, cst.Break)


def statements(block: cst.BaseSuite, owner: cst.CSTNode) -> list[cst.CSTNode]:
    """The statements of a block without the docstring."""
    body: list[cst.CSTNode] = list(block.body)
    documented = isinstance(owner, cst.FunctionDef | cst.ClassDef) and _is_string(body[0])
    return body[1:] if documented else body


def is_trivial(statement: cst.CSTNode) -> bool:
    """Whether a statement stands for a missing body, or only type checkers or people read it."""
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
    """The only small statement of a line, or the statement itself."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        return statement.body[0]
    return statement


def jumps(block: cst.BaseSuite) -> bool:
    """Whether a block ends with a jump, so that the code after it does not run next."""
    return isinstance(only(block.body[-1]), JUMPS)


def dedented(region: Region, block: cst.BaseSuite) -> str | None:
    """The code of a block with the indentation of its owner.

    None if a string may span lines, because removing spaces would change it.
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
    """The white space at the start of a statement's line."""
    start = region.source.extent(statement)[0]
    line = region.between(region.source.lines(start, start)[0], start)
    return line[: len(line) - len(line.lstrip())]


def _is_string(statement: cst.CSTNode) -> bool:
    match only(statement):
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
    return False
