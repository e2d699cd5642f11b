"""Attempts on a Ray cluster, with a person's own servers: their models, versions and rewards.

Nodes ask the servers by themselves, and no request is held back: vLLM ends those under way before
it takes new weights. A node reads the version from a file of the run, which this process writes
after the servers have taken the weights. So the version of a call is never too new. If it is one
too old, its tokens cannot be taken for those of the current weights: these did not exist before
the step of that version was trained.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Self

from forager.agent.endpoint import ChatEndpoint
from forager.agent.model import Model
from forager.agent.traffic import RateLimiter
from forager.atomic import replace_text
from forager.errors import StoreError
from forager.learning.rl.graded import GradedAttempts
from forager.learning.rl.sampler import GatedModel
from forager.logins import LOGINS
from forager.rollout.batch import Executor
from forager.rollout.served import served_model
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job, JobResult

_SHARED_SECONDS = 60.0  # in which what a node has written appears here
_LOOK_SECONDS = 0.2


class VersionFile:
    """The version of the servers' weights, in a file that nodes see; implements VersionSource."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def write(self, version: int) -> None:
        """Note that the servers have the weights of a version."""
        replace_text(self._path, f"{version}\n")

    @contextmanager
    def request(self) -> Iterator[int]:
        """Make a request: yield the version that answers, at least."""
        yield int(self._path.read_text())


class NodeModels:
    """Makes the models of attempts on nodes; picklable; implements ModelFactory."""

    def __init__(self, settings: RunSettings, version: VersionFile) -> None:
        self._settings, self._version = settings, version
        self._key = ChatEndpoint(settings.urls[0], key_env=settings.key_env).key
        self._logins = LOGINS.of(settings.urls)

    def __call__(self, job: Job, limiter: RateLimiter) -> Model:
        """The model of the attempt."""
        LOGINS.learn(self._logins)
        model = served_model(self._settings.urls, self._settings, job, limiter, self._key)
        return GatedModel(model, self._version)


class GradingExecutor:
    """Reads what nodes have stored, and computes the rewards here; implements Executor.

    Each reward has a thread of its own, so that one that hangs holds up no others.
    """

    def __init__(self, executor: Executor, graded: GradedAttempts) -> None:
        self._executor, self._graded = executor, graded
        self._ended: SimpleQueue[JobResult] = SimpleQueue()

    def check(self) -> None:
        """Raise BudgetSpent if no attempt may start."""
        self._executor.check()

    def place(self, job: Job) -> bool:
        """Start a job; False if there is no room for it now."""
        return self._executor.place(job)

    def expect(self, job: Job | None) -> None:
        """Note which job starts next."""
        self._executor.expect(job)

    def ended(self, timeout: float) -> list[JobResult]:
        """The jobs that have ended and have a reward, or an error."""
        for result in self._executor.ended(timeout):
            if result.error is None:
                Thread(target=self._grade, args=(result,), name=result.id, daemon=True).start()
            else:
                self._ended.put(result)
        found = []
        try:
            while True:
                found.append(self._ended.get_nowait())
        except Empty:
            return found

    def _grade(self, result: JobResult) -> None:
        try:
            until = time.monotonic() + _SHARED_SECONDS
            while not self._graded.read(result.id):
                if time.monotonic() > until:
                    raise StoreError(
                        f"{result.id}: its node has stored it, and it does not appear here; all "
                        "nodes must see the run directory"
                    )
                time.sleep(_LOOK_SECONDS)
        except Exception as error:
            result = replace(result, error=error)
        self._ended.put(result)

    def __enter__(self) -> Self:
        self._executor.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.__exit__(*exception)
