"""MinHash: short signatures of sets, whose equal places estimate the Jaccard similarity.

The signatures are those of datasketch 2 with the scheme `affine32`, the seed 1 and crc32, bit for
bit, because lists of signatures are stored (`tasks/contamination.toml`). That package imports
scipy, which takes 145 MB, and it cannot be optional: the making of tasks compares signatures.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import numpy

_ROWS = 4096  # items that are hashed together, in a few MB


def minhash(items: Iterable[bytes], permutations: int) -> "numpy.ndarray":
    """The signature of a set: the least hash of its items under each permutation, as uint32."""
    import numpy

    hashes = numpy.fromiter(map(crc32, items), dtype=numpy.uint32)
    factors, offsets = _permutations(permutations)
    least = numpy.full(permutations, 0xFFFFFFFF, dtype=numpy.uint32)
    for at in range(0, len(hashes), _ROWS):
        mixed = _mixed(hashes[at : at + _ROWS]).reshape(-1, 1)
        least = numpy.minimum(least, (mixed * factors + offsets).min(axis=0))
    return least


@cache
def _permutations(count: int) -> tuple["numpy.ndarray", "numpy.ndarray"]:
    """Odd factors and offsets of maps h → factor · h + offset (mod 2³²), which are bijective."""
    import numpy

    drawn = numpy.random.RandomState(1)
    factors = drawn.randint(0, 1 << 31, count, dtype=numpy.uint32) * numpy.uint32(2)
    offsets = drawn.randint(0, 1 << 32, count, dtype=numpy.uint32)
    return factors + numpy.uint32(1), offsets


def _mixed(hashes: "numpy.ndarray") -> "numpy.ndarray":
    """The finalizer of MurmurHash3: each bit depends on all."""
    import numpy

    mixed = hashes.copy()
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed ^= mixed >> numpy.uint32(shift)
        mixed *= numpy.uint32(factor)
    mixed ^= mixed >> numpy.uint32(16)
    return mixed
