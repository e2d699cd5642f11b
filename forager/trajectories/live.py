"""What is under way in a run, as its processes tell it for those who watch.

    RUN/live/HOST-PID.status.json   what a process does: its attempts, the endpoints as it sees them
    RUN/live/ID.attempt.json        an attempt that is being made, as far as it is

Nothing depends on these files: they are replaced about once a second, never synced, and removed
when the batch ends. Those that a kill left are old, and not believed.
"""

import time
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from forager.records import Record
from forager.trajectories.record import Trajectory

RUNNING = "running"
"""The exit reason of an attempt that is being made."""

SECONDS = 1.0  # how often the files are written
_OLD = 15.0  # a status of so many seconds is of a process that is gone


class UnderWay(Record):
    """An attempt that is being made. `doing` is starting, model, tool or grading."""

    id: str
    began: float
    turn: int
    doing: str
    since: float
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
    """What a process of a batch does. Times are in seconds since 1970."""

    process: str
    at: float
    attempts: list[UnderWay] = []
    endpoints: list[EndpointState] = []


def directory(run: Path) -> Path:
    """Where the files are."""
    return run / "live"


def attempt_path(run: Path, id: str) -> Path:
    """The file of an attempt that is being made."""
    return directory(run) / f"{quote(id, safe='')[-200:]}.attempt.json"


def statuses(run: Path) -> list[Status]:
    """What the processes of a batch do now; none where no batch runs."""
    found = []
    for path in sorted(directory(run).glob("*.status.json")):
        try:
            status = Status.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # just removed, or of another version
            continue
        if time.time() - status.at < _OLD:
            found.append(status)
    return found


def attempt(run: Path, id: str) -> Trajectory | None:
    """An attempt that is being made; None where it has ended."""
    try:
        return Trajectory.model_validate_json(attempt_path(run, id).read_bytes())
    except (OSError, ValidationError):
        return None
