"""`forager list`, `replay` and `report`: what a run left behind."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import console, print_json, print_table
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.environments.task import Task
    from forager.trajectories.record import Trajectory
    from forager.trajectories.summary import Summary

run_argument = click.argument("run", type=click.Path(path_type=Path))


@click.command("list")
@run_argument
@click.option("--resolved/--unresolved", default=None, help="Only these.")
@click.option("--sort", metavar="FIELD", help="A field of --json; -FIELD for the largest first.")
@options.limit
@options.as_json
def list_attempts(
    run: Path, resolved: bool | None, sort: str | None, limit: int | None, as_json: bool
) -> None:
    """List the attempts of RUN."""
    summaries = [one for one in _summaries(run) if resolved is None or one.resolved is resolved]
    if sort:
        summaries = _sorted(summaries, sort)
    if as_json:
        print_json([one.model_dump() for one in summaries[:limit]])
    else:
        from forager.trajectories.report import attempt_table

        print_table(attempt_table(summaries[:limit]))


@click.command()
@click.argument("target", metavar="RUN|RUN/ID|FILE", type=click.Path(path_type=Path))
@click.option("--print", "print_all", is_flag=True, help="Print all of it; no list, no pager.")
@click.option("--full", is_flag=True, help="Fold nothing.")
def replay(target: Path, print_all: bool, full: bool) -> None:
    """Show an attempt turn by turn: thoughts, calls, observations, patch, outcome.

    Of a RUN or FILE with several attempts it lists them; with --print it shows them all. ID may be
    the beginning of an id.
    """
    from forager.trajectories.store import find_trajectory

    source, id = _locate(target)
    if id:
        _show([find_trajectory(source, id)], source, full, pager=not print_all)
        return
    summaries = list(_read_summaries(source))
    if not summaries:
        raise UsageError(f"{target} holds no attempts yet")
    if print_all or len(summaries) == 1:
        _show(_trajectories(source), source, full, pager=not print_all)
        return
    from forager.trajectories.report import attempt_table

    print_table(attempt_table(summaries))
    click.echo(f"\nShow one with: forager replay {target}/{summaries[0].id}")


@click.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.as_json
def report(runs: tuple[Path, ...], as_json: bool) -> None:
    """Count the attempts of each RUN, taken together: by family, by exit reason, in all."""
    from itertools import chain

    from forager.trajectories import report as reports

    counted = reports.report(chain.from_iterable(_summaries(run) for run in runs))
    if as_json:
        print_json(counted.model_dump())
        return
    print_table(reports.family_table(counted))
    click.echo()
    print_table(reports.reason_table(counted))


def _summaries(path: Path) -> "Iterator[Summary]":
    source, id = _locate(path)
    if id:
        raise UsageError(f"{path} is not a run; give {path.parent}")
    return _read_summaries(source)


def _read_summaries(source: Path) -> "Iterator[Summary]":
    from forager.records import read_records
    from forager.trajectories.summary import TrajectoryHead

    if source.exists():
        for head in read_records(source, TrajectoryHead):
            yield head.summary()


def _trajectories(source: Path) -> "Iterator[Trajectory]":
    from forager.records import read_records
    from forager.trajectories.record import Trajectory

    return read_records(source, Trajectory)


def _sorted(summaries: "list[Summary]", field: str) -> "list[Summary]":
    from forager.trajectories.summary import Summary

    name = field.removeprefix("-")
    fields = Summary.model_fields | Summary.model_computed_fields
    if name not in fields:
        raise UsageError(f"there is no field {name!r} to sort by; there are {', '.join(fields)}")
    return sorted(summaries, key=lambda one: getattr(one, name), reverse=field.startswith("-"))


def _locate(path: Path) -> tuple[Path, str]:
    """The file of trajectories that a path on the command line means, and the id it ends with."""
    from forager.trajectories.store import Run

    if path.exists() and not path.is_dir():
        return path, ""
    if path.is_dir():
        return Run(path).path / "trajectories.jsonl", ""
    parent = path.parent
    if parent.is_file():
        return parent, path.name
    if (parent / "settings.json").is_file():
        return parent / "trajectories.jsonl", path.name
    raise UsageError(f"{path} is no run, no attempt of a run and no file of attempts")


def _show(trajectories: "Iterable[Trajectory]", source: Path, full: bool, *, pager: bool) -> None:
    """Print attempts; in a terminal through the pager, which is left at once where all fits."""
    from contextlib import nullcontext

    from forager.trajectories.show import show

    tasks = _tasks(source)
    output = console()
    os.environ.setdefault("LESS", "FRX")
    with output.pager(styles=True) if pager and output.is_terminal else nullcontext():
        for trajectory in trajectories:
            for piece in show(trajectory, tasks.get(trajectory.instance_id), full=full):
                output.print(piece, soft_wrap=True)


def _tasks(source: Path) -> "dict[str, Task]":
    """The tasks by name, where the file of attempts lies in a run directory."""
    from forager.environments.task import Task
    from forager.records import read_records

    path = source.parent / "tasks.jsonl"
    tasks = read_records(path, Task) if path.is_file() else iter(())
    return {task.instance_id: task for task in tasks}
