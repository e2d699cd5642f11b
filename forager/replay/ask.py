"""Small screens on top of others: a line to type, and the help."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static


class QuestionScreen(ModalScreen[str | None]):
    """Asks for a line; returns None if the person leaves it with Escape."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave")]
    CSS = """
    QuestionScreen { align: center bottom; background: $background 40%; }
    QuestionScreen Input { width: 100%; }
    """

    def __init__(self, title: str, value: str = "", known: Sequence[str] = ()) -> None:
        super().__init__()
        self._title, self._value, self._known = title, value, known

    def compose(self) -> ComposeResult:
        """One line to type."""
        suggester = SuggestFromList(self._known) if self._known else None
        line = Input(self._value, suggester=suggester)
        line.border_title = Text(self._title)
        yield line

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the line."""
        self.dismiss(event.value)


def ask_number(screen: Screen[None], noun: str, last: int, go: Callable[[int], None]) -> None:
    """Ask for the number of a turn or an event, from 1 to `last`, and go there."""

    def answered(text: str | None) -> None:
        if text and text.strip().isdecimal():
            go(int(text))
        elif text:
            screen.notify(f"{text!r} is not a number from 1 to {last}", markup=False)

    screen.app.push_screen(QuestionScreen(f"{noun}, 1 to {last}"), answered)


class HelpScreen(ModalScreen[None]):
    """The keys of a screen, and its legend."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False)
    ]
    CSS = """
    HelpScreen { align: center middle; background: $background 40%; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1;
    }
    HelpScreen Static { height: auto; margin-bottom: 1; }
    HelpScreen Static:last-child { margin: 0; }
    """

    def __init__(self, *lists: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._lists = lists

    def compose(self) -> ComposeResult:
        """A list of keys."""
        with VerticalScroll() as box:
            box.border_title, box.border_subtitle = "help", "esc closes"
            for keys in self._lists:
                width = max(len(key) for key, _ in keys) + 2
                lines = [Text.assemble((f"{key:<{width}}", "bold"), what) for key, what in keys]
                yield Static(Text("\n").join(lines))


def keys_of(screen: Screen[object]) -> list[tuple[str, str]]:
    """The keys that a screen binds with their meanings, as the help shows them."""
    found = []
    for binding in screen.BINDINGS:
        if isinstance(binding, Binding):
            names = binding.key_display or " ".join(map(_display, binding.key.split(",")))
            found.append((names, binding.tooltip or binding.description.lower()))
    return found


def _display(key: str) -> str:
    names = {"question_mark": "?", "slash": "/", "full_stop": ".", "escape": "esc", "plus": "+"}
    names |= {"left": "←", "right": "→", "up": "↑", "down": "↓", "minus": "-", "space": "space"}
    return names.get(key, key)
