"""What a graded attempt, a complete group and a queue become: entries of the ledger."""

import random
from collections.abc import Iterator

from forager.learning.rl.batches import tokens_of
from forager.learning.rl.ledger import Book, ClosedEntry, DroppedEntry, GradedEntry, GroupState
from forager.learning.rl.settings import RlSettings
from forager.learning.train.objective import advantages
from forager.trajectories.record import Trajectory

LATE, STALE, LOST_OFTEN = "late", "stale", "lost to infrastructure"
NO_REWARD, NO_TOKENS = "no reward", "no tokens with log-probabilities"
NO_VARIANCE, TOO_FEW = "no variance", "fewer than two graded attempts"


def graded(
    group: GroupState, attempt: Trajectory, reward: float | None
) -> GradedEntry | DroppedEntry:
    """The entry of a stored attempt."""
    tokens = tokens_of(attempt)
    versions = [
        call.policy_version for call in attempt.model_calls if call.policy_version is not None
    ]
    if reward is None or not tokens or not versions:
        reason = NO_REWARD if reward is None else NO_TOKENS
        return DroppedEntry(group=group.number, attempt=attempt.id, reason=reason)
    return GradedEntry(
        group=group.number,
        attempt=attempt.id,
        reward=reward,
        resolved=attempt.outcome.resolved,
        tokens=tokens,
        oldest=min(versions),
        newest=max(versions),
    )


def closed(group: GroupState, settings: RlSettings) -> ClosedEntry | DroppedEntry:
    """The entry of a group whose attempts have all ended or are not waited for."""
    made = group.graded
    if len(made) < 2:
        return DroppedEntry(group=group.number, reason=TOO_FEW)
    rewards = [attempt.reward for attempt in made]
    if settings.reward.shuffled:
        random.Random(f"{settings.seed}/{group.number}").shuffle(rewards)
    found = advantages(rewards, [attempt.tokens for attempt in made], settings.objective)
    if not any(found):
        return DroppedEntry(group=group.number, reason=NO_VARIANCE)
    by_attempt = {attempt.attempt: value for attempt, value in zip(made, found, strict=True)}
    return ClosedEntry(group=group.number, advantages=by_attempt)


def late(group: GroupState) -> Iterator[DroppedEntry]:
    """Yield entries of the attempts that a group no longer waits for."""
    for attempt, state in group.attempts.items():
        if state.status not in ("graded", "dropped"):
            yield DroppedEntry(group=group.number, attempt=attempt, reason=LATE)


def stale(book: Book, staleness: int) -> Iterator[DroppedEntry]:
    """Yield entries of the waiting attempts whose newest tokens are too old for the next step."""
    oldest = book.step - staleness
    for group in book.queue:
        old = [attempt for attempt in group.graded if attempt.newest < oldest]
        if len(old) == len(group.graded):
            yield DroppedEntry(group=group.number, reason=STALE)
            continue
        for attempt in old:
            yield DroppedEntry(group=group.number, attempt=attempt.attempt, reason=STALE)
