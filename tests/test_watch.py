"""A running batch: what its processes report, how it is counted, what is shown."""

import json
import os
import pty
import re
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attempts import Settings, make_attempt, make_task
from screens import SIZES, keys, played, recorded, settle
from test_cli import FORAGER, forager
from textual.pilot import Pilot

from forager.agent.loop import Agent
from forager.agent.model import ScriptedModel
from forager.agent.syntax import SYNTAXES
from forager.agent.traffic import Traffic
from forager.errors import SandboxError
from forager.replay.attempt import AttemptScreen
from forager.replay.batch import BUCKETS, BatchWatcher, read_batch, seconds_left, slow
from forager.replay.rows import RowTable
from forager.rollout.live import Live, clear
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories import live
from forager.trajectories.live import EndpointState, Status, UnderWay
from forager.trajectories.record import AttemptLimits, Outcome, Trajectory
from forager.trajectories.store import Run
from tools import TOOLBOX

ID = "pkg-1.0"


def call(name: str, **arguments: str) -> dict[str, object]:
    """Return an assistant's message with a call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    entry = {"id": "call_0", "type": "function", "function": function}
    return {"role": "assistant", "content": f"I {name}.", "tool_calls": [entry]}


def base() -> Trajectory:
    """Return an attempt that has not begun."""
    empty: dict[str, list[Any]] = {"messages": [], "model_calls": [], "tool_calls": []}
    made = make_attempt().model_copy(update=empty)
    return made.model_copy(update={"outcome": Outcome(exit_reason=live.RUNNING)})


@contextmanager
def under_way(run: Path, sandbox: Path, wait: Path) -> Iterator[threading.Thread]:
    """Run an agent that acts, and waits in its second turn until a file exists."""
    script = [call("bash", command="echo one"), call("bash", command=f"until [ -e {wait} ]; do "
              "sleep 0.05; done"), call("submit")]  # fmt: skip
    showing = Live(run)

    def work() -> None:
        with showing.attempt(base()) as shown, LocalSandbox(sandbox) as opened:
            syntax = SYNTAXES["functions"]
            shown.agent = Agent(ScriptedModel(script), opened, TOOLBOX, syntax, AttemptLimits())
            shown.agent.run("Some tests fail.")
            trajectory = make_attempt(steps=[("", "bash", {"command": "echo kept"}, "kept")])
            with Run.write(run, Settings(), []) as writer:
                writer.append(trajectory)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        wait.touch()
        thread.join()
        showing.close()


def until(done: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run with a task and no attempt."""
    Run.write(tmp_path / "run", Settings(), [make_task()]).close()
    return tmp_path / "run"


def test_what_an_attempt_does_is_told(run: Path, tmp_path: Path) -> None:
    """A running attempt reports its state, and leaves no file afterwards."""
    with under_way(run, tmp_path, tmp_path / "go"):
        listener = live.Listener(run)
        until(lambda: any(attempt.turn == 2 for s in listener.statuses() for attempt in s.attempts))
        (told,) = listener.statuses()[0].attempts
        assert (told.id, told.doing, told.call) == (ID, "tool", "bash echo one")
        until(lambda: live.attempt(run, ID))
        trajectory = live.attempt(run, ID)
        assert trajectory is not None
        assert trajectory.outcome.exit_reason == live.RUNNING
        assert [call.arguments for call in trajectory.tool_calls] == [{"command": "echo one"}]
    assert listener.statuses() == []
    assert not live.directory(run).exists()


def test_an_attempt_that_fails_is_told_no_more(run: Path) -> None:
    """A failed attempt stops reporting, whatever ended it."""
    showing, listener = Live(run), live.Listener(run)
    with pytest.raises(SandboxError), showing.attempt(base()):
        until(listener.statuses)
        assert listener.statuses()[0].attempts[0].doing == "starting"
        raise SandboxError("gone")
    until(lambda: not listener.statuses()[0].attempts)
    showing.close()
    assert not live.directory(run).exists()


def test_where_nothing_can_be_written_nothing_is_told(run: Path) -> None:
    """In a read-only place nothing is reported, and the attempt continues."""
    live.directory(run).write_text("in the way")
    showing = Live(run)
    with showing.attempt(base()):
        time.sleep(1.2)
    showing.close()
    assert live.Listener(run).statuses() == []


def test_what_a_killed_batch_left_is_not_believed(run: Path) -> None:
    """Reports of a killed batch are ignored, and the next batch removes them."""
    live.directory(run).mkdir()
    path = live.directory(run) / "gone-1.status.json"
    path.write_text(Status(process="gone-1", beat=7).model_dump_json())
    (live.directory(run) / "gone-2.status.json").write_text("{")
    live.attempt_path(run, "a/b").write_text(base().model_dump_json())
    listener = live.Listener(run)
    assert [listener.statuses(), listener.statuses()] == [[], []]
    assert not read_batch(run).running
    assert live.attempt(run, "a/b") is not None
    clear(run)
    assert list(live.directory(run).iterdir()) == []


def test_traffic_tells_of_its_addresses() -> None:
    """Each endpoint has counts of requests by result, and seconds of answered ones."""
    traffic = Traffic()
    with traffic.counted("a"):
        time.sleep(0.01)
    with pytest.raises(OSError), traffic.counted("b"):
        raise OSError
    traffic.rest("b", 60)
    with traffic.counted("a"):
        one, other = (EndpointState.model_validate(state) for state in traffic.states())
    assert (one.url, one.under_way, one.answered, one.failed) == ("a", 1, 1, 0)
    assert 0.01 <= one.seconds < 1
    assert (other.failed, other.seconds) == (1, 0.0)
    assert 50 < other.rests_for <= 60


def test_a_batch_is_counted(tmp_path: Path) -> None:
    """Counts equal the report's; shares over time use the end of attempts."""
    run = recorded(tmp_path)
    batch = read_batch(run)
    assert (batch.total, batch.done, batch.resolved, batch.running) == (16, 14, 7, False)
    assert (sum(batch.ended), len(batch.ended)) == (14, BUCKETS)
    assert {family.name: (family.attempts, family.resolved) for family in batch.families} == {
        "arguments": (2, 1),
        "functions": (2, 0),
        "operators": (6, 3),
        "statements": (2, 2),
        "variables": (2, 1),
    }
    assert all(len(family.shares) == BUCKETS for family in batch.families)
    assert seconds_left(batch) is None


def test_what_is_added_is_counted_once(tmp_path: Path, run: Path) -> None:
    """Looking again never counts an attempt twice."""
    watched = BatchWatcher(run)
    assert watched.read().done == 0
    with Run.write(run, Settings(), []) as writer:
        for number in range(3):
            writer.append(make_attempt(attempt=number, resolved=number > 0))
            batch = watched.read()
            assert (batch.done, batch.resolved) == (number + 1, number)
    watched.close()


def test_images_with_lost_attempts_are_named(run: Path) -> None:
    """Each image with lost attempts appears with its last error."""
    with Run.write(run, Settings(), [make_task("other", image="bad:1")]) as writer:
        for number in range(2):
            writer.append_lost(f"other.{number}", SandboxError(f"no {number}"))
    (image,) = read_batch(run).images
    assert (image.image, image.lost, image.error) == ("bad:1", 2, "SandboxError: no 1")
    assert "bad:1  2 lost, the last: SandboxError: no 1" in forager("watch", run).stdout


@contextmanager
def telling(run: Path, *statuses: Status) -> Iterator[None]:
    """Report these states repeatedly, as a batch's processes do."""
    live.directory(run).mkdir(exist_ok=True)
    stop = threading.Event()

    def tell() -> None:
        for beat in count():
            for status in statuses:
                path = live.directory(run) / f"{status.process}.status.json"
                part = path.with_suffix(".part")
                part.write_text(status.model_copy(update={"beat": beat}).model_dump_json())
                part.replace(path)
            if stop.wait(0.1):
                return

    thread = threading.Thread(target=tell)
    thread.start()
    until(lambda: len(list(live.directory(run).glob("*.status.json"))) == len(statuses))
    try:
        yield
    finally:
        stop.set()
        thread.join()


def two_processes() -> tuple[Status, Status]:
    """Return the states of two workers and two endpoints, one of them slow."""
    quick = EndpointState(url="http://quick", under_way=2, answered=10, seconds=15.0)
    late = EndpointState(url="http://late", answered=10, failed=2, seconds=150.0, rests_for=9.0)
    workers = [
        UnderWay(id="a.0", seconds=40, turn=5, doing="tool", doing_seconds=3, call="bash pytest"),
        UnderWay(id="b.0", seconds=4, turn=0, doing="starting", doing_seconds=4),
    ]
    return (
        Status(process="h-1", beat=0, attempts=workers, endpoints=[quick]),
        Status(process="h-2", beat=0, endpoints=[quick, late]),
    )


async def look_again(pilot: "Pilot[None]") -> None:
    """Wait until the reported states count as live."""
    rows = pilot.app.screen.query_one(RowTable)
    end = time.monotonic() + 20
    while not rows.count:
        assert time.monotonic() < end, "no worker is shown"
        await pilot.pause(0.1)


def test_endpoints_of_all_processes_are_taken_together(tmp_path: Path) -> None:
    """An endpoint's counts add up over processes, and slow ones are marked."""
    run = recorded(tmp_path)
    with telling(run, *two_processes()):
        batch = read_batch(run)
        listed = json.loads(forager("watch", run, "--json").stdout)
    assert batch.running
    assert [(endpoint.url, endpoint.answered) for endpoint in batch.endpoints] == [
        ("http://late", 10),
        ("http://quick", 20),
    ]
    assert slow(batch) == {"http://late"}
    assert [worker["id"] for worker in listed["workers"]] == ["a.0", "b.0"]


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_the_screen_of_a_batch(tmp_path: Path, size: tuple[int, int]) -> None:
    """Screen and pipe show numbers, families, workers and endpoints."""
    run = recorded(tmp_path)
    with telling(run, *two_processes()):
        screen = played(run, look_again, size=size, watch=True)
        printed = forager("watch", run).stdout
    for shown in (screen, printed):
        lines = [re.sub(r"\s+", " ", line).strip() for line in shown.splitlines()]
        for wanted in (
            r"14 of 16 attempts · 7 resolved \(50 %\)",
            r"throughput .* a minute lately",
            r"^operators .* 3 of 6 resolved, 50 %",
            r"^40 s turn 5 runs a call 3 s a.0 bash pytest",
            r"^4 s turn 0 starting 4 s b.0",
            r"http://late 0 under way · 10 answered · 15.0 s each · 2 failed",
        ):
            assert any(re.search(wanted, line) for line in lines), (wanted, shown)


def test_the_attempt_of_a_worker_is_followed(run: Path, tmp_path: Path) -> None:
    """The attempt appears turn by turn while it runs, then as stored."""
    go = tmp_path / "go"

    async def play(pilot: "Pilot[None]") -> None:
        await look_again(pilot)
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, AttemptScreen)
        assert screen._recording.trajectory.outcome.exit_reason == live.RUNNING
        go.touch()
        for _ in range(100):
            await pilot.pause(0.1)
            if screen._recording.trajectory.outcome.exit_reason != live.RUNNING:
                break

    with under_way(run, tmp_path, go):
        until(lambda: live.attempt(run, ID))
        shown = played(run, play, watch=True)
    assert "the outcome of 2 turns" in shown
    assert "resolved, ended by: submitted" in shown


def test_an_attempt_that_was_lost_is_said(run: Path) -> None:
    """A lost attempt keeps the turns that were seen."""
    live.directory(run).mkdir()
    path = live.attempt_path(run, ID)
    path.write_text(base().model_dump_json())
    told = UnderWay(id=ID, seconds=1, turn=0, doing="model", doing_seconds=1)

    async def play(pilot: "Pilot[None]") -> None:
        await look_again(pilot)
        await pilot.press("enter")
        path.unlink()
        await pilot.pause(6.5)

    with telling(run, Status(process="h-1", beat=0, attempts=[told])):
        shown = played(run, play, watch=True, size=(120, 40))
    assert "pkg-1.0 · running" in shown
    assert "pkg-1.0 was not kept" in shown


def test_the_table_is_behind_the_batch(tmp_path: Path) -> None:
    """`b` opens the table, and `escape` returns."""
    run = recorded(tmp_path)
    assert "14 attempts" in played(run, keys("b"), watch=True)
    assert "14 of 16 attempts" in played(run, keys("b", "escape"), watch=True)
    assert "no attempt" not in played(run, keys("enter"), watch=True)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    """Another directory gives one line of error."""
    result = forager("watch", tmp_path)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "is not a run directory" in result.stderr


@pytest.mark.parametrize("verb", ["replay", "watch"])
def test_in_a_terminal_screens_open(tmp_path: Path, verb: str) -> None:
    """`q` closes the screen with exit code 0 and restores the terminal."""
    run = recorded(tmp_path)
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        [FORAGER, verb, run], stdin=slave, stdout=slave, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        seen = read(master, b"attempts")
        os.write(master, b"q")
        seen += read(master, b"\x1b[?1049l")
        assert process.wait(20) == 0
    os.close(master)
    assert b"\x1b[?1049h" in seen
    assert b"Traceback" not in seen


def test_in_a_dumb_terminal_it_prints(tmp_path: Path) -> None:
    """A dumb terminal gets the output of a pipe."""
    run = recorded(tmp_path)
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "LINES": "24", "COLUMNS": "80"}
    with subprocess.Popen([FORAGER, "replay", run], stdin=slave, stdout=slave, env=environment):
        os.close(slave)
        seen = read(master, b"Show one with")
    os.close(master)
    assert b"\x1b[?1049h" not in seen


def read(master: int, wanted: bytes) -> bytes:
    """Read what the terminal receives, up to some text."""
    seen = b""
    end = time.monotonic() + 30
    while wanted not in seen:
        assert time.monotonic() < end, seen[-2000:]
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 65536)
    return seen
