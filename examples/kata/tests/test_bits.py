from kata.bits import (
    bits_of,
    clear_bit,
    count_bits,
    count_ones,
    differing_bits,
    from_binary,
    from_bits,
    from_hexadecimal,
    grant,
    gray_code,
    has_permission,
    high_byte,
    is_bit_set,
    is_power_of_two,
    join_bytes,
    low_bits,
    low_byte,
    lowest_bit,
    mask_of,
    parity,
    positions_of_ones,
    revoke,
    set_bit,
    shared_bits,
    shift_left,
    shift_right,
    single_number,
    to_binary,
    to_hexadecimal,
    toggle_bit,
    without_lowest_bit,
)


def test_is_bit_set():
    assert is_bit_set(5, 2)
    assert not is_bit_set(5, 1)


def test_set_bit():
    assert set_bit(4, 0) == 5
    assert set_bit(5, 0) == 5


def test_clear_bit():
    assert clear_bit(5, 2) == 1
    assert clear_bit(1, 2) == 1


def test_toggle_bit():
    assert toggle_bit(5, 0) == 4
    assert toggle_bit(4, 0) == 5


def test_lowest_bit():
    assert lowest_bit(12) == 4


def test_without_lowest_bit():
    assert without_lowest_bit(12) == 8


def test_count_ones():
    assert count_ones(13) == 3


def test_count_bits():
    assert count_bits(13) == 4


def test_parity():
    assert parity(13) == 1
    assert parity(9) == 0


def test_is_power_of_two():
    assert is_power_of_two(8)
    assert is_power_of_two(1)
    assert not is_power_of_two(12)
    assert not is_power_of_two(0)


def test_shift_left():
    assert shift_left(3, 2) == 12


def test_shift_right():
    assert shift_right(12, 2) == 3


def test_low_byte():
    assert low_byte(515) == 3


def test_high_byte():
    assert high_byte(515) == 2


def test_join_bytes():
    assert join_bytes(2, 3) == 515


def test_low_bits():
    assert low_bits(29, 3) == 5


def test_mask_of():
    assert mask_of(4) == 15


def test_differing_bits():
    assert differing_bits(12, 10) == 2


def test_shared_bits():
    assert shared_bits(12, 10) == 1
    assert shared_bits(13, 12) == 2


def test_to_binary():
    assert to_binary(5) == "101"


def test_from_binary():
    assert from_binary("101") == 5


def test_to_hexadecimal():
    assert to_hexadecimal(255) == "ff"


def test_from_hexadecimal():
    assert from_hexadecimal("ff") == 255


def test_bits_of():
    assert bits_of(6) == [0, 1, 1]
    assert bits_of(1) == [1]


def test_from_bits():
    assert from_bits([1, 1, 0]) == 6


def test_gray_code():
    assert gray_code(5) == 7
    assert gray_code(2) == 3


def test_single_number():
    assert single_number([4, 7, 4]) == 7


def test_positions_of_ones():
    assert positions_of_ones(13) == [0, 2, 3]


def test_has_permission():
    assert has_permission(7, 5)
    assert not has_permission(6, 5)


def test_grant():
    assert grant(2, 6) == 6


def test_revoke():
    assert revoke(7, 5) == 2
