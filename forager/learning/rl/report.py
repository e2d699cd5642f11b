"""Report of a run: rewards, lag, ratios and evaluations over its steps, as tables and curves."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from forager.atomic import replace_text
from forager.evaluation.estimates import difference
from forager.evaluation.findings.grid import Cell, Findings, Grid, GridColumn, number, share, text
from forager.evaluation.findings.writers import as_json, lacking_for_page, markdown
from forager.learning.rl.continued import rounds_of
from forager.learning.rl.counting import StepCount, counted, evaluations, success
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.settings import RlSettings
from forager.version import VERSION

_ROWS = 20  # of a table of steps


def write_reports(settings: RlSettings, layout: RlLayout) -> str:
    """Write report.md, report.json and, if packages allow, report.html with curves.

    Returns the package that curves lack; empty if there is none.
    """
    steps, drops = counted(layout)
    evaluated = evaluations(layout)
    rounds = rounds_of(Path(settings.after)) if settings.after else {}
    found = Findings(
        runs=[layout.run.name],
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=VERSION,
        grids=[
            grid
            for grid in (_success(rounds, evaluated), _steps(steps), _drops(drops))
            if grid.rows
        ],
    )
    replace_text(layout.run / "report.md", markdown(found))
    replace_text(layout.run / "report.json", as_json(found))
    lacking = lacking_for_page()
    if not lacking and found.grids:
        from forager.learning.rl.page import write_page

        write_page(layout.run / "report.html", found, steps, rounds, evaluated, settings)
    return lacking


def _success(rounds: dict[str, dict[str, float]], evaluated: dict[int, dict[str, float]]) -> Grid:
    """Success of the models of a bootstrap, if the run goes on from one, and after the steps."""
    steps: dict[Cell, dict[str, float]] = {
        f"step {step}" if rounds else step: rates for step, rates in evaluated.items()
    }
    note = "Gain: over the first evaluation, paired by task (arXiv 2411.00640)."
    if rounds:
        note = (
            "Gain: of rounds over their base, of steps over step 0, paired by task "
            "(arXiv 2411.00640). Step 0 has the weights of the last round that was promoted."
        )
    return Grid(
        name="success",
        title="Success on the held-out tasks",
        note=note,
        columns=[
            text("weights") if rounds else GridColumn(title="step"),
            GridColumn(title="tasks"),
            *map(share, ("share", "low", "high", "gain", "gain low", "gain high")),
        ],
        rows=[*_success_rows(rounds), *_success_rows(steps)],
    )


def _success_rows(evaluated: Mapping[Any, dict[str, float]]) -> Iterator[list[Cell]]:
    first = next(iter(evaluated.values()), {})
    for name, rates in evaluated.items():
        solved = success(rates)
        gain = difference(rates, first, {task: task for task in rates})
        gained: list[Cell] = [None] * 3 if rates is first else [gain.mean, gain.low, gain.high]
        yield [name, solved.tasks, solved.mean, solved.low, solved.high, *gained]


def _steps(steps: Sequence[StepCount]) -> Grid:
    return Grid(
        name="steps",
        title="Steps",
        note="Means over the steps of a row; reward and solved over all graded attempts, those of "
        "dropped groups included. Lag: steps by which the oldest tokens of a batch were older than "
        "the weights. Ratio: mean of |ratio - 1| over tokens that the current weights sampled.",
        columns=[
            text("steps"),
            GridColumn(title="attempts"),
            number("reward"),
            share("solved"),
            number("tokens per attempt"),
            number("lag"),
            number("loss"),
            number("gradient"),
            share("clipped"),
            number("ratio"),
            number("seconds of step"),
        ],
        rows=list(_step_rows(steps)),
    )


def _step_rows(steps: Sequence[StepCount]) -> Iterator[list[Cell]]:
    size = max(1, -(-len(steps) // _ROWS))
    for start in range(0, len(steps), size):
        group = steps[start : start + size]
        graded = [attempt for step in group for attempt in step.graded]
        made = [step.metrics for step in group if step.metrics]
        first, last = group[0].step, group[-1].step
        yield [
            f"{first} to {last}" if first < last else str(first),
            len(graded),
            _mean([attempt.reward for attempt in graded]),
            _mean([float(attempt.resolved) for attempt in graded]),
            _mean([float(attempt.tokens) for attempt in graded]),
            _mean([float(step.lag) for step in group]),
            _mean([step.loss for step in made]),
            _mean([step.gradient for step in made if step.gradient is not None]),
            _mean([step.clipped for step in made if step.clipped is not None]),
            _mean([step.ratio_deviation for step in made if step.ratio_deviation is not None]),
            _mean([step.seconds for step in made]),
        ]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _drops(drops: Counter[str]) -> Grid:
    return Grid(
        name="drops",
        title="Dropped groups and attempts",
        columns=[text("what and why"), GridColumn(title="count")],
        rows=[[reason, count] for reason, count in drops.most_common()],
    )
