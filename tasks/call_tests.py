"""Tests of the functions that a reference changes, from calls that the project's own tests make.

The tests that name such a function run on the reference, and the arguments of its calls are noted
where literals say them. Further arguments like these (`case_inputs`) are tried on the reference.
Each call that returns a literal, or an iterator of literals, becomes a program in the form of a
written test (`forager.environments.repository.reproducing`). Methods and nested functions get none.
"""

import json
import shlex
from collections.abc import Sequence

from pydantic import TypeAdapter

from forager.environments.answer.prediction import literal
from forager.environments.repository.programs import within
from forager.environments.repository.reproducing import REPRODUCED, RESOLVED, SECONDS
from forager.environments.repository.task import RepositoryTask
from forager.images.recipe import options
from forager.sandboxes.sandbox import Sandbox
from forager.text import without_middle
from forager.untrusted import Malformed, json_value
from tasks.case_inputs import call_forms, call_text, noted_arguments, varied
from tasks.mutants import ReferenceChange

_FILES = 40  # files of tests that run
_NOTED = 300  # different calls
_MOST = 1 << 12  # characters of the arguments of a call, and of what it returns
_OUTPUT = 1 << 20  # bytes of all that calls return
_DRAWN = 3  # calls that are tried for each test
_TITLE = 200  # characters
_LIST: TypeAdapter[list[str]] = TypeAdapter(list[str])
_NOTES = """\
import ast, json, sys
import pytest
found = {{}}
def note(frame, event, _):
    code, values = frame.f_code, frame.f_locals
    if event != "call" or code.co_name != {function!r} or not code.co_filename.endswith({path!r}):
        return
    if frame.f_lineno != code.co_firstlineno or len(found) >= {most}:  # a generator that goes on
        return
    try:
        names, count = code.co_varnames, code.co_argcount
        place = count + code.co_kwonlyargcount
        arguments = [values[name] for name in names[:count]]
        keywords = {{name: values[name] for name in names[count:place]}}
        if code.co_flags & 4:
            arguments += values[names[place]]
            place += 1
        if code.co_flags & 8:
            keywords.update(values[names[place]])
        text = repr((tuple(arguments), keywords))
        if len(text) < {longest}:
            ast.literal_eval(text)
            found[text] = None
    except Exception:
        pass
sys.setprofile(note)
pytest.main(["-q", "-pno:cacheprovider", *{options!r}, *{files!r}])
sys.setprofile(None)
print()
print(json.dumps(list(found)))
"""
_PLAIN = """\
import importlib, itertools, json
def plain(value):
    return list(itertools.islice(value, 1000)) if hasattr(value, "__next__") else value
"""
_CALLS = """\
function = getattr(importlib.import_module({module!r}), {function!r})
found = []
for call in [{calls}]:
    try:
        found.append(repr(plain(call())))
    except BaseException:
        found.append("")
print()
print(json.dumps(found))
"""
_TEST = """\
# {title}
{plain}
try:
    function = getattr(importlib.import_module({module!r}), {function!r})
    good = plain(function({arguments})) == {returns}
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
                calls = _calls(task, sandbox, path, function, count, seed)
                returns = _returns(task, sandbox, module, function, calls) if calls else []
                pairs = zip(calls, returns, strict=True)
                made = [_test(module, function, *pair) for pair in pairs if _is_literal(pair[1])]
                found += made[:count]
    return found


def title_of(program: str) -> str:
    """What such a program is about, such as `clamp(3, 0, 9) == 3`; empty for other programs."""
    first, _, rest = program.partition("\n")
    return first.removeprefix("# ") if rest.startswith(_PLAIN) else ""


def module_of(path: str) -> str:
    """The name under which tests import a file; empty if it has none."""
    parts = path.removesuffix(".py").removeprefix("src/").split("/")
    names = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(names) if path.endswith(".py") and all(map(str.isidentifier, names)) else ""


def _calls(
    task: RepositoryTask, sandbox: Sandbox, path: str, function: str, count: int, seed: int
) -> list[str]:
    """Arguments like those of the tests' calls, as a call has them between its brackets."""
    listed = sandbox.run(
        f"( cd {shlex.quote(task.setup.workdir)} && "
        f"git grep -z -l -w -F -e {shlex.quote(function)} -- '*test*.py' )",
        output_limit=_OUTPUT,
    )
    files = [file for file in listed.output.split("\0") if file.endswith(".py")][:_FILES]
    program = _NOTES.format(
        function=function,
        path=path,
        most=_NOTED,
        longest=_MOST,
        options=options(task.setup.arguments),
        files=files,
    )
    noted = _printed(task, sandbox, program) if files else []
    rows = [found for text in noted if (found := noted_arguments(text, _MOST))]
    known = {call_text(row) for row in rows}
    seeded = f"{seed} {task.instance_id} {function}"
    return varied(call_forms(rows), known, _DRAWN * count, seeded)


def _returns(
    task: RepositoryTask, sandbox: Sandbox, module: str, function: str, calls: Sequence[str]
) -> list[str]:
    """What each call returns as Python shows it; empty texts where it raises or all break off."""
    lambdas = ", ".join(f"lambda: function({arguments})" for arguments in calls)
    program = _PLAIN + _CALLS.format(module=module, function=function, calls=lambdas)
    found = _printed(task, sandbox, program)
    return found if len(found) == len(calls) else [""] * len(calls)


def _printed(task: RepositoryTask, sandbox: Sandbox, program: str) -> list[str]:
    """The texts that a program prints as its last line; none if it does not."""
    path = "/tmp/forager-calls.py"
    sandbox.write(path, program.encode())
    result = sandbox.run(
        f"{within(task.setup)} {shlex.quote(task.setup.python)} {path} </dev/null 2>/dev/null",
        timeout=SECONDS,
        output_limit=_OUTPUT,
    )
    sandbox.run(f"rm -f {path}")
    try:
        line = result.output.rstrip("\n").rpartition("\n")[2]
        return _LIST.validate_python(json_value(line, _OUTPUT))
    except (Malformed, ValueError):
        return []


def _is_literal(returns: str) -> bool:
    return literal(returns, _MOST) is not None


def _test(module: str, function: str, arguments: str, returns: str) -> str:
    title = json.dumps(f"{function}({arguments}) == {returns}")[1:-1]
    return _TEST.format(
        title=without_middle(title, _TITLE).replace("\n", " "),
        plain=_PLAIN.rstrip("\n"),
        module=module,
        function=function,
        arguments=arguments,
        returns=returns,
        resolved=RESOLVED,
        reproduced=REPRODUCED,
    )
