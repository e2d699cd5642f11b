"""A training from its data sets to its model; killed anywhere, it goes on."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from forager.errors import UsageError
from forager.learning.saved import digest, load, save
from forager.learning.sources import Source
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


class OnProgress(Protocol):
    """Told while a training runs."""

    def __call__(self, done: int, **counts: float) -> None:
        """`done` steps; the latest loss, and tokens a second."""
        ...


def train(
    settings: TrainSettings,
    datasets: Sequence[Path],
    base: Path,
    output: Path,
    on_progress: OnProgress,
    *,
    evaluation: Path | None = None,
) -> TrainingResult:
    """Train the model in `base` on data sets; `output`/model is the result.

    Killed anywhere, the same call goes on from the last checkpoint; what is finished is returned.
    Raises UsageError where `output` holds another training, TrainingError with the log's tail.
    """
    request = request_for(settings, datasets, base, evaluation)
    with claimed(output):
        check_same(output, request)
        if result := finished(output):
            return result
        save(output / "settings.json", request)
        if not (output / "model").exists():
            watch = _Watch(output / "metrics.jsonl", on_progress)
            run_ranks(output.absolute(), settings, watch.look)
        result = _result(output, request)
        save(output / "training.json", result)
        shutil.rmtree(output / "checkpoints", ignore_errors=True)
    return result


def finished(output: Path) -> TrainingResult | None:
    """What came of a training that is over."""
    return load(output / "training.json", TrainingResult)


def request_for(
    settings: TrainSettings, datasets: Sequence[Path], base: Path, evaluation: Path | None
) -> TrainingRequest:
    """What is asked for, by digests. Raises UsageError."""
    if not (base / "config.json").is_file():
        raise UsageError(f"{base} is no Hugging Face directory of a model: it has no config.json")
    if not datasets:
        raise UsageError("name a data set to train on")
    return TrainingRequest(
        settings=settings,
        base=Source(path=str(base.absolute()), digest=digest(base)),
        datasets=[source(one) for one in datasets],
        evaluation=source(evaluation) if evaluation else None,
    )


def count_steps(settings: TrainSettings, datasets: Sequence[Path]) -> int:
    """How many steps a training will make. Raises UsageError where there is nothing to learn."""
    samples = Samples(datasets)
    if not sum(samples.trained):
        raise UsageError("nothing in the data is trained on: every token is masked")
    return len(steps(samples.lengths, settings))


def check_same(output: Path, request: TrainingRequest) -> None:
    """Raise UsageError where a directory holds a training that was asked for otherwise."""
    known = load(output / "settings.json", TrainingRequest)
    if known is None:
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


def _digests(sources: Source | list[Source] | None) -> list[str]:
    listed = sources if isinstance(sources, list) else [sources] if sources else []
    return [one.digest for one in listed]


class _Watch:
    """Reads the metrics as they are written, and tells the progress."""

    def __init__(self, path: Path, on_progress: OnProgress) -> None:
        self._path, self._on_progress = path, on_progress
        self._told = 0

    def look(self) -> None:
        """Tell of the latest step, if there is a new one."""
        try:
            size = self._path.stat().st_size
            with self._path.open("rb") as file:
                file.seek(max(0, size - 4096))
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return
        latest = StepMetrics.model_validate_json(lines[-1]) if lines else None
        if latest and latest.step != self._told:
            self._told = latest.step
            pace = {"tokens/s": round(latest.tokens / max(latest.seconds, 1e-6))}
            self._on_progress(latest.step, loss=round(latest.loss, 4), **pace)


def _result(output: Path, request: TrainingRequest) -> TrainingResult:
    made = list(read_records(output / "metrics.jsonl", StepMetrics))
    evaluated = [one.evaluation_loss for one in made if one.evaluation_loss is not None]
    tokens, seconds = sum(one.tokens for one in made), sum(one.seconds for one in made)
    model = output / "model"
    return TrainingResult(
        base=request.base,
        datasets=request.datasets,
        steps=len(made),
        tokens=tokens,
        trained=sum(one.trained for one in made),
        first_loss=made[0].loss,
        last_loss=made[-1].loss,
        evaluation_loss=evaluated[-1] if evaluated else None,
        seconds=round(seconds, 3),
        tokens_per_second=round(tokens / max(seconds, 1e-6), 1),
        model=Source(path=str(model.absolute()), digest=digest(model)),
    )
