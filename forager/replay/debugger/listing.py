"""The traces of a directory in a list."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from forager.replay.debugger import texts
from forager.replay.debugger.host import debug_host
from forager.replay.debugger.session import TraceShelf
from forager.replay.rows import RowTable


class TraceListScreen(Screen[None]):
    """A row for each trace; words filter them by id and outcome."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,f", "filter", "Filter", key_display="/"),
        Binding("c", "compare", "Compare", tooltip="next to another trace"),
        Binding("escape", "clear", "Clear", show=False, tooltip="clear the filter"),
    ]
    CSS = """
    TraceListScreen #title { height: 1; background: $primary; color: $text; text-style: bold; }
    TraceListScreen Input { height: 1; border: none; padding: 0; background: $surface; }
    """

    def __init__(self, shelf: TraceShelf) -> None:
        super().__init__()
        self._shelf = shelf
        self._shown = list(range(len(shelf.index.summaries)))

    def compose(self) -> ComposeResult:
        """The title, the filter, the list."""
        yield Static(id="title", markup=False)
        yield Input(placeholder="filter: words of the id, or an outcome such as failed")
        yield RowTable(self._fetch, id="rows")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show all traces."""
        self.query_one(RowTable).focus()
        self._choose()

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self.query_one(RowTable).renew()

    def on_input_submitted(self) -> None:
        """Filter."""
        self._choose()
        self.query_one(RowTable).focus()

    def on_row_table_opened(self) -> None:
        """Open the trace."""
        self._with_chosen(lambda number: debug_host(self).show(self._shelf.session(number)))

    def action_filter(self) -> None:
        """Go to the filter."""
        self.query_one(Input).focus()

    def action_clear(self) -> None:
        """Show all traces again."""
        self.query_one(Input).value = ""
        self.on_input_submitted()

    def action_compare(self) -> None:
        """Show another trace next to the chosen one."""
        self._with_chosen(lambda number: debug_host(self).compare(self._shelf.session(number)))

    def _with_chosen(self, work: Callable[[int], None]) -> None:
        if self._shown:
            number = self._shown[self.query_one(RowTable).cursor]
            debug_host(self).attempt_to(lambda: work(number))

    def _choose(self) -> None:
        words = self.query_one(Input).value.lower().split()
        summaries = self._shelf.index.summaries
        self._shown = [
            number
            for number, summary in enumerate(summaries)
            if all(word in f"{summary.id} {summary.outcome}".lower() for word in words)
        ]
        count = f"{len(self._shown):,} of {len(summaries):,}" if words else f"{len(summaries):,}"
        title = Text(f" {count} traces · {self._shelf.index.directory}", overflow="ellipsis")
        self.query_one("#title", Static).update(title)
        self.query_one(RowTable).show(len(self._shown))

    def _fetch(self, start: int, end: int) -> list[Text]:
        summaries = self._shelf.index.summaries
        width = self.size.width - 2
        return [texts.summary_row(summaries[n], width) for n in self._shown[start:end]]
