"""`forager evaluate`: how many tasks a model resolves, and how many more than another."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.attempts import (
    ATTEMPTS,
    make_attempts,
    print_families,
    read_tasks,
    run_settings,
)
from forager.cli.console import echo, print_json, print_table
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.evaluation.estimates import Estimate
    from forager.learning.bootstrap.split import By


@click.command(cls=Verb, settings=ATTEMPTS)
@click.argument("tasks", metavar="tasks.jsonl", type=options.PATH)
@options.output("RUN", "Directory of the run.")
@options.workers
@options.limit
@option(
    "--against",
    metavar="RUN",
    type=options.PATH,
    help="Compare with the attempts of this run at the same tasks, task by task.",
)
@option(
    "--by",
    type=click.Choice(["function", "repository"]),
    default="function",
    shown_default="function",
    help="What makes tasks alike; the standard errors are clustered by it.",
)
@options.preflight
@options.accept_suspect
@options.as_json
def evaluate(
    tasks: Path,
    output: Path,
    against: Path | None,
    by: "By",
    limit: int | None,
    preflight: bool,
    accept_suspect: bool,
    as_json: bool,
    **params: Any,
) -> None:
    """Measure a model's success rate, with a confidence interval.

    It attempts each task as `forager run` does and prints the share of resolved attempts with its
    95 % interval; with --against, also the gain over another run. The same command resumes an
    interrupted evaluation.

    \b
    Example:
      forager evaluate tasks.jsonl -o runs/new -m qwen --url http://127.0.0.1:8000/v1 \\
          --against runs/old
    """
    from forager.evaluation.estimates import difference, estimate
    from forager.learning.bootstrap.manifest import success_by_task
    from forager.learning.bootstrap.split import clusters
    from forager.trajectories.store import Run

    settings = run_settings(params)
    if len(settings.models) > 1:
        raise UsageError("an evaluation takes one model; give one -m, and another -o for the next")
    other = success_by_task(Run(against), accept_suspect=accept_suspect) if against else {}
    chosen = read_tasks(tasks, limit)
    if against and not any(task.instance_id in other for task in chosen):
        raise UsageError(f"{against} has no attempts at any of these tasks; give another --against")
    show = (lambda _: None) if as_json else partial(print_families, accept_suspect=accept_suspect)
    make_attempts(settings, chosen, output, preflight=preflight, at_end=show)
    alike = clusters(chosen, by)
    made = success_by_task(Run(output), accept_suspect=accept_suspect)
    rates = {task: rate for task, rate in made.items() if task in alike}
    found = {"success": estimate(rates, alike)}
    if against:
        found["gain"] = difference(rates, other, alike)
    if as_json:
        print_json({name: value.model_dump() for name, value in found.items()})
    else:
        _print(found)


def _print(found: "dict[str, Estimate]") -> None:
    """Such as: success 41.0 % (95 %: 33.2 % to 48.8 %), 120 tasks."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("", "mean", "95 %, from", "to", "tasks"):
        table.add_column(title, justify="left" if not title else "right")
    for name, value in found.items():
        shares = (value.mean, value.low, value.high)
        sign = "+" if name == "gain" else ""
        table.add_row(name, *(f"{share:{sign}.1%}" for share in shares), str(value.tasks))
    echo()
    print_table(table)
