"""Reduces a failing test to what a user would run: a call with its values, and what it should give.

The statements that a failure needs are put together and written anew: names with one value or one
use are replaced by it, other local names are renamed, and checks become a call and a wanted result.
Helpers in the test's file are entered, and parameters get the values of the failing case.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from forager.environments.repository.testing import Failure
from forager.mutation.checks import Assertion, check_of
from forager.mutation.files import parse
from forager.mutation.parametrized import parameters_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Values = dict[str, ast.expr]

_LINES = 14  # most lines of an example
_VALUE = 200  # most characters of a value that stands for its name
_FRESH = "xyzabcdefghijklmnopqrstuvw"


@dataclass(frozen=True, slots=True)
class FailingCall:
    """What a failing test did; the texts are code, empty where nothing is known."""

    code: str = ""
    """The statements, the last of which is the one that failed."""
    call: str = ""
    """The last expression alone."""
    operator: str = ""
    """How the call's result compares to what is expected, such as "=="; "raises" for an error."""
    wanted: str = ""


def reproduction(name: str, failure: Failure, tests: Mapping[str, str]) -> FailingCall:
    """What the test of this id did until it failed; `tests` are texts by path."""
    path, line = failure.frames[0][:2] if failure.frames else ("", 0)
    try:
        tree = parse(tests.get(path, ""))
        found = _function_at(tree, line)
        return _reproduced(tree, found, name, failure) if found else FailingCall()
    except (SyntaxError, ValueError, RecursionError):  # for example code for a later Python
        return FailingCall()


def _reproduced(tree: ast.Module, function: Function, name: str, failure: Failure) -> FailingCall:
    path, line, _ = failure.frames[0]
    values = {**_constants(tree.body), **parameters_of(function, name)}
    steps, at, later = _steps(function, line)
    for file, inner_line, helper in failure.frames[1:]:
        if file != path or not at or not (entered := _entered(tree, at, helper, inner_line)):
            break
        inner, given = entered
        bound = {key: _Inlined(values).visit(deepcopy(value)) for key, value in given.items()}
        values |= {key: value for key, value in bound.items() if _is_short(value)}
        more, at, later = _steps(inner, inner_line)
        steps = [*steps, *more]
    return _written(steps, at, later, values) if at else FailingCall()


def _function_at(tree: ast.Module, line: int) -> Function | None:
    around = [node for node in ast.walk(tree) if isinstance(node, Function) and _holds(node, line)]
    return max(around, key=lambda node: node.lineno) if around else None


def _steps(
    function: Function, line: int
) -> tuple[list[ast.stmt], ast.stmt | None, Sequence[ast.stmt]]:
    """The statements before the one at a line, this one, and the statements after it."""
    before: list[ast.stmt] = []
    body: Sequence[ast.stmt] = function.body
    while True:
        at = next((step for step in body if _first(step) <= line <= _last(step)), None)
        if at is None:
            return [], None, []
        place = list(body).index(at)
        later = body[place + 1 :]
        before += [step for step in body[:place] if not _is_idle(step)]
        if not isinstance(at, ast.If) or line <= _last(at.test):
            break
        body = at.body if line <= _last(at.body[-1]) else at.orelse
        if body is at.body and check_of(at):
            break
    if _height(at) > _LINES:  # for example a loop: take the statement in it that failed
        inside = [
            node for node in ast.walk(at) if isinstance(node, ast.stmt) and _holds(node, line)
        ]
        at = max(inside, key=lambda node: (node.lineno, -(node.end_lineno or 0)))
    return before, at, later


def _entered(
    tree: ast.Module, at: ast.stmt, helper: str, line: int
) -> tuple[Function, Values] | None:
    """The helper that a statement calls, and the values of its parameters."""
    inner = _function_at(tree, line)
    for call in ast.walk(at):
        if not isinstance(call, ast.Call) or inner is None or inner.name != helper:
            continue
        called = call.func
        is_method = isinstance(called, ast.Attribute)
        if helper != (called.attr if is_method else ast.unparse(called)):  # type: ignore[attr-defined]
            continue
        parameters = inner.args.posonlyargs + inner.args.args
        names = [parameter.arg for parameter in parameters]
        defaults = dict(zip(reversed(names), reversed(inner.args.defaults), strict=False))
        if is_method and names[:1] == ["self"]:
            names = names[1:]
        given = {word.arg: word.value for word in call.keywords if word.arg}
        return inner, {**defaults, **dict(zip(names, call.args, strict=False)), **given}
    return None


def _written(
    steps: Sequence[ast.stmt], at: ast.stmt, later: Sequence[ast.stmt], values: Values
) -> FailingCall:
    check = check_of(at)
    if check is None:
        between, check = _check_after(at, later)
        steps = [*steps, at, *between] if check else steps
    check = check or Assertion([at], "", None)
    wanted: list[ast.stmt] = [ast.Expr(check.wanted)] if check.wanted else []
    kept = _needed(steps, [*check.subject, *wanted])
    kept, target, wanted = _inlined(kept, check.subject, wanted, values)
    _rename([*kept, *target, *wanted])
    stored = {name for step in kept for name in _names(step, ast.Store)}
    last = target[-1]
    is_call = isinstance(last, ast.Expr) and not _names(last, ast.Load) & stored
    return FailingCall(
        "\n".join(map(ast.unparse, [*kept, *target])),
        ast.unparse(last) if is_call else "",
        check.operator,
        ast.unparse(wanted[0]) if wanted else "",
    )


def _check_after(
    at: ast.stmt, later: Sequence[ast.stmt]
) -> tuple[list[ast.stmt], Assertion | None]:
    """The first check of what a statement makes, and the statements between them."""
    made = _names(at, ast.Store)
    between: list[ast.stmt] = []
    for step in later:
        if not made & _names(step, ast.Load):
            continue
        if check := check_of(step):
            return between, check
        made |= _names(step, ast.Store)
        between.append(step)
    return [], None


def _needed(before: Sequence[ast.stmt], target: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The earlier statements that the target needs; if they are too many, the nearest ones."""
    wanted = {name for step in target for name in _names(step, ast.Load)}
    kept, height = list[ast.stmt](), sum(map(_height, target))
    for statement in reversed(before):
        stored = _names(statement, ast.Store)
        if not (stored or _names(statement, ast.Load)) & wanted:
            continue
        height += _height(statement)
        if height > _LINES:
            break
        kept.insert(0, statement)
        if isinstance(statement, ast.Assign):
            wanted = wanted - stored
        wanted = wanted | _names(statement, ast.Load)
    return kept


def _inlined(
    kept: Sequence[ast.stmt], target: Sequence[ast.stmt], wanted: Sequence[ast.stmt], values: Values
) -> tuple[list[ast.stmt], list[ast.stmt], list[ast.stmt]]:
    """The statements with values in place of names that have one value or one use."""
    values, steps = dict(values), list[ast.stmt]()
    waiting = [part for step in kept for part in _split(deepcopy(step))]
    for place, step in enumerate(waiting):
        step = _Inlined(values).visit(step)
        rest = [*waiting[place + 1 :], *target, *wanted]
        name, value = _assigned(step)
        is_last = all(_assigned(other)[0] for other in waiting[place + 1 :])
        if value and (_is_constant(value) or (is_last and _uses(name, rest) == 1)):
            values[name] = value
            continue
        for stored in _names(step, ast.Store):
            values.pop(stored, None)
        steps.append(step)
    put = _Inlined(values)
    return (
        steps,
        [put.visit(deepcopy(step)) for step in target],
        [put.visit(deepcopy(step)) for step in wanted],
    )


def _split(step: ast.stmt) -> Iterator[ast.stmt]:
    """`a, b = 1, 2` as two assignments."""
    match step:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=given)) if len(
            names
        ) == len(given):
            yield from (
                ast.Assign([name], value, lineno=0)
                for name, value in zip(names, given, strict=True)
            )
        case _:
            yield step


def _assigned(step: ast.stmt) -> tuple[str, ast.expr | None]:
    match step:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value if _is_short(value) else None
        case _:
            return "", None


def _is_short(value: ast.expr) -> bool:
    return len(ast.unparse(value)) <= _VALUE


def _uses(name: str, steps: Sequence[ast.stmt]) -> int:
    return sum(
        isinstance(node, ast.Name) and node.id == name for step in steps for node in ast.walk(step)
    )


class _Inlined(ast.NodeTransformer):
    """Replaces the names that a statement reads by their values."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name, or the expression in its place."""
        if isinstance(node.ctx, ast.Load) and node.id in self._values:
            return deepcopy(self._values[node.id])
        return node


def _rename(steps: Sequence[ast.stmt]) -> None:
    """Give new names to the variables of statements."""
    nodes = [node for step in steps for node in ast.walk(step) if isinstance(node, ast.Name)]
    fresh = iter(letter for letter in _FRESH if letter not in {node.id for node in nodes})
    new: dict[str, str] = {}
    for node in nodes:
        if isinstance(node.ctx, ast.Store) and node.id not in new:
            new[node.id] = next(fresh, node.id) if len(node.id) > 1 else node.id
    for node in nodes:
        node.id = new.get(node.id, node.id)


def _constants(body: Sequence[ast.stmt]) -> Values:
    """The constants of a test file."""
    found = (_assigned(step) for step in body)
    return {name: value for name, value in found if value and _is_constant(value)}


def _is_constant(value: ast.expr) -> bool:
    """Whether an expression is a value that no statement can change."""
    return all(
        isinstance(node, ast.Constant | ast.Tuple | ast.UnaryOp | ast.unaryop | ast.expr_context)
        for node in ast.walk(value)
    )


def _is_idle(statement: ast.stmt) -> bool:
    """Whether a statement is a check or a lone constant, such as a docstring."""
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or check_of(statement) is not None


def _names(node: ast.stmt, context: type[ast.expr_context]) -> set[str]:
    """The names that a statement reads (Load) or binds (Store) around it."""
    if context is ast.Store and isinstance(node, Function | ast.ClassDef):
        return {node.name}
    if context is ast.Store and isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    within = {
        name.id
        for part in ast.walk(node)
        if isinstance(part, ast.comprehension)
        for name in ast.walk(part.target)
        if isinstance(name, ast.Name)
    }
    return {
        child.id
        for child in ast.walk(node)
        if isinstance(child, ast.Name) and isinstance(child.ctx, context)
    } - within


def _height(node: ast.stmt) -> int:
    return ast.unparse(node).count("\n") + 1


def _first(step: ast.stmt) -> int:
    """The first line of a statement, with its decorators."""
    decorators = step.decorator_list if isinstance(step, Function | ast.ClassDef) else []
    return min([step.lineno, *(decorator.lineno for decorator in decorators)])


def _last(node: ast.stmt | ast.expr) -> int:
    return node.end_lineno or node.lineno


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= _last(node)
