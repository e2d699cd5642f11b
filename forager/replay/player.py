"""Plays an attempt: one step after another, at a chosen speed."""

from collections.abc import Callable

from textual.timer import Timer
from textual.widget import Widget

_SPEEDS = (4.0, 2.0, 1.0, 0.5, 0.2)  # seconds a turn


class Player:
    """Calls `step` again and again while it plays."""

    def __init__(self, widget: Widget, step: Callable[[], None]) -> None:
        self._widget, self._step = widget, step
        self._speed = 2
        self._timer: Timer | None = None

    def toggle(self) -> None:
        """Play, or stop."""
        if self._timer:
            self.stop()
        else:
            self._timer = self._widget.set_interval(_SPEEDS[self._speed], self._step)

    def stop(self) -> None:
        """Stop."""
        if self._timer:
            self._timer.stop()
            self._timer = None

    def faster(self, by: int) -> None:
        """Change the speed; negative is slower."""
        self._speed = max(0, min(self._speed + by, len(_SPEEDS) - 1))
        if self._timer:
            self.toggle()
            self.toggle()

    def note(self) -> str:
        """The note in the timeline; empty while it does not play."""
        return f" · playing, {_SPEEDS[self._speed]:g} s a turn" if self._timer else ""
