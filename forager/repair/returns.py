"""Proposals that put back a missing `return`."""

import ast
import re
from collections.abc import Iterator

from forager.repair.places import Place, assigned, is_text, parameters_of, places
from forager.repair.proposals import Clues, Proposal
from forager.repair.source import FUNCTIONS, Passage

_PRIOR = 0.25
_NONE_SEEN = 4.0  # the tests got None: likelier by this factor
_CONSTANTS = {"True": 0.4, "False": 0.4, "None": 0.3, "[]": 0.1, "''": 0.1, "0": 0.1, "{}": 0.1,
              "()": 0.05, "-1": 0.05, "1": 0.1, "NotImplemented": 0.1, "": 0.25}  # fmt: skip
_WRAPPERS = ("''.join({})", "list({})", "tuple({})", "iter({})", "dict({})", "set({})",
             "len({})", "str({})", "bool({})", "not {}", "{}[0]", "{}[-1]", "sorted({})",
             "next({})", "cls({})", "type(self)({})", "self.__class__({})")  # fmt: skip
_SHOWN_NAMES = 6  # names that are tried in the place of a foreign one


def returns(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """A `return` at each place where one may be missing, best guesses first."""
    known = known_names(passage)
    templates = [*_own_returns(passage), *clues.returns]
    for place in places(passage):
        if place.ahead or (is_generator(place.function) and not place.replaces):
            continue
        weight = _PRIOR * place.weight * clues.suspicion.of([place.line, _head(place)])
        weight *= _NONE_SEEN if clues.none_appears else 1.0
        if place.top and place.weight < 1 and not _returns_value(place.function):
            weight *= 2.0
        guesses = expressions(place, known, templates)
        for expression, likely in sorted(guesses.items(), key=lambda guess: -guess[1])[:150]:
            statement = f"return {expression}".rstrip()
            yield Proposal(
                passage,
                place.insert(statement),
                weight * likely,
                f"Nothing is returned after line {place.line}; `{statement}` seems to be missing.",
            )


def expressions(place: Place, known: set[str], templates: list[str]) -> dict[str, float]:
    """Expressions to return at a place, each with its likelihood."""
    found: dict[str, float] = {}

    def add(expression: str, likely: float) -> None:
        if likely > found.get(expression, 0):
            found[expression] = likely

    names = _names(place)
    for rank, name in enumerate(names):
        add(name, 1.0 / (1 + 0.5 * rank))
        for wrapper in _WRAPPERS:
            add(wrapper.format(name), 0.12 / (1 + rank))
    for expression, likely in _CONSTANTS.items():
        add(expression, likely)
    if place.before and isinstance(place.before[-1], (*FUNCTIONS, ast.ClassDef)):
        add(place.before[-1].name, 3.0)
    for expression in _from_calls(place):
        add(expression, 0.6)
    own = place.function.name
    for expression in (f"self._{own}", f"self.__{own}", f"self._{own}()", f"not self.{own[4:]}"):
        if "self" in names:
            add(expression, 0.3)
    for text in templates:
        for expression, likely in _fitted(text, names, known):
            add(expression, 0.5 * likely)
    return found


def known_names(passage: Passage) -> set[str]:
    """The names that a function reads but does not bind: they exist outside."""
    tree = passage.tree()
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in nodes if isinstance(node.ctx, ast.Load)}


def is_generator(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function yields."""
    inner = {
        below
        for node in ast.walk(function)
        if isinstance(node, (*FUNCTIONS, ast.Lambda)) and node is not function
        for below in ast.walk(node)
    }
    kinds = (ast.Yield, ast.YieldFrom)
    return any(isinstance(node, kinds) and node not in inner for node in ast.walk(function))


def _head(place: Place) -> int:
    """The line of the statement before the place, or of the function."""
    return place.passage.line_of(place.before[-1].lineno if place.before else place.anchor.lineno)


def _returns_value(function: ast.AST) -> bool:
    return any(isinstance(node, ast.Return) and node.value for node in ast.walk(function))


def _names(place: Place) -> list[str]:
    """The variables in sight, the likeliest first."""
    local = assigned(list(place.before))
    others = [name for name in assigned(place.function.body) if name not in local]
    parameters = parameters_of(place.function)
    first = [name for name in parameters if name in ("self", "cls")]
    rest = [name for name in parameters if name not in first]
    return list(dict.fromkeys([*local, *others, *rest, *first]))


def _from_calls(place: Place) -> Iterator[str]:
    """Calls of a wrapped function, and the receiver of the last call."""
    names = parameters_of(place.function)
    starred = place.function.args.vararg, place.function.args.kwarg
    if starred[0] and starred[1]:
        passed = f"*{starred[0].arg}, **{starred[1].arg}"
        for name in ("func", "fn", "f", "function", "method", "wrapped"):
            yield f"{name}({passed})"
    if place.before and isinstance(place.before[-1], ast.Expr) and not is_text(place.before[-1]):
        yield ast.unparse(place.before[-1].value)
    for first in names:
        others = [name for name in names if name != first]
        if others and first in ("func", "fn", "f", "function", "key", "callback"):
            yield f"{first}({', '.join(others)})"


def _own_returns(passage: Passage) -> list[str]:
    nodes = [node for node in ast.walk(passage.tree()) if isinstance(node, ast.Return)]
    return [ast.unparse(node.value) for node in nodes if node.value]


def _fitted(text: str, names: list[str], known: set[str]) -> Iterator[tuple[str, float]]:
    """An expression of another place, rewritten with the names in sight here."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return
    read = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    foreign = [name for name in read if name not in names and name not in known | called]
    if not foreign:
        yield text, 1.0
    elif len(foreign) == 1:
        for rank, name in enumerate(names[:_SHOWN_NAMES]):
            yield re.sub(rf"(?<![.\w]){foreign[0]}\b", name, text), 0.6 / (1 + rank)
