"""Draws the plots of a report with matplotlib, as SVG to embed in the page."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from forager.evaluation.drawing import Drawing, Plot, from_zero
from forager.evaluation.findings.gather import ReportedAttempt
from forager.evaluation.findings.grid import Findings, Grid
from forager.text import safe

_BARS = 24  # most bars of a plot
_YES, _NO, _LINE = "#2a8f5a", "#b9483b", "#3b6fb6"


def plots(found: Findings, seen: Sequence[ReportedAttempt]) -> list[Plot]:
    """The plots that have data."""
    drawn = [
        _shares(found.grid("families"), "Resolved by family"),
        _shares(found.grid("runs"), "Resolved by run"),
        _shares(found.grid("label_suite"), "Resolved by suite"),
        _shares(found.grid("models"), "Resolved by model"),
        _shares(found.grid("repositories"), "Resolved by repository"),
        _shares(found.grid("operators"), "Resolved by operator"),
        _shares(found.grid("difficulty"), "Resolved by difficulty"),
        _pass_curve(found.grid("pass_at_k")),
        _resolved_within(seen),
        _histogram("Turns", "turns", seen, [attempt.summary.turns for attempt in seen]),
        _histogram("Seconds", "seconds", seen, [attempt.summary.seconds for attempt in seen]),
        _histogram("Tokens", "tokens", seen, [attempt.summary.tokens for attempt in seen]),
    ]
    return [plot for plot in drawn if plot]


def _shares(grid: Grid | None, title: str) -> Plot | None:
    """Bars of shares with intervals; if there are too many, the most frequent."""
    if grid is None or len(grid.rows) < 2:
        return None
    values = grid.values()
    often = sorted(values, key=lambda row: -_float(row["attempts"]))[:_BARS]
    rows = [row for row in values if row in often]
    first = [column.title for column in grid.columns if column.kind == "text"]
    names = [safe(": ".join(str(row[title]) for title in first)) for row in rows]
    names = [f"{name} ({row['attempts']})" for name, row in zip(names, rows, strict=True)]
    shares = [_float(row["share"]) for row in rows]
    below = [share - _float(row["low"]) for share, row in zip(shares, rows, strict=True)]
    above = [_float(row["high"]) - share for share, row in zip(shares, rows, strict=True)]
    if len(rows) < len(values):
        title += f" (the {len(rows)} most frequent of {len(values)})"
    with Drawing(title, height=0.7 + 0.26 * len(rows)) as drawing:
        axes = drawing.axes
        axes.barh(names, shares, color=_YES, alpha=0.75, height=0.65)
        axes.errorbar(
            shares, names, xerr=[below, above], fmt="none", ecolor="#444", capsize=2, lw=1
        )
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return drawing.plot


def _pass_curve(grid: Grid | None) -> Plot | None:
    """pass@k over k, one line per model."""
    if grid is None or all(row["k"] == 1 for row in grid.values()):
        return None
    models: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in grid.values():
        models[str(row["model"])].append(row)
    with Drawing("pass@k") as drawing:
        for model, rows in models.items():
            ks = [row["k"] for row in rows]
            drawing.axes.plot(ks, [row["pass@k"] for row in rows], marker="o", label=safe(model))
            low, high = [row["low"] for row in rows], [row["high"] for row in rows]
            drawing.axes.fill_between(ks, low, high, alpha=0.15)
        drawing.axes.set_xlabel("k")
        drawing.axes.set_xticks(sorted({int(_float(row["k"])) for row in grid.values()}))
        from_zero(drawing.axes)
        drawing.axes.legend(frameon=False)
    return drawing.plot


def _resolved_within(seen: Sequence[ReportedAttempt]) -> Plot | None:
    """The share of attempts resolved within a number of turns, one line per model."""
    models: defaultdict[str, list[ReportedAttempt]] = defaultdict(list)
    for attempt in seen:
        models[attempt.summary.model].append(attempt)
    if not any(attempt.summary.resolved for attempt in seen):
        return None
    with Drawing("Resolved within so many turns, share of all attempts") as drawing:
        for model, attempts in sorted(models.items()):
            turns = sorted(
                attempt.summary.turns for attempt in attempts if attempt.summary.resolved
            )
            shares = [(place + 1) / len(attempts) for place in range(len(turns))]
            drawing.axes.step([0, *turns], [0.0, *shares], where="post", label=safe(model))
        drawing.axes.set_xlabel("turns")
        from_zero(drawing.axes)
        drawing.axes.legend(frameon=False)
    return drawing.plot


def _histogram(
    title: str, unit: str, seen: Sequence[ReportedAttempt], values: list[Any]
) -> Plot | None:
    """The distribution of values over resolved and other attempts."""
    if len(set(values)) < 2:
        return None
    sides: dict[bool, list[Any]] = {True: [], False: []}
    for attempt, value in zip(seen, values, strict=True):
        sides[attempt.summary.resolved].append(value)
    with Drawing(title) as drawing:
        drawing.axes.hist([sides[True], sides[False]], bins=30, stacked=True, color=[_YES, _NO],
                          label=["resolved", "not resolved"])  # fmt: skip
        drawing.axes.set_xlabel(unit)
        drawing.axes.set_ylabel("attempts")
        drawing.axes.legend(frameon=False)
    return drawing.plot


def _float(cell: object) -> float:
    assert isinstance(cell, int | float)
    return float(cell)
