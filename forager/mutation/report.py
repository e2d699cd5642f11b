"""A bug report from observed failures: what was run, what was expected, what came.

It is written from the tests' code and pytest's words alone, and names neither functions, classes
nor files of the bug.
"""

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from forager.environments.testing import Failure
from forager.mutation.names import Names

_EXAMPLES = 3
_LINES, _COLUMNS = 14, 400  # bounds of a piece of code, and of a value
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_WORDINGS = (  # the first whose own words are no names of the bug
    ("What I ran", "Expected", "Got", "Wrong result", "Unexpected", "no error", "Also"),
    ("Example", "Should be", "Is", "Not as documented", "Fails with", "nothing raised", "And"),
    ("Input", "Wanted", "Output", "Incorrect", "Breaks:", "success", "Too"),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One failure as a user would see it; the texts are code or values."""

    ran: str
    expected: str  # empty: no error
    got: str
    is_error: bool


def bug_report(failures: Mapping[str, Failure], tests: Mapping[str, str], names: Names) -> str:
    """The report; `tests` are the texts of the test files by path."""
    seen: dict[str, Observation] = {}
    for name in sorted(failures):
        one = observed(failures[name], tests)
        seen.setdefault(f"{one.is_error}{one.got}", one)
    # Where the example does not call what is broken by its name, less has to be left out.
    found = sorted(seen.values(), key=lambda each: (not each.ran, len(names.found_in(each.ran))))
    texts = [_written(found[:_EXAMPLES], names, wording) for wording in _WORDINGS]
    return next((text for text in texts if not names.found_in(text)), texts[0])


def observed(failure: Failure, tests: Mapping[str, str]) -> Observation:
    """What a failing test did up to its failure."""
    error = _ADDRESS.sub("0x…", failure.error.strip())
    code, checked = _reproduction(failure, tests)
    compared = _comparison(error)
    if compared is None:
        ran = "\n".join(part for part in (code, ast.unparse(checked) if checked else "") if part)
        is_assertion = error.startswith(("assert ", "AssertionError"))
        return Observation(ran, "", _short(error.split("\n")[0] or "a failure"), not is_assertion)
    got, expected = compared
    if isinstance(checked, ast.Assert) and _is_equality(checked.test):
        last = ast.unparse(checked.test.left)  # type: ignore[attr-defined]
    else:
        last = ast.unparse(checked) if checked else ""
    return Observation("\n".join(part for part in (code, last) if part), expected, got, False)


def _written(found: Sequence[Observation], names: Names, wording: tuple[str, ...]) -> str:
    ran, expected, got, wrong, unexpected, fine, also = wording
    first = found[0]
    title = f"{unexpected} `{first.got}`" if first.is_error else wrong
    parts = [names.out_of(title) if first.is_error else title]
    for number, one in enumerate(found):
        if number:
            parts.append(f"{also}:")
        if one.ran:
            parts.append(f"{ran}:\n\n```python\n{names.out_of(one.ran)}\n```")
        if one.expected or one.is_error:
            value = f"`{names.out_of(one.expected)}`" if one.expected else fine
            parts.append(f"{expected}: {value}")
        parts.append(f"{got}: `{names.out_of(one.got)}`")
    return "\n\n".join(parts)


def _reproduction(failure: Failure, tests: Mapping[str, str]) -> tuple[str, ast.stmt | None]:
    """What the test did before the statement that failed, its checks left out; and that one."""
    if not failure.frames or failure.frames[0][0] not in tests:
        return "", None
    path, line, _ = failure.frames[0]
    text = tests[path]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return "", None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _holds(node, line)
    ]
    if not around:
        return "", None
    body = max(around, key=lambda node: node.lineno).body
    lines = StringIO(text).readlines()
    before = [each for each in body if (each.end_lineno or 0) < line and not _is_check(each)]
    at = next((each for each in body if _holds(each, line)), None)
    kept: list[str] = []
    for each in reversed(before):  # the nearest matter most
        code = textwrap.dedent("".join(lines[each.lineno - 1 : each.end_lineno])).rstrip()
        if sum(1 + one.count("\n") for one in [*kept, code]) > _LINES:
            break
        kept.insert(0, code)
    return "\n".join(kept), at


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _is_check(node: ast.stmt) -> bool:
    """An assertion, or a text that stands alone."""
    if isinstance(node, ast.Expr):
        call = node.value
        checks = isinstance(call, ast.Call) and ast.unparse(call.func).startswith("self.assert")
        return checks or isinstance(call, ast.Constant)
    return isinstance(node, ast.Assert)


def _is_equality(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)


def _comparison(error: str) -> tuple[str, str] | None:
    """The two sides of `assert LEFT == RIGHT`, where pytest tells them."""
    line = error.removeprefix("AssertionError: ").split("\n")[0]
    if not line.startswith("assert ") or " == " not in line:
        return None
    left, _, right = line.removeprefix("assert ").partition(" == ")
    return (_short(left), _short(right)) if " == " not in right else None


def _short(value: str) -> str:
    value = value.replace("`", "'")
    return value if len(value) <= _COLUMNS else f"{value[:_COLUMNS]} …"
