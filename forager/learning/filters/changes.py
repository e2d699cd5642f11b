"""The effect of edits on files, as far as an attempt's record proves it.

The record of a call holds the lines that it replaced, the lines that it wrote, and their place.
`composed` joins several edits of a file from these alone: the rest of the file may be unknown.
Where the record proves nothing, the functions raise Unproven.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import NamedTuple

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from forager.trajectories.record import FileChange, ToolCall


class Unproven(Exception):
    """The record does not prove what a change did."""


class LineEdit(NamedTuple):
    """Replaces lines of a file from `first` (0-based) on; `new_file` says that it did not exist."""

    path: str
    first: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    new_file: bool = False

    @property
    def end(self) -> int:
        """The line after the replaced ones (0-based)."""
        return self.first + len(self.old)

    def undone(self) -> "LineEdit":
        """The edit that undoes this one."""
        return self._replace(old=self.new, new=self.old)


class Hunk(NamedTuple):
    """Lines of the original file from `start` (0-based) on, and those in their place now."""

    start: int
    before: tuple[str, ...]
    after: tuple[str, ...]


Hunks = tuple[Hunk, ...]


def composed(hunks: Hunks, change: LineEdit, *, trim: bool = True) -> Hunks:
    """The hunks of a file after one more edit; empty if the file is as it was.

    The hunks that the edit touches become one with it. Without `trim` that hunk keeps all lines
    that its edits named, even those that are the same before and after. Raises Unproven if the
    edit replaced lines that the hunks contradict.
    """
    left: list[Hunk] = []
    right: list[Hunk] = []
    touched: list[tuple[int, Hunk]] = []  # with where they begin now
    shift = shift_left = 0  # lines that were added before
    for hunk in hunks:
        start = hunk.start + shift
        shift += len(hunk.after) - len(hunk.before)
        if start + len(hunk.after) < change.first:
            left.append(hunk)
            shift_left = shift
        elif start > change.end:
            right.append(hunk)
        else:
            touched.append((start, hunk))
    low, now, before = _joined(touched, change)
    if tuple(now[change.first - low : change.end - low]) != change.old:
        raise Unproven("an edit replaced what was not there")
    after = (*now[: change.first - low], *change.new, *now[change.end - low :])
    made = Hunk(low - shift_left, before, after)
    return (*left, *_trimmed(made, trim), *right)


def _joined(
    touched: list[tuple[int, Hunk]], change: LineEdit
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """First line of an edit with the hunks that it touches, the lines there now, and originally.

    The edit tells the lines between the hunks.
    """
    low = min([change.first, *(start for start, _ in touched)])
    now: list[str] = []
    before: list[str] = []
    for start, hunk in touched:
        between = change.old[low + len(now) - change.first : start - change.first]
        now += [*between, *hunk.after]
        before += [*between, *hunk.before]
    rest = change.old[max(0, low + len(now) - change.first) :]
    return low, (*now, *rest), (*before, *rest)


def _trimmed(hunk: Hunk, trim: bool) -> list[Hunk]:
    start, before, after = hunk
    if trim:
        shortest = min(len(before), len(after))
        head = next((n for n in range(shortest) if before[n] != after[n]), shortest)
        shortest -= head
        tail = next((n for n in range(shortest) if before[-1 - n] != after[-1 - n]), shortest)
        start += head
        before = before[head : len(before) - tail]
        after = after[head : len(after) - tail]
    return [Hunk(start, before, after)] if before or after else []


def identity(changes: Iterable[LineEdit]) -> bool:
    """Whether edits, one after the other, leave all files as they were. Raises Unproven."""
    files: dict[str, Hunks] = {}
    for change in changes:
        if change.new_file:
            return False
        files[change.path] = composed(files.get(change.path, ()), change)
    return not any(files.values())


def makes(patch: str, changes: Iterable[LineEdit]) -> bool:
    """Whether the edits prove to make exactly this patch."""
    try:
        return _makes(patch_changes(patch), list(changes))
    except Unproven:
        return False


def _makes(wanted: list[LineEdit], done: list[LineEdit]) -> bool:
    if {change.path for change in wanted if change.new_file} != {
        change.path for change in done if change.new_file
    }:
        return False
    undone = [change.undone()._replace(new_file=False) for change in reversed(done)]
    return identity([*(change._replace(new_file=False) for change in wanted), *undone])


def patch_changes(patch: str) -> list[LineEdit]:
    """The hunks of a patch as edits. Raises Unproven if it changes anything but whole lines."""
    marks = ("\\ No newline", "GIT binary patch", "Binary files", "old mode", "deleted file")
    lines = patch.split("\n")
    if "\r" in patch or any(line.startswith(marks) for line in lines):
        raise Unproven("the patch is not one of lines alone")
    try:
        files = PatchSet(io.StringIO(patch, newline="\n"))
    except UnidiffParseError as error:
        raise Unproven("the patch cannot be read") from error
    changes = []
    for file in files:
        for hunk in file:
            old = tuple(str(line.value)[:-1] for line in hunk if not line.is_added)
            new = tuple(str(line.value)[:-1] for line in hunk if not line.is_removed)
            first = hunk.target_start - (1 if new else 0)
            changes.append(LineEdit(file.path, first, old, new, file.is_added_file))
    return changes


def change_of(call: ToolCall) -> LineEdit | None:
    """The edit that a call made; None for calls that changed no lines through a tool.

    Raises Unproven if an old record does not prove the place, or if lines hold carriage returns,
    which git's patches and the tools treat differently.
    """
    change = call.change
    if change is None:
        return None
    if change.first is None or any("\r" in line for line in (*change.removed, *change.added)):
        raise Unproven("it cannot be told what an edit did")
    old, new = tuple(change.removed), tuple(change.added)
    return LineEdit(change.file, change.first - 1, old, new, change.created)


def context_of(change: FileChange) -> Iterator[tuple[int, str]]:
    """The lines around a change that the model saw whole, each with its place (0-based)."""
    first = (change.first or 1) - 1
    places = chain(range(first - len(change.before), first), count(first + len(change.added)))
    for place, line in zip(places, [*change.before, *change.after], strict=False):
        if line is not None:
            yield place, line
