"""What a run tells its trackers: each attempt, in the order in which trackers get to know it."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from forager.errors import StoreError
from forager.tracking.tracking import Tracking
from forager.trajectories.index import Index
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run


def follow(tracking: Tracking, run: Run) -> None:
    """Give trackers the attempts of a run that they lack."""
    if not tracking.active:
        return
    with run.index() as index:
        for id in filter(tracking.lacks_attempt, index.ids()):
            _give(tracking, index, id, attempt_values)


def follow_attempt(
    tracking: Tracking,
    run: Run,
    id: str,
    values: Callable[[Trajectory], Mapping[str, float]] | None = None,
) -> None:
    """Give trackers an attempt that the run stores, with `attempt_values` unless others are given.

    One that damage took is left out.
    """
    if not tracking.lacks_attempt(id):
        return
    with run.index() as index:
        if index.matching(id) == [id]:
            _give(tracking, index, id, values or attempt_values)


def _give(
    tracking: Tracking,
    index: Index,
    id: str,
    values: Callable[[Trajectory], Mapping[str, float]],
) -> None:
    with suppress(StoreError):  # a damaged record, which other verbs name
        attempt = index.get(id)
        tracking.log_attempt(attempt, values(attempt))


def follow_result(tracking: Tracking, values: Mapping[str, float], attempts: int) -> None:
    """Give trackers the result of an evaluation after so many attempts, such as pass@k."""
    named = {name.replace("@", "_at_"): value for name, value in values.items()}
    shown = " ".join(f"{name}={value:.6g}" for name, value in named.items())
    tracking.log(f"result of {attempts}: {shown}", attempts, named)


def attempt_values(attempt: Trajectory) -> dict[str, float]:
    """The numbers of an attempt."""
    outcome, usage = attempt.outcome, attempt.usage
    return {
        "resolved": float(outcome.resolved),
        "reward": outcome.reward,
        "turns": float(attempt.turns),
        "seconds": attempt.timings.total,
        "prompt_tokens": float(usage.prompt_tokens),
        "completion_tokens": float(usage.completion_tokens),
    }
