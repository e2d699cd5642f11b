"""A training, from data sets to a model; a killed one resumes from its last checkpoint."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from forager.errors import UsageError
from forager.learning.hub import check_model
from forager.learning.saved import digest, load, save
from forager.learning.sources import Artifact
from forager.learning.train.metrics import MetricsReader, step_values
from forager.learning.train.objective import PolicyObjective
from forager.learning.train.order import steps
from forager.learning.train.samples import Samples, source
from forager.learning.train.settings import (
    MAY_CHANGE,
    StepMetrics,
    TrainingRequest,
    TrainingResult,
    TrainSettings,
)
from forager.learning.train.start import run_ranks
from forager.locks import claimed
from forager.records import read_records
from forager.tracking.tracker import TENSORBOARD
from forager.tracking.tracking import Tracking


class TrainingProgress(Protocol):
    """A callback that is called while a training runs."""

    def __call__(self, done: int, **counts: float) -> None:
        """Report finished steps, and the latest numbers, such as the loss."""
        ...


def train(
    settings: TrainSettings,
    datasets: Sequence[Path],
    base: Path,
    output: Path,
    on_progress: TrainingProgress,
    *,
    evaluation: Path | None = None,
    trackers: Sequence[str] = (TENSORBOARD,),
    on_note: Callable[[str], None] = lambda _: None,
) -> TrainingResult:
    """Train the model in `base` on data sets; the result is `output`/model.

    `trackers` get the metrics of each step; `on_note` gets a line when one fails. The same call
    resumes a killed training from its last checkpoint, and returns the result of a finished one.
    Raises UsageError if `output` holds another training, TrainingError with the end of the log if a
    process fails.
    """
    request = request_for(settings, datasets, base, evaluation)
    with claimed(output):
        check_same(output, request)
        result, known = finished(output), request.model_dump(mode="json")
        with Tracking(output, "training", trackers, known, on_note) as tracking:
            follower = _Follower(output, on_progress, tracking)
            if not result:
                save(output / "settings.json", request)
                if not (output / "model").exists():
                    run_ranks(output.absolute(), settings, follower.report)
            follower.report()
        return result or _finish(output, request)


def _finish(output: Path, request: TrainingRequest) -> TrainingResult:
    result = _result(output, request)
    save(output / "training.json", result)
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    return result


def finished(output: Path) -> TrainingResult | None:
    """The result of a finished training; None before."""
    return load(output / "training.json", TrainingResult)


def request_for(
    settings: TrainSettings, datasets: Sequence[Path], base: Path, evaluation: Path | None
) -> TrainingRequest:
    """The request of a training, with digests of its inputs. Raises UsageError."""
    check_model(base)
    if not datasets:
        raise UsageError("name a data set to train on")
    return TrainingRequest(
        settings=settings,
        base=Artifact(path=str(base.absolute()), digest=digest(base)),
        datasets=[source(dataset) for dataset in datasets],
        evaluation=source(evaluation) if evaluation else None,
    )


def count_steps(settings: TrainSettings, datasets: Sequence[Path]) -> int:
    """The number of steps of a training.

    Raises UsageError if no token has loss, or if a setting of the objective would change nothing.
    """
    _check_objective(settings.objective)
    samples = Samples(datasets, policy=settings.objective is not None)
    if not sum(samples.trained):
        raise UsageError(
            "no token of the data has a log-probability and an advantage other than 0: run with "
            "--token-ids, and export with --credit DIR, which `forager credit` writes"
            if settings.objective
            else "no token of the data has loss: every token is masked"
        )
    return len(steps(samples.lengths, settings))


def _check_objective(objective: PolicyObjective | None) -> None:
    """Raise UsageError for settings that make advantages from rewards: data have advantages."""
    for name in ("baseline", "sigma"):
        if objective and getattr(objective, name) != PolicyObjective.model_fields[name].default:
            raise UsageError(
                f"objective.{name}: it is about rewards, and the data have advantages already; "
                "leave it out"
            )


def check_same(output: Path, request: TrainingRequest) -> None:
    """Raise UsageError if a directory holds a training with another request, and steps of it."""
    known = load(output / "settings.json", TrainingRequest)
    metrics = output / "metrics.jsonl"
    if known is None or not metrics.exists() or not metrics.stat().st_size:
        return
    before, now = known.settings.model_dump(), request.settings.model_dump()
    differing = [name for name in now if name not in MAY_CHANGE and before[name] != now[name]]
    differing += [
        name
        for name in ("base", "datasets", "evaluation")
        if _digests(getattr(known, name)) != _digests(getattr(request, name))
    ]
    if differing:
        raise UsageError(
            f"{output} holds a training with other {', '.join(differing)}; name a new directory"
        )


def _digests(sources: Artifact | list[Artifact] | None) -> list[str]:
    listed = sources if isinstance(sources, list) else [sources] if sources else []
    return [artifact.digest for artifact in listed]


class _Follower:
    """Tells progress and trackers of the steps that a training has made."""

    def __init__(self, directory: Path, on_progress: TrainingProgress, tracking: Tracking) -> None:
        self._metrics, self._on_progress = MetricsReader(directory), on_progress
        self._tracking = tracking

    def report(self) -> None:
        """Report the steps since the last report."""
        latest = None
        for latest in self._metrics.new():
            self._tracking.log(f"step {latest.step}", latest.step, step_values(latest))
        if latest:
            pace = {"tokens/s": round(latest.tokens / max(latest.seconds, 1e-6))}
            self._on_progress(latest.step, loss=round(latest.loss, 4), **pace)


def _result(output: Path, request: TrainingRequest) -> TrainingResult:
    made = list(read_records(output / "metrics.jsonl", StepMetrics))
    evaluated = [step.evaluation_loss for step in made if step.evaluation_loss is not None]
    tokens, seconds = sum(step.tokens for step in made), sum(step.seconds for step in made)
    model = output / "model"
    return TrainingResult(
        base=request.base,
        datasets=request.datasets,
        steps=len(made),
        tokens=tokens,
        trained=sum(step.trained for step in made),
        first_loss=made[0].loss,
        last_loss=made[-1].loss,
        evaluation_loss=evaluated[-1] if evaluated else None,
        seconds=round(seconds, 3),
        tokens_per_second=round(tokens / max(seconds, 1e-6), 1),
        model=Artifact(path=str(model.absolute()), digest=digest(model)),
    )
