"""Loops: continue instead of stopping, stop too early, miss the bound by one, lose the order.

No mutator here makes an endless loop: a test that hangs costs more than it reveals.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.blocks import indentation, jumps

WRAPPERS = {"reversed", "sorted", "set", "list", "tuple"}
"""Functions around an iterable that change its order, remove duplicates or copy it."""

BOUNDED = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)

_Loop = cst.For | cst.While


def swap_jump(region: Region) -> Iterator[Change]:
    """Replace `continue` by `break`, and in a `for` also `break` by `continue`."""
    for jump in region.find(cst.Break, cst.Continue):
        stops = isinstance(jump, cst.Break)
        if not stops or isinstance(_loop(region, jump), cst.For):
            yield Change("swap_jump", (Replacement(jump, "continue" if stops else "break"),))


def stop_early(region: Region) -> Iterator[Change]:
    """Leave a loop after its first iteration."""
    loops: list[_Loop] = region.find(cst.For, cst.While)
    for loop in loops:
        if not jumps(loop.body):
            last = loop.body.body[-1]
            between = "; "
            if isinstance(loop.body, cst.IndentedBlock):
                between = region.source.module.default_newline + indentation(region, last)
            text = f"{region.code(last)}{between}break"
            yield Change("stop_early", (Replacement(last, text),))


def shift_limit(region: Region) -> Iterator[Change]:
    """Miss the limit of a `while` by one."""
    for loop in region.find(cst.While):
        for target in region.find(cst.ComparisonTarget, under=loop.test):
            limit = target.comparator
            if isinstance(target.operator, BOUNDED) and isinstance(limit, cst.Name | cst.Call):
                for text in (f"{region.code(limit)} - 1", f"{region.code(limit)} + 1"):
                    yield Change("shift_limit", (Replacement(limit, text),))


def unwrap_iterable(region: Region) -> Iterator[Change]:
    """Loop over an iterable itself instead of its reversed, sorted or copied form."""
    loops: list[cst.For | cst.CompFor] = region.find(cst.For, cst.CompFor)
    for loop in loops:
        match loop.iter:
            case cst.Call(func=cst.Name(name), args=[cst.Arg(value=value, keyword=None, star="")]):
                if name in WRAPPERS:
                    text = region.code(value)
                    yield Change("unwrap_iterable", (Replacement(loop.iter, text),))


def _loop(region: Region, jump: cst.CSTNode) -> cst.CSTNode:
    """The loop of a `break` or `continue`."""
    while not isinstance(jump, _Loop):
        jump = region.parent(jump)
    return jump
