import os
import pty
import subprocess
import sys

import pytest

from forager.cli.progress import Progress

PROGRAM = """
import time
from forager.cli.progress import Progress
with Progress("attempts", 3, start=1) as progress:
    progress.update(1, running=2)
    progress.note("a note with [brackets]")
    time.sleep(0.3)
    progress.update(2, resolved=1, tokens=12345)
    time.sleep(0.3)
"""


def test_without_a_terminal_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Quick updates print nothing; notes and the last state are plain lines."""
    with Progress("images", 200) as progress:
        for number in range(200):
            progress.update(number + 1, failed=number // 100)
        progress.note("noted")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "noted\nimages: 200/200 · 1 failed\n"


def test_an_unknown_total(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a total, only the finished number is printed."""
    with Progress("tasks") as progress:
        progress.update(7)
    assert capsys.readouterr().err == "tasks: 7\n"


def test_in_a_terminal_a_bar() -> None:
    """The bar disappears at the end; notes and the last state stay."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, stderr=follower, env=environment, check=True, timeout=30)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "a note with [brackets]" in shown
    assert "2/3" in shown
    assert "12,345 tokens" in shown
    assert "s left" in shown
    assert shown.endswith("attempts: 2/3 · 1 resolved · 12,345 tokens\r\n")


def test_steps_before_a_resume_do_not_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time left follows from the steps of this process; the first update tells the others."""
    times = [0.0]
    monkeypatch.setattr("forager.cli.progress.time.monotonic", lambda: times[-1])
    with Progress("steps", 300, start=None) as progress:
        for step, now in ((100, 10.0), (110, 40.0)):
            times.append(now)
            progress.update(step)
    assert "steps: 110/300 · 10 min left" in capsys.readouterr().err
