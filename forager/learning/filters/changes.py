"""What edits do to files, as far as an attempt's record proves it.

The record holds the lines that an edit replaced, those it wrote, and (in what the tool answered)
where that was. From these alone edits are put together: `composed` says what two and more of them
come to, relative to a file of which nothing else need be known. Whatever the record does not prove
raises Unproven.
"""

import io
import re
from collections.abc import Iterable
from posixpath import normpath
from typing import NamedTuple

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from forager.sandboxes.sandbox import WORKDIR
from forager.trajectories.record import ToolCall

_HEAD = re.compile(r"Edited .*: (\d+) lines? now\.\n")
_NUMBERED = re.compile(r"^ *(\d+)(?:\t(.*))?$", re.MULTILINE)  # of an empty last line no tab
_SHORTENED = re.compile(r"\[… \d+ more\]$")
_CONTEXT = 8  # lines that `edit` shows on each side; checked against what it showed


class Unproven(Exception):
    """The record does not prove what a change did."""


class Change(NamedTuple):
    """Lines of a file, from `first` (0-based) on, replaced; `new_file` where there was none."""

    path: str
    first: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    new_file: bool = False

    @property
    def end(self) -> int:
        """The line behind those replaced."""
        return self.first + len(self.old)

    def undone(self) -> "Change":
        """The change that takes it back."""
        return self._replace(old=self.new, new=self.old)


class Piece(NamedTuple):
    """Lines of the original file, from `start` on, and what has become of them."""

    start: int
    before: tuple[str, ...]
    after: tuple[str, ...]


class Report(NamedTuple):
    """What `edit` showed after a change: the number of lines, and some of them by place (from 0).

    A line that was too long to be shown whole is None.
    """

    size: int
    lines: dict[int, str | None]


Pieces = tuple[Piece, ...]


def composed(pieces: Pieces, change: Change, *, trim: bool = True) -> Pieces:
    """What has become of the original file after one more change; nothing is left of none.

    The pieces that the change touches become one with it. Without `trim` that one holds all lines
    that any of its changes has named, also where they are the same before and after. Raises
    Unproven where the change replaced what cannot have been there.
    """
    left: list[Piece] = []
    right: list[Piece] = []
    touched: list[tuple[int, Piece]] = []  # with where they begin now
    shift = shift_left = 0  # lines that were added before
    for piece in pieces:
        start = piece.start + shift
        shift += len(piece.after) - len(piece.before)
        if start + len(piece.after) < change.first:
            left.append(piece)
            shift_left = shift
        elif start > change.end:
            right.append(piece)
        else:
            touched.append((start, piece))
    low, now, before = _joined(touched, change)
    if tuple(now[change.first - low : change.end - low]) != change.old:
        raise Unproven("an edit replaced what was not there")
    after = (*now[: change.first - low], *change.new, *now[change.end - low :])
    made = Piece(low - shift_left, before, after)
    return (*left, *_trimmed(made, trim), *right)


def _joined(
    touched: list[tuple[int, Piece]], change: Change
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Where a change and the pieces it touches begin, what stands there, and what stood there.

    What lies between the pieces is known from the change.
    """
    low = min([change.first, *(start for start, _ in touched)])
    now: list[str] = []
    before: list[str] = []
    for start, piece in touched:
        between = change.old[low + len(now) - change.first : start - change.first]
        now += [*between, *piece.after]
        before += [*between, *piece.before]
    rest = change.old[max(0, low + len(now) - change.first) :]
    return low, (*now, *rest), (*before, *rest)


def _trimmed(piece: Piece, trim: bool) -> list[Piece]:
    start, before, after = piece
    if trim:
        shortest = min(len(before), len(after))
        head = next((n for n in range(shortest) if before[n] != after[n]), shortest)
        shortest -= head
        tail = next((n for n in range(shortest) if before[-1 - n] != after[-1 - n]), shortest)
        start += head
        before = before[head : len(before) - tail]
        after = after[head : len(after) - tail]
    return [Piece(start, before, after)] if before or after else []


def identity(changes: Iterable[Change]) -> bool:
    """Whether changes, one after the other, leave all files as they were. Raises Unproven."""
    files: dict[str, Pieces] = {}
    for change in changes:
        if change.new_file:
            return False
        files[change.path] = composed(files.get(change.path, ()), change)
    return not any(files.values())


def makes(patch: str, changes: Iterable[Change]) -> bool:
    """Whether the record proves that changes come to exactly this patch."""
    try:
        return _makes(patch_changes(patch), list(changes))
    except Unproven:
        return False


def _makes(wanted: list[Change], done: list[Change]) -> bool:
    if {one.path for one in wanted if one.new_file} != {one.path for one in done if one.new_file}:
        return False
    undone = [one.undone()._replace(new_file=False) for one in reversed(done)]
    return identity([*(one._replace(new_file=False) for one in wanted), *undone])


def patch_changes(patch: str) -> list[Change]:
    """The hunks of a patch. Raises Unproven for what is no change of lines."""
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
            changes.append(Change(file.path, first, old, new, file.is_added_file))
    return changes


def change_of(call: ToolCall, observation: str) -> Change | None:
    """What a call of `edit` or `create` did; None where it did nothing or is another tool's.

    Raises Unproven where that cannot be told.
    """
    if call.error or call.tool not in ("edit", "create"):
        return None
    path = normpath(call.arguments["path"].strip())
    path = path.removeprefix(f"{WORKDIR}/")
    if call.tool == "create":
        return Change(path, 0, (), _lines(call.arguments["content"]), new_file=True)
    old, new = _lines(call.arguments["search"]), _lines(call.arguments["replace"])
    return Change(path, _place(report_of(observation), old, new), old, new)


def report_of(observation: str) -> Report:
    """What `edit` showed of the file. Raises Unproven where it showed nothing."""
    head = _HEAD.match(observation)
    if head is None:
        raise Unproven("an edit's answer is not as `edit` writes it")
    shown = {
        int(number) - 1: None if _SHORTENED.search(text) else text
        for number, text in _NUMBERED.findall(observation)
    }
    return Report(int(head[1]), shown)


def _place(report: Report, old: tuple[str, ...], new: tuple[str, ...]) -> int:
    """The first line of a change; from the edge of what was shown, else from where it fits."""
    if not report.lines:
        return 0  # an empty file
    first, last = min(report.lines), max(report.lines)
    if first > 0:
        places = [first + _CONTEXT]
    elif last < report.size - 1:
        places = [last + 1 - _CONTEXT - len(new)]
    else:
        places = list(range(min(_CONTEXT, report.size) + 1))
    places = [one for one in places if one >= 0 and _stands(report, one, new)]
    files = {_before(report, one, old, len(new)): one for one in reversed(places)}
    if len(places) > 1:  # all of the file is known, and the old text stood in it once
        files = {file: one for file, one in files.items() if _times(file, old) == 1}
    if len(files) != 1:
        raise Unproven("it cannot be told where an edit was")
    return next(iter(files.values()))


def _stands(report: Report, place: int, lines: tuple[str, ...]) -> bool:
    """Whether lines may stand at a place, by what was shown."""
    if place + len(lines) > report.size:
        return False
    shown = (report.lines.get(place + number, line) for number, line in enumerate(lines))
    return all(one in (None, line) for one, line in zip(shown, lines, strict=True))


def _before(report: Report, place: int, old: tuple[str, ...], size: int) -> tuple[str | None, ...]:
    """What was shown, with the old lines put back."""
    shown = [report.lines.get(number) for number in range(max(report.lines) + 1)]
    return (*shown[:place], *old, *shown[place + size :])


def _times(file: tuple[str | None, ...], lines: tuple[str, ...]) -> int:
    return sum(file[at : at + len(lines)] == lines for at in range(len(file)))


def _lines(text: str) -> tuple[str, ...]:
    if "\r" in text:
        raise Unproven("carriage returns")
    return tuple(text.removesuffix("\n").split("\n")) if text else ()
