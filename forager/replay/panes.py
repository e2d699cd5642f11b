"""The texts of an attempt's panes, and the line of its turns."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from forager.replay.recording import Recording, edited, failed, passed
from forager.replay.repository import KnownStatus
from forager.trajectories import draw
from forager.trajectories.draw import short
from forager.trajectories.show import (
    Turn,
    notes,
    show_call,
    show_observation,
    show_outcome,
    text_of,
)
from forager.trajectories.show_task import answer_name, answer_text, references
from forager.trajectories.steps import opening

_STYLES = {"passed": "green", "failed": "red", "error": "red", "timeout": "red"}
_MARKS = {"passed": "✓", "skipped": "-"}
_SHOWN = 40  # tests that are listed


def said(recording: Recording, step: int) -> Text:
    """What the model said; the problem at the first step, the outcome at the last."""
    turn = recording.turn(step)
    if turn is not None:
        return Text(draw.safe(turn.thought.strip()))
    if step == 0:
        last = opening(recording.trajectory)[-1:]
        return Text(draw.safe(text_of(last[0]).strip()) if last else "")
    if recording.running:
        return Text("it is still running", "yellow")
    return Text("\n").join(show_outcome(recording.trajectory, recording.task))


def called(recording: Recording, step: int) -> Text:
    """The call."""
    turn = recording.turn(step)
    if turn is None or turn.call is None:
        return Text()
    name = turn.call.tool or "(a call that could not be read)"
    if turn.call.tool in ("bash", "edit", "create"):
        return show_call(turn.call)
    return Text.assemble((draw.safe(name), "bold"), "\n", show_call(turn.call))


def observed(recording: Recording, step: int) -> Text:
    """The observation; the system prompt at the first step, answer and references at the last."""
    turn = recording.turn(step)
    if recording.under_way(step):
        return Text("(under way)", "yellow")
    if turn is not None:
        more = [Text(note, "yellow") for note in notes(turn)]
        return Text("\n").join([show_observation(turn), *more])
    if step == 0:
        first = opening(recording.trajectory)[:-1]
        return Text(draw.safe("\n\n".join(map(text_of, first)).strip()))
    trajectory = recording.trajectory
    parts = [answer_text(trajectory.environment, trajectory.outcome.answer)]
    for title, text in references(recording.task) if recording.task else ():
        parts += [Text(), Text(f"the {title}", "bold"), text]
    return Text("\n").join(parts)


def titles(recording: Recording, step: int) -> tuple[str, str, str]:
    """The titles of the panes said, called and observed."""
    if step == 0:
        return "the task", "", "the system prompt"
    turn = recording.turn(step)
    if turn is None:
        return (
            "the outcome",
            "",
            f"the {answer_name(recording.trajectory.environment)} of the agent",
        )
    name = turn.call.tool if turn.call and turn.call.tool else "no call"
    seconds = turn.call.seconds if turn.call else 0.0
    return "the model", f"{draw.safe(name)} · {seconds:.1f} s", "the answer"


def repository(recording: Recording, step: int) -> Text:
    """The files changed so far, the known results of tests, the diff so far."""
    state = recording.state(step)
    parts = [Text("files changed so far", "bold")]
    parts += [Text.assemble("  ", draw.safe(path), (f"  {how}", "dim"))
              for path, how in state.files()] or [Text("  none", "dim")]  # fmt: skip
    parts += [Text(), Text("tests", "bold")]
    if state.last and not state.patch:
        parts.append(Text(f"  last run in turn {state.last_turn}: {state.last}"))
    parts += _tests(recording, state.tests)
    diff = state.diff()
    if diff:
        parts += [Text(), Text("diff so far", "bold"), draw.diff(diff)]
    return Text("\n").join(parts)


def _tests(recording: Recording, known: dict[str, KnownStatus]) -> Iterator[Text]:
    """FAIL_TO_PASS first, then others that fail, then the number of those that pass."""
    wanted = recording.task.test_groups().get("FAIL_TO_PASS", []) if recording.task else []
    failing = [test for test, seen in known.items() if seen.status != "passed"]
    listed = list(dict.fromkeys([*wanted, *failing]))
    for test in listed[:_SHOWN]:
        seen = known.get(test)
        status = seen.status if seen else "unknown"
        turn = str(seen.turn) if seen and seen.turn else ""
        mark = _MARKS.get(status, "×" if seen else "?")
        line = Text.assemble((f"{mark}{turn:<3}", _STYLES.get(status, "dim")))
        where, _, name = draw.safe(test).partition("::")
        yield line.append(name or where).append(f"  {where}" if name else "", "dim")
    if len(listed) > _SHOWN:
        yield Text(f"  … {len(listed) - _SHOWN:,} more", "dim")
    others = sum(seen.status == "passed" for test, seen in known.items() if test not in listed)
    if others:
        yield Text(f"  {others:,} others passed", "dim")


def budget(recording: Recording, step: int) -> Text:
    """Tokens, time, and the budget left after a step."""
    left, turn = recording.left(step), recording.turn(step)
    parts = []
    if turn is not None:
        usage, call = turn.model_call.usage, turn.call
        tools = call.seconds if call else 0.0
        parts.append(f"model {turn.model_call.seconds:.1f} s, tool {tools:.1f} s")
        if usage.prompt_tokens:
            parts.append(f"{short(usage.prompt_tokens)} + {short(usage.completion_tokens)} tokens")
    spent = f"so far {left.spent_seconds:.0f} s"
    parts.append(f"{spent}, {short(left.spent_tokens)} tokens" if left.spent_tokens else spent)
    parts.append(f"left {left.turns} turns, {short(left.tokens)} tokens, {left.seconds:,.0f} s")
    return Text(" " + " · ".join(parts), no_wrap=True, overflow="ellipsis")


class Pane(VerticalScroll, inherit_bindings=False):
    """A scrolling text with a title; the keys left and right stay with the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "Up", show=False),
        Binding("down", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "Top", show=False),
        Binding("end", "scroll_end", "End", show=False),
    ]
    DEFAULT_CSS = """
    Pane { height: auto; border-top: solid $primary; scrollbar-size-vertical: 1; }
    Pane:focus { border-top: heavy $accent; }
    Pane Static { height: auto; }
    """

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(markup=False)

    def show(self, title: str, text: Text) -> None:
        """Show another text, from its beginning."""
        self.border_title = Text(title)
        self.query_one(Static).update(text)
        self.scroll_home(animate=False)


class Timeline(Widget):
    """A mark for each turn: × failure, ✓ all tests passed, E edit, · another."""

    DEFAULT_CSS = "Timeline { height: 1; }"

    class Chosen(Message):
        """A turn was clicked."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._marks: list[tuple[str, str]] = []
        self._step = self._first = 0
        self._note = ""

    def show(self, recording: Recording, step: int, note: str = "") -> None:
        """Show the turns of an attempt, and at which step it is."""
        self._marks = [("T", "bold"), *map(_mark, recording.turns), ("■", "bold")]
        if recording.under_way(recording.end):
            self._marks[recording.end] = "…", "yellow"
        self._step, self._note = step, note
        self.refresh()

    def render(self) -> Text:
        """The marks; where there are more than fit, those around the step."""
        last = len(self._marks) - 1
        turns = max(0, last - 1)
        name = {0: f"the task, {turns} turns", last: f"the outcome of {turns} turns"}
        tail = f" {name.get(self._step, f'turn {self._step} of {turns}')}{self._note} "
        width = max(8, self.size.width - len(tail) - 1)
        self._first = max(0, min(self._step - width // 2, len(self._marks) - width))
        text = Text(" ")
        for number, (mark, style) in enumerate(self._marks[self._first :][:width], self._first):
            text.append(mark, f"{style} reverse" if number == self._step else style)
        return text.append(tail, "bold")

    def on_click(self, event: events.Click) -> None:
        """Go to the turn that was clicked."""
        step = self._first + event.x - 1
        if 0 <= step < len(self._marks):
            self.post_message(self.Chosen(step))


def _mark(turn: Turn) -> tuple[str, str]:
    if failed(turn):
        return "×", "red"
    if passed(turn):
        return "✓", "green"
    return ("E", "yellow") if edited(turn) else ("·", "")
