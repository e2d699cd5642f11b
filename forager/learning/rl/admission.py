"""Which attempt starts next, and when a new group is drawn.

Staleness is bounded by how much is in flight or waiting, not by throwing slow attempts away: at
most as many groups as staleness + 1 steps need.
"""

import time
from collections.abc import Mapping

from forager.environments.task import Task
from forager.learning.rl.curriculum import hinted
from forager.learning.rl.ledger import DrawnEntry, GroupState, RlLedger
from forager.learning.rl.rollouts import Rollouts
from forager.learning.rl.settings import RlSettings
from forager.rollout.worker import Job


class Admission:
    """Chooses attempts; knows since when a group has been open."""

    def __init__(
        self,
        ledger: RlLedger,
        tasks: Mapping[str, Task],
        settings: RlSettings,
        rollouts: Rollouts,
    ) -> None:
        self._ledger, self._tasks, self._settings = ledger, tasks, settings
        self._rollouts = rollouts
        now = time.monotonic()
        self._since = {group.number: now for group in ledger.book.open}

    def next(self) -> tuple[Job, int] | None:
        """The attempt to start next, with its group; None if enough is in flight or waiting.

        Those that were lost are made again after all others.
        """
        lost: list[tuple[Job, int]] = []
        for group in self._ledger.book.open:
            for attempt, state in group.attempts.items():
                if state.status not in ("graded", "dropped") and attempt not in self._rollouts:
                    job = self._job(group, attempt)
                    if state.status != "lost":
                        return job, group.number
                    lost.append((job, group.number))
        most = self._settings.groups * (self._settings.staleness + 1)
        if len(self._ledger.book.groups) >= most:
            return lost[0] if lost else None
        self._draw()
        return self.next()

    def is_late(self, group: GroupState) -> bool:
        """Whether a group closes without the attempts that it lacks."""
        waited = time.monotonic() - self._since[group.number]
        return waited >= self._settings.group_seconds and len(group.graded) >= 2

    def _job(self, group: GroupState, attempt: str) -> Job:
        task = self._tasks[group.task]
        return Job(hinted(task) if group.hint else task, int(attempt.rpartition(".")[2]))

    def _draw(self) -> None:
        book, size = self._ledger.book, self._settings.group_size
        task = book.curriculum.draw(book.draws, book.step + 1)
        first = book.curriculum.times[task] * size
        self._since[book.draws] = time.monotonic()
        self._ledger.append(
            DrawnEntry(
                group=book.draws,
                task=task,
                attempts=[f"{task}.{number}" for number in range(first, first + size)],
                hint=book.curriculum.asks_for_hint(task),
            )
        )

    def closed(self, group: GroupState) -> None:
        """Note that a group is not open any more."""
        del self._since[group.number]
