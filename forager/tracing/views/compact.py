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

from collections.abc import Iterator

from forager.tracing.cutting import Cut, EpisodeStep, steps
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines

_MARKS = {"return": "<", "yield": "<~", "exception": "!"}


def compact_text(trace: Trace, sources: Sources, cut: Cut | None = None) -> str:
    """The compact view of an episode. Raises Malformed."""
    lines = SourceLines(sources)
    return "".join(
        f"{line}\n" for step in steps(trace, cut or Cut()) for line in _lines(step, lines)
    )


def _lines(step: EpisodeStep, lines: SourceLines) -> Iterator[str]:
    event = step.event
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
