"""`forager list`: the attempts of a run."""

from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.console import echo_own
from forager.cli.runs import open_attempts, run_argument
from forager.cli.verb import Verb, option
from forager.text import safe_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forager.trajectories.summary import Summary

_PAGE = 1000  # lines printed at a time


@click.command("list", cls=Verb)
@run_argument
@options.resolved
@option("--suspect", is_flag=True, help="List only suspect attempts, accepted or not.")
@option("--tag", "tags", metavar="TAG", multiple=True, help="List attempts with TAG. Repeatable.")
@option("--marked", is_flag=True, help="List only attempts that were marked in `forager replay`.")
@option("--sort", metavar="FIELD", help="Sort by a field of --json; -FIELD sorts downwards.")
@options.accept_suspect
@options.limit
@options.as_json
def list_attempts(
    run: Path,
    resolved: bool | None,
    suspect: bool,
    tags: tuple[str, ...],
    marked: bool,
    sort: str | None,
    accept_suspect: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the attempts of a run.

    RUN is a run directory or a file of attempts. A suspect attempt passes all tests with code that
    only a forger of results needs; it counts as failed unless you accept it (`forager replay
    RUN/ID --accept`).

    \b
    Example:
      forager list runs/repair --unresolved --sort -seconds --limit 10
    """
    from forager.trajectories.choice import Choice
    from forager.trajectories.marks import Marks

    with open_attempts(run, accept_suspect=accept_suspect) as index:
        ids = Marks(run).ids(tags, marked=marked) if tags or marked else None
        choice = Choice(resolved=resolved, suspect=True if suspect else None, ids=ids)
        summaries = index.summaries(index.places(choice, sort or "", limit))
        if as_json:
            items = (summary.model_dump_json() for summary in summaries)
            _print_pages(map(safe_json, _array(items)))
        else:
            print_summaries(summaries)


def print_summaries(summaries: "Iterable[Summary]") -> None:
    """Print a table of attempts."""
    _print_pages(_lines(summaries))


def _lines(summaries: "Iterable[Summary]") -> "Iterator[str]":
    """A table of attempts, line by line; the first page decides on the columns."""
    from forager.trajectories.draw import short

    rows = iter(summaries)
    first = list(islice(rows, _PAGE))
    id_width = max((len(_word(summary.id)) for summary in first), default=0)
    reason_width = max((len(_word(summary.exit_reason)) for summary in first), default=0)
    id_width, reason_width = max(id_width, len("id")), max(reason_width, len("exit reason"))
    head = f"{'id':{id_width}} resolved {'exit reason':{reason_width}}"
    several = len({summary.model for summary in first}) > 1
    yield f"{head} reward turns seconds tokens{' model' if several else ''}"
    for summary in chain(first, rows):
        word, colour = _verdict(summary)
        id, reason = _word(summary.id), _word(summary.exit_reason)
        verdict = click.style(f"{word:8}", colour)
        yield (
            f"{id:{id_width}} {verdict} {reason:{reason_width}} "
            f"{summary.reward:+6g} {summary.turns:5d} {summary.seconds:7.1f} "
            f"{short(summary.tokens):>6}{f' {_word(summary.model)}' if several else ''}"
        )


def _word(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _verdict(summary: "Summary") -> tuple[str, str]:
    """The word for an attempt's verdict, and its colour."""
    if summary.resolved:
        return "yes", "green"
    return ("suspect", "yellow") if summary.suspect else ("no", "red")


def _array(items: "Iterable[str]") -> "Iterator[str]":
    """The lines of a JSON array, one item per line."""
    last = "["
    for item in items:
        yield last if last == "[" else f"{last},"
        last = item
    yield from ("[]",) if last == "[" else (last, "]")


def _print_pages(lines: "Iterator[str]") -> None:
    while page := list(islice(lines, _PAGE)):
        echo_own("\n".join(page))
