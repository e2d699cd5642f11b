"""Progress on stderr: a bar in a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from contextlib import ExitStack
from threading import Lock
from typing import Self

from forager.cli.console import console, echo

LINE_SECONDS = 5.0


class Progress:
    """Shows how far a verb is. Threads may call `update` as often as they like.

    `start` counts what an earlier process did, None what the first update says; the remaining time
    is computed from this process alone. If some trials yield nothing, `tried` names their count,
    and the bar shows their rate and the share that succeeds.
    """

    def __init__(
        self, what: str, total: int | None = None, *, start: int | None = 0, tried: str = ""
    ) -> None:
        self._what = what
        self._total = total
        self._tried = tried
        self._start = start
        self._done = start or 0
        self._counts: dict[str, float] = {}
        self._began = self._printed = time.monotonic()
        self._shown = ""
        self._lock = Lock()
        self._bar = _Bar(what, total, self._done) if sys.stderr.isatty() else None

    def update(self, done: int, **counts: float) -> None:
        """Set the number done in all, and other counts such as `resolved=3, running=2`."""
        with self._lock:
            self._done = done
            self._counts = counts
            now = time.monotonic()
            if self._start is None or (self._tried and not counts.get(self._tried)):
                self._start, self._began = done, now  # an earlier process did them
            if self._bar:
                self._bar.update(done, self._details())
            elif now - self._printed >= LINE_SECONDS:
                self._printed = now
                self._print_line(self._details())

    def note(self, text: str) -> None:
        """Print a line that stays on the screen."""
        with self._lock:
            if self._bar:
                self._bar.note(text)
            else:
                echo(text, stderr=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            if self._bar:
                self._bar.close()
            self._print_line(self._counted() + self._pace())

    def _print_line(self, details: str) -> None:
        total = f"/{self._total}" if self._total is not None else ""
        line = f"{self._what}: {self._done}{total}{details}"
        if line != self._shown:
            echo(line, stderr=True)
        self._shown = line

    def _counted(self) -> str:
        return "".join(f" · {count:,} {name}" for name, count in self._counts.items() if count)

    def _details(self) -> str:
        left = self._seconds_left()
        return (
            self._counted()
            + self._pace()
            + (f" · {_duration(left)} left" if left is not None else "")
        )

    def _pace(self) -> str:
        """Such as 12.5 mutants/s · yield 41 %."""
        count = self._counts.get(self._tried, 0)
        if not count:
            return ""
        seconds = max(time.monotonic() - self._began, 1e-3)
        share = (self._done - (self._start or 0)) / count
        return f" · {count / seconds:.1f} {self._tried}/s · yield {share:.0%}".replace("%", " %")

    def _seconds_left(self) -> float | None:
        made = self._done - (self._start or 0)
        if self._total is None or made <= 0 or self._done >= self._total:
            return None
        return (time.monotonic() - self._began) / made * (self._total - self._done)


class Stages:
    """Progress in stages, each with a bar of its own; implements OnProgress; a context manager.

    What is there when a stage begins does not count for its speed: an earlier process made it.
    """

    def __init__(self) -> None:
        self._stage, self._done = ("", 0), 0
        self._open = ExitStack()
        self._progress: Progress | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if self._progress is None or self._stage != (what, total) or done < self._done:
            self._open.close()
            self._progress = self._open.enter_context(Progress(what, total, start=done))
        self._stage, self._done = (what, total), done
        self._progress.update(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()


class _Bar:
    """rich's bar on stderr."""

    def __init__(self, what: str, total: int | None, start: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[details]}", markup=False),
            console=console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(what, total=total, completed=start, details="")
        self._progress.start()

    def update(self, done: int, details: str) -> None:
        self._progress.update(self._task, completed=done, details=details.removeprefix(" · "))

    def note(self, text: str) -> None:
        self._progress.console.print(text)

    def close(self) -> None:
        self._progress.stop()


def _duration(seconds: float) -> str:
    """Such as 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 90 else f"{minutes} min"
