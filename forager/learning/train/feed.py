"""Where a training gets the rows of its steps from: data sets, or batches that arrive."""

import time
from pathlib import Path
from typing import NamedTuple, Protocol

from forager.learning.train.order import Row, rows_of, steps
from forager.learning.train.samples import Samples
from forager.learning.train.settings import TrainingRequest, TrainSettings

_POLL_SECONDS = 0.02


class StepData(NamedTuple):
    """The samples and the rows of a step, over all processes."""

    samples: Samples
    rows: list[Row]


class Feed(Protocol):
    """The data of each step, counted from 0."""

    def __len__(self) -> int:
        """Number of steps."""
        ...

    def step(self, number: int) -> StepData:
        """The data of a step; waits until they are there."""
        ...


def feed_of(directory: Path, request: TrainingRequest) -> Feed:
    """The feed of a training in a directory."""
    if request.stream:
        return StreamFeed(directory, request.settings, request.stream.steps)
    samples = Samples(
        [Path(dataset.path) for dataset in request.datasets],
        policy=request.settings.objective is not None,
    )
    return StoredFeed(samples, request.settings)


class StoredFeed:
    """Data sets in random order; implements Feed."""

    def __init__(self, samples: Samples, settings: TrainSettings) -> None:
        self._samples = samples
        self._steps = steps(samples.lengths, settings)

    def __len__(self) -> int:
        return len(self._steps)

    def step(self, number: int) -> StepData:
        """The rows of a step."""
        return StepData(self._samples, self._steps[number])


def batch_path(training: Path, step: int) -> Path:
    """The data set of a step, counted from 1."""
    return training / "batches" / f"{step:08}"


def model_path(training: Path, step: int) -> Path:
    """The weights after a step."""
    return training / "models" / f"{step:08}"


class StreamFeed:
    """One data set per step, which appears when it is complete; implements Feed.

    Tokens of policy version N are current in the step after N steps.
    """

    def __init__(self, directory: Path, settings: TrainSettings, count: int) -> None:
        self._directory, self._settings, self._count = directory, settings, count

    def __len__(self) -> int:
        return self._count

    def step(self, number: int) -> StepData:
        """Wait for the step's data set, and pack all of it."""
        path = batch_path(self._directory, number + 1)
        while not path.exists():
            time.sleep(_POLL_SECONDS)
        samples = Samples([path], policy=True, version=number)
        return StepData(samples, rows_of(range(len(samples)), samples.lengths, self._settings))
