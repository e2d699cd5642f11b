"""JSON Lines: attempts in forager's own format, which `forager replay FILE` reads."""

from collections.abc import Iterable
from pathlib import Path

from forager.locks import claimed_file
from forager.records import write_records
from forager.trajectories.record import Trajectory


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write one file; return the number of attempts."""
    with claimed_file(target):
        return write_records(target, attempts)
