"""The tester: runs test code that holds expected values, apart from the program that it tests.

It runs as another user than the program. Names that the tests use and nobody defines are functions
of the program, which are called over a socket. What comes back is plain data and instances of the
preamble's classes, so no object of the program decides whether two values are equal.
"""

from __future__ import annotations

import ast
import builtins
import json
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any

from .children import answer, kept_descriptor
from .python import receive, send
from .values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable


_EXCEPTIONS: dict[str, Callable[[str], Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, (AssertionError, UnicodeError))
}
"""The exceptions that a program can raise in its tests; a failed assertion is the tests' own."""


class ProgramEnded(BaseException):
    """The program ended instead of answering."""


class Remote:
    """A function of the program."""

    def __init__(self, end: socket.socket, target: str | int, classes: dict[str, type]) -> None:
        self._end, self._target, self._classes = end, target, classes

    def __call__(self, *positional: Any, **named: Any) -> Any:
        """Call it. Raises what it raised, as an exception of the built-in type."""
        arguments = encode([list(positional), named], self._classes)
        try:
            send(self._end, {"target": self._target, "arguments": arguments})
            reply = receive(self._end)
        except OSError:
            reply = None
        if reply is None:
            raise ProgramEnded
        if "callable" in reply:
            return Remote(self._end, int(reply["callable"]), self._classes)
        if "raised" in reply:
            raise _exception(reply)
        value, after = decode(str(reply["value"]), self._classes)
        for before, now in zip(positional, after):
            _update(before, now)
        return value


def _update(before: Any, now: Any) -> None:
    """Change an argument as the program changed its copy."""
    if type(before) is not type(now):
        return
    if isinstance(before, (list, bytearray)):
        before[:] = now
    elif isinstance(before, (dict, set)):
        before.clear()
        before.update(now)
    elif hasattr(before, "__dict__") and not isinstance(before, type):
        vars(before).update(vars(now))


def _exception(reply: dict[str, Any]) -> Exception:
    for name in reply["raised"]:
        kind = _EXCEPTIONS.get(str(name))
        if kind is not None:
            return kind(str(reply["message"])[:500])
    return Exception(str(reply["message"])[:500])


def run_tests(job: dict[str, Any], read: Callable[[], str]) -> Callable[[], int]:
    """The work of the child that runs tests; `read` returns their text, read beforehand.

    It answers with a JSON object: `verdict` passed, wrong, crash or ended, and the `error`.
    """

    def work() -> int:
        sys.setrecursionlimit(10_000)
        with socket.socket(fileno=kept_descriptor()) as end:
            verdict, error = _verdict(job, read(), end)
        answer(json.dumps({"verdict": verdict, "error": error[-500:]}).encode())
        return 0

    return work


def _verdict(job: dict[str, Any], tests: str, end: socket.socket) -> tuple[str, str]:
    scope: dict[str, Any] = {"__name__": "tests"}
    exec(compile(job["preamble"], "<preamble>", "exec"), scope)  # nosec B102
    defined = set(scope)
    classes = {name: kind for name, kind in scope.items() if isinstance(kind, type)}
    try:
        for name in _free_names(tests, defined):
            scope[name] = Remote(end, name, classes)
        scope["candidate"] = scope[job["entry"]] = Remote(end, job["entry"], classes)
        exec(compile(tests, "<tests>", "exec"), scope)  # nosec B102
    except AssertionError:
        return "wrong", traceback.format_exc(limit=-1)
    except ProgramEnded:
        return "ended", ""
    except BaseException:
        return "crash", traceback.format_exc(limit=-1)
    return "passed", ""


def _free_names(tests: str, defined: set[str]) -> set[str]:
    """The names that are read and never set."""
    names: set[str] = set()
    bound = set(dir(builtins)) | defined
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Name):
            (names if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return names - bound
