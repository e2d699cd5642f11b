import pytest
from tally.amounts import BadAmount, bounds, is_round, parse, split


def test_split_even():
    assert split(90, 3) == [30, 30, 30]


def test_split_uneven():
    assert split(100, 3) == [34, 33, 33]


def test_split_keeps_the_sum():
    assert sum(split(101, 7)) == 101


def test_parse():
    assert parse(" 12.34 ") == 1234


def test_parse_whole():
    assert parse("7") == 700


def test_parse_word():
    with pytest.raises(BadAmount):
        parse("seven")


def test_parse_one_digit():
    with pytest.raises(BadAmount):
        parse("1.5")


def test_parse_message():
    with pytest.raises(BadAmount, match="seven"):
        parse("seven")


def test_bounds():
    assert bounds([3, 1, 2]) == (1, 3)


def test_bounds_in_order():
    low, high = bounds([5, 9, 7])
    assert low < 6
    assert high > 8


def test_is_round():
    assert is_round(700)
    assert not is_round(705)
