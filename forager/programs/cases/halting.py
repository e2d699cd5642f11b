"""Proves that a call never ends: at a `while` of one activation, a complete state occurs again.

A deterministic program goes on from equal states in the same way, so it comes there for ever. What
else belongs to the state of a function that stands before the test of a `while`:
- iterators of `for` loops around it. The state counts how often each was asked for an item, so
  that states with different items are never equal.
- what callers are in the middle of. They are suspended as long as the activation lasts.
Functions that share variables with inner or outer functions are not watched, nor tests that take
several lines, before which parts of an expression may be waiting. Whether the program is
deterministic is for the caller to say: see `tasks/termination.py`.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from .children import answer
from .python import CompiledProgram, begin, called
from .states import digest
from .values import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

_MOST = 20_000  # states that are compared


class _Activation:
    """What was seen of one activation of a function."""

    def __init__(self) -> None:
        self.asked: dict[int, int] = {}  # items asked for, by the line of a `for`
        self.seen: dict[int, tuple[int, int, bytes]] = {}
        """By the line of a `while`: states so far, which is kept next (0: none), the kept one."""


class CallWatcher:
    """A trace function that answers when a state occurs again, and ends the process."""

    def __init__(self, text: str) -> None:
        nodes = list(ast.walk(ast.parse(text)))
        self._fors = {
            line
            for node in nodes
            if isinstance(node, (ast.For, ast.AsyncFor))
            for line in range(node.lineno, (node.iter.end_lineno or node.lineno) + 1)
        }
        self._whiles = {
            node.lineno
            for node in nodes
            if isinstance(node, ast.While) and node.test.end_lineno == node.lineno
        }
        self._activations: dict[FrameType, _Activation] = {}
        self._states, self._problem = 0, "no state occurred again"

    def __call__(self, frame: FrameType, _event: str, _: Any) -> Callable[..., Any] | None:
        """Watch the functions of the program."""
        if frame.f_code.co_filename != "<program>" or not _is_alone(frame.f_code):
            return None
        self._activations[frame] = _Activation()  # anew when a generator goes on
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "return":
            self._activations.pop(frame, None)
        elif event == "line":
            activation, line = self._activations[frame], frame.f_lineno
            if line in self._fors:
                activation.asked[line] = activation.asked.get(line, 0) + 1
            elif line in self._whiles:
                self._look(frame, activation, line)
        return self._step

    def _look(self, frame: FrameType, activation: _Activation, line: int) -> None:
        """Compare a state with the kept one; keep the first, second, fourth … (Brent)."""
        count, due, kept = activation.seen.get(line, (0, 1, b""))
        if not due:
            return
        place = (frame.f_lasti, *(number for pair in activation.asked.items() for number in pair))
        try:
            found = digest(place, frame.f_locals, frame.f_globals)
        except Unreadable as problem:
            self._problem = str(problem)
            activation.seen[line] = (count, 0, b"")
            return
        if found == kept:
            _end(repeats=line)
        count += 1
        activation.seen[line] = (count, due * 2, found) if count == due else (count, due, kept)
        self._states += 1
        if self._states > _MOST:
            _end(unproven=self._problem)


def _is_alone(code: CodeType) -> bool:
    """Whether this is a function's own code, and its variables are its own."""
    if code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED:
        return False
    return not (code.co_cellvars or code.co_freevars)


def _end(**found: Any) -> NoReturn:
    """Answer, and end the process."""
    answer(json.dumps(found).encode())
    os._exit(0)


def watch_call(
    program: CompiledProgram, text: str, function: str, arguments: str
) -> Callable[[], int]:
    """The work of a child that makes a call which may never end.

    It answers with a JSON object: `repeats`, the line of a `while` where a state occurred again;
    `ended`; or `unproven`, why not.
    """

    def work() -> int:
        begin()
        call = called(program, function, arguments)
        sys.settrace(CallWatcher(text))
        try:
            call()
        except MemoryError:
            raise
        except RecursionError:
            _end(unproven="the depth of the stack ended it")
        except BaseException:  # it ends by raising, too
            pass
        finally:
            sys.settrace(None)
        _end(ended=True)

    return work
