"""The learner: a training to which this process hands the data of one step after another."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from forager.errors import TrainingError
from forager.learning.rl.settings import RlSettings
from forager.learning.saved import digest, load, save
from forager.learning.sources import Artifact
from forager.learning.train.feed import batch_path, model_path
from forager.learning.train.metrics import MetricsReader
from forager.learning.train.rank import Ranks
from forager.learning.train.settings import StepMetrics, StreamSettings, TrainingRequest
from forager.learning.train.start import ranks, reason_of

_KEPT = 2  # models
_LOOK_SECONDS = 0.05


class Learner:
    """A training with its processes, in a directory; a context manager that stops them.

    After a kill the training goes on from its last checkpoint, with the batches on the disk.
    """

    def __init__(self, directory: Path, base: Path, settings: RlSettings) -> None:
        self.directory = directory
        self._settings = settings.train.model_copy(update={"objective": settings.objective})
        self._request = TrainingRequest(
            settings=self._settings,
            base=Artifact(path=str(base.absolute()), digest=digest(base)),
            datasets=[],
            stream=StreamSettings(steps=settings.steps, tolerance=settings.tolerance),
        )
        self._stack = ExitStack()
        self._ranks: Ranks | None = None
        self._latest: dict[int, StepMetrics] = {}
        self._metrics = MetricsReader(directory)

    def batch(self, step: int) -> Path:
        """Where the data set of a step belongs."""
        return batch_path(self.directory, step)

    def model(self, step: int) -> Path:
        """The weights after a step."""
        return model_path(self.directory, step)

    def metrics(self, step: int) -> StepMetrics | None:
        """The metrics of a step whose weights are on the disk; None before.

        Raises TrainingError with the end of the log if a process has ended.
        """
        if self.model(step).exists() and (made := self._written(step)):
            return made
        self._check(self.model(step))
        return None

    def wait(self, step: int) -> StepMetrics:
        """Wait until a step's weights are on the disk. Raises TrainingError as `metrics` does."""
        while (made := self.metrics(step)) is None:
            time.sleep(_LOOK_SECONDS)
        return made

    def _written(self, step: int) -> StepMetrics | None:
        """The latest metrics of a step."""
        self._latest |= {made.step: made for made in self._metrics.new()}
        return self._latest.get(step)

    def forget(self, step: int) -> None:
        """Delete the weights that nobody needs after a step."""
        self._latest = {known: made for known, made in self._latest.items() if known >= step}
        for old in sorted((self.directory / "models").glob("[0-9]*"))[:-_KEPT]:
            if int(old.name) < step:
                shutil.rmtree(old, ignore_errors=True)

    def wait_for_model(self) -> None:
        """Wait until the final model is on the disk. Raises TrainingError as `metrics` does."""
        final = self.directory / "model"
        while not final.exists():
            self._check(final)
            time.sleep(_LOOK_SECONDS)

    def _check(self, wanted: Path) -> None:
        """Raise TrainingError if a process has ended without this model."""
        code = self._ranks.ended() if self._ranks else None
        if code is not None and not wanted.exists():
            assert self._ranks
            tail = self._ranks.tail()
            logs = self.directory / "logs"
            raise TrainingError(f"{reason_of(code, tail)} (logs in {logs})", tail)

    def __enter__(self) -> Self:
        before = load(self.directory / "settings.json", TrainingRequest)
        if before and before.stream != self._request.stream:  # more steps: another last model
            shutil.rmtree(self.directory / "model", ignore_errors=True)
        save(self.directory / "settings.json", self._request)
        self._ranks = self._stack.enter_context(ranks(self.directory.absolute(), self._settings))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
