"""What the debugger's screens ask of the application that shows them."""

from collections.abc import Callable
from typing import Protocol, cast

from textual.screen import Screen

from forager.replay.debugger.session import DebugSession


class DebugHost(Protocol):
    """The application: it opens screens."""

    def show(self, session: DebugSession, index: int = 0) -> None:
        """Show a trace at an event."""
        ...

    def compare(self, session: DebugSession) -> None:
        """Ask for another trace, and show it next to this one."""
        ...

    def attempt_to(self, work: Callable[[], object]) -> bool:
        """Do something; return whether it went well. A ForagerError becomes a notification."""
        ...


def debug_host(screen: Screen[None]) -> DebugHost:
    """The application that shows a screen."""
    return cast("DebugHost", screen.app)
