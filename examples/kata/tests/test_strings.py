from kata.strings import (
    after_first,
    after_last,
    are_anagrams,
    before_first,
    before_last,
    caesar_shift,
    capitalize_first,
    common_prefix,
    count_character,
    count_consonants,
    count_lower,
    count_upper,
    count_vowels,
    double_letters,
    ends_with_any,
    every_second,
    first_character,
    first_characters,
    first_half,
    hamming_distance,
    has_unique_characters,
    is_palindrome,
    keep_digits,
    keep_letters,
    last_character,
    last_characters,
    letter_index,
    lower_first,
    middle_character,
    next_letter,
    previous_letter,
    remove_digits,
    remove_prefix,
    remove_spaces,
    remove_suffix,
    remove_vowels,
    repeat_text,
    reverse_text,
    second_half,
    shout,
    starts_and_ends_same,
    starts_with_any,
    surround,
    swap_ends,
    swap_halves,
    unique_characters,
    whisper,
    without_ends,
    without_first,
    without_last,
)


def test_first_character():
    assert first_character("kata") == "k"


def test_last_character():
    assert last_character("kata!") == "!"


def test_without_first():
    assert without_first("kata") == "ata"


def test_without_last():
    assert without_last("kata") == "kat"


def test_without_ends():
    assert without_ends("(kata)") == "kata"


def test_first_characters():
    assert first_characters("forager", 3) == "for"


def test_last_characters():
    assert last_characters("forager", 3) == "ger"
    assert last_characters("ab", 0) == ""


def test_reverse_text():
    assert reverse_text("abc") == "cba"


def test_is_palindrome():
    assert is_palindrome("level")
    assert not is_palindrome("levels")


def test_capitalize_first():
    assert capitalize_first("new York") == "New York"
    assert capitalize_first("") == ""


def test_lower_first():
    assert lower_first("HTML Page") == "hTML Page"


def test_shout():
    assert shout("stop") == "STOP!"


def test_whisper():
    assert whisper("Stop") == "stop..."


def test_count_vowels():
    assert count_vowels("education") == 5
    assert count_vowels("rhythm") == 0


def test_count_consonants():
    assert count_consonants("hello world") == 7


def test_remove_vowels():
    assert remove_vowels("education") == "dctn"


def test_keep_digits():
    assert keep_digits("a1b22") == "122"


def test_remove_digits():
    assert remove_digits("a1b22") == "ab"


def test_keep_letters():
    assert keep_letters("a1-b2") == "ab"


def test_remove_spaces():
    assert remove_spaces("a b  c") == "abc"


def test_count_character():
    assert count_character("banana", "a") == 3
    assert count_character("aab", "b") == 1


def test_count_upper():
    assert count_upper("Hello World") == 2


def test_count_lower():
    assert count_lower("Hello World") == 8


def test_swap_ends():
    assert swap_ends("kate") == "eatk"


def test_swap_halves():
    assert swap_halves("abcdef") == "defabc"


def test_first_half():
    assert first_half("abcdef") == "abc"


def test_second_half():
    assert second_half("abcdef") == "def"


def test_middle_character():
    assert middle_character("abcde") == "c"


def test_every_second():
    assert every_second("abcdef") == "ace"


def test_repeat_text():
    assert repeat_text("ab", 3) == "ababab"


def test_double_letters():
    assert double_letters("abc") == "aabbcc"


def test_surround():
    assert surround("kata", "*") == "*kata*"


def test_starts_and_ends_same():
    assert starts_and_ends_same("abca")
    assert not starts_and_ends_same("aab")


def test_ends_with_any():
    assert ends_with_any("photo.png", [".jpg", ".png"])
    assert not ends_with_any("pngfile", [".jpg", "png"])


def test_starts_with_any():
    assert starts_with_any("unhappy", ["dis", "un"])
    assert not starts_with_any("fun", ["dis", "un"])


def test_after_first():
    assert after_first("a:b:c", ":") == "b:c"


def test_before_first():
    assert before_first("a:b:c", ":") == "a"


def test_after_last():
    assert after_last("a:b:c", ":") == "c"


def test_before_last():
    assert before_last("a:b:c", ":") == "a:b"


def test_remove_prefix():
    assert remove_prefix("unhappy", "un") == "happy"
    assert remove_prefix("fun", "un") == "fun"


def test_remove_suffix():
    assert remove_suffix("playing", "ing") == "play"
    assert remove_suffix("ingot", "ing") == "ingot"
    assert remove_suffix("play", "") == "play"


def test_next_letter():
    assert next_letter("a") == "b"


def test_previous_letter():
    assert previous_letter("b") == "a"


def test_letter_index():
    assert letter_index("a") == 0
    assert letter_index("d") == 3


def test_caesar_shift():
    assert caesar_shift("xyz", 3) == "abc"
    assert caesar_shift("abc", 1) == "bcd"


def test_common_prefix():
    assert common_prefix("flower", "flow") == "flow"
    assert common_prefix("dog", "dig") == "d"


def test_hamming_distance():
    assert hamming_distance("karolin", "kathrin") == 3
    assert hamming_distance("same", "same") == 0


def test_are_anagrams():
    assert are_anagrams("listen", "silent")
    assert not are_anagrams("aab", "abb")


def test_unique_characters():
    assert unique_characters("banana") == "abn"


def test_has_unique_characters():
    assert has_unique_characters("abc")
    assert not has_unique_characters("abca")
