"""What differs where tests run: code that asks for it can answer tests otherwise than others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Iterator

from .rules import WIDE
from .scopes import FUNCTIONS, Scope
from .values import Constant, Thing

if TYPE_CHECKING:
    from .evaluator import Evaluator

    Found = Iterator[str]

_STREAMS = frozenset(["sys.stdin", "sys.stdout", "sys.stderr"])
_ORIGINAL = frozenset(
    f"{module}.__{name}__"
    for module, name in [
        ("sys", "stdin"),
        ("sys", "stdout"),
        ("sys", "stderr"),
        ("sys", "excepthook"),
        ("sys", "unraisablehook"),
        ("sys", "displayhook"),
        ("sys", "breakpointhook"),
        ("threading", "excepthook"),
    ]
)
_HOOKS = frozenset(
    [
        "sys.excepthook",
        "sys.unraisablehook",
        "sys.displayhook",
        "sys.breakpointhook",
        "threading.excepthook",
        "warnings.showwarning",
        "pdb.set_trace",
    ]
)
"""What pytest replaces while tests run."""
_REPLACED = frozenset(
    ["signal.signal()", "signal.alarm()", "signal.setitimer()", "signal.setitimer()[?]"]
)
"""What was in effect before: the runner's limit of time."""
_EXAMINED = _HOOKS | _REPLACED
_ASKING = frozenset(
    f"builtins.{name}"
    for name in ["type", "isinstance", "callable", "hasattr", "vars", "dir", "repr", "str", "id"]
)
_OF_STREAMS = frozenset(
    ["__class__", "__dict__", "__module__", "mode", "seekable", "tell", "newlines"]
)
_COUNTED = frozenset(["sys.modules", "sys.path"])
_COUNTING = frozenset(
    f"builtins.{name}" for name in ["len", "str", "repr", "list", "tuple", "set", "sorted"]
)
_OF_DESCRIPTORS = frozenset(
    ["os.fstat", "os.lseek", "os.fpathconf", "os.get_blocking", "fcntl.fcntl", "fcntl.ioctl"]
)
_READING = frozenset(["read", "readline", "readlines", "fileno", "__next__", "__iter__"])
_FAILURES = WIDE | {"builtins.OSError", "builtins.IOError", "io.UnsupportedOperation"}
_VARIABLE = "PYTEST_CURRENT_TEST"


def of_attribute(node: ast.Attribute, scope: Scope, evaluator: Evaluator) -> Found:
    """An attribute of a hook, of a stream or of the root of all logs."""
    paths = evaluator.paths(node.value, scope)
    for path in paths:
        asked = node.attr in _OF_STREAMS if path in _STREAMS else node.attr != "__call__"
        if path in _EXAMINED | _STREAMS and asked:
            yield f"asks what runs it: {path}.{node.attr}"
    if node.attr in ("handlers", "hasHandlers") and _is_root_log(node.value, scope, evaluator):
        yield f"asks what runs it: the root log's {node.attr}"


def of_call(node: ast.Call, scope: Scope, evaluator: Evaluator) -> Found:
    """A call that asks for the class of a hook or a stream, or counts modules."""
    if not node.args:
        return
    functions = set(evaluator.paths(node.func, scope))
    given = set(evaluator.paths(node.args[0], scope))
    if functions & _ASKING:
        honest = functions & {"builtins.isinstance", "builtins.hasattr"}  # of outputs
        asked = _EXAMINED | ({"sys.stdin"} if honest else _STREAMS)
        for path in sorted(given & asked):
            yield f"asks what runs it: {path}"
    if "builtins.getattr" in functions:
        for path in sorted(given & _EXAMINED):
            yield f"asks what runs it: {path}"
    if functions & _COUNTING:
        for path in sorted(given & _COUNTED):
            yield f"asks what runs it: {path}"
    if functions & _OF_DESCRIPTORS and _is_descriptor(node.args[0], scope, evaluator):
        yield f"asks what runs it: {min(functions & _OF_DESCRIPTORS)} of a standard stream"


def of_compare(node: ast.Compare, scope: Scope, evaluator: Evaluator) -> Found:
    """A comparison with a hook, or of a stream with the one at the start."""
    sides = [node.left, *node.comparators]
    paths = {path for side in sides for path in evaluator.paths(side, scope)}
    for path in sorted(paths & (_EXAMINED | _ORIGINAL)):
        yield f"asks what runs it: {path}"


def of_condition(node: ast.expr, scope: Scope, evaluator: Evaluator) -> Found:
    """A condition that holds where something was in effect before."""
    for part in [node, getattr(node, "operand", node)]:
        for path in sorted(set(evaluator.paths(part, scope)) & _REPLACED):
            yield f"asks what runs it: {path}"


def of_try(node: Any, scope: Scope, evaluator: Evaluator) -> Found:
    """A failure from which a program learns how deep its stack is, or who reads its input."""
    caught: set[str] = set()
    for handler in node.handlers:
        kinds = getattr(handler.type, "elts", [handler.type])
        caught |= {path for kind in kinds if kind for path in evaluator.paths(kind, scope)}
        caught |= {"builtins.Exception"} if handler.type is None else set()
    function: Any = scope.node
    for part in (part for statement in node.body for part in ast.walk(statement)):
        if not isinstance(part, ast.Call):
            continue
        own = isinstance(function, FUNCTIONS[:2]) and _name(part.func) == function.name
        if own and "builtins.RecursionError" in caught:
            yield f"measures the stack: {function.name}"
        if caught & _FAILURES and _reads_input(part, scope, evaluator):
            yield "asks what runs it: whether sys.stdin can be read"


def of_loop(node: ast.AST, scope: Scope, evaluator: Evaluator) -> Found:
    """A search through the places of modules."""
    if "sys.path" in evaluator.paths(node, scope):
        yield "asks what runs it: searches sys.path"


def is_part_of_variable(text: str) -> bool:
    """Whether a text is the beginning or a long part of the variable that pytest sets."""
    return (len(text) > 2 and _VARIABLE.startswith(text)) or (len(text) > 3 and text in _VARIABLE)


def _reads_input(node: ast.Call, scope: Scope, evaluator: Evaluator) -> bool:
    paths = evaluator.paths(node.func, scope)
    read = {f"sys.stdin.{name}" for name in _READING} | {"builtins.input"}
    return bool(read & set(paths)) or any(path.startswith("sys.stdin.buffer.") for path in paths)


def _is_root_log(node: ast.AST, scope: Scope, evaluator: Evaluator) -> bool:
    """Whether an expression is the log above all others, to which pytest adds its handlers."""
    for path in evaluator.paths(node, scope):
        if path == "logging.root" or (path.endswith((".root", ".parent")) and "logging." in path):
            return True
        if path in ("logging.getLogger()", "logging.Logger.manager.getLogger()"):
            calls = [
                call
                for call, where in evaluator.layout.calls.get("getLogger", ())
                if _names_root(call, where, evaluator)
            ]
            if any(_may_be(node, call, scope) for call in calls):
                return True
    return False


def _names_root(call: ast.Call, scope: Scope, evaluator: Evaluator) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not given:
        return True
    known = {Constant(None), Constant(""), Constant("root")}
    return bool(known & set(evaluator.values(given[0], scope)))


def _may_be(node: ast.AST, call: ast.Call, scope: Scope) -> bool:
    """Whether an expression is a call, or a name that the file binds to it."""
    if node is call:
        return True
    place: Scope | None = scope
    while place is not None and isinstance(node, ast.Name):
        if any(binding.node is call for binding in place.names.get(node.id, ())):
            return True
        place = place.parent
    return not isinstance(node, (ast.Name, ast.Call))


def _is_descriptor(node: ast.AST, scope: Scope, evaluator: Evaluator) -> bool:
    """Whether a number or a call stands for a standard stream."""
    for value in evaluator.values(node, scope):
        if isinstance(value, Constant) and value.value in (0, 1, 2):
            return True
        if isinstance(value, Thing) and value.path.startswith(
            tuple(f"{stream}.fileno" for stream in _STREAMS | _ORIGINAL)
        ):
            return True
    return False


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))
