"""What an expression is made of, as far as its file shows."""

from __future__ import annotations

import ast
from typing import Any, Iterator

from . import rules
from .evaluator import Evaluator
from .scopes import Binding, Scope


def ingredients(node: ast.AST, scope: Scope, evaluator: Evaluator) -> set[str]:
    """What an expression is made of, as far as the file shows: paths, texts (`=…`).

    Names are followed to what the file binds to them, functions to what they return.
    """
    found: set[str] = set()
    waiting: list[Any] = [(node, scope, 0)]
    seen: set[int] = set()
    while waiting and len(seen) < 400:
        part, where, depth = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, ast.Constant):
            if isinstance(part.value, str):
                found.add(f"={part.value[:300]}")
            continue
        if isinstance(part, (ast.BinOp, ast.JoinedStr, ast.Call)):
            found |= {f"={text[:300]}" for text in evaluator.texts(part, where)}
        found |= _marks(part)
        if isinstance(part, (ast.Name, ast.Attribute)):
            found |= set(evaluator.paths(part, where))
            if depth < 6:
                waiting += _sources(part, where, depth + 1, evaluator)
        waiting += [(child, where, depth) for child in ast.iter_child_nodes(part)]
    return found | {path.partition("[")[0].partition("(")[0] for path in found}


def _sources(part: Any, scope: Scope, depth: int, evaluator: Evaluator) -> Iterator[Any]:
    """What the file binds to a name; the values that a function returns."""
    name = part.id if isinstance(part, ast.Name) else part.attr
    place: Scope | None = scope
    bindings: list[Binding] = []
    while place is not None and not bindings and isinstance(part, ast.Name):
        bindings = place.names.get(name, [])
        place = place.parent
    for binding in bindings[:12]:
        if binding.kind == "value":
            yield binding.node, binding.scope, depth
        elif binding.kind == "own":
            for value, where in evaluator.layout.returns.get(id(binding.node), ())[:12]:
                yield value, where, depth


def _marks(node: ast.AST) -> set[str]:
    """Signs of decoding and reading that have no path."""
    if isinstance(node, ast.Name) and node.id == "__file__":
        return {"__file__"}
    if isinstance(node, ast.Attribute):
        if node.attr in rules.READING_ATTRIBUTES:
            return {node.attr}
        return {"builtins.chr"} if node.attr in ("translate", "fromhex", "to_bytes") else set()
    if isinstance(node, ast.BitXor):
        return {"builtins.chr"}
    if isinstance(node, ast.Slice) and isinstance(node.step, ast.UnaryOp):
        return {"builtins.reversed"}
    return set()
