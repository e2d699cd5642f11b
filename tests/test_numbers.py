"""What forager computes without scipy, so that its installation stays small."""

import pytest

from forager.evaluation.student import student_quantile
from forager.minhash import minhash


@pytest.mark.parametrize(
    ("degrees", "probability", "expected"),
    [  # by scipy.special.stdtrit
        (1, 0.975, 12.706204736174694),
        (2, 0.975, 4.302652729749462),
        (10, 0.975, 2.228138851986274),
        (30, 0.95, 1.697260886593957),
        (1000, 0.995, 2.580754698065951),
        (10, 0.025, -2.228138851986274),
        (1, 0.9999, 3183.098757118502),
        (1_000_000, 0.975, 1.9599663568141064),
    ],
)
def test_quantiles_of_student(degrees: int, probability: float, expected: float) -> None:
    """As scipy computes them."""
    assert student_quantile(probability, degrees) == pytest.approx(expected, abs=1e-8)


def test_signatures_are_those_that_are_stored() -> None:
    """As datasketch computes them: a list of signatures ships with forager."""
    expected = [
        *(236739043, 1878127396, 592980332, 3591305597),
        *(1251741840, 1451184092, 1526579422, 231744912),
    ]
    assert minhash([b"a", b"b"], 8).tolist() == expected
    many = [str(number).encode() for number in range(9000)]
    halves = [minhash(many[at : at + 4500], 8) for at in (0, 4500)]
    assert minhash(many, 8).tolist() == [min(pair) for pair in zip(*halves, strict=True)]
    assert set(minhash([], 8).tolist()) == {0xFFFFFFFF}
