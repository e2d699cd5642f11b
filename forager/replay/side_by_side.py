"""The screen of two recordings side by side: `compare` in `forager replay` and `forager debug`."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Static

from forager.replay.panes import Pane
from forager.replay.rows import RowTable


class SideBySideScreen(Screen[None]):
    """Two titles, a list of pairs, and both sides of the chosen pair below it."""

    DEFAULT_CSS: ClassVar[str] = """
    SideBySideScreen .title { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    SideBySideScreen .title { background: $primary; color: $text; text-style: bold; }
    SideBySideScreen #titles { height: 1; }
    SideBySideScreen #both Pane { width: 1fr; height: 100%; }
    SideBySideScreen #right { border-left: solid $primary; }
    """

    def compose(self) -> ComposeResult:
        """Both titles, what stands below them, the list, both panes."""
        with Horizontal(id="titles"):
            yield Static(id="left-title", classes="title", markup=False)
            yield Static(id="right-title", classes="title", markup=False)
        yield from self.compose_note()
        yield RowTable(self.fetch, id="pairs")
        with Horizontal(id="both"):
            yield Pane(id="left")
            yield Pane(id="right")
        yield Footer(show_command_palette=False)

    def compose_note(self) -> ComposeResult:
        """What stands between the titles and the list."""
        yield from ()

    def fetch(self, start: int, end: int) -> list[Text]:
        """The rows of the pairs from `start` to `end`, for a list `column` characters a side."""
        raise NotImplementedError

    def show_pair(self) -> None:
        """Show both sides of the chosen pair."""
        raise NotImplementedError

    @property
    def table(self) -> RowTable:
        """The list; its cursor is the number of the chosen pair."""
        return self.query_one(RowTable)

    @property
    def column(self) -> int:
        """Characters of a row that each side has."""
        return max(10, (self.size.width - 5) // 2)

    def on_mount(self) -> None:
        """Follow the list; Textual calls this after the `on_mount` of a subclass."""
        self.table.focus()
        self.watch(self.table, "cursor", self.show_pair, init=False)

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self.table.renew()

    def action_step(self, by: int) -> None:
        """Go on, or back."""
        self.table.cursor += by
