"""Classes: remove a method, a base class or a decorator (of a function too).

Names that the class body uses stay, because the import would fail without them.
"""

import re
from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from forager.mutation.syntax import last_name
from mutators.blocks import is_trivial, statements

INERT_BASES = {"object", "Generic", "TypedDict", "ABC"}
INERT_DECORATORS = {"overload", "override", "final", "no_type_check", "abstractmethod"}


def remove_method(region: Region) -> Iterator[Change]:
    """Remove a method, so that the base class's method applies, if there is one."""
    for definition in region.find(cst.ClassDef):
        used = _used(region, definition)
        for method in definition.body.body:
            if isinstance(method, cst.FunctionDef) and method.name.value not in used:
                body = statements(method.body, method)
                if not all(map(is_trivial, body)) and not _is_inert(method):
                    yield Change("remove_method", (Replacement(method, None),))


def remove_base(region: Region) -> Iterator[Change]:
    """Remove a base class."""
    for definition in region.find(cst.ClassDef):
        for base in definition.bases:
            if last_name(base.value) not in INERT_BASES:
                yield Change("remove_base", (Replacement(base, None),))


def remove_decorator(region: Region) -> Iterator[Change]:
    """Remove a decorator of a function or a class."""
    for decorator in region.find(cst.Decorator):
        definition = region.parent(decorator)
        named = last_name(decorator.decorator)
        if named not in INERT_DECORATORS and not _is_extended(region, definition):
            yield Change("remove_decorator", (Replacement(decorator, None),))


def _used(region: Region, definition: cst.ClassDef) -> set[str]:
    """The names in a class body outside its methods: `__radd__ = __add__`, `@name.setter`."""
    code = [
        region.code(part)
        for statement in definition.body.body
        for part in (
            (statement.params, *statement.decorators)
            if isinstance(statement, cst.FunctionDef)
            else (statement,)
        )
    ]
    return set(re.findall(r"\w+", "\n".join(code)))


def _is_extended(region: Region, definition: cst.CSTNode) -> bool:
    """Whether decorators below use the decorated function, as in `@name.setter`."""
    if not isinstance(definition, cst.FunctionDef):
        return False
    body = list(getattr(region.parent(definition), "body", [definition]))
    below = body[body.index(definition) + 1 :]
    decorators = (name for statement in below for name in getattr(statement, "decorators", ()))
    return any(region.code(name).startswith(f"@{definition.name.value}.") for name in decorators)


def _is_inert(method: cst.FunctionDef) -> bool:
    return any(last_name(name.decorator) in INERT_DECORATORS for name in method.decorators)
