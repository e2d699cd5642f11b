"""The compact view: each event in a line, and what has changed; a fifth of CWM's text.

```
> f(nums=[1, 1, 3])
2 output = []
  output = []
3 for n in nums:
  n = 1
< [(2, 1)]
```

`>` is a call, `~` a generator that goes on, `<` what is returned, `<~` what is yielded, `!` what is
raised, `^` a frame that an exception ends. A number is a line that will be executed. Changes have
two spaces before them; `-` stands before a name that is gone.
"""

from collections.abc import Iterable, Iterator

from forager.tracing.cutting import Cut, steps
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines
from forager.tracing.stream import Event

_MARKS = {"return": "<", "yield": "<~", "exception": "!"}


def compact_text(trace: Trace, sources: Sources, cut: Cut | None = None) -> str:
    """The compact view of an episode. Raises Malformed."""
    lines = SourceLines(sources)
    return compact_events((step.event for step in steps(trace, cut or Cut())), lines)


def compact_events(events: Iterable[Event], lines: SourceLines) -> str:
    """The compact view of some events."""
    return "".join(f"{line}\n" for event in events for line in _lines(event, lines))


def _lines(event: Event, lines: SourceLines) -> Iterator[str]:
    if event.kind == "call":
        arguments = ", ".join(f"{change.name}={change.new}" for change in event.changes)
        yield f"> {event.code.name}({arguments})"
        return
    for change in event.changes:
        gone = change.new is None
        yield f"  -{change.name}" if gone else f"  {change.name} = {change.new}"
    if event.kind == "line":
        yield f"{event.line} {lines.line(event.code.file, event.line).strip()}"
    elif event.kind == "resume":
        yield f"~ {event.code.name}"
    elif event.kind == "unwind":
        yield "^"
    else:
        yield f"{_MARKS[event.kind]} {event.value}"
