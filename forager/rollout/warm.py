"""Sandboxes that are started before they are wanted, while the models think.

Only where it is known that one will be wanted: an attempt under way will be graded, another one is
the next to begin. So none is started in vain, but for attempts that change nothing or are lost.
"""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread, current_thread
from typing import Self

from forager.errors import ForagerError, SandboxError
from forager.rollout.sandboxes import Sandboxes
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

_LIMITS = Limits()
_STOP_SECONDS = 10.0  # for those that are being started
_Key = tuple[str, Limits]  # the image and the limits


@dataclass(slots=True)
class _Stock:
    """The sandboxes of an image that wait, and those who will want them."""

    waiting: deque[Sandbox] = field(default_factory=deque)
    starting: int = 0
    expected: int = 0  # that nobody has asked for yet
    claimed: int = 0  # of those that are being started

    @property
    def spare(self) -> int:
        """Waiting and starting ones that no one has claimed."""
        return len(self.waiting) + self.starting - self.claimed


class WarmSandboxes:
    """Starts sandboxes; implements SandboxFactory. Those that are expected it starts beforehand.

    `most` of an image wait at a time. For threads.
    """

    def __init__(self, factory: SandboxFactory, most: int) -> None:
        self._sandboxes, self._most = Sandboxes(factory), most
        self._changed = Condition()
        self._stocks: dict[_Key, _Stock] = {}
        self._threads: set[Thread] = set()
        self._closed = False

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Start one. Raises SandboxError, EngineError, and Stopped after `close`."""
        return self._sandboxes(image, limits=limits, environment=environment)

    def expected(self, image: str, limits: Limits) -> "Expected":
        """Say that one of this image will be wanted; what is returned is asked for it."""
        key = image, limits
        with self._changed:
            self._stocks.setdefault(key, _Stock()).expected += 1
        self._settle(key)
        return Expected(self, key)

    def give(self, key: _Key) -> Sandbox:
        """Give out one that was expected. Raises as a call does."""
        with self._changed:
            stock = self._stocks[key]
            stock.expected -= 1
            if not stock.waiting and stock.spare > stock.expected:  # another would be in vain
                stock.claimed += 1
                self._changed.wait_for(lambda: stock.waiting or not stock.starting)
                stock.claimed -= 1
            found = stock.waiting.popleft() if stock.waiting else None
        self._settle(key)
        if found:
            with suppress(SandboxError):  # it may have ended meanwhile
                if found.run("true").exit_code == 0:
                    return found
            found.close()
        image, limits = key
        return self(image, limits=limits)

    def forgo(self, key: _Key) -> None:
        """One that was expected is not wanted."""
        with self._changed:
            self._stocks[key].expected -= 1
        self._settle(key)

    def close(self) -> None:
        """End all that are open, whoever has them."""
        self._closed = True
        self._sandboxes.close()
        until = time.monotonic() + _STOP_SECONDS
        with self._changed:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _settle(self, key: _Key, *, start: bool = True) -> None:
        """Start what is lacking, end what nobody will want."""
        with self._changed:
            stock = self._stocks.get(key, _Stock())
            wanted = stock.expected + stock.claimed
            surplus = [stock.waiting.popleft() for _ in range(len(stock.waiting) - wanted)]
            lacking = min(self._most, stock.expected) - stock.spare
            may = range(lacking if start and not self._closed else 0)
            threads = [Thread(target=self._start, args=(key,), daemon=True) for _ in may]
            stock.starting += len(threads)
            self._threads.update(threads)
            if stock == _Stock():  # of millions of images nothing is kept
                self._stocks.pop(key, None)
        for thread in threads:
            thread.start()
        for one in surplus:
            one.close()

    def _start(self, key: _Key) -> None:
        """Start one that waits; where that fails, whoever wants one tries again and is told."""
        started: list[Sandbox] = []
        try:
            with suppress(ForagerError):
                started.append(self._sandboxes(key[0], limits=key[1]))
        finally:
            with self._changed:
                self._stocks[key].starting -= 1
                self._stocks[key].waiting.extend(started)
                self._threads.discard(current_thread())
                self._changed.notify_all()
            self._settle(key, start=False)


class Expected:
    """A sandbox that will be wanted: the SandboxFactory to ask for it, and a context manager.

    What is not asked for before its end was not wanted.
    """

    def __init__(self, sandboxes: WarmSandboxes, key: _Key) -> None:
        self._sandboxes, self._key = sandboxes, key
        self._due = True

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Give it out; what else is asked for is started. Raises as WarmSandboxes does."""
        if self._due and (image, limits) == self._key and not environment:
            self._due = False
            return self._sandboxes.give(self._key)
        return self._sandboxes(image, limits=limits, environment=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._due:
            self._due = False
            self._sandboxes.forgo(self._key)
