"""A trace, event by event: the source, the variables, the calls."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from forager.replay.ask import QuestionScreen, ask_number
from forager.replay.debugger import texts
from forager.replay.debugger.host import debug_host
from forager.replay.debugger.session import DebugSession, VariableRow
from forager.replay.debugger.widgets import DepthLine, SourceView
from forager.replay.panes import Pane
from forager.replay.rows import RowTable
from forager.trajectories import draw


class DebugScreen(Screen[None]):
    """What a debugger shows, at any event. `index` is the event to begin with."""

    LEGEND = (
        ("▶  ·", "the line that comes next; a line that this call has executed"),
        ("+  ~  ≈  -", "a variable: new, changed, changed in place, deleted"),
        ("◉", "a watched variable, with its function"),
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right,space,l", "step(1)", "Step", key_display="→", tooltip="next event (or space)"
        ),
        Binding("left,backspace,h", "step(-1)", "Back", key_display="←", tooltip="event before"),
        Binding("o", "move('over')", "Over", tooltip="over calls (O: backwards)"),
        Binding("O", "move('over', True)", "Over backwards", show=False),
        Binding("r", "move('out')", "Out", tooltip="to the end of this call (R: its beginning)"),
        Binding("R", "move('out', True)", "To the call", show=False),
        Binding("n", "change", "Change", tooltip="next change of the variable (N: the one before)"),
        Binding("N", "change(True)", "Change before", show=False),
        Binding("w", "watch", "Watch", tooltip="watch the variable, or no longer"),
        Binding(
            "t", "move('again')", "This line", show=False, tooltip="this line again (T: before)"
        ),
        Binding("T", "move('again', True)", "This line before", show=False),
        Binding(
            "x", "move('raised')", "Exception", show=False, tooltip="next exception (X: before)"
        ),
        Binding("X", "move('raised', True)", "Exception before", show=False),
        Binding("u", "frame(-1)", "Caller", show=False, tooltip="look at the caller (U: back)"),
        Binding("U", "frame(1)", "Callee", show=False),
        Binding("slash", "search", "Search", show=False, key_display="/"),
        Binding("full_stop", "matching", "Next match", show=False, key_display="."),
        Binding("comma", "matching(True)", "Match before", show=False, key_display=","),
        Binding("g", "jump", "Go to", show=False, tooltip="go to an event by its number"),
        Binding("less_than_sign", "go(0)", "First", show=False, key_display="<"),
        Binding("greater_than_sign", "go(-1)", "Last", show=False, key_display=">"),
        Binding("s", "calls", "Calls", tooltip="the tree of calls, and back (⏎ goes to a call)"),
        Binding("left_square_bracket", "scroll(-5)", "Up", show=False, key_display="["),
        Binding("right_square_bracket", "scroll(5)", "Down", show=False, key_display="]"),
        Binding("c", "compare", "Compare", show=False, tooltip="next to another trace"),
        Binding("escape", "app.leave", "Leave", key_display="esc", show=False),
    ]
    CSS = """
    DebugScreen #title { height: 1; background: $primary; color: $text; text-style: bold; }
    DebugScreen #title { text-wrap: nowrap; text-overflow: ellipsis; }
    DebugScreen #happens { height: auto; max-height: 5; background: $panel; padding: 0 1; }
    DebugScreen #left { width: 3fr; }
    DebugScreen #right { width: 2fr; border-left: solid $primary; }
    DebugScreen #variables, DebugScreen #calls { border-top: solid $primary; }
    DebugScreen #variables:focus, DebugScreen #calls:focus { border-top: heavy $accent; }
    DebugScreen #value { max-height: 30%; }
    DebugScreen #value.-empty { display: none; }
    DebugScreen.-narrow #panes { layout: vertical; }
    DebugScreen.-narrow #left, DebugScreen.-narrow #right { width: 100%; height: 1fr; }
    DebugScreen.-narrow #right { border-left: none; }
    DebugScreen.-narrow #calls { display: none; }
    DebugScreen.-narrow.calls #variables, DebugScreen.-narrow.calls #value { display: none; }
    DebugScreen.-narrow.calls #calls { display: block; }
    """

    def __init__(self, session: DebugSession, index: int = 0) -> None:
        super().__init__()
        self._session, self._index = session, index
        self._up = 0
        self._rows: list[VariableRow] = []
        self._word = ""
        self._sources: dict[str, list[Text]] = {}

    def compose(self) -> ComposeResult:
        """The source on the left, the state and the calls on the right."""
        yield Static(id="title", markup=False)
        yield DepthLine(self._session.depths, id="depths")
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield SourceView(id="source")
                yield Static(id="happens", markup=False)
            with Vertical(id="right"):
                yield RowTable(self._fetch_variables, id="variables")
                yield Pane(id="value")
                yield RowTable(self._fetch_calls, id="calls")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the first event."""
        self.query_one("#title", Static).update(texts.title(self._session.trace))
        rows = self._table("variables")
        rows.focus()
        self.watch(rows, "cursor", self._show_value, init=False)
        calls = self._table("calls")
        calls.border_title = f"{len(self._session.reader.frames):,} calls"
        calls.show(len(self._session.reader.frames))
        self._show()

    def on_depth_line_event_chosen(self, message: DepthLine.EventChosen) -> None:
        """Go to the event that was clicked."""
        self._go(message.index)

    def on_row_table_opened(self) -> None:
        """Go to the call that was chosen, or to the next change of the variable."""
        calls = self._table("calls")
        if calls.has_focus:
            self._go(self._session.reader.frames[calls.cursor].first)
        else:
            self.action_change()

    def action_step(self, by: int) -> None:
        """Go to the next event, or to the one before."""
        self._go(self._index + by)

    def action_go(self, index: int) -> None:
        """Go to an event; -1 is the last."""
        self._go(index if index >= 0 else self._session.last)

    def action_move(self, how: str, inverse: bool = False) -> None:
        """Go where a command of the session leads."""
        otherwise = {"again": "this line is not executed again", "raised": "no exception there"}
        edge = "the trace begins after that" if inverse else "the trace ends before that"
        found = getattr(self._session, how)(self._index, inverse=inverse)
        self._go_or_say(found, otherwise.get(how, edge))

    def action_change(self, inverse: bool = False) -> None:
        """Go to the next change of the chosen variable."""
        if row := self._chosen():
            found = self._session.change(self._index, row, inverse=inverse)
            self._go_or_say(found, f"{row.name} does not change {'before' if inverse else 'again'}")

    def action_watch(self) -> None:
        """Watch the chosen variable, or no longer."""
        if row := self._chosen():
            self._session.toggle_watch(row)
            self._show()

    def action_frame(self, by: int) -> None:
        """Look at the caller, or back, at the same event."""
        stack = self._session.state(self._index).stack
        self._up = max(0, min(self._up - by, len(stack) - 1))
        self._show()

    def action_search(self) -> None:
        """Ask for a text, and go to the event where it occurs."""

        def answered(text: str | None) -> None:
            self._word = text or ""
            self.action_matching()

        self.app.push_screen(QuestionScreen("search lines and values", self._word), answered)

    def action_matching(self, inverse: bool = False) -> None:
        """Go to the next event in which the text occurs."""
        if self._word:
            found = self._session.matching(self._word, self._index, inverse=inverse)
            self._go_or_say(found, f"{self._word!r} does not occur there")

    def action_jump(self) -> None:
        """Ask for an event, and go there."""
        ask_number(self, "event", self._session.last + 1, lambda number: self._go(number - 1))

    def action_calls(self) -> None:
        """Go to the tree of calls, or back to the variables."""
        to_calls = not self._table("calls").has_focus
        self.set_class(to_calls, "calls")
        self._table("calls" if to_calls else "variables").focus()

    def action_scroll(self, by: int) -> None:
        """Look further up or down in the source."""
        self.query_one(SourceView).scroll_lines(by)

    def action_compare(self) -> None:
        """Show another trace next to this one."""
        debug_host(self).compare(self._session)

    def _table(self, id: str) -> RowTable:
        return self.query_one(f"#{id}", RowTable)

    def _chosen(self) -> VariableRow | None:
        cursor = self._table("variables").cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def _go(self, index: int) -> None:
        self._index, self._up = max(0, min(index, self._session.last)), 0
        self._show()

    def _go_or_say(self, index: int | None, otherwise: str) -> None:
        if index is None:
            self.notify(otherwise, markup=False)
        else:
            self._go(index)

    def _show(self) -> None:
        session, index = self._session, self._index
        state = session.state(index)
        frame = (
            state.stack[max(0, len(state.stack) - 1 - self._up)] if self._up else state.event.frame
        )
        self._show_source(frame)
        self.query_one("#happens", Static).update(draw.fold(texts.happening(session, index)))
        self.query_one(DepthLine).show(index)
        self._table("calls").cursor = frame
        chosen = self._chosen()
        self._rows = session.rows(state, frame)
        rows = self._table("variables")
        name = session.reader.frames[frame].code.name
        rows.border_title = Text(draw.safe(f"variables of {name}"))
        rows.show(len(self._rows), self._same(chosen))
        self._show_value()

    def _show_source(self, frame: int) -> None:
        session = self._session
        event = session.event(session.place(frame, self._index))
        path = event.code.file
        if path not in self._sources:
            self._sources[path] = texts.source_lines(session.sources.get(path, ""), path)
        title = draw.safe(f"{path} · {event.code.name}")
        if self._up:
            title += f" · {self._up} up"
        ran = session.ran(frame, self._index)
        self.query_one(SourceView).show(title, self._sources[path], session.line(event), ran)

    def _show_value(self) -> None:
        row, pane = self._chosen(), self.query_one("#value", Pane)
        pane.set_class(not (row and row.value), "-empty")
        if row and row.value:
            pane.show(texts.value_title(row), draw.fold(Text(draw.safe(row.value))))

    def _same(self, chosen: VariableRow | None) -> int:
        """The row of the variable that was chosen, or of its namesake; else the first."""
        if chosen is None:
            return 0
        found = [number for number, row in enumerate(self._rows) if row.name == chosen.name]
        same = (number for number in found if _is_same(self._rows[number], chosen))
        return next(same, found[0] if found else 0)

    def _fetch_variables(self, start: int, end: int) -> list[Text]:
        return [texts.variable_row(self._session, row) for row in self._rows[start:end]]

    def _fetch_calls(self, start: int, end: int) -> list[Text]:
        count = len(self._session.reader.frames)
        return [texts.frame_row(self._session, n) for n in range(start, min(end, count))]


def _is_same(row: VariableRow, other: VariableRow) -> bool:
    return (row.frame, row.watched) == (other.frame, other.watched)
