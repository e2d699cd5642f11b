from kata.intervals import (
    center,
    contains,
    contains_inside,
    covers,
    earliest_start,
    fits,
    gap,
    hull,
    intersection,
    intersects,
    is_after,
    is_before,
    is_empty_interval,
    latest_end,
    length,
    longest_interval,
    merge_intervals,
    nearest_end,
    ordered,
    position_in,
    shift_interval,
    shrink,
    split_in_half,
    total_length,
    touches,
    widen,
)


def test_length():
    assert length((3, 8)) == 5


def test_center():
    assert center((3, 8)) == 5.5


def test_contains():
    assert contains((3, 8), 3)
    assert contains((3, 8), 8)
    assert not contains((3, 8), 9)
    assert not contains((3, 8), 2)


def test_contains_inside():
    assert contains_inside((3, 8), 4)
    assert not contains_inside((3, 8), 3)
    assert not contains_inside((3, 8), 8)


def test_covers():
    assert covers((1, 9), (1, 9))
    assert not covers((1, 9), (0, 5))
    assert not covers((1, 9), (5, 10))


def test_intersects():
    assert intersects((1, 3), (3, 5))
    assert intersects((3, 5), (1, 3))
    assert not intersects((1, 2), (3, 5))
    assert not intersects((3, 5), (1, 2))


def test_intersection():
    assert intersection((1, 5), (3, 9)) == (3, 5)


def test_hull():
    assert hull((1, 5), (3, 9)) == (1, 9)
    assert hull((3, 9), (1, 5)) == (1, 9)


def test_gap():
    assert gap((1, 3), (7, 9)) == 4
    assert gap((1, 5), (3, 9)) == 0


def test_shift_interval():
    assert shift_interval((1, 3), 4) == (5, 7)


def test_widen():
    assert widen((3, 8), 2) == (1, 10)


def test_shrink():
    assert shrink((3, 8), 2) == (5, 6)


def test_is_empty_interval():
    assert is_empty_interval((3, 2))
    assert not is_empty_interval((3, 3))


def test_ordered():
    assert ordered(5, 2) == (2, 5)
    assert ordered(2, 5) == (2, 5)


def test_is_before():
    assert is_before((1, 2), (3, 4))
    assert not is_before((1, 3), (3, 4))


def test_is_after():
    assert is_after((5, 6), (3, 4))
    assert not is_after((4, 6), (3, 4))


def test_touches():
    assert touches((1, 3), (3, 4))
    assert touches((3, 4), (1, 3))
    assert not touches((1, 3), (2, 4))


def test_split_in_half():
    assert split_in_half((2, 8)) == ((2, 5), (5, 8))


def test_total_length():
    assert total_length([(1, 3), (5, 9)]) == 6


def test_longest_interval():
    assert longest_interval([(9, 10), (1, 5), (6, 8)]) == (1, 5)


def test_earliest_start():
    assert earliest_start([(3, 4), (1, 9)]) == 1


def test_latest_end():
    assert latest_end([(3, 4), (1, 9), (10, 2)]) == 9


def test_merge_intervals():
    assert merge_intervals([(5, 7), (1, 3), (3, 4)]) == [(1, 4), (5, 7)]
    assert merge_intervals([(1, 9), (2, 3)]) == [(1, 9)]


def test_fits():
    assert fits((1, 4), 3)
    assert not fits((1, 4), 4)


def test_position_in():
    assert position_in((2, 6), 3) == 0.25


def test_nearest_end():
    assert nearest_end((2, 8), 4) == 2
    assert nearest_end((2, 8), 7) == 8
    assert nearest_end((2, 8), 5) == 8
