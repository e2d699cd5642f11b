"""A batch while it runs: throughput, families, what each worker does, endpoints, images."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from forager.replay import board
from forager.replay.attempt import AttemptScreen
from forager.replay.batch import BatchStatus, BatchWatcher
from forager.replay.browser import BrowserScreen
from forager.replay.host import host_of
from forager.replay.panes import Pane
from forager.replay.recording import Recording
from forager.replay.rows import RowTable
from forager.replay.source import AttemptSource
from forager.trajectories import draw, live


class WatchScreen(Screen[None]):
    """The progress of the batch, read every second."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "browse", "Browse", tooltip="the attempts that have ended"),
    ]
    CSS = """
    WatchScreen #title { height: 1; background: $primary; color: $text; text-style: bold; }
    WatchScreen #head { height: 2; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    WatchScreen #families { max-height: 40%; padding: 0 1; }
    WatchScreen #troubles { max-height: 30%; padding: 0 1; }
    WatchScreen #workers { border-top: solid $primary; padding: 0 1; }
    """

    def __init__(self, source: AttemptSource) -> None:
        super().__init__()
        self._source = source
        self._watched = BatchWatcher(source.path)
        self._batch = self._watched.read()

    def compose(self) -> ComposeResult:
        """The numbers, the families, the workers, what is wrong."""
        yield Static(id="title", markup=False)
        yield Static(id="head", markup=False)
        yield Pane(id="families")
        yield RowTable(self._fetch, id="workers")
        yield Pane(id="troubles")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the progress, and again every second."""
        self.query_one(RowTable).focus()
        self._show()
        self.set_interval(live.SECONDS, self._look)

    def on_unmount(self) -> None:
        """Close the index."""
        self._watched.close()

    def on_row_table_opened(self) -> None:
        """Follow the attempt that a worker makes."""
        chosen = self.query_one(RowTable).cursor
        if chosen >= len(self._batch.workers):
            return
        id = self._batch.workers[chosen].id
        if live.attempt(self._source.path, id) is None:
            self.notify(f"{id} has not begun to act, or has ended", markup=False)
            return
        self.app.push_screen(AttemptScreen(self._source, lambda: self._load(id), live=True))

    def action_browse(self) -> None:
        """Show the attempts that have ended."""
        self.app.push_screen(BrowserScreen(self._source))

    def _look(self) -> None:
        if self.is_current:
            host_of(self).attempt_to(lambda: setattr(self, "_batch", self._watched.read()))
            self._show()

    def _load(self, id: str) -> Recording:
        """An attempt as far as it is made, or as it was kept after its end."""
        trajectory = live.attempt(self._source.path, id)
        if trajectory is not None:
            return Recording(trajectory, self._source.task(trajectory.instance_id))
        self._source.refresh()
        return self._source.recording(id)

    def _show(self) -> None:
        batch: BatchStatus = self._batch
        title = Text(f" {board.headline(batch)} · {draw.safe(batch.run)}")
        self.query_one("#title", Static).update(title)
        self.query_one("#head", Static).update(
            Text("\n").join([board.throughput(batch), Text("resolved, over the same time", "dim")])
        )
        self.query_one("#families", Pane).show("families", board.families(batch))
        rows = self.query_one(RowTable)
        rows.border_title = f"{len(batch.workers)} workers"
        rows.show(len(batch.workers), rows.cursor)
        lines = [*board.endpoints(batch), *board.images(batch)]
        pane = self.query_one("#troubles", Pane)
        pane.display = bool(lines)
        pane.show("endpoints, images with lost attempts", Text("\n").join(lines))

    def _fetch(self, start: int, end: int) -> list[Text]:
        width = self.size.width - 4
        return [board.worker(attempt, width) for attempt in self._batch.workers[start:end]]
