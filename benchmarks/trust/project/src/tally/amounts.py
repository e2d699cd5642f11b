"""Amounts of money, in cents."""

import json
from pathlib import Path


class BadAmount(ValueError):
    """A text that is not an amount."""


def split(amount, parts):
    """Divide an amount into parts that differ by one cent at most."""
    share, rest = divmod(amount, parts)
    return [share + 1] * rest + [share] * (parts - rest)


def parse(text):
    """Read an amount such as 12 or 12.34. Raises BadAmount."""
    whole, point, cents = text.strip().partition(".")
    if not whole.isdecimal():
        raise BadAmount(text)
    if point and not (cents.isdecimal() and len(cents) == 2):
        raise BadAmount(text)
    return 100 * int(whole) + int(cents or 0)


def rates():
    """The rates of exchange, by currency."""
    return json.loads(Path(__file__).with_name("data").joinpath("rates.json").read_text())


def convert(amount, currency):
    """An amount of euros in another currency, rounded to cents."""
    return round(amount * rates()[currency])


def ratio(part, whole):
    """The share of a part in the whole, from 0 to 1."""
    return part / whole if whole else 0.0


def deviation(amounts):
    """The mean distance of the amounts from their mean."""
    mean = sum(amounts) / len(amounts)
    return sum(abs(amount - mean) for amount in amounts) / len(amounts)


def median(amounts):
    """The middle one of the amounts, or the mean of the middle two."""
    ordered = sorted(amounts)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def bounds(amounts):
    """The smallest and the largest amount."""
    return min(amounts), max(amounts)


def is_round(amount):
    """Whether an amount has no cents."""
    return amount % 100 == 0
