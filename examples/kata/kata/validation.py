"""Checks of what somebody typed."""


def is_blank(text):
    return text.strip() == ""


def is_integer(text):
    return text.lstrip("-").isdigit()


def is_short(text, limit):
    return len(text) < limit


def is_too_long(text, limit):
    return len(text) > limit


def has_length(text, low, high):
    return low <= len(text) <= high


def has_digit(text):
    return any(letter.isdigit() for letter in text)


def has_upper(text):
    return any(letter.isupper() for letter in text)


def has_lower(text):
    return any(letter.islower() for letter in text)


def has_letter(text):
    return any(letter.isalpha() for letter in text)


def has_space(text):
    return " " in text


def is_all_digits(text):
    return all(letter.isdigit() for letter in text)


def is_all_upper(text):
    return all(letter.isupper() for letter in text)


def is_strong_password(text):
    return len(text) >= 8 and not text.isalpha() and not text.isdigit()


def passwords_match(password, repeated):
    return password != "" and password == repeated


def is_email(text):
    name, _, host = text.partition("@")
    return name != "" and "." in host


def is_username(text):
    return text[:1].isalpha() and text.isalnum()


def is_hex_colour(text):
    return len(text) == 7 and text.startswith("#")


def is_hexadecimal(text):
    return all(letter in "0123456789abcdef" for letter in text)


def is_binary(text):
    return all(letter in "01" for letter in text)


def is_postcode(text):
    return len(text) == 5 and text.isdigit()


def is_phone_number(text):
    return text.startswith("+") and text[1:].isdigit()


def is_percentage(number):
    return 0 <= number <= 100


def is_probability(number):
    return 0 <= number <= 1


def is_month(number):
    return 1 <= number <= 12


def is_hour(number):
    return 0 <= number < 24


def is_port(number):
    return 0 < number < 65536


def is_adult(age):
    return age >= 18


def is_teenager(age):
    return 13 <= age <= 19


def can_vote(age, citizen):
    return age >= 18 and citizen


def pays_full_price(age, student):
    return 18 <= age < 65 and not student


def is_opening(bracket):
    return bracket in "([{"


def is_closing(bracket):
    return bracket in ")]}"


def is_balanced(text):
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def has_valid_checksum(digits):
    return sum(digits[:-1]) % 10 == digits[-1]


def is_isbn(digits):
    return sum((10 - index) * digit for index, digit in enumerate(digits)) % 11 == 0


def required_missing(form, required):
    return [field for field in required if not form.get(field)]


def has_errors(errors):
    return len(errors) > 0


def first_error(errors):
    return errors[0] if errors else None
