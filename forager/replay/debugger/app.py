"""`forager debug` in a terminal."""

from forager.replay.application import ScreenApp
from forager.replay.ask import QuestionScreen
from forager.replay.debugger.compare import CompareTracesScreen
from forager.replay.debugger.listing import TraceListScreen
from forager.replay.debugger.screen import DebugScreen
from forager.replay.debugger.session import DebugSession, TraceShelf


class DebugApp(ScreenApp):
    """The traces of a directory: all, one, or two side by side.

    `first` is the trace to begin with, if any, and `other` the one to show next to it.
    """

    def __init__(
        self,
        shelf: TraceShelf,
        first: DebugSession | None = None,
        other: DebugSession | None = None,
    ) -> None:
        super().__init__()
        self._shelf, self._first, self._other = shelf, first, other

    def on_mount(self) -> None:
        """Open the first screen."""
        if self._first and self._other:
            self.push_screen(CompareTracesScreen(self._first, self._other))
        elif self._first:
            self.show(self._first)
        else:
            self.push_screen(TraceListScreen(self._shelf))

    def show(self, session: DebugSession, index: int = 0) -> None:
        """Show a trace at an event."""
        self.push_screen(DebugScreen(session, index))

    def compare(self, session: DebugSession) -> None:
        """Ask for another trace of the directory, and show it next to this one."""
        index = self._shelf.index

        def answered(text: str | None) -> None:
            if text:
                self.attempt_to(lambda: self._compare(session, index.find(text)))

        ids = [summary.id for summary in index.summaries]
        question = QuestionScreen("id of another trace, or a part of it", known=ids)
        self.push_screen(question, answered)

    def _compare(self, session: DebugSession, number: int) -> None:
        other = self._shelf.session(number)
        self.push_screen(CompareTracesScreen(session, other))
