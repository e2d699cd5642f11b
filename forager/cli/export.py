"""`forager export`: attempts in the formats of other software."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import console, say
from forager.cli.look import open_attempts, runs_argument
from forager.cli.progress import Progress
from forager.errors import UsageError
from forager.trajectories.export import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.trajectories.choice import Choice
    from forager.trajectories.index import Index, Places
    from forager.trajectories.record import Trajectory

_DATASETS = {
    "policy": "a data set of token ids for `forager train`, the agent's own trained on",
    "world": "the same, with the environment's trained on too",
}
_ALL = {**FORMATS, **_DATASETS}
_HELP = "; ".join(f"{name}: {what}" for name, what in _ALL.items())


@click.command(
    help=f"Write the attempts of each RUN (or FILE) for other software, or to train.\n\n{_HELP}."
)
@runs_argument
@options.output
@click.option(
    "--format", "format", type=click.Choice(list(_ALL)), required=True, help="What is written."
)
@options.resolved
@options.limit
@click.option("--sample", type=click.IntRange(min=1), help="Only so many, drawn by --seed.")
@options.seed
@click.option(
    "--tokenizer",
    metavar="MODEL",
    type=click.Path(path_type=Path),
    help="policy, world: the model whose tokenizer and chat template it is: a directory, or "
    "owner/name of the Hugging Face Hub.",
)
@click.option(
    "--context",
    type=click.IntRange(min=2),
    default=32_768,
    show_default=True,
    help="policy, world: tokens of a sample at most; what is longer is left out.",
)
@click.option("--cut", is_flag=True, help="policy, world: cut what is longer instead.")
@click.option(
    "--mask-failed",
    is_flag=True,
    help="policy, world: do not train on steps whose call was malformed, refused or stopped.",
)
@click.option(
    "--mask-exits",
    is_flag=True,
    help="policy, world: do not train on commands that ended with another exit code than 0.",
)
@click.option(
    "--observations",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="world: share of the observations that are trained on, drawn by --seed.",
)
@click.option(
    "--show",
    metavar="N",
    type=click.IntRange(min=1),
    help="policy, world: print the first N samples, what is trained on coloured.",
)
def export(
    runs: tuple[Path, ...],
    output: Path,
    format: str,
    resolved: bool | None,
    limit: int | None,
    sample: int | None,
    seed: int,
    tokenizer: Path | None,
    show: int | None,
    **given: Any,
) -> None:
    """Write the attempts of each RUN for other software, or to train."""
    from forager.trajectories.choice import Choice
    from forager.trajectories.export import writer

    if limit is not None and sample is not None:
        raise UsageError("--limit takes the first attempts and --sample any; give one of them")
    if format in _DATASETS:
        given |= {"resolved": resolved, "limit": limit, "drawn": sample, "seed": seed}
        _export_dataset(runs, output, tokenizer, show, kind=format, **given)
        return
    if tokenizer or show:
        raise UsageError("--tokenizer and --show go with --format policy and world")
    write = writer(format)
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


def _export_dataset(
    runs: tuple[Path, ...], output: Path, tokenizer: Path | None, show: int | None, **given: Any
) -> None:
    from forager.learning.dataset import DatasetSettings
    from forager.learning.dataset.write import export_dataset
    from forager.learning.hub import model_directory

    if tokenizer is None:
        raise UsageError("--format policy and world need --tokenizer MODEL")
    tokenizer = model_directory(tokenizer)
    settings = DatasetSettings(**given)
    with Progress("attempts") as progress:
        done = export_dataset(
            runs, output, tokenizer, settings, lambda read, _: progress.update(read)
        )
    for reason, count in done.left_out.items():
        say(f"left out: {count:,} · {reason}")
    for note, count in done.notes.items():
        say(f"{count:,} {note}")
    if show:
        from forager.learning.dataset.show import shown

        for text in shown(output, tokenizer, show, colours=console().is_terminal):
            console().print(text, soft_wrap=True)
    share = done.trained / done.tokens
    click.echo(f"{output}\t{done.samples:,} samples\t{done.tokens:,} tokens\t{share:.1%} trained")


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
