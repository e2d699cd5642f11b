"""Lists every candidate mutation of a project, without running anything.

A *mutator* is a generator: it takes a region of code and yields candidate changes in source order,
without randomness (after mutmut's `mutation/mutators.py`). It says which nodes get which text. The
engine parses each file once and splices that text into the source by byte span, so formatting and
comments outside the change stay as they are.
"""

import warnings
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from types import CodeType

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
    "Mutator",
    "Region",
    "Replacement",
    "Variant",
    "bytecode",
    "candidates",
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


@dataclass(frozen=True, slots=True)
class Variant:
    """A source text after one change, with the operator that made it."""

    family: str
    operator: str
    function: str
    line: int  # the first changed line of the original, counted from 1
    text: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """A change in bytes: `code` replaces the span `chunk`, and compiles alone."""

    start: int
    family: str
    operator: str
    function: str
    chunk: Span
    code: bytes


def candidates(path: str, text: str, families: Families) -> Iterator[Candidate]:
    """Yield all candidates of one file in source order, without duplicates and no-ops.

    Raises SyntaxError for a text that LibCST cannot parse.
    """
    for variant in _variants(text, families, None):
        yield Candidate(
            family=variant.family,
            operator=variant.operator,
            file=path,
            function=variant.function,
            line=variant.line,
            diff=unified_diff(path, text, variant.text),
        )


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
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""  # LibCST does not count it
    source = SourceFile(text.removeprefix(mark))
    plans: list[_Plan] = []
    for region in source.regions:
        if functions is None or region.name in functions:
            plans += _admitted(source.data, _plans(source, region, families))
    plans.sort(key=lambda plan: plan.start)
    for plan in plans:
        start, end = plan.chunk
        changed = mark + (source.data[:start] + plan.code + source.data[end:]).decode()
        line = source.line(plan.start)
        yield Variant(plan.family, plan.operator, plan.function, line, changed)


def _plans(source: SourceFile, region: Region, families: Families) -> Iterator[_Plan]:
    """Plan the changes of a region; each resulting text belongs to the first family to yield it."""
    seen: set[tuple[Span, bytes]] = set()
    for family, mutators in families.items():
        for mutator in mutators:
            for change in mutator(region):
                edits: list[Edit] = source.edits(change)
                chunk = source.chunk(region, change)
                code = splice(source.data, chunk, edits)
                if (chunk, code) not in seen and code != source.data[slice(*chunk)]:
                    seen.add((chunk, code))
                    name = region.name
                    yield _Plan(edits[0][0], family, change.operator, name, chunk, code)


def _admitted(data: bytes, plans: Iterable[_Plan]) -> Iterator[_Plan]:
    """Yield the plans that compile to other bytecode than the original and earlier plans."""
    known: dict[Span, set[_Compiled | None]] = {}
    for plan in plans:
        if plan.chunk not in known:
            known[plan.chunk] = {bytecode(data[slice(*plan.chunk)].decode())}
        seen = known[plan.chunk]
        code = plan.code.decode()
        if None in seen:  # the code is for a later Python than this one: LibCST checks it
            if _parses(code):
                yield plan
        elif (compiled := bytecode(code)) and compiled not in seen:
            seen.add(compiled)
            yield plan


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
