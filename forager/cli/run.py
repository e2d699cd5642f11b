"""`forager run`: attempts at tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.again import read_branch, with_parents
from forager.cli.attempts import (
    ATTEMPTS,
    make_attempts,
    print_families,
    read_tasks,
    run_settings,
    tracked_run,
)
from forager.cli.console import print_json
from forager.cli.verb import Verb, option
from forager.errors import UsageError
from forager.locks import claimed_output

if TYPE_CHECKING:
    from forager.environments.task import Task
    from forager.rollout.settings import RunSettings

_BRANCH = "Continue attempts of another run"


@click.command(cls=Verb, settings=ATTEMPTS)
@click.argument("tasks", metavar="tasks.jsonl", type=options.PATH)
@options.output("RUN", "Directory of the run.")
@options.workers
@options.limit
@option(
    "--predictions",
    metavar="DIR",
    type=options.PATH,
    help="Also write SWE-bench predictions to this new directory at the end.",
)
@options.preflight
@options.trackers
@options.dry_run
@option(
    "--branch-from",
    metavar="RUN",
    type=options.PATH,
    heading=_BRANCH,
    help="Continue attempts of this run at the same tasks; leave out tasks that have none.",
)
@option(
    "--branch-turn",
    metavar="N|middle|failure",
    default="middle",
    shown_default="middle",
    heading=_BRANCH,
    help="First turn that the model makes itself; `failure` is the last call that failed.",
)
@option(
    "--resolved/--unresolved",
    default=None,
    heading=_BRANCH,
    help="Continue only resolved, or only unresolved, attempts.",
)
@option(
    "--tag",
    "tags",
    metavar="TAG",
    multiple=True,
    heading=_BRANCH,
    help="Continue only attempts with this tag. Can be repeated.",
)
def run(
    tasks: Path,
    output: Path,
    predictions: Path | None,
    limit: int | None,
    preflight: bool,
    trackers: tuple[str, ...],
    dry_run: bool,
    **params: Any,
) -> None:
    """Attempt tasks with a model, and grade each attempt.

    Each attempt works in a sandbox of its own and is graded in a fresh one. The run directory
    keeps the settings, the tasks and every trajectory. The same command resumes an interrupted run:
    it makes only the attempts that are missing.

    \b
    Examples:
      forager run tasks.jsonl -o runs/repair -m repair
      forager run tasks.jsonl -o runs/qwen -m qwen --url http://127.0.0.1:8000/v1 --attempts 4
      forager run tasks.jsonl -o runs/again -m repair --branch-from runs/qwen --unresolved
      forager run tasks.jsonl -o runs/mini -m qwen --agent 'mini -y -t "$FORAGER_PROMPT"' \
        --agent-files ~/mini --url http://127.0.0.1:8000/v1
    """
    settings = run_settings(params)
    branch = read_branch(params, settings.syntax)
    if branch and settings.agent:
        raise UsageError("--branch-from continues attempts with forager's agent; leave out --agent")
    settings = settings.model_copy(update={"branch": branch})
    chosen = read_tasks(tasks, limit)
    if branch:
        chosen = with_parents(chosen, branch)
    if dry_run:
        _print_plan(settings, chosen, output)
        return
    if predictions:
        if predictions.exists():
            raise UsageError(f"{predictions} exists; name a new directory for the predictions")
        with claimed_output(predictions):
            pass  # a place that takes nothing is found before the attempts are made
    with tracked_run(settings, output, "run", trackers) as tracking:
        make_attempts(
            settings,
            chosen,
            output,
            preflight=preflight,
            tracking=tracking,
            at_end=print_families,
        )
    if predictions:
        from forager.trajectories.export.swe_bench import write
        from forager.trajectories.store import Run

        write(Run(output).trajectories(), predictions)


def _print_plan(settings: "RunSettings", tasks: "list[Task]", output: Path) -> None:
    from forager.rollout.plan import Plan
    from forager.trajectories.store import Run, is_run

    made = Run(output).summaries() if is_run(output) else []
    finished = Plan(tasks, settings, made).done
    print_json(
        {
            "settings": settings.model_dump(mode="json"),
            "tasks": len(tasks),
            "attempts": len(tasks) * len(settings.numbers),
            "finished": finished,
        }
    )
