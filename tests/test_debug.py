"""`forager debug`: alignment, moves in both directions, and its screens by Textual's own pilot."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from screens import SIZES, Play, check, keys, settle, text
from test_cli import forager
from textual.pilot import Pilot
from traced import traced

from forager.errors import StoreError, UsageError
from forager.replay.debugger.app import DebugApp
from forager.replay.debugger.compare import CompareTracesScreen
from forager.replay.debugger.listing import TraceListScreen
from forager.replay.debugger.screen import DebugScreen
from forager.replay.debugger.session import DebugSession, TraceShelf, VariableRow
from forager.replay.debugger.widgets import DepthLine
from forager.replay.rows import RowTable
from forager.tracing.aligning import VALUE, TraceSide, align, divergence
from forager.tracing.reader import TraceReader
from forager.tracing.store import TraceWriter

BEFORE = '''\
class Stack:
    """Keeps items."""

    def __init__(self, items=()):
        self.items = list(items)

    def pop(self):
        if not self.items:
            raise IndexError("empty")
        return self.items.pop()


def total(numbers, start=0):
    result = start
    for number in numbers:
        result += number - 1
    return result


def mean(numbers):
    result = total(numbers) / len(numbers)
    try:
        Stack().pop()
    except IndexError:
        result = round(result, 2)
    return result


def main():
    numbers = [1, 2]
    numbers.append(3)
    return mean(numbers)
'''
AFTER = BEFORE.replace("number - 1", "number").replace(
    "    result = start\n", "    if not numbers:\n        return 0\n    result = start\n"
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> TraceShelf:
    """The traces of a program before and after a fix, and of another one."""
    root = tmp_path_factory.mktemp("debug")
    other = "def main():\n    text = 'a\x1b[31m\u202e'\n    return text\n"
    sources = {"mean::before": BEFORE, "mean::after": AFTER, "other": other}
    with TraceWriter(root / "traces") as writer:
        for name, source in sources.items():
            trace, texts = traced(root, source)
            named = {"id": f"pkg-1::{name}", "name": "test_mean.py::test_mean"}
            writer.add(trace.model_copy(update=named), texts)
    return TraceShelf(root / "traces")


def side(tmp_path: Path, source: str) -> TraceSide:
    """Record `main()`."""
    trace, sources = traced(tmp_path, source)
    return TraceSide(TraceReader(trace), sources)


def first_difference(left: TraceSide, right: TraceSide) -> tuple[str, tuple[str, ...], str]:
    """Return how the first differing pair differs, and the line of its left or right event."""
    pairs = align(left, right)
    place = divergence(pairs)
    if place == len(pairs):
        return "", (), ""
    pair = pairs[place]
    chosen, index = (left, pair.left) if pair.left is not None else (right, pair.right)
    event = chosen.reader.events[cast(int, index)]
    lines = chosen.sources["program.py"].splitlines()
    return pair.kind, pair.names, lines[event.line - 1].strip()


def test_traces_are_aligned_at_the_first_state_that_differs(tmp_path: Path) -> None:
    """An inserted line and a changed one are the edit; the state after them is the difference."""
    left, right = side(tmp_path, BEFORE), side(tmp_path, AFTER)
    assert first_difference(left, right) == ("same", ("result",), "for number in numbers:")
    pairs = align(left, right)
    (edited,) = [pair for pair in pairs if pair.kind == "edited"]
    assert edited.left is None and right.reader.events[cast(int, edited.right)].line == 14
    for chosen in (0, 1):
        indexes = [pair[chosen] for pair in pairs if pair[chosen] is not None]
        assert indexes == list(range(len((left, right)[chosen].reader)))
    assert first_difference(left, left) == ("", (), "")


def test_traces_part_where_one_does_something_else(tmp_path: Path) -> None:
    """A branch that is taken in one trace only, then what both do again."""
    source = "def main():\n    x = 3\n    if x > LIMIT:\n        x = 3\n    y = 1\n    return y\n"
    source += "LIMIT = "
    left, right = side(tmp_path, f"{source}2\n"), side(tmp_path, f"{source}5\n")
    assert first_difference(left, right) == ("apart", (), "x = 3")
    assert [pair.kind for pair in align(left, right)] == ["same"] * 3 + ["apart"] + ["same"] * 3
    value = "def main():\n    return RESULT\nRESULT = "
    left, right = side(tmp_path, f"{value}2\n"), side(tmp_path, f"{value}5\n")
    assert first_difference(left, right) == ("same", (VALUE,), "return RESULT")


def test_calls_of_an_inserted_line_are_part_of_the_edit(tmp_path: Path) -> None:
    """What an inserted line calls is skipped; a name that only the fix binds is no difference."""
    source = "def helper():\n    return 1\ndef main():\n    x = 1\n    y = x\n    return y\n"
    fixed = source.replace("    y = x\n", "    new = helper()\n    y = x\n")
    left, right = side(tmp_path, source), side(tmp_path, fixed)
    assert first_difference(left, right) == ("", (), "")
    assert [pair.kind for pair in align(left, right)].count("edited") == 4
    changed = source.replace("    y = x\n", "    x = helper() + 1\n    y = x\n")
    assert first_difference(left, side(tmp_path, changed)) == ("same", ("x",), "y = x")


def test_moves_lead_in_both_directions(shelf: TraceShelf) -> None:
    """Over, out, this line again, exceptions, changes of a variable, and texts."""
    session = shelf.session(0)
    numbers = VariableRow(0, "numbers", "")
    changes = [session.change(0, numbers, inverse=False)]
    changes.append(session.change(cast(int, changes[0]), numbers, inverse=False))
    assert [session.event(cast(int, n)).changes[0].new for n in changes] == ["[1, 2]", "[1, 2, 3]"]
    assert session.change(cast(int, changes[1]), numbers, inverse=True) == changes[0]
    call = next(n for n in range(session.last) if session.event(n).code.name == "total")
    end = cast(int, session.out(call, inverse=False))
    assert (session.event(end).kind, session.event(end).value) == ("return", "3")
    assert session.out(end, inverse=True) == call
    assert session.event(cast(int, session.out(end, inverse=False))).code.name == "mean"
    assert session.over(call - 1, inverse=False) == end + 1
    assert session.over(end + 1, inverse=True) == call - 1
    line = call + 3
    again = cast(int, session.again(line, inverse=False))
    assert session.event(again).line == session.event(line).line
    assert session.again(again, inverse=True) == line
    raised = cast(int, session.raised(0, inverse=False))
    assert session.event(raised).code.name == "Stack.pop"
    assert session.raised(session.last, inverse=True) == raised
    assert session.matching("empty", 0, inverse=False) is not None
    assert session.matching("nowhere", 0, inverse=False) is None


def resized(
    shelf: TraceShelf, play: Play, traces: Sequence[int], sizes: Sequence[tuple[int, int]]
) -> list[str]:
    """Return the text of the screen in each size after `play`."""

    async def run() -> list[str]:
        app = DebugApp(shelf, *(shelf.session(number) for number in traces))
        async with app.run_test(size=sizes[0], notifications=True) as pilot:
            await pilot.pause()
            await play(pilot)
            await settle(pilot)
            found = [text(app)]
            for size in sizes[1:]:
                await pilot.resize_terminal(*size)
                await settle(pilot)
                found.append(text(app))
            return found

    return asyncio.run(run())


SCREENS: list[tuple[str, Sequence[int], Play]] = [
    ("debug-list", (), keys()),
    ("debug-filtered", (), keys("slash", "type:after", "enter")),
    ("debug-start", (0,), keys()),
    ("debug-changes", (0,), keys("right", "right", "n", "w", "o", "r")),
    ("debug-exception", (0,), keys("x", "u")),
    ("debug-calls", (0,), keys("s", "down", "down", "enter")),
    ("debug-help", (0,), keys("question_mark")),
    ("debug-compare", (0, 1), keys()),
    ("debug-hostile", (2,), keys("greater_than_sign")),
]


@pytest.mark.parametrize(("name", "traces", "play"), SCREENS, ids=[screen[0] for screen in SCREENS])
def test_screens(shelf: TraceShelf, name: str, traces: Sequence[int], play: Play) -> None:
    """Screens equal the reviewed ones, in a small terminal and in a larger one."""
    for size, found in zip(SIZES, resized(shelf, play, traces, SIZES), strict=True):
        check(name, size, found.replace(str(shelf.index.directory), "traces"))


def shown(pilot: "Pilot[None]") -> object:
    """The screen now; each call may give another, which a type checker would not expect."""
    return pilot.app.screen


def index(pilot: "Pilot[None]") -> int:
    """Return the event that the screen shows."""
    return cast(DebugScreen, pilot.app.screen)._index


def test_a_trace_is_stepped_through(shelf: TraceShelf) -> None:
    """Keys move within the trace and say where they cannot; a click on the depths jumps."""
    seen: list[int] = []

    async def play(pilot: "Pilot[None]") -> None:
        for name in ("left", "right", "space", "backspace", "greater_than_sign", "right", "R", "r"):
            await pilot.press(name)
            seen.append(index(pilot))
        await keys("g", "type:7", "enter")(pilot)
        seen.append(index(pilot))
        await keys("g", "type:no", "enter", "slash", "type:empty", "enter")(pilot)
        found = index(pilot)
        await keys("full_stop", "comma")(pilot)
        assert index(pilot) in (found, found + 1)
        await pilot.click(DepthLine, offset=(1, 0))
        seen.append(index(pilot))
        await pilot.press("t", "escape")
        assert "this line is not executed again" in text(cast(DebugApp, pilot.app))

    resized(shelf, play, (0,), SIZES[:1])
    last = shelf.session(0).last
    assert seen == [0, 1, 2, 1, last, last, 0, last, 6, 0]


def test_traces_are_compared_from_the_list(shelf: TraceShelf) -> None:
    """`c` asks for the other one by a part of its id; a difference opens in the debugger."""

    async def play(pilot: "Pilot[None]") -> None:
        await keys("c", "type:nothing", "enter")(pilot)
        assert isinstance(shown(pilot), TraceListScreen)
        await keys("c", "type:after", "enter")(pilot)
        assert isinstance(shown(pilot), CompareTracesScreen)
        first = pilot.app.screen.query_one(RowTable).cursor
        await keys("n", "N", "left", "g")(pilot)
        assert pilot.app.screen.query_one(RowTable).cursor == first
        await keys("O")(pilot)
        assert isinstance(shown(pilot), DebugScreen)
        assert "if not numbers" in text(cast(DebugApp, pilot.app))
        await keys("escape", "escape", "escape")(pilot)
        assert isinstance(shown(pilot), TraceListScreen)

    resized(shelf, play, (), SIZES[:1])


def test_in_a_pipe_it_prints(shelf: TraceShelf, tmp_path: Path) -> None:
    """The list, a trace, where two part; a wrong name is one line that says which there are."""
    directory = shelf.index.directory
    assert "pkg-1::mean::before" in forager("debug", directory).stdout
    assert "> mean(numbers=[1, 2, 3])" in forager("debug", directory / "before").stdout
    both = forager("debug", directory / "before", directory / "after").stdout
    assert both.endswith("the first difference: result\n")
    wrong = forager("debug", directory / "mean")
    assert wrong.exit_code == 2 and "in the ids of several" in wrong.stderr
    assert "is not a directory of traces" in forager("debug", tmp_path / "x").stderr
    assert "name the trace" in forager("debug", directory, directory / "after").stderr


def test_a_damaged_trace_is_one_line(shelf: TraceShelf, tmp_path: Path) -> None:
    """And so is a trace without events."""
    trace = shelf.index.trace(0)
    with TraceWriter(tmp_path / "traces") as writer:
        for name, events in (("torn", trace.events[:-9]), ("empty", b"")):
            writer.add(trace.model_copy(update={"id": name, "events": events}), {"program.py": ""})
    damaged = TraceShelf(tmp_path / "traces")
    for number in (0, 1):
        with pytest.raises(StoreError, match="is damaged"):
            damaged.session(number)
    with pytest.raises(UsageError, match="did you mean 'torn'"):
        damaged.index.find("tron")


def test_a_frame_without_source_is_shown(tmp_path: Path) -> None:
    """A file that was not recorded has no lines; its variables are there."""
    trace, _ = traced(tmp_path, "def main():\n    x = 1\n    return x\n")
    session = DebugSession(trace, {})
    assert session.rows(session.state(2), 0)[0].value == "1"
