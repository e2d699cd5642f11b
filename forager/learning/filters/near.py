"""Near-duplicates: keeps the first of attempts in a repository whose actions are similar.

Actions are all calls of an attempt, one after the other, as shingles of words. MinHash signatures
find candidates, and the shingles decide: no two kept attempts have a Jaccard
similarity of the threshold or more. numpy compares each signature with all those kept of its
repository: an LSH index that misses no pair at 0.5 would take about 20 KB per attempt, signatures
take half a KB. Shingles are in a temporary file.
"""

import re
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import PositiveInt

from forager.learning.filters.drawn import TextSet, number
from forager.learning.filters.pipeline import Filter, Share, SummaryFilter, Survey
from forager.minhash import minhash
from forager.trajectories.record import Trajectory

if TYPE_CHECKING:
    import numpy

_PERMUTATIONS = 128
_DOUBT = 0.2  # margin for errors of the estimate: at least 4.5 standard deviations
_GROWTH = 1024  # signatures by which the array grows at a time


def near_duplicates(survey: Survey, threshold: Share = 0.5, words: PositiveInt = 5) -> Filter:
    """Drop attempts whose actions nearly repeat those of another attempt in the same repository.

    Each pair of kept attempts has a Jaccard similarity below `threshold`, computed on shingles of
    `words` words.
    """
    dropped = TextSet(
        id for mine in survey.by_repository() for id in _alike(mine, threshold, words)
    )
    return SummaryFilter(lambda attempt: attempt.id not in dropped)


def _alike(attempts: Iterator[Trajectory], threshold: float, words: int) -> Iterator[str]:
    """The ids of attempts that are similar to an earlier one that is kept."""
    with tempfile.TemporaryFile() as file:
        kept = _KeptSignatures(file, threshold)
        for attempt in attempts:
            if not kept.add(shingles(actions(attempt), words)):
                yield attempt.id


class _KeptSignatures:
    """The signatures and shingles of a repository's kept attempts."""

    def __init__(self, file: BinaryIO, threshold: float) -> None:
        import numpy

        self._file, self._threshold = file, threshold
        self._places: list[tuple[int, int]] = []  # in the file: offset and number of shingles
        self._signatures = numpy.empty((0, _PERMUTATIONS), dtype=numpy.uint32)

    def add(self, shingles: "numpy.ndarray") -> bool:
        """Keep an attempt unless a kept one is similar; return whether it is kept."""
        signature = _signature(shingles)
        near = self._signatures[: len(self._places)] == signature
        estimates = near.mean(axis=1)
        for place in (estimates >= self._threshold - _DOUBT).nonzero()[0]:
            if jaccard(shingles, self._read(int(place))) >= self._threshold:
                return False
        self._keep(shingles, signature)
        return True

    def _keep(self, shingles: "numpy.ndarray", signature: "numpy.ndarray") -> None:
        import numpy

        count = len(self._places)
        if count == len(self._signatures):
            room = numpy.empty((_GROWTH + count // 2, _PERMUTATIONS), dtype=numpy.uint32)
            self._signatures = numpy.concatenate([self._signatures, room])
        self._signatures[count] = signature
        self._places.append((self._file.seek(0, 2), len(shingles)))
        self._file.write(shingles.tobytes())

    def _read(self, place: int) -> "numpy.ndarray":
        import numpy

        offset, count = self._places[place]
        self._file.seek(offset)
        return numpy.frombuffer(self._file.read(count * 8), dtype=numpy.uint64)


def actions(attempt: Trajectory) -> str:
    """All calls of an attempt, one after the other."""
    return "\n".join(" ".join([call.tool, *call.arguments.values()]) for call in attempt.tool_calls)


def shingles(text: str, words: int) -> "numpy.ndarray":
    """All runs of `words` words in a text, as sorted numbers; a shorter text is one run."""
    import numpy

    found = re.findall(r"\w+|[^\w\s]", text)
    runs = {" ".join(found[at : at + words]) for at in range(max(1, len(found) - words + 1))}
    made = numpy.fromiter(map(number, runs), dtype=numpy.uint64, count=len(runs))
    made.sort()
    return made


def jaccard(one: "numpy.ndarray", other: "numpy.ndarray") -> float:
    """The Jaccard similarity of two sets, given as sorted numbers."""
    import numpy

    common = len(numpy.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _signature(shingles: "numpy.ndarray") -> Any:
    """The MinHash of a set."""
    return minhash((shingle.tobytes() for shingle in shingles), _PERMUTATIONS)
