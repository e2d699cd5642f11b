"""The rules by which one of several candidates is chosen."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from forager.evaluation.selection.pool import PooledAttempt

SelectionRule = Literal["tests", "majority", "tests+majority", "reward", "shortest"]


class Contender(NamedTuple):
    """A submission with what was measured of it, without its verdict.

    `passes` are own and written tests that pass, `reward` a score that a reward model gave.
    """

    submission: PooledAttempt
    passes: int = 0
    reward: float = 0.0


_Key = Callable[[Contender, int], tuple[Any, ...]]
_KEYS: dict[SelectionRule, _Key] = {
    "tests": lambda candidate, _: (candidate.passes,),
    "majority": lambda _, votes: (votes,),
    "tests+majority": lambda candidate, votes: (candidate.passes, votes),
    "reward": lambda candidate, _: (candidate.reward,),
    "shortest": lambda *_: (),
}


def choose(by: SelectionRule, candidates: Sequence[Contender]) -> Contender:
    """The candidate to submit.

    An empty answer is chosen only among empty ones. `tests+majority` is CWM's rule: most passes
    win, then the most common answer, then the fewest tokens. The other rules end in the same way:
    fewest tokens, then the earliest attempt.
    """
    votes = Counter(candidate.submission.canonical for candidate in candidates)
    key = _KEYS[by]

    def order(candidate: Contender) -> tuple[Any, ...]:
        submission = candidate.submission
        measured = key(candidate, votes[submission.canonical])
        return bool(submission.canonical), *measured, -submission.tokens, -submission.number

    return max(candidates, key=order)
