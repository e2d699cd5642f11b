"""Attempts that workers have finished: stored, with their rewards, until the loop notes them."""

from collections.abc import Mapping

from forager.environments.task import Task
from forager.learning.rl.rewards import Reward, reward_of
from forager.trajectories.record import Trajectory
from forager.trajectories.store import RunWriter


class GradedAttempts:
    """Stores attempts and computes their rewards; many threads call `keep`."""

    def __init__(self, store: RunWriter, reward: Reward, tasks: Mapping[str, Task]) -> None:
        self._store, self._reward, self._tasks = store, reward, tasks
        self._kept: dict[str, tuple[Trajectory, float | None]] = {}

    def keep(self, attempt: Trajectory) -> None:
        """Store an attempt and compute its reward, which may take long."""
        self._store.append(attempt)
        self._kept[attempt.id] = attempt, self.reward(attempt)

    def read(self, attempt: str) -> bool:
        """Compute the reward of an attempt that a node has stored; False if it is not here yet."""
        with self._store.index() as index:
            if index.matching(attempt) != [attempt]:
                return False
            stored = index.get(attempt)
        self._kept[attempt] = stored, self.reward(stored)
        return True

    def take(self, attempt: str) -> tuple[Trajectory, float | None]:
        """A kept attempt and its reward; each once."""
        return self._kept.pop(attempt)

    def forget(self, attempt: str) -> None:
        """Free an attempt that nobody takes; it stays in the store."""
        self._kept.pop(attempt, None)

    def reward(self, attempt: Trajectory) -> float | None:
        """The reward of an attempt; None if it leaves its group. Raises UsageError."""
        return reward_of(self._reward, self._tasks[attempt.instance_id], attempt)
