"""Decides whether the order of two neighbouring statements matters although they look independent.

Swapping statements that share nothing has no effect. If the second needs a variable that the first
creates, the fault is obvious. Good bugs lie between: both change the same object, or the second
reads what the first changes.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Region
from mutators.blocks import JUMPS, only
from mutators.names import OTHER_NAMES

PURE = {
    *("len", "int", "str", "float", "bool", "bytes", "repr", "abs", "min", "max", "sum", "type"),
    *("isinstance", "issubclass", "hasattr", "getattr", "callable", "tuple", "list", "dict", "set"),
    *("frozenset", "sorted", "range", "ord", "chr", "id", "any", "all", "round", "cast", "super"),
}
"""Functions without side effects, so the time of the call does not matter."""

PURE_METHODS = {
    *("get", "keys", "values", "items", "copy", "index", "count", "find", "rfind", "join", "split"),
    *("rsplit", "strip", "lstrip", "rstrip", "lower", "upper", "title", "replace", "format"),
    *("startswith", "endswith", "partition", "rpartition", "encode", "decode", "group", "groups"),
}

_TARGETS = (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.Del, cst.NamedExpr)


def order_matters(region: Region, first: cst.CSTNode, second: cst.CSTNode) -> bool:
    """Whether swapping two simple statements is possible and changes the result."""
    if isinstance(only(first), JUMPS) or isinstance(only(second), JUMPS):
        return False
    changed, other_changed = set(_changed(region, first)), set(_changed(region, second))
    read, other_read = set(_read(region, first)), set(_read(region, second))
    if any(_meet({place}, other_read) and _is_new(region, first, place) for place in changed):
        return False
    return _meet(changed, other_changed | other_read) or _meet(other_changed, read)


def _changed(region: Region, statement: cst.CSTNode) -> Iterator[str]:
    """The variables, attributes and objects that a statement may change."""
    holders: list[cst.CSTNode] = region.find(*_TARGETS, under=statement)
    for holder in holders:
        yield from _places(region, getattr(holder, "target"))  # noqa: B009
    for call in region.find(cst.Call, under=statement):
        match call.func:
            case cst.Name(name) if name in PURE:
                continue
            case cst.Attribute(attr=cst.Name(name)) if name in PURE_METHODS:
                continue
            case cst.Attribute(value=receiver):
                yield from _places(region, receiver)
        for argument in call.args:
            yield from _places(region, argument.value)
    if region.find(cst.Yield, cst.Await, under=statement):
        yield "yield"


def _places(region: Region, node: cst.CSTNode) -> Iterator[str]:
    match node:
        case cst.Tuple(elements=elements) | cst.List(elements=elements):
            for element in elements:
                yield from _places(region, element.value)
        case cst.Subscript(value=value):
            yield from _places(region, value)
        case cst.Name() | cst.Attribute():
            yield region.code(node)


def _read(region: Region, statement: cst.CSTNode) -> Iterator[str]:
    """The variables and attributes that a statement reads."""
    nodes: list[cst.Name | cst.Attribute] = region.find(cst.Name, cst.Attribute, under=statement)
    for node in nodes:
        parent = region.parent(node)
        plain = isinstance(parent, cst.AssignTarget | cst.AnnAssign)
        label = getattr(parent, OTHER_NAMES.get(type(parent), ""), None) is node
        if not plain and not label and not isinstance(parent, cst.Attribute):
            yield region.code(node)


def _is_new(region: Region, statement: cst.CSTNode, place: str) -> bool:
    """Whether a variable, or an attribute in `__init__`, first appears in a statement."""
    start = region.source.start(statement)
    if "." in place and not region.name.endswith("__init__"):
        return False
    nodes: list[cst.Name | cst.Attribute] = region.find(cst.Name, cst.Attribute)
    before = (node for node in nodes if region.source.start(node) < start)
    return all(region.code(node) != place for node in before)


def _meet(places: set[str], others: set[str]) -> bool:
    """Whether one of the places equals, contains or is part of one of the others."""
    return any(
        place == other or place.startswith(f"{other}.") or other.startswith(f"{place}.")
        for place in places
        for other in others
    )
