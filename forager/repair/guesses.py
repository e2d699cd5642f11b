"""Proposals for other missing statements: initial values, guards, steps of a loop."""

import ast
import re
from collections.abc import Iterator

from forager.repair.places import Place, assigned, parameters_of, places
from forager.repair.proposals import Clues, Proposal
from forager.repair.source import Passage

_PRIOR = 0.3
_UNBOUND = re.compile(r"local variable '(\w+)'|name '(\w+)' is not defined")
_EXPECTED = re.compile(r"DID NOT RAISE (?:any of )?\(?<class '(?:[\w.]*\.)?(\w+)'>")
_NO_ATTRIBUTE = re.compile(r"object has no attribute '(\w+)'").findall
_VALUES = ("[]", "{}", "0", "None", "''", "set()", "1", "False", "True", "()", "-1", "0.0",
           "iter({})", "list({})", "len({})", "{}", "str({})", "next({})", "tuple({})", "type({})",
           "{}[0]", "{}.copy()", "dict({})", "{}.strip()", "{}.lower()")  # fmt: skip
_CONDITIONS = ("not {}", "{} < 0", "{} <= 0", "{} < 1", "{} is None", "{} == 0", "{} != {}",
               "{} > {}", "{} < {}", "{} not in {}", "{} in {}", "len({}) != len({})",
               "not isinstance({}, int)", "not isinstance({}, str)", "not callable({})",
               "{}")  # fmt: skip
_GUARD_VALUES = ("None", "[]", "''", "False", "True", "0", "{}", "()", "1", "")


def guesses(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """Statements that the exceptions suggest, and common ones at places that look empty."""
    unbound = [
        one or other
        for message in clues.messages("NameError", "UnboundLocalError")
        for one, other in _UNBOUND.findall(message)
    ]
    raised = [name for _, message in clues.errors for name in _EXPECTED.findall(message)]
    for place in places(passage):
        near = clues.suspicion.of([place.line]) * place.weight
        for statements, likely in _statements(place, unbound, raised):
            yield Proposal(
                passage,
                place.insert(*statements),
                _PRIOR * near * likely,
                f"Something is missing after line {place.line}: perhaps `{statements[0].strip()}`.",
            )
    for name in dict.fromkeys(unbound):
        yield from _initial_values(passage, name)
    yield from _attributes(passage, clues)
    yield from _first_guards(passage, clues, raised)


def _statements(
    place: Place, unbound: list[str], raised: list[str]
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Single statements for one place."""
    if place.loop and (place.replaces or place.weight >= 0.5):
        yield ("continue",), 0.6
        yield ("break",), 0.6
    names = [name for name in assigned(place.function.body) if name not in unbound]
    names += parameters_of(place.function)
    names = list(dict.fromkeys(names))[:7]
    if place.loop:
        yield from ((_step(name), 0.5) for name in names)
        for first in names:
            for second in names:
                if first != second:
                    yield (f"{first}.append({second})",), 0.3
                    yield (f"{first}.add({second})",), 0.1
                    yield (f"{first} += {second}",), 0.15
    if place.replaces:
        if place.before == ():
            yield from (((f"raise {name}",), 1.0) for name in raised)
        for first in names:
            yield from (((f"{first} = {value.format(first)}",), 0.4) for value in _VALUES)
            yield (f"yield {first}",), 0.3
            yield from (((f"{first} = {second}",), 0.2) for second in names if second != first)
    elif place.weight >= 0.5:
        yield from (((f"yield {name}",), 0.15) for name in names if name != "self")


def _attributes(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """`self.x = x` and the like, for attributes that exceptions report as missing."""
    missing = [
        name for message in clues.messages("AttributeError") for name in _NO_ATTRIBUTE(message)
    ]
    for place in places(passage):
        names = parameters_of(place.function)
        if not missing or not place.top or names[:1] != ["self"]:
            continue
        near = clues.suspicion.of([place.line]) * max(place.weight, 0.3)
        names = sorted(names[1:], key=lambda name: name not in missing)
        values = [*names, *(v.format(n) for n in names for v in _VALUES if "{}" in v and v != "{}")]
        values += [value for value in _VALUES if value == "{}" or "{}" not in value]
        for name in dict.fromkeys(missing):
            for rank, value in enumerate(values):
                statement = f"self.{name} = {value}"
                thought = f"Nothing sets the attribute `{name}`; `{statement}` seems to be missing."
                score = near / (1 + 0.1 * rank)
                yield Proposal(passage, place.insert(statement), score, thought)


def _step(name: str) -> tuple[str, ...]:
    return (f"{name} += 1",)


def _initial_values(passage: Passage, name: str) -> Iterator[Proposal]:
    """`name = []` and the like, before the first use of the name or ahead of everything."""
    for place in places(passage):
        names = parameters_of(place.function)
        if not place.top or name in names or not _right_before(place, name):
            continue
        sources = [name for name in names if name not in ("self", "cls")]
        values = [value for value in _VALUES if "{}" not in value or value == "{}"]
        values += [v.format(name) for v in _VALUES if "{}" in v for name in sources]
        values += _calls(place.function)
        for rank, value in enumerate(dict.fromkeys(values)):
            statement = f"{name} = {value}"
            thought = f"`{name}` has no value at first; it may have begun as `{value}`."
            score = _PRIOR * 3 / (1 + 0.1 * rank)
            yield Proposal(passage, place.insert(statement), score, thought)


def _right_before(place: Place, name: str) -> bool:
    """Whether the next statement of the function is the first that uses the name."""
    body = place.function.body
    start = body.index(place.anchor) + (0 if place.ahead else 1)
    using = [
        number
        for number, statement in enumerate(body)
        if any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(statement))
    ]
    return using[:1] == [start]


def _calls(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The values of the function's other assignments."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(ast.unparse(node.value)) < 60:
            yield ast.unparse(node.value)


def _first_guards(passage: Passage, clues: Clues, raised: list[str]) -> Iterator[Proposal]:
    """A guard at the beginning of the function, or after any of its top statements."""
    for place in places(passage):
        if not place.ahead and not (place.top and len(place.before) == 1):
            continue
        names = [name for name in parameters_of(place.function) if name not in ("self", "cls")]
        names = list(dict.fromkeys([*names, *assigned(list(place.before))]))[:4]
        near = 0.3 + clues.suspicion.of([place.line])
        for condition in _conditions(names):
            for name in dict.fromkeys(raised):
                guard = (f"if {condition}:", f"    raise {name}")
                yield Proposal(passage, place.insert(*guard), 0.5 * near, _guard(place, name))
            if not raised and place.weight > 0.05:
                for value in (*_GUARD_VALUES, *names):
                    guard = (f"if {condition}:", f"    return {value}".rstrip())
                    yield Proposal(
                        passage, place.insert(*guard), 0.01 * near, _guard(place, "return")
                    )
        if not raised:
            for name in names:
                for value in _VALUES[:10]:
                    guard = (f"if {name} is None:", f"    {name} = {value}")
                    yield Proposal(
                        passage, place.insert(*guard), 0.02 * near, _guard(place, "default")
                    )


def _guard(place: Place, what: str) -> str:
    return f"The input is not checked after line {place.line}; a guard ({what}) may be missing."


def _conditions(names: list[str]) -> Iterator[str]:
    for condition in _CONDITIONS:
        if condition.count("{}") == 1:
            yield from (condition.format(name) for name in names)
        else:
            yield from (
                condition.format(first, second)
                for first in names
                for second in names
                if first != second
            )
