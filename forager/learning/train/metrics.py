"""The metrics of a training, read while it writes them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from forager.learning.train.settings import StepMetrics
from forager.records import parse_record


class MetricsReader:
    """Reads the lines of metrics.jsonl that were added since the last look."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "metrics.jsonl"
        self._file, self._read = 0, 0  # inode, and bytes of it

    def new(self) -> Iterator[StepMetrics]:
        """Yield new lines. A training that goes on replaces the file, and all steps come again."""
        with suppress(OSError), self._path.open("rb") as file:
            if (inode := os.fstat(file.fileno()).st_ino) != self._file:
                self._file, self._read = inode, 0
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                yield parse_record(StepMetrics, line)


def step_values(metrics: StepMetrics) -> dict[str, float]:
    """The numbers of a step by name, those that it lacks left out."""
    values = metrics.model_dump(exclude={"step"}, exclude_none=True)
    return {name: float(value) for name, value in values.items()}
