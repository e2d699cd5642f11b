"""`forager replay`: attempts turn by turn, executed again, or taken over."""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.again import TAKE_OVER
from forager.cli.console import console, echo
from forager.cli.listing import print_summaries
from forager.cli.runs import locate, open_source
from forager.cli.screens import interactive, show_replay
from forager.cli.task_views import find_task, holds_tasks, print_task, print_tasks
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.trajectories.index import Index
    from forager.trajectories.record import Trajectory

_EXECUTE, _TAKE_OVER = "Execute again", "Take over"


@click.command(cls=Verb, settings=TAKE_OVER)
@click.argument("target", metavar="RUN|RUN/ID|FILE", type=options.PATH)
@option("--print", "print_all", is_flag=True, help="Print all attempts, without screens or pager.")
@option("--accept", is_flag=True, help="Accept the suspect attempt RUN/ID: it counts as resolved.")
@option("--full", is_flag=True, help="Show long outputs in full.")
@option(
    "--execute",
    is_flag=True,
    heading=_EXECUTE,
    help="Execute the recorded calls again in fresh containers, and compare the results.",
)
@options.workers
@options.limit
@options.as_json
@option(
    "--take-over",
    metavar="TURN",
    type=click.IntRange(1),
    heading=_TAKE_OVER,
    help="Repeat the turns before TURN, and continue in a new attempt.",
)
@option(
    "-o",
    "--output",
    metavar="RUN",
    type=options.PATH,
    heading=_TAKE_OVER,
    help="Run that gets the new attempt.",
)
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading=_TAKE_OVER,
    help="Model that takes over: `repair`, or a model that the endpoint serves. By default you "
    "type the calls.",
)
def replay(
    target: Path,
    print_all: bool,
    accept: bool,
    full: bool,
    execute: bool,
    take_over: int | None,
    output: Path | None,
    workers: int,
    limit: int | None,
    as_json: bool,
    **params: Any,
) -> None:
    """Show attempts turn by turn, execute them again, or take one over.

    In a terminal it opens screens to browse, filter, step through, compare and mark attempts; `?`
    shows the keys. In a pipe it lists the attempts of a run, or prints the attempt RUN/ID. ID may
    be the beginning of an id. A file of tasks is listed, and FILE/ID shows a task.

    --execute (with -w, --limit and --json) tags attempts that behave as recorded: `forager list
    --tag reproduces` lists them. --accept tags a suspect attempt `accepted`. --take-over needs
    RUN/ID and -o.

    \b
    Examples:
      forager replay runs/repair
      forager replay runs/repair --execute -w 4
      forager replay runs/repair/ID --take-over 5 -o runs/mine
    """
    from forager.trajectories.store import find_trajectory

    source, id = locate(target)
    if holds_tasks(source):
        _show_tasks(source, id, full)
        return
    with open_source(source) as index:
        found = find_trajectory(index, id, source) if id else None
        if accept:
            _accept(source, found)
        elif execute:
            ids = [found.id] if found else _ids(index, limit)
            _execute(source, ids, workers, anew=bool(found), as_json=as_json)
        elif take_over is not None:
            if found is None or output is None:
                raise UsageError("--take-over needs RUN/ID, and -o RUN2 for the new attempt")
            _take_over(source, found, take_over, output, params)
        elif output or params["model"]:
            raise UsageError("-o and -m go with --take-over TURN")
        elif as_json or limit is not None or _is_given("workers"):
            raise UsageError("--json, --limit and -w go with --execute")
        elif interactive() and not print_all:
            show_replay(source, found.id if found else "", full=full)
        elif found:
            _show([found], source, full, pager=not print_all)
        else:
            _show_all(index, source, full, print_all=print_all)


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _show_tasks(file: Path, id: str, full: bool) -> None:
    """Print a task; or list all of them."""
    from forager.environments.task import Task
    from forager.records import read_records

    if not id:
        first = next(iter(read_records(file, Task)), None)
        if first is None:
            raise UsageError(f"{file} holds no tasks")
        print_tasks(read_records(file, Task))
        echo(f"\nShow one with: forager replay {file}/{first.instance_id}")
        return
    print_task(find_task(file, id), full=full)


def _accept(source: Path, found: "Trajectory | None") -> None:
    from forager.trajectories.acceptance import ACCEPTED
    from forager.trajectories.marks import Marks

    if found is None or not found.outcome.suspect:
        raise UsageError("--accept needs a suspect attempt RUN/ID; `forager list RUN --suspect`")
    marks = Marks(source)
    tags = dict.fromkeys([*marks.of(found.id).tags, ACCEPTED])
    marks.say(found.id, tags=tuple(tags))
    echo(f"{found.id} is accepted: it counts as resolved. Remove the tag to take it back.")


def _ids(index: "Index", limit: int | None) -> list[str]:
    return [summary.id for summary in index.summaries(index.places(limit=limit))]


def _execute(source: Path, ids: list[str], workers: int, *, anew: bool, as_json: bool) -> None:
    from forager.cli.again import execute_attempts
    from forager.trajectories.store import tasks_of

    def index() -> "Index":
        return open_source(source)

    execute_attempts(source, ids, tasks_of(source), index, workers, anew=anew, as_json=as_json)


def _take_over(
    source: Path, recorded: "Trajectory", turn: int, output: Path, params: dict[str, Any]
) -> None:
    from forager.cli.again import take_over
    from forager.trajectories.store import tasks_of

    take_over(source, recorded, tasks_of(source), turn, output, params)


def _show_all(index: "Index", source: Path, full: bool, *, print_all: bool) -> None:
    """Print all attempts, or list them if there are several and `print_all` is not set."""
    places = index.places()
    if not places:
        raise UsageError(f"{source} holds no attempts yet; `forager run` makes some")
    if print_all or len(places) == 1:
        _show(index.trajectories(places), source, full, pager=not print_all)
        return
    print_summaries(index.summaries(places))
    (first,) = index.summaries(places[:1])
    echo(f"\nShow one with: forager replay {source}/{first.id}")


def _show(trajectories: Iterable["Trajectory"], source: Path, full: bool, *, pager: bool) -> None:
    """Print attempts; in a terminal through the pager, which ends at once if all of it fits."""
    from forager.trajectories.show import show
    from forager.trajectories.store import tasks_of

    tasks = tasks_of(source)
    output = console()
    os.environ.setdefault("LESS", "FRX")
    with output.pager(styles=True) if pager and output.is_terminal else nullcontext():
        for trajectory in trajectories:
            for piece in show(trajectory, tasks.get(trajectory.instance_id), full=full):
                output.print(piece, soft_wrap=True)
