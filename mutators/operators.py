"""Operators: replace a binary, unary, boolean or comparison operator; miss a number by one.

Each table maps operators to their replacements. Mutators skip replacements that would change the
grouping of the expression, so that only the operator changes.
"""

from collections.abc import Iterator, Mapping

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.literals import is_number, numbers_near
from mutators.names import LocalNames

Table = Mapping[type[cst.CSTNode], tuple[str, ...]]

BINARY: Table = {
    cst.Add: ("-",),
    cst.Subtract: ("+",),
    cst.Multiply: ("/", "//"),
    cst.Divide: ("*", "//"),
    cst.FloorDivide: ("/", "*"),
    cst.Modulo: ("//", "*"),
    cst.MatrixMultiply: ("*",),
    cst.Power: ("*",),
    cst.LeftShift: (">>",),
    cst.RightShift: ("<<",),
    cst.BitAnd: ("|", "^"),
    cst.BitOr: ("&", "^"),
    cst.BitXor: ("&", "|"),
}

AUGMENTED: Table = {
    cst.AddAssign: ("-=",),
    cst.SubtractAssign: ("+=",),
    cst.MultiplyAssign: ("/=", "//="),
    cst.DivideAssign: ("*=", "//="),
    cst.FloorDivideAssign: ("/=", "*="),
    cst.ModuloAssign: ("//=", "*="),
    cst.MatrixMultiplyAssign: ("*=",),
    cst.PowerAssign: ("*=",),
    cst.LeftShiftAssign: (">>=",),
    cst.RightShiftAssign: ("<<=",),
    cst.BitAndAssign: ("|=", "^="),
    cst.BitOrAssign: ("&=", "^="),
    cst.BitXorAssign: ("&=", "|="),
}

UNARY: Table = {
    cst.Not: ("",),
    cst.Minus: ("",),
    cst.Plus: ("-",),
    cst.BitInvert: ("",),
}

BOOLEAN: Table = {
    cst.And: ("or",),
    cst.Or: ("and",),
}

COMPARISON: Table = {
    cst.LessThan: ("<=", ">"),
    cst.LessThanEqual: ("<", ">="),
    cst.GreaterThan: (">=", "<"),
    cst.GreaterThanEqual: (">", "<="),
    cst.Equal: ("!=",),
    cst.NotEqual: ("==",),
    cst.In: ("not in",),
    cst.NotIn: ("in",),
    cst.Is: ("is not",),
    cst.IsNot: ("is",),
}

TRUTH = {"True": "False", "False": "True"}

_BOUNDS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.BinaryOperation)

# Binding strength of operators, loosest first; "not" and comparisons are between `and` and `|`.
_BINDS = {
    **{"or": 1, "and": 2, "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9},
    **{"*": 10, "/": 10, "//": 10, "%": 10, "@": 10, "**": 12},
}
_NOT, _COMPARISON, _SIGN, _ATOM = 3, 4, 11, 13

_Operation = cst.BinaryOperation | cst.BooleanOperation
_STRINGS = (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)


def swap_binary(region: Region) -> Iterator[Change]:
    """Replace an arithmetic or bitwise operator, except next to string literals."""
    for node in region.find(cst.BinaryOperation):
        if not isinstance(node.left, _STRINGS) and not isinstance(node.right, _STRINGS):
            yield from _regrouping_left_out(region, node, BINARY)


def swap_augmented(region: Region) -> Iterator[Change]:
    """Replace the operator of an augmented assignment."""
    for node in region.find(cst.AugAssign):
        if not isinstance(node.value, _STRINGS):
            for text in AUGMENTED[type(node.operator)]:
                yield Change("swap_augmented", (Replacement(node.operator, text),))


def swap_unary(region: Region) -> Iterator[Change]:
    """Remove or replace a sign, an inversion or a `not`."""
    for node in region.find(cst.UnaryOperation):
        for text in UNARY[type(node.operator)]:
            new = text + region.code(node.expression)
            yield Change("swap_unary", (Replacement(node, new),))


def swap_boolean(region: Region) -> Iterator[Change]:
    """Replace `and` by `or`, and vice versa."""
    for node in region.find(cst.BooleanOperation):
        yield from _regrouping_left_out(region, node, BOOLEAN)


def swap_comparison(region: Region) -> Iterator[Change]:
    """Replace a comparison, a membership test or an identity test."""
    for target in region.find(cst.ComparisonTarget):
        for text in COMPARISON[type(target.operator)]:
            yield Change("swap_comparison", (Replacement(target.operator, text),))


def swap_truth(region: Region) -> Iterator[Change]:
    """Replace True by False, and vice versa, except in `while True`."""
    for name in region.find(cst.Name):
        if name.value in TRUTH and not isinstance(region.parent(name), cst.While):
            yield Change("swap_truth", (Replacement(name, TRUTH[name.value]),))


def shift_number(region: Region) -> Iterator[Change]:
    """Make a number one higher or one lower; index 0 may also become -1."""
    for node in region.find(cst.Integer, cst.Float, cst.UnaryOperation):
        parent = region.parent(node)
        if not isinstance(parent, cst.UnaryOperation) and not _is_version(region, node):
            first = isinstance(parent, cst.Index) and numbers_near(node) == ("1",)
            for text in (*numbers_near(node), *(["-1"] if first else [])):
                yield Change("shift_number", (Replacement(node, text),))


def shift_bound(region: Region) -> Iterator[Change]:
    """Miss a slice, range or index by one if it is not a plain number."""
    numbers = _numbers(region)
    for node in region.find(cst.Slice, cst.Index, cst.Call):
        for bound in _bounds(node, numbers):
            if isinstance(bound, _BOUNDS) and not _has_number(bound):
                for text in (f"{region.code(bound)} - 1", f"{region.code(bound)} + 1"):
                    yield Change("shift_bound", (Replacement(bound, text),))
        if isinstance(node, cst.Call) and _is_range(node) and len(node.args) == 1:
            text = f"1, {region.code(node.args[0])}"
            yield Change("shift_bound", (Replacement(node.args[0], text),))


def _bounds(node: cst.CSTNode, numbers: set[str]) -> list[cst.BaseExpression]:
    """The bounds in a slice, a call of `range`, or an index whose name is a number."""
    match node:
        case cst.Slice(lower=lower, upper=upper):
            return [bound for bound in (lower, upper) if bound]
        case cst.Index(value=cst.Name(name)):
            return [node.value] if name in numbers else []
        case cst.Call() if _is_range(node):
            return [argument.value for argument in node.args[:2]]
    return []


def _is_range(call: cst.Call) -> bool:
    named = isinstance(call.func, cst.Name) and call.func.value == "range"
    return named and not any(argument.star for argument in call.args)


def _numbers(region: Region) -> set[str]:
    """The variables whose only apparent kind is number."""
    return {
        name
        for function in region.find(cst.FunctionDef)
        for name, kinds in LocalNames(region, function).kinds().items()
        if kinds == {"number"}
    }


def _has_number(bound: cst.BaseExpression) -> bool:
    """Whether the bound contains a number that `shift_number` changes, as in `i + 1`."""
    match bound:
        case cst.BinaryOperation(left=left, right=right):
            return is_number(left) or is_number(right)
    return False


def _is_version(region: Region, node: cst.CSTNode) -> bool:
    """Whether a number is part of a comparison with Python's version."""
    while isinstance(node, cst.BaseExpression | cst.Element | cst.ComparisonTarget):
        if isinstance(node, cst.Comparison):
            return "version_info" in region.code(node)
        node = region.parent(node)
    return False


def _regrouping_left_out(region: Region, node: _Operation, table: Table) -> Iterator[Change]:
    kind = "swap_binary" if isinstance(node, cst.BinaryOperation) else "swap_boolean"
    for text in table[type(node.operator)]:
        if _keeps_grouping(region, node, _BINDS[text]):
            yield Change(kind, (Replacement(node.operator, text),))


def _keeps_grouping(region: Region, node: _Operation, level: int) -> bool:
    """Whether an operator of this binding strength keeps the same operands."""
    if level == _BINDS[region.code(node.operator)]:
        return True
    inside = _level(region, node.left) >= level and _level(region, node.right) > level
    return inside and (bool(node.lpar) or _fits_parent(region, node, level))


def _fits_parent(region: Region, node: _Operation, level: int) -> bool:
    match region.parent(node):
        case (cst.BinaryOperation() | cst.BooleanOperation()) as parent:
            outer = _BINDS[region.code(parent.operator)]
            return level > outer or (level == outer and parent.left is node)
        case cst.UnaryOperation(operator=cst.Not()):
            return level > _NOT
        case cst.UnaryOperation():
            return level > _SIGN
        case cst.Comparison() | cst.ComparisonTarget():
            return level > _COMPARISON
    return True


def _level(region: Region, operand: cst.BaseExpression) -> int:
    """The binding strength of an operand."""
    match operand:
        case cst.BaseExpression(lpar=[_, *_]):
            return _ATOM
        case cst.BinaryOperation() | cst.BooleanOperation():
            return _BINDS[region.code(operand.operator)]
        case cst.UnaryOperation():
            return _NOT if isinstance(operand.operator, cst.Not) else _SIGN
        case cst.Comparison():
            return _COMPARISON
    return _ATOM
