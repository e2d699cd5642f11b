"""Success rates with confidence intervals, and the difference of two models.

Tasks are a sample of possible bugs, and bugs in one function are alike. So standard errors are
clustered, and models are compared task by task (E. Miller, *Adding Error Bars to Evals*, arXiv
2411.00640, sections 2.2 and 4). With few clusters such intervals are too short; Student's t and the
usual correction widen them (Cameron and Miller, *A Practitioner's Guide to Cluster-Robust
Inference*, Journal of Human Resources 50, 2015, section VI).
"""

from collections import defaultdict
from collections.abc import Mapping
from math import comb, sqrt
from statistics import fmean

from forager.evaluation.student import student_quantile
from forager.records import Record


class Estimate(Record):
    """A mean over tasks with the ends of its confidence interval."""

    mean: float
    low: float
    high: float
    tasks: int


def estimate(
    shares: Mapping[str, float], clusters: Mapping[str, str], confidence: float = 0.95
) -> Estimate:
    """The mean of each task's share, with an interval from clustered standard errors.

    `clusters` maps tasks to clusters, for example to functions. Without tasks all numbers are 0.
    A single cluster says nothing about others, so its interval goes from 0 to 1.
    """
    found = _estimate(shares, clusters, confidence)
    return found.model_copy(update={"low": max(0.0, found.low), "high": min(1.0, found.high)})


def _estimate(
    values: Mapping[str, float], clusters: Mapping[str, str], confidence: float
) -> Estimate:
    if not values:
        return Estimate(mean=0.0, low=0.0, high=0.0, tasks=0)
    mean = fmean(values.values())
    sums: defaultdict[str, float] = defaultdict(float)
    for task, value in values.items():
        sums[clusters[task]] += value - mean
    count, half = len(sums), 1.0
    if count > 1:
        reach = student_quantile((1 + confidence) / 2, count - 1)
        spread = sum(deviation * deviation for deviation in sums.values()) * count / (count - 1)
        half = reach * sqrt(spread) / len(values)
        if len(set(values.values())) == 1:  # no variance in the sample: use Wilson's interval
            half = reach**2 / (count + reach**2)
    return Estimate(mean=mean, low=mean - half, high=mean + half, tasks=len(values))


def difference(
    candidate: Mapping[str, float],
    current: Mapping[str, float],
    clusters: Mapping[str, str],
    confidence: float = 0.95,
) -> Estimate:
    """How much higher the candidate's shares are, over the tasks that both attempted.

    A single cluster says nothing about others, so its interval is the mean ± 1.
    """
    both = {task: candidate[task] - current[task] for task in candidate if task in current}
    return _estimate(both, clusters, confidence)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share (95 % for the default z); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    middle = share + z * z / (2 * trials)
    margin = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # The share is inside the interval even if rounding moves it out.
    low, high = (middle - margin) / scale, (middle + margin) / scale
    return min(share, max(0.0, low)), max(share, min(1.0, high))


def pass_at_k(attempts: int, resolved: int, k: int) -> float:
    """The probability that one of k attempts resolves the task, by the unbiased estimator.

    1 - C(n-c, k) / C(n, k), from Chen et al., Evaluating Large Language Models Trained on Code,
    arXiv 2107.03374, section 2.1. Needs k <= attempts.
    """
    return 1 - comb(attempts - resolved, k) / comb(attempts, k)
