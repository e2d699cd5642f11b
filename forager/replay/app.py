"""`forager replay` and `forager watch` in a terminal.

Each screen has its own module; this one holds what they share. Textual honours NO_COLOR, and
TEXTUAL_THEME names the first theme; `d` switches between dark and light.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from forager.errors import ForagerError
from forager.replay.ask import HelpScreen, QuestionScreen, keys_of
from forager.replay.attempt import AttemptScreen
from forager.replay.browser import BrowserScreen
from forager.replay.compare import CompareScreen
from forager.replay.source import AttemptSource
from forager.replay.watch import WatchScreen
from forager.text import safe
from forager.trajectories.marks import read_tags
from forager.trajectories.summary import Summary


class ReplayApp(App[None]):
    """The attempts of a run: all, one, two, or the batch that makes them.

    `id` is of the attempt to begin with; with `watch` the batch is shown first. `full` folds
    nothing.
    """

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    TITLE = "forager"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "toggle_light", "Dark or light", show=False),
        Binding("q", "quit", "Quit", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(
        self, path: Path, id: str = "", *, watch: bool = False, full: bool = False
    ) -> None:
        super().__init__(ansi_color="NO_COLOR" in os.environ)  # then Textual sends no colour at all
        self.source = AttemptSource(path)
        self.animation_level = "none"
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

    def attempt_to(self, work: Callable[[], object]) -> bool:
        """Do something; return whether it went well. A ForagerError becomes a notification."""
        try:
            work()
        except ForagerError as error:
            self.notify(str(error), severity="error", markup=False)
            return False
        return True

    def action_toggle_light(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def action_help(self) -> None:
        """Show the keys of the screen."""
        if not isinstance(self.screen, HelpScreen | QuestionScreen):
            keys = [*keys_of(self.screen), ("d", "dark or light"), ("q", "quit")]
            more = getattr(self.screen, "LEGEND", ())
            self.push_screen(HelpScreen(keys, more) if more else HelpScreen(keys))

    def _say(self, id: str, done: Callable[[], None], **change: object) -> None:
        if self.attempt_to(lambda: self.source.marks.say(id, **change)):
            done()
