"""Shares of success with their intervals, and what one model is better by than another.

Tasks are a sample of the bugs that could have been drawn, and those in one function are alike: so
standard errors are clustered, and two models are compared task by task (E. Miller, *Adding Error
Bars to Evals*, arXiv 2411.00640, sections 2.2 and 4).
"""

from collections import defaultdict
from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist, fmean

from forager.records import Record


class Estimate(Record):
    """A mean over tasks, and the ends of its interval."""

    mean: float
    low: float
    high: float
    tasks: int


def estimate(
    values: Mapping[str, float], clusters: Mapping[str, str], confidence: float = 0.95
) -> Estimate:
    """The mean of a value of each task, with its interval by standard errors over clusters.

    `clusters` names what a task belongs to, a function say. No tasks: (0, 0, 0).
    """
    if not values:
        return Estimate(mean=0.0, low=0.0, high=0.0, tasks=0)
    mean = fmean(values.values())
    sums: defaultdict[str, float] = defaultdict(float)
    for task, value in values.items():
        sums[clusters[task]] += value - mean
    half = sqrt(sum(each * each for each in sums.values())) / len(values)
    half *= NormalDist().inv_cdf((1 + confidence) / 2)
    return Estimate(mean=mean, low=mean - half, high=mean + half, tasks=len(values))


def difference(
    candidate: Mapping[str, float],
    current: Mapping[str, float],
    clusters: Mapping[str, str],
    confidence: float = 0.95,
) -> Estimate:
    """By how much the candidate's success is higher, over the tasks that both have attempted."""
    both = {task: candidate[task] - current[task] for task in candidate if task in current}
    return estimate(both, clusters, confidence)
