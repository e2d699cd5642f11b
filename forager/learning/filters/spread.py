"""Filters that spread attempts over tasks: caps per task and prompt, and a band of pass rates."""

import json
from collections.abc import Callable, Iterable

from pydantic import PositiveInt

from forager.agent import SERVERLESS
from forager.errors import UsageError
from forager.learning.filters.drawn import draw, holds, number, sorted_numbers
from forager.learning.filters.pipeline import Filter, Share, SummaryFilter, Survey
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import opening

Keeps = Callable[[str], bool]  # an attempt's id → whether it is kept


def per_task(survey: Survey, most: PositiveInt = 3, seed: int = 0) -> Filter:
    """Keep at most `most` attempts at each task, drawn by the seed."""
    keeps = _capped(
        ((attempt.instance_id, attempt.id) for attempt in survey.summaries()), most, seed
    )
    return SummaryFilter(lambda attempt: keeps(attempt.id))


def prompts(survey: Survey, most: PositiveInt = 1, seed: int = 0) -> Filter:
    """Keep at most `most` attempts that begin with the same messages, drawn by the seed."""
    keeps = _capped(
        ((_prompt(attempt), attempt.id) for attempt in survey.trajectories()), most, seed
    )
    return SummaryFilter(lambda attempt: keeps(attempt.id))


def pass_rate(
    survey: Survey, low: Share = 0.0, high: Share = 0.95, attempts: PositiveInt = 8
) -> Filter:
    """Keep attempts at tasks whose pass rate lies between `low` and `high`.

    The rate counts all attempts of the runs, even those that other filters drop, except those of
    `repair` and the oracle, which do not show how hard a task is for a model. Tasks with fewer than
    `attempts` attempts are kept.
    """
    if not low <= high:
        raise UsageError(f"no pass rate lies between {low} and {high}")
    outside = _outside(survey, low, high, attempts)
    return SummaryFilter(lambda attempt: not outside(attempt.instance_id))


def _capped(attempts: Iterable[tuple[str, str]], most: int, seed: int) -> Keeps:
    """Whether an id is among the `most` first drawn of its group; pairs are (group, id).

    Takes 16 bytes of memory per attempt.
    """
    import numpy

    pairs = (value for group, id in attempts for value in (number(group), draw(seed, id)))
    table = numpy.fromiter(pairs, dtype=numpy.uint64).reshape(-1, 2)
    table = table[numpy.lexsort((table[:, 1], table[:, 0]))]
    _, starts, counts = numpy.unique(table[:, 0], return_index=True, return_counts=True)
    places = numpy.arange(len(table)) - numpy.repeat(starts, counts)
    chosen = table[places < most, 1]
    chosen.sort()
    return lambda id: holds(chosen, draw(seed, id))


def _outside(survey: Survey, low: float, high: float, attempts: int) -> Keeps:
    """Whether a task's pass rate is outside the band; takes 9 bytes of memory per attempt."""
    import numpy

    tasks, passed = [], []
    for attempt in survey.everything():
        if attempt.model in SERVERLESS:
            continue
        tasks.append(number(attempt.instance_id))
        passed.append(attempt.resolved)
    names, groups, counts = numpy.unique(
        numpy.array(tasks, dtype=numpy.uint64), return_inverse=True, return_counts=True
    )
    rates = numpy.bincount(groups, weights=passed, minlength=len(names)) / numpy.maximum(counts, 1)
    wrong = names[(counts >= attempts) & ((rates < low) | (rates > high))]
    numbers = sorted_numbers(map(int, wrong))
    return lambda name: holds(numbers, number(name))


def _prompt(attempt: Trajectory) -> str:
    return json.dumps([opening(attempt), attempt.tools], sort_keys=True)
