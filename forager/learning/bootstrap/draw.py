"""Which tasks a round attempts: those that the model solves sometimes teach the most.

Harder ones are drawn where it succeeds too often, easier ones where it never does: what it makes
of a task is reckoned from its own attempts at the task and from those at tasks like it. What the
data shows already is drawn less often too.
"""

import random
from collections import Counter
from collections.abc import Container, Iterable, Sequence

from forager.environments.task import Task
from forager.trajectories.summary import Summary

_OUTSIDE = 0.1  # weight of a task that is not wanted: the reckoning may be wrong
_PRIOR = 2.0  # attempts that the rate of tasks alike counts as


def draw(
    tasks: Sequence[Task],
    count: int,
    attempts: Iterable[Summary],
    *,
    taught: Container[str] = (),
    band: tuple[float, float],
    seed: int,
) -> list[Task]:
    """Draw tasks by seed and without repetition, in the order of the list.

    `attempts` are the model's own; `taught` the ids of tasks of which the data holds a success;
    `band` the pass rates that are wanted.
    """
    rates = _Rates(tasks, attempts)
    source = random.Random(seed)
    keys: dict[str, float] = {}
    for task in tasks:  # A-ES: Efraimidis and Spirakis, Information Processing Letters 97 (2006)
        rate = rates.of(task)
        wanted = rate is None or band[0] <= rate <= band[1]
        wanted &= task.instance_id not in taught
        keys[task.instance_id] = source.random() ** (1.0 if wanted else 1 / _OUTSIDE)
    chosen = set(sorted(keys, key=lambda task: -keys[task])[:count])
    return [task for task in tasks if task.instance_id in chosen]


class _Rates:
    """The pass rate that is to be expected at each task."""

    def __init__(self, tasks: Sequence[Task], attempts: Iterable[Summary]) -> None:
        self._tried: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        kinds = {task.instance_id: _kind(task) for task in tasks}
        for one in attempts:
            for key in ("", kinds.get(one.instance_id, ""), one.instance_id):
                self._tried[key] += 1
                self._passed[key] += one.resolved

    def of(self, task: Task) -> float | None:
        """None before anything was attempted."""
        if not self._tried[""]:
            return None
        rate = self._passed[""] / self._tried[""]
        for key in (_kind(task), task.instance_id):
            rate = (self._passed[key] + _PRIOR * rate) / (self._tried[key] + _PRIOR)
        return rate


def _kind(task: Task) -> str:
    """What makes tasks alike: family, operator, the number of bugs and of changed lines."""
    labels = task.labels
    bugs, lines = (labels.difficulty.get(name, 0.0) for name in ("bugs", "patch_lines"))
    return f"{labels.family}/{labels.operator}/{bugs:g}/{min(lines, 10.0):g}"
