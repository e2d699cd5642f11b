"""Two traces side by side, aligned where they diverge."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from forager.replay.debugger import texts
from forager.replay.debugger.host import debug_host
from forager.replay.debugger.session import DebugSession
from forager.replay.panes import Pane
from forager.replay.side_by_side import SideBySideScreen
from forager.tracing.aligning import EventPair, align, divergence
from forager.trajectories import draw


class CompareTracesScreen(SideBySideScreen):
    """The events of both traces in a list, and the state at the chosen pair below it."""

    LEGEND = (
        ("=  ≠", "the same event and state; an event or state that differs"),
        ("±", "a line that only one of the sources has"),
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "divergence", "Divergence", tooltip="the first state or event that differs"),
        Binding("n", "difference(1)", "Next", tooltip="next difference (N: the one before)"),
        Binding("N", "difference(-1)", "Difference before", show=False),
        Binding("right,space", "step(1)", "Step", key_display="→"),
        Binding("left,backspace", "step(-1)", "Back", key_display="←"),
        Binding("o", "open('left')", "Left", tooltip="open the left trace here"),
        Binding("O", "open('right')", "Right", tooltip="open the right trace here"),
        Binding("escape", "app.leave", "Leave", key_display="esc", show=False),
    ]
    CSS = """
    CompareTracesScreen #note { height: 1; background: $panel; padding: 0 1; }
    CompareTracesScreen #pairs { height: 3fr; }
    CompareTracesScreen #both { height: 2fr; }
    """

    def __init__(self, left: DebugSession, right: DebugSession) -> None:
        super().__init__()
        self._left, self._right = left, right
        self._pairs = align(left.side, right.side)
        self._divergence = divergence(self._pairs)

    def compose_note(self) -> ComposeResult:
        """What differs."""
        yield Static(id="note", markup=False)

    def on_mount(self) -> None:
        """Begin at the divergence."""
        for side, session in (("left", self._left), ("right", self._right)):
            title = texts.short_title(session.trace)
            self.query_one(f"#{side}-title", Static).update(title)
        self.table.show(len(self._pairs), self._divergence)
        self.table.centre()
        self.show_pair()

    def on_row_table_opened(self) -> None:
        """Open the left trace, or the right one where the left one has no event."""
        pair = self._pairs[self.table.cursor]
        self.action_open("right" if pair.left is None else "left")

    def action_divergence(self) -> None:
        """Go to the first difference."""
        if self._divergence == len(self._pairs):
            self.notify("the traces do not diverge")
        self.table.cursor = self._divergence
        self.table.centre()

    def action_difference(self, by: int) -> None:
        """Go to the next difference, or to the one before."""
        rows = self.table
        others = range(rows.cursor + by, len(self._pairs) if by > 0 else -1, by)
        found = next((n for n in others if self._pairs[n].differs), None)
        if found is None:
            self.notify("no difference there")
        else:
            rows.cursor = found

    def action_open(self, side: str) -> None:
        """Open one of the two at this event."""
        pair = self._pairs[self.table.cursor]
        session, index = (self._left, pair.left) if side == "left" else (self._right, pair.right)
        if index is None:
            self.notify(f"the trace on the {side} has no event here")
        else:
            debug_host(self).show(session, index)

    def show_pair(self) -> None:
        """Show what differs, and both states."""
        pair = self._pairs[self.table.cursor]
        self.query_one("#note", Static).update(self._note(pair))
        for side, session, index in (
            ("left", self._left, pair.left),
            ("right", self._right, pair.right),
        ):
            title, text = _state(session, index, pair.names)
            self.query_one(f"#{side}", Pane).show(title, text)

    def _note(self, pair: EventPair) -> Text:
        if self._divergence == len(self._pairs):
            return Text("the traces do not diverge", "green")
        number = self.table.cursor
        if pair.names:
            return Text(f"differs here: {texts.differing_names(pair)}", "yellow")
        if number == self._divergence:
            return Text("the traces part here", "yellow")
        ahead = self._divergence - number
        where = f"in {ahead:,} events" if ahead > 0 else f"{-ahead:,} events before"
        return Text(f"the first difference is {where}", "dim")

    def fetch(self, start: int, end: int) -> list[Text]:
        """A row for each pair of events."""
        chosen = self._pairs[start:end]
        return [texts.pair_row(self._left, self._right, pair, self.column) for pair in chosen]


def _state(session: DebugSession, index: int | None, names: tuple[str, ...]) -> tuple[str, Text]:
    """Where a trace stands, and its variables, those that differ first."""
    if index is None:
        return "no event", Text("this trace has no event here", "dim")
    event = session.event(index)
    own = session.state(index).own
    parts = [texts.happening(session, index)] if event.value is not None else []
    order = sorted(own, key=lambda name: name not in names)
    for name in order:
        style = "bold yellow" if name in names else "bold"
        line = Text.assemble((draw.safe(name), style), (" = ", "dim"), draw.safe(own[name]))
        parts.append(draw.fold(line))
    title = draw.safe(f"{event.code.file}:{session.line(event)} · {event.code.name}")
    return title, Text("\n").join(parts or [Text("no variables", "dim")])
