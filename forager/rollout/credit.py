"""Credit by counterfactual replay: after which turn did success become rare?

A failed attempt is forked at several of its turns: a fresh sandbox repeats the turns before, and
the model goes on. The share of continuations that succeed estimates the value of the state before
that turn. What a turn is worth is the value after it minus the value before it. Between measured
turns values are interpolated; after the last turn the value is 0, because the attempt failed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import Field

from forager.errors import UsageError
from forager.records import Record
from forager.rollout.again import Parent
from forager.trajectories.record import Trajectory
from forager.trajectories.summary import Summary

CREDIT = "credit.jsonl"
"""The file of credits in the directory of the continuations."""
RARE = 0.2
"""Rate below which success counts as rare."""


class Continuation(NamedTuple):
    """An attempt to make: its number at the task, and what it continues."""

    number: int
    parent: Parent

    @property
    def id(self) -> str:
        """The id of the attempt."""
        return f"{self.parent.trajectory.instance_id}.{self.number}"


class ForkRate(Record):
    """Continuations from one turn."""

    turn: int = Field(description="First turn that the model made itself, from 1.")
    resolved: int
    attempts: int

    @property
    def rate(self) -> float:
        """The share that succeeded."""
        return self.resolved / self.attempts


class AttemptCredit(Record):
    """The turns of a failed attempt, with what they were worth."""

    id: str = Field(description="Of the failed attempt, in its run.")
    instance_id: str
    turns: int
    forks: list[ForkRate] = Field(description="The measured turns, in order.")
    values: list[float] = Field(
        description="Estimated chance of success before each turn, and 0 after the last."
    )
    advantages: list[float] = Field(description="Of each turn: the value after it minus before.")
    weights: list[float] = Field(
        description="Of each turn: the value after it, divided by the greatest value."
    )
    lost_from: int | None = Field(
        None, description="Last measured turn before which success was not rare; None if never."
    )
    lost_by: int | None = Field(
        None, description="Last turn that may have lost it: the next measured one is hopeless."
    )


def forks(turns: int, points: int) -> list[int]:
    """The turns to fork at: the first, the last, and others evenly between; at most `points`."""
    count = min(points, turns)
    if count < 2:
        return [1] if turns else []
    return sorted({1 + round(step * (turns - 1) / (count - 1)) for step in range(count)})


def continuations(
    run: str, failed: Iterable[Trajectory], points: int, samples: int
) -> Iterator[Continuation]:
    """The attempts to make, numbered for each task; the same run gives the same numbers."""
    numbers: Counter[str] = Counter()
    for attempt in failed:
        for turn in forks(attempt.turns, points):
            parent = Parent(f"{run}/{attempt.id}", attempt, turn)
            for _ in range(samples):
                yield Continuation(numbers[attempt.instance_id], parent)
                numbers[attempt.instance_id] += 1


def credits_of(
    failed: Iterable[Trajectory], jobs: Iterable[Continuation], made: Iterable[Summary]
) -> Iterator[AttemptCredit]:
    """The credit of each attempt that has continuations. Raises UsageError for those of another."""
    by_id = {job.id: job.parent for job in jobs}
    found: defaultdict[str, defaultdict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for summary in made:
        if parent := by_id.get(summary.id):
            if summary.parent != parent.name:
                raise UsageError(
                    f"{summary.id} continues {summary.parent}, not {parent.name}: the run has "
                    "other failed attempts now; choose another -o"
                )
            found[parent.trajectory.id][parent.turn].append(summary.resolved)
    for attempt in failed:
        rates = [
            ForkRate(turn=turn, resolved=sum(ends), attempts=len(ends))
            for turn, ends in sorted(found[attempt.id].items())
        ]
        if rates:
            yield credit_of(attempt.id, attempt.instance_id, attempt.turns, rates)


def credit_of(id: str, instance_id: str, turns: int, rates: Sequence[ForkRate]) -> AttemptCredit:
    """The credit of an attempt with these rates, which are in the order of their turns."""
    values = _values(turns, rates)
    greatest = max(values)
    likely = [number for number, fork in enumerate(rates) if fork.rate >= RARE]
    last = likely[-1] if likely else None
    ends = [*(fork.turn for fork in rates), turns + 1]
    return AttemptCredit(
        id=id,
        instance_id=instance_id,
        turns=turns,
        forks=list(rates),
        values=values,
        advantages=[round(after - before, 4) for before, after in pairwise(values)],
        weights=[round(value / greatest, 4) if greatest else 0.0 for value in values[1:]],
        lost_from=None if last is None else rates[last].turn,
        lost_by=None if last is None else ends[last + 1] - 1,
    )


def _values(turns: int, rates: Sequence[ForkRate]) -> list[float]:
    """The value before each turn and after the last, on straight lines between measurements."""
    import numpy

    measured = [*(fork.turn for fork in rates), turns + 1]
    values = [*(fork.rate for fork in rates), 0.0]
    found: list[float] = numpy.interp(range(1, turns + 2), measured, values).round(4).tolist()
    return found
