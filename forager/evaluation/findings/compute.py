"""The tables of a report, made of the attempts that were gathered."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import mean

from forager import __version__
from forager.environments.task import Labels
from forager.evaluation.findings.calls import CallCount
from forager.evaluation.findings.gather import Seen
from forager.evaluation.findings.grid import (
    Cell,
    Column,
    Findings,
    Grid,
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

Order = Callable[[tuple[str, ...]], list[tuple[int, str]]]


def findings(runs: Sequence[str], seen: Sequence[Seen], calls: CallCount) -> Findings:
    """All tables; those without rows are left out."""
    grids = [
        _groups("runs", "By run", "run", seen, lambda one: one.run, order=None),
        _groups("families", "By family", "family", seen, _family),
        _groups("operators", "By operator", "operator", seen, _operator),
        _groups("repositories", "By repository", "repository", seen, lambda one: one.summary.repo),
        _difficulty(seen),
        *_more(seen),
        _groups("models", "By model", "model", seen, lambda one: one.summary.model),
        _groups("attempt_numbers", "By number of the attempt", "number", seen,
                lambda one: str(one.summary.attempt)),
        rounds_grid(seen),
        pass_grid(seen),
        agreement_grid(seen),
        mixed_grid(seen),
        _spread(seen),
        _time(seen),
        _groups("exit_reasons", "By exit reason", "exit reason", seen,
                lambda one: one.summary.exit_reason),
        *calls.grids(),
    ]  # fmt: skip
    return Findings(
        runs=list(runs),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        grids=[grid for grid in grids if grid.rows],
    )


def _family(one: Seen) -> str:
    return one.summary.family


def _operator(one: Seen) -> str:
    return f"{one.summary.family}/{one.summary.operator}" if one.summary.operator else ""


def _order(key: tuple[str, ...]) -> list[tuple[int, str]]:
    """By name, and numbers by their size."""
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in key]


def _groups(
    name: str,
    title: str,
    column: str,
    seen: Sequence[Seen],
    key: Callable[[Seen], str],
    order: Order | None = _order,
) -> Grid:
    """The attempts by what `key` says of them; those of which it says nothing are left out.

    Without an order they stand as they come.
    """
    groups: defaultdict[tuple[str, ...], list[Seen]] = defaultdict(list)
    for one in seen:
        if group := key(one):
            groups[(group,)].append(one)
    names = sorted(groups, key=order) if order else list(groups)
    return _grid(name, title, [column], {one: groups[one] for one in names})


def _grid(
    name: str, title: str, names: list[str], groups: dict[tuple[str, ...], list[Seen]]
) -> Grid:
    """Counts, shares with Wilson's intervals, medians and sums of each group."""
    money = any(one.money is not None for group in groups.values() for one in group)
    columns = [*map(text, names), *map(Column.model_validate, _COUNTED)]
    return Grid(
        name=name,
        title=title,
        note="95 % intervals are Wilson's; they take attempts at one task as independent.",
        columns=columns + ([Column(title="money", kind="money")] if money else []),
        rows=[[*key, *_counted(group, money)] for key, group in groups.items()],
    )


_COUNTED = [
    {"title": "tasks"},
    {"title": "attempts"},
    {"title": "resolved"},
    {"title": "share", "kind": "share"},
    {"title": "low", "kind": "share"},
    {"title": "high", "kind": "share"},
    {"title": "turns, median", "kind": "number"},
    {"title": "seconds, median", "kind": "number"},
    {"title": "tokens", "kind": "tokens"},
]


def _counted(group: Sequence[Seen], money: bool) -> list[Cell]:
    tally = Tally()
    for one in group:
        tally.add(one.summary)
    row = tally.row("")
    cells: list[Cell] = [row.tasks, row.attempts, row.resolved, row.share, row.share_low]
    cells += [row.share_high, row.turns_median, row.seconds_median, row.tokens]
    return cells + ([sum(one.money or 0.0 for one in group)] if money else [])


def _difficulty(seen: Sequence[Seen]) -> Grid:
    """The attempts by what is known of how hard their bugs are to find."""
    groups: defaultdict[tuple[str, ...], list[Seen]] = defaultdict(list)
    for one in seen:
        for measure in _measures(one.labels):
            groups[measure].append(one)
    return _grid(
        "difficulty",
        "By difficulty",
        ["measure", "band"],
        dict(sorted(groups.items(), key=_hardness)),
    )


_MEASURES = {  # of the difficulty in labels: what the report calls it, where its bands begin
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


def _more(seen: Sequence[Seen]) -> Iterator[Grid]:
    """A table for each label that only some environments have."""
    for name in sorted({name for attempt in seen for name in attempt.labels.more}):
        yield _groups(f"label_{name}", f"By {name}", name, seen, _label(name))


def _label(name: str) -> Callable[[Seen], str]:
    return lambda attempt: attempt.labels.more.get(name, "")


def _hardness(group: tuple[tuple[str, ...], list[Seen]]) -> tuple[str, int]:
    """The bands of a measure by where they begin."""
    measure, band = group[0]
    first = band.split()[0]
    return measure, int(first) if first.isdecimal() else 0


def _band(value: int, starts: tuple[int, ...]) -> str:
    """The band that a value lies in: from one start up to the next."""
    start = max((one for one in starts if one <= value), default=0)
    after = next((one for one in starts if one > value), None)
    if after is None:
        return f"{start} or more"
    return str(start) if after - start <= 1 else f"{start} to {after - 1}"


def _spread(seen: Sequence[Seen]) -> Grid:
    """What attempts cost, and how that is spread."""
    measures: dict[str, Callable[[Seen], float | None]] = {
        "turns": lambda one: one.summary.turns,
        "tokens": lambda one: one.summary.tokens,
        "seconds": lambda one: one.summary.seconds,
        "money": lambda one: one.money,
    }
    rows: list[list[Cell]] = []
    for name, measure in measures.items():
        for word, wanted in (("resolved", True), ("not resolved", False)):
            values = [measure(one) for one in seen if one.summary.resolved is wanted]
            known = sorted(value for value in values if value is not None)
            if known and known[-1]:
                rows.append([name, word, len(known), mean(known), *_quantiles(known), sum(known)])
    titles = ("mean", "10 %", "median", "90 %", "most", "sum")
    columns = [text("of"), text("attempts"), Column(title="count"), *map(number, titles)]
    return Grid(name="spread", title="Turns, tokens, seconds, money", columns=columns, rows=rows)


def _quantiles(ordered: Sequence[float]) -> list[float]:
    return [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.1, 0.5, 0.9, 1.0)]


def _time(seen: Sequence[Seen]) -> Grid:
    """What the seconds of attempts went to."""
    total = sum(one.timings.total for one in seen) or 1.0
    names = ("start", "model", "tools", "grading")
    sums = {name: sum(getattr(one.timings, name) for one in seen) for name in names}
    return Grid(
        name="time",
        title="What time went to",
        note="The rest is forager's own work, and waiting for a server.",
        columns=[text("part"), number("seconds"), number("seconds an attempt"), share("share")],
        rows=[[name, one, one / len(seen), one / total] for name, one in sums.items()]
        if seen
        else [],
    )
