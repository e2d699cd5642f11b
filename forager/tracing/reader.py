"""Rebuilds the state of a traced program at any event.

States are exact within the recorder's bounds: each value is the text that was recorded for it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from forager.tracing.record import Trace
from forager.tracing.stream import (
    CLOSING,
    ENDING,
    OPENING,
    Code,
    Event,
    StreamReader,
    VariableChange,
)

_EVERY = 256  # events between the states that are kept for random access

Variables = dict[str, str]
"""Name → value, in the order in which the names were bound."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A call, from its first event to its last one."""

    number: int
    code: Code
    parent: int | None
    """The traced frame below; None at the bottom of a thread."""
    depth: int
    thread: int
    first: int
    last: int
    """Indexes of the call's first and last event; a generator's later parts are between them."""


@dataclass(frozen=True, slots=True)
class State:
    """What a person sees who stops the program at an event."""

    event: Event
    stack: tuple[int, ...]
    """Frames of the event's thread, the outermost first. The event's frame is the last one, even
    if the event ends it."""
    variables: dict[int, Variables]
    """Variables of each frame that still runs or waits, and of the event's frame."""

    @property
    def own(self) -> Variables:
        """The variables of the event's frame."""
        return self.variables[self.event.frame]


class Playback:
    """Follows the events from front to end; `variables` are those after the last event."""

    def __init__(self) -> None:
        self.variables: dict[int, Variables] = {}
        self.stacks: dict[int, tuple[int, ...]] = {}

    def copy(self) -> "Playback":
        """An independent copy."""
        other = Playback()
        other.variables = {frame: dict(names) for frame, names in self.variables.items()}
        other.stacks = dict(self.stacks)
        return other

    def apply(self, event: Event) -> State:
        """Apply an event; the state's variables are valid until the next call."""
        stack = self.stacks.get(event.thread, ())
        if event.kind in OPENING:
            stack = (*stack, event.frame)
        self.stacks[event.thread] = stack
        apply_changes(self.variables.setdefault(event.frame, {}), event.changes)
        return State(event, stack, self.variables)

    def leave(self, event: Event) -> None:
        """Remove what the event ends, after its state was looked at."""
        if event.kind in CLOSING:
            self.stacks[event.thread] = self.stacks[event.thread][:-1]
        if event.kind in ENDING:
            del self.variables[event.frame]


def apply_changes(variables: Variables, changes: tuple[VariableChange, ...]) -> None:
    """Change the variables of a frame in place."""
    for change in changes:
        if change.new is None:
            variables.pop(change.name, None)
        else:
            variables[change.name] = change.new


def read_events(trace: Trace) -> Iterator[Event]:
    """Yield the events of a trace, with flat memory. Raises Malformed."""
    return StreamReader(trace.stream()).events()


def read_states(trace: Trace) -> Iterator[State]:
    """Yield the state at each event; its variables are valid until the next one is read."""
    playback = Playback()
    for event in read_events(trace):
        yield playback.apply(event)
        playback.leave(event)


class TraceReader:
    """Random access to the events, frames and states of one trace, which is held in memory.

    Raises Malformed for a damaged trace.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.events: list[Event] = []
        self._marks: list[Playback] = []
        playback = Playback()
        for event in read_events(trace):
            if event.index % _EVERY == 0:
                self._marks.append(playback.copy())
            self.events.append(event)
            playback.apply(event)
            playback.leave(event)

    def __len__(self) -> int:
        return len(self.events)

    def at(self, index: int) -> State:
        """The state at an event: after what ran before it, before what it announces.

        Raises IndexError.
        """
        if not 0 <= index < len(self.events):
            raise IndexError(f"there is no event {index}")
        start = index // _EVERY
        playback = self._marks[start].copy()
        for event in self.events[start * _EVERY : index]:
            playback.apply(event)
            playback.leave(event)
        return playback.apply(self.events[index])

    @cached_property
    def frames(self) -> list[Frame]:
        """All calls, by their numbers."""
        first: dict[int, tuple[Event, int | None, int]] = {}
        last: dict[int, int] = {}
        stacks: dict[int, list[int]] = {}
        for event in self.events:
            stack = stacks.setdefault(event.thread, [])
            if event.kind in OPENING:
                if event.kind == "call":
                    first[event.frame] = (event, stack[-1] if stack else None, len(stack))
                stack.append(event.frame)
            elif event.kind in CLOSING:
                stack.pop()
            last[event.frame] = event.index
        return [
            Frame(number, event.code, parent, depth, event.thread, event.index, last[number])
            for number, (event, parent, depth) in sorted(first.items())
        ]

    @cached_property
    def _of_frames(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for event in self.events:
            found.setdefault(event.frame, []).append(event.index)
        return found

    def of_frame(self, frame: int) -> list[int]:
        """Indexes of the events of a frame."""
        return self._of_frames[frame]

    def next_change(
        self, index: int, frame: int, name: str, *, inverse: bool = False
    ) -> int | None:
        """The next event of a frame at which a variable has changed; None if it does not.

        With `inverse`, the last one before.
        """
        indexes = self.of_frame(frame)
        later = (
            reversed(indexes[: bisect_left(indexes, index)])
            if inverse
            else indexes[bisect_right(indexes, index) :]
        )
        for other in later:
            if any(change.name == name for change in self.events[other].changes):
                return other
        return None
