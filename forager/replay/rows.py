"""A table of any length: fetches only the pages that are on the screen."""

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

_PAGE = 128  # rows fetched at a time
_PAGES = 16  # that are kept


class RowTable(ScrollView, can_focus=True):
    """Rows with a cursor. `fetch(start, end)` returns the rows from `start` up to `end`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000000)", "First", show=False),
        Binding("end,G", "move(1000000000)", "Last", show=False),
        Binding("enter", "open", "Open", key_display="⏎"),
    ]
    DEFAULT_CSS = "RowTable { height: 1fr; overflow-x: hidden; overflow-y: scroll; }"

    cursor: reactive[int] = reactive(0)

    class Opened(Message):
        """A row was chosen by Enter or by a click on the cursor."""

    def __init__(self, fetch: Callable[[int, int], list[Text]], *, id: str) -> None:
        super().__init__(id=id)
        self._fetch = fetch
        self._pages: OrderedDict[int, list[Text]] = OrderedDict()
        self.count = 0

    def show(self, count: int, cursor: int = 0) -> None:
        """Show `count` rows, and fetch them again."""
        self._pages.clear()
        self.count = count
        self.virtual_size = Size(self.size.width, count)
        self.cursor = cursor
        self.call_after_refresh(self._follow)
        self.refresh()

    def centre(self) -> None:
        """Scroll the row of the cursor to the middle."""
        self.call_after_refresh(self._centre)

    def renew(self) -> None:
        """Fetch the rows again."""
        self._pages.clear()
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self) -> None:
        """Keep the cursor in sight."""
        self._follow()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        number, width = y + self.scroll_offset.y, self.size.width
        base = self.rich_style
        if number >= self.count:
            return Strip.blank(width, base)
        text = self._row(number)
        if number == self.cursor:
            text, base = Text(text.plain), base + Style(reverse=True)
        strip = Strip(list(text.render(self.app.console)), text.cell_len)
        return Strip(Segment.apply_style(strip.adjust_cell_length(width), base), width)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move the cursor by a screen."""
        self.cursor += by * max(1, self.size.height - 1)

    def action_open(self) -> None:
        """Choose the row of the cursor."""
        if self.count:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to a row; a click on the cursor chooses it."""
        number = event.y + self.scroll_offset.y
        if number == self.cursor:
            self.action_open()
        elif number < self.count:
            self.cursor = number

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self.virtual_size = Size(self.size.width, self.count)
        self.renew()

    def _row(self, number: int) -> Text:
        page = number // _PAGE
        if page not in self._pages:
            self._pages[page] = self._fetch(page * _PAGE, (page + 1) * _PAGE)
            while len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        rows = self._pages[page]
        place = number - page * _PAGE
        return rows[place] if place < len(rows) else Text()

    def _centre(self) -> None:
        self.scroll_to(y=self.cursor - self.size.height // 2, animate=False)

    def _follow(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
