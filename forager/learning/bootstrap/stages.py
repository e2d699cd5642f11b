"""Time and tokens of each stage of a bootstrap."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forager.learning.bootstrap.manifest import Stage
from forager.records import RecordWriter, read_records
from forager.trajectories.store import Run


@dataclass
class StageCost:
    """Tokens of a running stage, and its busy seconds per worker."""

    tokens: int = 0
    busy: float | None = None

    def add_run(self, run: Path, workers: int | None) -> None:
        """Add the tokens of a run, and the seconds in which model, commands and tests worked.

        `workers` is None for a run that an earlier process had begun: its overhead is unknown.
        """
        busy = 0.0
        for attempt in Run(run).trajectories():
            self.tokens += attempt.usage.prompt_tokens + attempt.usage.completion_tokens
            timings = attempt.timings
            busy += timings.model + timings.tools + timings.grading
        self.busy = busy / workers if workers else None


class StageLog:
    """Records finished stages; `report` gets a line when a stage begins."""

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self._path, self._report = path, report

    @contextmanager
    def measure(self, number: int, stage: str) -> Iterator[StageCost]:
        """Measure a stage; a stage that fails or is killed is not recorded."""
        where = f"round {number}" if number >= 0 else "base"
        self._report(f"{where}: {stage}")
        began, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        cost = StageCost()
        yield cost
        seconds = time.monotonic() - clock
        overhead = None if cost.busy is None else max(0.0, 1 - cost.busy / max(seconds, 1e-9))
        with RecordWriter(self._path, wait=True) as writer:
            writer.append(
                Stage(
                    round=number,
                    stage=stage,
                    began_at=began,
                    seconds=round(seconds, 2),
                    tokens=cost.tokens,
                    overhead=overhead,
                )
            )


def read_stages(path: Path) -> list[Stage]:
    """All finished stages in order."""
    return list(read_records(path, Stage)) if path.exists() else []
