"""Quantiles of Student's t distribution, without scipy, which takes 145 MB."""

from math import exp, inf, lgamma, log, sqrt

_STEPS = 200
_TINY = 1e-300
_ENOUGH = 1e-15


def student_quantile(probability: float, degrees: int) -> float:
    """The t below which this share of the distribution lies (0 < probability < 1).

    Right to 1e-8. It halves an interval, since the distribution is monotonic.
    """
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while student_share(high, degrees) < probability and high < inf:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if student_share(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def student_share(t: float, degrees: int) -> float:
    """The share of the distribution below t, for t ≥ 0."""
    return 1 - _beta_share(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function (Press et al., Numerical Recipes, section 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)
    return exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the beta function, by Lentz's method."""
    upper, lower = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = lower
    for m in range(1, int(_STEPS + 5 * sqrt(max(a, b)))):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            lower = 1 / _away(1 + term * lower)
            upper = _away(1 + term / upper)
            found *= lower * upper
        if abs(lower * upper - 1) < _ENOUGH:
            break
    return found


def _away(value: float) -> float:
    """The value, kept away from zero."""
    return value if abs(value) > _TINY else _TINY
