"""Attributes: the wrong one of two that are easily confused.

Tables list the functions and methods of Python. For the project's own functions, methods and
attributes the candidates are the others of the same module or class.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from forager.mutation.regions import SourceFile
from mutators.names import alike, is_bound, kinds_of

FUNCTIONS = {
    "all": "any",
    "any": "all",
    "hasattr": "getattr",
    "list": "set",
    "max": "min",
    "min": "max",
    "repr": "str",
    "reversed": "iter",
    "round": "int",
    "set": "list",
    "sorted": "list",
    "str": "repr",
}
"""Python's functions, and the function that people call by mistake."""

METHODS = {
    "add": "discard",
    "append": "extend",
    "appendleft": "append",
    "ceil": "floor",
    "difference": "intersection",
    "endswith": "startswith",
    "extend": "append",
    "find": "rfind",
    "floor": "ceil",
    "fullmatch": "match",
    "index": "count",
    "intersection": "union",
    "isalnum": "isalpha",
    "isalpha": "isalnum",
    "isdigit": "isalnum",
    "islower": "isupper",
    "issubset": "issuperset",
    "issuperset": "issubset",
    "isupper": "islower",
    "keys": "values",
    "ljust": "rjust",
    "lower": "upper",
    "lstrip": "rstrip",
    "match": "search",
    "partition": "rpartition",
    "popleft": "pop",
    "read": "readline",
    "readline": "read",
    "rfind": "find",
    "rindex": "index",
    "rjust": "ljust",
    "rpartition": "partition",
    "rsplit": "split",
    "rstrip": "lstrip",
    "search": "match",
    "setdefault": "get",
    "split": "rsplit",
    "splitlines": "split",
    "startswith": "endswith",
    "strip": "rstrip",
    "union": "intersection",
    "upper": "lower",
    "values": "keys",
}
"""Methods of Python's types, and the method that people call by mistake."""

CHOICES = 2
"""How many siblings replace one: those that share most words first, then the nearest."""

_PROPERTIES = {"property", "cached_property"}


def swap_function(region: Region) -> Iterator[Change]:
    """Call another function of Python."""
    for call in region.find(cst.Call):
        if isinstance(call.func, cst.Name) and call.func.value in FUNCTIONS:
            other = FUNCTIONS[call.func.value]
            yield Change("swap_function", (Replacement(call.func, other),))


def swap_method(region: Region) -> Iterator[Change]:
    """Call another method of the same type; `swap_sibling` handles methods of `self`."""
    for call in region.find(cst.Call):
        match call.func:
            case cst.Attribute(value=cst.Name("self" | "cls")):
                continue
            case cst.Attribute(attr=cst.Name(name) as attribute) if name in METHODS:
                yield Change("swap_method", (Replacement(attribute, METHODS[name]),))


def swap_attribute(region: Region) -> Iterator[Change]:
    """Read another attribute of `self`, of the same kind."""
    kinds = _attributes(region.source, _owner(region))
    for attribute in region.find(cst.Attribute):
        name = attribute.attr
        if _is_of_self(attribute) and name.value in kinds and _is_read(region, attribute):
            names = [other for other in kinds if alike(kinds[other], kinds[name.value])]
            for other in _others(region, names, name.value):
                yield Change("swap_attribute", (Replacement(name, other),))


def swap_sibling(region: Region) -> Iterator[Change]:
    """Call another function of the module or method of `self` that accepts the arguments."""
    functions, methods = _functions(region, ""), _functions(region, _owner(region))
    bound = {param.name.value for param in region.find(cst.Param)}
    for call in region.find(cst.Call):
        match call.func:
            case cst.Name(name) as named if name in functions and name not in bound:
                siblings = functions
            case cst.Attribute(attr=cst.Name(name) as named) if (
                _is_of_self(call.func) and name in methods
            ):
                siblings = methods
            case _:
                continue
        fitting = [other for other in siblings if other == name or _takes(siblings[other], call)]
        for other in _others(region, fitting, name):
            yield Change("swap_sibling", (Replacement(named, other),))


def _functions(region: Region, owner: str) -> dict[str, cst.FunctionDef]:
    """The functions of the module or of a class, without special methods."""
    return {
        other.node.name.value: other.node
        for other in region.source.regions
        if isinstance(other.node, cst.FunctionDef)
        and other.name.rpartition(".")[0] == owner
        and not other.node.name.value.startswith("__")
    }


@lru_cache(maxsize=1)  # one class after the other
def _attributes(source: SourceFile, owner: str) -> dict[str, set[str]]:
    """The attributes that methods of a class set on `self` and its properties, with kinds."""
    found: dict[str, set[str]] = {}
    uses: dict[str, set[str]] = {}
    for region in source.regions:
        if not owner or region.name.rpartition(".")[0] != owner:
            continue
        if isinstance(region.node, cst.FunctionDef) and _decorators(region.node) & _PROPERTIES:
            found[region.node.name.value] = set()
        for attribute in region.find(cst.Attribute):
            if _is_of_self(attribute):
                uses.setdefault(attribute.attr.value, set()).update(kinds_of(region, attribute))
                if isinstance(region.parent(attribute), cst.AssignTarget | cst.AnnAssign):
                    found.setdefault(attribute.attr.value, set())
    return {name: kinds | uses.get(name, set()) for name, kinds in found.items()}


def _owner(region: Region) -> str:
    """The class of a method; "" for a function."""
    return region.name.rpartition(".")[0]


def _others(region: Region, names: Sequence[str], name: str) -> list[str]:
    """The names that people confuse most with this one, without the function's own."""
    words, place = set(name.split("_")), names.index(name)

    def distance(other: str) -> tuple[int, int]:
        return -len(words & set(other.split("_")) - {""}), abs(names.index(other) - place)

    own = region.name.rpartition(".")[2]
    return sorted((other for other in names if other not in (name, own)), key=distance)[:CHOICES]


def _takes(function: cst.FunctionDef, call: cst.Call) -> bool:
    """Whether a function accepts the arguments of a call, by their number and keywords."""
    if _decorators(function) & {*_PROPERTIES, "setter"} or any(arg.star for arg in call.args):
        return False
    parameters = function.params
    positional = [*parameters.posonly_params, *parameters.params]
    if positional and positional[0].name.value in ("self", "cls"):
        positional = positional[1:]
    every = [*positional, *parameters.kwonly_params]
    given = sum(arg.keyword is None for arg in call.args)
    named = {arg.keyword.value for arg in call.args if arg.keyword}
    needed = [parameter for parameter in every if not parameter.default][given:]
    return (
        given <= len(positional)
        and named <= {parameter.name.value for parameter in every}
        and {parameter.name.value for parameter in needed} <= named
    )


def _decorators(function: cst.FunctionDef) -> set[str]:
    """The last names of the decorators."""
    expressions = (decorator.decorator for decorator in function.decorators)
    return {
        expression.attr.value if isinstance(expression, cst.Attribute) else expression.value
        for expression in expressions
        if isinstance(expression, cst.Attribute | cst.Name)
    }


def _is_of_self(attribute: cst.BaseExpression) -> bool:
    match attribute:
        case cst.Attribute(value=cst.Name("self" | "cls")):
            return True
    return False


def _is_read(region: Region, attribute: cst.Attribute) -> bool:
    """Whether the code reads an attribute, without setting or calling it."""
    holder = region.parent(attribute)
    called = isinstance(holder, cst.Call) and holder.func is attribute
    return not called and not is_bound(region, attribute)
