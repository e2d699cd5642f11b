"""`forager debug`: a recorded execution in a time-travel debugger."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import console, echo
from forager.cli.screens import interactive
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.replay.debugger.session import DebugSession, TraceShelf


@click.command(cls=Verb)
@click.argument("trace", metavar="DIR|DIR/ID", type=options.PATH)
@click.argument("other", metavar="[DIR2/ID]", type=options.PATH, required=False)
@option("--print", "print_text", is_flag=True, help="Print the trace as text, without screens.")
def debug(trace: Path, other: Path | None, print_text: bool) -> None:
    """Step through a recorded execution, forwards and backwards.

    DIR is a directory that `forager trace` wrote, and ID a trace's id or a part of it that no other
    id has. In a terminal it opens screens: step into, over and out of calls in both directions, go
    to the next change of a variable, watch it, browse the calls; `?` shows the keys. A second trace
    is shown next to the first one, from the first state that differs. In a pipe it prints text.

    \b
    Examples:
      forager debug traces/toolz
      forager debug traces/toolz/test_partition
      forager debug traces/fixes/ID::before traces/fixes/ID::after
    """
    from forager.replay.debugger.session import TraceShelf

    directory, name = _located(trace)
    shelf = TraceShelf(directory)
    first = shelf.session(shelf.index.find(name)) if name else None
    second = _opened(other, shelf) if other else None
    if second and not first:
        raise UsageError(f"{trace} is a directory; name the trace to compare: {trace}/ID")
    if print_text or not interactive():
        _print(shelf, first, second)
        return
    from forager.replay.debugger.app import DebugApp

    DebugApp(shelf, first, second).run()


def _located(path: Path) -> tuple[Path, str]:
    """Split a path into the directory of traces and the id that may follow it.

    Raises UsageError.
    """
    from forager.tracing.store import holds_traces

    if holds_traces(path):
        return path, ""
    for directory in path.parents:
        if holds_traces(directory):
            return directory, str(path.relative_to(directory))
    raise UsageError(f"{path} is not a directory of traces, or a trace of one; see `forager trace`")


def _opened(path: Path, shelf: "TraceShelf") -> "DebugSession":
    from forager.replay.debugger.session import TraceShelf

    directory, name = _located(path)
    if not name:
        raise UsageError(f"{path} is a directory; name a trace of it: {path}/ID")
    if directory != shelf.index.directory:
        shelf = TraceShelf(directory)
    return shelf.session(shelf.index.find(name))


def _print(
    shelf: "TraceShelf", first: "DebugSession | None", second: "DebugSession | None"
) -> None:
    if first and second:
        from forager.replay.debugger.printing import side_by_side

        for text in side_by_side(first, second, console().width):
            console().print(text, soft_wrap=True)
    elif first:
        from forager.replay.debugger.printing import lines_of

        for text in lines_of(first):
            console().print(text, soft_wrap=True)
    else:
        from forager.replay.debugger.texts import summary_row

        for summary in shelf.index.summaries:
            console().print(summary_row(summary, 120), soft_wrap=True)
        echo(f"\nShow one with: forager debug {shelf.index.directory}/ID")
