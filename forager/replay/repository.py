"""The repository turn by turn, as far as the record shows.

Everything comes from the record, not from files:

- *Files and diff.* The record holds what `edit` and `create` did. Edits of one place are joined,
  and undone edits vanish. Lines have no numbers. The record does not hold what a command did to
  files (`sed -i`, a script): a file of the final patch that a command names and seems to write is
  listed as *perhaps* changed. The final patch is git's.
- *Tests.* Results come from pytest's output: by name if it names the test; as passed if a run
  without failures surely ran the test (by its name, file or directory, without options that
  deselect tests). A result may be older than the last change, so each has its turn.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from forager.environments.task import Task
from forager.replay.testing import SuiteResults, results, selection
from forager.trajectories.record import FileChange, ToolCall, Trajectory
from forager.trajectories.show import Turn

_WRITES = re.compile(r">|\bsed -i|\b(?:mv|cp|rm|patch|tee|truncate)\b|git (?:checkout|stash|apply)")
_IN_PATCH = re.compile(r"^diff --git a/(.*) b/(?:.*)$", re.MULTILINE)


Lines = tuple[str, ...]
Replaced = tuple[Lines, Lines]
"""The old and the new lines of a place."""
Changes = dict[str, tuple[Replaced, ...]]
"""The replaced lines by file."""


class KnownStatus(NamedTuple):
    """The last known result of a test, and its turn; 0 stands for the grading."""

    status: str
    turn: int


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The repository after a turn.

    `last` are the results of the last run of tests; `patch` is empty until the end.
    """

    changes: Changes = field(default_factory=dict)
    perhaps: tuple[str, ...] = ()
    tests: dict[str, KnownStatus] = field(default_factory=dict)
    last: SuiteResults | None = None
    last_turn: int = 0
    patch: str = ""

    def files(self) -> list[tuple[str, str]]:
        """The files changed so far, each with `new`, `edited`, `perhaps` or `in the patch`."""
        if self.patch:
            return [(path, "in the patch") for path in _IN_PATCH.findall(self.patch)]
        made = {path: "edited" if places[0][0] else "new" for path, places in self.changes.items()}
        return sorted((dict.fromkeys(self.perhaps, "perhaps") | made).items())

    def diff(self) -> str:
        """The changes by `edit` and `create` so far; at the end the patch."""
        return self.patch or "\n".join(
            _diff(path, places) for path, places in sorted(self.changes.items())
        )


def states(
    trajectory: Trajectory, turns: Iterable[Turn], task: Task | None
) -> Iterator[RepositoryState]:
    """Yield the state before the first turn, after each turn, and as graded."""
    patched = _IN_PATCH.findall(trajectory.outcome.answer)
    wanted = [test for group in task.test_groups().values() for test in group] if task else []
    state = RepositoryState()
    yield state
    for turn in turns:
        state = _after(state, turn, patched, wanted)
        yield state
    outcome = trajectory.outcome
    graded = {test: KnownStatus(status, 0) for test, status in outcome.tests.items()}
    yield replace(state, patch=outcome.answer, tests=state.tests | graded)


def results_of(turn: Turn) -> SuiteResults | None:
    """The results of tests that a turn's command printed."""
    call = turn.call
    return results(turn.observation) if call and call.tool == "bash" else None


def is_edit(call: ToolCall | None) -> bool:
    """Whether a call changed lines of a file through a tool."""
    return call is not None and call.change is not None


def _after(
    state: RepositoryState, turn: Turn, patched: list[str], wanted: list[str]
) -> RepositoryState:
    call = turn.call
    if call is None or call.error:
        return state
    if call.change is not None:
        return replace(state, changes=_changed(state.changes, call.change))
    if call.tool != "bash":
        return state
    command = call.arguments.get("command", "")
    written = [path for path in patched if path in command and _WRITES.search(command)]
    state = replace(state, perhaps=tuple(dict.fromkeys([*state.perhaps, *written])))
    found = results_of(turn)
    if found is None:
        return state
    tests = state.tests | _seen(found, command, [*wanted, *state.tests], turn.number)
    return replace(state, tests=tests, last=found, last_turn=turn.number)


def _seen(
    found: SuiteResults, command: str, known: Iterable[str], number: int
) -> dict[str, KnownStatus]:
    seen = {test: KnownStatus(status, number) for test, status in found.named.items()}
    chosen = selection(command)
    if chosen is None or found.failed:
        return seen
    asked = [name for name in chosen.names if "::" in name and chosen.whole]
    passed = [*asked, *(test for test in known if chosen.covers(test))]
    return {test: KnownStatus("passed", number) for test in passed} | seen


def _changed(changes: Changes, change: FileChange) -> Changes:
    """The changes of all files with one more."""
    places = list(changes.get(change.file, ()))
    joined = tuple(_joined(places, tuple(change.removed), tuple(change.added)))
    rest = {path: others for path, others in changes.items() if path != change.file}
    return rest | ({change.file: joined} if joined else {})


def _joined(places: list[Replaced], old: Lines, new: Lines) -> list[Replaced]:
    """The changes with one more, joined with an earlier one that it overlaps."""
    for number, (before, after) in enumerate(places):
        if old and (wider := _put(after, old, new)) is not None:
            new = wider
        elif after and (wider := _put(old, after, before)) is not None:
            before = wider
        else:
            continue
        rest = [*places[:number], *places[number + 1 :]]
        return rest if before == new else [*places[:number], (before, new), *places[number + 1 :]]
    return [*places, (old, new)]


def _put(lines: Lines, old: Lines, new: Lines) -> Lines | None:
    """The lines with the first occurrence of `old` replaced; None without one."""
    for start in range(len(lines) - len(old) + 1):
        if lines[start : start + len(old)] == old:
            return (*lines[:start], *new, *lines[start + len(old) :])
    return None


def _diff(path: str, places: Iterable[Replaced]) -> str:
    lines = [f"--- a/{path}", f"+++ b/{path}"]
    for old, new in places:
        body = difflib.unified_diff(old, new, lineterm="")
        lines += [line if not line.startswith("@@") else "@@ … @@" for line in list(body)[2:]]
    return "\n".join(lines)
