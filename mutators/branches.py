"""Branches: invert a condition or drop half of it, remove a branch, always take one."""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.blocks import dedented, jumps, only

COMPLEMENT: dict[type[cst.CSTNode], str] = {
    cst.LessThan: ">=",
    cst.LessThanEqual: ">",
    cst.GreaterThan: "<=",
    cst.GreaterThanEqual: "<",
}
"""The complement of each order comparison; `operators` inverts the other comparisons."""

_LOOSE = (cst.BooleanOperation, cst.IfExp, cst.NamedExpr, cst.Lambda)


def invert_condition(region: Region) -> Iterator[Change]:
    """Invert a condition, so that its branch runs when it is false."""
    nodes: list[cst.If | cst.IfExp | cst.CompIf] = region.find(cst.If, cst.IfExp, cst.CompIf)
    for node in nodes:
        match node.test:
            case cst.UnaryOperation(operator=cst.Not()):
                continue
            case cst.Comparison(comparisons=[cst.ComparisonTarget(operator=operator)]):
                if type(operator) in COMPLEMENT:
                    yield _inversion(operator, COMPLEMENT[type(operator)])
            case cst.BaseExpression(lpar=[]) if isinstance(node.test, _LOOSE):
                yield _inversion(node.test, f"not ({region.code(node.test)})")
            case _:
                yield _inversion(node.test, f"not {region.code(node.test)}")


def drop_condition(region: Region) -> Iterator[Change]:
    """Keep one side of an `and` or an `or`."""
    for node in region.find(cst.BooleanOperation):
        for side in (node.left, node.right):
            yield Change("drop_condition", (Replacement(node, region.code(side)),))


def drop_filter(region: Region) -> Iterator[Change]:
    """Remove an `if` of a comprehension."""
    for clause in region.find(cst.CompFor):
        for condition in clause.ifs:
            start, end = region.source.span(clause)
            first, last = region.source.span(condition)[0], region.source.extent(condition.test)[1]
            text = region.between(start, first).rstrip() + region.between(last, end)
            yield Change("drop_filter", (Replacement(clause, text),))


def choose_side(region: Region) -> Iterator[Change]:
    """Always take the same side of `a if c else b`."""
    for node in region.find(cst.IfExp):
        for side in (node.body, node.orelse):
            yield Change("choose_side", (Replacement(node, region.code(side)),))


def keep_branch(region: Region) -> Iterator[Change]:
    """Always run the first branch of an `if`, and no other."""
    for node in region.find(cst.If):
        final = not node.orelse and jumps(node.body)
        if not final and not _is_elif(region, node) and not _raises(node):
            text = dedented(region, node.body)
            if text is not None:
                yield Change("keep_branch", (Replacement(node, text),))


def remove_branch(region: Region) -> Iterator[Change]:
    """Remove one branch of several."""
    for node in region.find(cst.If):
        if not _is_elif(region, node) and node.orelse:
            text = _without_first(region, node.orelse)
            if text is not None:
                yield Change("remove_branch", (Replacement(node, text),))
        if node.orelse:
            yield Change("remove_branch", (Replacement(node, _without_next(region, node)),))


def _without_first(region: Region, rest: cst.If | cst.Else) -> str | None:
    """Turn an `elif` into the `if`, or keep only the body of an `else`."""
    if isinstance(rest, cst.Else):
        return dedented(region, rest.body)
    return region.code(rest).removeprefix("el")


def _without_next(region: Region, node: cst.If) -> str:
    """The statement without the `elif` or `else` after its first branch."""
    start, end = region.source.span(node)
    head = region.between(start, region.source.span(node.body)[1])
    if not isinstance(node.orelse, cst.If) or not node.orelse.orelse:
        return head
    first, last = region.source.span(node.orelse)[0], region.source.span(node.orelse.orelse)[0]
    before = region.between(start, first)
    return before + region.between(last, end)


def _raises(node: cst.If) -> bool:
    """Whether the branch ends with a `raise`, which would fail every test if always taken."""
    return isinstance(only(node.body.body[-1]), cst.Raise)


def _is_elif(region: Region, node: cst.If) -> bool:
    return isinstance(region.parent(node), cst.If)


def _inversion(node: cst.CSTNode, text: str) -> Change:
    return Change("invert_condition", (Replacement(node, text),))
