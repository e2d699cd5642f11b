"""Tells the recorder in Python that a second thread starts."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import Any, Callable

_ANNOUNCED = sys.version_info >= (3, 12)  # by an audit event
_PLACES: tuple[tuple[Any, str], ...] = (
    (_thread, "start_new_thread"),
    (threading, "_start_new_thread"),
)


class ThreadStarts:
    """Calls a function before each start of a thread, where Python has no audit event for it."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._originals: list[tuple[Any, str, Any]] = []

    def listen(self) -> None:
        """Stand in for the functions that start threads."""
        if _ANNOUNCED:
            return
        for place, name in _PLACES:
            original = getattr(place, name)
            self._originals.append((place, name, original))
            setattr(place, name, self._telling(original))

    def stop(self) -> None:
        """Put the functions back."""
        for place, name, original in self._originals:
            setattr(place, name, original)
        self._originals.clear()

    def _telling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def start(*arguments: Any, **named: Any) -> Any:
            self._tell()
            return original(*arguments, **named)

        return start
