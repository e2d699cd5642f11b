"""Compares what a program printed or returned with what is expected, outside any sandbox."""

from decimal import Decimal, InvalidOperation
from typing import Any


def same_lines(output: str, expected: str) -> bool:
    """Whether the stripped lines are equal, or their words equal as decimal numbers.

    This is the rule of CWM's release (`python_lcbcodegen.py`).
    """
    ours, theirs = (text.strip().split("\n") for text in (output, expected))
    if len(ours) != len(theirs):
        return False
    pairs = ((our.strip(), their.strip()) for our, their in zip(ours, theirs, strict=True))
    return all(our == their or _same_numbers(our, their) for our, their in pairs)


def _same_numbers(ours: str, theirs: str) -> bool:
    try:
        return list(map(Decimal, ours.split())) == list(map(Decimal, theirs.split()))
    except InvalidOperation:
        return False


def same_values(value: Any, expected: Any) -> bool:
    """Whether two plain values are equal, where a tuple may stand for a list."""
    try:
        return bool(_listed(value) == _listed(expected))
    except (RecursionError, ArithmeticError):  # a signalling NaN equals nothing
        return False


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    return value
