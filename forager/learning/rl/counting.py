"""What the ledger, the metrics and the evaluations of a run say about each step."""

from collections import Counter
from dataclasses import dataclass, field

from forager.evaluation.estimates import Estimate, estimate
from forager.learning.bootstrap.manifest import success_by_task
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import (
    BatchedEntry,
    DroppedEntry,
    GradedEntry,
    TrainedEntry,
    entries,
)
from forager.learning.train.settings import StepMetrics
from forager.records import read_records
from forager.trajectories.store import Run, is_run


@dataclass
class StepCount:
    """What the ledger says between two steps, and the metrics of the step that ended it."""

    step: int = 0
    graded: list[GradedEntry] = field(default_factory=list)
    lag: int = 0
    metrics: StepMetrics | None = None


def counted(layout: RlLayout) -> tuple[list[StepCount], Counter[str]]:
    """What the ledger says for each trained step, and how much was dropped, by reason."""
    metrics = layout.training / "metrics.jsonl"
    known = {
        made.step: made for made in (read_records(metrics, StepMetrics) if metrics.exists() else ())
    }
    steps, drops, current = list[StepCount](), Counter[str](), StepCount()
    waiting: dict[int, dict[str, GradedEntry]] = {}  # attempts by group
    for entry in entries(layout.ledger) if layout.ledger.exists() else ():
        match entry:
            case GradedEntry():
                current.graded.append(entry)
                waiting.setdefault(entry.group, {})[entry.attempt] = entry
            case DroppedEntry():
                drops[("group: " if not entry.attempt else "attempt: ") + entry.reason] += 1
                if entry.attempt:
                    waiting.get(entry.group, {}).pop(entry.attempt, None)
            case BatchedEntry():
                batch = [graded for group in entry.groups for graded in waiting.pop(group).values()]
                oldest = min((graded.oldest for graded in batch), default=entry.step - 1)
                current.lag = entry.step - 1 - oldest
            case TrainedEntry():
                current.step, current.metrics = entry.step, known.get(entry.step)
                steps.append(current)
                current = StepCount()
            case _:
                pass
    return steps, drops


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
