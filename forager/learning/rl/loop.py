"""`forager rl`: attempts with the current weights, steps from graded groups, new weights.

    draw ─▶ attempts ─▶ graded ─▶ group closes ─▶ queue ─▶ batch ─▶ step ─▶ new weights

One thread, this one, writes the ledger; attempts are made by others. What a killed process had not
noted is found in the run of the attempts, or made again.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.errors import StoreError, TaskError, TrainingError
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.rl import closing
from forager.learning.rl.admission import Admission
from forager.learning.rl.batches import write_batch
from forager.learning.rl.curriculum import Curriculum
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.learner import Learner
from forager.learning.rl.ledger import (
    LOSSES,
    BatchedEntry,
    Book,
    DroppedEntry,
    GroupState,
    LostEntry,
    RlLedger,
    StartedEntry,
    TrainedEntry,
)
from forager.learning.rl.rewards import reward_named, reward_of
from forager.learning.rl.rollouts import EndedAttempt, Rollouts
from forager.learning.rl.sampler import GatedModels, Sampler, VersionGate
from forager.learning.rl.settings import RlSettings
from forager.learning.saved import digest
from forager.learning.train.samples import manifest
from forager.rollout.breaker import HOLD_SECONDS, CircuitBreaker
from forager.rollout.live import Live, clear
from forager.rollout.local import LocalExecutor
from forager.rollout.meter import Meter
from forager.rollout.settings import MAY_CHANGE as MAY_CHANGE_IN_RUNS
from forager.rollout.worker import Worker
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run, RunWriter

_LOOK_SECONDS = 0.05
_FRUITLESS = 100  # batches of groups without variance, one behind another, after which to give up
_STEP, _LOAD = "step", "load"  # why requests are held back


class RlProgress(Protocol):
    """A callback that is called while a run goes on."""

    def __call__(self, done: int, **counts: float) -> None:
        """Report finished steps, and the latest counts."""
        ...


class Reinforcement:
    """A run in its directory; `run` goes on until all steps are trained.

    With `overlap`, attempts go on while a step is computed. `evaluate` is called with the number
    of finished steps: before the first step, and after each one.
    """

    _ledger: RlLedger  # these are opened by `run`, and closed at its end
    _book: Book
    _learner: Learner
    _store: RunWriter
    _rollouts: Rollouts
    _admission: Admission

    def __init__(
        self,
        settings: RlSettings,
        tasks: Sequence[Task],
        layout: RlLayout,
        base: Path,
        sampler: Sampler,
        toolbox: Toolbox,
        *,
        overlap: bool = False,
        on_progress: RlProgress = lambda *_, **__: None,
        on_note: Callable[[str], None] = lambda _: None,
        evaluate: Callable[[int, GatedModels], None] = lambda *_: None,
        hold: float = HOLD_SECONDS,
    ) -> None:
        self._settings, self._layout, self._base = settings, layout, base
        self._tasks = {task.instance_id: task for task in tasks}
        self._sampler, self._toolbox, self._overlap = sampler, toolbox, overlap
        self._on_progress, self._on_note, self._evaluate = on_progress, on_note, evaluate
        self._reward = reward_named(settings.reward.function)
        self._tokenizer = Tokenizer(base)
        self._gate, self._breaker = VersionGate(), CircuitBreaker(hold)
        self._kept: dict[str, tuple[Trajectory, float | None]] = {}  # stored, and not noted yet
        self._fruitless = self._sampled = 0
        self._last_reward = 0.0
        self._began = time.monotonic()

    def run(self) -> None:
        """Train all steps. Raises ForagerError."""
        settings, layout, tasks = self._settings, self._layout, list(self._tasks.values())
        curriculum = Curriculum(tasks, settings.curriculum, settings.stages, settings.seed)
        with ExitStack() as stack:
            self._ledger = RlLedger(layout.ledger, curriculum)
            stack.callback(self._ledger.close)
            self._book = self._ledger.book
            self._learner = stack.enter_context(Learner(layout.training, self._base, settings))
            self._check_weights()
            self._load()
            run = settings.run_settings(self._sampler.urls)
            self._store = stack.enter_context(
                Run.write(layout.attempts, run, tasks, may_change=MAY_CHANGE_IN_RUNS)
            )
            clear(layout.attempts)
            models = GatedModels(self._sampler, run, self._gate)
            live = Live(layout.attempts)
            worker = Worker(run, models, self._toolbox, self._keep, live)
            executor = stack.enter_context(LocalExecutor(worker, Meter(run.budget)))
            stack.callback(self._gate.stop)
            self._rollouts = Rollouts(executor, run.workers, self._breaker)
            self._take_over()
            self._admission = Admission(self._ledger, self._tasks, settings, self._rollouts)
            self._steps(models)
            self._learner.wait_for_model()

    def _steps(self, models: GatedModels) -> None:
        self._evaluate(self._book.step, models)
        while self._book.step < self._settings.steps:
            if not (self._book.pending or self._batch()) or self._overlap:
                self._place()
            for ended in self._rollouts.ended(_LOOK_SECONDS):
                self._take(ended)
            self._close_groups()
            if self._trained():
                self._evaluate(self._book.step, models)
            self._tell()

    def _take_over(self) -> None:
        """Note the attempts that were stored and not noted, and rebuild a batch that is lacking."""
        with self._store.index() as index:
            for group in self._book.open:
                for attempt, state in group.attempts.items():
                    missing = state.status not in ("graded", "dropped")
                    if missing and index.matching(attempt) == [attempt]:
                        stored = index.get(attempt)
                        self._note_graded(group, stored, self._reward_of(stored))
        if self._book.pending:
            self._begin_step()

    def _place(self) -> None:
        """Start attempts while workers are free: of groups that lack some, else of a new one."""
        while self._rollouts.is_free and (found := self._admission.next()):
            job, group = found
            self._ledger.append(StartedEntry(group=group, attempt=job.id))
            self._rollouts.place(job, group)

    def _keep(self, attempt: Trajectory) -> None:
        """Store an attempt and compute its reward; workers call this, so it may take long."""
        self._store.append(attempt)
        self._kept[attempt.id] = attempt, self._reward_of(attempt)

    def _reward_of(self, attempt: Trajectory) -> float | None:
        return reward_of(self._reward, self._tasks[attempt.instance_id], attempt)

    def _take(self, ended: EndedAttempt) -> None:
        """Note an attempt that was graded, or lost."""
        group, attempt = self._book.groups[ended.group], ended.result.id
        if ended.error is None:
            self._note_graded(group, *self._kept.pop(attempt))
            return
        self._store.append_lost(attempt, ended.error, usage=ended.result.usage)
        reason = str(ended.error)[:500]
        self._on_note(f"{attempt}: lost: {reason}")
        self._ledger.append(
            LostEntry(group=group.number, attempt=attempt, reason=reason, counts=ended.counts)
        )
        if group.attempts[attempt].losses >= LOSSES or isinstance(ended.error, TaskError):
            reason = closing.LOST_OFTEN
            self._ledger.append(DroppedEntry(group=group.number, attempt=attempt, reason=reason))

    def _note_graded(self, group: GroupState, attempt: Trajectory, reward: float | None) -> None:
        """Note an attempt that is stored."""
        self._ledger.append(closing.graded(group, attempt, reward))
        self._sampled += attempt.usage.completion_tokens

    def _close_groups(self) -> None:
        """Close the groups that are complete, or late and have two graded attempts."""
        for group in self._book.open:
            if self._admission.is_late(group):
                for entry in list(closing.late(group)):
                    self._ledger.append(entry)
                    self._rollouts.leave(entry.attempt)
            if group.over:
                self._admission.closed(group)
                self._close(group)

    def _close(self, group: GroupState) -> None:
        entry = closing.closed(group, self._settings)
        rewards = [attempt.reward for attempt in group.graded]
        if rewards:
            self._last_reward += 0.1 * (sum(rewards) / len(rewards) - self._last_reward)
        self._ledger.append(entry)
        self._fruitless = self._fruitless + 1 if isinstance(entry, DroppedEntry) else 0
        if (
            isinstance(entry, DroppedEntry)
            and self._fruitless >= _FRUITLESS * self._settings.groups
        ):
            raise TrainingError(
                f"the last {self._fruitless} groups gave nothing to learn from (the last one: "
                f"{entry.reason}); take tasks that the policy solves sometimes"
            )

    def _batch(self) -> bool:
        """Choose the groups of the next step, if enough wait; return whether there is a step."""
        for entry in list(closing.stale(self._book, self._settings.staleness)):
            self._ledger.append(entry)
        queue = self._book.queue[: self._settings.groups]
        if len(queue) < self._settings.groups:
            return False
        chosen = [group.number for group in queue]
        self._ledger.append(BatchedEntry(step=self._book.step + 1, groups=chosen))
        self._begin_step()
        return True

    def _begin_step(self) -> None:
        """Hand the pending batch to the learner."""
        pending = self._book.pending
        assert pending
        if not self._overlap:
            self._gate.close(_STEP)
        groups = [self._book.groups[number] for number in pending.groups]
        path = self._learner.batch(pending.step)
        write_batch(path, groups, self._layout.attempts, self._tokenizer)

    def _trained(self) -> bool:
        """Note the step that is done, and load its weights."""
        pending = self._book.pending
        made = pending and self._learner.metrics(pending.step)
        if not pending or not made:
            return False
        step = pending.step
        batch = manifest(self._learner.batch(step)).digest
        model = digest(self._learner.model(step))
        self._ledger.append(TrainedEntry(step=step, loss=made.loss, batch=batch, model=model))
        self._load()
        self._gate.open(_STEP)
        self._learner.forget(step)
        return True

    def _check_weights(self) -> None:
        """Wait until the weights of the last step are there.

        Raises StoreError if they are not those that the ledger names.
        """
        step = self._book.step
        if not step:
            return
        self._learner.wait(step)
        path = self._learner.model(step)
        if digest(path) != self._book.model:
            raise StoreError(f"{path} has changed since it was trained; delete it, and run again")

    def _load(self) -> None:
        """Load the weights of the last step, between requests."""
        step = self._book.step
        self._gate.close(_LOAD)
        try:
            self._sampler.load(self._learner.model(step) if step else self._base, step)
            self._gate.version = step
        finally:
            self._gate.open(_LOAD)

    def _tell(self) -> None:
        book = self._book
        seconds = max(time.monotonic() - self._began, 1e-3)
        self._on_progress(
            book.step,
            reward=round(self._last_reward, 2),
            lag=book.lag,
            running=len(self._rollouts),
            waiting=len(book.queue),
            dropped=sum(book.dropped.values()),
            **{"tokens/s": round(self._sampled / seconds)},
        )
