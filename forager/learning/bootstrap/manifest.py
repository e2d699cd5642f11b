"""The manifest of a round: inputs and outputs of each stage, by digest."""

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Self

from pydantic import AliasChoices, Field

from forager.evaluation.estimates import Estimate
from forager.learning.dataset import DatasetManifest
from forager.learning.filters.kept import Filtering
from forager.learning.saved import digest
from forager.learning.sources import digest as digest_of_attempts
from forager.learning.train.settings import TrainingResult, TrainSettings
from forager.records import Record
from forager.trajectories.store import Run


class ModelId(Record):
    """A model: its name in runs, its directory, and the digest of its files."""

    name: str
    path: str = Field("", description="Empty for a teacher, which is served elsewhere.")
    digest: str = ""

    @classmethod
    def of(cls, name: str, path: Path) -> Self:
        """Identify the model in a directory."""
        return cls(name=name, path=str(path), digest=digest(path) if path.is_dir() else "")


class RunId(Record):
    """A run: its directory, the digest of its attempts, and their totals."""

    path: str
    digest: str
    attempts: int
    resolved: int
    suspect: int = Field(0, description="Attempts with reasons to suspect a forgery.")
    tokens: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Identify the run in a directory."""
        attempts = resolved = suspect = tokens = 0
        for attempt in Run(path).summaries():
            attempts += 1
            resolved += attempt.resolved
            suspect += bool(attempt.suspect)
            tokens += attempt.tokens
        return cls(
            path=str(path),
            digest=digest_of_attempts(path),
            attempts=attempts,
            resolved=resolved,
            suspect=suspect,
            tokens=tokens,
        )

    def success(self) -> dict[str, float]:
        """The pass rate of each task."""
        return success_by_task(Run(Path(self.path)))


def success_by_task(run: Run, *, accept_suspect: bool = False) -> dict[str, float]:
    """The pass rate of each task: the share of its attempts that resolved it."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for attempt in run.summaries(accept_suspect=accept_suspect):
        found[attempt.instance_id].append(attempt.resolved)
    return {task: fmean(resolved) for task, resolved in found.items()}


class Promotion(Record):
    """The comparison of a candidate with the current model on the held-out tasks."""

    against: str = Field(description="Name of the model that was current.")
    gain: Estimate
    accepted: bool


class Evaluation(Record):
    """A model's results on the held-out tasks."""

    model: ModelId
    run: RunId
    success: Estimate


class Round(Record):
    """The manifest of a round: model → attempts → filters → data set → training → evaluation.

    If the filters keep nothing, the round has no data set and nothing after it.
    """

    number: int
    policy: ModelId = Field(description="Model that made the attempts.")
    attempts: RunId
    taught: RunId | None = Field(None, description="The teacher's, at the tasks that failed.")
    filtering: Filtering = Field(description="Filtered runs, filters, and their drops.")
    kept: RunId
    dataset: DatasetManifest | None = None
    init: ModelId = Field(description="Model that the training started from.")
    train_settings: TrainSettings | None = None
    training: TrainingResult | None = None
    candidate: Evaluation | None = None
    promotion: Promotion | None = Field(
        None, validation_alias=AliasChoices("promotion", "gate"), description="Accepted or not."
    )
    current: Evaluation = Field(description="The current model after this round.")
    version: str


class Stage(Record):
    """A finished stage. Time that a killed process had spent is not included."""

    round: int = Field(description="-1 before the first round.")
    stage: str
    began_at: str = Field(description="ISO 8601, UTC.")
    seconds: float
    tokens: int = 0
    overhead: float | None = Field(
        None, description="Share of the workers' time spent outside model, commands and tests."
    )
