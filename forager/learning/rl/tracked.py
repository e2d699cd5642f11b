"""What a run tells its trackers: each step, each evaluation, and its attempts to those that ask."""

from statistics import fmean

from forager.learning.rl.counting import StepCount, StepCounter
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import Entry, GradedEntry
from forager.learning.train.metrics import step_values
from forager.tracking.following import follow_attempt
from forager.tracking.tracking import Tracking
from forager.trajectories.store import Run, is_run


class TrackedLedger:
    """Reads along as the ledger is written."""

    def __init__(self, layout: RlLayout, tracking: Tracking) -> None:
        self._layout, self._tracking = layout, tracking
        self._counter = StepCounter(layout)

    def take(self, entry: Entry) -> None:
        """Give trackers what an entry says, if they lack it."""
        if ended := self._counter.take(entry):
            self._tracking.log(f"step {ended.step}", ended.step, values_of(ended))
        attempts = self._layout.attempts
        if isinstance(entry, GradedEntry) and self._tracking.traces and is_run(attempts):
            follow_attempt(self._tracking, Run(attempts), entry.attempt, lambda _: {})

    def evaluated(self, step: int, success: float) -> None:
        """Give trackers the share of held-out attempts that succeed after a step."""
        self._tracking.log(f"evaluation {step}", step, {"held_out": success})


def values_of(step: StepCount) -> dict[str, float]:
    """The numbers of a step: those of its training, and of the attempts graded before it."""
    values = step_values(step.metrics) if step.metrics else {}
    if step.graded:
        values["reward"] = fmean(graded.reward for graded in step.graded)
        values["solved"] = fmean(graded.resolved for graded in step.graded)
        values["tokens_per_attempt"] = fmean(graded.tokens for graded in step.graded)
    return {**values, "attempts": float(len(step.graded)), "lag": float(step.lag)}
