"""Bugs that a model writes: builds the question and turns the answer into a candidate.

The candidate keeps the function's head and docstring and takes only the body from the answer.
"""

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forager.mutation.candidates import Candidate, bytecode
from forager.mutation.files import parse, unified_diff
from forager.mutation.reach import edits_of

REWRITE, MODIFY = "rewrite", "modify"
WRITTEN = (REWRITE, MODIFY)
"""The families whose bugs a model writes."""

_SHORTEST, _LONGEST = 2, 120  # lines of a body
_AROUND = 120  # lines of the file's imports and definitions in the question
_OPENING = re.compile(r"^```[ \t]*(?:(?:python|py)[ \t]*)?\n", re.MULTILINE)
_CLOSING = re.compile(r"^```[ \t]*$", re.MULTILINE)
_Definition = ast.FunctionDef | ast.AsyncFunctionDef

_REWRITE = """\
The body of a Python function was lost. Write it again, as its signature and its docstring have it.

The file `{path}` imports and defines:
```
{around}
```
The function{owner}:
```
{head}    ...
```
"""
_MODIFY = """\
Put one realistic bug into a Python function, such as a developer makes by mistake: a case that is
forgotten, a wrong condition, an off-by-one, a value that is not updated, a misread interface. It
must change what the function does on ordinary input, must not be obvious, and must not stop the
module from being imported. Do not mark it by a comment or a name.

The file `{path}` imports and defines:
```
{around}
```
The function{owner}:
```
{code}```
"""
_ANSWER = """
Answer with the whole function in one fenced code block (```python), and no other block. Keep the
name and the signature as they are."""


class UnusableAnswer(Exception):
    """The model's answer does not become a bug; the message says why."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a file that a model can rewrite; line numbers start at 1."""

    path: str
    name: str
    node: _Definition
    first: int
    body: int  # first line of the body after the docstring
    last: int

    def placeholder(self, family: str) -> Candidate:
        """A candidate without a diff, which takes its turn before the model is asked."""
        return Candidate(
            family=family,
            operator=family,
            file=self.path,
            function=self.name,
            line=self.body,
            diff="",
        )


def functions(path: str, text: str) -> Iterator[Function]:
    """The functions and methods with a body of 2 to 120 lines, without nested functions."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for name, node in _definitions(tree.body, ""):
        statements = node.body[1:] if ast.get_docstring(node) is not None else node.body
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if not statements:
            continue
        body, last = _first_line(statements[0]), node.end_lineno or 0
        before = node.body[0].end_lineno or 0 if statements is not node.body else node.lineno
        long_enough = _SHORTEST <= last - body + 1 <= _LONGEST
        if long_enough and body > before and not _same_line(node):
            yield Function(path, name, node, first, body, last)


def question(family: str, function: Function, text: str) -> str:
    """The prompt for a bug of this family in this function."""
    lines = list(io.StringIO(text))
    owner = function.name.rpartition(".")[0]
    fields = {
        "path": function.path,
        "owner": f" of the class `{owner}`" if owner else "",
        "around": "\n".join(_around(text, function)[:_AROUND]),
        "head": textwrap.dedent("".join(lines[function.first - 1 : function.body - 1])),
        "code": textwrap.dedent("".join(lines[function.first - 1 : function.last])),
    }
    return (_REWRITE if family == REWRITE else _MODIFY).format(**fields) + _ANSWER


def answered(family: str, function: Function, text: str, answer: str) -> Candidate:
    """Turn an answer into a candidate. Raises UnusableAnswer."""
    lines = list(io.StringIO(text))
    ending = "\r\n" if "\r\n" in text else "\n"
    at = lines[function.body - 1]
    body = _body(function, lines, answer, at[: len(at) - len(at.lstrip())])
    new = [f"{line}{ending}" if line.strip() else ending for line in body]
    if not lines[function.last - 1].endswith("\n"):
        new[-1] = new[-1].removesuffix(ending)
    before = "".join(lines[function.first - 1 : function.last])
    after = "".join([*lines[function.first - 1 : function.body - 1], *new])
    compiled = bytecode(after)
    if compiled is None:
        raise UnusableAnswer("does not compile")
    if compiled == bytecode(before):
        raise UnusableAnswer("does the same")
    wanted = _dump(_wanted(answer).body)
    if _dump(_placed(after).body)[-len(wanted) :] != wanted:
        raise UnusableAnswer("a text of several lines would move")
    changed = "".join(lines[: function.first - 1]) + after + "".join(lines[function.last :])
    diff = unified_diff(function.path, text, changed)
    line = min(edit[0] for edit in edits_of(diff)[function.path])
    return function.placeholder(family).model_copy(update={"diff": diff, "line": line})


def _body(function: Function, lines: list[str], answer: str, indent: str) -> list[str]:
    """The lines of the answer's body with this indentation and without new comments."""
    code = textwrap.dedent(_block(answer))
    node = _wanted(answer)
    if node.name != function.node.name or type(node) is not type(function.node):
        raise UnusableAnswer("another function")
    if _signature(node) != _signature(function.node):
        raise UnusableAnswer("another signature")
    own = "".join(lines[function.first - 1 : function.last])
    kept = _without_comments(code, known=_comments(textwrap.dedent(own)))
    start = _first_line(node.body[0])
    if start == node.lineno or _same_line(node):
        raise UnusableAnswer("a body on the line of its head")
    body = [line.rstrip("\n") for line in kept[start - 1 : node.end_lineno] if line]
    theirs = body[0][: len(body[0]) - len(body[0].lstrip())]
    return body if theirs == indent else [indent + line.removeprefix(theirs) for line in body]


def _wanted(answer: str) -> _Definition:
    """The answer's only function, without its docstring."""
    node = _only(_block(answer))
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
    if not node.body:
        raise UnusableAnswer("no body")
    return node


def _block(answer: str) -> str:
    blocks = list(_blocks(answer.replace("\r\n", "\n")))
    if len(blocks) != 1:
        raise UnusableAnswer(f"{len(blocks)} code blocks instead of one")
    return blocks[0]


def _blocks(answer: str) -> Iterator[str]:
    """Yield the text of each block between fences."""
    start = 0
    while opening := _OPENING.search(answer, start):
        closing = _CLOSING.search(answer, opening.end())
        if closing is None:
            return
        yield answer[opening.end() : closing.start()]
        start = closing.end()


def _only(code: str) -> _Definition:
    try:
        tree = ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError):
        raise UnusableAnswer("does not compile") from None
    node = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(node, _Definition):
        raise UnusableAnswer("not one function alone")
    return node


def _placed(code: str) -> _Definition:
    """Parse a function at its place in the file, so that multi-line strings keep their indent."""
    tree = ast.parse(f"if True:\n{code}" if code[:1].isspace() else code)
    body = tree.body[0].body if isinstance(tree.body[0], ast.If) else tree.body
    assert isinstance(body[0], _Definition)
    return body[0]


def _comments(code: str) -> set[str]:
    return {token.string for token in _tokens(code) if token.type == tokenize.COMMENT}


def _without_comments(code: str, known: set[str]) -> list[str]:
    """Remove comments that the original lacks, because models like to point at their bug."""
    lines = list(io.StringIO(code))
    for token in _tokens(code):
        if token.type == tokenize.COMMENT and token.string not in known:
            row, column = token.start
            rest = lines[row - 1][:column].rstrip()
            lines[row - 1] = f"{rest}\n" if rest else ""
    return lines


def _tokens(code: str) -> Iterable[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):
        raise UnusableAnswer("does not compile") from None


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, _Definition]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, _Definition):
            yield f"{prefix}{node.name}", node


def _around(text: str, function: Function) -> list[str]:
    """The imports of a file and the heads of its other definitions."""
    found = []
    for node in parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.ClassDef):
            found.append(f"class {node.name}: ...")
            if function.name.startswith(f"{node.name}."):
                found += [
                    f"    {_head(member)}"
                    for member in node.body
                    if isinstance(member, _Definition)
                ]
        elif isinstance(node, _Definition):
            found.append(_head(node))
    return found


def _head(node: _Definition) -> str:
    return f"def {node.name}({ast.unparse(node.args)}): ..."


def _signature(node: _Definition) -> str:
    return ast.dump(node.args) + (ast.dump(node.returns) if node.returns else "")


def _dump(body: list[ast.stmt]) -> list[str]:
    return [ast.dump(statement) for statement in body]


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    lines: list[int] = [node.lineno, *(decorator.lineno for decorator in decorators)]
    return min(lines)


def _same_line(node: _Definition) -> bool:
    """Whether the body is on the last line of the head: `def f(): return 1`."""
    parts: list[ast.AST] = [node.args, *([node.returns] if node.returns else [])]
    ends = (
        getattr(node_within, "end_lineno", 0) for part in parts for node_within in ast.walk(part)
    )
    return node.body[0].lineno <= max([node.lineno, *ends])
