"""Filters choose attempts for training, and cut steps out of them.

A filter is a function from an attempt to the same attempt, to a changed one, or to None, which
drops it. A function makes it from a `Survey` (the attempts that the filters before it left, for
filters that must see all of them first) and from settings with defaults:

    def mine(survey: Survey, most: int = 10) -> Filter:
        return lambda attempt: attempt if attempt.turns <= most else None

A third party adds such functions through the entry point group `forager.filters`, each under its
filter's name:

    [project.entry-points."forager.filters"]
    mine = "my_package.filters:mine"
"""

from forager.errors import UsageError
from forager.learning.filters.correct import correct
from forager.learning.filters.hindsight import hindsight
from forager.learning.filters.near import near_duplicates
from forager.learning.filters.origin import contamination, reproduces
from forager.learning.filters.outcome import errors, length, resolved, tests
from forager.learning.filters.pipeline import Maker
from forager.learning.filters.sed import sed
from forager.learning.filters.shorten import shorten
from forager.learning.filters.spread import pass_rate, per_task, prompts
from forager.plugins import plugins

FILTERS: dict[str, Maker] = {
    "resolved": resolved,
    "tests": tests,
    "contamination": contamination,
    "errors": errors,
    "length": length,
    "reproduces": reproduces,
    "pass-rate": pass_rate,
    "per-task": per_task,
    "prompts": prompts,
    "near-duplicates": near_duplicates,
    "hindsight": hindsight,
    "shorten": shorten,
    "sed": sed,
    "correct": correct,
}

DEFAULT = (
    *("resolved", "tests", "contamination", "errors", "pass-rate", "per-task"),
    "near-duplicates",
)
"""The filters of `forager filter` without options: successes for training a policy."""


def load_filters() -> dict[str, Maker]:
    """All filters by name, with those of installed packages. Raises UsageError."""
    filters = dict(FILTERS)
    for name, origin, maker in plugins("forager.filters"):
        if name in filters:
            raise UsageError(f"{origin} takes the name of another filter")
        filters[name] = maker
    return filters
