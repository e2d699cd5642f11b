"""Says what a call can return."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable

from .evaluator import DEPTH, Evaluator
from .known_paths import IMPORTERS, PASSING, canonical
from .operations import MOST, items, parts_of, row_of
from .scopes import Scope
from .values import (
    FUNCTIONS,
    NOTHING,
    Constant,
    Getter,
    Method,
    Own,
    Partial,
    Sequence,
    Table,
    Thing,
    folded,
    method,
    only,
    plain,
)

if TYPE_CHECKING:
    from .values import Values

    Special = Callable[[Evaluator, str, list[Values], int], Values]


def result_of(
    evaluator: Evaluator, function: Any, arguments: list[Values], depth: int = 0
) -> Values:
    """What a call of a value returns."""
    if depth > DEPTH:
        return NOTHING
    if isinstance(function, Partial):
        return result_of(evaluator, function.function, [*function.arguments, *arguments], depth + 1)
    if isinstance(function, Own):
        return _returned(evaluator, function, depth)
    if isinstance(function, Getter):
        return _got(evaluator, function, arguments, depth)
    if isinstance(function, Method):
        return _method(evaluator, function, arguments)
    if isinstance(function, Thing):
        return _function(evaluator, function.path, arguments, depth)
    return NOTHING


def _returned(evaluator: Evaluator, function: Own, depth: int) -> Values:
    node = function.node
    if isinstance(node, ast.Lambda):
        inner = evaluator.layout.inner.get(id(node)) or Scope(node, function.scope)
        return evaluator.values(node.body, inner, None, depth + 1)
    found: set[Any] = set()
    for value, scope in evaluator.layout.returns.get(id(node), ())[:MOST]:
        found |= evaluator.values(value, scope, None, depth + 1)
    yielded = evaluator.layout.yields.get(id(node), ())[:MOST]
    if yielded:
        parts = [evaluator.values(value, scope, None, depth + 1) for value, scope in yielded]
        found.add(Sequence(tuple(parts)))
    return frozenset(found)


def _got(evaluator: Evaluator, getter: Getter, arguments: list[Values], depth: int) -> Values:
    if not arguments:
        return NOTHING
    if getter.kind == "operator.itemgetter":
        return evaluator.entry(arguments[0], getter.argument, depth)
    found: set[Any] = set()
    for name in getter.argument:
        if isinstance(name, Constant) and isinstance(name.value, str):
            owners = arguments[0]
            for part in name.value.split("."):
                owners = evaluator.attribute(owners, part, depth)
            if getter.kind == "operator.methodcaller":
                for function in owners:
                    found |= result_of(evaluator, function, [], depth + 1)
            else:
                found |= owners
    return frozenset(found)


def _method(evaluator: Evaluator, function: Method, arguments: list[Values]) -> Values:
    of, name = function
    if isinstance(of, Table):
        if name in ("get", "__getitem__") and arguments:
            return evaluator.entry(frozenset([of]), arguments[0])
        if name in ("values", "items", "keys", "copy"):
            rows = [row_of(name, key, values) for key, values in of.items]
            return frozenset([of if name == "copy" else Sequence(tuple(rows))])
        return NOTHING
    if isinstance(of, Sequence) and name in ("copy", "__iter__"):
        return frozenset([of])
    if isinstance(of, Sequence) and name in ("pop", "__getitem__", "__next__"):
        return items(frozenset([of]))
    try:
        return method(plain(of), name, [plain(only(argument)) for argument in arguments])
    except ValueError:
        return NOTHING


def _function(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    special = _SPECIAL.get(path)
    if special is not None:
        return special(evaluator, path, arguments, depth)
    if path in IMPORTERS:
        return _imported(path, arguments)
    if path in FUNCTIONS:
        try:
            result = folded(path, [plain(only(argument)) for argument in arguments])
        except ValueError:
            result = NOTHING
        if result:
            return result
    if path in PASSING and arguments:
        return arguments[0]
    if path.startswith("sys.modules."):
        return _of_modules(evaluator, path.rpartition(".")[2], arguments, depth)
    if path in ("builtins.globals().get", "builtins.locals().get") and arguments:
        return evaluator.entry(frozenset([Thing("builtins.globals()")]), arguments[0], depth)
    for end in (".__getattribute__", ".__getattr__"):
        if path.endswith(end):
            owners = frozenset([Thing(path[: -len(end)])])
            return _getattr(evaluator, "", [owners, *arguments][-2:], depth)
    if path.endswith(".__dict__.get") or path.endswith(".__dict__.__getitem__"):
        owner = frozenset([Thing(path.rpartition(".")[0])])
        return evaluator.entry(owner, arguments[0] if arguments else NOTHING, depth)
    return frozenset([Thing(f"{path}()")])


def _of_modules(evaluator: Evaluator, name: str, arguments: list[Values], depth: int) -> Values:
    if name in ("get", "pop", "setdefault", "__getitem__") and arguments:
        return evaluator.entry(frozenset([Thing("sys.modules")]), arguments[0], depth)
    if name == "copy":
        return frozenset([Thing("sys.modules")])
    return frozenset([Thing(f"sys.modules.{name}()")])


def _imported(path: str, arguments: list[Values]) -> Values:
    found: set[Any] = set()
    for value in arguments[0] if arguments else ():
        if isinstance(value, Thing):
            found.add(value)  # importlib.reload
        elif isinstance(value, Constant) and isinstance(value.value, str):
            name = value.value.replace(":", ".")
            if name.startswith("."):
                name = f"__self__{name}"
            elif path == "builtins.__import__":
                found.add(Thing(canonical(name.partition(".")[0])))
            found.add(Thing(canonical(name)))
    return frozenset(found or {Thing("?module")})


def _getattr(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    if len(arguments) < 2:
        return NOTHING
    found: set[Any] = set()
    texts = [value.value for value in arguments[1] if isinstance(value, Constant)]
    for name in texts:
        if isinstance(name, str):
            found |= evaluator.attribute(arguments[0], name, depth)
    if not texts:
        owners = (owner.path for owner in arguments[0] if isinstance(owner, Thing))
        found |= {Thing(f"{owner}.?") for owner in owners}
    return frozenset(found)


def _vars(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    if not arguments:
        return frozenset([Thing("builtins.locals()")])
    return evaluator.attribute(arguments[0], "__dict__", depth)


def _partial(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    if not arguments:
        return NOTHING
    return frozenset(Partial(function, tuple(arguments[1:])) for function in arguments[0])


def _getter(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    return frozenset([Getter(path, arguments[0] if arguments else NOTHING)])


def _getitem(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    return evaluator.entry(arguments[0], arguments[1], depth) if len(arguments) > 1 else NOTHING


def _reduce(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    """What `functools.reduce(getattr, NAMES, OBJECT)` returns."""
    if len(arguments) < 3:
        return NOTHING
    found = arguments[2]
    for names in (value for value in arguments[1] if isinstance(value, Sequence)):
        for part in names.items[:MOST]:
            for function in arguments[0]:
                found = result_of(evaluator, function, [found, part], depth + 1)
    return found


def _next(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    return items(arguments[0]) if arguments else NOTHING


def _map(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    """What `map(FUNCTION, SEQUENCE)` goes over."""
    if len(arguments) != 2:
        return NOTHING
    rows = [row for row in arguments[1] if isinstance(row, (Sequence, Constant))]
    if len(rows) != 1:
        return NOTHING
    parts = [
        result_of(evaluator, function, [part], depth + 1)
        for part in parts_of(rows[0])
        for function in arguments[0]
    ]
    return frozenset([Sequence(tuple(parts))])


def _first(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    """The text that `compile` was given."""
    return arguments[0] if arguments else NOTHING


def _type(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    if len(arguments) != 1:
        return frozenset([Thing("?class()")])
    return evaluator.attribute(arguments[0], "__class__", depth) or frozenset(
        [Thing("?.__class__")]
    )


def _eval(evaluator: Evaluator, path: str, arguments: list[Values], depth: int) -> Values:
    found: set[Any] = set()
    for value in arguments[0] if arguments else ():
        if isinstance(value, Constant) and isinstance(value.value, (str, bytes)):
            try:
                tree = ast.parse(value.value, mode="eval")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            inner = evaluator.inner(tree)
            found |= inner.values(tree.body, inner.layout.top, None, depth + 1)
    return frozenset(found)


_SPECIAL: dict[str, Special] = {
    "builtins.getattr": _getattr,
    "inspect.getattr_static": _getattr,
    "builtins.object.__getattribute__": _getattr,
    "builtins.type.__getattribute__": _getattr,
    "builtins.vars": _vars,
    "functools.partial": _partial,
    "functools.partialmethod": _partial,
    "operator.attrgetter": _getter,
    "operator.itemgetter": _getter,
    "operator.methodcaller": _getter,
    "operator.getitem": _getitem,
    "functools.reduce": _reduce,
    "builtins.next": _next,
    "random.choice": _next,
    "builtins.map": _map,
    "builtins.compile": _first,
    "builtins.staticmethod": _first,
    "builtins.classmethod": _first,
    "builtins.type": _type,
    "builtins.eval": _eval,
}
