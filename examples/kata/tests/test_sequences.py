from kata.sequences import (
    alternating_signs,
    alternating_sum,
    arithmetic_sequence,
    binary_search,
    count_decreases,
    count_down,
    count_increases,
    count_up,
    cube_numbers,
    decode_runs,
    encode_runs,
    even_numbers,
    fibonacci_numbers,
    from_to,
    geometric_sequence,
    is_alternating,
    is_arithmetic,
    largest_jump,
    local_peaks,
    local_valleys,
    longest_run,
    look_up,
    multiples,
    odd_numbers,
    pairs_with_sum,
    powers,
    powers_of_two,
    records,
    square_numbers,
    triangle_numbers,
)


def test_count_up():
    assert count_up(3) == [1, 2, 3]


def test_count_down():
    assert count_down(3) == [3, 2, 1]


def test_from_to():
    assert from_to(3, 5) == [3, 4, 5]


def test_even_numbers():
    assert even_numbers(6) == [2, 4, 6]


def test_odd_numbers():
    assert odd_numbers(5) == [1, 3, 5]


def test_multiples():
    assert multiples(3, 4) == [3, 6, 9, 12]


def test_powers_of_two():
    assert powers_of_two(4) == [1, 2, 4, 8]


def test_powers():
    assert powers(3, 4) == [1, 3, 9, 27]


def test_square_numbers():
    assert square_numbers(4) == [1, 4, 9, 16]


def test_cube_numbers():
    assert cube_numbers(3) == [1, 8, 27]


def test_triangle_numbers():
    assert triangle_numbers(4) == [1, 3, 6, 10]


def test_fibonacci_numbers():
    assert fibonacci_numbers(6) == [0, 1, 1, 2, 3, 5]
    assert fibonacci_numbers(1) == [0]


def test_arithmetic_sequence():
    assert arithmetic_sequence(5, 3, 4) == [5, 8, 11, 14]


def test_geometric_sequence():
    assert geometric_sequence(5, 2, 4) == [5, 10, 20, 40]


def test_alternating_signs():
    assert alternating_signs(4) == [1, -1, 1, -1]


def test_alternating_sum():
    assert alternating_sum([5, 2, 4, 1]) == 6


def test_is_arithmetic():
    assert is_arithmetic([2, 5, 8])
    assert not is_arithmetic([2, 5, 9])


def test_is_alternating():
    assert is_alternating([1, -2, 3])
    assert not is_alternating([1, 2, -3])
    assert not is_alternating([1, 0, 1])


def test_local_peaks():
    assert local_peaks([1, 3, 2, 5, 5, 1]) == [3]


def test_local_valleys():
    assert local_valleys([3, 1, 2, 2, 5]) == [1]


def test_records():
    assert records([2, 5, 3, 5, 7]) == [2, 5, 7]


def test_longest_run():
    assert longest_run("aabbbc") == 3
    assert longest_run("abc") == 1


def test_count_increases():
    assert count_increases([1, 3, 2, 2, 4]) == 2


def test_count_decreases():
    assert count_decreases([1, 3, 2, 2, 4]) == 1


def test_largest_jump():
    assert largest_jump([1, 3, 8, 2]) == 6


def test_pairs_with_sum():
    assert pairs_with_sum([1, 2, 3, 4], 5) == [(1, 4), (2, 3)]
    assert pairs_with_sum([1, 2], 2) == []


def test_encode_runs():
    assert encode_runs("aab") == [("a", 2), ("b", 1)]


def test_decode_runs():
    assert decode_runs([("a", 2), ("b", 1)]) == "aab"


def test_look_up():
    assert look_up([5, 6, 7], 4) == 6


def test_binary_search():
    assert binary_search([1, 3, 5, 7], 5) == 2
    assert binary_search([1, 3, 5, 7], 8) == 4
    assert binary_search([1, 3, 5, 7], 0) == 0
