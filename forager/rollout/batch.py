"""Many attempts side by side; each is kept the moment it is graded."""

import time
from collections.abc import Sequence
from typing import Protocol, Self

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.errors import (
    BudgetSpent,
    LoggedError,
    NodeLost,
    StoreError,
    TaskError,
    Unforeseen,
    UsageError,
)
from forager.rollout.live import Live, clear
from forager.rollout.local import LocalExecutor
from forager.rollout.meter import Meter
from forager.rollout.plan import Plan
from forager.rollout.settings import RunSettings
from forager.rollout.trouble import HOLD_SECONDS, Trouble, foreseen
from forager.rollout.worker import Ended, Job, MakeModel, Worker
from forager.trajectories.record import Usage
from forager.trajectories.store import RunWriter

_LOOK_SECONDS = 1.0  # how often the batch looks round when nothing ends


class OnProgress(Protocol):
    """Told after each attempt; the numbers are of the whole run."""

    def __call__(self, done: int, **counts: int) -> None:
        """`done` attempts, and the counts resolved, running, failed and tokens."""
        ...


class Executor(Protocol):
    """Where attempts are made. A context manager: at its end what is under way is ended."""

    def check(self) -> None:
        """Raise BudgetSpent where no attempt may be begun."""
        ...

    def place(self, job: Job) -> bool:
        """Begin with a job; False where there is no room for it now."""
        ...

    def expect(self, job: Job | None) -> None:
        """Told which job is the next to begin, once there is room."""
        ...

    def ended(self, timeout: float) -> list[Ended]:
        """What has ended; waits for it, `timeout` seconds at most."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def run_batch(
    store: RunWriter,
    tasks: Sequence[Task],
    settings: RunSettings,
    *,
    model: MakeModel,
    toolbox: Toolbox,
    on_progress: OnProgress,
    hold: float = HOLD_SECONDS,
) -> None:
    """Make the attempts that the run lacks, `settings.workers` at a time.

    An attempt that infrastructure or a bug ended is noted as lost and made again, some times at
    once and then when the run is resumed. Where nothing but losses comes, new attempts are held
    back, at first for `hold` seconds, and at last the error is raised; BudgetSpent is, once no
    attempt runs any more. What was graded is on disk whatever happens.
    """
    plan = Plan(tasks, settings, store.summaries())
    clear(store.path)
    with _executor(store, settings, model, toolbox) as executor:
        _Batch(store, settings, plan, executor, on_progress, Trouble(hold)).run()


def _executor(
    store: RunWriter, settings: RunSettings, model: MakeModel, toolbox: Toolbox
) -> Executor:
    if settings.executor == "ray":
        from forager.rollout.cluster import ClusterExecutor

        return ClusterExecutor(store.path, settings, model, toolbox, spent(store))
    meter = Meter(settings.budget, spent(store))
    worker = Worker(settings, model, toolbox, store.append, Live(store.path))
    return LocalExecutor(worker, meter)


class _Batch:
    """The loop of a batch: begin attempts, take what has ended."""

    def __init__(
        self,
        store: RunWriter,
        settings: RunSettings,
        plan: Plan,
        executor: Executor,
        on_progress: OnProgress,
        trouble: Trouble,
    ) -> None:
        self._store, self._settings, self._plan = store, settings, plan
        self._executor, self._on_progress, self._trouble = executor, on_progress, trouble
        self._running: dict[str, tuple[Job, float]] = {}  # with the time of their beginning
        self._lost = 0
        self._bug = ""  # traceback of the last one
        self._over: BudgetSpent | None = None

    def run(self) -> None:
        """Make all attempts. Raises ForagerError where some could not be made."""
        while self._begin() or self._running:
            for one in self._executor.ended(self._trouble.wait() or _LOOK_SECONDS):
                self._take(one)
                self._tell()
        if self._over:
            raise BudgetSpent(f"{self._over}; raise it in the budget and run again to go on")
        if self._plan.given_up:
            raise LoggedError(
                f"{self._plan.given_up} attempts were lost to infrastructure, see "
                f"{self._store.path / 'infrastructure.jsonl'}; run again to make them",
                self._bug,
            )

    def _begin(self) -> bool:
        """Begin as many attempts as may be; return whether some are still to be begun."""
        while len(self._running) < self._settings.workers and not self._over:
            if self._trouble.wait():
                return True
            job = self._plan.take()
            if job is None:
                return False
            if not self._may_begin() or not self._executor.place(job):
                self._plan.put_back(job)
                return not self._over
            self._running[job.id] = job, time.monotonic()
            self._trouble.begun()
        if not self._over and not self._trouble.wait():
            self._executor.expect(self._plan.peek())
        return False

    def _may_begin(self) -> bool:
        try:
            self._executor.check()
        except BudgetSpent as error:
            self._over = error
        return not self._over

    def _take(self, ended: Ended) -> None:
        """Count an attempt that was kept, or note a lost one."""
        job, begun = self._running.pop(ended.id)
        if ended.summary:
            self._plan.finish(ended.summary)
            self._trouble.passed(begun)
            return
        assert ended.error is not None
        error = foreseen(ended.error)
        if isinstance(error, (StoreError, UsageError)):
            raise error
        model = self._settings.model_of(job.number)
        self._store.append_lost(job.id, error, model, ended.usage)
        if isinstance(error, BudgetSpent):
            self._over = error
            return
        self._lost += 1
        if isinstance(error, Unforeseen):
            self._bug = error.log
        if isinstance(error, TaskError):
            self._plan.give_up()
            return
        self._plan.again(job, counts=not self._trouble.is_on)
        if not isinstance(error, NodeLost):
            self._trouble.lost(begun, error)

    def _tell(self) -> None:
        self._on_progress(
            self._plan.done,
            resolved=self._plan.resolved,
            running=len(self._running),
            failed=self._lost,
            tokens=self._plan.tokens,
        )


def spent(store: RunWriter) -> dict[str, Usage]:
    """What the run has cost up to now, by model; lost attempts cost too."""
    total: dict[str, Usage] = {}
    for one in store.summaries():
        usage = Usage(prompt_tokens=one.prompt_tokens, completion_tokens=one.completion_tokens)
        total[one.model] = total.get(one.model, Usage()) + usage
    for lost in store.lost():
        total[lost.model] = total.get(lost.model, Usage()) + lost.usage
    return total
