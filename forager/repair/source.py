"""Source code as the agent has seen it: outlines, and passages of whole lines."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_DEFINITION = re.compile(r"^(\d+):(\s*)(?:async\s+def|def|class)\s+(\w+)")
_DECORATOR = re.compile(r"^(\d+):\s*@")
_CLASS = re.compile(r"^\d+:\s*class\b")


@dataclass(frozen=True, slots=True)
class Definition:
    """A `def` or `class` line of a file's outline."""

    name: str  # qualified by the classes around it
    first: int  # its decorators included
    last: int | None  # the line before the next definition outside of it; None: the end of the file
    is_class: bool


def read_outline(listing: str) -> list[Definition]:
    """The definitions in the output of `grep -nE` for def, class and decorators."""
    rows: list[tuple[int, int, int, str, bool]] = []  # line, first line, indent, name, is class
    decorated = 0
    for text in listing.splitlines():
        if match := _DECORATOR.match(text):
            decorated = decorated or int(match[1])
        elif match := _DEFINITION.match(text):
            line = int(match[1])
            first = decorated or line
            rows.append((line, first, len(match[2]), match[3], bool(_CLASS.match(text))))
            decorated = 0
    return [_definition(rows, number) for number in range(len(rows))]


def _definition(rows: Sequence[tuple[int, int, int, str, bool]], number: int) -> Definition:
    _, first, indent, name, is_class = rows[number]
    outer = indent
    for _, _, width, around, around_is_class in reversed(rows[:number]):
        if width < outer:
            outer = width
            name = f"{around}.{name}" if around_is_class else f"{around}.<locals>.{name}"
    after = [begin for _, begin, width, _, _ in rows[number + 1 :] if width <= indent]
    return Definition(name, first, after[0] - 1 if after else None, is_class)


@dataclass(frozen=True, slots=True)
class Passage:
    """Whole lines of a file: `lines` are the text, the first of them is number `first`."""

    file: str
    first: int
    lines: tuple[str, ...]
    name: str = ""  # the function's qualified name; empty for a part of a module

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.lines) - 1

    @property
    def header(self) -> tuple[str, ...]:
        """Lines to put first, so that the indented lines parse as a module."""
        if not self.lines or not self.lines[0][:1].isspace():
            return ()
        return (f"class {self.name.split('.')[-2]}:",) if "." in self.name else ("if True:",)

    @property
    def text(self) -> str:
        """The lines as a module that can be parsed by itself."""
        return "".join(f"{line}\n" for line in (*self.header, *self.lines))

    def line_of(self, module_line: int) -> int:
        """The number in the file of a line of `text`."""
        return module_line - len(self.header) + self.first - 1

    def index_of(self, module_line: int) -> int:
        """The index in `lines` of a line of `text`."""
        return module_line - len(self.header) - 1

    def without_header(self, module: str) -> tuple[str, ...]:
        """The lines of a changed `text`."""
        return tuple(module.removesuffix("\n").split("\n")[len(self.header) :])

    def tree(self) -> ast.Module:
        """Its syntax tree; raises SyntaxError."""
        return ast.parse(self.text)


def function_passage(file: str, name: str, first: int, lines: Sequence[str]) -> Passage | None:
    """The passage of one function; `lines` begin with it and may continue after it."""
    for end in range(len(lines), max(0, len(lines) - 60), -1):
        passage = Passage(file, first, tuple(lines[:end]), name)
        try:
            tree = passage.tree()
        except (SyntaxError, ValueError):
            continue
        body = tree.body[0].body if passage.header else tree.body  # type: ignore[attr-defined]
        functions = [node for node in body if isinstance(node, FUNCTIONS)]
        if not functions:
            return None
        last = passage.index_of(functions[0].end_lineno or 0) + 1
        return Passage(file, first, tuple(lines[:last]), name)
    return None


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class PassageEdit:
    """Lines `first` to `last` of a file become `new`; an insertion has `last` before `first`."""

    first: int
    last: int
    new: tuple[str, ...]


def change_between(passage: Passage, old: Sequence[str], new: Sequence[str]) -> PassageEdit:
    """The smallest edit from `old` to `new`, two versions of the passage."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    first = passage.first + start
    return PassageEdit(
        first, passage.first + len(old) - end - 1, tuple(new[start : len(new) - end])
    )


def search_and_replace(
    passage: Passage, old: Sequence[str], new: Sequence[str], context: int
) -> tuple[str, str]:
    """The two sides of an `edit` from `old` to `new`.

    They hold at least `context` lines around the change, and enough to make the search unique in
    the passage.
    """
    change = change_between(passage, old, new)
    start, end = change.first - passage.first, change.last - passage.first + 1
    behind = len(old) - end
    start, end = max(0, start - context), end + min(context, behind)
    while not _is_unique(old, start, end) and (start > 0 or end < len(old)):
        start, end = max(0, start - 1), min(len(old), end + 1)
    replacement = new[start : len(new) - (len(old) - end)]
    return _join(old[start:end]), _join(replacement)


def _is_unique(lines: Sequence[str], start: int, end: int) -> bool:
    block = list(lines[start:end])
    if not any(line.strip() for line in block):
        return False
    places = range(len(lines) - len(block) + 1)
    return sum(list(lines[place : place + len(block)]) == block for place in places) == 1


def _join(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@dataclass(slots=True)
class Suspicion:
    """How suspicious each line of a file is, by number: from 0 to 1."""

    lines: dict[int, float] = field(default_factory=dict)
    crash: int = 0  # the line where the exception was raised, 0 for none

    def of(self, lines: Sequence[int]) -> float:
        """The suspicion of a statement that stands on these lines."""
        if not self.lines:
            score = 0.5
        else:
            score = max((self.lines.get(line, 0.0) for line in lines), default=0.0) + 0.01
        return score * (3.0 if self.crash in lines else 1.0)


def statement_lines(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """The lines of each simple statement, and of the head of each compound one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            last = max(node.lineno, body[0].lineno - 1)
        yield node.lineno, last
