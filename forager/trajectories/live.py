"""What is under way in a run, as its processes tell it for those who watch.

    RUN/live/HOST-PID.status.json   what a process does: its attempts, the endpoints as it sees them
    RUN/live/ID.attempt.json        an attempt that is being made, as far as it is

Nothing depends on these files: they are replaced about once a second, never synced, and removed
when the batch ends. A process is believed while it is seen to tell anew; what a kill left is not.
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
"""The exit reason of an attempt that is being made."""

SECONDS = 1.0  # how often the files are written
_SILENCE = 15.0  # seconds after which a process is taken for gone


class UnderWay(Record):
    """An attempt that is being made.

    `doing` is starting, model, tool or grading, and `doing_seconds` for how long it is that.
    """

    id: str
    seconds: float
    turn: int
    doing: str
    doing_seconds: float
    call: str = ""
    tokens: int = 0


class EndpointState(Record):
    """Requests of a process to an endpoint; `seconds` are of those that were answered."""

    url: str
    under_way: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    rests_for: float = 0.0


class Status(Record):
    """What a process of a batch does. `beat` is another one each time that it is told."""

    process: str
    beat: int
    attempts: list[UnderWay] = []
    endpoints: list[EndpointState] = []


def directory(run: Path) -> Path:
    """Where the files are."""
    return run / "live"


def attempt_path(run: Path, id: str) -> Path:
    """The file of an attempt that is being made."""
    return directory(run) / f"{quote(id, safe='')[-200:]}.attempt.json"


class Listener:
    """Listens to the processes of a batch; has to be asked more than once."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._heard: dict[str, tuple[int, float | None]] = {}  # a beat, and when it was new

    def statuses(self) -> list[Status]:
        """What the processes do that have told something new since they were first asked."""
        found = []
        for status in _told(self._run):
            beat, at = self._heard.get(status.process, (status.beat, None))
            if status.beat != beat:
                beat, at = status.beat, time.monotonic()
            self._heard[status.process] = beat, at
            if at is not None and time.monotonic() - at < _SILENCE:
                found.append(status)
        return found


def _told(run: Path) -> Iterator[Status]:
    for path in sorted(directory(run).glob("*.status.json")):
        try:
            yield Status.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # just removed, or of another version
            continue


def attempt(run: Path, id: str) -> Trajectory | None:
    """An attempt that is being made; None where it has ended."""
    try:
        return load(attempt_path(run, id).read_bytes())
    except (OSError, ValidationError):
        return None
