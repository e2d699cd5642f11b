"""`forager tasks health`: which tasks to drop before a model attempts them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.attempts import read_tasks
from forager.cli.console import echo, print_json, print_table
from forager.cli.progress import Stages
from forager.cli.runs import opened
from forager.cli.verb import Verb, option

if TYPE_CHECKING:
    from rich.table import Table

    from forager.environments.task import Task
    from forager.resumed import Resumed
    from tasks.health import ProbedTask, TaskHealth


@click.command(cls=Verb)
@click.argument("file", metavar="tasks.jsonl", type=options.PATH)
@options.output("health.jsonl", "File of the probed tasks; the same command resumes.")
@option(
    "--run",
    "runs",
    metavar="RUN",
    type=options.PATH,
    multiple=True,
    help="Run whose attempts give solve rates, such as one of `-m repair`. Can be repeated.",
)
@option(
    "--kept",
    metavar="FILE",
    type=options.PATH,
    help="File to write the healthy tasks to.",
)
@option(
    "--repeats",
    metavar="N",
    type=click.IntRange(min=0),
    default=2,
    shown_default="2",
    help="How often to grade the reference on a quarter of a processor.",
)
@options.sandbox("Where the probes run.")
@options.workers
@options.limit
@options.as_json
def health(
    file: Path,
    output: Path,
    runs: tuple[Path, ...],
    kept: Path | None,
    repeats: int,
    sandbox: str,
    workers: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Probe tasks, and say which to drop before GPU time is spent.

    Patches that solve nothing must not pass: a comment, a function that returns None, no function.
    The reference must pass on a quarter of a processor. Runs give solve rates: a task that no
    attempt of eight or more solves teaches nothing, and neither does one that the models always
    solve. Contaminated tasks are named.

    \b
    Example:
      forager run tasks.jsonl -o runs/repair -m repair
      forager tasks health tasks.jsonl -o health.jsonl --run runs/repair --kept healthy.jsonl
    """
    from forager.records import write_records
    from forager.resumed import check_lost
    from tasks.health import health as judged
    from tasks.health import solve_rates

    chosen = read_tasks(file, limit)
    rates = solve_rates(attempt for index in opened(runs) for attempt in index.summaries())
    probed = _probed(chosen, output, repeats, sandbox, workers)
    found = [judged(task, rates.get(name, {})) for name, task in probed.records.items()]
    if kept:
        healthy = {health.probed.instance_id for health in found if not health.drop}
        write_records(kept, (task for task in chosen if task.instance_id in healthy))
    if as_json:
        print_json([health.model_dump() for health in found])
    else:
        _print(found)
    check_lost("tasks", probed.lost)


def _print(found: "Sequence[TaskHealth]") -> None:
    for health in found:
        if health.drop:
            echo(f"{health.probed.instance_id}\tdrop: {', '.join(health.drop)}")
    print_table(_table(found))
    dropped = sum(bool(health.drop) for health in found)
    echo(f"drop {dropped:,} of {len(found):,} tasks")


def _probed(
    chosen: "list[Task]", output: Path, repeats: int, sandbox: str, workers: int
) -> "Resumed[ProbedTask]":
    """The probes of all tasks; those that the file lacks are made now."""
    from forager.resumed import RecordFile, resumed
    from forager.sandboxes.kinds import sandbox_kind
    from tasks.health import ProbedTask, probe

    tasks, sandboxes = {task.instance_id: task for task in chosen}, sandbox_kind(sandbox)

    def make(name: str) -> ProbedTask:
        return probe(tasks[name], repeats=repeats, sandboxes=sandboxes)

    file = RecordFile(output, ProbedTask, attrgetter("instance_id"))
    with Stages() as show:
        return resumed("tasks", list(tasks), make, file, workers, show)


def _table(found: "Iterable[TaskHealth]") -> "Table":
    """How many tasks have each reason, by project."""
    from rich.table import Table

    reasons: Counter[str] = Counter()
    projects: dict[str, Counter[str]] = {}
    for health in found:
        counts = projects.setdefault(health.probed.repo, Counter())
        counts.update(["tasks", *health.drop])
        reasons.update(health.drop)
    columns = ["tasks", *(reason for reason, _ in reasons.most_common())]
    table = Table("project", *columns)
    for project, counts in projects.items():
        table.add_row(project, *(f"{counts[column]:,}" for column in columns))
    return table
