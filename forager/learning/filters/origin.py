"""Filters by the origin of an attempt, and by whether it reproduces."""

from forager.errors import UsageError
from forager.learning.filters.drawn import TextSet
from forager.learning.filters.pipeline import Filter, SummaryFilter, Survey
from forager.trajectories.summary import Summary


def contamination(survey: Survey) -> Filter:
    """Drop attempts at projects on which benchmarks evaluate, and at their forks."""
    tainted = TextSet(task.instance_id for task in survey.tasks() if task.contaminated)
    known: dict[str, bool] = {}

    def keeps(attempt: Summary) -> bool:
        if attempt.repo not in known:
            known[attempt.repo] = bool(survey.contaminated(attempt.repo))
        return not known[attempt.repo] and attempt.instance_id not in tainted

    return SummaryFilter(keeps)


def reproduces(survey: Survey, same_end: bool = False) -> Filter:
    """Keep attempts that came out the same when they were run again.

    With `same_end` only patch and outcome must be the same. Raises UsageError if no attempt was run
    again.
    """
    verdicts = {
        attempt.id: attempt.reproduces or (same_end and attempt.same_end)
        for attempt in survey.reproductions()
    }
    if not verdicts:
        raise UsageError(
            "the filter `reproduces` needs attempts that were run again; "
            "`forager replay RUN --execute` runs them"
        )
    good = TextSet(id for id, verdict in verdicts.items() if verdict)
    return SummaryFilter(lambda attempt: attempt.id in good)
