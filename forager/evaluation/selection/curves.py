"""How good a rule is, by the number of attempts among which it chooses."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import comb
from statistics import fmean

from forager.evaluation.estimates import Estimate, estimate, pass_at_k
from forager.evaluation.selection.rules import Contender, SelectionRule, choose
from forager.records import Record

_SUBSETS = 200  # of a task's attempts, at most

Verdict = Callable[[Contender], bool]


class SelectionPoint(Record):
    """What k attempts give: by the rule, by majority, and at best.

    Means over the tasks with k attempts or more. `best` is the share that the rule resolves,
    `majority` that of the most common answer, and `bound` pass@k: no rule resolves more.
    """

    k: int
    best: Estimate
    majority: Estimate
    bound: Estimate


def curve(
    by: SelectionRule,
    candidates: Mapping[str, Sequence[Contender]],
    verdict: Verdict,
    clusters: Mapping[str, str],
    most: int | None = None,
) -> list[SelectionPoint]:
    """The points for k = 1, 2, 4, … and for all attempts.

    A rule's share is the mean over all sets of k attempts, or over 200 that are drawn.
    """
    longest = max(map(len, candidates.values()), default=0)
    return [
        _point(by, k, candidates, verdict, clusters) for k in _ks(min(longest, most or longest))
    ]


def _ks(most: int) -> list[int]:
    powers = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
    return powers if not most or powers[-1] == most else [*powers, most]


def _point(
    by: SelectionRule,
    k: int,
    candidates: Mapping[str, Sequence[Contender]],
    verdict: Verdict,
    clusters: Mapping[str, str],
) -> SelectionPoint:
    best, majority, bound = {}, {}, {}
    for task, given in candidates.items():
        if len(given) < k:
            continue
        sets = _sets(given, k, task)
        best[task] = fmean(verdict(choose(by, chosen)) for chosen in sets)
        majority[task] = fmean(verdict(choose("majority", chosen)) for chosen in sets)
        bound[task] = pass_at_k(len(given), sum(map(verdict, given)), k)
    return SelectionPoint(
        k=k,
        best=estimate(best, clusters),
        majority=estimate(majority, clusters),
        bound=estimate(bound, clusters),
    )


def _sets(given: Sequence[Contender], k: int, task: str) -> list[tuple[Contender, ...]]:
    """All sets of k candidates, or some that depend on the task alone."""
    if comb(len(given), k) <= _SUBSETS:
        return list(combinations(given, k))
    draw = random.Random(f"{task} {k}")
    return [tuple(draw.sample(given, k)) for _ in range(_SUBSETS)]
