"""What the applications of `forager replay`, `watch` and `debug` share.

Textual honours NO_COLOR, and TEXTUAL_THEME names the first theme; `d` switches between dark and
light.
"""

import os
from collections.abc import Callable
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from forager.errors import ForagerError
from forager.replay.ask import HelpScreen, QuestionScreen, keys_of


class ScreenApp(App[None]):
    """Screens with a help, in two themes, for narrow and for wide terminals."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    TITLE = "forager"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "toggle_light", "Dark or light", show=False),
        Binding("q", "quit", "Quit", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(self) -> None:
        super().__init__(ansi_color="NO_COLOR" in os.environ)  # then Textual sends no colour at all
        self.animation_level = "none"

    def attempt_to(self, work: Callable[[], object]) -> bool:
        """Do something; return whether it went well. A ForagerError becomes a notification."""
        try:
            work()
        except ForagerError as error:
            self.notify(str(error), severity="error", markup=False)
            return False
        return True

    def action_leave(self) -> None:
        """Go back to the screen below, if there is one."""
        if len(self.screen_stack) > 2:  # Textual's own screen is the lowest
            self.pop_screen()

    def action_toggle_light(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def action_help(self) -> None:
        """Show the keys of the screen."""
        if not isinstance(self.screen, HelpScreen | QuestionScreen):
            keys = [*keys_of(self.screen), ("d", "dark or light"), ("q", "quit")]
            more = getattr(self.screen, "LEGEND", ())
            self.push_screen(HelpScreen(keys, more) if more else HelpScreen(keys))
