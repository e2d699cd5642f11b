from kata.validation import (
    can_vote,
    first_error,
    has_digit,
    has_errors,
    has_length,
    has_letter,
    has_lower,
    has_space,
    has_upper,
    has_valid_checksum,
    is_adult,
    is_all_digits,
    is_all_upper,
    is_balanced,
    is_binary,
    is_blank,
    is_closing,
    is_email,
    is_hex_colour,
    is_hexadecimal,
    is_hour,
    is_integer,
    is_isbn,
    is_month,
    is_opening,
    is_percentage,
    is_phone_number,
    is_port,
    is_postcode,
    is_probability,
    is_short,
    is_strong_password,
    is_teenager,
    is_too_long,
    is_username,
    passwords_match,
    pays_full_price,
    required_missing,
)


def test_is_blank():
    assert is_blank("  ")
    assert not is_blank(" a ")


def test_is_integer():
    assert is_integer("-12")
    assert is_integer("7")
    assert not is_integer("1.5")


def test_is_short():
    assert is_short("abc", 4)
    assert not is_short("abcd", 4)


def test_is_too_long():
    assert is_too_long("abcde", 4)
    assert not is_too_long("abcd", 4)


def test_has_length():
    assert has_length("abc", 3, 5)
    assert has_length("abcde", 3, 5)
    assert not has_length("ab", 3, 5)
    assert not has_length("abcdef", 3, 5)


def test_has_digit():
    assert has_digit("abc1")
    assert not has_digit("abc")


def test_has_upper():
    assert has_upper("abC")
    assert not has_upper("abc")


def test_has_lower():
    assert has_lower("ABc")
    assert not has_lower("ABC")


def test_has_letter():
    assert has_letter("12a")
    assert not has_letter("123")


def test_has_space():
    assert has_space("a b")
    assert not has_space("ab")


def test_is_all_digits():
    assert is_all_digits("123")
    assert not is_all_digits("12a")


def test_is_all_upper():
    assert is_all_upper("ABC")
    assert not is_all_upper("ABc")


def test_is_strong_password():
    assert is_strong_password("abcdefg1")
    assert not is_strong_password("abcdef1")
    assert not is_strong_password("abcdefgh")
    assert not is_strong_password("12345678")


def test_passwords_match():
    assert passwords_match("secret", "secret")
    assert not passwords_match("secret", "other")
    assert not passwords_match("", "")


def test_is_email():
    assert is_email("ann@example.org")
    assert not is_email("@example.org")
    assert not is_email("ann@example")


def test_is_username():
    assert is_username("ann7")
    assert not is_username("7ann")
    assert not is_username("a-b")


def test_is_hex_colour():
    assert is_hex_colour("#ff0000")
    assert not is_hex_colour("ff00000")
    assert not is_hex_colour("#ff00")


def test_is_hexadecimal():
    assert is_hexadecimal("ff09")
    assert not is_hexadecimal("fg")


def test_is_binary():
    assert is_binary("0110")
    assert not is_binary("012")


def test_is_postcode():
    assert is_postcode("10115")
    assert not is_postcode("1011")
    assert not is_postcode("1011a")


def test_is_phone_number():
    assert is_phone_number("+4930123")
    assert not is_phone_number("4930123")
    assert not is_phone_number("+49-30")


def test_is_percentage():
    assert is_percentage(0)
    assert is_percentage(100)
    assert not is_percentage(101)
    assert not is_percentage(-1)


def test_is_probability():
    assert is_probability(0)
    assert is_probability(1)
    assert not is_probability(1.5)
    assert not is_probability(-0.5)


def test_is_month():
    assert is_month(1)
    assert is_month(12)
    assert not is_month(0)
    assert not is_month(13)


def test_is_hour():
    assert is_hour(0)
    assert is_hour(23)
    assert not is_hour(24)
    assert not is_hour(-1)


def test_is_port():
    assert is_port(1)
    assert is_port(65535)
    assert not is_port(0)
    assert not is_port(65536)


def test_is_adult():
    assert is_adult(18)
    assert not is_adult(17)


def test_is_teenager():
    assert is_teenager(13)
    assert is_teenager(19)
    assert not is_teenager(12)
    assert not is_teenager(20)


def test_can_vote():
    assert can_vote(18, True)
    assert not can_vote(17, True)
    assert not can_vote(30, False)


def test_pays_full_price():
    assert pays_full_price(18, False)
    assert pays_full_price(64, False)
    assert not pays_full_price(65, False)
    assert not pays_full_price(17, False)
    assert not pays_full_price(30, True)


def test_is_opening():
    assert is_opening("[")
    assert not is_opening("]")


def test_is_closing():
    assert is_closing("]")
    assert not is_closing("[")


def test_is_balanced():
    assert is_balanced("(())()")
    assert not is_balanced("(()")
    assert not is_balanced(")(")


def test_has_valid_checksum():
    assert has_valid_checksum([3, 4, 5, 2])
    assert not has_valid_checksum([3, 4, 5, 3])


def test_is_isbn():
    assert is_isbn([0, 3, 0, 6, 4, 0, 6, 1, 5, 2])
    assert not is_isbn([0, 3, 0, 6, 4, 0, 6, 1, 5, 3])


def test_required_missing():
    assert required_missing({"name": "Ann", "mail": ""}, ["name", "mail"]) == ["mail"]


def test_has_errors():
    assert has_errors(["bad"])
    assert not has_errors([])


def test_first_error():
    assert first_error(["bad", "worse"]) == "bad"
    assert first_error([]) is None
