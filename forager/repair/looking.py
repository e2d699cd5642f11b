"""Finds the place: the function that the statement names, or those that the tests point at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from forager.repair import investigation
from forager.repair.hands import Acting, Hands
from forager.repair.imports import missing_names
from forager.repair.observation import ToolAnswer
from forager.repair.source import Definition, Passage
from forager.repair.statement import Statement

_SUSPECTS = 5  # functions to read if the statement names none
_LINES = 20  # the most suspicious lines, which decide which functions


@dataclass(slots=True)
class Suspects:
    """The passages in which the bug may be, the most suspicious first, and what the search saw.

    `spectrum` is None if the statement named the place.
    """

    passages: list[Passage] = field(default_factory=list)
    defined: set[str] = field(default_factory=set)
    spectrum: investigation.SpectrumResult | None = None


def look(hands: Hands, statement: Statement, failure: ToolAnswer) -> Acting[Suspects]:
    """Read the code that the statement names, or else find suspects."""
    found = Suspects()
    if statement.file:
        definitions = yield from _outline(hands, statement.file, found)
        if statement.function:
            named = [
                definition for definition in definitions if definition.name == statement.function
            ]
            yield from _read(hands, statement.file, named, found)
        else:
            head = yield from investigation.read_head(hands, statement.file, definitions)
            found.passages.append(head)
        return found
    yield from _localise(hands, statement, failure, found)
    return found


def _outline(hands: Hands, file: str, found: Suspects) -> Acting[list[Definition]]:
    definitions = yield from investigation.outline(hands, file)
    found.defined |= {definition.name for definition in definitions}
    return definitions


def _read(
    hands: Hands, file: str, definitions: Sequence[Definition], found: Suspects
) -> Acting[None]:
    for definition in definitions:
        if not definition.is_class and len(found.passages) < _SUSPECTS:
            passage = yield from investigation.read_function(hands, file, definition)
            found.passages += [passage] if passage else []


def _localise(
    hands: Hands, statement: Statement, failure: ToolAnswer, found: Suspects
) -> Acting[None]:
    """The functions, and the head of a file, that tracebacks and spectrum point at."""
    frames = [(file, line) for file, line, _ in reversed(failure.frames) if _is_own(file)]
    if missing_names(failure.errors) and frames:
        file = frames[0][0]
        definitions = yield from _outline(hands, file, found)
        head = yield from investigation.read_head(hands, file, definitions)
        found.passages.append(head)
    tests, files = statement.tests, statement.files
    found.spectrum = seen = yield from investigation.spectrum(hands, files, tests, None)
    ranked = sorted(seen.lines, key=lambda place: -seen.lines[place])
    lines: dict[str, list[int]] = {}
    for file, line in [*frames, *ranked[:_LINES]]:
        lines.setdefault(file, []).append(line)
    for file in list(lines)[:_SUSPECTS]:
        definitions = yield from _outline(hands, file, found)
        owners = [
            definition
            for line in lines[file]
            for definition in definitions
            if _holds(definition, line)
        ]
        yield from _read(hands, file, list(dict.fromkeys(owners)), found)


def _holds(definition: Definition, line: int) -> bool:
    """Whether a line is in this function, and the function is not nested in another."""
    nested = ".<locals>." in definition.name
    return not nested and definition.first <= line <= (definition.last or line)


def _is_own(file: str) -> bool:
    """Whether a file belongs to the repository and is not a test."""
    return not file.startswith("/") and "test" not in file and "site-packages" not in file
