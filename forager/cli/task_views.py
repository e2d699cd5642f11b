"""`forager tasks list|show|stats`: what is in a file of tasks."""

from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import console, echo, print_json, print_table
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

    from forager.cli.outputs import Spread, TaskCounts, TaskRow
    from forager.environments.task import Task

_file = click.argument("file", metavar="tasks.jsonl", type=options.PATH)
_family = option("--family", metavar="NAME", help="Take only tasks of this family.")
_project = option("--project", metavar="NAME", help="Take only tasks of this project.")


@click.command("list", cls=Verb)
@_file
@_family
@_project
@options.limit
@options.as_json
def list_tasks(
    file: Path, family: str | None, project: str | None, limit: int | None, as_json: bool
) -> None:
    """List the tasks of a file.

    \b
    Example:
      forager tasks list tasks.jsonl --family operators --limit 20
    """
    from itertools import islice

    print_tasks(islice(_chosen(file, family, project), limit), as_json=as_json)


@click.command("show", cls=Verb)
@_file
@click.argument("id", metavar="ID")
@option("--full", is_flag=True, help="Show long texts in full.")
@options.as_json
def show(file: Path, id: str, full: bool, as_json: bool) -> None:
    """Show a task: statement, bug, reference patch and tests.

    ID may be the beginning of an id. It shows the solution, so keep it from agents.

    \b
    Example:
      forager tasks show tasks.jsonl toolz__operators-1
    """
    task = find_task(file, id)
    if as_json:
        print_json(task.model_dump(mode="json"))
    else:
        print_task(task, full=full)


@click.command("stats", cls=Verb)
@_file
@_family
@_project
@options.as_json
def stats(file: Path, family: str | None, project: str | None, as_json: bool) -> None:
    """Count tasks by family, project and kind, and summarize their difficulty.

    \b
    Example:
      forager tasks stats tasks.jsonl --project pypi/toolz
    """
    found = _counts(_chosen(file, family, project))
    if as_json:
        print_json(found.model_dump())
        return
    named = {"family": found.family, "project": found.project, "kind": found.kind}
    for name, counts in named.items():
        print_table(_count_table(name, counts))
        echo()
    if found.difficulty:
        print_table(_difficulty_table(found.difficulty))
        echo()
    echo(f"{found.tasks:,} tasks")


def holds_tasks(path: Path) -> bool:
    """Whether the first record of a file is a task."""
    from forager.records import LONGEST_LINE, bounded_lines, looks_like

    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = next((line for *_, line in bounded_lines(file, LONGEST_LINE)), None)
    return looks_like(first or b"") == "a task"


def find_task(file: Path, id: str) -> "Task":
    """The task with this id, or the only one whose id begins so. Raises UsageError."""
    from forager.text import known_words

    tasks = {task.instance_id: task for task in _chosen(file)}
    if id in tasks:
        return tasks[id]
    matching = [name for name in tasks if name.startswith(id)]
    if len(matching) == 1:
        return tasks[matching[0]]
    if matching:
        few = ", ".join(matching[:3]) + (", …" if len(matching) > 3 else "")
        raise UsageError(f"several tasks begin with {id!r}: {few}")
    raise UsageError(f"{file} has no task {id!r}; {known_words(id, tasks, most=3)}")


def print_task(task: "Task", *, full: bool) -> None:
    """Print a task; `full` disables folding."""
    from forager.trajectories.show_task import show_task

    for piece in show_task(task, full=full):
        console().print(piece, soft_wrap=True)


def print_tasks(tasks: "Iterable[Task]", *, as_json: bool = False) -> None:
    """Print a table of tasks, or the same as JSON."""
    from rich.table import Table
    from rich.text import Text

    rows = [_row(task) for task in tasks]
    if as_json:
        print_json([row.model_dump() for row in rows])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "family", "operator", "project", "place"):
        table.add_column(title, overflow="fold")
    table.add_column("tests", justify="right")
    for row in rows:
        words = (row.id, row.family, row.operator, row.project, row.location)
        tests = " + ".join(f"{count:,}" for count in row.tests.values())
        table.add_row(*map(Text, words), tests)
    print_table(table)


def _chosen(file: Path, family: str | None = None, project: str | None = None) -> "Iterator[Task]":
    from forager.environments.task import Task
    from forager.records import read_records

    for task in read_records(file, Task):
        wrong_family = family is not None and task.labels.family != family
        if not wrong_family and (project is None or project in (task.repo, _project_of(task))):
            yield task


def _project_of(task: "Task") -> str:
    return task.labels.repository or task.repo


def _row(task: "Task") -> "TaskRow":
    from forager.cli.outputs import TaskRow

    labels = task.labels
    return TaskRow(
        id=task.instance_id,
        environment=task.environment,
        kind=task.kind,
        family=labels.family,
        operator=labels.operator,
        project=_project_of(task),
        location=labels.location,
        difficulty=labels.difficulty,
        tests={name: len(tests) for name, tests in task.test_groups().items()},
        contaminated=task.contaminated,
    )


def _counts(tasks: "Iterable[Task]") -> "TaskCounts":
    from forager.cli.outputs import Spread, TaskCounts

    families, projects, kinds = Counter[str](), Counter[str](), Counter[str]()
    measures: defaultdict[str, list[float]] = defaultdict(list)
    for task in tasks:
        families[task.labels.family] += 1
        projects[_project_of(task)] += 1
        kinds[task.kind] += 1
        for measure, value in task.labels.difficulty.items():
            measures[measure].append(value)
    return TaskCounts(
        tasks=kinds.total(),
        family=dict(families.most_common()),
        project=dict(projects.most_common()),
        kind=dict(kinds.most_common()),
        difficulty={
            name: Spread(
                tasks=len(values), least=min(values), median=median(values), greatest=max(values)
            )
            for name, values in sorted(measures.items())
        },
    )


def _count_table(name: str, counts: dict[str, int]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(name, box=None, pad_edge=False)
    table.add_column("tasks", justify="right")
    for value, count in counts.items():
        table.add_row(Text(value or "–"), f"{count:,}")
    return table


def _difficulty_table(measures: "dict[str, Spread]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("difficulty", box=None, pad_edge=False)
    for title in ("tasks", "least", "median", "greatest"):
        table.add_column(title, justify="right")
    for name, spread in measures.items():
        values = (spread.tasks, spread.least, spread.median, spread.greatest)
        table.add_row(Text(name), *(f"{value:,.10g}" for value in values))
    return table
