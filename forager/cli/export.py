"""`forager export`: attempts in the formats of other software."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.look import open_attempts, runs_argument
from forager.cli.progress import Progress
from forager.errors import UsageError
from forager.trajectories.export import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.trajectories.choice import Choice
    from forager.trajectories.index import Index, Places
    from forager.trajectories.record import Trajectory

_HELP = "; ".join(f"{name}: {what}" for name, what in FORMATS.items())


@click.command(help=f"Write the attempts of each RUN (or FILE) for other software.\n\n{_HELP}.")
@runs_argument
@options.output
@click.option(
    "--format", "format", type=click.Choice(list(FORMATS)), required=True, help="What is written."
)
@options.resolved
@options.limit
@click.option("--sample", type=click.IntRange(min=1), help="Only so many, drawn by --seed.")
@options.seed
def export(
    runs: tuple[Path, ...],
    output: Path,
    format: str,
    resolved: bool | None,
    limit: int | None,
    sample: int | None,
    seed: int,
) -> None:
    """Write the attempts of each RUN for other software."""
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import writer

    write = writer(format)
    if limit is not None and sample is not None:
        raise UsageError("--limit takes the first attempts and --sample any; give one of them")
    with ExitStack() as stack:
        indexes = [stack.enter_context(open_attempts(run)) for run in runs]
        chosen = _chosen(indexes, Choice(resolved=resolved), limit, sample, seed)
        total = sum(map(len, chosen))
        if not total:
            raise UsageError("there are no such attempts to export")
        attempts = (
            one
            for index, places in zip(indexes, chosen, strict=True)
            for one in index.trajectories(places)
        )
        with Progress("attempts", total) as progress:
            count = write(_told(attempts, progress), output)
    click.echo(f"{output}\t{count:,} attempts")


def _chosen(
    indexes: "list[Index]",
    choice: "Choice",
    limit: int | None,
    sample: int | None,
    seed: int,
) -> "list[Places[int]]":
    """Which attempts of each run."""
    from forager.trajectories.index import sample as draw

    if sample is not None:
        return draw(indexes, sample, seed, choice)
    chosen = []
    for index in indexes:
        chosen.append(index.places(choice, limit=limit))
        limit = None if limit is None else limit - len(chosen[-1])
    return chosen


def _told(attempts: "Iterable[Trajectory]", progress: Progress) -> "Iterator[Trajectory]":
    for done, one in enumerate(attempts, 1):
        yield one
        progress.update(done)
