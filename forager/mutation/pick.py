"""Picks candidates by seed, spread over families, files and functions."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from operator import attrgetter
from random import Random
from typing import TypeVar

from forager.mutation.candidates import Candidate, Sketch

T = TypeVar("T")
C = TypeVar("C", Candidate, Sketch, Candidate | Sketch)
_Function = tuple[str, str]


def pick(
    candidates: Sequence[C],
    *,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> Iterator[C]:
    """Yield the candidates in a seeded order; a limit is a prefix of it.

    Families take turns in proportion to their weights, or evenly without weights; families that
    the weights do not name are left out. Within a family, files take turns, and a function gets
    its second candidate only after every function of its file has had its first.
    """
    shares = {
        candidate.family: 1.0 if weights is None else weights.get(candidate.family, 0.0)
        for candidate in candidates
    }
    families: dict[str, list[C]] = {}
    for candidate in candidates:
        families.setdefault(candidate.family, []).append(candidate)
    queues = {
        family: deque(_spread(families[family], f"{seed}:{family}"))
        for family in sorted(shares)
        if shares[family] > 0
    }
    taken: Counter[str] = Counter()
    while queues:
        family = min(queues, key=lambda name: (taken[name] + 1) / shares[name])
        if queues[family]:
            taken[family] += 1
            yield queues[family].popleft()
        else:
            del queues[family]


def _spread(candidates: Iterable[C], seed: str) -> Iterator[C]:
    """Shuffle one family's candidates, then let functions take turns."""
    random = Random(seed)  # Python hashes a string seed by SHA-512: the same in every process
    shuffled = sorted(candidates, key=attrgetter("place"))
    random.shuffle(shuffled)
    functions: dict[_Function, list[C]] = {}
    for candidate in shuffled:
        functions.setdefault((candidate.file, candidate.function), []).append(candidate)
    for turn in _rounds(functions.values()):
        files: dict[str, list[C]] = {}
        for candidate in turn:
            files.setdefault(candidate.file, []).append(candidate)
        yield from chain.from_iterable(_rounds(files.values()))


def _rounds(queues: Iterable[Sequence[T]]) -> Iterator[list[T]]:
    """Yield the first item of each queue, then the second of each, and so on."""
    for turn in zip_longest(*queues):
        yield [item for item in turn if item is not None]
