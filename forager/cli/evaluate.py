"""`forager evaluate`: how much a model resolves, and by how much more than another."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.attempts import (
    attempt_options,
    make_attempts,
    print_families,
    read_tasks,
    run_settings,
)
from forager.cli.console import print_json, print_table
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.evaluation.estimates import Estimate
    from forager.learning.bootstrap.split import By


@click.command()
@click.argument("tasks", metavar="tasks.jsonl", type=click.Path(path_type=Path))
@attempt_options
@click.option(
    "--against",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Compare with the attempts of this run at the same tasks, task by task.",
)
@click.option(
    "--by",
    type=click.Choice(["function", "repository"]),
    default="function",
    show_default=True,
    help="What makes tasks alike: intervals are by standard errors over these.",
)
@options.limit
@options.as_json
def evaluate(
    tasks: Path,
    output: Path,
    against: Path | None,
    by: "By",
    limit: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Attempt each task as `forager run` does, and say how much was resolved, with an interval.

    Run again, it makes the attempts that are missing.
    """
    from forager.evaluation.estimates import difference, estimate
    from forager.learning.bootstrap.lineage import success_by_task
    from forager.learning.bootstrap.split import clusters
    from forager.trajectories.store import Run

    settings = run_settings(given)
    if len(settings.models) > 1:
        raise UsageError("evaluate one model at a time, each with an -o of its own")
    other = success_by_task(Run(against)) if against else {}
    chosen = read_tasks(tasks, limit)
    if against and not any(task.instance_id in other for task in chosen):
        raise UsageError(f"{against} has no attempts at any of these tasks")
    show = (lambda _: None) if as_json else print_families
    make_attempts(settings, chosen, output, at_end=show)
    alike = clusters(chosen, by)
    values = {task: each for task, each in success_by_task(Run(output)).items() if task in alike}
    found = {"success": estimate(values, alike)}
    if against:
        found["gain"] = difference(values, other, alike)
    if as_json:
        print_json({name: each.model_dump() for name, each in found.items()})
    else:
        _print(found)


def _print(found: "dict[str, Estimate]") -> None:
    """Such as: success 41.0 % (95 %: 33.2 % to 48.8 %), 120 tasks."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("", "mean", "95 %, from", "to", "tasks"):
        table.add_column(title, justify="left" if not title else "right")
    for name, each in found.items():
        shares = (f"{value:+.1%}" if name == "gain" else f"{value:.1%}" for value in
                  (each.mean, each.low, each.high))  # fmt: skip
        table.add_row(name, *shares, str(each.tasks))
    click.echo()
    print_table(table)
