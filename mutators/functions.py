"""Functions: delete a whole body, or a part of it.

The signature and docstring stay, so that a solver can reconstruct the missing code.
"""

from collections.abc import Iterator

import libcst as cst

from forager.mutation.candidates import Change, Region, Replacement
from mutators.blocks import is_trivial, statements

SHORT_BLOCK = 6
"""In blocks of at most this many statements every run is a candidate; in longer blocks, runs of
one, of two and of half the block."""


def delete_body(region: Region) -> Iterator[Change]:
    """Delete everything but the docstring."""
    for function in region.find(cst.FunctionDef):
        body = statements(function.body, function)
        if not all(map(is_trivial, body)):
            yield _deletion("delete_body", body)


def delete_part(region: Region) -> Iterator[Change]:
    """Delete neighbouring statements of one block."""
    for block in region.find(cst.IndentedBlock, cst.SimpleStatementSuite):
        body = statements(block, region.parent(block))
        count = len(body)
        lengths = set(range(1, count + 1)) if count <= SHORT_BLOCK else {1, 2, count // 2}
        for start in range(count):
            for length in sorted(lengths):
                run = body[start : start + length]
                if len(run) == length and not all(map(is_trivial, run)):
                    yield _deletion("delete_part", run)


def _deletion(operator: str, body: list[cst.CSTNode]) -> Change:
    return Change(operator, tuple(Replacement(statement, None) for statement in body))
