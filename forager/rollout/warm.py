"""Sandboxes that start before they are needed, while the models think.

A sandbox starts early only if one will be needed: a running attempt will be graded, and the next
attempt is known. So none starts in vain, except for attempts that change nothing or are lost.
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
_STOP_SECONDS = 10.0  # for sandboxes that are starting
_Key = tuple[str, Limits]  # the image and the limits


@dataclass(slots=True)
class _Stock:
    """The sandboxes of an image that wait, and how many will be asked for."""

    waiting: deque[Sandbox] = field(default_factory=deque)
    starting: int = 0
    expected: int = 0  # announced, and not yet asked for
    claimed: int = 0  # of the starting ones: a caller waits for it

    @property
    def spare(self) -> int:
        """Waiting and starting sandboxes that no caller has claimed."""
        return len(self.waiting) + self.starting - self.claimed


class WarmSandboxes:
    """Starts sandboxes, expected ones early; implements SandboxFactory.

    At most `most` sandboxes of an image wait at a time. Used by many threads.
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
        """Announce that a sandbox of this image will be needed; ask the result for it."""
        key = image, limits
        with self._changed:
            self._stocks.setdefault(key, _Stock()).expected += 1
        self._settle(key)
        return Expected(self, key, due=True)

    def nothing_due(self, image: str, limits: Limits) -> "Expected":
        """The same for a job that may need no sandbox: none starts until it is asked for."""
        return Expected(self, (image, limits), due=False)

    def give(self, key: _Key) -> Sandbox:
        """Hand out a sandbox that was expected. Raises as a call does."""
        with self._changed:
            stock = self._stocks[key]
            stock.expected -= 1
            if not stock.waiting and stock.spare > stock.expected:  # a new one would be in vain
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
        """Withdraw an announcement."""
        with self._changed:
            self._stocks[key].expected -= 1
        self._settle(key)

    def close(self) -> None:
        """Close all open sandboxes, whoever uses them."""
        self._closed = True
        self._sandboxes.close()
        until = time.monotonic() + _STOP_SECONDS
        with self._changed:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _settle(self, key: _Key, *, start: bool = True) -> None:
        """Start the sandboxes that are lacking, and close those that nobody will ask for."""
        with self._changed:
            stock = self._stocks.get(key, _Stock())
            wanted = stock.expected + stock.claimed
            surplus = [stock.waiting.popleft() for _ in range(len(stock.waiting) - wanted)]
            lacking = min(self._most, stock.expected) - stock.spare
            may = range(lacking if start and not self._closed else 0)
            threads = [Thread(target=self._start, args=(key,), daemon=True) for _ in may]
            stock.starting += len(threads)
            self._threads.update(threads)
            if stock == _Stock():  # so that millions of images need no memory
                self._stocks.pop(key, None)
        for thread in threads:
            thread.start()
        for sandbox in surplus:
            sandbox.close()

    def _start(self, key: _Key) -> None:
        """Start a sandbox that waits. If that fails, the caller that needs it meets the error."""
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
    """A sandbox that will be needed; implements SandboxFactory, and is a context manager.

    At the end of the context a sandbox that nobody asked for is no longer expected.
    """

    def __init__(self, sandboxes: WarmSandboxes, key: _Key, *, due: bool) -> None:
        self._sandboxes, self._key, self._due = sandboxes, key, due

    def __call__(
        self, image: str, *, limits: Limits = _LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        """Hand out the expected sandbox; start any other. Raises as WarmSandboxes does."""
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
