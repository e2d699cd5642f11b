"""`forager replay` and `forager watch` in a terminal.

Each screen has its own module; this one holds what they share.
"""

from collections.abc import Callable
from pathlib import Path

from forager.replay.application import ScreenApp
from forager.replay.ask import QuestionScreen
from forager.replay.attempt import AttemptScreen
from forager.replay.browser import BrowserScreen
from forager.replay.compare import CompareScreen
from forager.replay.source import AttemptSource
from forager.replay.watch import WatchScreen
from forager.text import safe
from forager.trajectories.marks import read_tags
from forager.trajectories.summary import Summary


class ReplayApp(ScreenApp):
    """The attempts of a run: all, one, two, or the batch that makes them.

    `id` is of the attempt to begin with; with `watch` the batch is shown first. `full` folds
    nothing.
    """

    def __init__(
        self, path: Path, id: str = "", *, watch: bool = False, full: bool = False
    ) -> None:
        super().__init__()
        self.source = AttemptSource(path)
        self.full = full
        self._first, self._watch = id, watch

    def on_mount(self) -> None:
        """Open the first screen; those below it are where `escape` leads."""
        if self._watch:
            self.push_screen(WatchScreen(self.source))
            return
        self.push_screen(BrowserScreen(self.source))
        if self._first:
            self.open(self._first)

    def on_unmount(self) -> None:
        """Close the index."""
        self.source.close()

    def open(self, id: str) -> None:
        """Show an attempt."""
        self.push_screen(AttemptScreen(self.source, lambda: self.source.recording(id)))

    def compare(self, summary: Summary) -> None:
        """Show an attempt next to another at the same task."""
        others = self.source.others(summary)
        if not others:
            text = f"there is no other attempt at {safe(summary.instance_id)}"
            self.notify(text, severity="warning", markup=False)
            return
        self.push_screen(CompareScreen(self.source, summary, others))

    def toggle_mark(self, id: str, done: Callable[[], None]) -> None:
        """Mark an attempt, or take the mark away."""
        self._say(id, done, marked=not self.source.marks.of(id).marked)

    def ask_tags(self, id: str, done: Callable[[], None]) -> None:
        """Ask for the tags of an attempt."""
        marks = self.source.marks

        def answered(text: str | None) -> None:
            if text is not None:
                self.attempt_to(lambda: self._say(id, done, tags=read_tags(text)))

        now = " ".join(marks.of(id).tags)
        self.push_screen(QuestionScreen("tags, with spaces between", now, marks.tags()), answered)

    def ask_note(self, id: str, done: Callable[[], None]) -> None:
        """Ask for the note of an attempt."""

        def answered(text: str | None) -> None:
            if text is not None:
                self._say(id, done, note=text.strip())

        self.push_screen(QuestionScreen("note", self.source.marks.of(id).note), answered)

    def _say(self, id: str, done: Callable[[], None], **change: object) -> None:
        if self.attempt_to(lambda: self.source.marks.say(id, **change)):
            done()
