"""Writes a stream anew with other values; `forager/programs/tracer/writing.py` writes operations.

Values are written whole: a value that is an edit of another one may differ from it in more places
after both have changed.
"""

from collections.abc import Callable

from forager.programs.tracer.writing import named, number, string, valued
from forager.tracing.stream import KINDS, Code, Event, StreamReader

_OPERATIONS = {"return": 0x07, "yield": 0x08, "exception": 0x09}


def rewritten(stream: bytes, change: Callable[[str], str]) -> bytes:
    """The stream in which a function has changed each value. Raises Malformed."""
    writer = _StreamWriter(change)
    reader = StreamReader(stream)
    for event in reader.events():
        writer.event(event)
    for reason in reader.missing[writer.gaps :]:
        writer.data += named(0x0F, reason)
    return bytes(writer.data)


class _StreamWriter:
    def __init__(self, change: Callable[[str], str]) -> None:
        self.data = bytearray()
        self.gaps = 0
        self._change = change
        self._names: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._codes: dict[Code, int] = {}
        self._thread = 0

    def event(self, event: Event) -> None:
        """Write an event and its changes."""
        if event.missing:
            self.data += named(0x0F, event.missing)
            self.gaps += 1
        if event.thread != self._thread:
            self._thread = event.thread
            self.data += b"\x0e" + number(event.thread)
        self._begin(event)
        for change in event.changes:
            place = number(self._number(self._names, change.name, 0x01))
            if change.new is None:
                self.data += b"\x0b" + place
            else:
                self.data += b"\x0d" + place + string(self._change(change.new).encode())

    def _begin(self, event: Event) -> None:
        if event.kind == "call":
            code = number(self._code(event.code))
            self.data += b"\x04" + code
        elif event.kind == "resume":
            self.data += b"\x05" + number(event.frame)
        elif event.kind in _OPERATIONS:
            value = self._change(event.value or "")
            self.data += valued(_OPERATIONS[event.kind], event.line, value)
        else:
            operation = b"\x06" if event.kind == "line" else b"\x0a"
            self.data += operation + number(event.line)

    def _code(self, code: Code) -> int:
        if code not in self._codes:
            file = self._number(self._files, code.file, 0x02)
            kind = KINDS.index(code.kind)
            self.data += b"\x03" + number(file) + number(code.first) + number(kind)
            self.data += string(code.name.encode())
            self._codes[code] = len(self._codes)
        return self._codes[code]

    def _number(self, known: dict[str, int], text: str, operation: int) -> int:
        if text not in known:
            known[text] = len(known)
            self.data += named(operation, text)
        return known[text]
