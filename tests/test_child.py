"""Children of forager, which end with all that they started."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forager.learning import child
from forager.learning.child import Child
from forager.learning.guardian_program import alive, descendants

ORPHAN = """
from subprocess import DEVNULL, Popen
print(Popen(["sleep", "600"], stdout=DEVNULL, stderr=DEVNULL, start_new_session=True).pid)
"""
LATE = f"""
import ctypes, os, subprocess, sys
from forager.learning import guardian_program as guardian

ctypes.CDLL(None).prctl(guardian.PR_SET_CHILD_SUBREAPER, 1)
command = subprocess.Popen([sys.executable, "-c", {ORPHAN!r}])
command.wait()
read, missed = guardian.children, [None]
guardian.children = lambda process: read(process) if not missed else missed.clear() or []
guardian.end(command)
"""


def test_an_orphan_that_was_just_missed_is_killed() -> None:
    """While a guardian reads its descendants, one may lose its parent, and be in no list."""
    made = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert not alive(int(made.stdout))


def test_a_guardian_that_does_not_answer_takes_all_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what its command has started."""
    monkeypatch.setattr(child, "_STOP_SECONDS", 0.1)
    code = f"{ORPHAN}\nimport signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    with Child([sys.executable, "-uc", code], tmp_path / "log", {}, tmp_path) as started:
        until = time.monotonic() + 60
        while not started.tail() and time.monotonic() < until:
            time.sleep(0.05)
        all = list(descendants(started.pid))
        assert int(started.tail()) in all and len(all) == 2
    until = time.monotonic() + 60
    while any(map(alive, all)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, all))


def test_an_orphan_that_ignores_sigterm_is_ended_too(tmp_path: Path) -> None:
    """In its own session, while its parent ignores the signal as well."""
    script = "trap '' TERM; (setsid sh -c \"trap '' TERM; sleep 60; :\" &) ; echo up; sleep 60"
    with Child(["sh", "-c", script], tmp_path / "log", dict(os.environ), tmp_path) as started:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            processes = [started.pid, *descendants(started.pid)]
            if len(processes) >= 5 and started.tail():
                break
            time.sleep(0.02)
        assert len(processes) >= 5
    assert not any(map(alive, processes))
