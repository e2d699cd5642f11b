"""The screens of `forager replay` on a recorded run, driven by Textual's own pilot."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from attempts import Settings, make_attempt
from rich.segment import Segment
from rich.text import Text
from screens import IDS, SIZES, Play, check, keys, played, recorded, resized, settle, text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from forager.records import write_records
from forager.replay.app import ReplayApp
from forager.replay.attempt import AttemptScreen
from forager.replay.browser import BrowserScreen
from forager.replay.panes import Timeline
from forager.replay.rows import RowTable
from forager.trajectories.marks import Marks
from forager.trajectories.store import Run

GOOD = IDS["resolved"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the recorded run to `run` in the working directory, with times in UTC."""
    with monkeypatch.context() as patch:
        patch.chdir(recorded(tmp_path).parent)
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield Path("run")
    time.tzset()


SCREENS: list[tuple[str, str, Play]] = [
    ("browser", "", keys()),
    ("browser-filtered", "", keys("slash", "type:unresolved turns:13", "enter")),
    ("browser-searched", "", keys("slash", "type:says:levelorderiter", "enter")),
    ("browser-sorted", "", keys("s", "s", "s", "s", "S", "down")),
    ("browser-marked", "", keys("down", "m", "t", "type:odd", "enter", "w", "type:why", "enter")),
    ("browser-help", "", keys("question_mark")),
    ("attempt-task", GOOD, keys()),
    ("attempt-turn", GOOD, keys("right", "space", "right")),
    ("attempt-failure", GOOD, keys("f")),
    ("attempt-edit", GOOD, keys("e", "e")),
    ("attempt-passing", GOOD, keys("v")),
    ("attempt-state", GOOD, keys("v", "s")),
    ("attempt-outcome", GOOD, keys("end")),
    ("attempt-search", GOOD, keys("slash", "type:AttributeError", "enter", "n")),
    ("attempt-help", GOOD, keys("question_mark")),
    ("compare", "", keys("down", "down", "down", "c")),
    ("compare-next", "", keys("c", "right", "right")),
    ("watch-ended", "watch", keys()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "id", "play"), SCREENS, ids=[screen[0] for screen in SCREENS])
def test_screens(run: Path, name: str, id: str, play: Play) -> None:
    """Screens equal the reviewed ones in tests/data/replay/screens.

    An attempt's begin in the large terminal, the others in the small one; then it is resized.
    """
    watch = id == "watch"
    sizes = SIZES[::-1] if name.startswith("attempt") else SIZES
    texts = resized(run, play, id="" if watch else id, sizes=sizes, watch=watch)
    for size, found in zip(sizes, texts, strict=True):
        check(name, size, found)


def drawn(app: App[None]) -> Iterator[Segment]:
    """Yield what the app writes to the terminal, piece by piece."""
    for strip in app.screen._compositor.render_strips():
        yield from strip


def step(pilot: "Pilot[None]") -> int:
    """Return the visible step."""
    return cast(AttemptScreen, pilot.app.screen)._step


def test_an_attempt_is_stepped_through(run: Path) -> None:
    """Keys step by turn, by kind and by number, within the attempt."""
    seen: list[int] = []

    async def play(pilot: "Pilot[None]") -> None:
        for name in ("left", "right", "space", "backspace", "e", "e", "E", "f", "F", "v", "end"):
            await pilot.press(name)
            seen.append(step(pilot))
        await keys("right", "g", "type:4", "enter")(pilot)
        seen.append(step(pilot))
        await keys("g", "type:no", "enter", "g", "escape", "home")(pilot)
        seen.append(step(pilot))

    played(run, play, id=GOOD)
    assert seen == [0, 1, 2, 1, 5, 7, 5, 6, 1, 12, 15, 4, 0]


def test_an_attempt_plays(run: Path) -> None:
    """Playing has an adjustable speed and stops at the end."""

    async def play(pilot: "Pilot[None]") -> None:
        await pilot.press("plus", "plus", "plus", "p")
        await pilot.pause(0.7)
        assert 1 <= step(pilot) <= 5
        await pilot.press("p")
        stopped = step(pilot)
        await pilot.pause(0.5)
        assert step(pilot) == stopped
        await pilot.press("end", "p")
        await pilot.pause(0.5)
        assert "playing" not in text(cast(ReplayApp, pilot.app))

    played(run, play, id=GOOD)


def test_long_answers_are_folded(run: Path) -> None:
    """A key, or an option at the start, unfolds long observations."""
    assert "lines folded, o shows them" in played(run, keys("f"), id=GOOD, size=(80, 80))
    assert "folded" not in played(run, keys("f", "o"), id=GOOD, size=(80, 80))
    assert "folded" not in played(run, keys("f"), id=GOOD, size=(80, 80), full=True)


def test_the_mouse_chooses_opens_sorts_and_jumps(run: Path) -> None:
    """Clicks select and open rows, sort by a title, and jump to a turn's mark."""

    async def play(pilot: "Pilot[None]") -> None:
        rows = pilot.app.screen.query_one(RowTable)
        await pilot.click(RowTable, offset=(10, 3))
        assert rows.cursor == 3
        await pilot.click("#heading", offset=(66, 0))
        assert "turns↑" in text(cast(ReplayApp, pilot.app))
        await pilot.click("#heading", offset=(66, 0))
        assert "turns↓" in text(cast(ReplayApp, pilot.app))
        await pilot.click(RowTable, offset=(10, 0))
        await settle(pilot)
        assert isinstance(pilot.app.screen, AttemptScreen)
        await pilot.click(Timeline, offset=(6, 0))
        assert step(pilot) == 5

    played(run, play)


def test_marks_are_kept_and_filter(run: Path) -> None:
    """Marks from the table and from the attempt are stored, and the filter finds them."""
    played(run, keys("m", "down", "t", "type:odd, long", "enter"))
    played(run, keys("w", "type:a guess", "enter", "m"), id=GOOD)
    marks = Marks(run)
    assert marks.ids(marked=True) == {"pypi__anytree.arguments.06f501655a.0", GOOD}
    assert marks.ids(["odd", "long"]) == {"pypi__anytree.operators.2e12470116.0"}
    assert marks.of(GOOD).note == "a guess"
    for filter, count in (("marked", 2), ("tag:odd", 1), ("note:GUESS", 1), ("tag:none", 0)):
        shown = played(run, keys("slash", f"type:{filter}", "enter"))
        assert f"{count} of 14 attempts" in shown


def test_a_wrong_filter_or_tag_is_said(run: Path) -> None:
    """A mistake gives one line, and the screen keeps its contents."""
    shown = played(run, keys("slash", "type:turns:many", "enter"), size=(120, 40))
    assert "turns are given as 5, 5.., ..5 or 2..5" in shown
    assert "14 attempts" in shown
    assert "is not a tag" in played(run, keys("t", "type:a:b", "enter"), size=(120, 40))


def test_the_filter_is_completed(run: Path) -> None:
    """Completion offers keys and existing values."""
    shown = played(run, keys("slash", "type:fam", "right", "type:op", "right", "enter"))
    assert "family:operators" in shown
    assert "6 of 14 attempts" in shown


def test_r_goes_round(run: Path) -> None:
    """`r` cycles through resolved, unresolved and all; the rest of the filter stays."""
    first = keys("slash", "type:family:operators", "enter", "r")
    assert "3 of 14" in played(run, first)
    for more, count in ((["r"], "3 of 14"), (["r", "r"], "6 of 14")):

        async def play(pilot: "Pilot[None]", more: list[str] = more) -> None:
            await first(pilot)
            await keys(*more)(pilot)

        assert count in played(run, play)


def test_escape_leads_back(run: Path) -> None:
    """Escape returns from attempt to table, keeping the cursor; there it clears the filter."""

    async def play(pilot: "Pilot[None]") -> None:
        await keys("slash", "type:resolved", "enter", "down", "enter", "c", "escape", "escape")(
            pilot
        )
        assert isinstance(pilot.app.screen, BrowserScreen)
        assert pilot.app.screen.query_one(RowTable).cursor == 1
        await keys("escape", "escape")(pilot)
        assert isinstance(pilot.app.screen, BrowserScreen)

    assert " 14 attempts" in played(run, play)


def test_what_cannot_be_compared_is_said(run: Path) -> None:
    """Comparing needs another attempt at the task; otherwise a message says so."""
    assert "there is no other attempt at" in played(run, keys("end", "c"))


def test_attempts_that_are_added_appear(run: Path) -> None:
    """New attempts appear in the open table; the cursor stays on its attempt."""
    shard = next((run / "trajectories").glob("*.zst"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])

    async def play(pilot: "Pilot[None]") -> None:
        rows = pilot.app.screen.query_one(RowTable)
        before = rows.count
        await pilot.press("down", "down")
        shard.write_bytes(whole)
        await pilot.pause(1.5)
        assert before < rows.count == 14
        assert rows.cursor == 2

    played(run, play)


def test_an_empty_run_waits_for_attempts(tmp_path: Path) -> None:
    """In an empty run nothing opens and nothing breaks."""
    Run.write(tmp_path / "new", Settings(), []).close()
    names = ("enter", "m", "t", "w", "c", "end", "s", "r", "escape")
    assert " 0 attempts" in played(tmp_path / "new", keys(*names))

    async def play(pilot: "Pilot[None]") -> None:
        with Run.write(tmp_path / "new", Settings(), []) as writer:
            writer.append(make_attempt())
        await pilot.pause(1.5)

    assert " 1 attempts" in played(tmp_path / "new", play)


def test_a_run_that_cannot_be_written_is_browsed(run: Path) -> None:
    """In a read-only run, a mark gives one line of error."""

    async def play(pilot: "Pilot[None]") -> None:
        (run / "marks.jsonl").mkdir()
        await pilot.press("m")

    shown = played(run, play, size=(120, 40))
    assert "cannot write run/marks.jsonl" in shown
    assert "14 attempts" in shown


def test_a_file_of_attempts_is_browsed_too(run: Path) -> None:
    """A file of attempts has its marks in a file next to it."""
    write_records(Path("some.jsonl"), list(Run(run).trajectories())[:3])
    assert "3 attempts · some.jsonl" in played(Path("some.jsonl"), keys("m"))
    assert Marks(Path("some.jsonl")).path == Path("some.marks.jsonl")
    assert len(Marks(Path("some.jsonl")).ids(marked=True)) == 1


def test_light_dark_and_no_colour(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`d` changes the colours; NO_COLOR removes them."""

    def colours(*names: str) -> set[tuple[int, int, int]]:
        found: set[tuple[int, int, int]] = set()

        async def play(pilot: "Pilot[None]") -> None:
            await keys(*names)(pilot)
            for segment in drawn(pilot.app):
                style = segment.style
                for colour in (style.color, style.bgcolor) if style else ():
                    if colour and colour.triplet:
                        found.add((colour.triplet.red, colour.triplet.green, colour.triplet.blue))

        played(run, play, id=GOOD)
        return found

    dark, light = colours("f"), colours("f", "d")
    assert dark != light
    assert any(len(set(colours)) > 1 for colours in dark)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours("f")


def test_only_the_rows_on_the_screen_are_fetched() -> None:
    """Of a million rows, the table fetches a few pages."""
    fetched: list[int] = []

    def fetch(start: int, end: int) -> list[Text]:
        fetched.append(start)
        return [Text(f"row {number}") for number in range(start, end)]

    class Table(App[None]):
        def compose(self) -> ComposeResult:
            yield RowTable(fetch, id="rows")

        def on_mount(self) -> None:
            self.query_one(RowTable).show(1_000_000)

    async def play() -> str:
        async with Table().run_test(size=(20, 10)) as pilot:
            pilot.app.query_one(RowTable).focus()
            await pilot.press("end")
            await pilot.pause()
            return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())

    assert "row 999999" in asyncio.run(play())
    assert len(fetched) <= 6
