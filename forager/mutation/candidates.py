"""Lists every candidate mutation of a project, without running anything.

A *mutator* is a generator: it takes a region of code and yields candidate changes in source order,
without randomness (after mutmut's `mutation/mutators.py`). It says which nodes get which text. The
engine parses each file once and splices that text into the source by byte span, so formatting and
comments outside the change stay as they are.
"""

import warnings
from collections.abc import Container, Iterator
from dataclasses import dataclass
from threading import Lock
from types import CodeType
from typing import Any, ClassVar

import libcst as cst
from pydantic import Field

from forager.environments.repository.mutation import ModelCost, Part
from forager.mutation.files import BYTE_ORDER_MARK, unified_diff
from forager.mutation.regions import (
    Change,
    Edit,
    Families,
    Mutator,
    Region,
    Replacement,
    SourceFile,
    Span,
    splice,
)
from forager.records import Record

__all__ = [
    "Candidate",
    "Change",
    "Families",
    "FileChecker",
    "Mutator",
    "Region",
    "Replacement",
    "Sketch",
    "Variant",
    "bytecode",
    "candidates",
    "sketches",
    "unified_diff",
    "variants",
]

_warnings = Lock()
_Compiled = tuple[bytes, CodeType]  # with opcodes, because the hash of a code object ignores them


class Candidate(Record):
    """An unproven mutation, as a unified diff of one or more files."""

    family: str
    operator: str
    file: str
    function: str
    line: int
    diff: str
    parts: tuple[Part, ...] = ()
    costs: tuple[ModelCost, ...] = ()
    problem: str = Field("", description="Why it cannot be tried; the diff may be empty then.")

    @property
    def place(self) -> tuple[Any, ...]:
        """What candidates of a family are sorted by before they are shuffled."""
        return self.file, self.line, self.operator, self.diff


@dataclass(frozen=True, slots=True)
class Variant:
    """A source text after one change, with the operator that made it."""

    family: str
    operator: str
    function: str
    line: int  # the first changed line of the original, counted from 1
    text: str


@dataclass(frozen=True, slots=True)
class Sketch:
    """A change of a file that nobody has checked: it may not compile, or do what another one does.

    To check those of a project takes three times as long as to list them, and most are not drawn.
    """

    family: str
    operator: str
    file: str
    function: str
    line: int  # as in Variant
    chunk: Span
    """The bytes to compile to judge the change: they compile alone. A byte order mark does not
    count."""
    edits: tuple[Edit, ...]
    parts: ClassVar[tuple[Part, ...]] = ()

    @property
    def place(self) -> tuple[Any, ...]:
        """What sketches of a family are sorted by before they are shuffled."""
        return self.file, self.line, self.operator, self.edits


def candidates(path: str, text: str, families: Families) -> Iterator[Candidate]:
    """Yield all candidates of one file in source order, without duplicates and no-ops.

    Raises SyntaxError for a text that LibCST cannot parse.
    """
    checker, admitted = _admitted(path, text, families, None)
    yield from map(checker.candidate, admitted)


def variants(
    text: str, families: Families, *, functions: Container[str] | None = None
) -> Iterator[Variant]:
    """Yield the source text after each possible change, in source order.

    Skips changes that do not compile, that compile to the same bytecode, or that an earlier
    mutator or family also yields. `functions` keeps only changes in these functions
    (`Class.method`). A text that LibCST cannot parse yields nothing.
    """
    try:
        yield from _variants(text, families, functions)
    except SyntaxError:
        return


def _variants(text: str, families: Families, functions: Container[str] | None) -> Iterator[Variant]:
    checker, admitted = _admitted("", text, families, functions)
    for sketch in admitted:
        changed = checker.changed(sketch)
        yield Variant(sketch.family, sketch.operator, sketch.function, sketch.line, changed)


def _admitted(
    path: str, text: str, families: Families, functions: Container[str] | None
) -> tuple["FileChecker", list[Sketch]]:
    """The sketches of a file that pass their check, in source order, with what checked them."""
    checker = FileChecker(text)
    found = filter(checker.admits, sketches(path, text, families, functions))
    return checker, sorted(found, key=lambda sketch: sketch.edits[0][0])


def sketches(
    path: str, text: str, families: Families, functions: Container[str] | None = None
) -> Iterator[Sketch]:
    """Yield the unchecked changes of one file; equal ones belong to the first family.

    Raises SyntaxError for a text that LibCST cannot parse.
    """
    source = SourceFile(text.removeprefix(BYTE_ORDER_MARK))  # LibCST does not count it
    for region in source.regions:
        if functions is None or region.name in functions:
            yield from _sketches(path, source, region, families)


def _sketches(
    path: str, source: SourceFile, region: Region, families: Families
) -> Iterator[Sketch]:
    seen: set[tuple[Span, bytes]] = set()
    for family, mutators in families.items():
        for mutator in mutators:
            for change in mutator(region):
                edits = tuple(source.edits(change))
                chunk = source.chunk(region, change)
                code = splice(source.data, chunk, edits)
                if (chunk, code) not in seen and code != source.data[slice(*chunk)]:
                    seen.add((chunk, code))
                    line = source.line(edits[0][0])
                    yield Sketch(family, change.operator, path, region.name, line, chunk, edits)


class FileChecker:
    """Checks the sketches of a file; of those that compile to the same, the first one counts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        self._data = text.removeprefix(self._mark).encode()
        self._known: dict[Span, set[_Compiled | None]] = {}

    def admits(self, sketch: Sketch) -> bool:
        """Whether it compiles to other bytecode than the original and what was admitted before."""
        if sketch.chunk not in self._known:
            self._known[sketch.chunk] = {bytecode(self._data[slice(*sketch.chunk)].decode())}
        seen = self._known[sketch.chunk]
        code = splice(self._data, sketch.chunk, sketch.edits).decode()
        if None in seen:  # the code is for a later Python than this one: LibCST checks it
            return _parses(code)
        compiled = bytecode(code)
        if compiled is None or compiled in seen:
            return False
        seen.add(compiled)
        return True

    def changed(self, sketch: Sketch) -> str:
        """The file's text after the change."""
        return self._mark + splice(self._data, (0, len(self._data)), sketch.edits).decode()

    def candidate(self, sketch: Sketch) -> Candidate:
        """The candidate of a sketch."""
        return Candidate(
            family=sketch.family,
            operator=sketch.operator,
            file=sketch.file,
            function=sketch.function,
            line=sketch.line,
            diff=unified_diff(sketch.file, self._text, self.changed(sketch)),
        )


def _parses(code: str) -> bool:
    try:
        cst.parse_module(_unindented(code))
    except cst.ParserSyntaxError:
        return False
    return True


def bytecode(code: str) -> _Compiled | None:
    """Compile code to a value to compare, without line numbers; None if it does not compile.

    The code may be an indented method without its class.
    """
    try:
        # Swapping the process's warning filters is not safe between threads.
        with _warnings, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = compile(_unindented(code), "<variant>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return None
    bare = _without_lines(compiled)
    return _opcodes(bare), bare


def _unindented(code: str) -> str:
    """Put a class header above a method; its bytecode does not depend on the class."""
    return "class _:\n" + code if code[:1].isspace() else code


def _without_lines(code: CodeType) -> CodeType:
    """Make code objects equal if they do the same on different lines."""
    constants = tuple(
        _without_lines(constant) if isinstance(constant, CodeType) else constant
        for constant in code.co_consts
    )
    return code.replace(co_firstlineno=1, co_linetable=b"", co_consts=constants)


def _opcodes(code: CodeType) -> bytes:
    nested = [_opcodes(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return b"".join([code.co_code, *nested])
