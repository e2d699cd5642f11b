"""Which attempts a run lacks, and in which order they are made."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from forager.environments.task import Task
from forager.errors import UsageError
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job
from forager.trajectories.summary import Summary

TRIES = 3  # of an attempt that infrastructure loses, in one process


def distinct(tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield each task once, by its instance_id. Raises UsageError if two with one id differ."""
    seen: dict[str, Task] = {}
    for task in tasks:
        if task.instance_id not in seen:
            yield task
        if seen.setdefault(task.instance_id, task) != task:
            raise UsageError(
                f"two tasks are called {task.instance_id} and differ; give each an instance_id of "
                "its own"
            )


class Plan:
    """The attempts to make: round by round over all tasks, then lost ones again.

    A task given twice counts once; a task with enough successes gets no further attempts. A
    finished attempt takes one bit, so that millions need little memory.
    """

    def __init__(
        self, tasks: Sequence[Task], settings: RunSettings, before: Iterable[Summary]
    ) -> None:
        self._tasks, self._settings = list(distinct(tasks)), settings
        self._finished = {task.instance_id: 0 for task in self._tasks}  # bits by attempt number
        self._successes: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._again: deque[Job] = deque()
        self._held: list[Job] = []  # at most one
        self.done = self.resolved = self.tokens = self.given_up = 0
        for summary in before:
            if summary.instance_id in self._finished and summary.attempt in settings.numbers:
                self.finish(summary)
        self._fresh = self._lacking()

    def take(self) -> Job | None:
        """Take the next attempt; None if none is left for now."""
        held, self._held = self._held, []
        for job in chain(held, self._fresh):
            if not self._has_enough(job.task):
                return job
        while self._again:
            job = self._again.popleft()
            if not self._has_enough(job.task):
                return job
        return None

    def peek(self) -> Job | None:
        """The next attempt, which stays the next."""
        job = self.take()
        if job:
            self.put_back(job)
        return job

    def put_back(self, job: Job) -> None:
        """Put an attempt that could not start back in front."""
        self._held = [job]

    def again(self, job: Job, *, counts: bool = True) -> None:
        """Queue a lost attempt again, unless it has been tried TRIES times."""
        self._tries[job.id] += counts
        if self._tries[job.id] < TRIES:
            self._again.append(job)
        else:
            self.give_up()

    def give_up(self) -> None:
        """Leave a lost attempt to the next process."""
        self.given_up += 1

    def finish(self, summary: Summary) -> None:
        """Count an attempt that was made and stored."""
        self._finished[summary.instance_id] |= 1 << summary.attempt
        self._successes[summary.instance_id] += summary.resolved
        self.done += 1
        self.resolved += summary.resolved
        self.tokens += summary.tokens

    def _lacking(self) -> Iterator[Job]:
        for number in self._settings.numbers:
            for task in self._tasks:
                if not self._finished[task.instance_id] >> number & 1:
                    yield Job(task, number)

    def _has_enough(self, task: Task) -> bool:
        stop_after = self._settings.stop_after
        return stop_after is not None and self._successes[task.instance_id] >= stop_after
