"""JSON Lines: attempts in forager's own format, which `forager replay FILE` reads."""

from collections.abc import Iterable
from pathlib import Path

from forager.atomic import new_file
from forager.records import write_records
from forager.trajectories.record import Trajectory


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write one file; return the number of attempts."""
    with new_file(target) as part:
        return write_records(part, attempts)
