from kata.sets import (
    all_pairs,
    are_disjoint,
    common,
    common_to_all,
    count_common,
    count_distinct,
    discard_item,
    either,
    have_common,
    in_exactly_one,
    is_proper_subset,
    is_subset,
    is_superset,
    large_items,
    missing_numbers,
    only_in_first,
    only_in_second,
    overlap,
    repeated,
    seen_twice,
    similarity,
    small_items,
    toggle_item,
    union_of_all,
    unrepeated,
    with_item,
)


def test_common():
    assert common([1, 2, 3], [2, 3, 4]) == {2, 3}


def test_either():
    assert either([1, 2], [2, 3]) == {1, 2, 3}


def test_only_in_first():
    assert only_in_first([1, 2, 3], [2, 4]) == {1, 3}


def test_only_in_second():
    assert only_in_second([1, 2, 3], [2, 4]) == {4}


def test_in_exactly_one():
    assert in_exactly_one([1, 2, 3], [2, 4]) == {1, 3, 4}


def test_have_common():
    assert have_common([1, 2], [2, 3])
    assert not have_common([1, 2], [3, 4])


def test_are_disjoint():
    assert are_disjoint([1, 2], [3, 4])
    assert not are_disjoint([1, 2], [2, 3])


def test_is_subset():
    assert is_subset({1, 2}, {1, 2, 3})
    assert not is_subset({1, 4}, {1, 2, 3})


def test_is_superset():
    assert is_superset({1, 2, 3}, {1, 2})
    assert not is_superset({1, 2}, {1, 2, 3})


def test_is_proper_subset():
    assert is_proper_subset({1}, {1, 2})
    assert not is_proper_subset({1, 2}, {1, 2})
    assert not is_proper_subset({3}, {1, 2})


def test_count_common():
    assert count_common([1, 2, 3], [2, 3, 4, 5]) == 2


def test_count_distinct():
    assert count_distinct([1, 2, 1, 3]) == 3


def test_similarity():
    assert similarity({1, 2}, {2, 3, 4}) == 0.25


def test_overlap():
    assert overlap({1, 2}, {2, 3, 4, 5}) == 0.5


def test_with_item():
    assert with_item({1}, 2) == {1, 2}


def test_discard_item():
    assert discard_item({1, 2}, 2) == {1}


def test_toggle_item():
    assert toggle_item({1, 2}, 2) == {1}
    assert toggle_item({1}, 2) == {1, 2}


def test_union_of_all():
    assert union_of_all([{1}, {2}, {1, 3}]) == {1, 2, 3}


def test_common_to_all():
    assert common_to_all([{1, 2, 3}, {2, 3}, {3, 4}]) == {3}


def test_seen_twice():
    assert seen_twice([1, 2, 1, 3, 3, 3]) == {1}


def test_repeated():
    assert repeated([1, 2, 1, 3, 3, 3]) == {1, 3}


def test_unrepeated():
    assert unrepeated([1, 2, 1, 3, 3]) == {2}


def test_missing_numbers():
    assert missing_numbers([1, 3], 4) == {2, 4}


def test_all_pairs():
    assert all_pairs({1, 2, 3}) == {(1, 2), (1, 3), (2, 3)}


def test_large_items():
    assert large_items({1, 5, 9}, 5) == {9}


def test_small_items():
    assert small_items({1, 5, 9}, 5) == {1}
