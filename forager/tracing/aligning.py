"""Aligns two traces, event by event, and finds where they diverge.

The sources may differ by an edit: two lines that a comparison of the texts pairs are the same line,
and a line that only one of them has is skipped, with the calls that it makes. So the traces of a
test before and after a fix run next to each other until the fix makes a difference.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import islice
from typing import Literal, NamedTuple

from forager.tracing.reader import Playback, TraceReader, Variables
from forager.tracing.record import Sources
from forager.tracing.source import split_lines
from forager.tracing.stream import OPENING, Code, Event

VALUE = "<value>"
"""What stands for a returned, yielded or raised value among the names that differ."""
_MATCHED = 3000  # events of each trace that are matched after the traces have come apart
_LONGEST_MIDDLE = 4000  # lines between the first and the last edit of a file that are matched
_Key = tuple[str, str, str, int]


class EventPair(NamedTuple):
    """Events shown next to each other, by their indexes; None where a trace has none.

    `edited` is a line that only one of the sources has, or what it calls; `apart` an event that the
    other trace does not have.
    """

    left: int | None
    right: int | None
    kind: Literal["same", "edited", "apart"]
    names: tuple[str, ...] = ()
    """Variables of the frame whose values differ, and VALUE."""

    @property
    def differs(self) -> bool:
        """Whether the states differ, or only one trace has the event and no edit explains it."""
        return bool(self.names) or self.kind == "apart"


@dataclass(frozen=True)
class TraceSide:
    """One of two traces, and its sources."""

    reader: TraceReader
    sources: Sources

    def after(self, index: int) -> int:
        """The next event of the frame that an event belongs to: what it calls is skipped."""
        indexes = self.reader.of_frame(self.reader.events[index].frame)
        place = bisect_right(indexes, index)
        return indexes[place] if place < len(indexes) else len(self.reader)

    @cached_property
    def bound(self) -> dict[tuple[str, str], set[str]]:
        """The names that each function binds at any time."""
        found: dict[tuple[str, str], set[str]] = {}
        for event in self.reader.events:
            names = found.setdefault(_function(event.code), set())
            names.update(change.name for change in event.changes)
        return found


def align(left: TraceSide, right: TraceSide) -> list[EventPair]:
    """Pair the events of two traces. Between the pairs the order of both traces is kept."""
    lines = PairedLines(left.sources, right.sources)
    return list(_compared(left, right, _paired(left, right, lines)))


def divergence(pairs: list[EventPair]) -> int:
    """The number of the first pair with different states or events; that of all if none has."""
    return next(
        (number for number, pair in enumerate(pairs) if pair.differs),
        len(pairs),
    )


class PairedLines:
    """Which line of a source is which line of the other one."""

    def __init__(self, left: Sources, right: Sources) -> None:
        self._left, self._right = left, right
        self._pairs: dict[str, tuple[dict[int, int], dict[int, int]]] = {}

    def correspond(self, left: Event, right: Event) -> bool:
        """Whether two events are the same step of a program."""
        if left.kind != right.kind or _function(left.code) != _function(right.code):
            return False
        if left.kind in OPENING:
            return True
        if not self._known(left.code.file):
            return left.line == right.line
        there, back = self._of(left.code.file)
        paired = there.get(left.line)
        return paired == right.line or (paired is None and right.line not in back)

    def only_left(self, event: Event) -> bool:
        """Whether the right source does not have the line that is executed."""
        return self._only(event, 0)

    def only_right(self, event: Event) -> bool:
        """Whether the left source does not have the line that is executed."""
        return self._only(event, 1)

    def key(self, event: Event, *, right: bool) -> _Key:
        """What two events share that are the same step."""
        there, _ = self._of(event.code.file)
        line = event.line if right else there.get(event.line, 0)
        return event.kind, *_function(event.code), line

    def _only(self, event: Event, side: int) -> bool:
        known = event.kind == "line" and self._known(event.code.file)
        return known and event.line not in self._of(event.code.file)[side]

    def _known(self, file: str) -> bool:
        return file in self._left and file in self._right

    def _of(self, file: str) -> tuple[dict[int, int], dict[int, int]]:
        if file not in self._pairs:
            texts = self._left.get(file, ""), self._right.get(file, "")
            there = dict(_same_lines(split_lines(texts[0]), split_lines(texts[1])))
            self._pairs[file] = there, {right: left for left, right in there.items()}
        return self._pairs[file]


def _same_lines(left: list[str], right: list[str]) -> Iterator[tuple[int, int]]:
    """Numbers, from 1, of the lines that two texts share."""
    shortest = min(len(left), len(right))
    start = next((n for n in range(shortest) if left[n] != right[n]), shortest)
    rest = shortest - start
    end = next((n for n in range(rest) if left[-1 - n] != right[-1 - n]), rest)
    yield from ((number, number) for number in range(1, start + 1))
    middle = left[start : len(left) - end], right[start : len(right) - end]
    if max(map(len, middle)) <= _LONGEST_MIDDLE:
        for a, b, size in SequenceMatcher(None, *middle, autojunk=False).get_matching_blocks():
            yield from ((start + a + n + 1, start + b + n + 1) for n in range(size))
    yield from ((len(left) - n, len(right) - n) for n in range(end))


def _paired(left: TraceSide, right: TraceSide, lines: PairedLines) -> Iterator[EventPair]:
    events, others = left.reader.events, right.reader.events
    i = j = 0
    while i < len(events) and j < len(others):
        if lines.correspond(events[i], others[j]):
            yield EventPair(i, j, "same")
            i, j = i + 1, j + 1
        elif lines.only_left(events[i]):
            i, start = left.after(i), i
            yield from (EventPair(n, None, "edited") for n in range(start, i))
        elif lines.only_right(others[j]):
            j, start = right.after(j), j
            yield from (EventPair(None, n, "edited") for n in range(start, j))
        else:
            break
    yield from _matched(left, right, lines, i, j)


def _matched(
    left: TraceSide, right: TraceSide, lines: PairedLines, i: int, j: int
) -> Iterator[EventPair]:
    """Pair what follows once the traces have come apart."""
    events, others = left.reader.events[i:], right.reader.events[j:]
    keys = [lines.key(event, right=False) for event in islice(events, _MATCHED)]
    other_keys = [lines.key(event, right=True) for event in islice(others, _MATCHED)]
    matcher = SequenceMatcher(None, keys, other_keys, autojunk=False)
    for name, a, b, c, d in matcher.get_opcodes():
        if name == "equal":
            yield from (EventPair(i + a + n, j + c + n, "same") for n in range(b - a))
        else:
            yield from _apart(range(i + a, i + b), range(j + c, j + d))
    yield from _apart(
        range(i + len(keys), i + len(events)), range(j + len(other_keys), j + len(others))
    )


def _apart(left: range, right: range) -> Iterator[EventPair]:
    yield from (EventPair(number, None, "apart") for number in left)
    yield from (EventPair(None, number, "apart") for number in right)


def _compared(left: TraceSide, right: TraceSide, pairs: Iterator[EventPair]) -> Iterator[EventPair]:
    """The pairs with the names that differ; an event that is left out is played as well."""
    players = _Player(left), _Player(right)
    for pair in pairs:
        if pair.left is None or pair.right is None:
            yield pair
            continue
        (event, own), (other, others) = players[0].at(pair.left), players[1].at(pair.right)
        known = left.bound[_function(event.code)] & right.bound[_function(other.code)]
        names = [n for n in {**own, **others} if n in known and own.get(n) != others.get(n)]
        if event.value != other.value:
            names.append(VALUE)
        yield pair._replace(names=tuple(names))


class _Player:
    """Plays a trace up to one event after the other."""

    def __init__(self, side: TraceSide) -> None:
        self._events = iter(side.reader.events)
        self._playback = Playback()
        self._last: Event | None = None

    def at(self, index: int) -> tuple[Event, Variables]:
        """An event that comes after the last one, and its frame's variables there."""
        for event in self._events:
            if self._last:
                self._playback.leave(self._last)
            self._last = event
            state = self._playback.apply(event)
            if event.index == index:
                return event, state.own
        raise IndexError(f"there is no event {index} any more")


def _function(code: Code) -> tuple[str, str]:
    return code.file, code.name
