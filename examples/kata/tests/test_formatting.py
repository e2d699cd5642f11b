from kata.formatting import (
    abbreviated_name,
    and_joined,
    as_duration,
    as_euros,
    as_fraction,
    as_kilobytes,
    as_percent,
    as_range,
    as_yes_no,
    bulleted,
    camel_to_snake,
    center_text,
    comma_separated,
    formal_name,
    full_name,
    greeting,
    grouped_digits,
    html_tag,
    in_brackets,
    in_parentheses,
    indented,
    initials,
    kebab_case,
    key_value_lines,
    masked,
    numbered,
    or_joined,
    ordinal,
    pad_left,
    pad_right,
    plural,
    progress_bar,
    quote,
    snake_to_camel,
    table_row,
    title_case,
    truncate,
    underlined,
    with_sign,
    zero_padded,
)


def test_pad_left():
    assert pad_left("ab", 5) == "   ab"


def test_pad_right():
    assert pad_right("ab", 5) == "ab   "


def test_center_text():
    assert center_text("ab", 6) == "  ab"


def test_zero_padded():
    assert zero_padded(7, 3) == "007"


def test_truncate():
    assert truncate("abcdef", 3) == "abc..."
    assert truncate("abc", 3) == "abc"


def test_quote():
    assert quote("a") == '"a"'


def test_in_parentheses():
    assert in_parentheses("a") == "(a)"


def test_in_brackets():
    assert in_brackets("a") == "[a]"


def test_bulleted():
    assert bulleted(["a", "b"]) == "- a\n- b"


def test_numbered():
    assert numbered(["a", "b"]) == "1. a\n2. b"


def test_indented():
    assert indented("a\nb", 2) == "  a\n  b"


def test_underlined():
    assert underlined("abc") == "abc\n==="


def test_comma_separated():
    assert comma_separated([1, 2]) == "1, 2"


def test_and_joined():
    assert and_joined(["a", "b", "c"]) == "a, b and c"


def test_or_joined():
    assert or_joined(["a", "b", "c"]) == "a, b or c"


def test_plural():
    assert plural(1, "cat") == "1 cat"
    assert plural(2, "cat") == "2 cats"


def test_ordinal():
    assert ordinal(1) == "1st"
    assert ordinal(11) == "11th"
    assert ordinal(22) == "22nd"
    assert ordinal(33) == "33rd"
    assert ordinal(20) == "20th"


def test_with_sign():
    assert with_sign(3) == "+3"
    assert with_sign(-3) == "-3"
    assert with_sign(0) == "0"


def test_as_percent():
    assert as_percent(0.25) == "25%"


def test_as_euros():
    assert as_euros(1205) == "12.05 EUR"


def test_as_yes_no():
    assert as_yes_no(True) == "yes"
    assert as_yes_no(False) == "no"


def test_as_fraction():
    assert as_fraction(1, 2) == "1/2"


def test_as_range():
    assert as_range(3, 5) == "3-5"
    assert as_range(3, 3) == "3"


def test_as_duration():
    assert as_duration(135) == "2m 15s"


def test_as_kilobytes():
    assert as_kilobytes(1536) == "1.5 KB"


def test_full_name():
    assert full_name("Ada", "Lovelace") == "Ada Lovelace"


def test_formal_name():
    assert formal_name("Ada", "Lovelace") == "Lovelace, Ada"


def test_initials():
    assert initials("Ada King Lovelace") == "AKL"


def test_abbreviated_name():
    assert abbreviated_name("Ada", "Lovelace") == "A. Lovelace"


def test_greeting():
    assert greeting("Ann", 11) == "Good morning, Ann"
    assert greeting("Ann", 12) == "Good day, Ann"


def test_snake_to_camel():
    assert snake_to_camel("is_leap_year") == "isLeapYear"


def test_camel_to_snake():
    assert camel_to_snake("isLeapYear") == "is_leap_year"


def test_kebab_case():
    assert kebab_case("Hello Big World") == "hello-big-world"


def test_title_case():
    assert title_case("the big lebowski") == "The Big Lebowski"


def test_masked():
    assert masked("12345678") == "****5678"


def test_progress_bar():
    assert progress_bar(3, 5) == "###.."


def test_table_row():
    assert table_row(["a", "b"]) == "| a | b |"


def test_key_value_lines():
    assert key_value_lines({"a": 1, "b": 2}) == "a: 1\nb: 2"


def test_html_tag():
    assert html_tag("b", "hi") == "<b>hi</b>"


def test_grouped_digits():
    assert grouped_digits(1234567) == "1 234 567"
