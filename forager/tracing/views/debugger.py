"""Episodes with a debugger, after *Towards a Neural Debugger for Python* (arXiv 2603.09951).

A state is where the program stands, and the variables there. An action is a debugger's command; it
leads to another state of the same trace. A model learns to say that state: forwards what comes, and
backwards (`inverse`) from which state the program came, which variables and arguments it had.

| action | forward | inverse |
|---|---|---|
| `step_into` | the next event | the event before |
| `step_over` | the next event that is not in an inner call | the last one before that is not |
| `step_return` | what this call returns or raises | the call itself |
| `breakpoint LINE` | the next time that this line is reached | the last time |

The paper's text of states is not published with code; here it is CWM's, with all variables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from forager.records import Record
from forager.tracing.reader import TraceReader
from forager.tracing.record import Sources
from forager.tracing.source import SourceLines
from forager.tracing.stream import CLOSING, ENDING, OPENING, Event
from forager.tracing.views.cwm import CwmFrame, json_text

ACTIONS = ("step_into", "step_over", "step_return", "breakpoint")
_WEIGHTS = (4, 3, 1, 2)  # of the actions in an episode
_KINDS = {"resume": "call", "yield": "return", "unwind": "exception"}


class DebuggerStep(Record):
    """An action and the state that it leads to."""

    action: str
    """Such as `step_over` or `breakpoint 12`; empty for the state where the episode starts."""
    state: str
    event: int
    """The index of the state's event in the trace."""


class DebuggerEpisode(Record):
    """A session with a debugger."""

    direction: str
    """`forward` or `inverse`."""
    files: dict[str, str]
    steps: list[DebuggerStep]


@dataclass(frozen=True)
class Debugger:
    """Finds where an action leads, in one trace."""

    reader: TraceReader
    sources: Sources

    def lead(self, index: int, action: str, inverse: bool = False, line: int = 0) -> int | None:
        """The event that an action leads to; None if there is none before the trace ends."""
        events = self.reader.events
        here = events[index]
        later = range(index - 1, -1, -1) if inverse else range(index + 1, len(events))
        inner = _Inner(inverse)
        for other in later:
            event = events[other]
            if event.thread == here.thread and self._stops(event, here, action, line, inner):
                return other
        return None

    def _stops(self, event: Event, here: Event, action: str, line: int, inner: "_Inner") -> bool:
        within = inner.enters(event)
        if action == "step_into":
            return True
        if action == "step_over":
            return not within
        if action == "step_return":
            wanted = ("call",) if inner.inverse else ENDING
            return event.frame == here.frame and event.kind in wanted
        same = event.code.file == here.code.file
        return same and event.kind == "line" and event.line == line

    def state(self, index: int) -> str:
        """The state at an event as text."""
        event = self.reader.events[index]
        line = self._lines.entry(event.code) if event.kind == "call" else event.line
        source = self._lines.line(event.code.file, line)
        variables = dict(self.reader.at(index).own)
        kind = _KINDS.get(event.kind, event.kind)
        if kind in ("return", "exception"):
            ended = CwmFrame(kind, source, None, event.value or "")
            return f"{json_text(variables)}{ended.text()}"
        return CwmFrame(kind, source, variables).text()

    @cached_property
    def _lines(self) -> SourceLines:
        return SourceLines(self.sources)


class _Inner:
    """Follows the depth of calls from an event on, in either direction."""

    def __init__(self, inverse: bool) -> None:
        self.inverse = inverse
        self._in, self._out = (CLOSING, OPENING) if inverse else (OPENING, CLOSING)
        self._depth = 0

    def enters(self, event: Event) -> bool:
        """Whether an event belongs to a call that began after the start."""
        if event.kind in self._in:
            self._depth += 1
            return True
        within = self._depth > 0
        if event.kind in self._out and within:
            self._depth -= 1
        return within


def episode(
    reader: TraceReader, sources: Sources, seed: int, steps: int = 8, inverse: bool = False
) -> DebuggerEpisode:
    """A session of random actions from a random place; the same seed gives the same session.

    An inverse session begins in the second half of the trace. An action that leads nowhere is
    drawn again; the session ends where no drawn action leads on.
    """
    random, debugger = Random(seed), Debugger(reader, sources)
    middle = len(reader) // 2
    index = random.randrange(middle, len(reader)) if inverse else random.randrange(middle + 1)
    found = [DebuggerStep(action="", state=debugger.state(index), event=index)]
    while len(found) <= steps:
        action, line, later = _drawn(debugger, index, random, inverse)
        if later is None:
            break
        index = later
        name = f"{action} {line}" if action == "breakpoint" else action
        found.append(DebuggerStep(action=name, state=debugger.state(index), event=index))
    files = {reader.events[step.event].code.file for step in found}
    return DebuggerEpisode(
        direction="inverse" if inverse else "forward",
        files={path: sources.get(path, "") for path in sorted(files)},
        steps=found,
    )


def _drawn(
    debugger: Debugger, index: int, random: Random, inverse: bool
) -> tuple[str, int, int | None]:
    """An action that leads somewhere, its line, and where it leads."""
    for _ in range(4):
        action = random.choices(ACTIONS, _WEIGHTS)[0]
        line = random.choice(_lines(debugger.reader.events, index)) if action == "breakpoint" else 0
        later = debugger.lead(index, action, inverse, line)
        if later is not None:
            return action, line, later
    return "", 0, None


def _lines(events: Sequence[Event], index: int) -> list[int]:
    """The lines of the file that the trace reaches near an event."""
    near = events[max(0, index - 200) : index + 200]
    file = events[index].code.file
    found = {event.line for event in near if event.kind == "line" and event.code.file == file}
    return sorted(found) or [events[index].line]
