"""Attempts made by threads of this process."""

import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Self

from forager.rollout.meter import Meter
from forager.rollout.warm import Expected
from forager.rollout.worker import Job, JobResult, Worker

_STOP_SECONDS = 10.0  # for attempts to end once their sandboxes are gone


class LocalExecutor:
    """Makes each attempt in a thread of its own; implements Executor."""

    def __init__(self, worker: Worker, meter: Meter) -> None:
        self._worker, self._meter = worker, meter
        self._ended: SimpleQueue[JobResult] = SimpleQueue()
        self._threads: dict[str, Thread] = {}
        self._next: tuple[str, Expected] | None = None  # by the id of the job

    def check(self) -> None:
        """Raise BudgetSpent if no attempt may start."""
        self._meter.check()

    def place(self, job: Job) -> bool:
        """Start a job; there is always room."""
        expected, self._next = self._expected(job), None
        # Daemon threads: one that hangs in a request must not hold up the end of the process.
        thread = Thread(target=self._work, args=(job, expected), name=job.id, daemon=True)
        self._threads[job.id] = thread
        thread.start()
        return True

    def expect(self, job: Job | None) -> None:
        """Start the sandbox of the job that starts next."""
        expected = self._expected(job)
        self._next = (job.id, expected or self._worker.expected(job)) if job else None

    def _expected(self, job: Job | None) -> Expected | None:
        """The sandbox expected for this job; one that was expected for another job is dropped."""
        if self._next is None:
            return None
        id, expected = self._next
        if job and id == job.id:
            return expected
        with expected:
            return None

    def ended(self, timeout: float) -> list[JobResult]:
        """The job that has ended, if any; waits for one, `timeout` seconds at most."""
        try:
            result = self._ended.get(timeout=timeout)
        except Empty:
            return []
        self._threads.pop(result.id).join()
        return [result]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop what is running: sandboxes end at once, and graded attempts are stored."""
        self._meter.stop()
        self._worker.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, job: Job, expected: Expected | None) -> None:
        self._ended.put(self._worker.work(job, self._meter, expected))
