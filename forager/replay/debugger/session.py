"""One trace that a person steps through: where each command leads, and what there is to see."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from forager.errors import StoreError
from forager.tracing.aligning import TraceSide
from forager.tracing.reader import State, TraceReader
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines
from forager.tracing.store import SourceTexts, TraceIndex
from forager.tracing.stream import ENDING, Event
from forager.tracing.views.debugger import Debugger
from forager.untrusted import Malformed


class VariableRow(NamedTuple):
    """A variable of a frame at an event."""

    frame: int
    name: str
    value: str | None
    """None if it is not bound there."""
    change: str = ""
    """`new`, `changed`, `changed in place` or `deleted` since the frame's event before."""
    watched: bool = False


class DebugSession:
    """Moves are from an index to another one, or to None where there is no such event."""

    def __init__(self, trace: Trace, sources: Sources) -> None:
        self.trace, self.sources = trace, sources
        self.reader = TraceReader(trace)
        self.lines = SourceLines(sources)
        self.watched: list[tuple[int, str]] = []
        self._debugger = Debugger(self.reader, sources)

    @property
    def side(self) -> TraceSide:
        """The trace to align with another one."""
        return TraceSide(self.reader, self.sources)

    @property
    def last(self) -> int:
        """The index of the last event."""
        return len(self.reader) - 1

    def event(self, index: int) -> Event:
        """An event."""
        return self.reader.events[index]

    def line(self, event: Event) -> int:
        """The line of an event; of a call, that of the `def`."""
        return self.lines.entry(event.code) if event.kind == "call" else event.line

    def over(self, index: int, *, inverse: bool) -> int | None:
        """The next event that is not in an inner call."""
        return self._debugger.lead(index, "step_over", inverse)

    def out(self, index: int, *, inverse: bool) -> int | None:
        """The end of the call, or its beginning; from there, to the event in the caller."""
        event = self.event(index)
        at_edge = event.kind == "call" if inverse else event.kind in ENDING
        if at_edge:
            return self._debugger.lead(index, "step_into", inverse)
        return self._debugger.lead(index, "step_return", inverse)

    def again(self, index: int, *, inverse: bool) -> int | None:
        """The next time that the line is executed."""
        line = self.event(index).line
        return self._debugger.lead(index, "breakpoint", inverse, line)

    def change(self, index: int, row: VariableRow, *, inverse: bool) -> int | None:
        """The next event at which a variable has changed."""
        return self.reader.next_change(index, row.frame, row.name, inverse=inverse)

    def raised(self, index: int, *, inverse: bool) -> int | None:
        """The next exception."""
        return next((n for n in self._others(index, inverse) if self._raises(n)), None)

    def matching(self, word: str, index: int, *, inverse: bool) -> int | None:
        """The next event with a text in its source line, its changes or its value."""
        wanted = word.lower()
        return next((n for n in self._others(index, inverse) if wanted in self._text(n)), None)

    def state(self, index: int) -> State:
        """What a debugger shows at an event."""
        return self.reader.at(index)

    def place(self, frame: int, index: int) -> int:
        """The last event of a frame up to an event."""
        indexes = self.reader.of_frame(frame)
        return indexes[max(0, bisect_right(indexes, index) - 1)]

    def rows(self, state: State, frame: int) -> list[VariableRow]:
        """The variables of a frame, those that have just gone, and the watched ones."""
        variables = state.variables.get(frame, {})
        changes = self._changes(state.event) if state.event.frame == frame else {}
        rows = [VariableRow(frame, name, text, changes.pop(name, ""))
                for name, text in variables.items()]  # fmt: skip
        rows += [VariableRow(frame, name, None, kind) for name, kind in changes.items()]
        return rows + [
            VariableRow(of, name, state.variables.get(of, {}).get(name), watched=True)
            for of, name in self.watched
        ]

    def toggle_watch(self, row: VariableRow) -> None:
        """Show a variable at every event, or no longer."""
        key = row.frame, row.name
        if key in self.watched:
            self.watched.remove(key)
        else:
            self.watched.append(key)

    def ran(self, frame: int, index: int) -> set[int]:
        """The lines that a frame has executed before an event."""
        indexes = self.reader.of_frame(frame)
        earlier = indexes[: bisect_right(indexes, index - 1)]
        return {self.event(n).line for n in earlier if self.event(n).kind == "line"}

    @cached_property
    def depths(self) -> list[int]:
        """The depth of calls at each event."""
        frames = self.reader.frames
        return [frames[event.frame].depth for event in self.reader.events]

    def _changes(self, event: Event) -> dict[str, str]:
        indexes = self.reader.of_frame(event.frame)
        place = bisect_right(indexes, event.index - 1)
        line = self.event(indexes[place - 1]).line if place else 0
        bindings = self.lines.bindings(event.code.file)
        return {change.name: bindings.kind(change, line) for change in event.changes}

    def _others(self, index: int, inverse: bool) -> Iterator[int]:
        yield from range(index - 1, -1, -1) if inverse else range(index + 1, len(self.reader))

    def _raises(self, index: int) -> bool:
        """Whether an exception is raised here, and does not come from an inner call."""
        return self.event(index).kind == "exception" and (
            index == 0 or self.event(index - 1).kind != "unwind"
        )

    def _text(self, index: int) -> str:
        event = self.event(index)
        parts = [self.lines.line(event.code.file, self.line(event)), event.value or ""]
        parts += [f"{change.name} = {change.new or ''}" for change in event.changes]
        return "\n".join(parts).lower()


class TraceShelf:
    """The traces of a directory, opened one at a time."""

    def __init__(self, directory: Path) -> None:
        self.index = TraceIndex(directory)
        self._texts = SourceTexts(directory)

    def session(self, number: int) -> DebugSession:
        """Open a trace. Raises StoreError for a damaged one."""
        trace = self.index.trace(number)
        try:
            session = DebugSession(trace, self._texts.of(trace))
        except Malformed as error:
            raise StoreError(f"the trace {trace.id} is damaged: {error}") from error
        if not len(session.reader):
            raise StoreError(f"the trace {trace.id} has no events")
        return session
