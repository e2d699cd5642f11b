"""The code of a file's functions, before and after edits."""

from __future__ import annotations
import __future__ as futures

import ast
import io
import tokenize
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .messages import Edit

_NEW_LOCALS = 2  # CO_NEWLOCALS: the code of a function, not of a class
_FUTURE = 0  # the flags of all `from __future__ import`
for _name in futures.all_feature_names:
    _FUTURE |= getattr(futures, _name).compiler_flag


class NotWarm(Exception):
    """The mutant changes what happens at import."""


class Outermost(NamedTuple):
    """An outermost function or method: its lines, and the headers of the classes around it."""

    first: int
    last: int
    headers: list[str]


def lines_of(data: bytes, encoding: str = "utf-8") -> list[str]:
    """The lines of a file with their ends, as diffs and Python count them."""
    *lines, last = data.decode(encoding, "surrogateescape").split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The file after edits, which are in order."""
    lines = _spliced(lines_of(data), 1, edits, _ending(data))
    return "".join(lines).encode("utf-8", "surrogateescape")


def _ending(data: bytes) -> str:
    return "\r\n" if b"\r\n" in data else "\n"


def _spliced(lines: list[str], first: int, edits: Sequence[Edit], ending: str) -> list[str]:
    """Lines after edits; `first` is the number of the first of these lines."""
    result = list(lines)
    for start, end, new in reversed(edits):
        result[start - first : end - first + 1] = [line + ending for line in new]
    return result


class SourceFunctions:
    """The outermost functions of a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        data = Path(path).read_bytes()
        self._ending = _ending(data)
        self._lines = lines_of(data, tokenize.detect_encoding(io.BytesIO(data).readline)[0])
        tree = ast.parse(data, path)
        self._functions = list(_outermost(tree.body, []))
        self._flags = compile(tree, path, "exec", dont_inherit=True).co_flags & _FUTURE
        self._codes: dict[int, CodeType] = {}

    def change(self, edits: Sequence[Edit]) -> tuple[CodeType, CodeType]:
        """The code of the one function that holds all edits, before and after. Raises NotWarm."""
        function = self._around(edits)
        lines = self._lines[function.first - 1 : function.last]
        if function.first not in self._codes:
            self._codes[function.first] = self._compile(function, lines)
        after = _spliced(lines, function.first, edits, self._ending)
        try:
            return the_function(self._codes[function.first], self._compile(function, after))
        except SyntaxError as error:
            raise NotWarm from error

    def _around(self, edits: Sequence[Edit]) -> Outermost:
        first = min(edit[0] for edit in edits)
        last = max(max(edit[0], edit[1]) for edit in edits)
        for function in self._functions:
            if function.first <= first and last <= function.last:
                return function
        raise NotWarm

    def _compile(self, function: Outermost, lines: list[str]) -> CodeType:
        """Compile a function within the classes around it, its lines numbered as in the file."""
        headers = function.headers
        before = "\n" * (function.first - 1 - len(headers))
        text = before + "".join(f"{line}\n" for line in headers) + "".join(lines)
        code: CodeType = compile(text, self._path, "exec", self._flags, dont_inherit=True)
        return code


def _outermost(body: Sequence[ast.stmt], headers: list[str]) -> Iterator[Outermost]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
            yield Outermost(first, node.end_lineno or first, headers)
        elif isinstance(node, ast.ClassDef):
            header = f"{' ' * node.col_offset}class {node.name}:"
            yield from _outermost(node.body, [*headers, header])


def the_function(old: CodeType, new: CodeType) -> tuple[CodeType, CodeType]:
    """The one function in both codes, whose surroundings must be the same. Raises NotWarm."""
    while True:
        ours, theirs = _codes_in(old), _codes_in(new)
        if len(ours) != 1 or len(theirs) != 1 or _without_code(old) != _without_code(new):
            raise NotWarm
        old, new = ours[0], theirs[0]
        if old.co_flags & _NEW_LOCALS:
            if old.co_name != new.co_name or len(old.co_freevars) != len(new.co_freevars):
                raise NotWarm
            return old, new


def _codes_in(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _without_code(code: CodeType) -> Any:
    constants = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_code, code.co_names, [repr(constant) for constant in constants]


def identity(code: CodeType) -> tuple[str, str, int]:
    """What two codes of the same function have in common."""
    return code.co_filename, code.co_name, code.co_firstlineno
