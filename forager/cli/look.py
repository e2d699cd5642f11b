"""`forager list`, `replay`, `tokens`: what runs left behind."""

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import console, print_json, print_table, say
from forager.cli.screens import interactive, show_replay
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.environments.task import Task
    from forager.trajectories.index import Index
    from forager.trajectories.record import Trajectory
    from forager.trajectories.summary import Summary

_PAGE = 1000  # lines printed at a time

run_argument = click.argument("run", type=click.Path(path_type=Path))
runs_argument = click.argument(
    "runs", metavar="RUN…", nargs=-1, required=True, type=click.Path(path_type=Path)
)


@click.command("list")
@run_argument
@options.resolved
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Those with it; repeatable.")
@click.option("--marked", is_flag=True, help="Only those that were marked in `forager replay`.")
@click.option("--sort", metavar="FIELD", help="A field of --json; -FIELD for the largest first.")
@options.limit
@options.as_json
def list_attempts(
    run: Path,
    resolved: bool | None,
    tags: tuple[str, ...],
    marked: bool,
    sort: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the attempts of RUN."""
    from forager.trajectories.choice import Choice
    from forager.trajectories.marks import Marks

    with open_attempts(run) as index:
        ids = Marks(run).ids(tags, marked=marked) if tags or marked else None
        choice = Choice(resolved=resolved, ids=ids)
        summaries = index.summaries(index.places(choice, sort or "", limit))
        if as_json:
            _print_pages(_array(one.model_dump_json() for one in summaries))
        else:
            _print_pages(_lines(summaries))


@click.command()
@click.argument("target", metavar="RUN|RUN/ID|FILE", type=click.Path(path_type=Path))
@click.option("--print", "print_all", is_flag=True, help="Print all of it; no screens, no pager.")
@click.option("--full", is_flag=True, help="Fold nothing.")
@click.option(
    "--execute", is_flag=True, help="Run what is recorded again in fresh containers, and compare."
)
@click.option(
    "--take-over",
    metavar="TURN",
    type=click.IntRange(1),
    help="Run the turns before TURN again, and go on from there in a new attempt.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The run that gets the new attempt."
)
@click.option(
    "-m",
    "--model",
    help="Who takes over: `repair`, or a model of the endpoint; you at the keyboard without it.",
)
@options.url
@options.key_env
@options.workers
@options.limit
@options.as_json
def replay(
    target: Path,
    print_all: bool,
    full: bool,
    execute: bool,
    take_over: int | None,
    output: Path | None,
    workers: int,
    limit: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Show an attempt turn by turn: thoughts, calls, observations, patch, outcome.

    In a terminal it opens the attempts of a RUN or FILE to be browsed, filtered, stepped through,
    compared and marked (`?` shows the keys). In a pipe it lists them, or prints the one; with
    --print it prints them all. ID may be the beginning of an id.

    --execute makes the recorded calls again (-w at a time, of --limit attempts) and compares what
    is answered; `forager list --tag reproduces` lists those in which nothing differs. --take-over
    needs RUN/ID and -o.
    """
    from forager.trajectories.store import find_trajectory

    source, id = _locate(target)
    with _open(source) as index:
        if execute:
            ids = [find_trajectory(index, id, source).id] if id else _ids(index, limit)
            _execute(source, ids, workers, anew=bool(id), as_json=as_json)
            return
        if take_over is not None:
            if not id or output is None:
                raise UsageError("--take-over needs RUN/ID, and -o RUN2 for the new attempt")
            _take_over(source, find_trajectory(index, id, source), take_over, output, given)
            return
        if output or given["model"]:
            raise UsageError("-o and -m go with --take-over TURN")
        if interactive() and not print_all:
            chosen = find_trajectory(index, id, source).id if id else ""
            show_replay(source, chosen, full=full)
            return
        if id:
            _show([find_trajectory(index, id, source)], source, full, pager=not print_all)
            return
        places = index.places()
        if not places:
            raise UsageError(f"{target} holds no attempts yet")
        if print_all or len(places) == 1:
            _show(index.trajectories(places), source, full, pager=not print_all)
            return
        _print_pages(_lines(index.summaries(places)))
        (first,) = index.summaries(places[:1])
    click.echo(f"\nShow one with: forager replay {target}/{first.id}")


def _ids(index: "Index", limit: int | None) -> list[str]:
    return [one.id for one in index.summaries(index.places(limit=limit))]


def _execute(source: Path, ids: list[str], workers: int, *, anew: bool, as_json: bool) -> None:
    from forager.cli.again import execute_attempts

    def index() -> "Index":
        return _open(source)

    execute_attempts(source, ids, _tasks(source), index, workers, anew=anew, as_json=as_json)


def _take_over(
    source: Path, recorded: "Trajectory", turn: int, output: Path, given: dict[str, Any]
) -> None:
    from forager.cli.again import take_over

    take_over(source, recorded, _tasks(source), turn, output, given)


@click.command()
@runs_argument
@options.limit
@options.as_json
@click.pass_context
def tokens(
    context: click.Context, runs: tuple[Path, ...], limit: int | None, as_json: bool
) -> None:
    """Check the token ids of each RUN: what can be trained on, and where history was rewritten.

    A prompt that does not extend the last prompt and answer by its ids was rendered in another way
    by the chat template: what the model is trained on must begin a new sequence there. Exit code 1
    where that is so. --limit counts attempts.
    """
    from forager.trajectories.tokens import check

    attempts = (one for index in opened(runs) for one in index.trajectories())
    checked = check(islice(attempts, limit))
    if checked.attempts and not checked.attempts_with_ids:
        raise UsageError("no attempt holds token ids; `forager run … --token-ids` keeps them")
    if as_json:
        print_json(checked.model_dump())
    else:
        from forager.evaluation.report import token_tables

        for table in token_tables(checked):
            print_table(table)
    context.exit(1 if checked.calls_rewritten else 0)


def open_attempts(path: Path) -> "Index":
    """The attempts of a RUN or a FILE. Raises UsageError."""
    source, id = _locate(path)
    if id:
        raise UsageError(f"{path} is not a run; give {path.parent}")
    return _open(source)


def opened(paths: "Iterable[Path]") -> "Iterator[Index]":
    """The attempts of each path, opened one after the other."""
    for path in paths:
        with open_attempts(path) as index:
            yield index


def _open(source: Path) -> "Index":
    from forager.trajectories.index import Index
    from forager.trajectories.store import Run

    index = Run(source).index() if source.is_dir() else Index(lambda: [source])
    for path, count in index.damaged():
        say(f"{count:,} bytes of {path} are damaged and were passed over")
    return index


def _locate(path: Path) -> tuple[Path, str]:
    """The run or file of attempts that a path of the user means, and the id it ends with."""
    from forager.trajectories.store import Run

    if path.is_dir():
        return Run(path).path, ""
    if path.exists():
        return path, ""
    parent = path.parent
    if parent.is_file() or (parent / "settings.json").is_file():
        return parent, path.name
    raise UsageError(f"{path} is no run, no attempt of a run and no file of attempts")


def _lines(summaries: "Iterable[Summary]") -> "Iterator[str]":
    """A table of attempts, line by line; the first ones decide how wide the columns are."""
    from forager.trajectories.draw import short

    rows = iter(summaries)
    first = list(islice(rows, _PAGE))
    id_width = max((len(one.id) for one in first), default=0)
    reason_width = max((len(one.exit_reason) for one in first), default=0)
    id_width, reason_width = max(id_width, len("id")), max(reason_width, len("exit reason"))
    head = f"{'id':{id_width}} resolved {'exit reason':{reason_width}}"
    yield f"{head} reward turns seconds tokens"
    for page in (first, rows):
        for one in page:
            word = click.style("yes", "green") if one.resolved else click.style("no", "red")
            pad = " " * (6 if one.resolved else 7)
            id = one.id if one.id.isprintable() else ascii(one.id)
            yield (
                f"{id:{id_width}} {word}{pad}{one.exit_reason:{reason_width}} {one.reward:+6g} "
                f"{one.turns:5d} {one.seconds:7.1f} {short(one.tokens):>6}"
            )


def _array(items: "Iterable[str]") -> "Iterator[str]":
    """The lines of a JSON array, an item a line."""
    last = "["
    for item in items:
        yield last if last == "[" else f"{last},"
        last = item
    yield from ("[]",) if last == "[" else (last, "]")


def _print_pages(lines: "Iterator[str]") -> None:
    while page := list(islice(lines, _PAGE)):
        click.echo("\n".join(page))


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
    """The tasks by name, where there is a run or the file of attempts lies in one."""
    from forager.environments.task import Task
    from forager.records import read_records

    path = (source if source.is_dir() else source.parent) / "tasks.jsonl"
    tasks = read_records(path, Task) if path.is_file() else iter(())
    return {task.instance_id: task for task in tasks}
