from kata.parsing import (
    count_tokens,
    csv_column,
    csv_row,
    email_host,
    email_user,
    file_extension,
    file_name,
    file_stem,
    from_digits,
    has_query,
    indentation,
    is_absolute,
    is_hidden,
    is_newer,
    join_path,
    major_version,
    minor_version,
    next_major,
    parent_directory,
    parse_boolean,
    parse_clock,
    parse_fraction,
    parse_numbers,
    parse_pair,
    parse_pairs,
    parse_percent,
    parse_point,
    parse_price,
    parse_range,
    parse_version,
    path_depth,
    roman_digit,
    strip_comment,
    to_digits,
    url_host,
    url_path,
    url_scheme,
    without_comments,
    without_query,
    without_quotes,
)


def test_parse_numbers():
    assert parse_numbers("1,22,3") == [1, 22, 3]


def test_parse_pair():
    assert parse_pair(" a = 1 ") == ("a", "1")


def test_parse_pairs():
    assert parse_pairs("a=1&b=2") == {"a": "1", "b": "2"}


def test_parse_boolean():
    assert parse_boolean(" YES ")
    assert not parse_boolean("no")


def test_parse_range():
    assert parse_range("3-5") == [3, 4, 5]


def test_parse_clock():
    assert parse_clock("02:30") == 150


def test_parse_percent():
    assert parse_percent("25%") == 0.25


def test_parse_price():
    assert parse_price("12.05") == 1205


def test_parse_point():
    assert parse_point("(3,4)") == (3, 4)


def test_parse_fraction():
    assert parse_fraction("3/4") == 0.75


def test_parse_version():
    assert parse_version("3.11.2") == (3, 11, 2)


def test_is_newer():
    assert is_newer("3.11", "3.9")
    assert not is_newer("3.9", "3.11")
    assert not is_newer("3.9", "3.9")


def test_major_version():
    assert major_version("3.11.2") == 3


def test_minor_version():
    assert minor_version("3.11.2") == 11


def test_next_major():
    assert next_major("3.11") == "4.0"


def test_file_extension():
    assert file_extension("a.tar.gz") == "gz"


def test_file_name():
    assert file_name("home/ann/a.txt") == "a.txt"


def test_file_stem():
    assert file_stem("home/ann/a.txt") == "a"


def test_parent_directory():
    assert parent_directory("home/ann/a.txt") == "home/ann"


def test_path_depth():
    assert path_depth("home/ann/a.txt") == 2


def test_join_path():
    assert join_path("home/", "a.txt") == "home/a.txt"
    assert join_path("home", "a.txt") == "home/a.txt"


def test_is_hidden():
    assert is_hidden("home/.profile")
    assert not is_hidden(".home/profile.")


def test_is_absolute():
    assert is_absolute("/home")
    assert not is_absolute("home/")


def test_email_user():
    assert email_user("ann@example.org") == "ann"


def test_email_host():
    assert email_host("ann@example.org") == "example.org"


def test_url_scheme():
    assert url_scheme("https://example.org/a") == "https"


def test_url_host():
    assert url_host("https://example.org/a") == "example.org"


def test_url_path():
    assert url_path("https://example.org/a/b") == "/a/b"


def test_has_query():
    assert has_query("example.org/?a=1")
    assert not has_query("example.org/")


def test_without_query():
    assert without_query("example.org/?a=1") == "example.org/"


def test_csv_row():
    assert csv_row("a, b ,c") == ["a", "b", "c"]


def test_csv_column():
    assert csv_column(["a,b", "c,d"], 1) == ["b", "d"]


def test_without_comments():
    assert without_comments(["# a", "b#"]) == ["b#"]


def test_strip_comment():
    assert strip_comment("a = 1  # one") == "a = 1"


def test_indentation():
    assert indentation("    a ") == 4


def test_count_tokens():
    assert count_tokens("f(a b)") == 5


def test_roman_digit():
    assert roman_digit("X") == 10
    assert roman_digit("V") == 5
    assert roman_digit("I") == 1
    assert roman_digit("L") == 50
    assert roman_digit("C") == 100


def test_from_digits():
    assert from_digits([3, 4, 7]) == 347


def test_to_digits():
    assert to_digits(347) == [3, 4, 7]


def test_without_quotes():
    assert without_quotes('"a"') == "a"
    assert without_quotes("abc") == "abc"
