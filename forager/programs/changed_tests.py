"""Writes tests with changed expected values: on right code, every changed test must fail.

A patch that makes everything equal, empties tests or replaces comparators passes them too, however
it works. The change is one of text, at places that the syntax tree gives: `== 3` becomes `== 4`,
`in` becomes `not in`, `raises(KeyError)` waits for an exception that nobody raises. Changed values
keep their type. A test without an assertion gets one at its end that fails.

A changed test looks like any test, so that code that reads it cannot tell: values change inside
their literals, and what has to be added is named with the file's own words. Without a literal, a
helper at the file's end changes the value.

Standard input is one JSON object: `tests` by their ids; `lines`, where a test fails on the wrong
code, from the test inwards; and `end`, the ids that get a failing end in addition. If an assertion
is at such a line, only the innermost is changed: code that swallows its failure could otherwise
hide behind another. Descriptor 3 takes a line for each file, of the request's nonce and a JSON
object: its `path`, the `diff` of its change, `ended`, the ids with a failing end, and `unchanged`,
each such test's id with the reason. The files are read, never run.
"""

from __future__ import annotations

import ast
import codecs
import difflib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

_LIMIT = 2 << 20  # bytes of a test file
_DEPTH = 3  # of helper functions that a test calls
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]

_SWAPPED = {
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.IsNot: "is",
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
}
_OPPOSITE = {
    "assertTrue": "assertFalse",
    "assertIn": "assertNotIn",
    "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone",
    "assertIsInstance": "assertNotIsInstance",
    "assertRegex": "assertNotRegex",
    "assertGreater": "assertLessEqual",
    "assertLess": "assertGreaterEqual",
    "assertNotEqual": "assertEqual",
    "assertNotAlmostEqual": "assertAlmostEqual",
}
_OPPOSITE.update({there: here for here, there in _OPPOSITE.items() if "qual" not in there})
_OPPOSITE.update({"assertLessEqual": "assertGreater", "assertGreaterEqual": "assertLess"})
_RAISING = (
    "raises",
    "assertRaises",
    "assertRaisesRegex",
    "warns",
    "assertWarns",
    "assertWarnsRegex",
)
_CLOSE = ("isclose", "allclose", "array_equal", "array_equiv", "equals", "is_equal", "equal")
_NONE: dict[str, Any] = {"diff": "", "ended": []}
_HELPER = """

def {changed}(value):
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        first = next(iter(value), 0)
        return {{**value, first: {changed}(value.get(first))}}
    if isinstance(value, (list, tuple)) and value:
        rest = list(value)[1:]
        return type(value)([{changed}(value[0]), *rest]) if type(value) in (list, tuple) else rest
    if isinstance(value, (set, frozenset)):
        return value ^ {{next(iter(value), 0)}}
    for more in (1, "{letters}", b"{letters}", [0], (0,)):
        try:
            return value + more
        except Exception:
            continue
    return object()
"""
_RAISED = ("BufferError", "ChildProcessError", "StopAsyncIteration", "TabError")  # rarely
_WARNED = ("BytesWarning", "ImportWarning", "UnicodeWarning")
_RARE = "jkqvxz"  # letters with which hardly any text goes on: changed, `"l" in "hello"` must fail


class File:
    """One test file: its syntax tree, and the edits that change its tests."""

    def __init__(self, path: str) -> None:
        self.path = path
        with Path(path).open("rb") as file:
            self.source = file.read(_LIMIT + 1)
        if len(self.source) > _LIMIT:
            raise ValueError("the file is too large")
        self.tree = ast.parse(self.source)
        self._starts = [0]
        for line in self.source.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        if self.source.startswith(codecs.BOM_UTF8):
            self._starts[0] = len(codecs.BOM_UTF8)
        self.mark = sum(self.source) % 9973
        self.changed_name = self._unused_name()
        self.letters = _RARE[self.mark % 5] + _RARE[self.mark % 6]
        self.edits: dict[tuple[int, int], str] = {}
        self.ended: list[str] = []
        self.helped = False

    def _unused_name(self) -> str:
        """A name for the helper, of two words of the file."""
        names = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        words = sorted({word for name in names for word in name.lower().split("_") if word})
        words = words or ["made"]
        name = f"_{words[self.mark % len(words)]}_{words[-1 - self.mark % len(words)]}"
        while name.encode() in self.source:
            name += "_of"
        return name

    def unraised(self, kind: str) -> str:
        """The name of an exception, or for `warns` of a warning, that the text does not name."""
        names = _WARNED if "arn" in kind else _RAISED
        left = [name for name in names if name.encode() not in self.source] or [*names]
        return left[self.mark % len(left)]

    def span(self, node: Any) -> tuple[int, int]:
        """The offsets of a node's text."""
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text(self, node: Any) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def replace(self, node: Any, text: str) -> None:
        """Replace a node's text."""
        self.edits[self.span(node)] = text

    def helper(self) -> str:
        """The name of the helper, which comes at the file's end."""
        self.helped = True
        return self.changed_name

    def result(self) -> str:
        """The text with all edits; the outermost of two that overlap counts."""
        done, position = b"", 0
        for (start, end), text in sorted(
            self.edits.items(), key=lambda edit: (edit[0][0], -edit[0][1])
        ):
            if start >= position:
                done += self.source[position:start] + text.encode()
                position = end
        done += self.source[position:]
        if self.helped:
            done = done.rstrip(b"\n") + b"\n"
            done += _HELPER.format(changed=self.changed_name, letters=self.letters).encode()
        return done.decode()


class Changer(ast.NodeVisitor):
    """Changes the assertions of a function; `count` says how many."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._edits: list[tuple[Any, tuple[int, int], str]] = []

    def apply(self, lines: list[int]) -> int:
        """Make the edits, only those at the last of the lines that has any; return their number."""
        chosen = self._edits
        for line in lines:
            at = [edit for edit in self._edits if edit[0].lineno <= line <= edit[0].end_lineno]
            chosen = at or chosen
        for _, span, text in chosen:
            self._file.edits[span] = text
        return len(chosen)

    def _replace(self, node: ast.AST, text: str) -> None:
        self._edits.append((node, self._file.span(node), text))

    def visit_Assert(self, node: ast.Assert) -> None:
        """Make a condition false that holds on right code."""
        self._falsify(node.test)

    def visit_Call(self, node: ast.Call) -> None:
        """Change an assertion that is a call."""
        name = _last_name(node.func)
        if name in _RAISING and node.args:
            self._replace(node.args[0], self._file.unraised(name))
        elif name in _OPPOSITE and isinstance(node.func, ast.Attribute):
            end = self._file.span(node.func)[1]
            self._edits.append((node, (end - len(name.encode()), end), _OPPOSITE[name]))
        elif name.startswith("assert_called") or name.startswith("assert_any_call"):
            self.differ(node.args[:1] or [word.value for word in node.keywords[:1]])
        elif name.startswith(("assert", "check", "eq_", "expect", "verify")) and len(node.args) > 1:
            self.differ(node.args[:2])
        self.generic_visit(node)

    def differ(self, sides: list[Any]) -> None:
        """Change the expected one of two values: a literal, or else the second."""
        literal = [node for node in reversed(sides) if _literal(node)]
        chosen = (literal or sides[::-1])[:1]
        for node in chosen:
            self._replace(node, self._other(node))

    def _falsify(self, test: Any) -> None:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            self._compare(test)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self._replace(test, f"({self._file.text(test.operand)})")
        elif isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            self._falsify(test.values[0])
        elif isinstance(test, ast.Call) and _last_name(test.func) in _CLOSE and test.args:
            self.differ(test.args[:2])
        else:
            self._replace(test, f"not ({self._file.text(test)})")

    def _compare(self, test: ast.Compare) -> None:
        operator, left, right = test.ops[0], test.left, test.comparators[0]
        if isinstance(operator, (ast.Eq, ast.Is)) and not _singleton(right):
            self.differ([left, right])
        elif isinstance(operator, ast.In) and _is_text(left):
            self._replace(left, self._other(left))
        else:
            sign = "is not" if isinstance(operator, ast.Is) else "!="
            sign = _SWAPPED.get(type(operator), sign)
            texts = self._file.text(left), self._file.text(right)
            self._replace(test, f"({texts[0]}) {sign} ({texts[1]})")

    def _other(self, node: Any) -> str:
        """The text of another value of the same type."""
        if text := self._literally(node):
            return text
        if argument := _number_of(node):
            (start, end), inner = self._file.span(node), self._file.span(argument)
            before = self._file.source[start : inner[0]].decode()
            after = self._file.source[inner[1] : end].decode()
            return before + self._other(argument) + after
        return f"{self._file.helper()}({self._file.text(node)})"

    def _literally(self, node: Any) -> str:
        """The text of a literal that is changed in one place; empty if it is none."""
        if isinstance(node, ast.Constant):
            return "" if node.value is Ellipsis else self._other_constant(node.value)
        text = self._file.text(node)
        if isinstance(node, ast.JoinedStr):
            return f'({text} "{self._file.letters}")'
        part = _changing_part(node)
        if part is not None and (inner := self._literally(part)):
            (start, end), (begin, over) = self._file.span(node), self._file.span(part)
            source = self._file.source
            return source[start:begin].decode() + inner + source[over:end].decode()
        more = "0: 0" if isinstance(node, ast.Dict) else "0"
        if isinstance(node, (ast.List, ast.Dict)) or (
            isinstance(node, (ast.Tuple, ast.Set)) and text.endswith((")", "}"))
        ):
            items = text[:-1].rstrip().rstrip(",")
            before = "" if len(items) == 1 else ", "
            after = "," if items == "(" else ""
            return f"{items}{before}{more}{after}{text[-1]}" if "#" not in text else ""
        return ""

    def _other_constant(self, value: Any) -> str:
        if isinstance(value, bool):
            return repr(not value)
        if isinstance(value, str):
            return repr(value + self._file.letters)
        if isinstance(value, bytes):
            return repr(value + self._file.letters.encode())
        if isinstance(value, (int, complex)):
            return repr(value + 1)
        if isinstance(value, float):
            return repr(value + 1 if abs(value) < 1e15 else 0.5)
        return "0"


def _last_name(node: Any) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _singleton(node: Any) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis)


def _literal(node: Any) -> bool:
    """Whether a value stands in the text; a call counts by a number among its arguments."""
    if isinstance(node, ast.Call):
        return _number_of(node) is not None
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(map(_literal, node.elts))
    if isinstance(node, ast.Dict):
        return all(map(_literal, node.values))
    if isinstance(node, (ast.UnaryOp, ast.BinOp)):
        return all(map(_literal, [*ast.iter_child_nodes(node)][-1:]))
    return isinstance(node, (ast.Constant, ast.JoinedStr))


def _number_of(node: Any) -> Any:
    """The last argument of a call that is a number, as in `Entry("rent", 70000)`, or None.

    Other text of another type of argument could be refused by what is called.
    """
    if not isinstance(node, ast.Call):
        return None
    if _last_name(node.func) == "approx":
        return node.args[0] if node.args else None
    values = [*node.args, *(word.value for word in node.keywords)]
    numbers = [value for value in values if _is_number(value)]
    return numbers[-1] if numbers and _is_class(node.func) else None


def _changing_part(node: Any) -> Any:
    """The part of a literal of which another value makes another value of the whole, or None."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts[-1] if node.elts else None
    if isinstance(node, ast.Dict):
        return node.values[-1] if node.values else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return node.right
    return None


def _is_number(node: Any) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def _is_class(node: Any) -> bool:
    return _last_name(node)[:1].isupper()


def functions(tree: ast.Module) -> dict[str, _Function]:
    """The functions of a file by `name` and `Class::name`, those of base classes included."""
    found: dict[str, Any] = {}
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    def collect(body: list[Any], prefix: str, seen: tuple[str, ...]) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.setdefault(prefix + node.name, node)
            elif isinstance(node, ast.ClassDef) and node.name not in seen:
                collect(node.body, f"{prefix}{node.name}::", (*seen, node.name))
                inherit(node, f"{prefix}{node.name}::", (*seen, node.name))
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                collect([*ast.iter_child_nodes(node)], prefix, seen)

    def inherit(node: ast.ClassDef, prefix: str, seen: tuple[str, ...]) -> None:
        for base in map(_last_name, node.bases):
            if base in classes and base not in seen and len(seen) < 20:
                collect(classes[base].body, prefix, (*seen, base))
                inherit(classes[base], prefix, (*seen, base))

    collect(tree.body, "", ())
    return found


def _helpers(
    function: Any, owner: str, known: dict[str, _Function], depth: int = _DEPTH
) -> Iterator[_Function]:
    """The file's own functions that a test calls by name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and depth:
            own = isinstance(node.func, ast.Attribute) and _last_name(node.func.value) in (
                "self",
                "cls",
            )
            helper = known.get((owner if own else "") + _last_name(node.func))
            if helper is not None and helper is not function:
                yield helper
                yield from _helpers(helper, owner, known, depth - 1)


def change(file: File, test: str, known: dict[str, _Function], lines: list[int], end: bool) -> str:
    """Change one test of a file; return why that is impossible, or ""."""
    name = test.partition("::")[2].partition("[")[0]
    function = known.get(name) or _maker(name, known, lines)
    if function is None:
        return "the file does not define it"
    owner = name.rpartition("::")[0] + "::" if "::" in name else ""
    changer = Changer(file)
    for node in function.body:
        changer.visit(node)
    for helper in _helpers(function, owner, known):
        for node in helper.body:
            changer.visit(node)
    if not changer.apply(lines) and not _loose(file, function):
        end = True
    if end:
        file.ended.append(test)
        return _fail_at_end(file, function)
    return ""


def _maker(name: str, known: dict[str, _Function], lines: list[int]) -> _Function | None:
    """The function of which a decorator or metaclass made a test of this name.

    It contains a line at which the test fails, or its name is the beginning of the test's.
    """
    for line in lines:
        for function in known.values():
            if function.lineno <= line <= (function.end_lineno or 0):
                return function
    owner, _, own = name.rpartition("::")
    parts = {key.rpartition("::")[2]: key for key in known if key.rpartition("::")[0] == owner}
    found = max((part for part in parts if own.startswith(part)), key=len, default="")
    return known[parts[found]] if found.startswith("test") else None


def _loose(file: File, function: _Function) -> bool:
    """Change the last literal argument of a call that stands alone: it may be an assertion."""
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            literal = [value for value in node.value.args if _literal(value)]
            if len(node.value.args) > 1 and literal:
                changer = Changer(file)
                changer.differ(literal[-1:])
                return bool(changer.apply([]))
    return False


def _fail_at_end(file: File, function: _Function) -> str:
    last = function.body[-1]
    if last.lineno == function.lineno:
        return "it is one line"
    line = getattr(last, "end_lineno", last.lineno)
    rest = file.source.split(b"\n")[line - 1][last.end_col_offset or 0 :].strip()
    if rest and not rest.startswith(b"#"):
        return "something follows its last statement"
    indent = " " * function.body[0].col_offset
    at = file.span(last)[1]
    at = file.source.find(b"\n", at) if file.source.find(b"\n", at) >= 0 else len(file.source)
    file.edits[(at, at)] = f"\n{indent}assert {file.mark % 7 + 2} == {file.mark % 5 + 10}"
    return ""


def changed(
    path: str, tests: list[str], lines: dict[str, list[int]], end: set[str]
) -> dict[str, Any]:
    """The change of one file."""
    try:
        file = File(path)
        known = functions(file.tree)
        unchanged = {}
        for test in tests:
            problem = change(file, test, known, lines.get(test, []), test in end)
            if problem:
                unchanged[test] = problem
        new = file.result()
        ast.parse(new.encode())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        return {**_NONE, "path": path, "unchanged": dict.fromkeys(tests, f"{error}"[:200])}
    diff = _diff(path, file.source.decode(), new)
    return {"path": path, "diff": diff, "ended": file.ended, "unchanged": unchanged}


def _diff(path: str, before: str, after: str) -> str:
    name = f"a/{path}", f"b/{path}"
    lines = difflib.unified_diff(_lines(before), _lines(after), *name, n=1)
    told = [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ]
    return f"diff --git a/{path} b/{path}\n" + "".join(told) if told else ""


def _lines(text: str) -> list[str]:
    """The lines as git has them, with their ends; `splitlines` knows more ends."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return [line for line in lines if line]


def main() -> None:
    """Read the request, report each file."""
    request = json.loads(sys.stdin.readline())
    files: dict[str, list[str]] = {}
    for test in request["tests"]:
        files.setdefault(test.partition("::")[0], []).append(test)
    for path, tests in files.items():
        if path.endswith(".py"):
            report = changed(path, tests, request["lines"], set(request["end"]))
        else:
            report = {**_NONE, "path": path, "unchanged": dict.fromkeys(tests, "not Python")}
        os.write(3, f"{request['nonce']} {json.dumps(report)}\n".encode())


if __name__ == "__main__":
    main()
