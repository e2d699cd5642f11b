"""The report of a run as one HTML page, with its curves."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from forager.atomic import replace_text
from forager.evaluation.drawing import Drawing, Plot, from_zero
from forager.evaluation.findings.grid import Findings, written
from forager.learning.rl.counting import StepCount, success
from forager.learning.rl.settings import RlSettings

_LINE, _BAND = "#3b6fb6", "#3b6fb633"
_POINTS = 200
_ROUND = 0.12  # width of a round in the curve, as a share of all steps
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ found.runs[0] }}</title><style>
body {font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}
table {border-collapse: collapse; display: block; overflow-x: auto}
td, th {padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd}
td.text, th.text {text-align: left}
figure {margin: 1rem 0} svg {max-width: 100%; height: auto}
</style></head><body>
<h1>{{ found.runs[0] }}</h1>
<p>{{ found.made_at }}, forager {{ found.version }}; base {{ base }}</p>
{% for plot in plots %}<figure><figcaption>{{ plot.title }}</figcaption>{{ plot.svg|safe }}</figure>
{% endfor %}{% for grid in found.grids %}
<h2>{{ grid.title }}</h2>{% if grid.note %}<p>{{ grid.note }}</p>{% endif %}
<table><tr>{% for column in grid.columns %}<th class="{{ column.kind }}">{{ column.title }}</th>
{% endfor %}</tr>
{% for row in grid.rows %}<tr>{% for cell in row %}
<td class="{{ grid.columns[loop.index0].kind }}">{{ written(cell, grid.columns[loop.index0]) }}</td>
{% endfor %}</tr>{% endfor %}</table>{% endfor %}
</body></html>
"""


def write_page(
    path: Path,
    found: Findings,
    steps: Sequence[StepCount],
    rounds: dict[str, dict[str, float]],
    evaluated: dict[int, dict[str, float]],
    settings: RlSettings,
) -> None:
    """Write the page. Raises StoreError."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    drawn = [plot for plot in curves(steps, rounds, evaluated) if plot]
    replace_text(path, page.render(found=found, plots=drawn, written=written, base=settings.base))


def curves(
    steps: Sequence[StepCount],
    rounds: dict[str, dict[str, float]],
    evaluated: dict[int, dict[str, float]],
) -> list[Plot | None]:
    """The curves that have data."""
    return [
        _evaluated(rounds, evaluated),
        _curve("Mean reward of graded attempts", steps, _reward),
        _curve("Share of clipped tokens", steps, _metric("clipped")),
        _curve("Mean |ratio - 1| of current tokens", steps, _metric("ratio_deviation")),
        _curve("Lag of the oldest tokens, in steps", steps, lambda step: float(step.lag)),
        _curve("Gradient norm", steps, _metric("gradient")),
    ]


def _reward(step: StepCount) -> float | None:
    return fmean(attempt.reward for attempt in step.graded) if step.graded else None


def _metric(name: str) -> Callable[[StepCount], float | None]:
    def metric(step: StepCount) -> float | None:
        value: float | None = getattr(step.metrics, name, None)
        return value

    return metric


def _curve(
    title: str, steps: Sequence[StepCount], value: Callable[[StepCount], float | None]
) -> Plot | None:
    """The mean over neighbouring steps; None without two of them."""
    size = max(1, len(steps) // _POINTS)
    points: list[tuple[float, float]] = []
    for start in range(0, len(steps), size):
        some = steps[start : start + size]
        known = [found for step in some if (found := value(step)) is not None]
        if known:
            points.append((fmean(step.step for step in some), fmean(known)))
    if len(points) < 2:
        return None
    with Drawing(title, height=2.0) as drawing:
        drawing.axes.plot(*zip(*points, strict=True), color=_LINE, lw=1.2)
        drawing.axes.set_xlabel("step")
    return drawing.plot


def _evaluated(
    rounds: dict[str, dict[str, float]], evaluated: dict[int, dict[str, float]]
) -> Plot | None:
    """Success over the steps; the rounds before them stand left of 0, one after another."""
    width = max([1, *evaluated]) * _ROUND
    places = [width * (number - len(rounds)) for number in range(len(rounds))]
    at = [*places, *map(float, evaluated)]
    if len(at) < 2:
        return None
    found: list[Any] = [success(rates) for rates in (*rounds.values(), *evaluated.values())]
    with Drawing("Success on the held-out tasks, with 95 % intervals") as drawing:
        axes = drawing.axes
        axes.fill_between(
            at, [point.low for point in found], [point.high for point in found], color=_BAND
        )
        axes.plot(at, [point.mean for point in found], color=_LINE, marker="o", ms=3)
        axes.set_xlabel("round, then step" if rounds else "step")
        if rounds:
            axes.axvline(-width / 2, color="#999", lw=0.8, ls=":")
            ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= max(evaluated, default=0)]
            names = [name.removeprefix("round-") for name in rounds]
            axes.set_xticks([*places, *ticks], [*names, *(f"{tick:g}" for tick in ticks)])
        from_zero(axes)
    return drawing.plot
