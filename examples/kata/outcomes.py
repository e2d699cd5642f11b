"""What functions of numbers, lists and texts return, and a call whose result a bug changes."""

import copy
import ctypes
import random
import resource
import signal
import time
from collections.abc import Callable
from typing import Any

from invented import NAMES

TRIES = 60  # calls of a function and of its bug
SECONDS = 0.1  # of a call: a bug may loop for ever
LONGEST = 60  # characters of a result
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
MEMORY = 3 << 28  # bytes of a process that calls functions: a bug may double a text for ever
NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 18, 20, 25, 60, 99, 100, -1, -4]
ITEMS = [0, 1, 2, 3, 4, 5, 7, 10, 12, -1, -3]
TEXTS = ["", "a", "abc", "hello", "a b", "x-y", "Anna", "level", "1,2,3", "b.c", "to be or", "e_x"]


def difference(name: str, fix: str, bug: str, source: random.Random) -> str:
    """The shortest call found whose result the bug changes, as a statement shows it; or empty.

    A call that raises with the bug counts if no other does.
    """
    right, wrong = loaded(fix, name), loaded(bug, name)
    names = right.__code__.co_varnames[: right.__code__.co_argcount]
    found = []
    until = time.monotonic() + 3 * SECONDS  # of a bug that loops for ever, most calls take too long
    for _ in range(TRIES):
        if time.monotonic() > until:
            break
        arguments = [value(name, source) for name in names]
        expected, got = outcome(right, arguments), outcome(wrong, arguments)
        if expected and got and not expected.raised and got.shown != expected.shown:
            call = f"{name}({', '.join(map(repr, arguments))})"
            shown = "not True" if (expected.shown, got.shown) == ("False", "True") else got.shown
            text = f"{call}\nExpected: {expected.shown}\nGot: {shown}"
            found.append((got.raised, len(call), text))
    return min(found)[2] if found else ""


def bound() -> None:
    """Let a call that takes too much memory fail, and not the machine; end with the parent."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


class Outcome:
    """What a call returned or raised."""

    def __init__(self, shown: str, *, raised: bool) -> None:
        self.shown, self.raised = shown, raised


def outcome(called: Callable[..., Any], arguments: list[Any]) -> Outcome | None:
    """The outcome of a call; None if it takes too long, or its result is long."""
    signal.signal(signal.SIGALRM, _late)
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            shown = repr(called(*copy.deepcopy(arguments)))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (_Late, RecursionError, MemoryError):
        return None
    except Exception as error:
        return Outcome(f"{type(error).__name__}: {error}"[:LONGEST], raised=True)
    return Outcome(shown, raised=False) if len(shown) <= LONGEST else None


def value(name: str, source: random.Random) -> Any:
    """A value for an argument of this name."""
    kind = next((kind for kind, names in NAMES.items() if name in names), source.choice("nls"))
    if kind == "n":
        return source.choice(NUMBERS)
    if kind == "s":
        return source.choice(TEXTS)
    return [source.choice(ITEMS) for _ in range(source.randrange(6))]


def loaded(code: str, name: str) -> Any:
    """The function."""
    space: dict[str, Any] = {}
    exec(code, space)
    return space[name]


class _Late(BaseException):
    """No `except Exception` of a function may take it."""


def _late(*_: object) -> None:
    raise _Late
