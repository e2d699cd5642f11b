"""What the screens ask of the application that shows them."""

from collections.abc import Callable
from typing import Protocol, cast

from textual.screen import Screen

from forager.trajectories.summary import Summary


class Host(Protocol):
    """The application: it opens screens, and keeps what a person says of attempts.

    An attempt is named by its id. `done` is called after a change was kept, to show it.
    """

    full: bool

    def open(self, id: str) -> None:
        """Show an attempt."""
        ...

    def compare(self, summary: Summary) -> None:
        """Show an attempt next to another at the same task."""
        ...

    def toggle_mark(self, id: str, done: Callable[[], None]) -> None:
        """Mark an attempt, or take the mark away."""
        ...

    def ask_tags(self, id: str, done: Callable[[], None]) -> None:
        """Ask for the tags of an attempt."""
        ...

    def ask_note(self, id: str, done: Callable[[], None]) -> None:
        """Ask for the note of an attempt."""
        ...

    def attempt_to(self, work: Callable[[], object]) -> bool:
        """Do something; return whether it went well. A ForagerError becomes a notification."""
        ...


def host_of(screen: Screen[None]) -> Host:
    """The application that shows a screen."""
    return cast("Host", screen.app)
