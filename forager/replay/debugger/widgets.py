"""The debugger's own widgets: a source around a line, and the depth of calls over time."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

_BARS = " ▁▂▃▄▅▆▇█"


class SourceView(Widget):
    """A source with the line that comes next in the middle, and marks at those that ran."""

    DEFAULT_CSS = """
    SourceView { height: 1fr; border-top: solid $primary; text-wrap: nowrap; overflow: hidden; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Text] = []
        self._line = 0
        self._ran: set[int] = set()
        self._offset = 0

    def show(self, title: str, lines: Sequence[Text], line: int, ran: set[int]) -> None:
        """Show a source around a line, from 1."""
        self.border_title = Text(title)
        self._lines, self._line, self._ran, self._offset = lines, line, ran, 0
        self.refresh()

    def scroll_lines(self, by: int) -> None:
        """Look further up or down."""
        self._offset += by
        self.refresh()

    def render(self) -> Text:
        """The lines that fit."""
        height = max(1, self.size.height)
        first = self._line - height // 2 + self._offset
        first = max(1, min(first, len(self._lines) - height + 1))
        self._offset = first - max(1, min(self._line - height // 2, len(self._lines) - height + 1))
        if not self._lines:
            return Text("the source of this file was not recorded", "dim")
        shown = range(first, min(first + height, len(self._lines) + 1))
        width = len(str(shown[-1]))
        return Text("\n").join(self._row(number, width) for number in shown)

    def _row(self, number: int, width: int) -> Text:
        here = number == self._line
        mark = "▶" if here else "·" if number in self._ran else " "
        style = "bold yellow" if here else "dim"
        row = Text.assemble((f"{mark}{number:>{width}} ", style), no_wrap=True)
        source = self._lines[number - 1]
        row.append_text(Text(source.plain, "bold reverse") if here else source)
        row.truncate(max(1, self.size.width), overflow="ellipsis")
        return row


class DepthLine(Widget):
    """How deep calls are, from the first to the last event; a click goes to an event."""

    DEFAULT_CSS: ClassVar[str] = "DepthLine { height: 1; }"

    class EventChosen(Message):
        """An event was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, depths: Sequence[int], *, id: str) -> None:
        super().__init__(id=id)
        self._depths, self._index, self._width = depths, 0, 1

    def show(self, index: int) -> None:
        """Show at which event the program stands."""
        self._index = index
        self.refresh()

    def render(self) -> Text:
        """A bar for each event, or for several where they do not fit."""
        tail = f" event {self._index + 1:,} of {len(self._depths):,} "
        self._width = max(1, min(self.size.width - len(tail) - 2, len(self._depths)))
        most = max(self._depths, default=0) + 1
        text = Text(" ")
        for column in range(self._width):
            start, end = self._first(column), self._first(column + 1)
            depth = max(self._depths[start:end], default=0) + 1
            if start <= self._index < end:
                text.append("┃", "bold yellow")
            else:
                text.append(_BARS[max(1, depth * (len(_BARS) - 1) // most)], "cyan")
        return text.append(tail, "bold")

    def on_click(self, event: events.Click) -> None:
        """Go to the event that was clicked."""
        if 1 <= event.x <= self._width:
            self.post_message(self.EventChosen(self._first(event.x - 1)))

    def _first(self, column: int) -> int:
        return column * len(self._depths) // self._width
