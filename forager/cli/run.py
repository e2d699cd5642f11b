"""`forager run`: attempts at tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.again import read_branch, with_parents
from forager.cli.attempts import (
    attempt_options,
    make_attempts,
    print_families,
    read_tasks,
    run_settings,
)
from forager.cli.console import print_json
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.environments.task import Task
    from forager.rollout.settings import RunSettings


@click.command()
@click.argument("tasks", metavar="tasks.jsonl", type=click.Path(path_type=Path))
@attempt_options
@click.option(
    "--branch-from",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on from attempts of this run at the same tasks, one after the other.",
)
@click.option(
    "--branch-turn",
    metavar="N|middle|failure",
    default="middle",
    show_default=True,
    help="The first turn that is made anew; `failure` is the last call that failed.",
)
@click.option(
    "--resolved/--unresolved", default=None, help="Only from attempts that are, or are not."
)
@click.option(
    "--tag", "tags", metavar="TAG", multiple=True, help="Only from attempts with it; repeatable."
)
@click.option(
    "--predictions",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="At the end the attempts as SWE-bench's predictions, as `forager export` writes them.",
)
@options.limit
@options.dry_run
def run(
    tasks: Path,
    output: Path,
    predictions: Path | None,
    limit: int | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Attempt each task, grade each attempt in a fresh container, keep all of it in RUN.

    Run again, it makes the attempts that are missing. With --branch-from each attempt makes the
    first turns of one of another run again, and then the model takes over; tasks without such an
    attempt are left out.
    """
    settings = run_settings(given, read_branch(given))
    chosen = read_tasks(tasks, limit)
    if settings.branch:
        chosen = with_parents(chosen, settings.branch)
    if dry_run:
        _print_plan(settings, chosen, output)
        return
    if predictions and predictions.exists():
        raise UsageError(f"{predictions} exists; name a new directory for the predictions")
    make_attempts(settings, chosen, output, at_end=print_families)
    if predictions:
        from forager.trajectories.export import writer
        from forager.trajectories.store import Run

        writer("swe-bench")(Run(output).trajectories(), predictions)


def _print_plan(settings: "RunSettings", tasks: "list[Task]", output: Path) -> None:
    from forager.rollout.plan import Plan
    from forager.trajectories.store import Run

    known = (output / "settings.json").exists()
    finished = Plan(tasks, settings, Run(output).summaries() if known else []).done
    print_json(
        {
            "settings": settings.model_dump(mode="json"),
            "tasks": len(tasks),
            "attempts": len(tasks) * len(settings.numbers),
            "finished": finished,
        }
    )
