"""The scopes of a file, and everything that it binds to each name."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import Any, NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WORDS = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
"""Nodes that say how others are meant, and have neither a place nor children."""


class Binding(NamedTuple):
    """What a name may hold: an expression, an item of one, an import, or a definition.

    `places` leads to the part of the value that a tuple on the left takes; `places[0]` is None
    where the name takes an item of what a loop goes over.
    """

    kind: str
    node: Any
    scope: Scope
    places: tuple[int | None, ...] = ()


class Scope:
    """The names of a module, class or function."""

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node, self.parent = node, parent
        self.names: dict[str, list[Binding]] = defaultdict(list)
        self.elsewhere: set[str] = set()  # global and nonlocal

    @property
    def is_class(self) -> bool:
        """Whether functions inside do not see its names."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def module(self) -> Scope:
        """The outermost scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


class Visited(NamedTuple):
    """A node and its scope.

    `block` is `types` in a block that runs only for type checkers, `program` in one that runs only
    as a program, else empty.
    """

    node: ast.AST
    scope: Scope
    block: str


class Layout:
    """All nodes of a tree with their scopes, the calls by the name called, the attributes set."""

    def __init__(self, tree: ast.AST, parent: Scope | None = None) -> None:
        self.top = Scope(tree, parent)
        self.visited: list[Visited] = []
        self.calls: dict[str, list[tuple[ast.Call, Scope]]] = defaultdict(list)
        self.attributes: dict[str, list[Binding]] = defaultdict(list)
        self.returns: dict[int, list[tuple[ast.expr, Scope]]] = defaultdict(list)
        self.yields: dict[int, list[tuple[ast.expr, Scope]]] = defaultdict(list)
        self.inner: dict[int, Scope] = {}  # of functions, by their nodes
        self.stars: list[str] = []
        self._read(tree)

    def _read(self, tree: ast.AST) -> None:
        waiting: list[Visited] = [Visited(tree, self.top, "")]
        while waiting:
            seen = waiting.pop()
            node, scope, block = seen
            self.visited.append(seen)
            self._bind(node, scope)
            for child, inner in self._children(node, scope):
                if isinstance(node, ast.If) and child in node.body:
                    waiting.append(Visited(child, inner, block or _block(node.test)))
                else:
                    waiting.append(Visited(child, inner, block))

    def _children(self, node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
        children = children_of(node)
        if isinstance(node, FUNCTIONS):
            inner = self.inner[id(node)] = Scope(node, scope)
            self._parameters(node, inner)
            body = node.body if isinstance(node.body, list) else [node.body]
            inside = {id(child) for child in body}
            return [(child, inner if id(child) in inside else scope) for child in children]
        if isinstance(node, ast.ClassDef):
            inner = Scope(node, scope)
            inside = {id(child) for child in node.body}
            self.attributes_of_class(node, inner)
            return [(child, inner if id(child) in inside else scope) for child in children]
        return [(child, scope) for child in children]

    def attributes_of_class(self, node: ast.ClassDef, inner: Scope) -> None:
        """Remember what a class body binds as attributes of that name."""
        for statement in node.body:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self.attributes[target.id].append(Binding("value", statement.value, inner))
            elif isinstance(statement, FUNCTIONS[:2]):
                self.attributes[statement.name].append(Binding("own", statement, inner))

    def _parameters(self, node: Any, inner: Scope) -> None:
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args]
        defaults = [None] * (len(named) - len(arguments.defaults)) + arguments.defaults
        for parameter, default in zip(named, defaults):
            inner.names[parameter.arg].append(Binding("parameter", (node, parameter.arg), inner))
            if default is not None and inner.parent is not None:
                inner.names[parameter.arg].append(Binding("value", default, inner.parent))
        for parameter, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
            inner.names[parameter.arg].append(Binding("parameter", (node, parameter.arg), inner))
            if default is not None and inner.parent is not None:
                inner.names[parameter.arg].append(Binding("value", default, inner.parent))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                inner.names[rest.arg].append(Binding("nothing", rest, inner))

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            scope.elsewhere.update(node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._name(node.name, Binding("own", node, scope))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                name = alias.asname or alias.name.partition(".")[0]
                self._name(name, Binding("import", path, scope))
        elif isinstance(node, ast.ImportFrom):
            module = module_of(node)
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(module)
                else:
                    path = f"{module}.{alias.name}"
                    self._name(alias.asname or alias.name, Binding("import", path, scope))
        elif isinstance(node, ast.Call):
            called = node.func
            called_name = getattr(called, "id", None) or getattr(called, "attr", None)
            if called_name:
                self.calls[called_name].append((node, scope))
        elif isinstance(node, ast.Yield) and node.value is not None:
            self.yields[id(scope.node)].append((node.value, scope))
        elif isinstance(node, ast.Return) and node.value is not None:
            self.returns[id(scope.node)].append((node.value, scope))
        else:
            self._assign(node, scope)

    def _assign(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._target(target, Binding("value", node.value, scope))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self._target(node.target, Binding("value", node.value, scope))
        elif isinstance(node, ast.AugAssign):
            whole = ast.BinOp(left=node.target, op=node.op, right=node.value)
            self._target(node.target, Binding("value", ast.copy_location(whole, node), scope))
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._target(node.target, Binding("value", node.iter, scope, (None,)))
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    entered = Binding("value", item.context_expr, scope)
                    self._target(item.optional_vars, entered)
                    # What a generator yields that is made a context manager.
                    self._target(item.optional_vars, entered._replace(places=(None,)))
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._name(node.name, Binding("nothing", node, scope))

    def _target(self, target: ast.AST, binding: Binding) -> None:
        if isinstance(target, ast.Name):
            self._name(target.id, binding)
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr].append(binding)
        elif isinstance(target, ast.Starred):
            self._target(target.value, binding._replace(kind="nothing"))
        elif isinstance(target, (ast.Tuple, ast.List)):
            for place, part in enumerate(target.elts):
                self._target(part, binding._replace(places=(*binding.places, place)))

    def _name(self, name: str, binding: Binding) -> None:
        scope = binding.scope
        scope = scope.module if name in scope.elsewhere else scope
        scope.names[name].append(binding)


def children_of(node: ast.AST) -> list[ast.AST]:
    """The nodes below a node, as in `ast.iter_child_nodes`, without the words."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, _WORDS):
            found.append(value)
    return found


def module_of(node: ast.ImportFrom) -> str:
    """The module of a from-import; `__self__` begins a relative one."""
    if not node.level:
        return node.module or ""
    return f"__self__.{node.module}" if node.module else "__self__"


def _block(test: ast.expr) -> str:
    """What kind of process runs the block below a condition; empty if any does."""
    name = getattr(test, "id", None) or getattr(test, "attr", None)
    if name == "TYPE_CHECKING" or (isinstance(test, ast.Constant) and test.value is False):
        return "types"
    if isinstance(test, ast.Compare) and len(test.comparators) == 1:
        sides = (test.left, test.comparators[0])
        names = [side.id for side in sides if isinstance(side, ast.Name)]
        values = [side.value for side in sides if isinstance(side, ast.Constant)]
        if names == ["__name__"] and values == ["__main__"] and isinstance(test.ops[0], ast.Eq):
            return "program"
    return ""
