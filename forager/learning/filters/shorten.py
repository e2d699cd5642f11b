"""Shorten: makes a short demonstration of a resolved attempt.

It keeps the edits that make the final patch, the last passing run of tests after them, and
`submit`. Edits that undo each other are left out; several edits of one place become one, which the
tool itself makes and answers on the known lines of the file. The record must prove that the edits
make the graded patch, or the task's own: then nothing else that the attempt did matters (tests may
leave files behind). Attempts without such a proof stay as they are.
"""

from typing import NamedTuple

from forager.agent.tool import Call, Toolbox
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Task
from forager.errors import ForagerError
from forager.learning.filters.changes import (
    Hunk,
    Hunks,
    LineEdit,
    Unproven,
    change_of,
    composed,
    context_of,
    identity,
    makes,
)
from forager.learning.filters.cut import KeptStep, answered, call_of, cut, rewritten
from forager.learning.filters.hindsight import runs_tests
from forager.learning.filters.pipeline import Filter, Survey
from forager.learning.filters.stand_in import StandInSandbox
from forager.trajectories.record import Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import Step, steps

_UNKNOWN = "\ue000unknown"  # begins a line that stands for an unknown one


class _Edit(NamedTuple):
    """A step that changed a file, with its number and its edit."""

    number: int
    step: Step
    change: LineEdit


def shorten(survey: Survey, only: bool = False, tests: bool = True, first: bool = False) -> Filter:
    """Keep only the edits that make the patch, the last passing run of tests, and `submit`.

    With `only`, attempts that cannot be shortened are dropped. With `first`, the first passing run
    is kept, which often runs the failing tests alone. Without `tests`, no run is kept.
    """
    toolbox = survey.toolbox

    def change(attempt: Trajectory) -> Trajectory | None:
        try:
            all = list(steps(attempt))
            edits = _edits(attempt, all, survey.task(attempt.instance_id))
            runs = _passing(all, edits[-1].number) if tests else []
            return _shortened(attempt, all, edits, runs[:1] if first else runs[-1:], toolbox)
        except Unproven:
            return None if only else attempt

    return change


def _edits(attempt: Trajectory, all: list[Step], task: Task | None) -> list[_Edit]:
    """The edits of a success, which must make its patch or the task's. Raises Unproven."""
    if not attempt.outcome.resolved or call_of(all[-1]).tool != "submit":
        raise Unproven("it is not a success that ends with submit")
    edits = [
        _Edit(number, step, change)
        for number, step in enumerate(all)
        if (change := change_of(call_of(step)))
    ]
    reference = task.patch if isinstance(task, RepositoryTask) else ""
    patches = [attempt.outcome.answer, reference]
    if not edits or not any(makes(patch, (edit.change for edit in edits)) for patch in patches):
        raise Unproven("the patch is not of the edits alone")
    return edits


def _shortened(
    attempt: Trajectory, all: list[Step], edits: list[_Edit], runs: list[int], toolbox: Toolbox
) -> Trajectory:
    needed = _needed(attempt, edits, toolbox)
    if not needed:
        raise Unproven("no edit is left")
    kept = [KeptStep(edit.number, edit.step) for edit in needed]
    kept += [KeptStep(number, all[number]) for number in (*runs, len(all) - 1)]
    return attempt if len(kept) == len(all) else cut(attempt, kept, "shorten")


def _passing(all: list[Step], after: int) -> list[int]:
    """The numbers of passing runs of tests after step `after`."""
    return [
        number
        for number in range(after + 1, len(all))
        if (call := call_of(all[number])).exit_code == 0
        and runs_tests(call.arguments.get("command", ""))
        and " passed" in _observation(all[number])
    ]


def _needed(attempt: Trajectory, edits: list[_Edit], toolbox: Toolbox) -> list[_Edit]:
    """The edits to keep, in order."""
    needed: list[_Edit] = []
    for path in dict.fromkeys(edit.change.path for edit in edits):
        mine = _without_detours([edit for edit in edits if edit.change.path == path])
        hunks: Hunks = ()
        for edit in mine:
            hunks = composed(hunks, edit.change)
        if len(mine) > len(hunks) == 1 and not any(edit.change.new_file for edit in mine):
            mine = [_as_one(attempt, mine, toolbox)]
        needed += mine
    return sorted(needed)


def _without_detours(edits: list[_Edit]) -> list[_Edit]:
    """The edits of a file without sequences that leave it as it was."""
    kept, at = [], 0
    while at < len(edits):
        ends = range(len(edits), at + 1, -1)
        end = next((e for e in ends if identity(edit.change for edit in edits[at:e])), None)
        if end is None:
            kept.append(edits[at])
            end = at + 1
        at = end
    return kept


def _as_one(attempt: Trajectory, edits: list[_Edit], toolbox: Toolbox) -> _Edit:
    """Several edits of one place joined, with the thought of the last one."""
    hunks: Hunks = ()
    known: dict[int, str] = {}  # lines of the original file
    total = 0
    for edit in edits:
        hunks = composed(hunks, edit.change, trim=False)
    if len(hunks) != 1:
        raise Unproven("the edits are at several places")
    (hunk,), hunks = hunks, ()
    for edit in edits:
        hunks = composed(hunks, edit.change, trim=False)
        grown = sum(len(hunk.after) - len(hunk.before) for hunk in hunks)
        made = call_of(edit.step).change
        if made is None or made.lines is None:
            raise Unproven("it is not known how long the file was")
        total = made.lines - grown
        end = hunk.start + len(hunk.before)
        for place, line in context_of(made):
            if place < hunk.start:
                known[place] = line
            elif place >= end + grown:
                known[place - grown] = line
    file = _sketch(hunk, known, total)
    return _made(attempt, edits[-1], _narrowed(hunk, edits[0].change), file, toolbox)


def _narrowed(hunk: Hunk, first: LineEdit) -> Hunk:
    """A hunk without unchanged lines at its ends, but with all lines that the first edit searched.

    Those occur once in the file, so the hunk does too.
    """
    start, before, after = hunk
    while start < first.first and before[0] == after[0]:
        start, before, after = start + 1, before[1:], after[1:]
    while start + len(before) > first.end and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return Hunk(start, before, after)


def _sketch(hunk: Hunk, known: dict[int, str], total: int) -> list[str]:
    """The original file, with a unique line for each unknown one."""
    lines = [known.get(place, f"{_UNKNOWN} {place}") for place in range(total)]
    lines[hunk.start : hunk.start + len(hunk.before)] = hunk.before
    return lines


def _made(attempt: Trajectory, last: _Edit, hunk: Hunk, file: list[str], toolbox: Toolbox) -> _Edit:
    """The edit, which the tool makes on the known lines of the file."""
    arguments = {
        "path": call_of(last.step).arguments["path"],
        "search": "".join(f"{line}\n" for line in hunk.before),
        "replace": "".join(f"{line}\n" for line in hunk.after),
    }
    sandbox = StandInSandbox("".join(f"{line}\n" for line in file).encode())
    try:
        seen = toolbox["edit"].execute(sandbox, arguments, 1.0)
    except (ForagerError, KeyError) as error:
        raise Unproven("the tool refuses the edit") from error
    if seen.error or _UNKNOWN in seen.text:
        raise Unproven("the record does not hold what the tool would answer")
    call = Call("edit", arguments)
    message = rewritten(attempt.syntax, last.step.message, call, toolbox)
    step = answered(last.step, call, seen)._replace(message=message)
    change = LineEdit(last.change.path, hunk.start, hunk.before, hunk.after)
    return _Edit(last.number, step, change)


def _observation(step: Step) -> str:
    return "\n".join(map(text_of, step.observations))
