"""Actions of a round that the command line provides: they need the catalogues or show progress."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from forager.environments.task import Task
from forager.learning.filters.kept import Filtering
from forager.learning.train.settings import TrainingResult
from forager.rollout.settings import RunSettings


class RoundActions(Protocol):
    """Each action skips work that is already finished in its output directory."""

    def attempt(self, settings: RunSettings, tasks: Sequence[Task], run: Path) -> None:
        """Make the attempts that a run lacks."""
        ...

    def filter(self, runs: Sequence[Path], kept: Path) -> Filtering:
        """Write the attempts that pass the filters to `kept`."""
        ...

    def train(self, datasets: Sequence[Path], init: Path, training: Path) -> TrainingResult:
        """Train the model in `init` on data sets."""
        ...
