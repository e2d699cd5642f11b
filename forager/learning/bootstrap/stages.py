"""What each stage of a bootstrap took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forager.learning.bootstrap.lineage import Stage
from forager.records import RecordWriter, read_records
from forager.trajectories.store import Run


@dataclass
class Spent:
    """What a stage says of itself while it runs."""

    tokens: int = 0
    busy: float | None = None

    def ran(self, run: Path, workers: int | None) -> None:
        """Tokens of a run, and for how long each worker's model and commands were at work.

        `workers` is None for a run that was begun before the stage was.
        """
        busy = 0.0
        for one in Run(run).trajectories():
            self.tokens += one.usage.prompt_tokens + one.usage.completion_tokens
            timings = one.timings
            busy += timings.model + timings.tools + timings.grading
        self.busy = busy / workers if workers else None


class Stages:
    """The stages that came to their end; `tell` is given a line when one begins."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path, self._tell = path, tell

    @contextmanager
    def of(self, number: int, stage: str) -> Iterator[Spent]:
        """Measure a stage; one that fails or is killed leaves nothing."""
        where = f"round {number}" if number >= 0 else "base"
        self._tell(f"{where}: {stage}")
        began, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        spent = Spent()
        yield spent
        seconds = time.monotonic() - clock
        overhead = None if spent.busy is None else max(0.0, 1 - spent.busy / max(seconds, 1e-9))
        with RecordWriter(self._path) as writer:
            writer.append(
                Stage(
                    round=number,
                    stage=stage,
                    began_at=began,
                    seconds=round(seconds, 2),
                    tokens=spent.tokens,
                    overhead=overhead,
                )
            )


def read_stages(path: Path) -> list[Stage]:
    """All stages, as they ended."""
    return list(read_records(path, Stage)) if path.exists() else []
