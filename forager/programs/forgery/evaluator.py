"""Says what an expression can stand for, without executing anything.

The order of statements does not count: a name may hold whatever the file binds to it anywhere.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable, Mapping

from .known_paths import BUILTINS, TRACKED, canonical
from .operations import MOST, fewer, item, items
from .scopes import Binding, Layout, Scope
from .values import NOTHING, Constant, Method, Own, Sequence, Table, Thing, method

if TYPE_CHECKING:
    from .values import Values

    Reader = Callable[["Evaluator", Any, Scope, Any, int], Values]

STEPS = 300_000  # expressions that are read per file
DEPTH = 80
_BINDINGS = 100  # of one name, the last ones


class TooMuch(Exception):
    """A file that takes more steps than anyone writes."""


class Evaluator:
    """What the expressions of a tree can stand for.

    `readers` say it of each kind of node; `outer` belongs to the code that executes the tree.
    """

    def __init__(
        self, layout: Layout, readers: Mapping[Any, Reader], outer: Evaluator | None = None
    ) -> None:
        self.layout, self._readers = layout, readers
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
        if depth > DEPTH or (given is None and key in self._under_way):
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
        if len(found) > MOST:
            found = fewer(found)
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
        read = self._readers.get(type(node))
        return read(self, node, scope, given, depth) if read else NOTHING

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
            if name in BUILTINS:
                path = "builtins" if name == "__builtins__" else f"builtins.{name}"
                found.add(Thing(path))
        return frozenset(found)

    def _bound(self, binding: Binding, depth: int) -> Values:
        key = id(binding.node), binding.kind, binding.places
        if key in self._known:
            return self._known[key]
        if key in self._under_way or depth > DEPTH:
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

    def inner(self, tree: ast.AST) -> Evaluator:
        """The evaluator of code that this one's module executes."""
        self._alive.append(tree)
        return Evaluator(Layout(tree, self.layout.top), self._readers, self)

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
            for call, scope in self.layout.calls.get(called, ())[:MOST]:
                for keyword in call.keywords:
                    if keyword.arg == name:
                        found |= self.values(keyword.value, scope, None, depth)
                if 0 <= place < len(call.args):
                    found |= self.values(call.args[place], scope, None, depth)
        if place == 0:
            for applied in ("map", "filter", "for_each"):
                for call, scope in self.layout.calls.get(applied, ())[:MOST]:
                    if len(call.args) == 2 and self._is(call.args[0], function):
                        found |= items(self.values(call.args[1], scope, None, depth))
        return frozenset(found)

    def _is(self, node: ast.AST, function: Any) -> bool:
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

    def attribute(self, owners: Values, name: str, depth: int = 0) -> Values:
        """The attribute of any of the owners."""
        found: set[Any] = set()
        for owner in owners:
            if isinstance(owner, Thing):
                found.add(Thing(canonical(f"{owner.path}.{name}")))
            elif isinstance(owner, (Constant, Sequence, Table)):
                found.add(Method(owner, name))
        if not any(isinstance(owner, Thing) for owner in owners):
            for binding in self.layout.attributes.get(name, ())[:MOST]:
                found |= self._bound(binding, depth + 1)
            if name in TRACKED:
                found.add(Thing(f"?.{name}"))
        return frozenset(found)

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
            own = any(isinstance(key, Thing) and key.path.startswith("__self__") for key in keys)
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
