"""Arguments: remove one from a definition or a call, re-order them in a call, change a default."""

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TypeVar

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.literals import numbers_near

SHORT_CALL = 5
"""Calls with at most this many arguments swap every pair; longer calls swap neighbours only."""

DEFAULTS = {"None": "False", "True": "False", "False": "True"}
"""Replacements of constant defaults; numbers change by one, all other defaults become None."""

T = TypeVar("T")


def remove_parameter(region: Region) -> Iterator[Change]:
    """Remove a parameter from a definition, except `self` and `cls`; calls stay unchanged."""
    functions: list[cst.FunctionDef | cst.Lambda] = region.find(cst.FunctionDef, cst.Lambda)
    for function in functions:
        parameters = function.params
        receiver = _receiver(region, function)
        for param in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params):
            if param is not receiver:
                removed = (param, *_markers(parameters, param))
                yield _change(*(Replacement(node, None) for node in removed))
        if isinstance(parameters.star_arg, cst.Param):
            keeps_star = "*" if parameters.kwonly_params else None
            yield _change(Replacement(parameters.star_arg, keeps_star))
        if parameters.star_kwarg:
            yield _change(Replacement(parameters.star_kwarg, None))


def swap_arguments(region: Region) -> Iterator[Change]:
    """Swap two positional arguments of a call."""
    for call in region.find(cst.Call):
        for first, second in _pairs([a for a in call.args if not a.star and not a.keyword]):
            swapped = (region.code(second), region.code(first))
            replacements = map(Replacement, (first, second), swapped)
            yield Change("swap_arguments", tuple(replacements))


def swap_keywords(region: Region) -> Iterator[Change]:
    """Swap the names of two keyword arguments of a call."""
    for call in region.find(cst.Call):
        named = [(arg.keyword, region.code(arg.value)) for arg in call.args if arg.keyword]
        for (first, value), (second, other) in _pairs(named):
            if value != other:
                swapped = Replacement(first, second.value), Replacement(second, first.value)
                yield Change("swap_keywords", swapped)


def remove_keyword(region: Region) -> Iterator[Change]:
    """Remove a keyword argument from a call, so that its default applies."""
    for call in region.find(cst.Call):
        for argument in call.args:
            if argument.keyword:
                yield Change("remove_keyword", (Replacement(argument, None),))


def change_default(region: Region) -> Iterator[Change]:
    """Change the default of a parameter."""
    for param in region.find(cst.Param):
        if param.default:
            for text in _other_defaults(param.default):
                yield Change("change_default", (Replacement(param.default, text),))


def _other_defaults(default: cst.BaseExpression) -> tuple[str, ...]:
    match default:
        case cst.Name(name):
            return (DEFAULTS.get(name, "None"),)
        case cst.SimpleString() if default.raw_value:
            return (f"{default.prefix}{default.quote * 2}",)
    return numbers_near(default) or ("None",)


def _pairs(items: list[T]) -> Iterator[tuple[T, T]]:
    return pairwise(items) if len(items) > SHORT_CALL else combinations(items, 2)


def _change(*replacements: Replacement) -> Change:
    return Change("remove_parameter", replacements)


def _markers(parameters: cst.Parameters, param: cst.Param) -> Iterator[cst.CSTNode]:
    """The `/` or bare `*` that becomes illegal without its last parameter."""
    slash, star = parameters.posonly_ind, parameters.star_arg
    if list(parameters.posonly_params) == [param] and isinstance(slash, cst.ParamSlash):
        yield slash
    if list(parameters.kwonly_params) == [param] and isinstance(star, cst.ParamStar):
        yield star


def _receiver(region: Region, function: cst.FunctionDef | cst.Lambda) -> cst.Param | None:
    """The `self` or `cls` parameter of a method, whatever its name."""
    first = (*function.params.posonly_params, *function.params.params)[:1]
    if not first or isinstance(function, cst.Lambda):
        return None
    owner = region.parent(region.parent(function))
    static = any(
        isinstance(decorator.decorator, cst.Name) and decorator.decorator.value == "staticmethod"
        for decorator in function.decorators
    )
    named = first[0].name.value in ("self", "cls")
    return first[0] if named or (isinstance(owner, cst.ClassDef) and not static) else None
