"""The recorder in Python, for interpreters without a C compiler. It writes what `helper.c` writes.

Before Python 3.13 a trace function in Python makes the interpreter copy variables back into the
frame, which undoes what other threads did to a closure. So this recorder stops where a second
thread starts. It also stops near the recursion limit, where it would raise the error itself.
"""

from __future__ import annotations

import sys
import time
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import writing
from .codes import BLOCK, LOOPS, RETURNS, YIELDS, Described, Instructions
from .notation import render
from .variables import watching
from .writing import NEAR, Names, named, numbered, valued

if TYPE_CHECKING:
    from collections.abc import Callable

    Trace = Callable[[FrameType, str, Any], Any]
_RECURSION = 60  # frames that the recorder leaves to the program
_GENERATORS = (1, 2, 3)


class RecordingLimits(NamedTuple):
    """Where a recording ends, or leaves something out."""

    events: int
    bytes: int
    seconds: float
    depth: int


class _Info(NamedTuple):
    described: Described
    call: bytes
    instructions: Instructions
    order: dict[str, int]
    """The places of the variables in a frame; empty for a block, which has any."""


class Fallback:
    """One recording of the current thread."""

    def __init__(
        self, describe: Callable[[CodeType], Described | None], limits: RecordingLimits
    ) -> None:
        self._describe, self.limits = describe, limits
        self.missing: list[str] = []
        self.active = False
        self._own = False
        self._stream = bytearray()
        self.chunks: list[bytes] = []
        self.names = Names(self.chunks)
        self._codes: dict[int, _Info | None] = {}
        self._kept: list[CodeType] = []
        self._files: dict[str, int] = {}
        self._deadline = time.monotonic() + limits.seconds
        self._deep = False
        self._numbers = 0

    def start(self) -> None:
        """Record what the current thread calls from now on."""
        if len(sys._current_frames()) > 1:
            self.missing.append("threads")
            self.chunks.append(named(0x0F, "threads"))
            return
        self.active = self._own = True
        sys.settrace(recording(self))
        self._own = False

    def stop(self) -> tuple[bytes, list[str]]:
        """End the recording; return the stream, and why something is missing."""
        if self.active and getattr(sys.gettrace(), "recorder", None) is not self:
            self.end("hook")
        self.end("")
        self._stream += b"".join(self.chunks)
        return bytes(self._stream), self.missing

    def end(self, reason: str) -> None:
        """Record no more, for a reason unless it is the regular end."""
        if not self.active:
            return
        self.active, self._own = False, True
        if reason:
            self.mark(reason)
        if reason != "hook":
            sys.settrace(None)
        self._own = False

    def mark(self, reason: str) -> None:
        """Record that something is missing from here on."""
        self.missing.append(reason)
        self.chunks.append(named(0x0F, reason))

    def heard(self, event: str) -> None:
        """Look at an audit event: another hook replaces this one, or a thread starts."""
        if self.active and not self._own:
            if event == "sys.settrace":
                self.end("hook")
            elif event.startswith("_thread.start"):
                self.end("threads")

    def check(self, left: int) -> bool:
        """Look at the limits, before every 256th event; True if the recording has ended."""
        self._stream += b"".join(self.chunks)
        self.chunks.clear()
        if not left:
            self.end("events")
        elif len(self._stream) >= self.limits.bytes:
            self.end("bytes")
        elif time.monotonic() > self._deadline:
            self.end("seconds")
        return not self.active

    def too_deep(self, depth: int) -> bool:
        """Whether a call is not recorded because of its depth, which is noted once."""
        if depth < self.limits.depth:
            return False
        if not self._deep:
            self._deep = True
            self.mark("depth")
        return True

    def info(self, code: CodeType) -> _Info | None:
        """What is known of a code object, which is never freed meanwhile."""
        key = id(code)
        if key in self._codes:
            return self._codes[key]
        self._kept.append(code)
        described = self._describe(code)
        info = None
        if described is not None:
            if described.file not in self._files:
                self._files[described.file] = len(self._files)
                self.chunks.append(named(0x02, described.file))
            self.chunks.append(writing.code(self._files[described.file], described))
            order = {name: place for place, name in enumerate(described.slots) if name}
            number, self._numbers = self._numbers, self._numbers + 1
            info = _Info(described, numbered(0x04, number), Instructions(code.co_code), order)
        self._codes[key] = info
        return info


def unfollowed(code: CodeType) -> Trace | None:
    """Return the trace function of a call that is not recorded: None for Python code.

    Cython code compiled with line tracing calls it even if it is None, and the TypeError ends all
    tracing. An empty `co_consts` tells such code from Python's.
    """
    return None if code.co_consts else ignore


def ignore(*_: Any) -> None:
    """Record nothing."""


def recording(recorder: Fallback) -> Trace:
    """The function that the interpreter calls for a recording.

    It is one function that keeps what it needs in variables of its own, because their attributes
    would take a quarter of its time.
    """
    emit, names, info_of = recorder.chunks.append, recorder.names, recorder.info
    left, top, frames = recorder.limits.events, -1, 0
    stack: list[int] = []
    depths: list[int] = []
    waiting: dict[int, Trace] = {}

    def enter(frame: FrameType, event: str, _: Any) -> Trace | None:
        """Follow a call of traced code, or a generator that goes on."""
        nonlocal left, top, frames
        info = info_of(frame.f_code) if recorder.active else None
        if info is None or event != "call":
            return unfollowed(frame.f_code)
        if info.described.kind in _GENERATORS and not info.instructions.is_start(frame.f_lasti):
            known = waiting.pop(id(frame), None)
            if known is None or frame.f_trace is not known:
                return unfollowed(frame.f_code)
            return known if known(frame, "resume", None) else None
        depth = deeper(frame)
        if depth > sys.getrecursionlimit() - _RECURSION:
            recorder.end("recursion")
        elif not recorder.too_deep(len(stack)) and (left & 255 or not recorder.check(left)):
            left -= 1
            emit(info.call)
            local = follow(info, frames)
            stack.append(frames)
            depths.append(depth)
            top = frames
            frames += 1
            local(frame, "call", None)
            return local
        return unfollowed(frame.f_code)

    def deeper(frame: FrameType) -> int:
        """How many frames are on the interpreter's stack, from the last one that is known."""
        above, steps = frame.f_back, 1
        while above is not None and not (depths and is_ours(above.f_trace)):
            above, steps = above.f_back, steps + 1
        return steps if above is None else depths[-1] + steps

    def is_ours(trace: Any) -> bool:
        return getattr(trace, "__code__", None) is local_code

    def go_on(number: int) -> None:
        """Note that a frame has become the last one without a call, as after `throw`."""
        nonlocal top
        emit(numbered(0x05, number))
        stack.append(number)
        depths.append(depths[-1] + 1 if depths else 1)
        top = number

    def follow(info: _Info, number: int) -> Trace:
        """The trace function of one frame."""
        line, raised = info.described.first, -1
        look = watching(names, emit, info.order if info.described.kind != BLOCK else None)
        generator = info.described.kind in _GENERATORS
        kind_of = info.instructions.kind

        def leave(frame: FrameType, value: Any) -> None:
            nonlocal top, line
            line = frame.f_lineno
            stack.pop()
            depths.pop()
            top = stack[-1] if stack else -1
            last = frame.f_lasti
            kind = kind_of(last) if generator or value is None else RETURNS
            if generator and kind & YIELDS and raised != last:
                waiting[id(frame)] = local
                emit(valued(0x08, line, render(value)))
            elif kind & RETURNS:
                emit(valued(0x07, line, render(value)))
            else:
                emit(numbered(0x0A, line))

        def local(frame: FrameType, event: str, value: Any) -> Any:
            nonlocal left, line, raised, top
            if event == "exception":
                kind, value = value[0], value[1]
                raised = frame.f_lasti
                if (kind is StopIteration or kind is StopAsyncIteration) and kind_of(
                    raised
                ) & LOOPS:
                    return local
            if not recorder.active:
                return None
            if event != "call":
                if not left & 255 and recorder.check(left):
                    return None
                left -= 1
                if top != number:
                    go_on(number)
                if event == "line":
                    here = frame.f_lineno
                    emit(NEAR.get(here - line) or numbered(0x06, here))
                    line, raised = here, -1
                elif event == "return":
                    leave(frame, value)
                elif event == "exception":
                    line = frame.f_lineno
                    emit(valued(0x09, line, render(value)))
                else:  # it goes on
                    raised = -1
            look(frame.f_locals)
            return local

        return local

    local_code = follow(_NOTHING, 0).__code__
    enter.recorder = recorder  # type: ignore[attr-defined]
    return enter


_NOTHING = _Info(Described("", 0, 0, "", ()), b"", Instructions(b""), {})
