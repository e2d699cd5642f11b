"""Hindsight: cuts out edits that an attempt undid.

A detour reaches from an edit to the edit after which all files are as before. Between them there
may be other edits, runs of tests and refused calls, and nothing else, so the record proves that the
detour changed nothing.
"""

import re
import shlex

from forager.learning.filters.changes import LineEdit, Unproven, change_of, identity
from forager.learning.filters.cut import KeptStep, call_of, cut
from forager.learning.filters.pipeline import Filter, Survey
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import Step, steps

_SHOWS = {"tail", "head", "grep", "cd"}  # other programs that the command may run
_JOINS = {"|", "&&", "||", ";"}
_OPTIONS = re.compile(
    r"-[qxvsl]+|-r\w+|-[kmpn]|--tb(=.*)?|--maxfail(=.*)?|--no-header|--no-summary|--(lf|ff|sw)"
    r"|--last-failed|--failed-first|--exitfirst|--quiet|--verbose|--timeout(=.*)?"
    r"|--durations(=.*)?|--color=.*|--disable-warnings|-W|-n\d+|-pno:.*"
)  # options of pytest that write nothing


def hindsight(survey: Survey) -> Filter:
    """Cut out edits that were undone, with all steps between the edit and its undoing."""
    del survey
    return _without_detours


def _without_detours(attempt: Trajectory) -> Trajectory:
    all = list(steps(attempt))
    kept: list[KeptStep] = []
    number = 0
    while number < len(all):
        end = _undone(all, number)
        if end is None:
            kept.append(KeptStep(number, all[number]))
            number += 1
        else:
            number = end + 1
    return attempt if len(kept) == len(all) else cut(attempt, kept, "hindsight")


def _undone(all: list[Step], start: int) -> int | None:
    """The last step after which all files are as before step `start`; None without any."""
    found = None
    changes: list[LineEdit] = []
    moved = False
    try:
        for number in range(start, len(all)):
            call = call_of(all[number])
            change = change_of(call)
            if change is not None and call.change is not None:
                changes.append(change)
                if moved and not call.change.path.startswith("/"):
                    break
                if identity(changes):
                    found = number
            elif not changes or not (call.error or runs_tests(call.arguments.get("command", ""))):
                break
            moved = moved or "cd " in call.arguments.get("command", "")
    except Unproven:
        pass
    return found


def runs_tests(command: str) -> bool:
    """Whether a command runs pytest and does nothing else but show parts of its output."""
    text = command.strip().replace(" 2>&1", "")
    if any(mark in text for mark in ("\n", "`", "$(")):
        return False
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    parts: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word in _JOINS:
                parts.append([])
            elif set(word) <= set("();<>|&"):
                return False
            else:
                parts[-1].append(word)
    except ValueError:  # a quote that is not closed
        return False
    others = [part for part in parts if not _is_pytest(part)]
    return len(others) < len(parts) and all(part[:1] and part[0] in _SHOWS for part in others)


def _is_pytest(words: list[str]) -> bool:
    if words[:1] == ["timeout"]:
        words = words[2:]
    if words[1:3] == ["-m", "pytest"] and words[0].rpartition("/")[2] in ("python", "python3"):
        words = words[2:]
    if not words or words[0].rpartition("/")[2] not in ("pytest", "py.test"):
        return False
    return all(_OPTIONS.fullmatch(word) for word in words[1:] if word.startswith("-"))
