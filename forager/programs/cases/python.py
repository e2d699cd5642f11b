"""Programs in Python: run as a script, or loaded so that their functions can be called."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import signal
import socket
import struct
import sys
import threading
import traceback
import types
from typing import TYPE_CHECKING, Any

from .children import answer, kept_descriptor
from .values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = "solution"
"""The name under which a program is loaded whose functions are called."""
_COMPILE_SECONDS = 20
_LONGEST_MESSAGE = 64 << 20


class CompiledProgram:
    """A compiled program: what comes before it, and itself."""

    def __init__(self, preamble: str, text: str) -> None:
        self._codes = [
            compile(part, name, "exec", dont_inherit=True)
            for part, name in ((preamble, "<preamble>"), (text, "<program>"))
            if part.strip()
        ]

    def load(self, name: str) -> dict[str, Any]:
        """Run it as the module of this name; return what it defines."""
        module = types.ModuleType(name)
        sys.modules[name] = module
        for code in self._codes:
            exec(code, module.__dict__)  # nosec B102  # in the sandbox, without privileges
        return module.__dict__


def compiled(preamble: str, text: str) -> CompiledProgram | str:
    """The program, or why it cannot be compiled. Whoever takes very long is killed."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_COMPILE_SECONDS)
    try:
        return CompiledProgram(preamble, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.alarm(0)


def begin() -> None:
    """Prepare the process of a child for a program."""
    random.seed()
    sys.argv = [""]
    sys.path[:] = [place for place in sys.path if place and not place.endswith(".pyz")]
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 3000))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.__stdin__, sys.__stdout__ = sys.stdin, sys.stdout  # type: ignore[misc]


def run_script(program: CompiledProgram, arguments: list[str]) -> Callable[[], int]:
    """The work of a child that runs the program as a script; its result is the exit code."""

    def work() -> int:
        begin()
        sys.argv = ["program.py", *arguments]
        code = _exit_code(lambda: program.load("__main__"))
        code = code or _exit_code(threading._shutdown)  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        code = code or _exit_code(sys.stdout.flush)
        sys.stderr.flush()
        return code

    return work


def _exit_code(part: Callable[[], object]) -> int:
    try:
        part()
    except SystemExit as end:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 255
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        traceback.print_exc(limit=20)
        return 1
    return 0


def call_function(program: CompiledProgram, function: str, arguments: str) -> Callable[[], int]:
    """The work of a child that calls a function once, with arguments as Python writes them.

    It answers with a JSON object: `value`, or `raised`.
    """

    def work() -> int:
        begin()
        call = called(program, function, arguments)
        try:
            value = encode(call())
        except MemoryError:
            raise
        except BaseException as error:
            answer(json.dumps({"raised": _described(error)}).encode())
            return 0
        answer(json.dumps({"value": value}).encode())
        return 0

    return work


def called(program: CompiledProgram, function: str, arguments: str) -> Callable[[], Any]:
    """The call of a function of the program, which is loaded.

    The arguments are evaluated before, so they cannot name what it defines.
    """
    scope: dict[str, Any] = {}
    given = eval(f"(lambda *a, **k: (a, k))({arguments})", scope)  # nosec B307
    made = program.load(MODULE)
    positional, named = given
    return lambda: _named(made, function)(*positional, **named)


def _named(scope: dict[str, Any], function: str) -> Any:
    """The function of a name such as `f`, or `Solution().f`, which makes an instance."""
    owner, _, name = function.rpartition("().")
    return getattr(scope[owner](), name) if owner else scope[name]


def _described(error: BaseException) -> str:
    with contextlib.suppress(BaseException):
        return f"{type(error).__name__}: {str(error)[:500]}"
    return type(error).__name__


def serve_functions(program: CompiledProgram) -> Callable[[], int]:
    """The work of a child that calls its functions for the tester at the other end of a socket."""

    def work() -> int:
        begin()
        with socket.socket(fileno=kept_descriptor()) as tester:
            scope = program.load(MODULE)
            classes = {name: kind for name, kind in scope.items() if isinstance(kind, type)}
            served = Served(scope, classes)
            while True:
                question = receive(tester)
                if question is None:
                    return 0
                send(tester, served.answer(question))

    return work


class Served:
    """Answers calls: of a name of the program, or of a function that an earlier call returned."""

    def __init__(self, scope: dict[str, Any], classes: dict[str, type]) -> None:
        self._scope, self._classes = scope, classes
        self._returned: list[Any] = []

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The result of a call, and its arguments afterwards; or the exception that it raised."""
        try:
            target = question["target"]
            arguments = decode(question["arguments"], self._classes)
            function = (
                _named(self._scope, target) if isinstance(target, str) else self._returned[target]
            )
            positional, named = arguments
            result = function(*positional, **named)
            if callable(result) and not isinstance(result, type):
                self._returned.append(result)
                return {"callable": len(self._returned) - 1}
            return {"value": encode([result, positional], self._classes)}
        except MemoryError:
            raise
        except Exception as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            return {"raised": kinds, "message": _described(error)}


def send(end: socket.socket, message: dict[str, Any]) -> None:
    """Send a JSON object after its length."""
    data = json.dumps(message).encode()
    end.sendall(struct.pack(">I", len(data)) + data)


def receive(end: socket.socket) -> dict[str, Any] | None:
    """The next object; None at the end of the stream. Raises ValueError for anything else."""
    head = _exactly(end, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    if length > _LONGEST_MESSAGE:
        raise ValueError("a message is too long")
    data = _exactly(end, length)
    if data is None:
        return None
    message = json.loads(data.decode())
    if not isinstance(message, dict):
        raise ValueError("a message is not an object")
    return message


def _exactly(end: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        try:
            part = end.recv(min(1 << 20, length - len(data)))
        except OSError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)
