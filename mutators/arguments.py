"""Arguments: remove one from a definition, re-order them in a call."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement

SHORT_CALL = 5
"""Up to this many positional arguments every pair is swapped; above, neighbours only."""


def remove_parameter(region: Region) -> Iterator[Change]:
    """Remove a parameter from a definition; `self` and its like stay."""
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
        arguments = [each for each in call.args if not each.star and not each.keyword]
        near = len(arguments) > SHORT_CALL
        for first, second in pairwise(arguments) if near else combinations(arguments, 2):
            swapped = (region.code(second), region.code(first))
            replacements = map(Replacement, (first, second), swapped)
            yield Change("swap_arguments", tuple(replacements))


def _change(*replacements: Replacement) -> Change:
    return Change("remove_parameter", replacements)


def _markers(parameters: cst.Parameters, param: cst.Param) -> Iterator[cst.CSTNode]:
    """The `/` or bare `*` that is illegal once the last parameter it marks is gone."""
    slash, star = parameters.posonly_ind, parameters.star_arg
    if list(parameters.posonly_params) == [param] and isinstance(slash, cst.ParamSlash):
        yield slash
    if list(parameters.kwonly_params) == [param] and isinstance(star, cst.ParamStar):
        yield star


def _receiver(region: Region, function: cst.FunctionDef | cst.Lambda) -> cst.Param | None:
    """The `self` of a method, whatever it is called."""
    first = (*function.params.posonly_params, *function.params.params)[:1]
    if not first or isinstance(function, cst.Lambda):
        return None
    owner = region.parent(region.parent(function))
    static = any(
        isinstance(each.decorator, cst.Name) and each.decorator.value == "staticmethod"
        for each in function.decorators
    )
    named = first[0].name.value in ("self", "cls")
    return first[0] if named or (isinstance(owner, cst.ClassDef) and not static) else None
