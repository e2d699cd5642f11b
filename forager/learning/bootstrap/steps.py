"""The steps of a round that are the command line's: they need the catalogues, or show progress."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from forager.environments.task import Task
from forager.learning.filters.kept import Filtering
from forager.learning.train.settings import TrainingResult
from forager.rollout.settings import RunSettings


class Steps(Protocol):
    """Put together by the command line. Each step leaves what it has done already."""

    def attempt(self, settings: RunSettings, tasks: Sequence[Task], run: Path) -> None:
        """Make the attempts that a run lacks."""
        ...

    def filter(self, runs: Sequence[Path], kept: Path) -> Filtering:
        """Keep the attempts that are worth training on."""
        ...

    def train(self, datasets: Sequence[Path], init: Path, training: Path) -> TrainingResult:
        """Train a model on data sets."""
        ...
