"""Strings: their parts, ends and characters."""


def first_character(text):
    return text[0]


def last_character(text):
    return text[-1]


def without_first(text):
    return text[1:]


def without_last(text):
    return text[:-1]


def without_ends(text):
    return text[1:-1]


def first_characters(text, count):
    return text[:count]


def last_characters(text, count):
    return text[len(text) - count :]


def reverse_text(text):
    return text[::-1]


def is_palindrome(text):
    return text == text[::-1]


def capitalize_first(text):
    return text[:1].upper() + text[1:]


def lower_first(text):
    return text[:1].lower() + text[1:]


def shout(text):
    return text.upper() + "!"


def whisper(text):
    return text.lower() + "..."


def count_vowels(text):
    return sum(letter in "aeiou" for letter in text)


def count_consonants(text):
    return sum(letter.isalpha() and letter not in "aeiou" for letter in text)


def remove_vowels(text):
    return "".join(letter for letter in text if letter not in "aeiou")


def keep_digits(text):
    return "".join(letter for letter in text if letter.isdigit())


def remove_digits(text):
    return "".join(letter for letter in text if not letter.isdigit())


def keep_letters(text):
    return "".join(letter for letter in text if letter.isalpha())


def remove_spaces(text):
    return text.replace(" ", "")


def count_character(text, character):
    return text.count(character)


def count_upper(text):
    return sum(letter.isupper() for letter in text)


def count_lower(text):
    return sum(letter.islower() for letter in text)


def swap_ends(text):
    return text[-1] + text[1:-1] + text[0]


def swap_halves(text):
    middle = len(text) // 2
    return text[middle:] + text[:middle]


def first_half(text):
    return text[: len(text) // 2]


def second_half(text):
    return text[len(text) // 2 :]


def middle_character(text):
    return text[len(text) // 2]


def every_second(text):
    return text[::2]


def repeat_text(text, times):
    return text * times


def double_letters(text):
    return "".join(letter * 2 for letter in text)


def surround(text, mark):
    return mark + text + mark


def starts_and_ends_same(text):
    return text[0] == text[-1]


def ends_with_any(text, endings):
    return any(text.endswith(ending) for ending in endings)


def starts_with_any(text, prefixes):
    return any(text.startswith(prefix) for prefix in prefixes)


def after_first(text, separator):
    return text[text.index(separator) + 1 :]


def before_first(text, separator):
    return text[: text.index(separator)]


def after_last(text, separator):
    return text[text.rindex(separator) + 1 :]


def before_last(text, separator):
    return text[: text.rindex(separator)]


def remove_prefix(text, prefix):
    if text.startswith(prefix):
        return text[len(prefix) :]
    return text


def remove_suffix(text, suffix):
    if suffix and text.endswith(suffix):
        return text[: -len(suffix)]
    return text


def next_letter(letter):
    return chr(ord(letter) + 1)


def previous_letter(letter):
    return chr(ord(letter) - 1)


def letter_index(letter):
    return ord(letter) - ord("a")


def caesar_shift(text, shift):
    return "".join(chr((ord(letter) - ord("a") + shift) % 26 + ord("a")) for letter in text)


def common_prefix(a, b):
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return a[:length]


def hamming_distance(a, b):
    return sum(x != y for x, y in zip(a, b))


def are_anagrams(a, b):
    return sorted(a) == sorted(b)


def unique_characters(text):
    return "".join(sorted(set(text)))


def has_unique_characters(text):
    return len(set(text)) == len(text)
