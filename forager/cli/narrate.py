"""`forager trace narrate`: executions in words."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.models import open_author
from forager.cli.progress import Progress
from forager.cli.tracing import in_parallel, print_kept, say_paid
from forager.cli.verb import Verb, option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forager.tracing.narration.writing import TraceNarrator

_TRIES = 2  # a text that is wrong is written once more


@click.command(cls=Verb)
@click.argument("directories", metavar="TRACES…", nargs=-1, required=True, type=options.PATH)
@options.output("DIR", "Directory of the texts; the same command goes on with it.")
@options.workers
@options.limit
@option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=0),
    default=1,
    shown_default="1",
    help="Tell N calls within calls at most.",
)
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading=options.AUTHOR,
    help="Model that writes the texts; by default rules do.",
)
@options.author_url
@options.author_key_env
def narrate(
    directories: tuple[Path, ...], output: Path, workers: int, limit: int | None, **given: Any
) -> None:
    """Describe executions in words.

    Rules write a text of each trace, or a model does (-m). Each value that a text states is
    checked against the trace. A model writes a wrong text once more; then the trace is dropped.
    --limit counts the traces.

    \b
    Examples:
      forager trace narrate traces/toolz-functions -o texts/rules
      forager trace narrate traces/toolz-functions -o texts/qwen -m NAME --url URL
    """
    from forager.locks import claimed_output
    from forager.tracing.export import traces_of
    from forager.tracing.narration.writing import NarrationWriter

    with (
        terminable(),
        claimed_output(output),
        NarrationWriter(output) as writer,
        _narrator(given, output) as narrator,
        Progress("traces") as progress,
    ):
        left = (found for found in traces_of(directories, limit) if found[0].id not in writer.ids)
        texts = in_parallel(lambda found: writer.add(narrator.narrate(*found)), left, workers)
        for done, _ in enumerate(texts, 1):
            progress.update(done, kept=writer.kept)
    print_kept("traces", writer.kept, writer.reasons)


@contextmanager
def _narrator(given: dict[str, Any], output: Path) -> "Iterator[TraceNarrator]":
    from forager.tracing.cutting import LONGEST, Cut
    from forager.tracing.narration.writing import TraceNarrator
    from forager.trajectories.record import Sampling

    cut = Cut(depth=given["depth"], longest=LONGEST)
    with open_author(given, output, Sampling()) as author:
        if author is None:
            yield TraceNarrator(cut)
            return

        def write(question: str, problem: "Callable[[str], str]") -> str:
            return author.text(question, problem, _TRIES)[0]

        yield TraceNarrator(cut, given["model"], write)
        say_paid(author)
