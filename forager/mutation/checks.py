"""What a statement of a test checks: the call, the wanted result, and how they compare."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.In: "in",
    ast.NotIn: "not in", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_OPPOSITES = {
    "==": "!=", "!=": "==", "is": "is not", "is not": "is", "in": "not in", "not in": "in",
    "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip
_UNITTEST = {
    "equal": "==", "equals": "==", "notequal": "!=", "is": "is", "isnot": "is not", "in": "in",
    "notin": "not in", "less": "<", "lessequal": "<=", "greater": ">", "greaterequal": ">=",
    "listequal": "==", "dictequal": "==", "tupleequal": "==", "setequal": "==",
    "multilineequal": "==", "sequenceequal": "==", "almostequal": "==", "countequal": "==",
}  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "isnone": None}


@dataclass(frozen=True, slots=True)
class Assertion:
    """A check: what the subject gives compares to `wanted` by the operator, or it "raises"."""

    subject: list[ast.stmt]
    operator: str
    wanted: ast.expr | None


def check_of(statement: ast.stmt) -> Assertion | None:
    """What a statement checks, if it is an assertion."""
    match statement:
        case ast.If(test=test, body=[*_, ast.Raise() | ast.Expr(ast.Call()) as last]) if _fails(
            last
        ):
            return _refuted(test)
        case ast.Assert(test=ast.Compare(left=left, ops=[operator], comparators=[right])):
            return _compared(left, _OPERATORS[type(operator)], right)
        case ast.Assert(test=ast.UnaryOp(op=ast.Not(), operand=operand)):
            return Assertion([ast.Expr(operand)], "==", ast.Constant(False))
        case ast.Assert(test=test):
            return Assertion([ast.Expr(test)], "==", ast.Constant(True))
        case ast.Expr(value=ast.Call(func=called, args=[first, *rest])):
            return _unittest_check(ast.unparse(called), first, rest)
        case ast.With(items=[ast.withitem(context_expr=ast.Call(func=called, args=[error, *_]))]):
            if ast.unparse(called).rpartition(".")[2] in (
                "raises",
                "assertRaises",
                "assertRaisesRegex",
            ):
                return Assertion(statement.body, "raises", error)
    return None


def _fails(step: ast.stmt) -> bool:
    """Whether a statement ends a test as failed."""
    told = ast.unparse(step).partition("(")[0]
    return told in ("self.fail", "pytest.fail", "fail", "raise AssertionError")


def _refuted(test: ast.expr) -> Assertion:
    """The check that a condition, under which a test fails, does not hold."""
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _compared(left, _OPPOSITES[_OPERATORS[type(operator)]], right)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Assertion([ast.Expr(operand)], "==", ast.Constant(True))
        case _:
            return Assertion([ast.Expr(test)], "==", ast.Constant(False))


def _unittest_check(called: str, first: ast.expr, rest: Sequence[ast.expr]) -> Assertion | None:
    name = called.rpartition(".")[2].lower().replace("_", "")
    prefix = next((word for word in ("assert", "failunless") if name.startswith(word)), None)
    if prefix is None:
        return None
    name = name.removeprefix(prefix) or "true"
    if name in _UNITTEST and rest:
        return _compared(first, _UNITTEST[name], rest[0])
    if name in _CONSTANTS:
        return Assertion([ast.Expr(first)], "==", ast.Constant(_CONSTANTS[name]))
    if name == "isnotnone":
        return Assertion([ast.Expr(first)], "is not", ast.Constant(None))
    if name == "raises" and len(rest) > 0:
        return Assertion([ast.Expr(ast.Call(rest[0], list(rest[1:]), []))], "raises", first)
    return None


def _compared(left: ast.expr, operator: str, right: ast.expr) -> Assertion:
    if operator in ("==", "is") and _is_value(left) and not _is_value(right):
        left, right = right, left
    return Assertion([ast.Expr(left)], operator, right)


def _is_value(value: ast.expr) -> bool:
    """Whether an expression is a literal."""
    return not any(isinstance(node, ast.Call | ast.Name) for node in ast.walk(value))
