"""The attempts of a run: filtered, sorted, searched, marked."""

from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from forager.errors import UsageError
from forager.replay import columns
from forager.replay.completion import FilterSuggester
from forager.replay.host import host_of
from forager.replay.query import HELP, AttemptQuery, parse, with_resolved
from forager.replay.rows import RowTable
from forager.replay.source import AttemptSource
from forager.trajectories.choice import Choice
from forager.trajectories.index import Places
from forager.trajectories.summary import Summary

_LOOK_SECONDS = 1.0  # between two looks for new attempts


class BrowserScreen(Screen[None]):
    """A table of attempts, a row each."""

    LEGEND = HELP

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,f", "filter", "Filter", key_display="/"),
        Binding("r", "resolved", "Resolved", tooltip="resolved only, unresolved only, all"),
        Binding("s", "sort(1)", "Sort", tooltip="sort by the next column (or click its title)"),
        Binding("S", "reverse", "Reverse", show=False, tooltip="the largest first, or last"),
        Binding("m", "mark", "Mark"),
        Binding("t", "tag", "Tag"),
        Binding("w", "note", "Note", tooltip="write a note"),
        Binding("c", "compare", "Compare", tooltip="next to another attempt at the same task"),
        Binding("escape", "clear", "Clear", show=False, tooltip="clear the filter; leave"),
    ]
    CSS = """
    BrowserScreen #title { height: 1; background: $primary; color: $text; text-style: bold; }
    BrowserScreen Input { height: 1; border: none; padding: 0; background: $surface; }
    BrowserScreen #heading { height: 1; text-style: bold; background: $panel; }
    """

    def __init__(self, source: AttemptSource) -> None:
        super().__init__()
        self._source = source
        self._places = Places("q")
        self._sort = ""
        self._query = AttemptQuery()
        self._columns = columns.fitting(80, 20)
        self._longest = 20
        self._note = ""

    def compose(self) -> ComposeResult:
        """The title, the filter, the table."""
        yield Static(id="title", markup=False)
        yield Input(
            placeholder="filter: resolved family:F exit:X turns:5.. tag:T says:TEXT or words",
            id="filter",
            suggester=FilterSuggester(self._source),
        )
        yield Static(id="heading", markup=False)
        yield RowTable(self._fetch, id="rows")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show all attempts, and look for new ones."""
        self.query_one(RowTable).focus()
        self._choose()
        self.set_interval(_LOOK_SECONDS, self._look)

    def on_resize(self) -> None:
        """Other columns fit."""
        self._lay_out()

    def on_screen_resume(self) -> None:
        """Marks may have changed."""
        self._renew()

    def on_input_submitted(self) -> None:
        """Filter."""
        if self._read():
            self.query_one(RowTable).focus()

    def on_row_table_opened(self) -> None:
        """Show the attempt."""
        current = self._current()
        if current:
            host_of(self).open(current.id)

    def on_click(self, event: events.Click) -> None:
        """Sort by the column whose title was clicked."""
        if event.widget is self.query_one("#heading"):
            column = columns.at(self._columns, event.x)
            if column and column.field:
                self._sort_by(column.field)

    def action_filter(self) -> None:
        """Go to the filter."""
        self.query_one(Input).focus()

    def action_resolved(self) -> None:
        """Show the resolved ones, the others, all."""
        line = self.query_one(Input)
        if host_of(self).attempt_to(lambda: setattr(line, "value", with_resolved(line.value))):
            self._read()

    def action_sort(self, by: int) -> None:
        """Sort by the next column."""
        names = ["", *(column.field for column in self._columns if column.field)]
        now = self._sort.removeprefix("-")
        place = names.index(now) if now in names else 0
        self._sort = names[(place + by) % len(names)]
        self._choose()

    def action_reverse(self) -> None:
        """Sort the other way."""
        if self._sort:
            self._sort_by(self._sort.removeprefix("-"))

    def action_mark(self) -> None:
        """Mark the attempt, or take its mark away."""
        current = self._current()
        if current:
            host_of(self).toggle_mark(current.id, self._marked)

    def action_tag(self) -> None:
        """Tag the attempt."""
        current = self._current()
        if current:
            host_of(self).ask_tags(current.id, self._marked)

    def action_note(self) -> None:
        """Write a note on the attempt."""
        current = self._current()
        if current:
            host_of(self).ask_note(current.id, self._marked)

    def action_compare(self) -> None:
        """Show the attempt next to another at its task."""
        current = self._current()
        if current:
            host_of(self).compare(current)

    def action_clear(self) -> None:
        """Leave the filter; clear it; leave."""
        line, rows = self.query_one(Input), self.query_one(RowTable)
        if line.has_focus and not line.value:
            rows.focus()
        elif line.value:
            line.value = ""
            self._read()
            rows.focus()
        elif len(self.app.screen_stack) > 2:
            self.dismiss()

    def _read(self) -> bool:
        """Take the filter as it is typed."""
        try:
            self._query = parse(self.query_one(Input).value)
        except UsageError as error:
            self.notify(str(error), severity="error", markup=False)
            return False
        self._choose()
        return True

    def _choose(self, keep: str = "") -> None:
        """Choose and sort the attempts; the cursor stays at `keep`, where that is among them."""
        choice = self._query.choose(self._source.marks)
        if self._query.says:
            self._note = "searching…"
            self._show(Places("q"), "")
            self._search(self._query, choice)
        else:
            self._note = ""
            self._show(self._source.chosen(choice, self._sort), keep)

    @work(thread=True, exclusive=True)
    def _search(self, query: AttemptQuery, choice: Choice) -> None:
        """Look into the attempts themselves, and show those found."""
        worker = get_current_worker()
        found = frozenset(self._source.said(query, choice, lambda: not worker.is_cancelled))
        if not worker.is_cancelled:
            self.app.call_from_thread(self._found, choice.model_copy(update={"ids": found}))

    def _found(self, choice: Choice) -> None:
        self._note = ""
        self._show(self._source.chosen(choice, self._sort), "")

    def _show(self, places: "Places[int]", keep: str) -> None:
        self._places = places
        cursor = 0
        if keep:
            kept = self._source.chosen(Choice(ids=frozenset([keep])))
            cursor = places.index(kept[0]) if kept and kept[0] in places else 0
        first = self._source.summaries(places[:200])
        self._longest = max((len(summary.id) for summary in first), default=20)
        self.query_one(RowTable).show(len(places), cursor)
        self._lay_out()

    def _look(self) -> None:
        """Show the attempts that a batch has added."""
        if self.is_current and not self._query.says:
            host_of(self).attempt_to(self._take_in)

    def _take_in(self) -> None:
        if self._source.refresh():
            current = self._current()
            self._choose(current.id if current else "")

    def _lay_out(self) -> None:
        rows = self.query_one(RowTable)
        self._columns = columns.fitting(max(60, self.size.width - 2), self._longest)
        self.query_one("#heading", Static).update(columns.heading(self._columns, self._sort))
        total = len(self._source.index)
        count = (
            f"{len(self._places):,} of {total:,}" if len(self._places) != total else f"{total:,}"
        )
        text = f" {self._note or f'{count} attempts'} · {self._source.path}"
        self.query_one("#title", Static).update(Text(text, no_wrap=True, overflow="ellipsis"))
        rows.renew()

    def _renew(self) -> None:
        host_of(self).attempt_to(self._source.marks.refresh)
        self.query_one(RowTable).renew()

    def _marked(self) -> None:
        self._renew()

    def _sort_by(self, field: str) -> None:
        self._sort = f"-{field}" if self._sort == field else field
        self._choose()

    def _current(self) -> Summary | None:
        cursor = self.query_one(RowTable).cursor
        found = self._source.summaries(self._places[cursor : cursor + 1])
        return found[0] if found else None

    def _fetch(self, start: int, end: int) -> list[Text]:
        marks = self._source.marks
        return [
            columns.row(self._columns, summary, marks.of(summary.id))
            for summary in self._source.summaries(self._places[start:end])
        ]
