"""Requests to endpoints: how fast they may be made, and which endpoint is asked first."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Protocol


class RateLimiter(Protocol):
    """Called before and after each request to an endpoint; it may wait, or raise."""

    def enter(self, url: str) -> None:
        """Return when a request may be made."""
        ...

    def leave(self, url: str) -> None:
        """Note that the request has ended, with or without an answer."""
        ...


class NoLimit:
    """Lets every request through; implements RateLimiter."""

    def enter(self, url: str) -> None:
        """Return at once."""

    def leave(self, url: str) -> None:
        """Return at once."""


class Traffic:
    """What this process knows of endpoints: requests in progress, and which rest until when."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: Counter[str] = Counter()
        self._chosen: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)  # of those answered
        self._resting: dict[str, float] = {}  # until when, by the monotonic clock
        self._accepted: set[tuple[str, str]] = set()  # addresses, and settings of requests
        self._listener: Callable[[str, str], None] | None = None

    @contextmanager
    def counted(self, url: str) -> Iterator[None]:
        """Count a request for the time of the block."""
        with self._lock:
            self._under_way[url] += 1
        began = time.monotonic()
        counts = self._failed
        try:
            yield
            counts = self._answered
        finally:
            with self._lock:
                self._under_way[url] -= 1
                counts[url] += 1
                if counts is self._answered:
                    self._seconds[url] += time.monotonic() - began

    @contextmanager
    def heard(self, listener: Callable[[str, str], None]) -> Iterator[None]:
        """Let `listener` hear of requests that failed and of bugs, with a log, during the block."""
        before, self._listener = self._listener, listener
        try:
            yield
        finally:
            self._listener = before

    def report(self, fault: str, log: str = "") -> None:
        """Pass a fault to the listener, if there is one."""
        if listener := self._listener:
            listener(fault, log)

    def accept(self, url: str, settings: str) -> None:
        """Note that the address answered a request with these settings."""
        with self._lock:
            self._accepted.add((url, settings))

    def accepts(self, url: str, settings: str) -> bool:
        """Whether the address has answered a request with these settings."""
        with self._lock:
            return (url, settings) in self._accepted

    def states(self) -> list[dict[str, str | int | float]]:
        """The counts of each address, as fields of `EndpointState`: requests, seconds."""
        with self._lock:
            return [
                {
                    "url": url,
                    "under_way": count,
                    "answered": self._answered[url],
                    "failed": self._failed[url],
                    "seconds": round(self._seconds[url], 3),
                    "rests_for": round(self.rests_for(url), 1),
                }
                for url, count in self._under_way.items()
            ]

    def rest(self, url: str, seconds: float) -> None:
        """Prefer other addresses for these seconds."""
        with self._lock:
            self._resting[url] = time.monotonic() + seconds

    def rests_for(self, url: str) -> float:
        """Seconds until the address may be asked; 0 if it may be now."""
        return max(0.0, self._resting.get(url, 0.0) - time.monotonic())

    def first_awake(self, urls: Sequence[str]) -> str:
        """The address whose rest ends first."""
        return min(urls, key=self.rests_for)

    def least_busy_first(self, urls: Sequence[str]) -> list[str]:
        """The addresses in order: awake before resting, then by requests in progress.

        Ties go to the address chosen least often, since many attempts begin at once.
        """
        with self._lock:
            first = sorted(urls, key=self._burden)
            self._chosen[first[0]] += 1
            return first

    def _burden(self, url: str) -> tuple[bool, int, int]:
        return self.rests_for(url) > 0, self._under_way[url], self._chosen[url]


TRAFFIC = Traffic()
