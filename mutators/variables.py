"""Variables: swap all occurrences of a pair in a function.

Swapping two names wherever they stand only renames them. So what binds them stays: a parameter
stays in the signature; of two other variables the assignments stay and the uses are swapped.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement

REACH = 4
"""How far apart, in order of appearance, two variables of a pair may be."""

# Where a name is bound rather than used, as field of the node that holds it.
BINDINGS: dict[type[cst.CSTNode], str] = {
    cst.AssignTarget: "target",
    cst.AnnAssign: "target",
    cst.AugAssign: "target",
    cst.NamedExpr: "target",
    cst.For: "target",
    cst.CompFor: "target",
    cst.AsName: "name",
    cst.Del: "target",
    cst.Param: "name",
    cst.FunctionDef: "name",
    cst.ClassDef: "name",
    cst.MatchAs: "name",
    cst.MatchStar: "name",
    cst.MatchMapping: "rest",
}

# Where a name is no variable.
OTHER_NAMES: dict[type[cst.CSTNode], str] = {
    cst.Attribute: "attr",
    cst.Arg: "keyword",
    cst.MatchKeywordElement: "key",
}

_DECLARATIONS = (cst.Global, cst.Nonlocal, cst.Import, cst.ImportFrom)
_SCOPES = (cst.FunctionDef, cst.Lambda, cst.ClassDef, cst.BaseComp)
_UNPACKING = (cst.Tuple, cst.List, cst.Element, cst.StarredElement)


def swap_variables(region: Region) -> Iterator[Change]:
    """Swap two local variables, or a parameter and another variable."""
    for function in region.find(cst.FunctionDef):
        names = _Names(region, function)
        variables = names.variables()
        for place, first in enumerate(variables):
            for second in variables[place + 1 : place + 1 + REACH]:
                if replaced := names.of_pair(first, second):
                    other = {first: second, second: first}
                    swapped = (Replacement(name, other[name.value]) for name in replaced)
                    yield Change("swap_variables", tuple(swapped))


class _Names:
    """The names in one function: which are its own variables, and where they stand."""

    def __init__(self, region: Region, function: cst.FunctionDef) -> None:
        self.parameters = _parameters(region, function)
        self.uses: list[cst.Name] = []
        self.bindings: list[cst.Name] = []
        # Bound for the whole program, or in a nested scope too: not this function's alone.
        self.shared = {"self", "cls"}
        for statement in region.find(*_DECLARATIONS, under=function.body):
            self.shared |= {name.value for name in region.find(cst.Name, under=statement)}
        for name in region.find(cst.Name, under=function.body):
            holder, held = _holder(region, name)
            if _is_field(holder, OTHER_NAMES, held):
                continue
            if not _is_field(holder, BINDINGS, held):
                self.uses.append(name)
            elif _is_own(region, function, holder):
                self.bindings.append(name)
            else:
                self.shared.add(name.value)

    def variables(self) -> list[str]:
        """The function's own variables, in order of appearance."""
        names = dict.fromkeys([*self.parameters, *(name.value for name in self.bindings)])
        return [name for name in names if name not in self.shared]

    def of_pair(self, first: str, second: str) -> list[cst.Name]:
        """What is to be swapped: with a parameter every occurrence in the body, else the uses."""
        swapped = [name for name in self.uses if name.value in (first, second)]
        if swapped and {first, second} & self.parameters.keys():
            swapped += [name for name in self.bindings if name.value in (first, second)]
        return swapped


def _parameters(region: Region, function: cst.FunctionDef) -> dict[str, None]:
    """The names in the signature, in order; those of a lambda in a default are not."""
    return {
        param.name.value: None
        for param in region.find(cst.Param, under=function.params)
        if region.parent(param) is function.params
    }


def _holder(region: Region, name: cst.Name) -> tuple[cst.CSTNode, cst.CSTNode]:
    """The node that gives a name its role, and what it holds: `a, (b, *c) = …` binds all three."""
    held: cst.CSTNode = name
    while isinstance(holder := region.parent(held), _UNPACKING):
        held = holder
    return holder, held


def _is_field(holder: cst.CSTNode, table: dict[type[cst.CSTNode], str], held: cst.CSTNode) -> bool:
    field = table.get(type(holder))
    return field is not None and getattr(holder, field) is held


def _is_own(region: Region, function: cst.FunctionDef, holder: cst.CSTNode) -> bool:
    """Whether what is bound there is a variable of the function, not of a scope within."""
    while not isinstance(holder, _SCOPES):
        holder = region.parent(holder)
    return holder is function
