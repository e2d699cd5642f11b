import io

import pytest
from attempts import make_attempt
from rich.console import Console
from rich.table import Table

from forager.evaluation.estimates import wilson
from forager.evaluation.report import family_table, reason_table, report
from forager.trajectories.draw import short
from forager.trajectories.summary import Summary, TrajectoryHead


def summary(**fields: object) -> Summary:
    """The summary of a made-up attempt."""
    attempt = make_attempt(**fields)  # type: ignore[arg-type]
    return Summary.of(TrajectoryHead.model_validate_json(attempt.model_dump_json()))


def drawn(table: Table) -> list[str]:
    """The lines that a console of 80 columns prints."""
    file = io.StringIO()
    Console(file=file, width=80).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def words(line: str) -> str:
    """The line with single spaces."""
    return " ".join(line.split())


ATTEMPTS = [
    summary(name="a", attempt=0, seconds=10.0),
    summary(name="a", attempt=1, seconds=30.0, resolved=False, exit_reason="turn_limit"),
    summary(name="b", attempt=0, seconds=20.0, family="arguments"),
    summary(name="c", attempt=0, seconds=20.0, family=None, resolved=False),
]


def test_attempts_are_counted_by_family_and_by_exit_reason() -> None:
    """Tasks without a mutation count under their kind; each task counts once."""
    counted = report(ATTEMPTS)
    assert [(row.name, row.tasks, row.attempts, row.resolved) for row in counted.families] == [
        ("arguments", 1, 1, 1),
        ("issue-fix", 1, 1, 0),
        ("operators", 1, 2, 1),
    ]
    operators = counted.families[2]
    assert (operators.share, operators.seconds_median, operators.tokens) == (0.5, 20.0, 12_600)
    assert [(row.name, row.attempts) for row in counted.exit_reasons] == [
        ("submitted", 3),
        ("turn_limit", 1),
    ]
    assert (counted.total.tasks, counted.total.tasks_resolved) == (3, 2)


def test_the_table_fits_into_80_columns() -> None:
    """The table fits, and states the assumption of intervals for several attempts."""
    lines = drawn(family_table(report(ATTEMPTS)))
    head = "family tasks attempts resolved share (95 %) turns seconds tokens"
    assert words(lines[0]) == head
    assert words(lines[3]) == "operators 1 2 1 50 % (9–91) 6 20.0 12.6k"
    assert words(lines[4]) == "all 3 4 2 50 % (15–85) 6 20.0 25.2k"
    assert "independent" in lines[-1]
    assert max(map(len, lines)) <= 80
    assert words(drawn(reason_table(report(ATTEMPTS)))[1]) == "submitted 3 2 6 20.0"


def test_nothing_is_reported_of_nothing() -> None:
    """No attempts give an empty report, not a division by zero."""
    counted = report([])
    assert (counted.families, counted.total.share) == ([], 0.0)
    assert drawn(family_table(counted))[-1].split()[:4] == ["all", "0", "0", "0"]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R: prop.test(x, n, correct = FALSE)
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    """Wilson's interval equals published values."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_the_share_lies_within_its_interval() -> None:
    """Rounding never moves the share out of its interval, which plots require."""
    for trials in range(1, 60):
        for successes in range(trials + 1):
            low, high = wilson(successes, trials)
            assert low <= successes / trials <= high


def test_counts_are_short() -> None:
    """Counts of any size need few characters."""
    assert [short(n) for n in (0, 999, 1000, 12_345, 4_000_000, 7_200_000_000)] == [
        "0", "999", "1.0k", "12.3k", "4.0M", "7.2G",
    ]  # fmt: skip
