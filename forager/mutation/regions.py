"""Parses a source file once and divides it into the regions that mutators examine.

The engine never renders code from the syntax tree: it splices changes into the source by byte span.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeVar, cast

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from forager.mutation.syntax import (
    children,
    is_log_call,
    is_offered_outside,
    is_stub,
    is_text,
    used_at_import,
)

Span = tuple[int, int]
Edit = tuple[int, int, bytes]
N = TypeVar("N", bound=cst.CSTNode)

_BLOCKS = (cst.Module, cst.IndentedBlock, cst.SimpleStatementLine, cst.SimpleStatementSuite)
_CLAUSES = (cst.Decorator, cst.ExceptHandler)  # not statements, but on lines of their own
_LONE_CARRIAGE_RETURN = re.compile("\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Replacement:
    """Replaces the source of `node` by `text`; parentheses around the node stay.

    None removes the node: a statement, decorator or `except` with its lines, a list item with its
    comma. If a change removes all statements of a block, the engine writes `pass` instead.
    """

    node: cst.CSTNode
    text: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate as a mutator yields it: the operator's name, and replacements of nodes."""

    operator: str
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """The code that a mutator examines: a function or method, a class, or the code outside both.

    `nodes` lists nested functions with the outermost one, so a node is in one region only. A class
    outside functions lists its definition, decorators, bases and imports; the code outside both
    lists its imports. The rest runs at import time, where one fault fails every test. No region
    lists annotations, arguments of decorators, `if TYPE_CHECKING`, or text for people (messages of
    exceptions and assertions, calls of a logger).
    """

    node: cst.FunctionDef | cst.ClassDef | cst.Module
    name: str  # qualified name, "<module>" for the code outside functions and classes
    source: "SourceFile"
    nodes: list[cst.CSTNode]

    def find(self, *kinds: type[N], under: cst.CSTNode | None = None) -> list[N]:
        """The nodes of these kinds in source order, in the region or under one of its nodes."""
        if under is None:
            return list(_of_kinds(self.nodes, kinds))
        start, end = self.source.span(under)
        first = bisect_left(self.nodes, start, key=self.source.start)
        last = bisect_left(self.nodes, end, lo=first, key=self.source.start)
        found = _of_kinds(self.nodes[first:last], kinds)
        return [node for node in found if self.source.span(node)[1] <= end]

    def code(self, node: cst.CSTNode) -> str:
        """The source text of a node, parentheses included."""
        return self.between(*self.source.extent(node))

    def between(self, start: int, end: int) -> str:
        """The source text between two byte offsets."""
        return self.source.data[start:end].decode()

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """The parent of a node; the parent of a module is the module."""
        return self.source.parents[node]


Mutator = Callable[[Region], Iterator[Change]]
Families = dict[str, tuple[Mutator, ...]]  # "operators": (swap_comparison, …)


class SourceFile:
    """A parsed file: its bytes, the byte span of each node, and its regions in source order.

    Raises SyntaxError if LibCST cannot read the text.
    """

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        try:
            self.module = cst.parse_module(text)
            wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)  # nothing is changed
            self._spans = wrapper.resolve(ByteSpanPositionProvider)
        except (cst.ParserSyntaxError, RecursionError) as error:
            raise SyntaxError(str(error)) from error
        # LibCST adds a missing line end at the end.
        added = 0 if self.module.has_trailing_newline else len(self.module.default_newline)
        shifted = self.span(self.module)[1] != len(self.data) + added
        if text and (shifted or _LONE_CARRIAGE_RETURN.search(text)):
            raise SyntaxError("LibCST's byte spans do not match the text")
        self._line_ends = [match.start() for match in re.finditer(b"\n", self.data)]
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {self.module: self.module}
        self.regions = [Region(self.module, "<module>", self, [])]
        self._walk(self.module, self.regions[0], "")
        for region in self.regions:
            region.nodes.sort(key=self.start)
        lazy = b"from __future__ import annotations" in self.data
        self.used_at_import = set(used_at_import(self.module, lazy))

    def start(self, node: cst.CSTNode) -> int:
        """The byte offset of a node, without its parentheses."""
        return self._spans[node].start

    def span(self, node: cst.CSTNode) -> Span:
        """The half-open byte span of a node, without its parentheses."""
        span = self._spans[node]
        end = span.start + span.length
        if isinstance(node, cst.Param):  # LibCST's span ends after the name
            last = node.default or (node.annotation and node.annotation.annotation)
            end = self.extent(last)[1] if last else end
        return span.start, end

    def extent(self, node: cst.CSTNode) -> Span:
        """The byte span of a node with its parentheses or decorators."""
        start, end = self.span(node)
        if decorators := getattr(node, "decorators", ()):
            return self.span(decorators[0])[0], end
        if isinstance(node, cst.BaseExpression) and node.lpar:
            return self.span(node.lpar[0])[0], self.span(node.rpar[-1])[1]
        return start, end

    def line(self, place: int) -> int:
        """The line number of a byte offset, counted from 1."""
        return bisect_left(self._line_ends, place) + 1

    def lines(self, start: int, end: int) -> Span:
        """The byte span of the whole lines that contain these bytes, last line end included."""
        last = self.data.find(b"\n", end)
        return self.data.rfind(b"\n", 0, start) + 1, len(self.data) if last < 0 else last + 1

    def chunk(self, region: Region, change: Change) -> Span:
        """The byte span to compile to judge a change: a definition or top-level statements."""
        if not isinstance(region.node, cst.Module):
            return self.lines(*self.extent(region.node))
        spans = [
            self.extent(self._outermost(replacement.node)) for replacement in change.replacements
        ]
        return self.lines(min(start for start, _ in spans), max(end for _, end in spans))

    def edits(self, change: Change) -> list[Edit]:
        """A change as byte edits in order. Raises ValueError if two of them overlap."""
        edits = [
            self._guarded(*self.span(replacement.node), replacement.text.encode())
            for replacement in change.replacements
            if replacement.text is not None
        ]
        removed = [
            self._line(replacement.node)
            for replacement in change.replacements
            if replacement.text is None
        ]
        edits += self._removals(removed)
        edits.sort()
        if any(end > start for (_, end, _), (start, _, _) in pairwise(edits)):
            raise ValueError(f"{change.operator}: two replacements overlap")
        return edits

    def _walk(self, node: cst.CSTNode, region: Region, prefix: str) -> None:
        """Put every node below into its region, and record its parent."""
        for child in children(node):
            self.parents[child] = node
            if isinstance(child, cst.Annotation) or is_stub(child) or self._is_for_people(child):
                continue
            owner, inner = region, prefix
            if not isinstance(region.node, cst.FunctionDef):
                if isinstance(child, cst.FunctionDef | cst.ClassDef):
                    owner = Region(child, prefix + child.name.value, self, [])
                    self.regions.append(owner)
                if isinstance(child, cst.ClassDef):
                    inner = f"{owner.name}."
            if isinstance(owner.node, cst.FunctionDef) or is_offered_outside(child, node):
                owner.nodes.append(child)
            if not isinstance(child, cst.Decorator):
                self._walk(child, owner, inner)

    def _is_for_people(self, node: cst.CSTNode) -> bool:
        """Whether a node is a logger's call or the message of an exception or assertion."""
        parent = self.parents[node]
        if isinstance(parent, cst.Assert):
            return parent.msg is node
        if not isinstance(parent, cst.Arg) or not is_text(node):
            return is_log_call(node)
        call = self.parents[parent]
        return isinstance(call, cst.Call) and isinstance(self.parents[call], cst.Raise)

    def _outermost(self, node: cst.CSTNode) -> cst.CSTNode:
        while (parent := self.parents[node]) is not self.module:
            node = parent
        return node

    def _line(self, node: cst.CSTNode) -> cst.CSTNode:
        """The line of a statement that is alone on it; otherwise the node itself."""
        line = self.parents[node]
        return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else node

    def _guarded(self, start: int, end: int, text: bytes) -> Edit:
        """Add spaces where words would join: `return-x` without its minus is not `returnx`."""
        if re.match(rb"\w\w", self.data[start - 1 : start] + text[:1]):
            text = b" " + text
        if re.match(rb"\w\w", text[-1:] + self.data[end : end + 1]):
            text += b" "
        return start, end, text

    def _removals(self, nodes: list[cst.CSTNode]) -> Iterator[Edit]:
        """Remove runs of neighbours in one edit, with the comments between them."""
        parents = {id(parent): parent for parent in map(self.parents.__getitem__, nodes)}
        for parent in parents.values():
            siblings = self._siblings(parent)
            places = [
                i for i, node in enumerate(siblings) if any(node is removed for removed in nodes)
            ]
            for first, last in _runs(places):
                if isinstance(parent, _BLOCKS):
                    yield self._statements_out(parent, siblings, first, last)
                elif isinstance(siblings[first], _CLAUSES):
                    yield (
                        *self.lines(self.span(siblings[first])[0], self.span(siblings[last])[1]),
                        b"",
                    )
                else:
                    yield self._items_out(siblings, first, last)

    def _siblings(self, parent: cst.CSTNode) -> list[cst.CSTNode]:
        if isinstance(parent, _BLOCKS):
            return list(parent.body)
        items = (child for child in children(parent) if _is_item(child))
        return sorted(items, key=lambda item: self.span(item)[0])

    def _statements_out(
        self, parent: cst.CSTNode, siblings: list[cst.CSTNode], first: int, last: int
    ) -> Edit:
        start, end = self.extent(siblings[first])[0], self.span(siblings[last])[1]
        if isinstance(parent, cst.SimpleStatementLine | cst.SimpleStatementSuite):
            return start, end, b"pass"
        first_line, next_line = self.lines(start, end)
        if isinstance(parent, cst.IndentedBlock) and last - first + 1 == len(siblings):
            line_end = len(self.data[:next_line].rstrip(b"\r\n"))
            return start, line_end, b"pass"
        return first_line, next_line, b""

    def _items_out(self, siblings: list[cst.CSTNode], first: int, last: int) -> Edit:
        """Remove up to the next item, or from the end of the previous one if there is no next."""
        if last + 1 < len(siblings):
            return self.span(siblings[first])[0], self.span(siblings[last + 1])[0], b""
        if first > 0:
            return self._item_end(siblings[first - 1]), self._item_end(siblings[last]), b""
        comma = getattr(siblings[last], "comma", None)
        end = self.span(comma if isinstance(comma, cst.Comma) else siblings[last])[1]
        return self.span(siblings[first])[0], end, b""

    def _item_end(self, item: cst.CSTNode) -> int:
        start, end = self.span(item)
        # LibCST's span of a bare `/` or `*` includes the comma after it.
        return start + 1 if isinstance(item, cst.ParamSlash | cst.ParamStar) else end


def splice(data: bytes, span: Span, edits: Iterable[Edit]) -> bytes:
    """Apply edits, sorted and within the span, to the bytes of the span."""
    position, parts = span[0], []
    for start, end, text in edits:
        parts += [data[position:start], text]
        position = end
    return b"".join([*parts, data[position : span[1]]])


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of consecutive places: 1 2 3 7 gives (1, 3), (7, 7)."""
    starts = [p for i, p in enumerate(places) if i == 0 or places[i - 1] != p - 1]
    ends = [p for i, p in enumerate(places) if i + 1 == len(places) or places[i + 1] != p + 1]
    return zip(starts, ends, strict=True)


def _of_kinds(nodes: Iterable[cst.CSTNode], kinds: tuple[type[N], ...]) -> Iterator[N]:
    return (cast(N, node) for node in nodes if _is_one(type(node), kinds))


@cache
def _is_one(kind: type[cst.CSTNode], kinds: tuple[type[N], ...]) -> bool:
    """A cached `issubclass`, because it is slow for abstract classes."""
    return issubclass(kind, kinds)


def _is_item(node: cst.CSTNode) -> bool:
    """Whether a node is an item of a list, such as a parameter or a decorator."""
    return hasattr(node, "comma") or isinstance(node, _CLAUSES)
