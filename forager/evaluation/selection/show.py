"""Shows the result of a selection: a table, some lines, a plot."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from forager.evaluation.drawing import Drawing, Plot, from_zero
from forager.evaluation.estimates import Estimate
from forager.evaluation.selection.curves import SelectionPoint
from forager.evaluation.selection.selecting import SelectionResult, WrittenTests


def table(result: SelectionResult) -> Table:
    """Shares by the number of attempts, with 95 % intervals."""
    shown = Table(box=None, pad_edge=False)
    for title in ("k", "tasks", f"best@k by {result.by}", "majority@k", "pass@k (bound)"):
        shown.add_column(title, justify="right", no_wrap=True)
    for point in result.points:
        values = (point.best, point.majority, point.bound)
        shown.add_row(str(point.k), f"{point.best.tasks:,}", *map(percent, values))
    return shown


def percent(value: Estimate) -> str:
    """Such as 41.0 % (33.2–48.8)."""
    low, high = max(0.0, value.low), min(1.0, value.high)
    return f"{value.mean * 100:.1f} % ({low * 100:.1f}–{high * 100:.1f})"


def lines(result: SelectionResult) -> Iterator[str]:
    """What was tested, and what the written tests are worth."""
    if result.sandboxes:
        yield (
            f"{result.answers:,} different answers, {result.tests:,} pairs of answer and test, "
            f"{result.sandboxes:,} sandboxes"
        )
    if tests := result.written:
        yield (
            f"written tests: {tests.different:,} different, {tests.kept:,} kept, "
            f"{tests.counted:,} counted"
        )
        if tests.recall.tasks:
            yield f"written tests: {worth(tests)}"


def worth(tests: WrittenTests) -> str:
    """Precision, if any test counted, and recall."""
    recall = f"recall {percent(tests.recall)}"
    return f"precision {percent(tests.precision)}, {recall}" if tests.precision.tasks else recall


def plot(results: Sequence[tuple[str, SelectionResult]]) -> Plot | None:
    """best@k of each result, with majority@k and pass@k of the first, over k."""
    with Drawing("Resolved tasks by the number of attempts", height=3.2) as drawing:
        for name, result in results:
            _line(drawing, name, result.points, [point.best for point in result.points])
        points = results[0][1].points
        _line(drawing, "majority", points, [point.majority for point in points], "--")
        _line(drawing, "pass@k, the bound", points, [point.bound for point in points], ":")
        drawing.axes.set_xscale("log", base=2)
        ticks = [point.k for point in points]
        drawing.axes.set_xticks(ticks, [str(k) for k in ticks])
        drawing.axes.set_xlabel("attempts per task (k)")
        from_zero(drawing.axes)
        drawing.axes.legend(frameon=False)
    return drawing.plot


def _line(
    drawing: Drawing,
    name: str,
    points: Sequence[SelectionPoint],
    values: Sequence[Estimate],
    style: str = "-",
) -> None:
    ks = [point.k for point in points]
    drawing.axes.plot(ks, [value.mean for value in values], style, marker="o", label=name)
    low, high = [value.low for value in values], [value.high for value in values]
    drawing.axes.fill_between(ks, low, high, alpha=0.12)
