import math

import pytest
from tally import testing
from tally.amounts import convert, deviation, median, rates, ratio


@pytest.mark.parametrize(
    ("amount", "currency", "expected"), [(100, "USD", 125), (100, "GBP", 80), (3, "USD", 4)]
)
def test_convert(amount, currency, expected):
    assert convert(amount, currency) == expected


def test_rates():
    assert rates()["EUR"] == 1


def test_ratio_close():
    assert math.isclose(ratio(1, 4), 0.25)


def test_ratio_approx():
    assert ratio(3, 8) == pytest.approx(0.375)


def test_ratio_of_nothing():
    assert ratio(1, 0) == 0


def test_deviation():
    testing.assert_close(deviation([1, 2, 6]), 2.0)


def test_deviation_of_one():
    testing.assert_close(deviation([5]), 0.0)


def test_median():
    assert median([3, 1, 2]) == 2
