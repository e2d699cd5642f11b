"""Attempts under way: places for them, late ones, and what infrastructure does to them."""

import time
from typing import NamedTuple

from forager.agent.faults import foreseen
from forager.errors import ForagerError, NodeLost, StoreError, UsageError
from forager.rollout.batch import Executor
from forager.rollout.breaker import CircuitBreaker
from forager.rollout.worker import Job, JobResult


class EndedAttempt(NamedTuple):
    """An attempt that ended, with its group, and the error if infrastructure ended it.

    `counts`: whether the loss counts against the attempt; it does not where many are lost. `late`:
    whether nobody waits for the attempt any more; its group may be gone.
    """

    group: int
    result: JobResult
    error: ForagerError | None
    counts: bool
    late: bool


class _Rollout(NamedTuple):
    group: int
    begun: float
    late: bool = False


class Rollouts:
    """Starts attempts and collects those that ended; a late one frees its place for another."""

    def __init__(self, executor: Executor, workers: int, breaker: CircuitBreaker) -> None:
        self._executor, self._workers, self._breaker = executor, workers, breaker
        self._running: dict[str, _Rollout] = {}
        self._waiting: list[Job] = []  # for room on a cluster

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._running

    @property
    def is_free(self) -> bool:
        """Whether an attempt may start. Late ones hold up to as many threads as others."""
        on_time = sum(not running.late for running in self._running.values())
        room = on_time < self._workers and len(self._running) < 2 * self._workers
        return room and not self._waiting and not self._breaker.wait()

    def place(self, job: Job, group: int) -> None:
        """Start an attempt of a group."""
        self._running[job.id] = _Rollout(group, time.monotonic())
        self._begin(job)

    def _begin(self, job: Job) -> None:
        """Start an attempt, or let it wait for room."""
        if self._executor.place(job):
            self._running[job.id] = self._running[job.id]._replace(begun=time.monotonic())
            self._breaker.begun()
        else:
            self._waiting.append(job)

    def leave(self, attempt: str) -> None:
        """Wait no longer for an attempt: it ends as a late one."""
        if any(job.id == attempt for job in self._waiting):
            self._waiting = [job for job in self._waiting if job.id != attempt]
            del self._running[attempt]
        if attempt in self._running:
            self._running[attempt] = self._running[attempt]._replace(late=True)

    def ended(self, timeout: float) -> list[EndedAttempt]:
        """The attempts that ended. Raises errors that end the run."""
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            self._begin(job)
        found = []
        for result in self._executor.ended(timeout):
            running = self._running.pop(result.id)
            error = foreseen(result.error) if result.error is not None else None
            if isinstance(error, (StoreError, UsageError)):
                raise error
            counts = not self._breaker.is_on
            if error is None:
                self._breaker.passed(running.begun)
            elif not isinstance(error, NodeLost):
                self._breaker.lost(running.begun, error)
            found.append(EndedAttempt(running.group, result, error, counts, running.late))
        return found
