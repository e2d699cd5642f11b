"""What a file assigns that belongs to others, or that decides what tests see."""

from __future__ import annotations

import ast
from typing import Any

from . import objects, rules
from .operations import index_of
from .scopes import Scope
from .search import Search
from .uses import shown
from .values import Own, Thing

_DECISIVE = rules.DECISIVE | frozenset(
    ["__exit__", "__aexit__", "__set_name__", "__init_subclass__"]
)


def store(search: Search, node: Any, scope: Scope) -> None:
    """An attribute that is assigned or deleted."""
    owners = search.evaluator.values(node.value, scope)
    _stored(search, owners, [node.attr], node)
    _replaced(search, owners, node.attr, node)
    if node.attr in rules.CODE:
        search.find(f"changes code objects: assigns {node.attr}", node)


def _given_later(search: Search, owner: Own, name: str, node: ast.AST) -> None:
    """An attribute that a class or a function of the file gets after its definition."""
    if isinstance(owner.node, ast.ClassDef) and name in _DECISIVE:
        search.find(f"assigns {name} of the class {owner.node.name}", node)


def _stored(search: Search, owners: Any, names: list[str], node: ast.AST) -> None:
    for owner in owners:
        if isinstance(owner, Own):
            for name in names:
                _given_later(search, owner, name, node)
        if not isinstance(owner, Thing):
            continue
        path = owner.path
        for name in names or ["?"]:
            if path == "builtins":
                search.find(f"replaces builtins: {name}", node)
            elif path.endswith(".__class__") and path.startswith("?"):
                if name in rules.COMPARISONS and _of_other(node):
                    search.find(f"assigns {name} of the class of a value", node)
            elif search.is_foreign(path) and f"{path}.{name}" not in rules.HONEST_TARGETS:
                search.find(f"assigns {_attribute_of(path, name)}", node)
            if name in rules.CODE:
                search.find(f"changes code objects: assigns {name}", node)


def _replaced(search: Search, owners: Any, name: str, node: ast.AST) -> None:
    """What tests call or compare, of another module of the project, gets another meaning.

    A patch may change any other module openly, so replacing what is there gains nothing.
    """
    for owner in owners:
        path = owner.path if isinstance(owner, Thing) else ""
        if name in rules.DEFAULTS and path and not set("?(") & set(path):
            search.find(f"changes the defaults of {path}", node)
        if not path or "(" in path or "?" in path or not search.is_elsewhere(path):
            continue
        if search.owns(path) and rules.helps_tests(path):
            search.find(f"replaces {path}.{name} from another module", node)
        elif name in _DECISIVE and not search.owns(path):
            search.find(f"assigns {name} of {path} from another module", node)


def _of_other(node: Any) -> bool:
    """Whether the class is not that of `self` or `cls`."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return not names & {"self", "cls"}


def store_item(search: Search, node: Any, scope: Scope) -> None:
    """An item that is assigned or deleted."""
    key = index_of(node)
    for path in search.evaluator.paths(node.value, scope):
        names = search.evaluator.texts(key, scope)
        if path == "sys.modules":
            _module_stored(search, names, key, scope, node)
        elif path.endswith((".__globals__", ".f_globals", ".f_builtins", ".f_locals")):
            search.find(f"changes the globals of a function: {path.rpartition('.')[2]}", node)
        elif path.endswith(".__dict__"):
            store_by_namespace(search, path[: -len(".__dict__")], names, node)
        elif path == "os.environ":
            search.marked.update(dict.fromkeys(names, node))
        elif path == "builtins":
            search.find("replaces builtins", node)


def store_by_namespace(search: Search, path: str, names: list[str], node: ast.AST) -> None:
    """Attributes that are set in the namespace of an object."""
    _stored(search, [Thing(path)], names, node)
    if search.is_elsewhere(path) and search.owns(path) and rules.helps_tests(path):
        for name in names or ["?"]:
            search.find(f"replaces {path}.{name} from another module", node)


def _module_stored(search: Search, names: list[str], key: Any, scope: Scope, node: ast.AST) -> None:
    paths = search.evaluator.paths(key, scope)
    own = any(path.startswith("__self__") for path in paths)
    for name in names:
        if not search.owns(name.partition(".")[0]) or rules.helps_tests(name):
            search.find(f"replaces sys.modules[{name!r}]", node)
    if not names and not own and not _mentions_name(key):
        search.find("replaces modules in sys.modules", node)


def _mentions_name(key: ast.AST) -> bool:
    """Whether a key is made of the module's own name."""
    return any(
        getattr(part, "id", getattr(part, "attr", "")) in ("__name__", "__package__")
        for part in ast.walk(key)
    )


def assigned(search: Search, node: Any, scope: Scope) -> None:
    """An assignment that makes an exception stand for all, or rewrites a docstring."""
    search.find_all(objects.of_assignment(node, scope, search.evaluator), node)
    for target in node.targets:
        if isinstance(target, ast.Attribute) and target.attr == "__doc__":
            owners = search.evaluator.values(target.value, scope)
            called = any(isinstance(part, ast.Call) for part in ast.walk(node.value))
            if called and any(isinstance(owner, Own) for owner in owners):
                search.find("rewrites a docstring: __doc__", node)


def set_by_call(search: Search, path: str, node: Any, scope: Scope) -> None:
    """A call of setattr or delattr, or of the method behind it."""
    arguments = node.args
    if any(isinstance(part, ast.Starred) for part in arguments[:2]):
        search.find("hides which attribute it sets: setattr", node)
    owners = search.evaluator.values(arguments[0], scope) if arguments else frozenset()
    rest = arguments[1:]
    bound = path.rpartition(".")[0]
    if not path.startswith("builtins.") and not path.startswith("?"):
        owners, rest = frozenset([Thing(bound)]), arguments
    names = search.evaluator.texts(rest[0], scope) if rest else []
    if not names:
        owners = frozenset(
            owner for owner in owners if isinstance(owner, Thing) and owner.path != "?.__class__"
        )
    _stored(search, owners, names, node)
    for name in names or ["?"]:
        _replaced(search, owners, name, node)
    if set(names) & rules.CODE:
        search.find("changes code objects: assigns __code__", node)


def _attribute_of(path: str, name: str) -> str:
    """An attribute for readers."""
    if path in ("sys.modules[?]", "?module"):
        return f"{name} of {shown(path)}"
    return f"{path}.{name}"
