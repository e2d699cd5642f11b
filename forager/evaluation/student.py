"""Quantiles of Student's t distribution, by mpmath: scipy would take 145 MB."""

from functools import cache
from statistics import NormalDist


@cache
def student_quantile(probability: float, degrees: int) -> float:
    """The t below which this share of the distribution lies (0 < probability < 1).

    Right to 1e-8. From the normal quantile, which is nearer to 0, Newton's method passes no root.
    """
    from mpmath import beta, findroot, mpf, quad, sqrt

    shape = mpf(degrees) / 2
    scale = 1 / (sqrt(degrees) * beta(shape, 0.5))

    def density(t: "mpf") -> "mpf":
        return scale * (1 + t * t / degrees) ** -(shape + 0.5)

    start = NormalDist().inv_cdf(probability)
    found = findroot(
        lambda t: quad(density, [0, t]) - (probability - 0.5), start, solver="newton", df=density
    )
    return float(found)
