"""Commands that look: outlines, functions, undefined names, and which tests run which lines."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from forager.repair.hands import Acting, Hands
from forager.repair.imports import Ways, read_ways
from forager.repair.source import Definition, Passage, function_passage, read_outline

_HEAD = 250  # lines of a module's head that are read
_LINE = re.compile(r"^ *(\d\.\d\d) +(\d+) +(\d+) (.+):(\d+)$", re.MULTILINE)
_FAILED = re.compile(r"^FAILED (.+)$", re.MULTILINE)
_RETURN = re.compile(r"^[ \t]*return (.+)$", re.MULTILINE)
_RETURNS_SHOWN = 80
_SPECTRUM_SECONDS = 4


@dataclass(frozen=True, slots=True)
class SpectrumResult:
    """How suspicious the lines are, per file and line; and all tests that failed in the run."""

    lines: dict[tuple[str, int], float]
    failed: frozenset[str]

    def of(self, file: str) -> dict[int, float]:
        """The lines of one file."""
        return {line: score for (name, line), score in self.lines.items() if name == file}


def outline(hands: Hands, file: str) -> Acting[list[Definition]]:
    """The definitions of a file."""
    command = rf"grep -nE '^\s*((async )?def|class) \w+|^\s*@\w' {shlex.quote(file)}"
    seen = yield from hands.bash(f"I look at what {file} holds.", command)
    return read_outline(seen.output)


def read_function(hands: Hands, file: str, definition: Definition) -> Acting[Passage | None]:
    """The text of one function."""
    name = definition.name
    lines = yield from read_lines(
        hands, f"I read `{name}`.", file, definition.first, definition.last
    )
    return function_passage(file, name, definition.first, lines)


def read_lines(
    hands: Hands, thought: str, file: str, first: int, last: int | None
) -> Acting[list[str]]:
    """Lines of a file, in several pieces if one answer is too short for them."""
    end = "$" if last is None else str(last)
    seen = yield from hands.bash(thought, f"sed -n '{first},{end}p' {shlex.quote(file)}")
    if not seen.cut:
        return [line.removesuffix("\r") for line in seen.output.split("\n")]
    lines: list[str] = []
    while last is None or first <= last:
        stop = first + 199 if last is None else min(last, first + 199)
        command = f"sed -n '{first},{stop}p' {shlex.quote(file)}"
        seen = yield from hands.bash("That was too long for one answer.", command)
        piece = seen.output.split("\n") if seen.output else []
        lines += [line.removesuffix("\r") for line in piece]
        if len(piece) < stop - first + 1:
            break
        first = stop + 1
    return lines


def read_head(hands: Hands, file: str, definitions: Sequence[Definition]) -> Acting[Passage]:
    """The head of a module, up to its first definition."""
    last = max(definitions[0].first - 1, 1) if definitions else _HEAD
    last = min(last, _HEAD)
    lines = yield from read_lines(hands, f"I read the head of {file}.", file, 1, last)
    return Passage(file, 1, tuple(lines))


def missing(hands: Hands, file: str, names: Sequence[str]) -> Acting[tuple[Ways, Ways]]:
    """Imports for the names that a file uses without a definition, and for other names.

    The others are those of `names` that other files of the repository define or import.
    """
    thought = "I check which names are not defined there, and where they could come from."
    seen = yield from hands.program(thought, "undefined_names", [file, *names])
    return read_ways(seen.output)


def returned_elsewhere(hands: Hands, file: str) -> Acting[list[str]]:
    """What the file's other functions return."""
    command = (
        rf"grep -hE '^\s*return .' {shlex.quote(file)} | sort | uniq | head -n {_RETURNS_SHOWN}"
    )
    thought = "It may be that a return is missing. I look at what functions return here."
    seen = yield from hands.bash(thought, command)
    return _RETURN.findall(seen.output)


def spectrum(
    hands: Hands, tests: Sequence[str], failing: Sequence[str], passage: Passage | None
) -> Acting[SpectrumResult]:
    """Suspicion of lines, which failing tests run more than passing ones; of a function, or all."""
    job = {
        "tests": list(tests),
        "failing": list(failing),
        "file": passage.file if passage else None,
        "first": passage.first if passage else 0,
        "last": passage.last if passage else 0,
        "seconds": _SPECTRUM_SECONDS if passage else 4 * _SPECTRUM_SECONDS,
    }
    what = f"of `{passage.name}`" if passage else "of the repository"
    thought = f"I trace which lines {what} the failing tests run and the passing ones do not."
    seen = yield from hands.program(thought, "spectrum", [json.dumps(job)])
    lines = {
        (file, int(line)): float(score) for score, _, _, file, line in _LINE.findall(seen.output)
    }
    return SpectrumResult(lines, frozenset(_FAILED.findall(seen.output)))
