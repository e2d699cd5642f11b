"""Lists every candidate mutation of a project, without running anything.

A *mutator* is a generator: a region of code in, candidate changes out, in source order, without
randomness (after mutmut's `mutation/mutators.py`). It says which nodes get which text; the engine
parses each file once and splices that text into the source by byte span, so that formatting and
comments outside the change stay as they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import libcst as cst

from forager.records import Record


@dataclass(frozen=True, slots=True)
class Replacement:
    """The text of `node` becomes `text`; None removes a statement with the lines it stands on.

    When the last statement of a block is removed, the engine puts `pass` in its place.
    """

    node: cst.CSTNode
    text: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One candidate, as a mutator yields it: what is done, and to which nodes."""

    operator: str
    replacements: tuple[Replacement, ...]


class Region:
    """What a mutator looks at: a function (methods too), or the code outside all functions.

    Nested functions belong to the outermost one, so no node is offered twice.
    """

    node: cst.FunctionDef | cst.Module
    name: str  # qualified name, "<module>" for the code outside functions

    def code(self, node: cst.CSTNode) -> str:
        """The source text of a node, as it stands in the file."""
        raise NotImplementedError

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """The node that holds this one."""
        raise NotImplementedError


Mutator = Callable[[Region], Iterator[Change]]
Families = dict[str, tuple[Mutator, ...]]  # "operators": (swap_comparison, …)


class Candidate(Record):
    """A mutation not yet proven: a whole-file change as a unified diff."""

    family: str
    operator: str
    file: str
    function: str
    line: int
    diff: str


def candidates(path: str, text: str, families: Families) -> Iterator[Candidate]:
    """Yield all candidates of one file, in source order, duplicates and no-ops left out."""
    raise NotImplementedError
