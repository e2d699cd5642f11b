"""A fix as a question and an answer: what happens inside its test, before it and after it.

The question holds the fix. The answer says where the executions first differ and how, and shows
both around that place in the compact view.
"""

from typing import NamedTuple

from forager.tracing.aligning import TraceSide
from forager.tracing.fixes import TracedFix
from forager.tracing.source import SourceLines
from forager.tracing.views.compact import compact_events

_EARLIER, _LATER = 24, 12  # events around the difference
_LONGEST_LINE = 400  # characters
_LONGEST_VALUE = 120  # characters of a value in the first sentence
_MOST_NAMES = 3
_QUESTION = """\
What happens inside the test {test}, in the code as it was given and with this fix?

```diff
{patch}
```

Say where the two executions first differ, and show both around that place."""


class Exchange(NamedTuple):
    """A question of the user, and its answer."""

    question: str
    answer: str


def fix_exchange(fix: TracedFix, before: TraceSide, after: TraceSide) -> Exchange:
    """Return the question and the answer about a fix. Both traces are those of the fix."""
    question = _QUESTION.format(test=fix.test, patch=fix.patch.rstrip("\n"))
    views = [_View(before, fix.difference.before), _View(after, fix.difference.after)]
    parts = [_sentence(fix, *views)]
    for name, view in zip(("Before", "After"), views, strict=True):
        parts.append(f"{name} the fix:\n\n```\n{view.text()}```")
    return Exchange(question, "\n\n".join(parts))


class _View:
    """One of the traces, at the event where it differs; None if it has ended there."""

    def __init__(self, side: TraceSide, index: int | None) -> None:
        self._reader = side.reader
        self._lines = SourceLines(side.sources)
        self.index = index

    def text(self) -> str:
        """The events around the difference."""
        events = self._reader.events
        index = len(events) - 1 if self.index is None else self.index
        first = max(0, index - _EARLIER, self._reader.frames[events[index].frame].first)
        text = compact_events(events[first : index + _LATER + 1], self._lines)
        return "".join(f"{_bounded(line, _LONGEST_LINE)}\n" for line in text.splitlines())

    def place(self) -> str:
        """The function and the line."""
        if self.index is None:
            return "the end"
        event = self._reader.events[self.index]
        return f"`{event.code.name}` ({event.code.file}:{event.line})"

    def variable(self, name: str) -> str:
        """The value of a variable there."""
        if self.index is None:
            return "unbound"
        value = self._reader.at(self.index).own.get(name)
        return "unbound" if value is None else _bounded(value, _LONGEST_VALUE)

    def step(self) -> str:
        """What happens there."""
        if self.index is None:
            return "the trace ends"
        event = self._reader.events[self.index]
        if event.value is not None:
            verb = {"return": "returns", "yield": "yields"}.get(event.kind, "raises")
            return f"`{event.code.name}` {verb} {_bounded(event.value, _LONGEST_VALUE)}"
        if event.kind == "line":
            source = self._lines.line(event.code.file, event.line).strip()
            return f"line {event.line} comes next, `{_bounded(source, _LONGEST_VALUE)}`"
        verb = {"call": "is called", "resume": "goes on"}.get(event.kind, "ends by an exception")
        return f"`{event.code.name}` {verb}"


def _sentence(fix: TracedFix, before: _View, after: _View) -> str:
    where = before.place() if before.index is not None else after.place()
    start = f"The executions first differ in {where}"
    if fix.difference.kind == "flow" or fix.difference.value:
        return f"{start}: before the fix {before.step()}; after it {after.step()}."
    values = "; ".join(
        f"`{name}` is {before.variable(name)} before the fix and {after.variable(name)} after it"
        for name in fix.difference.names[:_MOST_NAMES]
    )
    return f"{start}: {values}."


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}<+{len(text) - most}>"
