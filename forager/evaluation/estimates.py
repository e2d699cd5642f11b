"""Shares of success with their intervals, and what one model is better by than another.

Tasks are a sample of the bugs that could have been drawn, and those in one function are alike: so
standard errors are clustered, and two models are compared task by task (E. Miller, *Adding Error
Bars to Evals*, arXiv 2411.00640, sections 2.2 and 4). Of few clusters they are too short, so they
are taken by Student's t and with the usual correction (Cameron and Miller, *A Practitioner's Guide
to Cluster-Robust Inference*, Journal of Human Resources 50, 2015, section VI).
"""

from collections import defaultdict
from collections.abc import Mapping
from math import comb, sqrt
from statistics import fmean

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

    `clusters` names what a task belongs to, a function say. No tasks: (0, 0, 0). A single cluster
    tells nothing of others: one way and the other all is possible.
    """
    from scipy.special import stdtrit

    if not values:
        return Estimate(mean=0.0, low=0.0, high=0.0, tasks=0)
    mean = fmean(values.values())
    sums: defaultdict[str, float] = defaultdict(float)
    for task, value in values.items():
        sums[clusters[task]] += value - mean
    count, half = len(sums), 1.0
    if count > 1:
        reach = float(stdtrit(count - 1, (1 + confidence) / 2))
        spread = sum(each * each for each in sums.values()) * count / (count - 1)
        half = reach * sqrt(spread) / len(values)
        if len(set(values.values())) == 1:  # none of a few is not none at all: Wilson's other end
            half = reach**2 / (count + reach**2)
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


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    middle = share + z * z / (2 * trials)
    margin = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # The share lies within, also where rounding says that it does not.
    low, high = (middle - margin) / scale, (middle + margin) / scale
    return min(share, max(0.0, low)), max(share, min(1.0, high))


def pass_at_k(attempts: int, resolved: int, k: int) -> float:
    """The chance that one of k attempts resolves the task: the unbiased estimator.

    1 - C(n-c, k) / C(n, k), of Chen et al., Evaluating Large Language Models Trained on Code,
    arXiv 2107.03374, section 2.1. Needs k <= attempts.
    """
    return 1 - comb(attempts - resolved, k) / comb(attempts, k)
