"""Statements: remove an import, remove a return."""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement


def remove_import(region: Region) -> Iterator[Change]:
    """Remove an import statement, in a function or outside; never one from `__future__`."""
    for statement in _imports(region):
        yield Change("remove_import", (Replacement(statement, None),))


def remove_imported_name(region: Region) -> Iterator[Change]:
    """Remove one name from an import of several."""
    for statement in _imports(region):
        names = statement.names
        if not isinstance(names, cst.ImportStar) and len(names) > 1:
            for name in names:
                yield Change("remove_imported_name", (Replacement(name, None),))


def remove_return(region: Region) -> Iterator[Change]:
    """Remove a return statement, so that the code goes on behind it."""
    for statement in region.find(cst.Return):
        yield Change("remove_return", (Replacement(statement, None),))


def _imports(region: Region) -> Iterator[cst.Import | cst.ImportFrom]:
    statements: list[cst.Import | cst.ImportFrom] = region.find(cst.Import, cst.ImportFrom)
    for statement in statements:
        module = getattr(statement, "module", None)
        if not (isinstance(module, cst.Name) and module.value == "__future__"):
            yield statement
