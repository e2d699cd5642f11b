"""Two attempts at one task side by side, aligned where they diverge."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Static

from forager.replay import panes
from forager.replay.align import TurnPair, align, divergence
from forager.replay.host import host_of
from forager.replay.panes import Pane
from forager.replay.recording import Recording, failed, passed
from forager.replay.side_by_side import SideBySideScreen
from forager.replay.source import AttemptSource
from forager.trajectories import draw
from forager.trajectories.show import Turn
from forager.trajectories.summary import Summary


class CompareScreen(SideBySideScreen):
    """The turns of both attempts in a list, and the chosen pair below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "divergence", "Divergence", tooltip="where the calls first differ"),
        Binding("c", "other(1)", "Other", tooltip="another attempt on the right"),
        Binding("right,space", "step(1)", "Next", key_display="→"),
        Binding("left,backspace", "step(-1)", "Back", key_display="←"),
        Binding("o", "open('left')", "Open left"),
        Binding("O", "open('right')", "Open right"),
        Binding("escape", "dismiss", "Leave", key_display="esc"),
    ]
    CSS = """
    CompareScreen #pairs { height: 2fr; }
    CompareScreen #both { height: 3fr; }
    """

    def __init__(self, source: AttemptSource, summary: Summary, others: list[Summary]) -> None:
        super().__init__()
        self._source, self._others = source, others
        self._left = source.recording(summary.id)
        self._number = 0
        self._right = self._left
        self._pairs: list[TurnPair] = []

    def on_mount(self) -> None:
        """Begin at the divergence."""
        self._take()

    def action_divergence(self) -> None:
        """Go to the divergence."""
        self.table.cursor = divergence(self._pairs)

    def action_other(self, by: int) -> None:
        """Show another attempt on the right."""
        self._number = (self._number + by) % len(self._others)
        self._take()

    def action_open(self, side: str) -> None:
        """Open one of the two."""
        recording = self._left if side == "left" else self._right
        host_of(self).open(recording.trajectory.id)

    def _take(self) -> None:
        self._right = self._source.recording(self._others[self._number].id)
        self._pairs = align(self._left.turns, self._right.turns)
        for side, recording in (("left", self._left), ("right", self._right)):
            self.query_one(f"#{side}-title", Static).update(_title(recording))
        self.table.show(len(self._pairs), divergence(self._pairs))
        self.show_pair()

    def show_pair(self) -> None:
        """Show both turns."""
        number = self.table.cursor
        pair = self._pairs[number] if self._pairs else TurnPair(None, None, True)
        for side, recording, turn in (
            ("left", self._left, pair.left),
            ("right", self._right, pair.right),
        ):
            title = f"turn {turn.number}" if turn else "no turn"
            self.query_one(f"#{side}", Pane).show(title, _turn(recording, turn))

    def fetch(self, start: int, end: int) -> list[Text]:
        """A row for each pair of turns."""
        return [_row(pair, self.column) for pair in self._pairs[start:end]]


def _title(recording: Recording) -> Text:
    trajectory = recording.trajectory
    parts = (f"attempt {trajectory.attempt}", trajectory.outcome.verdict, trajectory.model)
    return Text(f" {draw.safe(' · '.join(parts))}", no_wrap=True, overflow="ellipsis")


def _row(pair: TurnPair, width: int) -> Text:
    middle = Text(" = ", "dim") if pair.same else Text(" ≠ ", "bold yellow")
    return Text.assemble(_line(pair.left, width), middle, _line(pair.right, width))


def _line(turn: Turn | None, width: int) -> Text:
    """A turn in a line: its number, how it went, the call."""
    if turn is None:
        return Text(" " * width)
    style = "red" if failed(turn) else "green" if passed(turn) else ""
    arguments = turn.call.arguments.values() if turn.call else ()
    first = next(iter(" ".join(arguments).splitlines()), "")
    name = turn.call.tool if turn.call else ""
    text = Text.assemble((f"{turn.number:>3} ", "dim"), (draw.safe(name or "?"), style or "bold"))
    text.append(" ").append(draw.safe(first))
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def _turn(recording: Recording, turn: Turn | None) -> Text:
    if turn is None:
        return Text("this attempt made no call here", "dim")
    step = turn.number
    parts = [panes.said(recording, step), panes.called(recording, step)]
    parts.append(panes.observed(recording, step))
    return Text("\n\n").join(draw.fold(part, way="o opens it") for part in parts if part.plain)
