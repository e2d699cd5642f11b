"""`forager report`: what runs came to."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import print_json, print_table
from forager.cli.look import open_attempts, opened, runs_argument

if TYPE_CHECKING:
    from collections.abc import Callable

    from forager.trajectories.record import Usage


@click.command()
@runs_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write a whole report instead: report.html, .md or .json.",
)
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="Attempts that the page shows turn by turn.",
)
@options.as_json
def report(runs: tuple[Path, ...], output: Path | None, sample: int, as_json: bool) -> None:
    """Count the attempts of each RUN, taken together: by family, by exit reason, in all.

    With -o it tells much more: by operator, repository, difficulty and model, run against run,
    how attempts at one task differ, what they cost, what went wrong with tools. The page has plots
    and needs no network.
    """
    from forager.evaluation import report as reports

    if output:
        _write_report(runs, output, sample)
        return
    counted = reports.report(one for index in opened(runs) for one in index.summaries())
    if as_json:
        print_json(counted.model_dump())
        return
    print_table(reports.family_table(counted))
    click.echo()
    print_table(reports.reason_table(counted))


def _write_report(runs: tuple[Path, ...], output: Path, sample: int) -> None:
    from contextlib import ExitStack

    from forager.evaluation.findings.gather import Source
    from forager.evaluation.findings.written import write_report

    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    with ExitStack() as stack:
        indexes = [stack.enter_context(open_attempts(run)) for run in runs]
        sources = [Source(*one) for one in zip(names, indexes, map(_cost_of, runs), strict=True)]
        write_report(sources, output, sample)


def _cost_of(run: Path) -> "Callable[[str, Usage], float] | None":
    """What the tokens of a run cost by its budget; None where that has no prices."""
    from forager.rollout.settings import Budget, Price
    from forager.trajectories.store import Run

    if not run.is_dir():
        return None
    prices = Budget.model_validate(Run(run).settings().get("budget", {})).prices
    return (lambda model, usage: prices.get(model, Price()).of(usage)) if prices else None
