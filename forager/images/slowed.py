"""Tests that ask a clock or set a time limit: they run once more, on a fifth of a processor core.

On a busy machine, those that fail there would refuse honest patches. They count as flaky.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from forager.environments.repository.testing import TestReport
from forager.images.layout import read_text
from forager.images.unproven import UnprovenImage

_CLOCK = re.compile(
    r"\btime\(\)|\bperf_counter|\bmonotonic\b|\bprocess_time|\btimeit\b|\.now\(|\butcnow\(|"
    r"\btimeout\b|\bsleep\(|\bwait_for\("
)
_SLOWER = 6  # times that the tests may take of their first run
_LEAST, _MOST = 30.0, 150.0  # seconds of the run; tests that it does not reach stay as they are


def with_slow_failures(
    tree: Path, unproven: UnprovenImage, first: TestReport, second: TestReport, left: float
) -> TestReport:
    """The second run, in which tests that fail on little processor time fail. Raises SandboxError.

    `left` are the seconds of the build that are left. Services are not slowed down: they would not
    start in time.
    """
    passing = [
        test
        for test, outcome in first.outcomes.items()
        if outcome == second.outcomes.get(test) == "passed"
    ]
    tests = _with_clocks(tree, passing)
    if not tests or unproven.installed.recipe.services:
        return second
    usual = sum(first.durations.get(test, 0.0) for test in tests)
    slow = unproven.run_slowly(tests, min(_MOST, _LEAST + _SLOWER * usual, max(_LEAST, left)))
    failed = {test: slow.outcomes.get(test, "passed") for test in tests}
    failed = {test: outcome for test, outcome in failed.items() if outcome in ("failed", "error")}
    if len(failed) > len(passing) / 2:  # it is not the clock that most of a suite fails by
        return second
    return second.model_copy(update={"outcomes": second.outcomes | failed})


def _with_clocks(tree: Path, tests: Sequence[str]) -> list[str]:
    """The tests in files that name a clock."""
    files = {test.partition("::")[0] for test in tests}
    asking = {file for file in files if _CLOCK.search(read_text(tree, file))}
    return [test for test in tests if test.partition("::")[0] in asking]
