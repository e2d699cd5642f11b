from kata.lists import (
    all_but_last,
    all_equal,
    append_unique,
    chunks,
    count_item,
    differences,
    drop,
    drop_last,
    even_positions,
    first,
    flatten,
    has_duplicates,
    inner,
    insert_at,
    interleave,
    is_descending,
    is_empty,
    is_sorted,
    is_strictly_increasing,
    last,
    last_position,
    longest,
    middle_item,
    neighbours,
    odd_positions,
    pad_list,
    partition_by_sign,
    positions_of,
    remove_at,
    replace_item,
    rest,
    reversed_list,
    rotate_left,
    rotate_right,
    running_total,
    second,
    second_last,
    shortest,
    sort_by_length,
    sort_descending,
    split_at,
    swap_first_and_last,
    take,
    take_last,
    take_while_positive,
    transpose_pairs,
    windows,
    without_duplicates,
    without_empty,
    without_item,
    without_none,
)


def test_first():
    assert first([3, 1, 2]) == 3


def test_last():
    assert last([3, 1, 2]) == 2


def test_second():
    assert second([3, 1, 2]) == 1


def test_second_last():
    assert second_last([3, 1, 2, 5]) == 2


def test_rest():
    assert rest([3, 1, 2]) == [1, 2]


def test_all_but_last():
    assert all_but_last([3, 1, 2]) == [3, 1]


def test_inner():
    assert inner([1, 2, 3, 4]) == [2, 3]


def test_middle_item():
    assert middle_item([1, 2, 3, 4, 5]) == 3


def test_take():
    assert take([1, 2, 3, 4], 3) == [1, 2, 3]


def test_drop():
    assert drop([1, 2, 3, 4], 3) == [4]


def test_take_last():
    assert take_last([1, 2, 3, 4], 3) == [2, 3, 4]


def test_drop_last():
    assert drop_last([1, 2, 3, 4], 3) == [1]


def test_take_while_positive():
    assert take_while_positive([3, 1, 0, 2]) == [3, 1]


def test_is_empty():
    assert is_empty([])
    assert not is_empty([0])


def test_reversed_list():
    assert reversed_list([1, 2, 3]) == [3, 2, 1]


def test_rotate_left():
    assert rotate_left([1, 2, 3, 4], 1) == [2, 3, 4, 1]


def test_rotate_right():
    assert rotate_right([1, 2, 3, 4], 1) == [4, 1, 2, 3]


def test_swap_first_and_last():
    assert swap_first_and_last([1, 2, 3, 4]) == [4, 2, 3, 1]


def test_even_positions():
    assert even_positions([5, 6, 7, 8, 9]) == [5, 7, 9]


def test_odd_positions():
    assert odd_positions([5, 6, 7, 8, 9]) == [6, 8]


def test_split_at():
    assert split_at([1, 2, 3], 1) == ([1], [2, 3])


def test_chunks():
    assert chunks([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]


def test_windows():
    assert windows([1, 2, 3, 4], 3) == [[1, 2, 3], [2, 3, 4]]


def test_neighbours():
    assert neighbours([1, 2, 3]) == [(1, 2), (2, 3)]


def test_flatten():
    assert flatten([[1, 2], [3]]) == [1, 2, 3]


def test_interleave():
    assert interleave([1, 2], [8, 9]) == [1, 8, 2, 9]


def test_without_duplicates():
    assert without_duplicates([3, 1, 3, 2, 1]) == [3, 1, 2]


def test_has_duplicates():
    assert has_duplicates([1, 2, 1])
    assert not has_duplicates([1, 2, 3])


def test_without_item():
    assert without_item([1, 2, 1, 3], 1) == [2, 3]


def test_without_empty():
    assert without_empty(["a", "", "b"]) == ["a", "b"]


def test_without_none():
    assert without_none([1, None, 0]) == [1, 0]


def test_count_item():
    assert count_item([1, 2, 1], 1) == 2


def test_positions_of():
    assert positions_of(["a", "b", "a"], "a") == [0, 2]


def test_last_position():
    assert last_position([1, 2, 1, 3], 1) == 2


def test_insert_at():
    assert insert_at([1, 2, 3], 1, 9) == [1, 9, 2, 3]


def test_remove_at():
    assert remove_at([1, 2, 3], 1) == [1, 3]


def test_replace_item():
    assert replace_item([1, 2, 1], 1, 9) == [9, 2, 9]


def test_append_unique():
    assert append_unique([1, 2], 3) == [1, 2, 3]
    assert append_unique([1, 2], 2) == [1, 2]


def test_is_sorted():
    assert is_sorted([1, 2, 2, 3])
    assert not is_sorted([2, 1, 3])


def test_is_strictly_increasing():
    assert is_strictly_increasing([1, 2, 3])
    assert not is_strictly_increasing([1, 2, 2])


def test_is_descending():
    assert is_descending([3, 2, 2])
    assert not is_descending([3, 1, 2])


def test_all_equal():
    assert all_equal([2, 2, 2])
    assert not all_equal([2, 2, 3])


def test_longest():
    assert longest(["a", "abc", "ab"]) == "abc"


def test_shortest():
    assert shortest(["ab", "a", "abc"]) == "a"


def test_sort_by_length():
    assert sort_by_length(["abc", "a", "ab"]) == ["a", "ab", "abc"]


def test_sort_descending():
    assert sort_descending([2, 3, 1]) == [3, 2, 1]


def test_partition_by_sign():
    assert partition_by_sign([1, -2, 0, -3]) == ([-2, -3], [1, 0])


def test_pad_list():
    assert pad_list([1, 2], 4, 0) == [1, 2, 0, 0]


def test_transpose_pairs():
    assert transpose_pairs([(1, 2), (3, 4)]) == ([1, 3], [2, 4])


def test_running_total():
    assert running_total([1, 2, 3]) == [1, 3, 6]


def test_differences():
    assert differences([1, 4, 9]) == [3, 5]
