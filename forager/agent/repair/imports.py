"""Proposals that put back a missing import."""

import ast
import re
from collections.abc import Iterator, Mapping

from forager.agent.repair.places import is_text, places
from forager.agent.repair.proposals import Clues, Proposal
from forager.agent.repair.source import Passage

_PRIOR = 2.0
_MISSING = re.compile(
    r"name '(\w+)' is not defined|cannot import name '(\w+)'"
    r"|module '[\w.]+' has no attribute '(\w+)'|local variable '(\w+)'"
)
_FOUND = re.compile(r"^(\w+) is not defined")
_TRIED = 6  # ways to import one name
_POSITIONS = 8


def missing_names(errors: list[tuple[str, str]]) -> list[str]:
    """The names that exceptions complain of, each once."""
    found = (_MISSING.search(message) for name, message in errors if name.endswith("Error"))
    return list(dict.fromkeys(next(filter(None, m.groups())) for m in found if m))


def read_ways(output: str) -> dict[str, list[str]]:
    """What the names program printed: each undefined name and how it can be imported."""
    ways: dict[str, list[str]] = {}
    name = ""
    for line in output.splitlines():
        if match := _FOUND.match(line):
            name = match[1]
            ways[name] = []
        elif name and line.startswith("    "):
            ways[name].append(line.strip())
    return ways


def imports_in_function(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """An import in a function: instead of a `pass`, or at its beginning."""
    for number, place in enumerate(places(passage)):
        early = place.top and len(place.before) <= 1
        if not place.replaces and not early:
            continue
        for name, ways in clues.ways.items():
            for rank, way in enumerate(ways[:_TRIED]):
                score = _PRIOR * (2 if place.replaces else 1) / (1 + rank) / (1 + 0.2 * number)
                yield Proposal(passage, place.insert(way), score, _thought(name, way))
    yield from _at_beginning(passage, clues)


def _at_beginning(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    function = next(n for n in ast.walk(passage.tree()) if isinstance(n, ast.FunctionDef))
    body = [each for each in function.body if not is_text(each)]
    if not body or body[0].lineno == function.lineno:
        return
    index = passage.index_of(min([body[0].lineno, *_decorators(body[0])]))
    indent = " " * body[0].col_offset
    for name, ways in clues.ways.items():
        for rank, way in enumerate(ways[:_TRIED]):
            lines = (*passage.lines[:index], indent + way, *passage.lines[index:])
            yield Proposal(passage, lines, _PRIOR / (1 + rank), _thought(name, way))


def _decorators(statement: ast.stmt) -> list[int]:
    return [each.lineno for each in getattr(statement, "decorator_list", [])]


def imports_in_module(passage: Passage, ways: Mapping[str, list[str]]) -> Iterator[Proposal]:
    """All missing names imported at once, at each place among the imports of a module's head.

    Each name in the likeliest way at first, then each in turn in another way.
    """
    choices = [{name: each[0] for name, each in ways.items() if each}]
    for name, each in ways.items():
        choices += [choices[0] | {name: way} for way in each[1:_TRIED]]
    for number, choice in enumerate(choices if choices[0] else []):
        for rank, lines in enumerate(_placed(passage, list(dict.fromkeys(choice.values())))):
            score = _PRIOR / (1 + number) / (1 + 0.3 * rank)
            name, way = next(iter(choice.items()))
            yield Proposal(passage, lines, score, _thought(name, way))


def _placed(passage: Passage, statements: list[str]) -> list[tuple[str, ...]]:
    """The head with the statements in it: for a `pass`, or after an import, the last one first."""
    lines = passage.lines
    found = []
    for index, line in enumerate(lines):
        if line.strip() == "pass" and not re.match(r"\s*(def|class|except)", lines[index - 1]):
            indent = line[: len(line) - len(line.lstrip())]
            new = tuple(indent + statement for statement in statements)
            found.append((*lines[:index], *new, *lines[index + 1 :]))
    ends = import_ends(passage)
    positions = [*ends[-1:], *ends[:1], *reversed(ends[1:-1])] or [0]
    places = positions[:_POSITIONS]
    return found + [(*lines[:index], *statements, *lines[index:]) for index in places]


def import_ends(passage: Passage) -> list[int]:
    """After how many lines a top-level import, or the docstring, has ended."""
    for count in range(len(passage.lines), 0, -1):
        try:
            tree = ast.parse("\n".join(passage.lines[:count]))
        except (SyntaxError, ValueError):
            continue
        kinds = (ast.Import, ast.ImportFrom)
        nodes = [node for node in tree.body if isinstance(node, kinds) or is_text(node)]
        return [node.end_lineno or 0 for node in nodes]
    return []


def _thought(name: str, way: str) -> str:
    return f"`{name}` is used but nothing defines it. `{way}` is missing."
