"""What the ledger, the metrics and the evaluations of a run say about each step."""

from collections import Counter
from dataclasses import dataclass, field

from forager.evaluation.estimates import Estimate, estimate
from forager.learning.bootstrap.manifest import success_by_task
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import (
    BatchedEntry,
    DroppedEntry,
    Entry,
    GradedEntry,
    TrainedEntry,
    entries,
)
from forager.learning.train.metrics import MetricsReader
from forager.learning.train.settings import StepMetrics
from forager.trajectories.store import Run, is_run


@dataclass
class StepCount:
    """What the ledger says between two steps, and the metrics of the step that ended it."""

    step: int = 0
    graded: list[GradedEntry] = field(default_factory=list)
    lag: int = 0
    metrics: StepMetrics | None = None


class StepCounter:
    """Counts the entries of a ledger, one after another."""

    def __init__(self, layout: RlLayout) -> None:
        self.drops: Counter[str] = Counter()
        """How much was dropped, by reason."""
        self._reader = MetricsReader(layout.training)
        self._metrics: dict[int, StepMetrics] = {}
        self._current = StepCount()
        self._waiting: dict[int, dict[str, GradedEntry]] = {}  # attempts by group

    def take(self, entry: Entry) -> StepCount | None:
        """Count an entry; return the step that it ends, if it does."""
        match entry:
            case GradedEntry():
                self._current.graded.append(entry)
                self._waiting.setdefault(entry.group, {})[entry.attempt] = entry
            case DroppedEntry():
                what = "attempt: " if entry.attempt else "group: "
                self.drops[what + entry.reason] += 1
                if entry.attempt:
                    self._waiting.get(entry.group, {}).pop(entry.attempt, None)
            case BatchedEntry():
                self._current.lag = self._lag(entry)
            case TrainedEntry():
                return self._ended(entry.step)
            case _:
                pass
        return None

    def _lag(self, entry: BatchedEntry) -> int:
        groups = (self._waiting.pop(group) for group in entry.groups)
        oldest = [graded.oldest for group in groups for graded in group.values()]
        return entry.step - 1 - min(oldest, default=entry.step - 1)

    def _ended(self, step: int) -> StepCount:
        self._metrics |= {made.step: made for made in self._reader.new()}
        ended, self._current = self._current, StepCount()
        ended.step, ended.metrics = step, self._metrics.pop(step, None)
        return ended


def counted(layout: RlLayout) -> tuple[list[StepCount], Counter[str]]:
    """What the ledger says for each trained step, and how much was dropped, by reason."""
    counter = StepCounter(layout)
    ended = map(counter.take, entries(layout.ledger) if layout.ledger.exists() else ())
    return [step for step in ended if step], counter.drops


def evaluations(layout: RlLayout) -> dict[int, dict[str, float]]:
    """The pass rate of each held-out task, by the step after which it was evaluated."""
    found = {}
    for path in sorted((layout.run / "evaluations").glob("[0-9]*")):
        if is_run(path) and (rates := success_by_task(Run(path))):
            found[int(path.name)] = rates
    return found


def success(rates: dict[str, float]) -> Estimate:
    """The mean pass rate with its interval, each task by itself."""
    return estimate(rates, {task: task for task in rates})
