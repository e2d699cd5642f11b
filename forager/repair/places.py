"""Where in a function a statement may be missing."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from forager.repair.source import FUNCTIONS, Passage

_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_SCOPE = (*FUNCTIONS, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Place:
    """A point where a statement fits: after the statements `before` in a block of `function`.

    `weight` says how likely a statement is missing: most likely if the block is only a `pass` or a
    docstring.
    """

    passage: Passage
    function: ast.FunctionDef | ast.AsyncFunctionDef
    before: tuple[ast.stmt, ...]
    anchor: ast.stmt  # the statement after which, ahead of which, or instead of which
    replaces: bool  # the anchor is a `pass`
    weight: float
    top: bool  # in the function's own block
    loop: bool  # inside a loop
    ahead: bool = False  # first of all in the function

    @property
    def line(self) -> int:
        """The file's line of the statement that runs right before."""
        return self.passage.line_of(self.anchor.lineno)

    def insert(self, *statements: str) -> tuple[str, ...]:
        """The passage's lines with these statements there."""
        lines = self.passage.lines
        index = self.passage.index_of(self.anchor.lineno)
        column = len(lines[index].encode()[: self.anchor.col_offset].decode())
        if self.replaces:
            head, tail = lines[index][:column], lines[index][column + len("pass") :]
            body = _indented(statements, " " * column if not head.strip() else "")
            if head.strip() and len(body) == 1:
                return (*lines[:index], head + body[0] + tail, *lines[index + 1 :])
            if not head.strip():
                return (*lines[:index], *body, *lines[index + 1 :])
            return lines
        if self.ahead:
            decorators = getattr(self.anchor, "decorator_list", [])
            end = self.passage.index_of(min(node.lineno for node in [self.anchor, *decorators]))
        else:
            end = self.passage.index_of(self.anchor.end_lineno or self.anchor.lineno) + 1
        indent = lines[index][: len(lines[index]) - len(lines[index].lstrip())]
        return (*lines[:end], *_indented(statements, indent), *lines[end:])


def _indented(statements: tuple[str, ...], indent: str) -> list[str]:
    return [indent + statement for statement in statements]


def places(passage: Passage) -> Iterator[Place]:
    """All places of a function and of its nested functions."""
    for node in ast.walk(passage.tree()):
        if isinstance(node, FUNCTIONS):
            yield from _in_block(passage, node, node, node.body, False)


def _in_block(
    passage: Passage,
    function: ast.FunctionDef | ast.AsyncFunctionDef,
    owner: ast.AST,
    block: list[ast.stmt],
    loop: bool,
) -> Iterator[Place]:
    top = owner is function
    hollow = top and len(block) == 1 and is_text(block[0])
    first = block[1] if top and is_text(block[0]) and len(block) > 1 else block[0]
    if top and not hollow and first.lineno != function.lineno:
        yield Place(passage, function, (), first, False, 0.3, top, loop, ahead=True)
    for number, statement in enumerate(block):
        before = tuple(block[: number + 1])
        last = number + 1 == len(block)
        if isinstance(statement, ast.Pass):
            yield Place(passage, function, before[:-1], statement, True, 4.0, top, loop)
        elif not isinstance(statement, _ENDS) and statement.lineno != _line_of(owner):
            weight = 3.0 if hollow else (0.8 if top else 0.5) if last else 0.1
            yield Place(passage, function, before, statement, False, weight, top, loop)
        if not isinstance(statement, _SCOPE):
            inner = loop or isinstance(statement, ast.For | ast.AsyncFor | ast.While)
            for inside in _blocks(statement):
                yield from _in_block(passage, function, statement, inside, inner)


def _line_of(owner: ast.AST) -> int:
    return getattr(owner, "lineno", 0)


def is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for handler in getattr(statement, "handlers", []):
        yield handler.body
    for case in getattr(statement, "cases", []):
        yield case.body


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[str]:
    """The names of all parameters, in order."""
    all_of = function.args
    rest = [argument for argument in (all_of.vararg, all_of.kwarg) if argument]
    return [
        argument.arg for argument in (*all_of.posonlyargs, *all_of.args, *all_of.kwonlyargs, *rest)
    ]


def free_names(passage: Passage) -> set[str]:
    """The names that a function reads and does not bind itself."""
    nodes = list(ast.walk(passage.tree()))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {str(node.name) for node in nodes if hasattr(node, "name")}
    return {node.id for node in names} - bound


def assigned(nodes: tuple[ast.stmt, ...] | list[ast.stmt]) -> list[str]:
    """The names that statements bind, the last one first, without nested scopes."""
    found: dict[str, None] = {}
    for node in nodes:
        for inner in _walk_scope(node):
            name = getattr(inner, "id", None) or getattr(inner, "name", None)
            is_binding = isinstance(inner, _SCOPE) or isinstance(
                getattr(inner, "ctx", None), ast.Store
            )
            if is_binding and isinstance(name, str):
                found.pop(name, None)
                found[name] = None
    return list(reversed(found))


def _walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, (*_SCOPE, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        for child in ast.iter_child_nodes(node):
            yield from _walk_scope(child)
