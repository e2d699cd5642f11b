"""`forager list`, `replay`, `tokens`: the attempts of runs."""

import os
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.again import TAKE_OVER
from forager.cli.console import console, print_json, print_table, say
from forager.cli.screens import interactive, show_replay
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.environments.task import Task
    from forager.trajectories.index import Index
    from forager.trajectories.record import Trajectory
    from forager.trajectories.summary import Summary

_PAGE = 1000  # lines printed at a time
_EXECUTE, _TAKE_OVER = "Execute again", "Take over"

run_argument = click.argument("run", metavar="RUN", type=options.PATH)
runs_argument = click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=options.PATH)


@click.command("list", cls=Verb)
@run_argument
@options.resolved
@option("--tag", "tags", metavar="TAG", multiple=True, help="List attempts with TAG. Repeatable.")
@option("--marked", is_flag=True, help="List only attempts that were marked in `forager replay`.")
@option("--sort", metavar="FIELD", help="Sort by a field of --json; -FIELD sorts downwards.")
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
    """List the attempts of a run.

    RUN is a run directory or a file of attempts.

    \b
    Example:
      forager list runs/repair --unresolved --sort -seconds --limit 10
    """
    from forager.trajectories.choice import Choice
    from forager.trajectories.marks import Marks

    with open_attempts(run) as index:
        ids = Marks(run).ids(tags, marked=marked) if tags or marked else None
        choice = Choice(resolved=resolved, ids=ids)
        summaries = index.summaries(index.places(choice, sort or "", limit))
        if as_json:
            _print_pages(_array(summary.model_dump_json() for summary in summaries))
        else:
            _print_pages(_lines(summaries))


@click.command(cls=Verb, settings=TAKE_OVER)
@click.argument("target", metavar="RUN|RUN/ID|FILE", type=options.PATH)
@option("--print", "print_all", is_flag=True, help="Print all attempts, without screens or pager.")
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
    be the beginning of an id.

    --execute (with -w, --limit and --json) tags attempts that behave as recorded: `forager list
    --tag reproduces` lists them. --take-over needs RUN/ID and -o.

    \b
    Examples:
      forager replay runs/repair
      forager replay runs/repair --execute -w 4
      forager replay runs/repair/ID --take-over 5 -o runs/mine
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
            _take_over(source, find_trajectory(index, id, source), take_over, output, params)
            return
        if output or params["model"]:
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
    return [summary.id for summary in index.summaries(index.places(limit=limit))]


def _execute(source: Path, ids: list[str], workers: int, *, anew: bool, as_json: bool) -> None:
    from forager.cli.again import execute_attempts

    def index() -> "Index":
        return _open(source)

    execute_attempts(source, ids, _tasks(source), index, workers, anew=anew, as_json=as_json)


def _take_over(
    source: Path, recorded: "Trajectory", turn: int, output: Path, params: dict[str, Any]
) -> None:
    from forager.cli.again import take_over

    take_over(source, recorded, _tasks(source), turn, output, params)


@click.command(cls=Verb)
@runs_argument
@options.limit
@options.as_json
@click.pass_context
def tokens(
    context: click.Context, runs: tuple[Path, ...], limit: int | None, as_json: bool
) -> None:
    """Check that the token ids of runs can be trained on.

    A prompt must begin with the ids of the prompt and completion before it. If the chat template
    rendered it in another way, the training sequence has to be split there. The exit code is 1 if
    there is such a prompt. --limit counts attempts.
    """
    from forager.trajectories.tokens import check

    attempts = (attempt for index in opened(runs) for attempt in index.trajectories())
    checked = check(islice(attempts, limit))
    if checked.attempts and not checked.attempts_with_ids:
        raise UsageError("no attempt has token ids; `forager run … --token-ids` keeps them")
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
        say(f"skipped {count:,} damaged bytes of {path}")
    return index


def _locate(path: Path) -> tuple[Path, str]:
    """Split a path into the run (or file of attempts) and the id that may follow it."""
    from forager.trajectories.store import Run

    if path.is_dir():
        return Run(path).path, ""
    if path.exists():
        return path, ""
    parent = path.parent
    if parent.is_file() or (parent / "settings.json").is_file():
        return parent, path.name
    raise UsageError(f"{path} is not a run, an attempt of a run, or a file of attempts")


def _lines(summaries: "Iterable[Summary]") -> "Iterator[str]":
    """A table of attempts, line by line; the first page sets the widths of the columns."""
    from forager.trajectories.draw import short

    rows = iter(summaries)
    first = list(islice(rows, _PAGE))
    id_width = max((len(summary.id) for summary in first), default=0)
    reason_width = max((len(summary.exit_reason) for summary in first), default=0)
    id_width, reason_width = max(id_width, len("id")), max(reason_width, len("exit reason"))
    head = f"{'id':{id_width}} resolved {'exit reason':{reason_width}}"
    yield f"{head} reward turns seconds tokens"
    for summary in chain(first, rows):
        word = click.style("yes", "green") if summary.resolved else click.style("no", "red")
        pad = " " * (6 if summary.resolved else 7)
        id = summary.id if summary.id.isprintable() else ascii(summary.id)
        yield (
            f"{id:{id_width}} {word}{pad}{summary.exit_reason:{reason_width}} "
            f"{summary.reward:+6g} {summary.turns:5d} {summary.seconds:7.1f} "
            f"{short(summary.tokens):>6}"
        )


def _array(items: "Iterable[str]") -> "Iterator[str]":
    """The lines of a JSON array, one item per line."""
    last = "["
    for item in items:
        yield last if last == "[" else f"{last},"
        last = item
    yield from ("[]",) if last == "[" else (last, "]")


def _print_pages(lines: "Iterator[str]") -> None:
    while page := list(islice(lines, _PAGE)):
        click.echo("\n".join(page))


def _show(trajectories: "Iterable[Trajectory]", source: Path, full: bool, *, pager: bool) -> None:
    """Print attempts; in a terminal through the pager, which ends at once if all of it fits."""
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
    """The tasks of a run by name; a file of attempts takes those of its directory."""
    from forager.environments.task import Task
    from forager.records import read_records

    path = (source if source.is_dir() else source.parent) / "tasks.jsonl"
    tasks = read_records(path, Task) if path.is_file() else iter(())
    return {task.instance_id: task for task in tasks}
