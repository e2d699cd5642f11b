"""`forager filter`: keep the attempts that are worth training on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import echo, print_json, print_table
from forager.cli.progress import Progress
from forager.cli.runs import runs_argument, say_damage
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from forager.learning.filters.kept import Filtering
    from forager.learning.filters.pipeline import FilterChoice, FilterContext


@click.command("filter", cls=Verb)
@runs_argument
@options.output("KEPT", "Run that gets the attempts that are left.")
@option(
    "--filter",
    "filters",
    metavar="NAME[=SETTING…]",
    multiple=True,
    help="Filter, such as `per-task=2` or `length=turns:20,tokens:32000`. Can be repeated, in "
    "order; by default the usual filters (see docs/filters.md).",
)
@option("--without", metavar="NAME", multiple=True, help="Leave this filter out. Can be repeated.")
@option(
    "--config",
    metavar="FILE",
    type=options.PATH,
    help="TOML file with a [[filters]] table for each filter: its name and settings.",
)
@options.accept_suspect
@options.also_exclude
@options.as_json
def filter_attempts(
    runs: tuple[Path, ...],
    output: Path,
    filters: tuple[str, ...],
    without: tuple[str, ...],
    config: Path | None,
    accept_suspect: bool,
    also_exclude: Path | None,
    as_json: bool,
) -> None:
    """Keep the attempts that are worth training on.

    Filters drop or change attempts, one filter after the other, and print how many each dropped.
    KEPT is a run of its own; its settings.json records the filters, their settings and the counts.

    \b
    Examples:
      forager filter runs/qwen -o runs/kept
      forager filter runs/qwen -o runs/short --filter resolved --filter length=turns:20
    """
    from forager.learning.filters import load_filters
    from forager.learning.filters.kept import filter_runs

    choices = choices_of(filters, without, config)
    say_damage(runs)
    with Progress("attempts read") as progress:
        done = filter_runs(
            runs,
            output,
            choices,
            load_filters(),
            filter_context(also_exclude),
            lambda read, _: progress.update(read),
            accept_suspect=accept_suspect,
        )
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_table(_table(done))
        echo(f"{output}\t{done.attempts:,} attempts")


def choices_of(
    filters: tuple[str, ...], without: tuple[str, ...] = (), config: Path | None = None
) -> "list[FilterChoice]":
    """The filters of the command line or of a file. Raises UsageError."""
    from forager.learning.filters import DEFAULT

    if filters and config:
        raise UsageError("--filter and --config both name the filters; give one of them")
    names = list(filters) or list(DEFAULT)
    choices = _read(config) if config else [_choice(text) for text in names]
    if unknown := set(without) - {choice.name for choice in choices}:
        raise UsageError(f"--without {min(unknown)} leaves nothing out; leave the option out")
    return [choice for choice in choices if choice.name not in without]


def _choice(text: str) -> "FilterChoice":
    """Parse NAME=SETTING:VALUE,…; the name of the first setting may be left out."""
    from forager.learning.filters.pipeline import FilterChoice

    name, _, rest = text.partition("=")
    pairs = [setting.rpartition(":") for setting in rest.split(",")] if rest else []
    settings = {key: value for key, _, value in pairs}
    if len(settings) < len(pairs):
        raise UsageError(f"--filter {text} gives a setting twice")
    return FilterChoice(name=name, settings=settings)


def _read(path: Path) -> "list[FilterChoice]":
    """The filters of a TOML file. Raises UsageError."""
    from pydantic import TypeAdapter, ValidationError

    from forager.config import load_toml
    from forager.learning.filters.pipeline import FilterChoice

    try:
        tables: list[dict[str, Any]] = load_toml(path)["filters"]
        choices = [{"name": table.pop("name"), "settings": table} for table in tables]
        return TypeAdapter(list[FilterChoice]).validate_python(choices)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'{path} is not a list of filters ([[filters]] with name = "NAME" and settings)'
        ) from error


def filter_context(also_exclude: Path | None = None) -> "FilterContext":
    """The toolbox and the list of contaminated projects, which filters need."""
    from forager.learning.filters.pipeline import FilterContext
    from tasks.contamination import contaminated
    from tools import load_toolbox

    return FilterContext(
        toolbox=load_toolbox(), contaminated=lambda name: contaminated(name, also=also_exclude)
    )


def _table(done: "Filtering") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("filter", "settings"):
        table.add_column(name)
    for name in ("in", "dropped", "changed", "kept"):
        table.add_column(name, justify="right")
    for choice, count in zip(done.filters, done.counts, strict=True):
        settings = ", ".join(f"{name} {value}" for name, value in choice.settings.items())
        numbers = (count.given, count.dropped, count.changed, count.kept)
        table.add_row(choice.name, settings, *(f"{number:,}" for number in numbers))
    return table
