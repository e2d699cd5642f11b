"""A circuit breaker: when attempts are lost one after another, hold new ones back, then give up."""

import time
from math import inf

from forager.errors import ImageMissing, ModelRefusal, PromptRefused

LOST_IN_A_ROW = 3  # then something is broken, and new attempts wait
HOLDS = 7  # in a row, each twice as long as the one before; then give up
HOLD_SECONDS = 1.0  # the first hold; all of them take two minutes
_LASTING = (ImageMissing, ModelRefusal)  # errors that waiting does not cure


class CircuitBreaker:
    """Counts losses. Once it is open, new attempts start one by one, with pauses.

    Attempts that were running when it opened share the cause of the loss, and do not count again:
    an engine that restarts loses all of them. `hold` is in seconds.
    """

    def __init__(self, hold: float = HOLD_SECONDS) -> None:
        self._first = hold
        self._pause = 0.0
        self._next = self._seen = -inf
        self._in_a_row = 0

    @property
    def is_on(self) -> bool:
        """Whether the losses have a common cause, so that none counts against its attempt."""
        return self._in_a_row >= LOST_IN_A_ROW

    def wait(self) -> float:
        """Seconds until the next attempt may start."""
        return max(0.0, self._next - time.monotonic())

    def begun(self) -> None:
        """Note a start; the pause before the next one halves, unless this attempt is lost."""
        self._next = time.monotonic() + self._pause
        self._pause = self._pause / 2 if self._pause > self._first else 0.0

    def passed(self, begun: float) -> None:
        """Note an attempt that was stored; one that started after the breaker opened closes it."""
        if self.is_on and begun < self._seen:
            return
        self._in_a_row, self._pause, self._next = 0, 0.0, -inf

    def lost(self, begun: float, error: Exception) -> None:
        """Note the loss of an attempt that started at `begun`. Raises `error` to give up."""
        if begun < self._seen:
            return
        self._in_a_row += 1
        holds = self._in_a_row - LOST_IN_A_ROW
        if holds < 0:
            return
        of_prompt = isinstance(error, PromptRefused)  # the next one may be shorter
        if holds >= HOLDS or (isinstance(error, _LASTING) and not of_prompt):
            raise error
        self._seen = time.monotonic()
        self._pause = self._first * (1.0 if of_prompt else 2.0**holds)
        self._next = self._seen + self._pause
