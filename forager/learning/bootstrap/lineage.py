"""Where a model comes from: of each round what went in and what came out, by digest."""

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Self

from pydantic import Field

from forager.evaluation.estimates import Estimate
from forager.learning.dataset import DatasetManifest
from forager.learning.filters.kept import Filtering
from forager.learning.saved import digest
from forager.learning.sources import digest as digest_of_attempts
from forager.learning.train.settings import TrainingResult, TrainSettings
from forager.records import Record
from forager.trajectories.store import Run


class ModelId(Record):
    """A model: its name in runs, where it lies, and the digest of its files."""

    name: str
    path: str = Field("", description="Empty for a teacher, which is somewhere else.")
    digest: str = ""

    @classmethod
    def of(cls, name: str, path: Path) -> Self:
        """The model in a directory."""
        return cls(name=name, path=str(path), digest=digest(path) if path.is_dir() else "")


class RunId(Record):
    """A run: where it lies, the digest of its attempts, and what came of them."""

    path: str
    digest: str
    attempts: int
    resolved: int
    tokens: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The run in a directory."""
        attempts = resolved = tokens = 0
        for one in Run(path).summaries():
            attempts += 1
            resolved += one.resolved
            tokens += one.tokens
        return cls(
            path=str(path),
            digest=digest_of_attempts(path),
            attempts=attempts,
            resolved=resolved,
            tokens=tokens,
        )

    def success(self) -> dict[str, float]:
        """The share of the attempts at each task that resolved it."""
        return success_by_task(Run(Path(self.path)))


def success_by_task(run: Run) -> dict[str, float]:
    """The share of the attempts at each task that resolved it."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for one in run.summaries():
        found[one.instance_id].append(one.resolved)
    return {task: fmean(each) for task, each in found.items()}


class Gate(Record):
    """The candidate beside the current model on the held-out tasks."""

    against: str = Field(description="Name of the model that was current.")
    gain: Estimate
    accepted: bool


class Evaluated(Record):
    """A model at the held-out tasks."""

    model: ModelId
    run: RunId
    success: Estimate


class Round(Record):
    """The manifest of a round: model → attempts → filters → dataset → training → evaluation.

    Where the filters left nothing there was nothing to learn: what comes after them is None.
    """

    number: int
    policy: ModelId = Field(description="What made the attempts.")
    attempts: RunId
    taught: RunId | None = Field(None, description="The teacher's, at what those did not resolve.")
    filtering: Filtering = Field(description="Of which runs, by which filters, with their drops.")
    kept: RunId
    dataset: DatasetManifest | None = None
    init: ModelId = Field(description="What the training began with.")
    train_settings: TrainSettings | None = None
    training: TrainingResult | None = None
    candidate: Evaluated | None = None
    gate: Gate | None = None
    current: Evaluated = Field(description="The model after this round.")
    version: str


class Stage(Record):
    """A stage that came to its end. Time before a kill is not in it."""

    round: int = Field(description="-1 for what comes before the first round.")
    stage: str
    began_at: str = Field(description="ISO 8601, UTC.")
    seconds: float
    tokens: int = 0
    overhead: float | None = Field(
        None, description="Share of the workers' time that neither model nor commands took."
    )
