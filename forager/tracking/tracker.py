"""The seam between what is measured and the software that shows it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.trajectories.record import Trajectory

PROJECT = "forager"
"""The project (experiment, service) in which trackers file everything."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tracked: a directory, of which all starts are one tracked run.

    `settings` hold no secrets. `id` is 16 hexadecimal digits, drawn once for the directory.
    """

    directory: Path
    kind: str
    id: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Values after a step of a training or an attempt of a run, both counted from 1.

    `attempt` is the attempt itself, for trackers that record what happened in it.
    """

    step: int
    values: Mapping[str, float]
    attempt: "Trajectory | None" = None


class Tracker(Protocol):
    """Hands measurements to other software. Its methods may raise anything."""

    def log(self, measurement: Measurement) -> None:
        """Take a measurement; it must survive a kill of this process when this returns."""
        ...

    def close(self, *, failed: bool) -> None:
        """End this start; `failed` if it ended with an error or was interrupted."""
        ...


class TrackerKind(NamedTuple):
    """Where a tracker is made, and the module of its package.

    `traces`: whether it records what happened in each attempt.
    """

    module: str
    package: str
    traces: bool = False


TENSORBOARD = "tensorboard"
TRACKERS = {
    TENSORBOARD: TrackerKind("forager.tracking.tensorboard", "tensorboard"),
    "wandb": TrackerKind("forager.tracking.wandb", "wandb"),
    "mlflow": TrackerKind("forager.tracking.mlflow", "mlflow"),
    "otel": TrackerKind("forager.tracking.otel", "opentelemetry.sdk", traces=True),
}
OPTIONAL = tuple(name for name in TRACKERS if name != TENSORBOARD)
"""The trackers whose extra has their name; TensorBoard comes with the extra `train`."""


def check_installed(names: tuple[str, ...]) -> None:
    """Raise UsageError for a tracker whose package is not installed."""
    for name in names:
        package = TRACKERS[name].package
        if not find_spec(package.partition(".")[0]) or not find_spec(package):
            raise UsageError(f"--to {name} needs its package: pip install -e '.[{name}]'")


def open_tracker(name: str, subject: Subject) -> Tracker:
    """Open a tracker, which goes on with what earlier starts gave it. May raise anything."""
    opener: Callable[[Subject], Tracker] = import_module(TRACKERS[name].module).open_tracker
    return opener(subject)
