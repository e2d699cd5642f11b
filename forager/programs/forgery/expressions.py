"""Says what each kind of expression can stand for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .call_results import result_of
from .evaluator import Evaluator
from .operations import MOST, fewer, index_of, operated, parts_of, single, sliced
from .scopes import Scope
from .values import NOTHING, Constant, Own, Sequence, Table, constant

if TYPE_CHECKING:
    from .evaluator import Reader
    from .values import Values


def _constant(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    return constant(node.value, built=False)


def _name(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    if given and node.id in given:
        return given[node.id]  # type: ignore[no-any-return]
    return evaluator.lookup(node.id, scope, depth)


def _attribute(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    return evaluator.attribute(evaluator.values(node.value, scope, given, depth), node.attr, depth)


def _subscript(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    index = index_of(node)
    owners = evaluator.values(node.value, scope, given, depth)
    if isinstance(index, ast.Slice):
        given_bounds = (index.lower, index.upper, index.step)
        bounds = [
            single(evaluator.values(bound, scope, given, depth)) if bound is not None else None
            for bound in given_bounds
        ]
        unknown = [
            bound is not None and not isinstance(value, int)
            for bound, value in zip(given_bounds, bounds)
        ]
        return NOTHING if any(unknown) else sliced(owners, bounds)
    keys = evaluator.values(index, scope, given, depth)
    return evaluator.entry(owners, keys, depth)


def _call(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    arguments = [evaluator.values(part, scope, given, depth) for part in node.args[:32]]
    found: set[Any] = set()
    for function in evaluator.values(node.func, scope, given, depth):
        found |= result_of(evaluator, function, arguments, depth)
    return frozenset(found)


def _operation(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    """The result of an operation; a long chain of them is read without recursion."""
    chain: list[tuple[ast.operator, ast.AST]] = []
    first: Any = node
    while isinstance(first, ast.BinOp):
        chain.append((first.op, first.right))
        first = first.left
    found = evaluator.values(first, scope, given, depth)
    for operator, right in reversed(chain):
        others = evaluator.values(right, scope, given, depth)
        results: set[Any] = set()
        for left_value in found:
            for right_value in others:
                results |= operated(operator, left_value, right_value)
        found = fewer(frozenset(results)) if len(results) > MOST else frozenset(results)
        if not found:
            return NOTHING
    return found


def _joined(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    text, built = "", False
    for part in node.values:
        inner = part.value if isinstance(part, ast.FormattedValue) else part
        formatted = getattr(part, "format_spec", None) is not None
        value = single(evaluator.values(inner, scope, given, depth))
        if value is None or formatted:
            return NOTHING
        built = built or isinstance(part, ast.FormattedValue)
        text += str(value)
    return constant(text, built)


def _tuple(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    if len(node.elts) > 512:
        return NOTHING
    parts: list[Values] = []
    for part in node.elts:
        if isinstance(part, ast.Starred):
            row = next(iter(evaluator.values(part.value, scope, given, depth)), None)
            parts += parts_of(row)
        else:
            parts.append(evaluator.values(part, scope, given, depth))
    return frozenset([Sequence(tuple(parts))])


def _dict(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    if len(node.keys) > 256:
        return NOTHING
    found = []
    for key, value in zip(node.keys, node.values):
        name = None if key is None else single(evaluator.values(key, scope, given, depth))
        if name is not None:
            found.append((name, evaluator.values(value, scope, given, depth)))
    return frozenset([Table(tuple(found))])


def _comprehension(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
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
        for row in evaluator.values(loop.iter, scope, given, depth)
        if isinstance(row, (Sequence, Constant))
    ]
    if len(rows) != 1 or loop.ifs:
        return NOTHING
    parts = parts_of(rows[0])
    if len(parts) > 1024:
        return NOTHING
    made = [
        evaluator.values(node.elt, scope, {**(given or {}), name: part}, depth) for part in parts
    ]
    return frozenset([Sequence(tuple(made))])


def _either(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    sides = node.values if isinstance(node, ast.BoolOp) else (node.body, node.orelse)
    found: set[Any] = set()
    for side in sides:
        found |= evaluator.values(side, scope, given, depth)
    return frozenset(found)


def _inner(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    return evaluator.values(node.value, scope, given, depth)


def _negative(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    value = single(evaluator.values(node.operand, scope, given, depth))
    if isinstance(value, int) and isinstance(node.op, (ast.USub, ast.Invert)):
        return constant(-value if isinstance(node.op, ast.USub) else ~value)
    return NOTHING


def _lambda(evaluator: Evaluator, node: Any, scope: Scope, given: Any, depth: int) -> Values:
    return frozenset([Own(node, scope)])


READERS: dict[Any, Reader] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.BinOp: _operation,
    ast.UnaryOp: _negative,
    ast.JoinedStr: _joined,
    ast.Tuple: _tuple,
    ast.List: _tuple,
    ast.Set: _tuple,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.BoolOp: _either,
    ast.IfExp: _either,
    ast.NamedExpr: _inner,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.Lambda: _lambda,
}
