"""Reads the facts of calls that earlier versions recorded only as text.

Calls in records of version 1 lack `reason`, `output_length`, `change`, `turns_left` and
`tokens_left`; the observations say the same in English. No other module reads that English.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from forager.records import parse_record
from forager.trajectories.budget import budget_after
from forager.trajectories.record import (
    SCHEMA_VERSION,
    FileChange,
    ToolCall,
    Trajectory,
)
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps

_BUDGET = re.compile(r"\n?\[(\d+) turns and (\d+) tokens left\]\s*\Z")
_NOTES = re.compile(
    r"(?:\A|\n)\[(?:exit code -?\d+|timed out after [^\n]*)\]"
    r"(?:\n\[the shell was started [^\n]*)?\Z"
)
_HEAD = re.compile(r"Edited .*: (\d+) lines? now\.(?:\n|\Z)")
_NUMBERED = re.compile(r"^ *(\d+)(?:\t(.*))?$", re.MULTILINE)  # of an empty last line no tab
_SHORTENED = re.compile(r"\[… \d+ more\]$")
_CONTEXT = 8  # lines that `edit` showed on each side
_REASONS = [
    (re.compile(pattern), reason)
    for pattern, reason in [
        (r"The text to search for does not occur", "not_found"),
        (r"The text to search for occurs", "ambiguous"),
        (r"The text to search for is empty", "empty_argument"),
        (r"Nothing to change", "unchanged"),
        (r"There is no file", "no_such_file"),
        (r"The directory of .* does not exist", "no_such_directory"),
        (r".* exists already\.", "file_exists"),
        (r".* is a directory, not a file", "is_a_directory"),
        (r".* is a binary file", "binary_file"),
        (r"Permission denied", "permission_denied"),
        (r"The (?:command|path) is empty", "empty_argument"),
        (r"The (?:command|path) holds a NUL character", "nul_character"),
        (r"Your message holds several calls|Your message holds \d+ calls", "several_calls"),
        (r"Your message holds a tag", "misplaced_tag"),
        (r"Your message holds no tool call", "no_call"),
        (r"There is no tool", "unknown_tool"),
        (r"The arguments are not", "invalid_json"),
        (r"Wrong arguments", "wrong_arguments"),
        (r"The call is not closed", "unclosed_call"),
        (r"There is text after the call", "text_after_call"),
        (r"[^\n]*The body of edit is:", "malformed_body"),
        (r"The first line of the body must be the path", "malformed_body"),
        (r"submit takes no arguments", "malformed_body"),
    ]
]


def load(line: bytes) -> Trajectory:
    """The attempt in a line of JSON, whichever version wrote it. Raises ValidationError."""
    return upgraded(parse_record(Trajectory, line))


def upgraded(attempt: Trajectory) -> Trajectory:
    """The attempt with all facts that its text proves."""
    if attempt.schema_version >= SCHEMA_VERSION:
        return attempt
    update = {"schema_version": SCHEMA_VERSION, "tool_calls": list(_calls(attempt))}
    return attempt.model_copy(update=update)


def _calls(attempt: Trajectory) -> Iterator[ToolCall]:
    """The calls with their facts; the budget is computed if the text does not tell it."""
    for number, step in enumerate(steps(attempt), 1):
        if step.call is None:
            continue
        told = text_of(step.observations[0]) if step.observations else ""
        answer, budget = _without_budget(told)
        budget = budget or budget_after(attempt.limits, attempt.model_calls[:number])._asdict()
        yield step.call.model_copy(update=budget | _facts(step.call, answer))


def _without_budget(told: str) -> tuple[str, dict[str, Any]]:
    found = _BUDGET.search(told)
    if found is None:
        return told, {}
    budget = {"turns_left": int(found[1]), "tokens_left": int(found[2])}
    return told[: found.start()], budget


def _facts(call: ToolCall, answer: str) -> dict[str, Any]:
    """The other facts in the answer to a call, by the names of ToolCall's fields."""
    if call.error:
        told = next((name for form, name in _REASONS if form.match(answer)), "")
        return {"reason": told or ("os_error" if call.tool in ("edit", "create") else "")}
    if call.tool == "bash":
        notes = _NOTES.search(answer)
        return {"output_length": notes.start() if notes else len(answer)}
    if call.tool == "create":
        added = _lines(call.arguments["content"])
        size = {"first": 1, "lines": len(added), "created": True}
        return {"change": FileChange(path=call.arguments["path"], added=added, **size)}
    return {"change": _edited(call.arguments, answer)} if call.tool == "edit" else {}


class EditReport(NamedTuple):
    """What `edit` showed after a change: the number of lines, and some of them by place (0-based).

    None stands for a line that was too long to show whole.
    """

    size: int
    lines: dict[int, str | None]


def _edited(arguments: dict[str, str], answer: str) -> FileChange:
    """The change that an edit made; without a place if the answer does not prove one."""
    removed, added = _lines(arguments["search"]), _lines(arguments["replace"])
    change = FileChange(path=arguments["path"], removed=removed, added=added)
    head = _HEAD.match(answer)
    if head is None or "\r" in arguments["search"] + arguments["replace"]:
        return change
    shown = {
        int(number) - 1: None if _SHORTENED.search(text) else text
        for number, text in _NUMBERED.findall(answer)
    }
    report = EditReport(int(head[1]), shown)
    place = _place(report, removed, added)
    if place is None:
        return change.model_copy(update={"lines": report.size})
    end = place + len(added)
    known = {
        "first": place + 1,
        "lines": report.size,
        "before": [report.lines[at] for at in sorted(report.lines) if at < place],
        "after": [report.lines[at] for at in sorted(report.lines) if at >= end],
    }
    return change.model_copy(update=known)


def _place(report: EditReport, old: list[str], new: list[str]) -> int | None:
    """The first line of a change (0-based), from the edge of the shown lines or the only fit."""
    if not report.lines:
        return 0  # an empty file
    first, last = min(report.lines), max(report.lines)
    if first > 0:
        places = [first + _CONTEXT]
    elif last < report.size - 1:
        places = [last + 1 - _CONTEXT - len(new)]
    else:
        places = list(range(min(_CONTEXT, report.size) + 1))
    places = [place for place in places if place >= 0 and _stands(report, place, new)]
    files = {_before(report, place, old, len(new)): place for place in reversed(places)}
    if len(places) > 1:  # all of the file is known, and the old text stood in it once
        files = {file: place for file, place in files.items() if _times(file, old) == 1}
    return next(iter(files.values())) if len(files) == 1 else None


def _stands(report: EditReport, place: int, lines: list[str]) -> bool:
    """Whether the shown lines allow these lines at a place."""
    if place + len(lines) > report.size:
        return False
    shown = (report.lines.get(place + number, line) for number, line in enumerate(lines))
    return all(seen in (None, line) for seen, line in zip(shown, lines, strict=True))


def _before(report: EditReport, place: int, old: list[str], size: int) -> tuple[str | None, ...]:
    """The shown lines, with the old lines put back."""
    shown = [report.lines.get(number) for number in range(max(report.lines) + 1)]
    return (*shown[:place], *old, *shown[place + size :])


def _times(file: tuple[str | None, ...], lines: list[str]) -> int:
    return sum(list(file[at : at + len(lines)]) == lines for at in range(len(file)))


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
