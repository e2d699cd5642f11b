"""The live files of a run, which its processes write for `forager watch`.

    RUN/live/HOST-PID.status.json   the state of a process: its attempts, its view of endpoints
    RUN/live/ID.attempt.json        a running attempt so far

Nothing depends on these files: they are replaced about once a second, never synced, and removed
when the batch ends. A status counts while it keeps changing, so files of killed processes do not.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from forager.records import Record
from forager.trajectories.earlier_calls import load
from forager.trajectories.record import Trajectory

RUNNING = "running"
"""The exit reason of a running attempt."""

SECONDS = 1.0  # between writes of the files
_SILENCE = 15.0  # seconds without a change after which a process counts as gone


class UnderWay(Record):
    """A running attempt.

    `doing` is starting, model, tool or grading, and `doing_seconds` for how long.
    """

    id: str
    seconds: float
    turn: int
    doing: str
    doing_seconds: float
    call: str = ""
    tokens: int = 0


class EndpointState(Record):
    """A process's requests to an endpoint; `seconds` is the total time of answered ones."""

    url: str
    under_way: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    rests_for: float = 0.0


class Status(Record):
    """The state of a process of a batch. `beat` changes with each write."""

    process: str
    beat: int
    attempts: list[UnderWay] = []
    endpoints: list[EndpointState] = []


def directory(run: Path) -> Path:
    """The directory of the live files."""
    return run / "live"


def attempt_path(run: Path, id: str) -> Path:
    """The live file of a running attempt."""
    return directory(run) / f"{quote(id, safe='')[-200:]}.attempt.json"


class Listener:
    """Reads the status of a batch's processes; it takes two calls to see that one is alive."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._heard: dict[str, tuple[int, float | None]] = {}  # a beat, and when it was new

    def statuses(self) -> list[Status]:
        """The states of the processes whose status has changed since the first call."""
        found = []
        for status in _statuses(self._run):
            beat, at = self._heard.get(status.process, (status.beat, None))
            if status.beat != beat:
                beat, at = status.beat, time.monotonic()
            self._heard[status.process] = beat, at
            if at is not None and time.monotonic() - at < _SILENCE:
                found.append(status)
        return found


def _statuses(run: Path) -> Iterator[Status]:
    for path in sorted(directory(run).glob("*.status.json")):
        try:
            yield Status.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # just removed, or written by another version
            continue


def attempt(run: Path, id: str) -> Trajectory | None:
    """A running attempt so far; None if it has ended."""
    try:
        return load(attempt_path(run, id).read_bytes())
    except (OSError, ValidationError):
        return None
