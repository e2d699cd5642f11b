"""Many attempts at a time; each is stored as soon as it is graded."""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Protocol, Self

from forager.agent.faults import foreseen
from forager.agent.tool import Toolbox
from forager.agent.traffic import TRAFFIC
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
from forager.rollout.breaker import HOLD_SECONDS, CircuitBreaker
from forager.rollout.live import Live, clear
from forager.rollout.local import LocalExecutor
from forager.rollout.meter import Meter
from forager.rollout.plan import Plan
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job, JobResult, ModelFactory, Worker
from forager.text import ending
from forager.trajectories.record import Usage
from forager.trajectories.store import RunWriter

_LOOK_SECONDS = 1.0  # between looks at the executor when no attempt ends
_WORDINGS = 8  # that are noted; many hold a number of tokens, and differ with it


class BatchProgress(Protocol):
    """Is called after each attempt, with the numbers of the whole run."""

    def __call__(self, done: int, **counts: int) -> None:
        """Show `done` attempts, and the counts resolved, running, failed and tokens."""
        ...


class Executor(Protocol):
    """Makes attempts. A context manager; at its end the attempts that are running are stopped."""

    def check(self) -> None:
        """Raise BudgetSpent if no attempt may start."""
        ...

    def place(self, job: Job) -> bool:
        """Start a job; False if there is no room for it now."""
        ...

    def expect(self, job: Job | None) -> None:
        """Note which job starts next, once there is room."""
        ...

    def ended(self, timeout: float) -> list[JobResult]:
        """The jobs that have ended; waits for one, `timeout` seconds at most."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def run_batch(
    store: RunWriter,
    tasks: Sequence[Task],
    settings: RunSettings,
    *,
    model: ModelFactory,
    toolbox: Toolbox,
    on_progress: BatchProgress,
    on_note: Callable[[str], None] = lambda _: None,
    on_attempt: Callable[[str], None] = lambda _: None,
    before: Callable[[], None] = lambda: None,
    hold: float = HOLD_SECONDS,
) -> None:
    """Make the attempts that the run lacks, `settings.workers` at a time.

    An attempt that infrastructure or a bug ended is recorded as lost and made again: up to three
    times now, and when the run is resumed. If all attempts are lost, new ones wait, at first for
    `hold` seconds, and at last the error is raised. BudgetSpent is raised once no attempt runs.
    Graded attempts are on disk whatever happens. `on_note` gets a line for each new reason why an
    attempt was lost, a server refused to continue it or failed a request, or a tool broke, with the
    traceback of a bug, up to a bound. `on_attempt` gets the id of each attempt that was stored.
    `before` is called before the first attempt, if there is one.
    """
    plan = Plan(tasks, settings, store.summaries())
    clear(store.path)
    if plan.peek():
        before()
    with _executor(store, settings, model, toolbox) as executor:
        breaker = CircuitBreaker(hold)
        batch = _Batch(store, settings, plan, executor, on_progress, on_note, on_attempt, breaker)
        with TRAFFIC.heard(batch.hear):
            batch.run()


def _executor(
    store: RunWriter, settings: RunSettings, model: ModelFactory, toolbox: Toolbox
) -> Executor:
    if settings.executor == "ray":
        from forager.rollout.cluster import ClusterExecutor

        return ClusterExecutor(store.path, settings, model, toolbox, spent(store))
    meter = Meter(settings.budget, spent(store))
    worker = Worker(settings, model, toolbox, store.append, Live(store.path))
    return LocalExecutor(worker, meter)


class _Batch:
    """The loop of a batch: it starts attempts and records those that have ended."""

    def __init__(
        self,
        store: RunWriter,
        settings: RunSettings,
        plan: Plan,
        executor: Executor,
        on_progress: BatchProgress,
        on_note: Callable[[str], None],
        on_attempt: Callable[[str], None],
        breaker: CircuitBreaker,
    ) -> None:
        self._store, self._settings, self._plan = store, settings, plan
        self._executor, self._on_progress, self._breaker = executor, on_progress, breaker
        self._running: dict[str, tuple[Job, float]] = {}  # with the monotonic time of the start
        self._on_note, self._on_attempt = on_note, on_attempt
        self._noted, self._heard, self._logs = set[str](), set[str](), set[str]()
        self._noting = Lock()
        self._lost = 0
        self._bug = ""  # traceback of the last one
        self._why = ""  # the last one was lost
        self._over: BudgetSpent | None = None

    def run(self) -> None:
        """Make all attempts. Raises ForagerError if some could not be made."""
        while self._begin() or self._running:
            for result in self._executor.ended(self._breaker.wait() or _LOOK_SECONDS):
                self._take(result)
                self._tell()
        if self._over:
            raise BudgetSpent(f"{self._over}; raise it in the budget and run again to go on")
        if self._plan.given_up:
            raise LoggedError(
                f"{self._plan.given_up} attempts were lost to infrastructure, the last because "
                f"{self._why}; see {self._store.path / 'infrastructure.jsonl'}, and run again to "
                "make them",
                self._bug,
            )

    def _begin(self) -> bool:
        """Start as many attempts as possible; return whether others have to wait."""
        while len(self._running) < self._settings.workers and not self._over:
            if self._breaker.wait():
                return True
            job = self._plan.take()
            if job is None:
                return False
            if not self._may_begin() or not self._executor.place(job):
                self._plan.put_back(job)
                return not self._over
            self._running[job.id] = job, time.monotonic()
            self._breaker.begun()
        if not self._over and not self._breaker.wait():
            self._executor.expect(self._plan.peek())
        return False

    def _may_begin(self) -> bool:
        try:
            self._executor.check()
        except BudgetSpent as error:
            self._over = error
        return not self._over

    def _take(self, result: JobResult) -> None:
        """Count an attempt that was stored, or record a lost one."""
        job, begun = self._running.pop(result.id)
        if result.summary:
            self._plan.finish(result.summary)
            self._on_attempt(job.id)
            self._breaker.passed(begun)
            if result.refusal:
                self._note(f"{job.id}: ", f"the server refused to continue: {result.refusal}")
            cause, log = result.bug
            if log:
                self._note(f"{job.id}: failed: ", cause, log)
            return
        assert result.error is not None
        error = foreseen(result.error)
        if isinstance(error, (StoreError, UsageError)):
            raise error
        model = self._settings.model_of(job.number)
        self._store.append_lost(job.id, error, model, result.usage)
        if isinstance(error, BudgetSpent):
            self._over = error
            return
        self._lost += 1
        self._why = ending(str(error))
        log = error.log if isinstance(error, Unforeseen) else ""
        self._bug = log or self._bug
        self._note(f"{job.id}: lost: ", str(error), log)
        if isinstance(error, TaskError):
            self._plan.give_up()
            return
        self._plan.again(job, counts=not self._breaker.is_on)
        if not isinstance(error, NodeLost):
            self._breaker.lost(begun, error)

    def hear(self, fault: str, log: str = "") -> None:
        """Note that a request failed and is made again, or a bug; threads call this."""
        self._note("", fault, log)

    def _note(self, who: str, words: str, log: str = "") -> None:
        """Note new words, with the lines that explain them."""
        with self._noting:
            noted = self._noted if who else self._heard  # faults must not hide what is lost
            if words in noted or len(noted) >= _WORDINGS:
                return
            noted.add(words)
            known = log in self._logs
            self._logs.add(log)
        self._on_note(f"{who}{words}")
        if log and not known:
            self._on_note(log.rstrip())

    def _tell(self) -> None:
        self._on_progress(
            self._plan.done,
            resolved=self._plan.resolved,
            running=len(self._running),
            failed=self._lost,
            tokens=self._plan.tokens,
        )


def spent(store: RunWriter) -> dict[str, Usage]:
    """What the run has cost so far, by model, lost attempts included."""
    total: dict[str, Usage] = {}
    for kept in store.summaries():
        usage = Usage(prompt_tokens=kept.prompt_tokens, completion_tokens=kept.completion_tokens)
        total[kept.model] = total.get(kept.model, Usage()) + usage
    for lost in store.lost():
        total[lost.model] = total.get(lost.model, Usage()) + lost.usage
    return total
