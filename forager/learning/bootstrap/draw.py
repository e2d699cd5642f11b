"""Draws the tasks of a round: the model learns most from tasks that it solves sometimes.

The pass rate of a task is estimated from the model's attempts at the task and at similar tasks.
Tasks that are too easy, too hard, or solved in the data already, are drawn less often.
"""

import random
from collections import Counter
from collections.abc import Container, Iterable, Sequence

from forager.environments.task import Task
from forager.trajectories.summary import Summary

_OUTSIDE = 0.1  # weight of an unwanted task: the estimate may be wrong
_PRIOR = 2.0  # weight of the pass rate of similar tasks, in attempts


def draw(
    tasks: Sequence[Task],
    count: int,
    attempts: Iterable[Summary],
    *,
    taught: Container[str] = (),
    band: tuple[float, float],
    seed: int,
) -> list[Task]:
    """Draw tasks without replacement, by seed; they keep the order of the list.

    `attempts` are the model's own, `taught` holds the ids of tasks that the data solves, and
    `band` is the range of wanted pass rates.
    """
    rates = _PassRates(tasks, attempts)
    source = random.Random(seed)
    keys: dict[str, float] = {}
    for task in tasks:  # A-ES: Efraimidis and Spirakis, Information Processing Letters 97 (2006)
        rate = rates.of(task)
        wanted = rate is None or band[0] <= rate <= band[1]
        wanted &= task.instance_id not in taught
        keys[task.instance_id] = source.random() ** (1.0 if wanted else 1 / _OUTSIDE)
    chosen = set(sorted(keys, key=lambda task: -keys[task])[:count])
    return [task for task in tasks if task.instance_id in chosen]


class _PassRates:
    """Expected pass rates."""

    def __init__(self, tasks: Sequence[Task], attempts: Iterable[Summary]) -> None:
        self._tried: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        kinds = {task.instance_id: _kind(task) for task in tasks}
        for attempt in attempts:
            for key in ("", kinds.get(attempt.instance_id, ""), attempt.instance_id):
                self._tried[key] += 1
                self._passed[key] += attempt.resolved

    def of(self, task: Task) -> float | None:
        """The expected pass rate of a task; None before the first attempt."""
        if not self._tried[""]:
            return None
        rate = self._passed[""] / self._tried[""]
        for key in (_kind(task), task.instance_id):
            rate = (self._passed[key] + _PRIOR * rate) / (self._tried[key] + _PRIOR)
        return rate


def _kind(task: Task) -> str:
    """Key of similar tasks: family, operator, number of bugs and of changed lines."""
    labels = task.labels
    bugs, lines = (labels.difficulty.get(name, 0.0) for name in ("bugs", "patch_lines"))
    return f"{labels.family}/{labels.operator}/{bugs:g}/{min(lines, 10.0):g}"
