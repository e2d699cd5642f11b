"""Calls: of what only a forger calls, with modules of others, and on files."""

from __future__ import annotations

import ast
from typing import Any

from . import probes, rules
from .control_flow import listed
from .ingredients import ingredients
from .known_paths import IMPORTERS
from .scopes import Scope
from .search import Search
from .stores import set_by_call, store_by_namespace, store_item
from .texts import secret
from .uses import documented, import_by_call, note_import, shown, unknown, use
from .values import Constant, Own, Sequence, Thing

_ENVIRONMENT = frozenset(["=env", "=printenv", "=/usr/bin/env"])  # commands that print it
_LISTING = frozenset(
    f"builtins.{name}"
    for name in [
        "list",
        "tuple",
        "set",
        "sorted",
        "dict",
        "iter",
        "map",
        "filter",
        "enumerate",
        "any",
        "all",
        "frozenset",
    ]
)


def call(search: Search, node: Any, scope: Scope) -> None:
    """All that a call does."""
    search.called.add(id(node.func))
    functions = search.evaluator.values(node.func, scope)
    paths = {value.path for value in functions if isinstance(value, Thing)}
    secret(search, node, scope)
    if any(keyword.arg and keyword.arg.startswith("co_") for keyword in node.keywords):
        search.find("changes code objects: replace", node)
    if any(keyword.arg == "stack_info" for keyword in node.keywords):
        search.find("reads stack frames: stack_info", node)
    for path in search.evaluator.paths(node, scope):
        use(search, path)
        if path.endswith(".?"):
            name = node.args[1] if len(node.args) > 1 else node
            unknown(search, path[:-2], name, scope, node)
    for value in functions:
        _by_partial(search, value)
        if isinstance(value, Own):
            _passes_module(search, value, node, scope)
    for path in paths:
        _called(search, path, node, scope)
    _touch(search, paths, node, scope)
    _sets_later(search, node, scope)
    search.find_all(probes.of_call(node, scope, search.evaluator), node)
    if (node.args and paths & rules.DOCSTRINGS) or (
        "builtins.getattr" in paths and "__doc__" in _named(search, node, 1, scope)
    ):
        documented(search, node.args[0], scope, node)


def _named(search: Search, call: Any, place: int, scope: Scope) -> list[str]:
    """The texts that an argument can stand for."""
    if len(call.args) <= place:
        return []
    return search.evaluator.texts(call.args[place], scope)


def _by_partial(search: Search, value: Any) -> None:
    """What a partial call imports."""
    function = getattr(value, "function", None)
    if isinstance(function, Thing) and function.path in IMPORTERS:
        for argument in value.arguments[0] if value.arguments else ():
            if isinstance(argument, Constant) and isinstance(argument.value, str):
                note_import(search, argument.value)


def _passes_module(search: Search, function: Own, node: Any, scope: Scope) -> None:
    """A module that goes to a function whose starred parameters get attributes set."""
    given = getattr(function.node, "args", None)
    if given is None or not (given.vararg or given.kwarg):
        return
    calls = (part.func for part in ast.walk(function.node) if isinstance(part, ast.Call))
    names = {getattr(called, "id", getattr(called, "attr", "")) for called in calls}
    if names & {"setattr", "delattr", "__setattr__"} and _has_module(search, node, scope):
        search.find("passes a module to a function that sets attributes", node)


def _has_module(search: Search, call: Any, scope: Scope) -> bool:
    """Whether an argument of a call is a module or class of others, or holds one."""
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    waiting = [value for part in parts for value in search.evaluator.values(part, scope)]
    for value in waiting:
        path = value.path if isinstance(value, Thing) else "builtins."
        if not path.startswith("builtins.") and search.is_foreign(path):
            return True
        if isinstance(value, Sequence) and len(waiting) < 200:
            waiting += [inner for item in value.items for inner in item]
    return False


def _sets_later(search: Search, node: Any, scope: Scope) -> None:
    """A call that gets `setattr` itself and a module."""
    for part in node.args:
        sets = {"builtins.setattr", "builtins.delattr"} & set(search.evaluator.paths(part, scope))
        if sets and _has_module(search, node, scope):
            search.find("passes setattr and a module", node)


def _called(search: Search, path: str, node: Any, scope: Scope) -> None:
    if path in rules.CALLS:
        search.find(f"{rules.CALLS[path]}: {path}", node)
    elif path in IMPORTERS:
        import_by_call(search, node, scope)
    elif path in ("builtins.setattr", "builtins.delattr") or path.endswith(
        ("__setattr__", "__delattr__")
    ):
        set_by_call(search, path, node, scope)
    elif path in ("pickle.loads", "dill.loads", "cloudpickle.loads"):
        if node.args and search.evaluator.texts(node.args[0], scope):
            search.find("unpickles a constant", node)
    elif path == "inspect.getmembers" and node.args:
        found = set(search.evaluator.paths(node.args[0], scope)) & rules.DANGEROUS
        for owner in found:
            search.find(f"searches the members of {shown(owner)}", node)
    elif path.startswith("sys.modules."):
        _modules_used(search, path, node, scope)
    elif path.endswith(
        (".__dict__.update", ".__dict__.setdefault", ".__dict__.pop", ".__dict__.__setitem__")
    ):
        names = [keyword.arg for keyword in node.keywords if keyword.arg]
        store_by_namespace(search, path.rpartition(".__dict__.")[0], names, node)
    elif path in ("builtins.update", "builtins.__dict__.update"):
        search.find("replaces builtins", node)
    elif path in ("ctypes.CDLL", "ctypes.cdll.LoadLibrary") and node.args:
        if Constant(None) in search.evaluator.values(node.args[0], scope):
            search.find("reaches into the interpreter's memory: ctypes.CDLL(None)", node)
    elif path in ("os.kill", "os.killpg") and _kills_itself(search, node, scope):
        search.find("sends a signal to itself (kill)", node)
    elif path in ("operator.setitem", "operator.delitem") and len(node.args) > 1:
        item = ast.Subscript(value=node.args[0], slice=node.args[1], ctx=ast.Store())
        store_item(search, ast.copy_location(item, node), scope)
    elif path in ("os.environ.get", "os.getenv", "os.environ.pop"):
        search.asked.update(_named(search, node, 0, scope))
    elif path in ("os.environ.setdefault", "os.putenv", "os.environ.__setitem__"):
        search.marked.update(dict.fromkeys(_named(search, node, 0, scope), node))
    elif path in _LISTING and node.args:
        listed(search, node.args[-1 if path == "builtins.map" else 0], scope)
    if path in ("builtins.exec", "builtins.eval"):
        _executed_in(search, node, scope)
    if path in rules.AT_IMPORT and search.importing.runs(scope):
        search.find(rules.AT_IMPORT[path], node)


def _executed_in(search: Search, node: Any, scope: Scope) -> None:
    """A text that is executed in the namespace of a module of others."""
    for place in node.args[1:2]:
        for path in search.evaluator.paths(place, scope):
            owner = path[: -len(".__dict__")]
            helper = search.is_elsewhere(owner) and rules.helps_tests(owner)
            if path.endswith(".__dict__") and (helper or search.is_foreign(owner)):
                search.find(f"executes (exec) a text in the namespace of {owner}", node)


def _modules_used(search: Search, path: str, node: ast.AST, scope: Scope) -> None:
    name = path.rpartition(".")[2]
    if name in ("items", "values", "keys", "copy", "__iter__"):
        search.find("searches sys.modules", node)
    elif name in ("update", "setdefault", "clear", "popitem", "__setitem__", "__delitem__"):
        search.find("replaces modules in sys.modules", node)
    elif name == "pop":
        arguments = getattr(node, "args", [])
        names = search.evaluator.texts(arguments[0], scope) if arguments else []
        if not names or not all(search.owns(name.partition(".")[0]) for name in names):
            search.find("removes modules from sys.modules", node)


def _kills_itself(search: Search, node: Any, scope: Scope) -> bool:
    parts = ingredients(node, scope, search.evaluator)
    return bool(parts & {"os.getpid", "os.getppid", "posix.getpid"})


def _touch(search: Search, paths: set[str], node: Any, scope: Scope) -> None:
    """Files that a call reads, writes or removes."""
    method = getattr(node.func, "attr", "")
    opens = bool(paths & {"builtins.open", "io.open", "os.open", "codecs.open"})
    writes = bool(paths & rules.WRITING) or method in rules.WRITING_METHODS
    if opens or method == "open":
        writes = writes or _opens_to_write(search, node, scope, opens)
    commands = bool(paths & rules.COMMANDS)
    looks = opens or bool(paths & rules.LOOKING) or method in rules.LOOKING_METHODS
    if not (writes or commands or looks):
        return
    parts = ingredients(node, scope, search.evaluator)
    tests = sorted(part for part in parts if part.startswith("=") and _names_test(search, part[1:]))
    if tests:
        what = "writes to" if writes else "runs a command on" if commands else "reads"
        search.find(f"{what} files of tests: {tests[0][1:][:60]}", node)
    elif commands and parts & _ENVIRONMENT and len(node.args) == 1:
        search.find("runs a command that prints the environment: env", node)
    elif commands and (used := sorted(parts & rules.SEARCHING)):
        search.find(f"searches files by a command: {used[0][1:]}", node)
    elif method in ("rglob", "glob") and "__file__" in parts and _goes_down(parts, method):
        search.find("searches the project for Python files", node)
    elif writes and search.importing.runs(scope) and (opens or method or paths & rules.WRITING):
        search.find("writes files at import", node)


def _goes_down(parts: set[str], method: str) -> bool:
    """Whether a pattern names Python files in all folders below."""
    patterns = [part for part in parts if part.startswith("=") and part.endswith(".py")]
    return any(method == "rglob" or "**" in pattern for pattern in patterns)


def _names_test(search: Search, path: str) -> bool:
    """Whether a path leads to tests, or to what they compare with."""
    return path.rpartition("/")[2] in search.test_names or rules.names_test(path)


def _opens_to_write(search: Search, node: Any, scope: Scope, opens: bool) -> bool:
    place = 1 if opens else 0
    modes = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    modes += node.args[place : place + 1]
    for mode in modes:
        texts = search.evaluator.texts(mode, scope)
        if any(len(text) < 5 and set(text) & set("wax+") for text in texts):
            return True
    return False
