"""The verbs that use the whole terminal: `forager watch` and, in a terminal, `forager replay`."""

import os
import sys
from pathlib import Path

import click

from forager.cli import options
from forager.cli.console import console, print_json
from forager.cli.verb import Verb, option


def interactive() -> bool:
    """Whether a person is at a terminal that can show screens."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show_replay(source: Path, id: str, *, full: bool) -> None:
    """Open the screens of `forager replay`, at the attempt `id` if there is one."""
    from forager.replay.app import ReplayApp

    ReplayApp(source, id, full=full).run()


@click.command(cls=Verb)
@click.argument("run", metavar="RUN", type=options.PATH)
@option(
    "--print", "print_once", is_flag=True, help="Print the current state once, without screens."
)
@options.as_json
def watch(run: Path, print_once: bool, as_json: bool) -> None:
    """Watch a run while it makes attempts.

    The screen shows throughput, success by family, endpoints, images and workers. Outside a
    terminal it prints the current state.
    """
    from forager.replay.batch import read_batch
    from forager.trajectories.store import Run

    path = Run(run).path
    if as_json:
        print_json(read_batch(path).model_dump())
    elif print_once or not interactive():
        from forager.replay.board import whole

        console().print(whole(read_batch(path), 1000), soft_wrap=True)
    else:
        from forager.replay.app import ReplayApp

        ReplayApp(path, watch=True).run()
