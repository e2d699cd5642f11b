"""The recorder of this interpreter: `helper.c` if it is there, else `fallback`."""

from __future__ import annotations

import sys
import threading
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from .codes import Described
from .fallback import Fallback, RecordingLimits
from .threads import ThreadStarts

if TYPE_CHECKING:
    from collections.abc import Callable

    Describe = Callable[[CodeType], "Described | None"]


class Recorder:
    """Makes recordings of this process, one after the other."""

    def __init__(
        self, describe: Describe, limits: RecordingLimits, helper: ModuleType | None
    ) -> None:
        self._describe, self._limits, self._helper = describe, limits, helper
        self._fallback: Fallback | None = None
        self._threads = ThreadStarts(lambda: self._heard("_thread.start", ()))
        if helper is None:
            sys.addaudithook(self._heard)

    @property
    def name(self) -> str:
        """`c` or `python`."""
        return "c" if self._helper else "python"

    def start(self) -> None:
        """Record what is called from now on."""
        if self._helper is not None:
            threading.settrace(self._helper.attach)
            self._helper.start(self._describe, *self._limits)
        else:
            self._fallback = Fallback(self._describe, self._limits)
            self._threads.listen()
            self._fallback.start()

    def stop(self) -> tuple[bytes, list[str]]:
        """End the recording; return the stream, and why something is missing."""
        if self._helper is not None:
            stream, missing = self._helper.stop()
            threading.settrace(None)
            return stream, list(missing)
        self._threads.stop()
        found = self._fallback.stop() if self._fallback else (b"", [])
        self._fallback = None
        return found

    def _heard(self, event: str, _: object) -> None:
        if self._fallback is not None:
            self._fallback.heard(event)
