from kata.statistics import (
    above,
    below,
    bottom,
    count_above,
    count_above_mean,
    count_below,
    count_negatives,
    count_positives,
    count_zeros,
    deviations,
    doubled,
    evens,
    index_of_largest,
    index_of_smallest,
    largest,
    largest_absolute,
    mean,
    median,
    middle_of_range,
    mode,
    moving_average,
    normalized,
    odds,
    product,
    scaled,
    second_largest,
    second_smallest,
    share_above,
    shifted,
    smallest,
    smallest_absolute,
    spread,
    squares,
    sum_of_evens,
    sum_of_negatives,
    sum_of_odds,
    sum_of_positives,
    top,
    total,
    variance,
    weighted_mean,
    weighted_sum,
    within,
)


def test_total():
    assert total([1, 2, 3]) == 6
    assert total([]) == 0


def test_product():
    assert product([2, 3, 4]) == 24


def test_mean():
    assert mean([1, 2, 6]) == 3


def test_median():
    assert median([5, 1, 3]) == 3
    assert median([4, 1, 3, 2]) == 2.5


def test_mode():
    assert mode([1, 2, 2, 3]) == 2


def test_spread():
    assert spread([4, 9, 2]) == 7


def test_middle_of_range():
    assert middle_of_range([2, 9, 4]) == 5.5


def test_variance():
    assert variance([1, 3]) == 1
    assert variance([2, 2, 8]) == 8


def test_deviations():
    assert deviations([1, 2, 6]) == [-2, -1, 3]


def test_largest():
    assert largest([4, 9, 2]) == 9


def test_smallest():
    assert smallest([4, 9, 2]) == 2


def test_second_largest():
    assert second_largest([4, 9, 2, 7]) == 7


def test_second_smallest():
    assert second_smallest([4, 9, 2, 7]) == 4


def test_largest_absolute():
    assert largest_absolute([3, -7, 5]) == 7


def test_smallest_absolute():
    assert smallest_absolute([3, -7, -2]) == 2


def test_sum_of_positives():
    assert sum_of_positives([1, -2, 3]) == 4


def test_sum_of_negatives():
    assert sum_of_negatives([1, -2, -3]) == -5


def test_sum_of_evens():
    assert sum_of_evens([1, 2, 3, 4]) == 6


def test_sum_of_odds():
    assert sum_of_odds([1, 2, 3, 4, 5]) == 9


def test_count_positives():
    assert count_positives([1, 0, -2, 3]) == 2


def test_count_negatives():
    assert count_negatives([1, 0, -2]) == 1


def test_count_zeros():
    assert count_zeros([0, 1, 0, 2, 3]) == 2


def test_count_above():
    assert count_above([1, 5, 7, 9], 5) == 2


def test_count_below():
    assert count_below([1, 3, 5, 7], 5) == 2


def test_count_above_mean():
    assert count_above_mean([1, 2, 3, 10]) == 1
    assert count_above_mean([1, 2, 3]) == 1


def test_evens():
    assert evens([1, 2, 3, 4]) == [2, 4]


def test_odds():
    assert odds([1, 2, 3, 4]) == [1, 3]


def test_above():
    assert above([1, 5, 7], 5) == [7]


def test_below():
    assert below([1, 5, 7], 5) == [1]


def test_within():
    assert within([1, 2, 3, 4, 5], 2, 4) == [2, 3, 4]


def test_squares():
    assert squares([1, 2, 3]) == [1, 4, 9]


def test_doubled():
    assert doubled([1, 2, 3]) == [2, 4, 6]


def test_scaled():
    assert scaled([1, 2, 3], 4) == [4, 8, 12]


def test_shifted():
    assert shifted([1, 2, 3], 4) == [5, 6, 7]


def test_normalized():
    assert normalized([1, 2, 4]) == [0.25, 0.5, 1]


def test_index_of_largest():
    assert index_of_largest([4, 9, 2]) == 1


def test_index_of_smallest():
    assert index_of_smallest([4, 9, 2]) == 2


def test_top():
    assert top([4, 9, 2, 7], 2) == [9, 7]


def test_bottom():
    assert bottom([4, 9, 2, 7], 2) == [2, 4]


def test_weighted_sum():
    assert weighted_sum([1, 2], [10, 100]) == 210


def test_weighted_mean():
    assert weighted_mean([1, 4], [2, 1]) == 2


def test_moving_average():
    assert moving_average([1, 3, 5, 7], 2) == [2, 4, 6]


def test_share_above():
    assert share_above([1, 5, 7, 9], 5) == 0.5
