"""Computes the tables of a report from the gathered attempts."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import mean

from forager.environments.task import Labels
from forager.evaluation.findings.calls import CallCount
from forager.evaluation.findings.gather import ReportedAttempt
from forager.evaluation.findings.grid import (
    Cell,
    Findings,
    Grid,
    GridColumn,
    number,
    share,
    text,
)
from forager.evaluation.findings.tasks import (
    agreement_grid,
    mixed_grid,
    pass_grid,
    rounds_grid,
)
from forager.evaluation.report import Tally
from forager.version import VERSION

RowOrder = Callable[[tuple[str, ...]], list[tuple[int, str]]]


def findings(runs: Sequence[str], seen: Sequence[ReportedAttempt], calls: CallCount) -> Findings:
    """All tables that have rows."""
    grids = [
        _groups("runs", "By run", "run", seen, lambda attempt: attempt.run, order=None),
        _groups("families", "By family", "family", seen, _family),
        _groups("operators", "By operator", "operator", seen, _operator),
        _groups("repositories", "By repository", "repository", seen,
                lambda attempt: attempt.summary.repo),
        _difficulty(seen),
        *_more(seen),
        _groups("models", "By model", "model", seen, lambda attempt: attempt.summary.model),
        _groups("attempt_numbers", "By number of the attempt", "number", seen,
                lambda attempt: str(attempt.summary.attempt)),
        _suspects(seen),
        rounds_grid(seen),
        pass_grid(seen),
        agreement_grid(seen),
        mixed_grid(seen),
        _spread(seen),
        _time(seen),
        _groups("exit_reasons", "By exit reason", "exit reason", seen,
                lambda attempt: attempt.summary.exit_reason),
        *calls.grids(),
    ]  # fmt: skip
    return Findings(
        runs=list(runs),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=VERSION,
        grids=[grid for grid in grids if grid.rows],
    )


def _suspects(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of attempts whose answers may forge their results."""
    return Grid(
        name="suspects",
        title="Suspect attempts",
        note="They pass all tests with code that only a forger of results needs, and count as "
        "failed unless someone accepts them.",
        columns=[text("run"), text("attempt"), text("accepted"), text("reasons")],
        rows=[
            [attempt.run, summary.id, "yes" if summary.resolved else "no", summary.suspect]
            for attempt in seen
            for summary in [attempt.summary]
            if summary.suspect
        ],
    )


def _family(attempt: ReportedAttempt) -> str:
    return attempt.summary.family


def _operator(attempt: ReportedAttempt) -> str:
    summary = attempt.summary
    return f"{summary.family}/{summary.operator}" if summary.operator else ""


def _order(key: tuple[str, ...]) -> list[tuple[int, str]]:
    """The sort key of a group: numbers by value, then names."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in key]


def _groups(
    name: str,
    title: str,
    column: str,
    seen: Sequence[ReportedAttempt],
    key: Callable[[ReportedAttempt], str],
    order: RowOrder | None = _order,
) -> Grid:
    """The table of attempts grouped by `key`, without attempts whose key is "".

    Without an order the groups stay in order of appearance.
    """
    groups: defaultdict[tuple[str, ...], list[ReportedAttempt]] = defaultdict(list)
    for attempt in seen:
        if group := key(attempt):
            groups[(group,)].append(attempt)
    names = sorted(groups, key=order) if order else list(groups)
    return _grid(name, title, [column], {group: groups[group] for group in names})


def _grid(
    name: str, title: str, names: list[str], groups: dict[tuple[str, ...], list[ReportedAttempt]]
) -> Grid:
    """Counts, shares with Wilson's intervals, medians and sums of each group."""
    money = any(attempt.money is not None for group in groups.values() for attempt in group)
    columns = [*map(text, names), *map(GridColumn.model_validate, _COUNTED)]
    return Grid(
        name=name,
        title=title,
        note="95 % intervals are Wilson's; they treat attempts at one task as independent.",
        columns=columns + ([GridColumn(title="money", kind="money")] if money else []),
        rows=[[*key, *_counted(group, money)] for key, group in groups.items()],
    )


_COUNTED = [
    {"title": "tasks"},
    {"title": "attempts"},
    {"title": "resolved"},
    {"title": "suspect"},
    {"title": "share", "kind": "share"},
    {"title": "low", "kind": "share"},
    {"title": "high", "kind": "share"},
    {"title": "turns, median", "kind": "number"},
    {"title": "seconds, median", "kind": "number"},
    {"title": "tokens", "kind": "tokens"},
]


def _counted(group: Sequence[ReportedAttempt], money: bool) -> list[Cell]:
    tally = Tally()
    for attempt in group:
        tally.add(attempt.summary)
    row = tally.row("")
    cells: list[Cell] = [row.tasks, row.attempts, row.resolved, row.suspect, row.share]
    cells += [row.share_low, row.share_high, row.turns_median, row.seconds_median, row.tokens]
    return cells + ([sum(attempt.money or 0.0 for attempt in group)] if money else [])


def _difficulty(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of attempts by measures of difficulty and their bands."""
    groups: defaultdict[tuple[str, ...], list[ReportedAttempt]] = defaultdict(list)
    for attempt in seen:
        for measure in _measures(attempt.labels):
            groups[measure].append(attempt)
    return _grid(
        "difficulty",
        "By difficulty",
        ["measure", "band"],
        dict(sorted(groups.items(), key=_hardness)),
    )


_MEASURES = {  # for each measure in labels: its title in the report, and the starts of its bands
    "failing": ("failing tests", (1, 2, 6, 21)),
    "patch_lines": ("lines of the patch", (1, 3, 11, 31)),
    "calls": ("calls from a test", (0, 1, 2, 4)),
}


def _measures(labels: Labels) -> Iterator[tuple[str, str]]:
    for name, (title, starts) in _MEASURES.items():
        if name in labels.difficulty:
            yield title, _band(int(labels.difficulty[name]), starts)
    if "in_traceback" in labels.difficulty:
        yield "named by a traceback", "yes" if labels.difficulty["in_traceback"] else "no"


def _more(seen: Sequence[ReportedAttempt]) -> Iterator[Grid]:
    """A table for each label that only some environments have."""
    for name in sorted({name for attempt in seen for name in attempt.labels.more}):
        yield _groups(f"label_{name}", f"By {name}", name, seen, _label(name))


def _label(name: str) -> Callable[[ReportedAttempt], str]:
    return lambda attempt: attempt.labels.more.get(name, "")


def _hardness(group: tuple[tuple[str, ...], list[ReportedAttempt]]) -> tuple[str, int]:
    """The sort key of a band: its measure and start."""
    measure, band = group[0]
    first = band.split()[0]
    return measure, int(first) if first.isdecimal() else 0


def _band(value: int, starts: tuple[int, ...]) -> str:
    """The name of a value's band, from one start up to the next."""
    start = max((first for first in starts if first <= value), default=0)
    after = next((first for first in starts if first > value), None)
    if after is None:
        return f"{start} or more"
    return str(start) if after - start <= 1 else f"{start} to {after - 1}"


def _spread(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of turns, tokens, seconds and money of attempts: mean, quantiles, sum."""
    measures: dict[str, Callable[[ReportedAttempt], float | None]] = {
        "turns": lambda attempt: attempt.summary.turns,
        "tokens": lambda attempt: attempt.summary.tokens,
        "seconds": lambda attempt: attempt.summary.seconds,
        "money": lambda attempt: attempt.money,
    }
    rows: list[list[Cell]] = []
    for name, measure in measures.items():
        for word, wanted in (("resolved", True), ("not resolved", False)):
            values = [measure(attempt) for attempt in seen if attempt.summary.resolved is wanted]
            known = sorted(value for value in values if value is not None)
            if known and known[-1]:
                rows.append([name, word, len(known), mean(known), *_quantiles(known), sum(known)])
    titles = ("mean", "10 %", "median", "90 %", "most", "sum")
    columns = [text("of"), text("attempts"), GridColumn(title="count"), *map(number, titles)]
    return Grid(name="spread", title="Turns, tokens, seconds, money", columns=columns, rows=rows)


def _quantiles(ordered: Sequence[float]) -> list[float]:
    return [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.1, 0.5, 0.9, 1.0)]


def _time(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of seconds that attempts spent on each part."""
    total = sum(attempt.timings.total for attempt in seen) or 1.0
    names = ("start", "model", "tools", "grading")
    sums = {name: sum(getattr(attempt.timings, name) for attempt in seen) for name in names}
    return Grid(
        name="time",
        title="Where time went",
        note="The rest is forager's own work and time spent waiting for a server.",
        columns=[text("part"), number("seconds"), number("seconds an attempt"), share("share")],
        rows=[
            [name, seconds, seconds / len(seen), seconds / total] for name, seconds in sums.items()
        ]
        if seen
        else [],
    )
