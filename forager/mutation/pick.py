"""Picks candidates by seed, spread over families, files and functions."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from random import Random
from typing import TypeVar

from forager.mutation.candidates import Candidate

T = TypeVar("T")
_Function = tuple[str, str]


def pick(
    candidates: Sequence[Candidate],
    *,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> Iterator[Candidate]:
    """Yield the candidates in a seeded order; a limit is a prefix of it.

    Families take turns in proportion to their weights, or evenly where none are given; a family
    that the weights do not name is left out. Within a family, files take turns, and no function
    of a file has its second candidate before all of that file had their first.
    """
    shares = {
        each.family: 1.0 if weights is None else weights.get(each.family, 0.0)
        for each in candidates
    }
    queues = {
        family: deque(_spread([c for c in candidates if c.family == family], f"{seed}:{family}"))
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


def _spread(candidates: Iterable[Candidate], seed: str) -> Iterator[Candidate]:
    """Shuffle one family's candidates, then let functions take turns."""
    random = Random(seed)  # a text is hashed by SHA-512: the same in every process
    shuffled = sorted(candidates, key=lambda each: (each.file, each.line, each.operator, each.diff))
    random.shuffle(shuffled)
    functions: dict[_Function, list[Candidate]] = {}
    for candidate in shuffled:
        functions.setdefault((candidate.file, candidate.function), []).append(candidate)
    for turn in _rounds(functions.values()):
        files: dict[str, list[Candidate]] = {}
        for candidate in turn:
            files.setdefault(candidate.file, []).append(candidate)
        yield from chain.from_iterable(_rounds(files.values()))


def _rounds(queues: Iterable[Sequence[T]]) -> Iterator[list[T]]:
    """The first of each, then the second of each, and so on."""
    for turn in zip_longest(*queues):
        yield [each for each in turn if each is not None]
