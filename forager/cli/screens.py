"""The verbs that take the whole terminal: `forager watch`, and `forager replay` in one."""

import os
import sys
from pathlib import Path

import click

from forager.cli import options
from forager.cli.console import console, print_json


def interactive() -> bool:
    """Whether a person is at a terminal that can show screens."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show_replay(source: Path, id: str, *, full: bool) -> None:
    """Let a person look at attempts: at this one first, where an id is given."""
    from forager.replay.app import ReplayApp

    ReplayApp(source, id, full=full).run()


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--print", "print_once", is_flag=True, help="Print how it stands now; no screen.")
@options.as_json
def watch(run: Path, print_once: bool, as_json: bool) -> None:
    """Watch the batch that makes RUN: throughput, families, endpoints, images, workers.

    Without a terminal it prints how the batch stands now.
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
