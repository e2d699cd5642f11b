"""Says what an expression can stand for, without executing anything.

The order of statements does not count: a name may hold whatever the file binds to it anywhere.
"""

from __future__ import annotations

import ast
import builtins
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable

from .rules import FRAMES
from .scopes import FUNCTIONS, Binding, Layout, Scope
from .values import (
    FUNCTIONS as FOLDING,
)
from .values import (
    LONGEST,
    NOTHING,
    Constant,
    Getter,
    Method,
    Own,
    Partial,
    Sequence,
    Table,
    Thing,
    constant,
    folded,
    method,
    only,
    operate,
    plain,
)

if TYPE_CHECKING:
    from .values import Values

    Reader = Callable[["Evaluator", Any, Scope, Any, int], Values]
    Special = Callable[["Evaluator", str, list[Values], int], Values]

STEPS = 300_000  # expressions that are read per file
_DEPTH = 80
_MOST = 12  # values of one expression
_BINDINGS = 100  # of one name, the last ones
_BUILTINS = frozenset(dir(builtins)) | {"__builtins__", "__loader__", "__spec__", "__file__"}
_ALWAYS = frozenset(["sys", "builtins", "gc", "marshal", "posix", "_pytest"])
_OFTEN = frozenset(
    [
        "os",
        "inspect",
        "importlib",
        "ctypes",
        "types",
        "threading",
        "signal",
        "unittest",
        "pytest",
        "functools",
        "operator",
        "math",
        "atexit",
        "shutil",
        "subprocess",
    ]
)
"""Modules that other modules hold as attributes: `os.sys` is `sys`. Packages have submodules of
these names; modules of the standard library do not."""
_STANDARD = getattr(
    sys,
    "stdlib_module_names",  # since 3.10
    frozenset(
        [
            "abc",
            "argparse",
            "ast",
            "asyncio",
            "collections",
            "concurrent",
            "contextlib",
            "copy",
            "dataclasses",
            "datetime",
            "decimal",
            "email",
            "enum",
            "fractions",
            "functools",
            "glob",
            "http",
            "importlib",
            "inspect",
            "io",
            "itertools",
            "json",
            "logging",
            "math",
            "multiprocessing",
            "operator",
            "os",
            "pathlib",
            "pickle",
            "pkgutil",
            "random",
            "re",
            "shutil",
            "socket",
            "statistics",
            "string",
            "subprocess",
            "tempfile",
            "textwrap",
            "threading",
            "time",
            "traceback",
            "types",
            "typing",
            "unittest",
            "urllib",
            "uuid",
            "warnings",
            "weakref",
            "xml",
            "zipfile",
        ]
    ),
)

_TRACKED = (
    frozenset(
        [
            "__globals__",
            "__dict__",
            "__class__",
            "__subclasses__",
            "__base__",
            "__bases__",
            "__mro__",
            "__code__",
            "__builtins__",
            "__doc__",
            "__setattr__",
            "__delattr__",
            "__getattribute__",
            "__loader__",
            "__spec__",
        ]
    )
    | FRAMES
)
"""Attributes that count even if nothing is known of their owner."""

IMPORTERS = frozenset(
    [
        "builtins.__import__",
        "importlib.import_module",
        "importlib.__import__",
        "pydoc.locate",
        "pydoc.safeimport",
        "pkgutil.resolve_name",
        "importlib._bootstrap._gcd_import",
        "imp.load_module",
        "runpy.run_module",
        "importlib.reload",
        "importlib.util.find_spec",
    ]
)
_PASSING = frozenset(
    [
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "builtins.frozenset",
        "builtins.iter",
        "builtins.sorted",
        "builtins.reversed",
        "builtins.dict",
        "copy.copy",
        "copy.deepcopy",
        "itertools.chain",
        "itertools.cycle",
        "typing.cast",
        "weakref.proxy",
        "weakref.ref",
    ]
)


class TooMuch(Exception):
    """A file that takes more steps than anyone writes."""


class Evaluator:
    """What the expressions of a tree can stand for."""

    def __init__(self, layout: Layout, outer: Evaluator | None = None) -> None:
        self.layout = layout
        self.nested: list[Evaluator] = []  # of texts that the file executes
        self._outer = outer
        self._known: dict[Any, Values] = {}
        self._before: dict[Any, Values] = {}  # what the round before found, where names go in rings
        self._under_way: set[Any] = set()
        self._steps = self._cuts = 0
        self._alive: list[ast.AST] = []  # so that no two nodes share an id

    def values(self, node: ast.AST, scope: Scope, given: Any = None, depth: int = 0) -> Values:
        """The values of an expression; empty if nothing is known of it.

        `given` holds values of names that a comprehension binds. Raises TooMuch.
        """
        if given is None and id(node) in self._known:
            return self._known[id(node)]
        key = (id(node), None if given is None else tuple(sorted(given, key=str)))
        if depth > _DEPTH or (given is None and key in self._under_way):
            self._cuts += 1
            return self._before.get(id(node), NOTHING)
        self._steps += 1
        if self._steps > STEPS:
            raise TooMuch
        self._under_way.add(key)
        try:
            found = self._values(node, scope, given, depth + 1)
        finally:
            self._under_way.discard(key)
        if len(found) > _MOST:
            found = _fewer(found)
        if given is None:
            self._alive.append(node)
            self._known[id(node)] = found
        return found

    def texts(self, node: ast.AST, scope: Scope) -> list[str]:
        """The texts that an expression can stand for."""
        found = (value.value for value in self.values(node, scope) if isinstance(value, Constant))
        return [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            for text in found
            if isinstance(text, (str, bytes))
        ]

    def paths(self, node: ast.AST, scope: Scope) -> list[str]:
        """The paths of the things that an expression can stand for."""
        return [value.path for value in self.values(node, scope) if isinstance(value, Thing)]

    def _values(self, node: ast.AST, scope: Scope, given: Any, depth: int) -> Values:
        read = _READERS.get(type(node))
        return read(self, node, scope, given, depth) if read else NOTHING

    def _constant(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        return constant(node.value, built=False)

    def _name(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        if given and node.id in given:
            return given[node.id]  # type: ignore[no-any-return]
        return self.lookup(node.id, scope, depth)

    def lookup(self, name: str, scope: Scope, depth: int = 0) -> Values:
        """What a name can hold in a scope."""
        found: set[Any] = set()
        bound = False
        place: Scope | None = scope
        while place is not None and not bound:
            visible = place is scope or not place.is_class
            if visible and (name not in place.elsewhere or place is scope.module):
                bindings = place.names.get(name) or []
                bound = bool(bindings)
                for binding in bindings[-_BINDINGS:]:
                    found |= self._bound(binding, depth)
            place = place.parent
        for nested in self.nested:
            bindings = nested.layout.top.names.get(name) or []
            bound = bound or bool(bindings)
            for binding in bindings:
                found |= nested._bound(binding, depth)
        if not bound and self._outer:
            return self._outer.lookup(name, scope, depth)
        if not bound and name == "__name__":
            return frozenset([Thing("__self__.__name__")])
        if not bound:
            found |= {Thing(f"{module}.{name}") for module in self.layout.stars}
            if name in _BUILTINS:
                path = "builtins" if name == "__builtins__" else f"builtins.{name}"
                found.add(Thing(path))
        return frozenset(found)

    def _bound(self, binding: Binding, depth: int) -> Values:
        key = id(binding.node), binding.kind, binding.places
        if key in self._known:
            return self._known[key]
        if key in self._under_way or depth > _DEPTH:
            self._cuts += 1
            return self._before.get(key, NOTHING)
        self._under_way.add(key)
        try:
            found = self._held(binding, depth)
        finally:
            self._under_way.discard(key)
        self._alive.append(binding.node)
        self._known[key] = found
        return found

    def _held(self, binding: Binding, depth: int) -> Values:
        if binding.kind == "import":
            return frozenset([Thing(canonical(binding.node))])
        if binding.kind == "own":
            return frozenset([Own(binding.node, binding.scope)])
        if binding.kind == "parameter":
            return self._parameter(binding.node[0], binding.node[1], depth)
        if binding.kind == "value":
            found = self.values(binding.node, binding.scope, None, depth)
            for place in binding.places:
                found = items(found) if place is None else item(found, place)
            return found
        return NOTHING

    def again(self) -> bool:
        """Forget what is known, and begin a round that starts from it where names go in rings.

        False if no names do, so that another round would find the same.
        """
        cut, self._cuts = bool(self._cuts), 0
        self._before, self._known = self._known, {}
        return cut

    def _parameter(self, function: Any, name: str, depth: int) -> Values:
        """What the file passes for a parameter."""
        named = [*function.args.posonlyargs, *function.args.args]
        names = [parameter.arg for parameter in named]
        place = names.index(name) if name in names else -1
        if names[:1] in (["self"], ["cls"]):
            place -= 1
        found: set[Any] = set()
        for called in self._names_of(function):
            for call, scope in self.layout.calls.get(called, ())[:_MOST]:
                for keyword in call.keywords:
                    if keyword.arg == name:
                        found |= self.values(keyword.value, scope, None, depth)
                if 0 <= place < len(call.args):
                    found |= self.values(call.args[place], scope, None, depth)
        if place == 0:
            for applied in ("map", "filter", "for_each"):
                for call, scope in self.layout.calls.get(applied, ())[:_MOST]:
                    if len(call.args) == 2 and self._is(call.args[0], function, scope, depth):
                        found |= items(self.values(call.args[1], scope, None, depth))
        return frozenset(found)

    def _is(self, node: ast.AST, function: Any, scope: Scope, depth: int) -> bool:
        if node is function:
            return True
        return isinstance(node, ast.Name) and node.id in self._names_of(function)

    def _names_of(self, function: Any) -> list[str]:
        """The names by which the file may call a function."""
        if not isinstance(function, ast.Lambda):
            return [function.name]
        return [
            name
            for scope_names in (self.layout.top.names, self.layout.attributes)
            for name, bindings in scope_names.items()
            if any(binding.node is function for binding in bindings)
        ]

    def _attribute(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        return self.attribute(self.values(node.value, scope, given, depth), node.attr, depth)

    def attribute(self, owners: Values, name: str, depth: int = 0) -> Values:
        """The attribute of any of the owners."""
        found: set[Any] = set()
        for owner in owners:
            if isinstance(owner, Thing):
                found.add(Thing(canonical(f"{owner.path}.{name}")))
            elif isinstance(owner, (Constant, Sequence, Table)):
                found.add(Method(owner, name))
        if not any(isinstance(owner, Thing) for owner in owners):
            for binding in self.layout.attributes.get(name, ())[:_MOST]:
                found |= self._bound(binding, depth + 1)
            if name in _TRACKED:
                found.add(Thing(f"?.{name}"))
        return frozenset(found)

    def _subscript(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        index = index_of(node)
        owners = self.values(node.value, scope, given, depth)
        if isinstance(index, ast.Slice):
            given_bounds = (index.lower, index.upper, index.step)
            bounds = [
                _single(self.values(bound, scope, given, depth)) if bound is not None else None
                for bound in given_bounds
            ]
            unknown = [
                bound is not None and not isinstance(value, int)
                for bound, value in zip(given_bounds, bounds)
            ]
            return NOTHING if any(unknown) else _sliced(owners, bounds)
        keys = self.values(index, scope, given, depth)
        return self.entry(owners, keys, depth)

    def entry(self, owners: Values, keys: Values, depth: int = 0) -> Values:
        """What any of the owners holds under any of the keys."""
        found: set[Any] = set()
        names = [key.value for key in keys if isinstance(key, Constant)]
        for owner in owners:
            if isinstance(owner, Thing):
                found |= self._named(owner.path, names, keys, depth)
            elif isinstance(owner, Table):
                for key, values in owner.items:
                    if not names or key in names:
                        found |= values
            for name in names:
                if isinstance(owner, Sequence) and isinstance(name, int):
                    found |= item(frozenset([owner]), name)
                elif isinstance(owner, Constant) and isinstance(name, int):
                    found |= method(owner.value, "__getitem__", [name])
        return frozenset(found)

    def _named(self, path: str, names: list[Any], keys: Values, depth: int) -> set[Any]:
        texts = [name for name in names if isinstance(name, str)]
        if path == "sys.modules":
            own = any(isinstance(k, Thing) and k.path.startswith("__self__") for k in keys)
            if own:
                return {Thing("__self__")}
            return {Thing(canonical(name)) for name in texts} or {Thing("sys.modules[?]")}
        if path in ("builtins.globals()", "builtins.locals()", "?.__globals__"):
            found: set[Any] = set()
            for name in texts:
                found |= self.lookup(name, self.layout.top, depth)
                if name == "__builtins__":
                    found.add(Thing("builtins"))
            return found
        if path.endswith(".__dict__"):
            owner = path[: -len(".__dict__")]
            return {Thing(canonical(f"{owner}.{name}")) for name in texts} or {Thing(f"{owner}.?")}
        if path == "builtins":  # __builtins__ is a dict in an imported module
            return {Thing(f"builtins.{name}") for name in texts} or {Thing("builtins.?")}
        return {Thing(f"{path}[?]")}

    def _call(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        arguments = [self.values(part, scope, given, depth) for part in node.args[:32]]
        found: set[Any] = set()
        for function in self.values(node.func, scope, given, depth):
            found |= self.called(function, arguments, depth)
        return frozenset(found)

    def called(self, function: Any, arguments: list[Values], depth: int = 0) -> Values:
        """What a call of a value returns."""
        if depth > _DEPTH:
            return NOTHING
        if isinstance(function, Partial):
            return self.called(function.function, [*function.arguments, *arguments], depth + 1)
        if isinstance(function, Own):
            return self._returned(function, depth)
        if isinstance(function, Getter):
            return self._got(function, arguments, depth)
        if isinstance(function, Method):
            return self._method(function, arguments)
        if isinstance(function, Thing):
            return self._function(function.path, arguments, depth)
        return NOTHING

    def _returned(self, function: Own, depth: int) -> Values:
        node = function.node
        if isinstance(node, ast.Lambda):
            inner = self.layout.inner.get(id(node)) or Scope(node, function.scope)
            return self.values(node.body, inner, None, depth + 1)
        found: set[Any] = set()
        for value, scope in self.layout.returns.get(id(node), ())[:_MOST]:
            found |= self.values(value, scope, None, depth + 1)
        yielded = self.layout.yields.get(id(node), ())[:_MOST]
        if yielded:
            parts = [self.values(value, scope, None, depth + 1) for value, scope in yielded]
            found.add(Sequence(tuple(parts)))
        return frozenset(found)

    def _got(self, getter: Getter, arguments: list[Values], depth: int) -> Values:
        if not arguments:
            return NOTHING
        if getter.kind == "operator.itemgetter":
            return self.entry(arguments[0], getter.argument, depth)
        found: set[Any] = set()
        for name in getter.argument:
            if isinstance(name, Constant) and isinstance(name.value, str):
                owners = arguments[0]
                for part in name.value.split("."):
                    owners = self.attribute(owners, part, depth)
                if getter.kind == "operator.methodcaller":
                    for function in owners:
                        found |= self.called(function, [], depth + 1)
                else:
                    found |= owners
        return frozenset(found)

    def _method(self, function: Method, arguments: list[Values]) -> Values:
        of, name = function
        if isinstance(of, Table):
            if name in ("get", "__getitem__") and arguments:
                return self.entry(frozenset([of]), arguments[0])
            if name in ("values", "items", "keys", "copy"):
                rows = [_row(name, key, values) for key, values in of.items]
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

    def _function(self, path: str, arguments: list[Values], depth: int) -> Values:
        special = _SPECIAL.get(path)
        if special is not None:
            return special(self, path, arguments, depth)
        if path in IMPORTERS:
            return self._imported(path, arguments)
        if path in FOLDING:
            try:
                result = folded(path, [plain(only(argument)) for argument in arguments])
            except ValueError:
                result = NOTHING
            if result:
                return result
        if path in _PASSING and arguments:
            return arguments[0]
        if path.startswith("sys.modules."):
            return self._of_modules(path.rpartition(".")[2], arguments, depth)
        if path in ("builtins.globals().get", "builtins.locals().get") and arguments:
            return self.entry(frozenset([Thing("builtins.globals()")]), arguments[0], depth)
        for end in (".__getattribute__", ".__getattr__"):
            if path.endswith(end):
                owners = frozenset([Thing(path[: -len(end)])])
                return self._getattr("", [owners, *arguments][-2:], depth)
        if path.endswith(".__dict__.get") or path.endswith(".__dict__.__getitem__"):
            owner = frozenset([Thing(path.rpartition(".")[0])])
            return self.entry(owner, arguments[0] if arguments else NOTHING, depth)
        return frozenset([Thing(f"{path}()")])

    def _of_modules(self, name: str, arguments: list[Values], depth: int) -> Values:
        if name in ("get", "pop", "setdefault", "__getitem__") and arguments:
            return self.entry(frozenset([Thing("sys.modules")]), arguments[0], depth)
        if name == "copy":
            return frozenset([Thing("sys.modules")])
        return frozenset([Thing(f"sys.modules.{name}()")])

    def _imported(self, path: str, arguments: list[Values]) -> Values:
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

    def _getattr(self, path: str, arguments: list[Values], depth: int) -> Values:
        if len(arguments) < 2:
            return NOTHING
        found: set[Any] = set()
        texts = [v.value for v in arguments[1] if isinstance(v, Constant)]
        for name in texts:
            if isinstance(name, str):
                found |= self.attribute(arguments[0], name, depth)
        if not texts:
            owners = (owner.path for owner in arguments[0] if isinstance(owner, Thing))
            found |= {Thing(f"{owner}.?") for owner in owners}
        return frozenset(found)

    def _vars(self, path: str, arguments: list[Values], depth: int) -> Values:
        if not arguments:
            return frozenset([Thing("builtins.locals()")])
        return self.attribute(arguments[0], "__dict__", depth)

    def _partial(self, path: str, arguments: list[Values], depth: int) -> Values:
        if not arguments:
            return NOTHING
        return frozenset(Partial(function, tuple(arguments[1:])) for function in arguments[0])

    def _getter(self, path: str, arguments: list[Values], depth: int) -> Values:
        return frozenset([Getter(path, arguments[0] if arguments else NOTHING)])

    def _getitem(self, path: str, arguments: list[Values], depth: int) -> Values:
        return self.entry(arguments[0], arguments[1], depth) if len(arguments) > 1 else NOTHING

    def _reduce(self, path: str, arguments: list[Values], depth: int) -> Values:
        """What `functools.reduce(getattr, NAMES, OBJECT)` returns."""
        if len(arguments) < 3:
            return NOTHING
        found = arguments[2]
        for values in (v for v in arguments[1] if isinstance(v, Sequence)):
            for part in values.items[:_MOST]:
                for function in arguments[0]:
                    found = self.called(function, [found, part], depth + 1)
        return found

    def _next(self, path: str, arguments: list[Values], depth: int) -> Values:
        return items(arguments[0]) if arguments else NOTHING

    def _map(self, path: str, arguments: list[Values], depth: int) -> Values:
        """What `map(FUNCTION, SEQUENCE)` goes over."""
        if len(arguments) != 2:
            return NOTHING
        rows = [row for row in arguments[1] if isinstance(row, (Sequence, Constant))]
        if len(rows) != 1:
            return NOTHING
        parts = [
            self.called(function, [part], depth + 1)
            for part in parts_of(rows[0])
            for function in arguments[0]
        ]
        return frozenset([Sequence(tuple(parts))])

    def _first(self, path: str, arguments: list[Values], depth: int) -> Values:
        """The text that `compile` was given."""
        return arguments[0] if arguments else NOTHING

    def _type(self, path: str, arguments: list[Values], depth: int) -> Values:
        if len(arguments) != 1:
            return frozenset([Thing("?class()")])
        return self.attribute(arguments[0], "__class__", depth) or frozenset([Thing("?.__class__")])

    def _eval(self, path: str, arguments: list[Values], depth: int) -> Values:
        found: set[Any] = set()
        for value in arguments[0] if arguments else ():
            if isinstance(value, Constant) and isinstance(value.value, (str, bytes)):
                try:
                    tree = ast.parse(value.value, mode="eval")
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
                inner = Evaluator(Layout(tree, self.layout.top), self)
                self._alive.append(tree)
                found |= inner.values(tree.body, inner.layout.top, None, depth + 1)
        return frozenset(found)

    def _operation(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        """The result of an operation; a long chain of them is read without recursion."""
        chain: list[tuple[ast.operator, ast.AST]] = []
        first: Any = node
        while isinstance(first, ast.BinOp):
            chain.append((first.op, first.right))
            first = first.left
        found = self.values(first, scope, given, depth)
        for operator, right in reversed(chain):
            others = self.values(right, scope, given, depth)
            results: set[Any] = set()
            for left_value in found:
                for right_value in others:
                    results |= _operated(operator, left_value, right_value)
            found = _fewer(frozenset(results)) if len(results) > _MOST else frozenset(results)
            if not found:
                return NOTHING
        return found

    def _joined(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        text, built = "", False
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            formatted = getattr(part, "format_spec", None) is not None
            value = _single(self.values(inner, scope, given, depth))
            if value is None or formatted:
                return NOTHING
            built = built or isinstance(part, ast.FormattedValue)
            text += str(value)
        return constant(text, built)

    def _tuple(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        if len(node.elts) > 512:
            return NOTHING
        parts: list[Values] = []
        for part in node.elts:
            if isinstance(part, ast.Starred):
                row = next(iter(self.values(part.value, scope, given, depth)), None)
                parts += parts_of(row)
            else:
                parts.append(self.values(part, scope, given, depth))
        return frozenset([Sequence(tuple(parts))])

    def _dict(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        if len(node.keys) > 256:
            return NOTHING
        found = []
        for key, value in zip(node.keys, node.values):
            name = None if key is None else _single(self.values(key, scope, given, depth))
            if name is not None:
                found.append((name, self.values(value, scope, given, depth)))
        return frozenset([Table(tuple(found))])

    def _comprehension(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        """The items of a comprehension with one loop over a constant."""
        if (
            given is not None
            or len(node.generators) != 1
            or not isinstance(node.generators[0].target, ast.Name)
        ):
            return NOTHING
        loop = node.generators[0]
        name = loop.target.id
        rows = [
            row
            for row in self.values(loop.iter, scope, given, depth)
            if isinstance(row, (Sequence, Constant))
        ]
        if len(rows) != 1 or loop.ifs:
            return NOTHING
        parts = parts_of(rows[0])
        if len(parts) > 1024:
            return NOTHING
        made = [
            self.values(node.elt, scope, {**(given or {}), name: part}, depth) for part in parts
        ]
        return frozenset([Sequence(tuple(made))])

    def _either(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        sides = node.values if isinstance(node, ast.BoolOp) else (node.body, node.orelse)
        found: set[Any] = set()
        for side in sides:
            found |= self.values(side, scope, given, depth)
        return frozenset(found)

    def _inner(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        return self.values(node.value, scope, given, depth)

    def _negative(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        value = _single(self.values(node.operand, scope, given, depth))
        if isinstance(value, int) and isinstance(node.op, (ast.USub, ast.Invert)):
            return constant(-value if isinstance(node.op, ast.USub) else ~value)
        return NOTHING

    def _lambda(self, node: Any, scope: Scope, given: Any, depth: int) -> Values:
        return frozenset([Own(node, scope)])


_READERS: dict[Any, Reader] = {
    ast.Constant: Evaluator._constant,
    ast.Name: Evaluator._name,
    ast.Attribute: Evaluator._attribute,
    ast.Subscript: Evaluator._subscript,
    ast.Call: Evaluator._call,
    ast.BinOp: Evaluator._operation,
    ast.UnaryOp: Evaluator._negative,
    ast.JoinedStr: Evaluator._joined,
    ast.Tuple: Evaluator._tuple,
    ast.List: Evaluator._tuple,
    ast.Set: Evaluator._tuple,
    ast.Dict: Evaluator._dict,
    ast.ListComp: Evaluator._comprehension,
    ast.SetComp: Evaluator._comprehension,
    ast.GeneratorExp: Evaluator._comprehension,
    ast.BoolOp: Evaluator._either,
    ast.IfExp: Evaluator._either,
    ast.NamedExpr: Evaluator._inner,
    ast.Await: Evaluator._inner,
    ast.Starred: Evaluator._inner,
    ast.Lambda: Evaluator._lambda,
}
_SPECIAL: dict[str, Special] = {
    "builtins.getattr": Evaluator._getattr,
    "inspect.getattr_static": Evaluator._getattr,
    "builtins.object.__getattribute__": Evaluator._getattr,
    "builtins.type.__getattribute__": Evaluator._getattr,
    "builtins.vars": Evaluator._vars,
    "functools.partial": Evaluator._partial,
    "functools.partialmethod": Evaluator._partial,
    "operator.attrgetter": Evaluator._getter,
    "operator.itemgetter": Evaluator._getter,
    "operator.methodcaller": Evaluator._getter,
    "operator.getitem": Evaluator._getitem,
    "functools.reduce": Evaluator._reduce,
    "builtins.next": Evaluator._next,
    "random.choice": Evaluator._next,
    "builtins.map": Evaluator._map,
    "builtins.compile": Evaluator._first,
    "builtins.staticmethod": Evaluator._first,
    "builtins.classmethod": Evaluator._first,
    "builtins.type": Evaluator._type,
    "builtins.eval": Evaluator._eval,
}


def canonical(path: str) -> str:
    """The path of a thing without the modules through which it was reached."""
    if "(" not in path and "?" not in path:
        parts = path.split(".")
        taken = _ALWAYS | _OFTEN if parts[0] in _STANDARD else _ALWAYS
        for place in range(len(parts) - 1, 0, -1):
            if parts[place] in taken and parts[place] != parts[place - 1]:  # signal.signal
                return ".".join(parts[place:])
    return path.replace(".__dict__.__dict__", ".__dict__")


def items(values: Values) -> Values:
    """What a loop over any of the values goes over."""
    found: set[Any] = set()
    for value in values:
        if isinstance(value, Thing):
            if value.path == "sys.modules.values()":
                found.add(Thing("sys.modules[?]"))
            elif value.path == "sys.modules.items()":
                found.add(Sequence((NOTHING, frozenset([Thing("sys.modules[?]")]))))
            elif value.path != "sys.modules":
                found.add(Thing(f"{value.path}[?]"))
        else:
            for part in parts_of(value)[:_MOST]:
                found |= part
    return frozenset(found)


def item(values: Values, place: int) -> Values:
    """The item at a place of any of the values."""
    found: set[Any] = set()
    for value in values:
        parts = parts_of(value)
        if -len(parts) <= place < len(parts):
            found |= parts[place]
        elif isinstance(value, Thing):
            found.add(Thing(f"{value.path}[?]"))
    return frozenset(found)


def parts_of(value: Any) -> list[Values]:
    """The items of a sequence or a text; empty for others."""
    if isinstance(value, Sequence):
        return list(value.items)
    if isinstance(value, Table):
        return [constant(key) for key, _ in value.items]
    if isinstance(value, Constant) and isinstance(value.value, (str, bytes)):
        return [constant(part) for part in value.value[:LONGEST]]
    return []


def _fewer(found: Values) -> Values:
    """Some of many values: things and texts first."""
    things = sorted(value for value in found if isinstance(value, Thing))
    texts = [value for value in found if isinstance(value, Constant)]
    others = [value for value in found if not isinstance(value, (Thing, Constant))]
    texts.sort(key=lambda value: repr(value)[:100])
    return frozenset([*things[:_MOST], *texts[:_MOST], *others[:_MOST]])


def _row(name: str, key: Any, values: Values) -> Values:
    if name == "values":
        return values
    return constant(key) if name == "keys" else frozenset([Sequence((constant(key), values))])


def _operated(operator: ast.operator, left: Any, right: Any) -> Values:
    if isinstance(left, Thing) and left.path.startswith("__self__"):
        return frozenset([left])  # __name__ + ".part"
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        return frozenset([Sequence((*left.items, *right.items))])
    try:
        return operate(operator, plain(left), plain(right))
    except ValueError:
        return NOTHING


def _single(values: Values) -> Any:
    """The value of the only constant, or None."""
    if len(values) == 1:
        (value,) = values
        if isinstance(value, Constant):
            return value.value
    return None


def _sliced(owners: Values, bounds: Iterable[Any]) -> Values:
    cut = slice(*bounds)
    found: set[Any] = set()
    for owner in owners:
        if isinstance(owner, Sequence):
            found.add(Sequence(owner.items[cut]))
        elif isinstance(owner, Constant) and isinstance(owner.value, (str, bytes)):
            found |= constant(owner.value[cut])
        elif isinstance(owner, Thing):
            found.add(owner)
    return frozenset(found)


def index_of(node: ast.Subscript) -> Any:
    """The index of a subscript, which Python 3.8 wraps in a node of its own."""
    index: Any = node.slice
    return index.value if type(index).__name__ == "Index" else index


__all__ = ["FUNCTIONS", "IMPORTERS", "Evaluator", "TooMuch", "canonical", "index_of"]
