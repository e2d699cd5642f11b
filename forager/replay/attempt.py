"""An attempt, turn by turn."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Static

from forager.errors import UsageError
from forager.replay import panes
from forager.replay.ask import QuestionScreen, ask_number
from forager.replay.host import host_of
from forager.replay.panes import Pane, Timeline
from forager.replay.player import Player
from forager.replay.recording import Recording, edited, failed, passed
from forager.replay.source import AttemptSource
from forager.trajectories import draw

_LOOK_SECONDS = 1.0  # between two readings of a running attempt
_MISSES = 5  # readings in a row that find nothing before the screen says so
_WANTED = {"failure": failed, "edit": edited, "test": passed}


class AttemptScreen(Screen[None]):
    """What the model said, the call, the answer, the repository, the budget.

    `load` reads the attempt; with `live` the screen reads it every second and follows the last
    turn until the attempt has ended.
    """

    LEGEND = (
        ("×  ✓  E  ·", "a turn: a failure, tests that pass, an edit, another"),
        ("T  ■", "the task, the outcome; a click goes to a turn"),
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right,space,l", "step(1)", "Next", key_display="→", tooltip="next turn (or space)"
        ),
        Binding("left,backspace,h", "step(-1)", "Back", key_display="←", tooltip="turn before"),
        Binding("p", "play", "Play", tooltip="play; again to stop"),
        Binding("plus,equals_sign", "speed(1)", "Faster", show=False, key_display="+"),
        Binding("minus", "speed(-1)", "Slower", show=False),
        Binding("g", "jump", "Go to", show=False, tooltip="go to a turn"),
        Binding("f", "find('failure', 1)", "Failure", tooltip="next failure (F: the one before)"),
        Binding("F", "find('failure', -1)", "Failure before", show=False),
        Binding("e", "find('edit', 1)", "Edit", tooltip="next edit (E: the one before)"),
        Binding("E", "find('edit', -1)", "Edit before", show=False),
        Binding(
            "v", "first_passing", "Passing", show=False, tooltip="first run of tests that passes"
        ),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "again(1)", "Next match", show=False),
        Binding("N", "again(-1)", "Match before", show=False),
        Binding("o", "fold", "Fold", show=False, tooltip="fold long answers, or show them whole"),
        Binding("s", "state", "State", tooltip="the repository instead of the answer, and back"),
        Binding("m", "mark", "Mark", show=False, tooltip="mark"),
        Binding("t", "tag", "Tag", show=False, tooltip="tag"),
        Binding("w", "note", "Note", show=False, tooltip="write a note"),
        Binding("c", "compare", "Compare", show=False, tooltip="next to another at the same task"),
        Binding("up", "scroll(-1)", "Up", show=False, tooltip="scroll the answer"),
        Binding("down", "scroll(1)", "Down", show=False, tooltip="scroll the answer"),
        Binding("pageup", "scroll(-10)", "Page up", show=False),
        Binding("pagedown", "scroll(10)", "Page down", show=False),
        Binding("home", "go(0)", "First", show=False, tooltip="the task"),
        Binding("end", "go(-1)", "Last", show=False, tooltip="the outcome"),
        Binding("escape", "dismiss", "Leave", key_display="esc"),
    ]
    CSS = """
    AttemptScreen #title { height: 1; background: $primary; color: $text; text-style: bold; }
    AttemptScreen #title, AttemptScreen #budget { text-wrap: nowrap; text-overflow: ellipsis; }
    AttemptScreen #said, AttemptScreen #call { max-height: 30%; }
    AttemptScreen.-end #said { max-height: 60%; }
    AttemptScreen #answer, AttemptScreen #state { height: 1fr; }
    AttemptScreen #budget { height: 1; background: $panel; }
    AttemptScreen #left { width: 3fr; }
    AttemptScreen #state { display: none; }
    AttemptScreen.-wide #state { display: block; width: 2fr; height: 100%; }
    AttemptScreen.-wide #state { border-left: solid $primary; }
    AttemptScreen.-narrow.state #answer { display: none; }
    AttemptScreen.-narrow.state #panes { layout: vertical; }
    AttemptScreen.-narrow.state #left { width: 100%; height: auto; max-height: 50%; }
    AttemptScreen.-narrow.state #said, AttemptScreen.-narrow.state #call { max-height: 5; }
    AttemptScreen.-narrow.state #state { display: block; }
    """

    def __init__(
        self, source: AttemptSource, load: Callable[[], Recording], *, live: bool = False
    ) -> None:
        super().__init__()
        self._source, self._load, self._live = source, load, live
        self._recording = load()
        self._step = self._recording.end if live else 0
        self._misses = 0
        self._word = ""
        self._full = False
        self._player = Player(self, self._play_on)
        self._following: Timer | None = None

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Static(id="title", markup=False)
        yield Timeline(id="timeline")
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Pane(id="said")
                yield Pane(id="call")
                yield Pane(id="answer")
            yield Pane(id="state")
        yield Static(id="budget", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the first step, or follow the last one."""
        self._full = host_of(self).full
        self._show()
        if self._live:
            self._following = self.set_interval(_LOOK_SECONDS, self._follow)

    def on_screen_resume(self) -> None:
        """Marks may have changed."""
        self._show_title()

    def on_timeline_chosen(self, message: Timeline.Chosen) -> None:
        """Go to the turn that was clicked."""
        self._go(message.step)

    def action_step(self, by: int) -> None:
        """Go on, or back."""
        self._go(self._step + by)

    def action_go(self, step: int) -> None:
        """Go to a step; -1 is the last."""
        self._go(step if step >= 0 else self._recording.last)

    def action_jump(self) -> None:
        """Ask for a turn, and go there."""
        ask_number(self, "turn", self._recording.last - 1, self._go)

    def action_find(self, what: str, by: int) -> None:
        """Go to the next turn of a kind."""
        self._go_or_say(self._recording.next(_WANTED[what], self._step, by), f"no {what} there")

    def action_first_passing(self) -> None:
        """Go to the first turn in which tests were run and passed."""
        self._go_or_say(self._recording.next(passed, 0), "no run of tests passed")

    def action_search(self) -> None:
        """Ask for a text, and go to where it occurs."""

        def answered(text: str | None) -> None:
            self._word = text or ""
            if self._word and self._word.lower() not in self._recording.text(self._step).lower():
                self.action_again(1)
            self._show()

        self.app.push_screen(QuestionScreen("search in this attempt", self._word), answered)

    def action_again(self, by: int) -> None:
        """Go to the next step in which the text occurs."""
        if self._word:
            found = self._recording.matching(self._word, self._step, by)
            self._go_or_say(found, f"{self._word!r} does not occur")

    def action_fold(self) -> None:
        """Fold long texts, or show them whole."""
        self._full = not self._full
        self._show()

    def action_state(self) -> None:
        """Show the repository instead of the answer."""
        self.toggle_class("state")

    def action_play(self) -> None:
        """Start or stop to go on automatically."""
        self._player.toggle()
        self._show_timeline()

    def action_speed(self, by: int) -> None:
        """Play faster or slower."""
        self._player.faster(by)
        self._show_timeline()

    def action_scroll(self, by: int) -> None:
        """Scroll the answer, or the repository if that is shown instead."""
        narrow = self.has_class("-narrow") and self.has_class("state")
        self.query_one("#state" if narrow else "#answer").scroll_relative(y=by, animate=False)

    def action_mark(self) -> None:
        """Mark the attempt."""
        host_of(self).toggle_mark(self._recording.trajectory.id, self._show_title)

    def action_tag(self) -> None:
        """Tag the attempt."""
        host_of(self).ask_tags(self._recording.trajectory.id, self._show_title)

    def action_note(self) -> None:
        """Write a note on the attempt."""
        host_of(self).ask_note(self._recording.trajectory.id, self._show_title)

    def action_compare(self) -> None:
        """Show another attempt at the task next to it."""
        summary = self._source.summary(self._recording.trajectory.id)
        if summary:
            host_of(self).compare(summary)

    def _go(self, step: int) -> None:
        self._step = max(0, min(step, self._recording.last))
        self._show()

    def _go_or_say(self, step: int | None, otherwise: str) -> None:
        if step is None:
            self.notify(otherwise, markup=False)
        else:
            self._go(step)

    def _play_on(self) -> None:
        if self._step + 1 >= self._recording.last:
            self._player.stop()
        self._go(self._step + 1)

    def _follow(self) -> None:
        """Read the attempt again, and stay at its end if the screen showed it."""
        try:
            new = self._load()
        except UsageError as error:  # it has ended, and is kept in a moment unless it was lost
            self._misses += 1
            if self._misses == _MISSES:
                self.notify(str(error), severity="warning", markup=False)
            return
        old, self._recording, self._misses = self._recording, new, 0
        at_end = self._step >= old.end
        if new.trajectory != old.trajectory:
            self._go(new.end if at_end else self._step)
        if self._following and not new.running:
            self._following.stop()

    def _show(self) -> None:
        recording, step = self._recording, self._step
        above = panes.titles(recording, step)
        said, called = panes.said(recording, step), panes.called(recording, step)
        self._fill("#said", above[0], said)
        self._fill("#call", above[1], called)
        self.query_one("#call").display = bool(called.plain)
        self.set_class(recording.turn(step) is None, "-end")
        self._fill("#answer", above[2], panes.observed(recording, step))
        name = "the repository, graded" if step == recording.last else "the repository"
        self.query_one("#state", Pane).show(name, panes.repository(recording, step))
        self.query_one("#budget", Static).update(panes.budget(recording, step))
        self._show_timeline()
        self._show_title()

    def _fill(self, id: str, title: str, text: Text) -> None:
        if not (self._full or self._word):
            text = draw.fold(text, way="o shows them")
        if self._word:
            text.highlight_words([self._word], "reverse", case_sensitive=False)
        self.query_one(id, Pane).show(title, text)

    def _show_timeline(self) -> None:
        self.query_one(Timeline).show(self._recording, self._step, self._player.note())

    def _show_title(self) -> None:
        trajectory = self._recording.trajectory
        mark = self._source.marks.of(trajectory.id)
        outcome = "running" if self._recording.running else trajectory.outcome.verdict
        parts = [f"{'★ ' if mark.marked else ''}{trajectory.id}", outcome, trajectory.model]
        parts += [" ".join(f"#{tag}" for tag in mark.tags), mark.note]
        text = " · ".join(part for part in parts if part)
        title = Text(f" {draw.safe(text)}", no_wrap=True, overflow="ellipsis")
        self.query_one("#title", Static).update(title)
