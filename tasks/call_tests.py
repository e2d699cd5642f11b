"""Tests of the functions that a reference changes, from calls in the project's own tests.

Where tests call such a function with literals, further arguments like these (`case_inputs`) are
tried on the reference. Each call that returns a literal becomes a program in the form of a written
test (`forager.environments.repository.reproducing`). Methods and nested functions get none.
"""

import ast
import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter

from forager.environments.answer.prediction import literal
from forager.environments.repository.programs import within
from forager.environments.repository.reproducing import REPRODUCED, RESOLVED, SECONDS
from forager.environments.repository.task import RepositoryTask
from forager.mutation.files import parse, read_source
from forager.sandboxes.sandbox import Sandbox
from forager.text import without_middle
from forager.untrusted import Malformed, json_value
from tasks.case_inputs import call_forms, varied
from tasks.mutants import ReferenceChange

_FILES, _LARGEST = 40, 1 << 18  # files with calls that are read, and characters of one
_MOST = 1 << 14  # characters of what a call returns
_OUTPUT = 1 << 20  # bytes of all that calls return
_DRAWN = 3  # calls that are tried for each test
_TITLE = 200  # characters
_LIST: TypeAdapter[list[str]] = TypeAdapter(list[str])
_CALLS = """\
import ast, importlib, json
function = getattr(importlib.import_module({module!r}), {function!r})
found = []
for arguments in {calls!r}:
    try:
        found.append(repr(function(*ast.literal_eval(arguments))))
    except BaseException:
        found.append("")
print()
print(json.dumps(found))
"""
_TEST = """\
# {title}
import importlib
try:
    function = getattr(importlib.import_module({module!r}), {function!r})
    good = function({arguments}) == {returns}
except BaseException:
    good = False
print("{resolved}" if good else "{reproduced}")
"""


def call_tests(
    task: RepositoryTask, change: ReferenceChange, sandbox: Sandbox, count: int, seed: int
) -> list[str]:
    """At most `count` programs for each changed function; the reference is applied already."""
    found: list[str] = []
    for path in change.fixed:
        module = module_of(path)
        for function in sorted(change.functions(path)) if module else ():
            if "." not in function:
                calls = _calls(task, sandbox, function, count, seed)
                returns = _returns(task, sandbox, module, function, calls) if calls else []
                pairs = zip(calls, returns, strict=True)
                made = [_test(module, function, *pair) for pair in pairs if _is_literal(pair[1])]
                found += made[:count]
    return found


def title_of(program: str) -> str:
    """What such a program is about, such as `clamp(3, 0, 9) == 3`; empty for other programs."""
    first, _, rest = program.partition("\n")
    return first.removeprefix("# ") if rest.startswith("import importlib\n") else ""


def module_of(path: str) -> str:
    """The name under which tests import a file; empty if it has none."""
    parts = path.removesuffix(".py").removeprefix("src/").split("/")
    names = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(names) if path.endswith(".py") and all(map(str.isidentifier, names)) else ""


def calls_in(text: str, function: str) -> Iterator[tuple[Any, ...]]:
    """The arguments of calls of this name whose arguments are literals by position."""
    try:
        nodes = list(ast.walk(parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in nodes:
        if isinstance(node, ast.Call) and _name(node.func) == function and not node.keywords:
            try:
                yield tuple(map(ast.literal_eval, node.args))
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _calls(
    task: RepositoryTask, sandbox: Sandbox, function: str, count: int, seed: int
) -> list[str]:
    """Arguments like those in the project's files, as a call has them between its brackets."""
    listed = sandbox.run(
        f"( cd {shlex.quote(task.setup.workdir)} && "
        f"git grep -z -l -w -F -e {shlex.quote(function)} -- '*.py' )",
        output_limit=_OUTPUT,
    )
    rows: list[tuple[Any, ...]] = []
    for path in listed.output.split("\0")[:_FILES]:
        rows += calls_in(_text(task, sandbox, path), function)
    known = {", ".join(map(repr, row)) for row in rows}
    seeded = f"{seed} {task.instance_id} {function}"
    return varied(call_forms(rows), known, _DRAWN * count, seeded)


def _text(task: RepositoryTask, sandbox: Sandbox, path: str) -> str:
    try:
        text = read_source(sandbox.read(f"{task.setup.workdir}/{path}")) if path else ""
    except OSError:
        return ""
    return text if text and len(text) <= _LARGEST else ""


def _returns(
    task: RepositoryTask, sandbox: Sandbox, module: str, function: str, calls: Sequence[str]
) -> list[str]:
    """What each call returns as Python shows it; empty texts where it raises or all break off."""
    path = "/tmp/forager-calls.py"
    tuples = [f"({arguments},)" for arguments in calls]
    sandbox.write(path, _CALLS.format(module=module, function=function, calls=tuples).encode())
    result = sandbox.run(
        f"{within(task.setup)} {shlex.quote(task.setup.python)} {path} </dev/null 2>/dev/null",
        timeout=SECONDS,
        output_limit=_OUTPUT,
    )
    try:
        line = result.output.rstrip("\n").rpartition("\n")[2]
        found = _LIST.validate_python(json_value(line, _OUTPUT))
    except (Malformed, ValueError):
        found = []
    return found if len(found) == len(calls) else [""] * len(calls)


def _is_literal(returns: str) -> bool:
    return literal(returns, _MOST) is not None


def _test(module: str, function: str, arguments: str, returns: str) -> str:
    title = json.dumps(f"{function}({arguments}) == {returns}")[1:-1]
    return _TEST.format(
        title=without_middle(title, _TITLE).replace("\n", " "),
        module=module,
        function=function,
        arguments=arguments,
        returns=returns,
        resolved=RESOLVED,
        reproduced=REPRODUCED,
    )
