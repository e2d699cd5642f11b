"""Writes a bug report from observed failures: what ran, the expected and the actual result.

The only sources are the tests' code and pytest's output. The report does not name the functions,
classes or files of the bug.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forager.environments.repository.testing import Failure
from forager.mutation.names import RevealingNames

_EXAMPLES = 3
_LINES, _COLUMNS = 14, 400  # most lines of an example, most characters of a value
_SILENT = re.compile(r"DID NOT RAISE.*?<class '([^']+)'>")
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_WORDINGS = (  # the report uses the first that contains no name of the bug
    ("What I ran", "Expected", "Got", "Wrong result", "Unexpected", "no error", "Also"),
    ("Example", "Should be", "Is", "Not as documented", "Fails with", "nothing raised", "And"),
    ("Input", "Wanted", "Output", "Incorrect", "Breaks:", "success", "Too"),
)


@dataclass(frozen=True, slots=True)
class ObservedFailure:
    """One failure as a user would see it; the texts are code or values."""

    ran: str
    expected: str  # empty: no error
    got: str  # empty: no error
    is_error: bool


def bug_report(
    failures: Mapping[str, Failure], tests: Mapping[str, str], names: RevealingNames
) -> str:
    """Write the report; `tests` maps the paths of test files to their texts."""
    seen: dict[str, ObservedFailure] = {}
    for name in sorted(failures):
        failure = observed(failures[name], tests)
        seen.setdefault(f"{failure.got}\0{failure.expected}", failure)
    # Examples with few names of the bug come first: fewer words have to be removed.
    found = sorted(
        seen.values(), key=lambda failure: (not failure.ran, len(names.found_in(failure.ran)))
    )
    texts = [_written(found[:_EXAMPLES], names, wording) for wording in _WORDINGS]
    return next((text for text in texts if not names.found_in(text)), texts[0])


def observed(failure: Failure, tests: Mapping[str, str]) -> ObservedFailure:
    """Reduce a failing test to the statements up to its failure."""
    error = without_addresses(failure.error.strip())
    before, at = _reproduction(failure, tests)
    line = error.partition("\n")[0] or "a failure"
    if silent := _SILENT.search(line):
        return ObservedFailure(_joined(before, at), silent[1].rpartition(".")[2], "", False)
    compared = _comparison(line)
    if compared is None:
        is_check = line.startswith(("assert ", "AssertionError"))
        got = _short(line.removeprefix("AssertionError: ").removeprefix("assert "))
        return ObservedFailure(_joined(before, at), "", got, not is_check)
    if isinstance(at, ast.Assert) and isinstance(at.test, ast.Compare) and len(at.test.ops) == 1:
        at = ast.Expr(at.test.left)
    return ObservedFailure(_joined(before, at), compared[1], compared[0], False)


def without_addresses(text: str) -> str:
    """The text without memory addresses, which differ from run to run."""
    return _ADDRESS.sub("0x…", text)


def _written(
    found: Sequence[ObservedFailure], names: RevealingNames, wording: tuple[str, ...]
) -> str:
    ran, expected, got, wrong, unexpected, fine, also = wording
    first = found[0]
    title = f"{unexpected} `{first.got}`" if first.is_error else wrong
    parts = [names.out_of(title) if first.is_error else title]
    for number, failure in enumerate(found):
        if number:
            parts.append(f"{also}:")
        if failure.ran:
            parts.append(f"{ran}:\n\n```python\n{names.out_of(failure.ran)}\n```")
        if failure.expected or failure.is_error:
            parts.append(f"{expected}: {_quoted(names.out_of(failure.expected), fine)}")
        parts.append(f"{got}: {_quoted(names.out_of(failure.got), fine)}")
    return "\n\n".join(parts)


def _quoted(value: str, nothing: str) -> str:
    return f"`{value}`" if value else nothing


def _reproduction(
    failure: Failure, tests: Mapping[str, str]
) -> tuple[list[ast.stmt], ast.stmt | None]:
    """The statements that the failed statement of a test needs, without checks; and this one."""
    path, line = failure.frames[0][:2] if failure.frames else ("", 0)
    try:
        tree = ast.parse(tests.get(path, ""))
    except (SyntaxError, ValueError, RecursionError):
        return [], None
    holding = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _holds(node, line)]
    around = [node for node in holding if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not around:
        return [], None
    body = max(around, key=lambda node: node.lineno).body
    at = next((statement for statement in body if _holds(statement, line)), None)
    if at is None:
        return [], None
    if _height(at) > _LINES:  # for example a loop: take the statement in it that failed
        at = max(holding, key=lambda node: (node.lineno, -(node.end_lineno or 0)))
    before = [
        statement for statement in body if statement.lineno < at.lineno and not _is_check(statement)
    ]
    return _needed(before, at), at


def _needed(before: Sequence[ast.stmt], at: ast.stmt) -> list[ast.stmt]:
    """The earlier statements that `at` needs; if they are too many, the nearest ones."""
    wanted, kept, height = _names(at, ast.Load), list[ast.stmt](), _height(at)
    for statement in reversed(before):
        stored = _names(statement, ast.Store)
        if not (stored or _names(statement, ast.Load)) & wanted:
            continue
        height += _height(statement)
        if height > _LINES:
            break
        kept.insert(0, statement)
        if isinstance(statement, ast.Assign):
            wanted = wanted - stored
        wanted = wanted | _names(statement, ast.Load)
    return kept


def _names(node: ast.stmt, context: type[ast.expr_context]) -> set[str]:
    """The names that a statement reads (Load) or binds (Store)."""
    found = {
        child.id
        for child in ast.walk(node)
        if isinstance(child, ast.Name) and isinstance(child.ctx, context)
    }
    if context is ast.Store and isinstance(node, ast.FunctionDef | ast.ClassDef):
        found = {node.name}
    if context is ast.Store and isinstance(node, ast.Import | ast.ImportFrom):
        found = {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def _joined(before: Sequence[ast.stmt], at: ast.stmt | None) -> str:
    return "\n".join(map(ast.unparse, [*before, *([at] if at else [])]))


def _height(node: ast.stmt) -> int:
    return ast.unparse(node).count("\n") + 1


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _is_check(node: ast.stmt) -> bool:
    """Whether a statement is an assertion or a lone constant, such as a docstring."""
    if isinstance(node, ast.Expr):
        call = node.value
        checks = isinstance(call, ast.Call) and ast.unparse(call.func).startswith("self.assert")
        return checks or isinstance(call, ast.Constant)
    return isinstance(node, ast.Assert)


def _comparison(line: str) -> tuple[str, str] | None:
    """The two sides of `assert LEFT == RIGHT` if pytest prints them and they differ."""
    line = line.removeprefix("AssertionError: ")
    sides = line.removeprefix("assert ").split(" == ")
    if not line.startswith("assert ") or len(sides) != 2 or sides[0] == sides[1]:
        return None
    return _short(sides[0]), _short(sides[1])


def _short(value: str) -> str:
    value = value.replace("`", "'")
    return value if len(value) <= _COLUMNS else f"{value[:_COLUMNS]} …"
