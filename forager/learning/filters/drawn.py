"""Texts as 64-bit numbers: sets of millions in 8 bytes each, and reproducible draws."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

_EMPTY = b""


def number(text: str, key: bytes = _EMPTY) -> int:
    """A text as a number below 2**64."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=key).digest(), "big")


def draw(seed: int, text: str) -> int:
    """A number below 2**64 that depends only on the seed and the text."""
    return number(text, seed.to_bytes(16, "big", signed=True))


class TextSet:
    """A set of texts, kept as sorted numbers."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers = sorted_numbers(map(number, texts))

    def __contains__(self, text: str) -> bool:
        return holds(self._numbers, number(text))


def sorted_numbers(numbers: Iterable[int]) -> "numpy.ndarray":
    """Numbers below 2**64 in their order."""
    import numpy

    made = numpy.fromiter(numbers, dtype=numpy.uint64)
    made.sort()
    return made


def holds(numbers: "numpy.ndarray", wanted: int) -> bool:
    """Whether a number is among sorted ones."""
    import numpy

    place = int(numpy.searchsorted(numbers, numpy.uint64(wanted)))
    return place < len(numbers) and int(numbers[place]) == wanted
