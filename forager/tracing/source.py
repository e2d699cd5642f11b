"""Lines of the traced sources, as views show them."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from forager.tracing.record import Sources, Trace
from forager.tracing.stream import Code, StreamReader, VariableChange

_DEFINITION = re.compile(r"\s*(async\s+def|def|class)\b")
_LARGEST = 1 << 20  # characters of a file that is parsed


class SourceLines:
    """The lines of the files of a trace. A line or file that is missing is empty."""

    def __init__(self, sources: Sources) -> None:
        self._lines = {path: split_lines(text) for path, text in sources.items()}
        self._bindings: dict[str, Bindings] = {}
        self._sources = sources

    def line(self, path: str, number: int) -> str:
        """A line with its end, from 1."""
        lines = self._lines.get(path, [])
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def entry(self, code: Code) -> int:
        """The line of the `def` or `class` of a code, which comes after its decorators."""
        number = code.first
        if self.line(code.file, number).lstrip().startswith("@"):
            for later in range(number, len(self._lines.get(code.file, [])) + 1):
                if _DEFINITION.match(self.line(code.file, later)):
                    return later
        return number

    def bindings(self, path: str) -> "Bindings":
        """Which line of a file binds which names."""
        if path not in self._bindings:
            self._bindings[path] = Bindings(self._sources.get(path, ""))
        return self._bindings[path]


def split_lines(text: str) -> list[str]:
    """The lines of a source with their ends: Python's, not those of `str.splitlines`."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


class Bindings:
    """Which statement binds which names, to tell an assignment from a change in place."""

    def __init__(self, text: str) -> None:
        self._text = text

    def kind(self, change: VariableChange, line: int) -> str:
        """`new`, `changed`, `changed in place` or `deleted`, after a line was executed."""
        if change.old is None:
            return "new"
        if change.new is None:
            return "deleted"
        bound = self._names
        if bound is None or change.name in bound.get(line, ()):
            return "changed"
        return "changed in place"

    @cached_property
    def _names(self) -> dict[int, set[str]] | None:
        """Line → the names that statements bind which are on it; None without a syntax tree."""
        tree = parsed_source(self._text)
        if tree is None:
            return None
        found: dict[int, set[str]] = {}
        for statement in ast.walk(tree):
            if isinstance(statement, ast.stmt | ast.excepthandler | ast.comprehension):
                names = set(_bound(statement))
                for line in _own_lines(statement) if names else ():
                    found.setdefault(line, set()).update(names)
        return found


def parsed_source(text: str) -> ast.Module | None:
    """The syntax tree of a source; None if it has none, or is too large."""
    if len(text) > _LARGEST:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _own_lines(node: ast.AST) -> range:
    """The lines of a statement without those of its body."""
    if isinstance(node, ast.comprehension):
        return range(node.target.lineno, (node.iter.end_lineno or node.iter.lineno) + 1)
    first: int = getattr(node, "lineno", 0)
    last: int = getattr(node, "end_lineno", 0) or first
    body: list[ast.stmt] = getattr(node, "body", [])
    return range(first, max(first + 1, body[0].lineno) if body else last + 1)


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds, without those that its body binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.excepthandler):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0]
        return
    body = {id(part) for name in ("body", "orelse", "finalbody", "handlers", "cases")
            for part in getattr(node, name, []) if isinstance(part, ast.AST)}  # fmt: skip
    for child in ast.iter_child_nodes(node):
        if id(child) not in body:
            for part in ast.walk(child):
                if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                    yield part.id


def entered_files(trace: Trace, sources: Sources) -> dict[str, str]:
    """The sources of a trace without what it does not enter. Raises Malformed."""
    firsts: dict[str, set[int]] = {}
    for code in {event.code for event in StreamReader(trace.stream()).events()}:
        if code.name != "<module>":  # whose first line may be that of a function
            firsts.setdefault(code.file, set()).add(code.first)
    return {path: entered_source(text, firsts.get(path, set())) for path, text in sources.items()}


def entered_source(text: str, firsts: set[int]) -> str:
    """A source without the functions and classes that a trace does not enter.

    `firsts` are the first lines of the codes that it enters. Other statements of the module stay,
    as functions may use what they bind. A source without a syntax tree stays whole.
    """
    tree = parsed_source(text)
    if tree is None:
        return text
    lines = split_lines(text)
    gone = {line for span in _not_entered(tree.body, firsts) for line in span}
    return "".join(line for number, line in enumerate(lines, 1) if number not in gone)


def _not_entered(body: list[ast.stmt], firsts: set[int]) -> Iterator[range]:
    """The lines of definitions without entered code; of an entered class, of its methods."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        first = min(part.lineno for part in (node, *node.decorator_list))
        span = range(first, (node.end_lineno or node.lineno) + 1)
        if firsts.isdisjoint(span):
            yield span
        elif isinstance(node, ast.ClassDef):
            kept = [*_not_entered(node.body, firsts)]
            whole = all(isinstance(part, ast.FunctionDef) for part in node.body)
            yield from [] if whole and len(kept) == len(node.body) else kept
