"""Finds what forgers hand to tests: values, errors and contexts that say yes to anything."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterator

from .rules import COMPARING, LIES, MANAGERS, PRINTING, STATEFUL, VALUES, WIDE
from .scopes import FUNCTIONS, Scope
from .values import Constant, Method, Own, Sequence, Thing

if TYPE_CHECKING:
    from .evaluator import Evaluator

    Found = Iterator[str]

_CHANGING = frozenset(["pop", "popleft", "append", "add", "remove", "__next__", "setdefault"])
_HARMLESS = frozenset(["bool", "issubclass", "isinstance", "type", "any", "all", "len"])


def of_class(node: ast.ClassDef, scope: Scope, evaluator: Evaluator) -> Found:
    """What a class does that only a forger needs."""
    methods = _methods(node)
    for name in sorted(LIES & set(methods)):
        yield f"says of what class it is: {name}"
    reader = methods.get("__getattribute__")
    if reader is not None and "__class__" in _texts(reader):
        yield "says of what class it is: __class__ by __getattribute__"
    kinds, inherited = _bases(node, scope, evaluator)
    if inherited & (COMPARING | PRINTING) and not any(kind.startswith("enum.") for kind in kinds):
        for kind in sorted(kinds & VALUES):
            name = kind.replace("builtins.", "")
            yield f"compares or prints a new kind of {name} by itself: {node.name}"
    for name in sorted(STATEFUL & set(methods)):
        if _keeps_state(methods[name]):
            yield f"keeps state in {name}: {node.name}"
    leave = methods.get("__exit__") or methods.get("__aexit__")
    for function in _functions(leave, scope, methods):
        if _returns_true(function):
            yield f"swallows failures: {node.name}"


def of_try(node: Any, scope: Scope, evaluator: Evaluator) -> Found:
    """A generator that ends quietly where the block fails for which it yields."""
    if _is_context(scope, evaluator) and any(map(_yields, node.body)):
        ends = any(isinstance(part, (ast.Return, ast.Break)) for part in _inside(node.finalbody))
        quiet = [h for h in node.handlers if not _raises(h)]
        if ends or any(h.type is None or _is_wide(h.type, scope, evaluator) for h in quiet):
            yield f"swallows failures: {getattr(scope.node, 'name', '')}"


def of_with(node: Any, scope: Scope, evaluator: Evaluator) -> Found:
    """A generator that suppresses the failures of the block for which it yields."""
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and "contextlib.suppress" in evaluator.paths(
            call.func, scope
        ):
            wide = any(_is_wide(part, scope, evaluator) for part in call.args)
            if wide and any(map(_yields, node.body)):
                yield f"swallows failures: {getattr(scope.node, 'name', '')}"


def of_assignment(node: Any, scope: Scope, evaluator: Evaluator) -> Found:
    """An error of the project that becomes a name of all errors."""
    named = isinstance(node.value, (ast.Name, ast.Tuple, ast.Attribute))
    if named and not isinstance(scope.node, FUNCTIONS) and _is_wide(node.value, scope, evaluator):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield f"makes an exception stand for all: {target.id}"


@lru_cache(maxsize=None)
def _methods(node: ast.ClassDef) -> dict[str, ast.AST]:
    """What a class body binds, by name."""
    found: dict[str, ast.AST] = {}
    for statement in ast.walk(node):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.setdefault(statement.name, statement)
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                empty = isinstance(statement.value, ast.Constant) and statement.value.value is None
                if isinstance(target, ast.Name) and not empty:
                    found[target.id] = statement.value
    return found


def _bases(node: ast.ClassDef, scope: Scope, evaluator: Evaluator) -> tuple[set[str], set[str]]:
    """The classes of others from which a class inherits, and the methods of its own bases."""
    kinds: set[str] = set()
    methods = set(_methods(node))
    waiting: list[tuple[Any, Scope]] = [(base, scope) for base in node.bases]
    seen: set[int] = {id(node)}
    while waiting:
        base, where = waiting.pop()
        for value in evaluator.values(base, where):
            if isinstance(value, Thing):
                kinds.add(value.path)
            elif isinstance(value, Method) and value.name == "__class__":
                kinds.add(_kind_of(value.of))
            elif isinstance(value, Own) and id(value.node) not in seen:
                seen.add(id(value.node))
                if isinstance(value.node, ast.ClassDef):
                    methods |= set(_methods(value.node))
                    waiting += [(part, value.scope) for part in value.node.bases]
    return kinds, methods


def _kind_of(value: Any) -> str:
    """The class of a constant or a sequence."""
    if isinstance(value, Constant):
        return f"builtins.{type(value.value).__name__}"
    return "builtins.list" if isinstance(value, Sequence) else "builtins.dict"


def _keeps_state(function: ast.AST) -> bool:
    """Whether a method changes something that outlives its call."""
    for part in ast.walk(function):
        if isinstance(part, (ast.Global, ast.Nonlocal)):
            return True
        if isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(part.ctx, ast.Store):
            return True
        if isinstance(part, ast.Call):
            name = getattr(part.func, "id", getattr(part.func, "attr", ""))
            if name == "next" or (name in _CHANGING and isinstance(part.func, ast.Attribute)):
                return True
    return False


def _functions(node: Any, scope: Scope, methods: dict[str, ast.AST]) -> Iterator[Any]:
    """The function behind a method, which may be a name of another one."""
    name = getattr(node, "id", None)
    found = methods.get(name, node) if name else node
    if name and found is node:
        found = next((b.node for b in scope.module.names.get(name, ()) if b.kind == "own"), None)
    if isinstance(found, FUNCTIONS):
        yield found


def _returns_true(function: Any) -> bool:
    """Whether a method returns true, whatever the failure or for those of tests."""
    given = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)} - {"self"}
    if isinstance(function, ast.Lambda):
        return _says_yes(function.body, given)
    waiting: list[tuple[Any, bool]] = [(part, True) for part in function.body]
    while waiting:
        part, always = waiting.pop()
        if isinstance(part, ast.Return) and part.value is not None:
            if always and _says_yes(part.value, given):
                return True
        elif isinstance(part, ast.If):
            for field in ("body", "orelse"):
                inner = always and (field == "orelse" or _asks_nothing(part.test, given))
                waiting += [(statement, inner) for statement in getattr(part, field)]
        elif not isinstance(part, (*FUNCTIONS, ast.ClassDef)):
            for field in ("body", "orelse", "finalbody"):
                waiting += [(statement, always) for statement in getattr(part, field, ())]
    return False


def _says_yes(value: ast.expr, given: set[str]) -> bool:
    if isinstance(value, ast.Constant):
        return bool(value.value)
    if isinstance(value, (ast.UnaryOp, ast.Name)):
        return False  # `not kind` is true where nothing failed
    if isinstance(value, ast.Compare) and isinstance(value.ops[0], (ast.Is, ast.Eq)):
        return False
    return _asks_nothing(value, given)


def _asks_nothing(test: ast.expr, given: set[str]) -> bool:
    """Whether a condition only asks whether something failed, or whether a test did."""
    names = {part.id for part in ast.walk(test) if isinstance(part, ast.Name)}
    wide = {path.partition(".")[2] for path in WIDE}
    asked = any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in ast.walk(test))
    return bool(names & (given | wide)) and names <= given | wide | _HARMLESS and not asked


def _is_context(scope: Scope, evaluator: Evaluator) -> bool:
    """Whether a function is made a context manager."""
    function: Any = scope.node
    if not isinstance(function, FUNCTIONS[:2]):
        return False
    if function.decorator_list:
        return True
    calls = evaluator.layout.calls
    made = [pair for name in MANAGERS for pair in calls.get(name.rpartition(".")[2], ())]
    given = [
        value
        for call, where in made
        for part in call.args
        for value in evaluator.values(part, where)
    ]
    return any(isinstance(value, Own) and value.node is function for value in given)


def _is_wide(node: ast.AST, scope: Scope, evaluator: Evaluator) -> bool:
    """Whether an expression can be a class of errors to which failures of tests belong."""
    waiting = list(evaluator.values(node, scope))
    for value in waiting:
        if isinstance(value, Thing) and value.path in WIDE:
            return True
        if isinstance(value, Sequence) and len(waiting) < 200:
            waiting += [part for parts in value.items for part in parts]
    return False


def _inside(statements: list[Any]) -> Iterator[ast.AST]:
    """The nodes of statements, without those of inner functions."""
    waiting: list[Any] = list(statements)
    while waiting:
        part = waiting.pop()
        yield part
        if not isinstance(part, (*FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(part)


def _yields(statement: ast.AST) -> bool:
    return any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in _inside([statement]))


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(part, ast.Raise) for part in _inside(handler.body))


def _texts(node: ast.AST) -> set[str]:
    values = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {value for value in values if isinstance(value, str)}
