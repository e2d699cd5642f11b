"""Proposals that put back a missing import."""

import ast
import re
from collections.abc import Iterator

from forager.repair.places import is_text, places
from forager.repair.proposals import Clues, Proposal
from forager.repair.source import Passage

_PRIOR = 2.0
_MISSING = re.compile(
    r"name '(\w+)' is not defined|cannot import name '(\w+)'"
    r"|module '[\w.]+' has no attribute '(\w+)'|local variable '(\w+)'"
)
_FOUND = re.compile(r"^(\w+) (is not defined|may be missing)")
_TRIED = 6  # ways to import one name
_POSITIONS = 8


Ways = dict[str, list[str]]  # a name, and the import statements that would bind it


def missing_names(errors: list[tuple[str, str]]) -> list[str]:
    """The names that exceptions report as undefined, each once."""
    found = (_MISSING.search(message) for name, message in errors if name.endswith("Error"))
    return list(dict.fromkeys(next(filter(None, m.groups())) for m in found if m))


def read_ways(output: str) -> tuple[Ways, Ways]:
    """The output of the names program: imports for each undefined name, and for other names."""
    undefined: Ways = {}
    others: Ways = {}
    found: list[str] = []
    for line in output.splitlines():
        if match := _FOUND.match(line):
            found = (undefined if match[2].startswith("is") else others).setdefault(match[1], [])
        elif line.startswith("    "):
            found.append(line.strip())
    return undefined, others


def imports_in_function(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """An import in a function: instead of a `pass`, or ahead of all statements."""
    for place in places(passage):
        if place.replaces or place.ahead:
            for name, ways in clues.ways.items():
                for rank, way in enumerate(ways[:_TRIED]):
                    score = _PRIOR * (2 if place.replaces else 1) / (1 + rank)
                    yield Proposal(passage, place.insert(way), score, _thought(name, way))


def imports_in_module(passage: Passage, undefined: Ways, others: Ways) -> Iterator[Proposal]:
    """The undefined names imported, at each place among the imports of a module's head.

    First all in the likeliest way, then each in turn in another way; then names that only other
    files use, one at a time.
    """
    best = {name: each[0] for name, each in undefined.items() if each}
    choices = [best] if best else []
    choices += [best | {name: way} for name, each in undefined.items() for way in each[1:_TRIED]]
    choices += [best | {name: way} for name, each in others.items() for way in each[:2]]
    choices += [{name: each[0] for name, each in others.items() if each}]
    for number, choice in enumerate(filter(None, choices)):
        for rank, lines in enumerate(_placed(passage, list(dict.fromkeys(choice.values())))):
            score = _PRIOR / (1 + 0.3 * number) / (1 + rank)
            name, way = list(choice.items())[-1]
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
    return f"`{name}` is not defined there. `{way}` seems to be missing."
