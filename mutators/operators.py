"""Operators: replace a binary, unary, boolean or comparison operator.

Each table says which texts take the place of an operator. A swap that would make Python group the
expression in another way is left out, so that only the operator changes.
"""

from collections.abc import Iterator, Mapping

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement

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

# How tightly operators bind, loosest first; "not" and the comparisons stand between and/|.
_BINDS = {
    **{"or": 1, "and": 2, "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9},
    **{"*": 10, "/": 10, "//": 10, "%": 10, "@": 10, "**": 12},
}
_NOT, _COMPARISON, _SIGN, _ATOM = 3, 4, 11, 13

_Operation = cst.BinaryOperation | cst.BooleanOperation
_STRINGS = (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)


def swap_binary(region: Region) -> Iterator[Change]:
    """Replace an arithmetic or bitwise operator; those of string literals have no counterpart."""
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
    """Replace `and` by `or`, and the other way round."""
    for node in region.find(cst.BooleanOperation):
        yield from _regrouping_left_out(region, node, BOOLEAN)


def swap_comparison(region: Region) -> Iterator[Change]:
    """Replace a comparison, a membership test or an identity test."""
    for target in region.find(cst.ComparisonTarget):
        for text in COMPARISON[type(target.operator)]:
            yield Change("swap_comparison", (Replacement(target.operator, text),))


def _regrouping_left_out(region: Region, node: _Operation, table: Table) -> Iterator[Change]:
    kind = "swap_binary" if isinstance(node, cst.BinaryOperation) else "swap_boolean"
    for text in table[type(node.operator)]:
        if _keeps_grouping(region, node, _BINDS[text]):
            yield Change(kind, (Replacement(node.operator, text),))


def _keeps_grouping(region: Region, node: _Operation, level: int) -> bool:
    """Whether an operator of this level takes the same operands, in the same place."""
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
    """How tightly an operand holds together."""
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
