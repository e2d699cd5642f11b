"""Exceptions: catch the wrong type or fewer; raise the wrong type, return it, or raise none."""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.blocks import is_trivial

OTHERS = {
    "ArithmeticError": "ValueError",
    "AssertionError": "ValueError",
    "AttributeError": "KeyError",
    "EOFError": "OSError",
    "Exception": "ValueError",
    "FileExistsError": "FileNotFoundError",
    "FileNotFoundError": "FileExistsError",
    "IOError": "ValueError",
    "ImportError": "AttributeError",
    "IndexError": "KeyError",
    "KeyError": "IndexError",
    "LookupError": "ValueError",
    "NameError": "AttributeError",
    "NotADirectoryError": "FileNotFoundError",
    "OSError": "ValueError",
    "OverflowError": "ValueError",
    "PermissionError": "FileNotFoundError",
    "RuntimeError": "ValueError",
    "StopIteration": "ValueError",
    "TypeError": "ValueError",
    "UnicodeDecodeError": "UnicodeEncodeError",
    "UnicodeEncodeError": "UnicodeDecodeError",
    "UnicodeError": "TypeError",
    "ValueError": "TypeError",
    "ZeroDivisionError": "OverflowError",
}
"""The replacement of each of Python's exceptions."""


def swap_caught(region: Region) -> Iterator[Change]:
    """Catch another exception."""
    for handler in region.find(cst.ExceptHandler):
        names = [caught for caught in _caught(handler) if isinstance(caught, cst.Name)]
        for name in names:
            other = OTHERS.get(name.value)
            if other and other not in {caught.value for caught in names}:
                yield Change("swap_caught", (Replacement(name, other),))


def narrow_caught(region: Region) -> Iterator[Change]:
    """Catch one exception fewer."""
    for handler in region.find(cst.ExceptHandler):
        if isinstance(handler.type, cst.Tuple) and len(handler.type.elements) > 1:
            for element in handler.type.elements:
                yield Change("narrow_caught", (Replacement(element, None),))


def remove_handler(region: Region) -> Iterator[Change]:
    """Remove an `except`; a lone one yields code that does not compile, which the engine drops."""
    for handler in region.find(cst.ExceptHandler):
        yield Change("remove_handler", (Replacement(handler, None),))


def swap_raised(region: Region) -> Iterator[Change]:
    """Raise another exception."""
    for name in map(_raised, region.find(cst.Raise)):
        if name and name.value in OTHERS:
            yield Change("swap_raised", (Replacement(name, OTHERS[name.value]),))


def return_raised(region: Region) -> Iterator[Change]:
    """Return an exception instead of raising it."""
    for statement in region.find(cst.Raise):
        if statement.exc and not is_trivial(statement):
            text = f"return {region.code(statement.exc)}"
            yield Change("return_raised", (Replacement(statement, text),))


def drop_raise(region: Region) -> Iterator[Change]:
    """Remove a `raise`."""
    for statement in region.find(cst.Raise):
        if not is_trivial(statement):
            yield Change("drop_raise", (Replacement(statement, None),))


def _caught(handler: cst.ExceptHandler) -> list[cst.BaseExpression]:
    """The types that a handler names."""
    if isinstance(handler.type, cst.Tuple):
        return [element.value for element in handler.type.elements]
    return [handler.type] if handler.type else []


def _raised(statement: cst.Raise) -> cst.Name | None:
    """The name of the exception that a statement raises, if it is a plain name."""
    raised = statement.exc.func if isinstance(statement.exc, cst.Call) else statement.exc
    return raised if isinstance(raised, cst.Name) else None
