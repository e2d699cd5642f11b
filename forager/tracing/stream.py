"""The stream of events that `forager/programs/tracer` records, and its parser.

The stream is a sequence of operations. Each is one byte and its operands: numbers of seven bits a
byte with the lowest first, and texts, which are a length in bytes and UTF-8.

| byte | operands | meaning |
|---|---|---|
| 01 | text | the next name of a variable, from 0 |
| 02 | text | the next file, from 0 |
| 03 | file, first line, kind, qualified name | the next code, from 0 |
| 04 | code | a call: a new frame, from 0 |
| 05 | frame | a generator or coroutine goes on |
| 06 | line | a line will be executed |
| 07 | line, value | a frame returns |
| 08 | line, value | a frame yields, or awaits |
| 09 | line, value | an exception is raised in a frame, or comes into it |
| 0a | line | a frame ends by an exception |
| 0b | name | a variable is gone |
| 0c | name, prefix, suffix, text | a variable has a new value: so many bytes of the old value's \
beginning, the text, so many bytes of its end |
| 0d | name, value | a variable is new, or has a new value |
| 0e | thread | the following events are another thread's, from 0 |
| 0f | reason | something is missing from here on |
| 20–5f | | a line, 32 fewer to 31 more than the frame's last one |
| 80–ff | value | as 0d, with the lower seven bits as the name |

Operations 0b to 0d and 80 to ff follow the event at which the recorder saw the change, and are
about that event's frame. A value is a text, in the notation of `forager/tracing/values.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from forager.untrusted import Malformed

KINDS = ("function", "generator", "coroutine", "async generator", "block")
"""What a code is; a block is the body of a module or class. The stream has the place in this."""
EventKind = Literal["call", "resume", "line", "return", "yield", "exception", "unwind"]
_EVENTS: dict[int, EventKind] = {
    0x04: "call",
    0x05: "resume",
    0x06: "line",
    0x07: "return",
    0x08: "yield",
    0x09: "exception",
    0x0A: "unwind",
}
OPENING: frozenset[EventKind] = frozenset({"call", "resume"})
CLOSING: frozenset[EventKind] = frozenset({"return", "yield", "unwind"})
"""Events that put a frame on its thread's stack, and that take it away."""
ENDING: frozenset[EventKind] = frozenset({"return", "unwind"})
"""Events after which a frame does not go on."""
T = TypeVar("T")
_LONGEST_NUMBER = 5  # bytes
LONGEST_VALUE = 1 << 17  # bytes of a value, four times what the recorder writes


class Code(NamedTuple):
    """A code object of the traced program."""

    file: str
    first: int
    """The first line; of a decorated function, that of the first decorator."""
    kind: str
    name: str
    """The qualified name, such as `Stack.push`; without one before Python 3.11."""


class VariableChange(NamedTuple):
    """What happened to a variable since the frame's event before; None stands for unbound."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a frame did, and how its variables changed up to then."""

    index: int
    kind: EventKind
    thread: int
    frame: int
    """The number of the call. A generator keeps it over its yields."""
    code: Code
    line: int
    """Of a call, the code's first line."""
    value: str | None = None
    """Returned, yielded or raised."""
    changes: tuple[VariableChange, ...] = ()
    missing: str = ""
    """Why something is missing between the event before and this one."""


@dataclass(slots=True)
class _Frame:
    code: Code
    line: int
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    """An event whose changes are still being read."""

    kind: EventKind
    thread: int
    frame: int
    line: int
    value: str | None
    missing: str
    changes: list[VariableChange] = field(default_factory=list)


class StreamReader:
    """Reads a stream from front to end. Whatever it is, the result is events or Malformed."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self.names: list[str] = []
        self.files: list[str] = []
        self.codes: list[Code] = []
        self.missing: list[str] = []
        """Why the trace is not complete, in order."""
        self._frames: list[_Frame] = []
        self._stacks: dict[int, list[int]] = {}
        self._thread = 0
        self._gap = ""
        self._pending: _Pending | None = None

    def events(self) -> Iterator[Event]:
        """Yield the events. Raises Malformed."""
        index = 0
        while self._at < len(self._data):
            before = self._pending
            self._operation()
            if before is not None and self._pending is not before:
                yield self._event(before, index)
                index += 1
                if before.kind in ENDING:
                    self._frames[before.frame].variables.clear()  # or all calls' values stay
        if self._pending is not None:
            yield self._event(self._pending, index)

    def _event(self, pending: _Pending, index: int) -> Event:
        return Event(
            index=index,
            kind=pending.kind,
            thread=pending.thread,
            frame=pending.frame,
            code=self._frames[pending.frame].code,
            line=pending.line,
            value=pending.value,
            changes=tuple(pending.changes),
            missing=pending.missing,
        )

    def _operation(self) -> None:
        operation = self._data[self._at]
        self._at += 1
        if operation >= 0x80:
            self._change(operation & 0x7F, self._text())
        elif 0x20 <= operation <= 0x5F:
            frame = self._current()
            self._start("line", frame, self._frames[frame].line + operation - 0x40)
        elif operation in _EVENTS:
            self._begin(_EVENTS[operation])
        else:
            self._other(operation)

    def _begin(self, kind: EventKind) -> None:
        if kind == "call":
            code = self._item(self.codes, "code")
            self._frames.append(_Frame(code, code.first))
            self._start(kind, len(self._frames) - 1, code.first)
        elif kind == "resume":
            number = self._number()
            frame = self._item(self._frames, "frame", number)
            self._start(kind, number, frame.line)
        else:
            line = self._number()
            value = self._text() if kind in ("return", "yield", "exception") else None
            self._start(kind, self._current(), line, value)

    def _start(self, kind: EventKind, frame: int, line: int, value: str | None = None) -> None:
        if line < 0:
            raise Malformed("a line is negative")
        stack = self._stacks.setdefault(self._thread, [])
        if kind in OPENING:
            stack.append(frame)
        elif kind in CLOSING:
            stack.pop()
        self._frames[frame].line = line
        self._pending = _Pending(kind, self._thread, frame, line, value, self._gap)
        self._gap = ""

    def _other(self, operation: int) -> None:
        if operation == 0x01:
            self.names.append(self._text())
        elif operation == 0x02:
            self.files.append(self._text())
        elif operation == 0x03:
            file, first, kind = self._item(self.files, "file"), self._number(), self._number()
            self.codes.append(Code(file, first, self._item(KINDS, "kind", kind), self._text()))
        elif operation == 0x0B:
            self._change(self._number(), None)
        elif operation == 0x0C:
            self._edit(self._number(), self._number(), self._number())
        elif operation == 0x0D:
            self._change(self._number(), self._text())
        elif operation == 0x0E:
            self._thread = self._number()
        elif operation == 0x0F:
            self._gap = self._text()
            self.missing.append(self._gap)
        else:
            raise Malformed(f"there is no operation {operation:#04x}")

    def _current(self) -> int:
        stack = self._stacks.get(self._thread)
        if not stack:
            raise Malformed("an event has no frame")
        return stack[-1]

    def _variables(self) -> tuple[_Pending, dict[str, str]]:
        if self._pending is None:
            raise Malformed("a change comes before any event")
        return self._pending, self._frames[self._pending.frame].variables

    def _change(self, number: int, new: str | None) -> None:
        pending, variables = self._variables()
        name = self._item(self.names, "name", number)
        old = variables.pop(name, None) if new is None else variables.get(name)
        if new is not None:
            variables[name] = new
        pending.changes.append(VariableChange(name, old, new))

    def _edit(self, number: int, prefix: int, suffix: int) -> None:
        old = self._variables()[1].get(self._item(self.names, "name", number), "").encode()
        middle = self._bytes()
        if prefix + suffix > len(old):
            raise Malformed("an edit keeps more than there is")
        if prefix + suffix + len(middle) > LONGEST_VALUE:
            raise Malformed("a value is too long")
        self._change(number, _decoded(old[:prefix] + middle + old[len(old) - suffix :]))

    def _item(self, items: Sequence[T], what: str, number: int = -1) -> T:
        number = self._number() if number < 0 else number
        if number >= len(items):
            raise Malformed(f"there is no {what} {number}")
        return items[number]

    def _number(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            if self._at >= len(self._data):
                break
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return number
        raise Malformed("a number does not end")

    def _bytes(self) -> bytes:
        length = self._number()
        self._at += length
        if self._at > len(self._data):
            raise Malformed("a text does not end")
        return self._data[self._at - length : self._at]

    def _text(self) -> str:
        return _decoded(self._bytes())


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a text is not UTF-8") from error
