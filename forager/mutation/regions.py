"""A source file, parsed once, as the regions that mutators look at.

Nothing is ever rendered from the syntax tree: a change is spliced into the source by byte span.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from typing import TypeVar

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

Span = tuple[int, int]
Edit = tuple[int, int, bytes]
N = TypeVar("N", bound=cst.CSTNode)

_FORM = re.compile(r"whitespace|lines|par$|header|footer|comma|semicolon|type_parameters")
_BLOCKS = (cst.Module, cst.IndentedBlock, cst.SimpleStatementLine, cst.SimpleStatementSuite)
_LONE_CARRIAGE_RETURN = re.compile("\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Replacement:
    """The text of `node` becomes `text`; the node's own parentheses stay.

    None removes a statement with the lines it stands on, or an item of a list with its comma.
    When all statements of a block are removed, the engine puts `pass` in their place.
    """

    node: cst.CSTNode
    text: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One candidate, as a mutator yields it: what is done, and to which nodes."""

    operator: str
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """What a mutator looks at: a function (methods too), or the code outside all functions.

    Nested functions belong to the outermost one, so no node is offered twice. Of the code outside
    functions only the imports are offered: the rest runs at import time, where one fault fails
    every test alike. Never offered: annotations, decorators, `if TYPE_CHECKING`.
    """

    node: cst.FunctionDef | cst.Module
    name: str  # qualified name, "<module>" for the code outside functions
    source: "Source"
    nodes: list[cst.CSTNode]

    def find(self, *kinds: type[N], under: cst.CSTNode | None = None) -> list[N]:
        """The nodes of these kinds in source order, of the whole region or under one node."""
        found = [node for node in self.nodes if isinstance(node, kinds)]
        if under is None:
            return found
        start, end = self.source.span(under)
        spans = ((node, self.source.span(node)) for node in found)
        return [node for node, (first, last) in spans if start <= first and last <= end]

    def code(self, node: cst.CSTNode) -> str:
        """The source text of a node as it stands in the file, with its own parentheses."""
        return self.source.data[slice(*self.source.extent(node))].decode()

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """The node that holds this one; a module holds itself."""
        return self.source.parents[node]


Mutator = Callable[[Region], Iterator[Change]]
Families = dict[str, tuple[Mutator, ...]]  # "operators": (swap_comparison, …)


class Source:
    """A parsed file: its bytes, where each node stands in them, and its regions in source order.

    Raises SyntaxError where the text is no Python that LibCST reads.
    """

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        try:
            self.module = cst.parse_module(text)
            wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)  # nothing is changed
            self._spans = wrapper.resolve(ByteSpanPositionProvider)
        except (cst.ParserSyntaxError, RecursionError) as error:
            raise SyntaxError(str(error)) from error
        # LibCST ends the last line where the file does not; a byte order mark shifts every span.
        added = 0 if self.module.has_trailing_newline else len(self.module.default_newline)
        shifted = self.span(self.module)[1] != len(self.data) + added
        if shifted or _LONE_CARRIAGE_RETURN.search(text):
            raise SyntaxError("the syntax tree does not give back the text")
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {self.module: self.module}
        self.regions = [Region(self.module, "<module>", self, [])]
        self._walk(self.module, self.regions[0], "")
        for region in self.regions:
            region.nodes.sort(key=lambda node: self._spans[node].start)

    def span(self, node: cst.CSTNode) -> Span:
        """The first byte of a node, and the one after its last; its parentheses left out."""
        span = self._spans[node]
        end = span.start + span.length
        if isinstance(node, cst.Param):  # LibCST counts its name only
            last = node.default or (node.annotation and node.annotation.annotation)
            end = self.extent(last)[1] if last else end
        return span.start, end

    def extent(self, node: cst.CSTNode) -> Span:
        """The span of a node together with its parentheses."""
        start, end = self.span(node)
        if isinstance(node, cst.BaseExpression) and node.lpar:
            return self.span(node.lpar[0])[0], self.span(node.rpar[-1])[1]
        return start, end

    def lines(self, start: int, end: int) -> Span:
        """The whole lines, last line end included, that hold these bytes."""
        last = self.data.find(b"\n", end)
        return self.data.rfind(b"\n", 0, start) + 1, len(self.data) if last < 0 else last + 1

    def chunk(self, region: Region, change: Change) -> Span:
        """The lines that have to be compiled to judge a change: a function, or a statement."""
        if isinstance(region.node, cst.FunctionDef):
            return self.lines(*self.span(region.node))
        spans = [self.span(self._outermost(each.node)) for each in change.replacements]
        return self.lines(min(start for start, _ in spans), max(end for _, end in spans))

    def edits(self, change: Change) -> list[Edit]:
        """A change as edits of the bytes, in order; ValueError where two of them overlap."""
        edits = [
            self._guarded(*self.span(each.node), each.text.encode())
            for each in change.replacements
            if each.text is not None
        ]
        removed = [self._line(each.node) for each in change.replacements if each.text is None]
        edits += self._removals(removed)
        edits.sort()
        if any(end > start for (_, end, _), (start, _, _) in pairwise(edits)):
            raise ValueError(f"{change.operator}: two replacements overlap")
        return edits

    def _walk(self, node: cst.CSTNode, region: Region, prefix: str) -> None:
        """Give every node below to its region, and remember its parent."""
        for child in _children(node):
            self.parents[child] = node
            if isinstance(child, cst.Annotation | cst.Decorator) or _is_type_checking(child):
                continue
            owner, inner = region, prefix
            if isinstance(region.node, cst.Module):
                if isinstance(child, cst.FunctionDef):
                    if _is_overload(child):
                        continue
                    owner = Region(child, prefix + child.name.value, self, [])
                    self.regions.append(owner)
                elif isinstance(child, cst.ClassDef):
                    if _is_protocol(child):
                        continue
                    inner = f"{prefix}{child.name.value}."
            if isinstance(owner.node, cst.FunctionDef) or _is_import(child):
                owner.nodes.append(child)
            self._walk(child, owner, inner)

    def _outermost(self, node: cst.CSTNode) -> cst.CSTNode:
        while (parent := self.parents[node]) is not self.module:
            node = parent
        return node

    def _line(self, node: cst.CSTNode) -> cst.CSTNode:
        """A small statement that has its line to itself is removed as that line."""
        line = self.parents[node]
        return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else node

    def _guarded(self, start: int, end: int, text: bytes) -> Edit:
        """`return-x` without its minus must not become `returnx`."""
        if re.match(rb"\w\w", self.data[start - 1 : start] + text[:1]):
            text = b" " + text
        if re.match(rb"\w\w", text[-1:] + self.data[end : end + 1]):
            text += b" "
        return start, end, text

    def _removals(self, nodes: list[cst.CSTNode]) -> Iterator[Edit]:
        """Removed neighbours go in one piece, with the comments between them."""
        parents = {id(parent): parent for parent in map(self.parents.__getitem__, nodes)}
        for parent in parents.values():
            siblings = self._siblings(parent)
            places = [i for i, node in enumerate(siblings) if any(node is each for each in nodes)]
            for first, last in _runs(places):
                if isinstance(parent, _BLOCKS):
                    yield self._statements_out(parent, siblings, first, last)
                else:
                    yield self._items_out(siblings, first, last)

    def _siblings(self, parent: cst.CSTNode) -> list[cst.CSTNode]:
        if isinstance(parent, _BLOCKS):
            return list(parent.body)
        items = (child for child in _children(parent) if hasattr(child, "comma"))
        return sorted(items, key=lambda item: self.span(item)[0])

    def _statements_out(
        self, parent: cst.CSTNode, siblings: list[cst.CSTNode], first: int, last: int
    ) -> Edit:
        start, end = self.span(siblings[first])[0], self.span(siblings[last])[1]
        if decorators := getattr(siblings[first], "decorators", ()):
            start = self.span(decorators[0])[0]
        if isinstance(parent, cst.SimpleStatementLine | cst.SimpleStatementSuite):
            return start, end, b"pass"
        first_line, next_line = self.lines(start, end)
        if isinstance(parent, cst.IndentedBlock) and last - first + 1 == len(siblings):
            line_end = len(self.data[:next_line].rstrip(b"\r\n"))
            return start, line_end, b"pass"
        return first_line, next_line, b""

    def _items_out(self, siblings: list[cst.CSTNode], first: int, last: int) -> Edit:
        """Up to the next item, or from the end of the one before; a trailing comma stays one."""
        if last + 1 < len(siblings):
            return self.span(siblings[first])[0], self.span(siblings[last + 1])[0], b""
        if first > 0:
            return self._item_end(siblings[first - 1]), self._item_end(siblings[last]), b""
        comma = getattr(siblings[last], "comma", None)
        end = self.span(comma if isinstance(comma, cst.Comma) else siblings[last])[1]
        return self.span(siblings[first])[0], end, b""

    def _item_end(self, item: cst.CSTNode) -> int:
        start, end = self.span(item)
        # LibCST counts the comma after a bare `/` or `*` as part of it.
        return start + 1 if isinstance(item, cst.ParamSlash | cst.ParamStar) else end


def splice(data: bytes, span: Span, edits: Iterable[Edit]) -> bytes:
    """The bytes of a span after the edits, which lie within it, in order."""
    position, parts = span[0], []
    for start, end, text in edits:
        parts += [data[position:start], text]
        position = end
    return b"".join([*parts, data[position : span[1]]])


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each stretch of neighbouring places: 1 2 3 7 is (1, 3), (7, 7)."""
    starts = [p for i, p in enumerate(places) if i == 0 or places[i - 1] != p - 1]
    ends = [p for i, p in enumerate(places) if i + 1 == len(places) or places[i + 1] != p + 1]
    return zip(starts, ends, strict=True)


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields that can hold code; LibCST's own `children` rebuilds every node it lists."""
    return tuple(field.name for field in fields(kind) if not _FORM.search(field.name))


def _children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, cst.CSTNode))


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Import | cst.ImportFrom | cst.ImportAlias)


def _last_name(node: cst.CSTNode) -> str:
    """`typing.Protocol[T]` → `Protocol`."""
    if isinstance(node, cst.Subscript):
        return _last_name(node.value)
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def _is_type_checking(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.If) and _last_name(node.test) == "TYPE_CHECKING"


def _is_overload(function: cst.FunctionDef) -> bool:
    return any(_last_name(each.decorator) == "overload" for each in function.decorators)


def _is_protocol(definition: cst.ClassDef) -> bool:
    return any(_last_name(base.value) == "Protocol" for base in definition.bases)
