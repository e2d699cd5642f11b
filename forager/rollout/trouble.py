"""When attempts are lost one after the other: hold the others back, and at last give up."""

import time
from math import inf
from traceback import format_exception

from forager.agent.faults import one_line
from forager.errors import ForagerError, ImageMissing, ModelRefusal, Unforeseen

LOST_IN_A_ROW = 3  # then something is broken, and new attempts are held back
HOLDS = 7  # in a row, each twice as long as the last; then it is not going to mend
HOLD_SECONDS = 1.0  # the first hold; all together two minutes
_LASTING = (ImageMissing, ModelRefusal)  # what no waiting mends


def foreseen(error: Exception) -> ForagerError:
    """The error where it is forager's, else one of forager's that tells it and its traceback.

    Unlike many errors of packages that goes from a node to others.
    """
    if isinstance(error, ForagerError):
        return error
    cause = one_line(f"{type(error).__name__}: {error}")
    return Unforeseen(cause, "".join(format_exception(error)))


class Trouble:
    """Counts losses. While there is trouble new attempts are begun one by one, with pauses.

    Attempts that were under way when the trouble was seen share its cause, and do not count
    again: an engine that is restarted takes all of them with it. `hold` is in seconds.
    """

    def __init__(self, hold: float = HOLD_SECONDS) -> None:
        self._first = hold
        self._pause = 0.0
        self._next = self._seen = -inf
        self._in_a_row = 0

    @property
    def is_on(self) -> bool:
        """Whether the loss of an attempt says nothing of that attempt."""
        return self._in_a_row >= LOST_IN_A_ROW

    def wait(self) -> float:
        """Seconds until the next attempt may be begun."""
        return max(0.0, self._next - time.monotonic())

    def begun(self) -> None:
        """An attempt was begun; those that follow come sooner if it is not lost at once."""
        self._next = time.monotonic() + self._pause
        self._pause = self._pause / 2 if self._pause > self._first else 0.0

    def passed(self, begun: float) -> None:
        """One that began then was made: nothing is broken, unless it is older than the trouble."""
        if self.is_on and begun < self._seen:
            return
        self._in_a_row, self._pause, self._next = 0, 0.0, -inf

    def lost(self, begun: float, error: Exception) -> None:
        """One that began then (by the monotonic clock) was lost. Raises the error to give up."""
        if begun < self._seen:
            return
        self._in_a_row += 1
        holds = self._in_a_row - LOST_IN_A_ROW
        if holds < 0:
            return
        if holds >= HOLDS or isinstance(error, _LASTING):
            raise error
        self._seen = time.monotonic()
        self._pause = self._first * 2.0**holds
        self._next = self._seen + self._pause
