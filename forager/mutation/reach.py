"""Which tests can notice a change: the tests that run the lines it touches."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from unidiff.patch import PatchSet

from forager.mutation.coverage import Coverage
from forager.mutation.files import parse

Edit = tuple[int, int, list[str]]
"""First and last removed line (last < first if none), and the lines that replace them."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The tests that run the lines of a change."""

    edits: dict[str, list[Edit]]
    tests: int
    """Bit mask of the tests, as in `Coverage`."""
    at_import: bool
    """Whether the change touches code that runs before the first test."""
    functions: tuple[tuple[str, int], ...]
    """File and first line (decorators included) of each changed function."""


def edits_of(diff: str) -> dict[str, list[Edit]]:
    """A unified diff as line edits by file, in order; line numbers are of the old text."""
    found: dict[str, list[Edit]] = {}
    for file in PatchSet(diff):
        edits = found.setdefault(file.path, [])
        for hunk in file:
            at = hunk.source_start + (0 if hunk.source_length else 1)
            current: Edit | None = None
            for line in hunk:
                if line.is_context:
                    current = None
                    at += 1
                elif line.is_removed or line.is_added:
                    if current is None:
                        current = (at, at - 1, [])
                        edits.append(current)
                    if line.is_removed:
                        current = edits[-1] = (current[0], at, current[2])
                        at += 1
                    else:
                        current[2].append(line.value.rstrip("\r\n"))
    return found


class ReachAnalysis:
    """Computes the reach of changes to the files of one project."""

    def __init__(self, coverage: Coverage, texts: Mapping[str, str]) -> None:
        self._coverage = coverage
        self._texts = texts
        self._files: dict[str, _File] = {}

    def of(self, diff: str) -> Reach:
        """The reach of a unified diff."""
        edits, tests, at_import = edits_of(diff), 0, False
        functions: list[tuple[str, int]] = []
        for path, group in edits.items():
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _File(self._texts[path])
            before = self._before(path)
            for edit in group:
                lines = file.touched(edit)
                around = file.functions_around(lines)
                # Every test that runs the file may notice a change outside its functions.
                if not around or around[0].is_defined_by(edit):
                    tests |= self._coverage.running_file(path)
                    at_import = True
                    continue
                heads = {function.first for function in around if lines & function.head}
                ran = self._coverage.running(path, lines, heads)
                if not ran and not lines & file.with_code:  # no trace event names such a line
                    ran = self._coverage.running(path, (), {around[-1].first})
                tests |= ran
                at_import |= any(function.first in before for function in around)
                functions.append((path, around[-1].first))
        return Reach(edits, tests, at_import, tuple(dict.fromkeys(functions)))

    def _before(self, path: str) -> set[int]:
        known = self._coverage.files.get(path)
        return set(known.before) if known else set()


@dataclass(frozen=True, slots=True)
class _Function:
    first: int
    last: int
    head: frozenset[int]  # lines of decorators and signature, which run at the definition
    name: int  # line of its name; decorators are above

    def is_defined_by(self, edit: Edit) -> bool:
        """Whether an edit removes the function or touches a decorator."""
        first, last, _ = edit
        return (first <= self.first and self.last <= last) or self.first <= first < self.name


class _File:
    """The statements and functions of a file, by line."""

    def __init__(self, text: str) -> None:
        self._functions: list[_Function] = []
        self._statements: list[range] = []
        self._blocks: list[tuple[range, range]] = []  # statements: all lines, and their own
        self.with_code: set[int] = set()
        try:
            tree = parse(text)
            self.with_code = set(_lines_with_code(compile(tree, "<file>", "exec")))
        except (SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                last = node.end_lineno or first
                head = frozenset(range(first, max(node.body[0].lineno, node.lineno + 1)))
                self._functions.append(_Function(first, last, head, node.lineno))
            elif isinstance(node, ast.stmt):
                own, last = _own_lines(node), node.end_lineno or node.lineno
                self._blocks.append((range(node.lineno, last + 1), own))
            if isinstance(node, ast.stmt):
                self._statements.append(_own_lines(node))

    def touched(self, edit: Edit) -> set[int]:
        """The lines of each statement that an edit touches or that decides whether it runs."""
        first, last, _ = edit
        lines = set(range(first, last + 1)) or {first - 1, first}
        if last < first:  # code after a block runs even if the block's last line does not
            inside = max(
                (function.first for function in self.functions_around({first - 1})), default=0
            )
            for whole, own in self._blocks:
                if first - 1 in whole and whole.start > inside:
                    lines.update(own)
        for statement in self._statements:
            if any(line in statement for line in lines):
                lines.update(statement)
        return lines

    def functions_around(self, lines: set[int]) -> list[_Function]:
        """The functions that contain the first of the lines, the outermost first."""
        at = min(lines)
        found = [function for function in self._functions if function.first <= at <= function.last]
        return sorted(found, key=lambda function: (function.first, -function.last))


def _own_lines(node: ast.stmt) -> range:
    """The lines of a statement without those of nested statements."""
    body = getattr(node, "body", None)
    first, last = node.lineno, node.end_lineno or node.lineno
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        last = max(first, body[0].lineno - 1)
    return range(first, last + 1)


def _lines_with_code(code: object) -> Iterator[int]:
    for *_, line in code.co_lines():  # type: ignore[attr-defined]
        if line:
            yield line
    for constant in code.co_consts:  # type: ignore[attr-defined]
        if hasattr(constant, "co_lines"):
            yield from _lines_with_code(constant)
