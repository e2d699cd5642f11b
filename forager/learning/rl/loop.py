"""`forager rl`: attempts with the current weights, steps from graded groups, new weights.

    draw ─▶ attempts ─▶ graded ─▶ group closes ─▶ queue ─▶ batch ─▶ step ─▶ new weights

One thread, this one, writes the ledger; attempts are made by others. What a killed process had not
noted is found in the run of the attempts, or made again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from forager.errors import TaskError, TrainingError
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.rl import closing
from forager.learning.rl.admission import Admission
from forager.learning.rl.batches import write_batch
from forager.learning.rl.graded import GradedAttempts
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
from forager.learning.rl.rollouts import EndedAttempt, Rollouts
from forager.learning.rl.settings import RlSettings
from forager.learning.rl.weights import PolicyWeights
from forager.learning.saved import digest
from forager.learning.train.run import TrainingProgress
from forager.learning.train.samples import manifest
from forager.trajectories.record import Trajectory
from forager.trajectories.store import RunWriter

_LOOK_SECONDS = 0.05
_FRUITLESS = 100  # batches of groups without variance, one behind another, after which to give up
_STEP = "step"  # why requests are held back


@dataclass
class RlLoop:
    """The opened parts of a run (see `reinforce`), and what happens between them.

    `evaluate` is called with the number of finished steps: before the first step, and after each.
    """

    settings: RlSettings
    ledger: RlLedger
    learner: Learner
    weights: PolicyWeights
    store: RunWriter
    graded: GradedAttempts
    rollouts: Rollouts
    admission: Admission
    tokenizer: Tokenizer
    overlap: bool
    on_progress: TrainingProgress
    on_note: Callable[[str], None]
    evaluate: Callable[[int], None]
    _fruitless: int = 0
    _sampled: int = 0
    _last_reward: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    @property
    def book(self) -> Book:
        """The state of the ledger."""
        return self.ledger.book

    def run(self) -> None:
        """Go on until all steps are trained. Raises ForagerError."""
        self._take_over()
        self.evaluate(self.book.step)
        while self.book.step < self.settings.steps:
            if not (self.book.pending or self._batch()) or self.overlap:
                self._place()
            for ended in self.rollouts.ended(_LOOK_SECONDS):
                self._take(ended)
            self._close_groups()
            if self._trained():
                self.evaluate(self.book.step)
            self._tell()

    def _take_over(self) -> None:
        """Note the attempts that were stored and not noted, and rebuild a batch that is lacking."""
        with self.store.index() as index:
            for group in self.book.open:
                for attempt, state in group.attempts.items():
                    missing = state.status not in ("graded", "dropped")
                    if missing and index.matching(attempt) == [attempt]:
                        stored = index.get(attempt)
                        self._note_graded(group, stored, self.graded.reward(stored))
        if self.book.pending:
            self._begin_step()

    def _place(self) -> None:
        """Start attempts while workers are free: of groups that lack some, else of a new one."""
        while self.rollouts.is_free and (found := self.admission.next()):
            job, group = found
            self.ledger.append(StartedEntry(group=group, attempt=job.id))
            self.rollouts.place(job, group)

    def _take(self, ended: EndedAttempt) -> None:
        """Note an attempt that was graded, or lost; a late one is noted already."""
        if ended.late:
            self.graded.forget(ended.result.id)
            return
        group, attempt = self.book.groups[ended.group], ended.result.id
        if ended.error is None:
            self._note_graded(group, *self.graded.take(attempt))
            return
        self.store.append_lost(attempt, ended.error, usage=ended.result.usage)
        reason = str(ended.error)[:500]
        self.on_note(f"{attempt}: lost: {reason}")
        self.ledger.append(
            LostEntry(group=group.number, attempt=attempt, reason=reason, counts=ended.counts)
        )
        if group.attempts[attempt].losses >= LOSSES or isinstance(ended.error, TaskError):
            reason = closing.LOST_OFTEN
            self.ledger.append(DroppedEntry(group=group.number, attempt=attempt, reason=reason))

    def _note_graded(self, group: GroupState, attempt: Trajectory, reward: float | None) -> None:
        """Note an attempt that is stored."""
        self.ledger.append(closing.graded(group, attempt, reward))
        self._sampled += attempt.usage.completion_tokens

    def _close_groups(self) -> None:
        """Close the groups that are complete, or late and have two graded attempts."""
        for group in self.book.open:
            if self.admission.is_late(group):
                for entry in list(closing.late(group)):
                    self.ledger.append(entry)
                    self.rollouts.leave(entry.attempt)
            if group.over:
                self.admission.closed(group)
                self._close(group)

    def _close(self, group: GroupState) -> None:
        entry = closing.closed(group, self.settings)
        rewards = [attempt.reward for attempt in group.graded]
        if rewards:
            self._last_reward += 0.1 * (sum(rewards) / len(rewards) - self._last_reward)
        self.ledger.append(entry)
        self._fruitless = self._fruitless + 1 if isinstance(entry, DroppedEntry) else 0
        if isinstance(entry, DroppedEntry) and self._fruitless >= _FRUITLESS * self.settings.groups:
            raise TrainingError(
                f"the last {self._fruitless} groups gave nothing to learn from (the last one: "
                f"{entry.reason}); take tasks that the policy solves sometimes"
            )

    def _batch(self) -> bool:
        """Choose the groups of the next step, if enough wait; return whether there is a step."""
        for entry in list(closing.stale(self.book, self.settings.staleness)):
            self.ledger.append(entry)
        queue = self.book.queue[: self.settings.groups]
        if len(queue) < self.settings.groups:
            return False
        chosen = [group.number for group in queue]
        self.ledger.append(BatchedEntry(step=self.book.step + 1, groups=chosen))
        self._begin_step()
        return True

    def _begin_step(self) -> None:
        """Hand the pending batch to the learner."""
        pending = self.book.pending
        assert pending
        if not self.overlap:
            self.weights.gate.close(_STEP)
        groups = [self.book.groups[number] for number in pending.groups]
        path = self.learner.batch(pending.step)
        write_batch(path, groups, self.store.path, self.tokenizer)

    def _trained(self) -> bool:
        """Note the step that is done, and load its weights."""
        pending = self.book.pending
        made = pending and self.learner.metrics(pending.step)
        if not pending or not made:
            return False
        step = pending.step
        batch = manifest(self.learner.batch(step)).digest
        model = digest(self.learner.model(step))
        self.ledger.append(TrainedEntry(step=step, loss=made.loss, batch=batch, model=model))
        self.weights.load(step)
        self.weights.gate.open(_STEP)
        self.learner.forget(step)
        return True

    def _tell(self) -> None:
        book = self.book
        seconds = max(time.monotonic() - self._began, 1e-3)
        self.on_progress(
            book.step,
            reward=round(self._last_reward, 2),
            lag=book.lag,
            running=len(self.rollouts),
            waiting=len(book.queue),
            dropped=sum(book.dropped.values()),
            **{"tokens/s": round(self._sampled / seconds)},
        )
