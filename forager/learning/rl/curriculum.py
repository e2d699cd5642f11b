"""Which task is drawn next: environments by weight, tasks by turns and by their pass rates.

Tasks of an environment take turns, in an order that the seed shuffles anew in each round. A task
whose recent pass rate is too high leaves; one that no attempt solved rests for some draws. Draws
follow from the seed and from the outcomes of the steps before, and from nothing else.
"""

import random
from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from hashlib import blake2b

from forager.environments.task import Task
from forager.errors import UsageError
from forager.learning.rl.settings import CurriculumSettings, CurriculumStage

_HINTED = 20  # tests that a hint names


class Curriculum:
    """Draws tasks, and learns from the outcomes of their attempts."""

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: CurriculumSettings,
        stages: Sequence[CurriculumStage],
        seed: int,
    ) -> None:
        self._settings, self._stages, self._seed = settings, stages, seed
        self._environments = {task.instance_id: task.environment for task in tasks}
        self.times: Counter[str] = Counter()  # draws of each task
        self._recent: defaultdict[str, deque[bool]] = defaultdict(
            lambda: deque(maxlen=settings.window)
        )
        self._rest: dict[str, int] = {}  # the draw from which a task may be drawn again
        self._turns: defaultdict[str, list[tuple[int, bytes, str]]] = defaultdict(list)
        self._sizes = Counter(self._environments.values())
        for task in self._environments:
            self._queue(task)
        for stage in stages:
            if unknown := stage.weights.keys() - self._sizes.keys():
                raise UsageError(f"stages: there is no task of the environment {min(unknown)!r}")

    def draw(self, number: int, step: int) -> str:
        """The task of a draw for a step, both counted on. Raises UsageError if none is left.

        The caller states with `drawn` that it uses the task.
        """
        weights = self._weights(step)
        source = random.Random(f"{self._seed}/{number}")
        while weights:
            (chosen,) = source.choices(list(weights), list(weights.values()))
            if task := self._next(chosen, number):
                return task
            del weights[chosen]
        raise UsageError(
            "no task is left to draw: the policy solves all of them; add harder tasks, or raise "
            "curriculum.drop_above"
        )

    def drawn(self, task: str) -> None:
        """Note that a task was used in a draw; it goes behind the others."""
        turns = self._turns[self._environments[task]]
        del turns[bisect_left(turns, self._turn(task))]
        self.times[task] += 1
        self._queue(task)

    def learn(self, task: str, resolved: Sequence[bool], draws: int) -> None:
        """Take into account what became of a group, after this many draws."""
        self._recent[task].extend(resolved)
        if resolved and not any(resolved):
            self._rest[task] = draws + self._settings.retry_after

    def rate(self, task: str) -> float | None:
        """The pass rate over recent attempts; None before the first."""
        recent = self._recent.get(task)
        return sum(recent) / len(recent) if recent else None

    def asks_for_hint(self, task: str) -> bool:
        """Whether the task is shown with a hint: no recent attempt solved it."""
        return self._settings.hints and self.rate(task) == 0

    def _weights(self, step: int) -> dict[str, float]:
        current = [stage for stage in self._stages if stage.from_step <= step]
        weights = current[-1].weights if current else dict(self._sizes)
        return {name: weight for name, weight in sorted(weights.items()) if weight > 0}

    def _next(self, environment: str, number: int) -> str:
        """The task whose turn it is; a resting one if all rest; empty if all are too easy."""
        waiting: list[str] = []
        for _, _, task in self._turns[environment]:
            if self._too_easy(task):
                continue
            if self._rest.get(task, 0) <= number:
                return task
            waiting.append(task)
        return min(waiting, key=lambda task: self._rest[task], default="")

    def _too_easy(self, task: str) -> bool:
        recent = self._recent.get(task, ())
        full = len(recent) == self._settings.window
        return full and sum(recent) > self._settings.drop_above * len(recent)

    def _queue(self, task: str) -> None:
        insort(self._turns[self._environments[task]], self._turn(task))

    def _turn(self, task: str) -> tuple[int, bytes, str]:
        times = self.times[task]
        key = blake2b(f"{self._seed}/{times}/{task}".encode(), digest_size=8).digest()
        return times, key, task


def hinted(task: Task) -> Task:
    """The task with the names of the tests that decide in its statement.

    The first of several groups of tests is that which fails before a solution; tasks without
    several groups stay as they are.
    """
    groups = list(task.test_groups().values())
    if len(groups) < 2:
        return task
    names = groups[0]
    listed = "\n".join(f"- {name}" for name in names[:_HINTED])
    statement = f"{task.problem_statement}\n\nA solution makes these tests pass:\n{listed}"
    return task.model_copy(update={"problem_statement": statement})
