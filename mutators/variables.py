"""Variables: swap all occurrences of a pair in a function, or replace one use by another variable.

Swapping every occurrence of two names would only rename them. So bindings stay: a parameter stays
in the signature, and for two other variables only the uses are swapped, not the assignments.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.names import LocalNames, alike

REACH = 4
"""Largest distance of two variables of a pair, in order of appearance."""

CHOICES = 2
"""How many variables replace a use, the nearest in order of appearance first."""


def swap_variables(region: Region) -> Iterator[Change]:
    """Swap two local variables, or a parameter and another variable."""
    for function in region.find(cst.FunctionDef):
        names = LocalNames(region, function)
        variables = names.variables()
        for place, first in enumerate(variables):
            for second in variables[place + 1 : place + 1 + REACH]:
                if replaced := _of_pair(names, first, second):
                    other = {first: second, second: first}
                    swapped = (Replacement(name, other[name.value]) for name in replaced)
                    yield Change("swap_variables", tuple(swapped))


def replace_variable(region: Region) -> Iterator[Change]:
    """Replace one use of a variable by another of the same kind that has a value there."""
    for function in region.find(cst.FunctionDef):
        names = LocalNames(region, function)
        variables, kinds, bound = names.variables(), names.kinds(), names.first_bound()
        for use in names.uses:
            if use.value not in variables:
                continue
            own, start = variables.index(use.value), region.source.span(use)[0]
            others = [
                other
                for other in sorted(variables, key=lambda name: abs(variables.index(name) - own))
                if other != use.value
                and bound[other] < start
                and alike(kinds.get(other, set()), kinds[use.value])
                and not _assigns(region, use, other)
            ]
            for other in others[:CHOICES]:
                yield Change("replace_variable", (Replacement(use, other),))


def _of_pair(names: LocalNames, first: str, second: str) -> list[cst.Name]:
    """The names to swap: with a parameter every occurrence in the body, else only uses."""
    swapped = [name for name in names.uses if name.value in (first, second)]
    if swapped and {first, second} & names.parameters.keys():
        swapped += [name for name in names.bindings if name.value in (first, second)]
    return swapped


def _assigns(region: Region, use: cst.Name, other: str) -> bool:
    """Whether the replacement would give `x = x`."""
    match region.parent(use):
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(target))]):
            return target == other
    return False
